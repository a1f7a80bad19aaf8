"""CMU computational sequences: a ``.csd`` file, or a folder of several that share entry ids.

One sequence becomes one modality, the words or the labels, by its root name. Without labels every video is one
utterance; with labels every labelled segment is one, with the words that overlap it by more than 1e-5 s (the SDK's
threshold) and the rows of every sequence that overlap it or one of those words, their times uncut. So aligning to
words gives what the SDK gives when it aligns to words first and to labels then: a word at the border keeps its voice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Corpus, LabelSpecification, Specification, Stream, StreamSpecification, Utterance, Words
from trivium.errors import DataError, FormatError
from trivium.files import atomic_folder
from trivium.formats.findings import Finding, Findings, NonFinite, is_finite
from trivium.formats.labels import outside
from trivium.formats.losses import Kept
from trivium.formats.sequences import Entry, Sequence, entry_key, is_hdf5, is_sequence, open_sequence, write_sequence

__all__ = ["EPSILON", "CsdFormat", "overlapping"]

EPSILON = 1e-5  # seconds; overlaps up to this do not count
_Segment: TypeAlias = tuple[str, list[str], NDArray[np.float64], NDArray[np.float32] | None]
_PAUSE = "sp"
_SPOKEN = ("words", "text")  # what other sequences are aligned to
_MODALITY_KEY = "trivium modality"  # written beside the SDK's own keys, so that a fourth modality comes back
_ROLES = (
    ("labels", r"label|opinion|sentiment|emotion"),
    ("text", r"glove|bert|word2vec|fasttext|text|embedding|word_vectors"),
    ("audio", r"covarep|open_?smile|egemaps|librosa|wav2vec|hubert|mfcc|acoustic|audio|voice|praat"),
    ("vision", r"facet|open_?face|vision|visual|facial|face|video"),
)
_SENTIMENT = (-3.0, 3.0)
_MOSEI = ("sentiment", "happy", "sad", "anger", "surprise", "disgust", "fear")


class CsdFormat:
    """Reader and writer of CMU computational sequences."""

    name = "csd"

    def detect(self, path: Path) -> str | None:
        """Why the path is of this format, or None."""
        files = _files(path)
        return f"{len(files)} computational sequences (HDF5)" if any(map(is_hdf5, files)) else None

    def read(
        self, path: Path, *, modality: Mapping[str, str] | None = None, nonfinite: NonFinite = "reference"
    ) -> Corpus:
        """Read a file or folder.

        Parameters
        ----------
        path : Path
            A ``.csd`` file or a folder that holds some, at any depth.
        modality : mapping of str to str, optional
            Modality (or ``words``, ``labels``) to file name, file stem or root name, over what the root names say.
        nonfinite : {"reference", "keep", "zero", "error"}
            ``reference`` keeps NaN and infinite cells, as the SDK does.
        """
        files = _files(path)
        if not files:
            raise FormatError("holds no .csd file", file=path)
        findings = Findings(nonfinite)
        sequences = [open_sequence(file) for file in files]
        for sequence in sequences:
            if not sequence.metadata:
                action = "no metadata: what it is, and its columns, follow from the name of its root"
                findings.add(Finding("missing", sequence.file.name, column="metadata", action=action))
        roles = _roles(sequences, modality or {}, path, findings)
        return _Reading(roles, findings).corpus()

    def write(self, corpus: Corpus, path: Path) -> Kept:
        """Write a folder with one file per modality, and ``words.csd`` and ``labels.csd`` where there are any.

        Entries are utterances; ``video[k]`` ids are what the SDK itself makes when it aligns to labels.
        """
        with atomic_folder(path) as folder:
            utterances = list(corpus)
            for stream in corpus.specification.streams:
                described = {"dimension names": list(stream.columns), "creator": stream.extractor or None}
                entries = {
                    u.id: Entry(u.streams[stream.modality].values, _times(u, stream.modality))
                    for u in utterances
                    if stream.modality in u.streams
                }
                _write(folder, stream.modality, entries, described)
            _write(folder, "words", _word_entries(utterances), {"dimension names": ["word"]})
            names, labels = _label_entries(corpus, utterances)
            _write(folder, "labels", labels, {"dimension names": names})
        return Kept(
            frozenset({"times", "word times", "ranges"}),
            labels=[v.key for v in corpus.specification.labels if v.is_number or v.kind == "multilabel"],
            labelled=labels, spans=labels, groups=(), splits=(), words=_has_timed_words,
            video=lambda name: entry_key(name)[0],
        )  # fmt: skip


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.rglob("*.csd") if file.is_file())
    return [path] if path.is_file() and is_sequence(path) else []


def _roles(sequences: list[Sequence], chosen: Mapping[str, str], path: Path, findings: Findings) -> dict[str, Sequence]:
    roles: dict[str, Sequence] = {}
    for name, wanted in chosen.items():
        matches = [s for s in sequences if wanted in (s.root, s.file.name, s.file.stem)]
        if len(matches) != 1:
            names = ", ".join(f"{s.file.name} ({s.root})" for s in sequences)
            raise FormatError(f"{wanted!r} names {len(matches)} sequences", file=path, remedy=f"choose from {names}")
        roles[name] = matches[0]
    for sequence in sequences:
        if sequence in roles.values():
            continue
        role = _role(sequence)
        if role in chosen:
            findings.add(Finding("dropped", sequence.file.name, role, action=f"{roles[role].file.name} was chosen"))
        elif role in roles:
            raise FormatError(
                f"{roles[role].file.name} and {sequence.file.name} both look like {role}",
                file=path,
                remedy=f"say which with --modality {role}={sequence.file.name}, or name each its own modality",
            )
        else:
            roles[role] = sequence
    return roles


def _role(sequence: Sequence) -> str:
    told = sequence.metadata.get(_MODALITY_KEY)
    if isinstance(told, str) and told:
        return told
    if sequence.is_text:
        return "words"
    slug = _slug(sequence.root)
    return next((role for role, pattern in _ROLES if re.search(pattern, slug)), slug)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "sequence"


@dataclass(frozen=True, eq=False)
class _Track:
    """One sequence by video: the rows of its entries behind one another, and where each entry's rows are."""

    videos: Mapping[str, Entry]
    entries: Mapping[str, Entry]
    suffixed: bool
    odd: frozenset[str]  # videos with a cell that is not finite

    @classmethod
    def of(cls, sequence: Sequence) -> _Track:
        parts: dict[str, list[tuple[int, Entry]]] = {}
        suffixed = False
        for name, entry in sequence.entries.items():
            video, row = entry_key(name)
            suffixed |= row is not None
            parts.setdefault(video, []).append((-1 if row is None else row, entry))
        videos = {video: _joined(found) for video, found in parts.items()}
        odd = () if sequence.is_text else (v for v, whole in videos.items() if not is_finite(whole.features))
        return cls(videos, sequence.entries, suffixed, frozenset(odd))

    @property
    def by_word(self) -> bool:
        """Whether every entry is at most one row: what the SDK leaves after aligning to words."""
        return self.suffixed and all(len(e.features) <= 1 for e in self.entries.values())


def _joined(found: list[tuple[int, Entry]]) -> Entry:
    if len(found) == 1:
        return found[0][1]
    ordered = [entry for _, entry in sorted(found, key=lambda pair: pair[0])]
    return Entry(np.concatenate([e.features for e in ordered]), np.concatenate([e.intervals for e in ordered]))


class _Reading:
    """One reading: sequences by role go in, a corpus comes out."""

    def __init__(self, roles: dict[str, Sequence], findings: Findings) -> None:
        self._findings = findings
        self._tracks = {role: _Track.of(sequence) for role, sequence in roles.items() if role != "labels"}
        self._labels = roles.get("labels")
        self._streams = {
            role: _stream_specification(role, sequence) for role, sequence in roles.items() if _is_stream(role)
        }
        self._label_names, self._label_specs = _label_specifications(self._labels)
        self._roots = {role: sequence.root for role, sequence in roles.items()}

    def corpus(self) -> Corpus:
        segments = self._segments() if self._labels is not None else self._whole()
        utterances = [u for segment in segments for u in self._utterances(*segment)]
        specification = Specification(tuple(self._streams.values()), self._label_specs)
        provenance = {"format": "csd", "layout": {"roots": self._roots}, "findings": self._findings.to_json()}
        return Corpus.from_utterances(utterances, specification, provenance)

    def _segments(self) -> list[_Segment]:
        """Video, utterance ids (n), spans (n, 2) and label rows (n, d), one item per label entry."""
        assert self._labels is not None
        found: list[_Segment] = []
        for name, entry in sorted(self._labels.entries.items(), key=lambda item: _natural(item[0])):
            video, row = entry_key(name)
            single = row is not None and len(entry.features) == 1
            ids = [name] if single else [f"{name}[{k}]" for k in range(len(entry.features))]
            found.append((video, ids, entry.intervals, entry.features))
        return found

    def _whole(self) -> list[_Segment]:
        """One utterance per video; per entry where entries of several rows carry ``[k]``."""
        tracks = list(self._tracks.values())
        by_video = not any(t.suffixed for t in tracks) or all(t.by_word or not t.suffixed for t in tracks)
        names = {name for t in tracks for name in (t.videos if by_video else t.entries)}
        nowhere = np.full((1, 2), np.nan)
        return [(entry_key(name)[0], [name], nowhere, None) for name in sorted(names, key=_natural)]

    def _utterances(
        self, video: str, ids: list[str], spans: NDArray[np.float64], labels: NDArray[np.float32] | None
    ) -> list[Utterance]:
        spoken = {role: self._cut(role, video, ids, spans) for role in self._tracks if role in _SPOKEN}
        reach = _reach(spans, list(spoken.values()))
        cuts = spoken | {role: self._cut(role, video, ids, reach) for role in self._tracks if role not in _SPOKEN}
        return [self._utterance(video, k, ids[k], spans[k], labels, cuts) for k in range(len(ids))]

    def _cut(self, role: str, video: str, ids: list[str], spans: NDArray[np.float64]) -> list[Entry | None]:
        """Rows of one sequence for each utterance of a video."""
        track = self._tracks[role]
        if (track.suffixed and not track.by_word) or (np.isnan(spans).all() and ids[0] in track.entries):
            return [track.entries.get(i) for i in ids]
        whole = track.videos.get(video)
        if whole is None:
            return [None] * len(ids)
        return [whole] if np.isnan(spans).all() else [_nothing_is_none(e) for e in overlapping(whole, spans)]

    def _utterance(
        self,
        video: str,
        k: int,
        name: str,
        span: NDArray[np.float64],
        labels: NDArray[np.float32] | None,
        cuts: Mapping[str, list[Entry | None]],
    ) -> Utterance:
        streams = {r: self._stream(r, entries[k], name, video) for r, entries in cuts.items() if _is_stream(r)}
        words = self._words(cuts["words"][k], name) if "words" in cuts else None
        spoken = () if words is None else (w for w in words.text if w not in (_PAUSE, ""))
        return Utterance(
            name,
            {role: stream for role, stream in streams.items() if stream is not None},
            words,
            " ".join(spoken),
            {} if labels is None else self._label_values(labels[k], name),
            {"video": video},
            {},
            video,
            float(span[0]),
            float(span[1]),
        )

    def _stream(self, role: str, entry: Entry | None, name: str, video: str) -> Stream | None:
        if entry is None:
            self._findings.add(Finding("missing", name, role, action="the utterance lacks the modality"))
            return None
        specification = self._streams[role]
        values = entry.features
        if video in self._tracks[role].odd:
            values = self._findings.finite(values, name, role, specification.columns)
        return Stream(values, specification, entry.intervals)

    def _words(self, entry: Entry | None, name: str) -> Words | None:
        if entry is None:
            self._findings.add(Finding("missing", name, "words", action="the utterance has no words"))
            return None
        text = tuple(_decoded(w) for w in entry.features[:, 0])
        empty = [i for i, word in enumerate(text) if not word]
        if empty:
            action = "kept as an empty word"
            self._findings.add(Finding("empty", name, "words", row=empty[0], count=len(empty), action=action))
        return Words(text, entry.intervals)

    def _label_values(self, row: NDArray[np.float32], name: str) -> dict[str, Any]:
        values: dict[str, Any] = {}
        place = 0
        for label in self._label_specs:
            if label.key == "sentiment" and label.range is None:
                self._findings.extend(outside(row[:1], [name], label.key, _SENTIMENT, stated=False))
        for label in self._label_specs:
            width = len(label.classes) or 1
            part = [float(v) for v in row[place : place + width]]
            place += width
            if all(map(isfinite, part)):
                values[label.key] = tuple(part) if label.kind == "multilabel" else part[0]
            else:
                self._findings.add(Finding("label", name, column=label.key, action="not finite, so missing"))
        return values


def _reach(spans: NDArray[np.float64], spoken: list[list[Entry | None]]) -> NDArray[np.float64]:
    """Spans widened to the whole words that overlap them: a word at the border keeps its voice and face."""
    reach = spans.copy()
    for entries in spoken:
        for k, entry in enumerate(entries):
            if entry is not None and len(entry.intervals):
                reach[k, 0] = min(reach[k, 0], entry.intervals[:, 0].min())
                reach[k, 1] = max(reach[k, 1], entry.intervals[:, 1].max())
    return reach


def _natural(name: str) -> tuple[str, int]:
    video, row = entry_key(name)
    return video, -1 if row is None else row


def _is_stream(role: str) -> bool:
    return role not in ("words", "labels")


def _nothing_is_none(entry: Entry) -> Entry | None:
    return entry if len(entry.features) else None


def _decoded(word: Any) -> str:
    return word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word)


def overlapping(whole: Entry, spans: NDArray[np.float64]) -> list[Entry]:
    """Rows that overlap each span by more than 1e-5 s, as views where rows are in order of time.

    Parameters
    ----------
    whole : Entry
        Rows of one video, (n, d) and (n, 2).
    spans : float64 array of shape (k, 2)
        Seconds.
    """
    start, end = whole.intervals[:, 0], whole.intervals[:, 1]
    long_enough = end - start > EPSILON
    if long_enough.all() and (start[1:] >= start[:-1]).all() and (end[1:] >= end[:-1]).all():
        first = np.searchsorted(end, spans[:, 0] + EPSILON, side="right")
        last = np.searchsorted(start, spans[:, 1] - EPSILON, side="left")
        last = np.where(spans[:, 1] - spans[:, 0] > EPSILON, last, first)
        return [
            Entry(whole.features[a:b], whole.intervals[a:b])
            for a, b in zip(first.tolist(), np.maximum(first, last).tolist(), strict=True)
        ]
    rows = [np.flatnonzero(np.minimum(end, e) - np.maximum(start, s) > EPSILON) for s, e in spans]
    return [Entry(whole.features[r], whole.intervals[r]) for r in rows]


def _stream_specification(role: str, sequence: Sequence) -> StreamSpecification:
    names = sequence.dimension_names()
    extractor = sequence.root
    version = str(sequence.metadata.get("computational sequence version") or "")[:64]
    if names is not None:
        return StreamSpecification(role, names, "seconds", extractor=extractor, version=version)
    slug = _slug(sequence.root).replace("_", "-")
    return StreamSpecification.positional(
        role, slug, max(sequence.dim, 1), clock="seconds", extractor=extractor, version=version
    )


def _label_specifications(sequence: Sequence | None) -> tuple[tuple[str, ...], tuple[LabelSpecification, ...]]:
    if sequence is None:
        return (), ()
    names = sequence.dimension_names()
    if sequence.dim == len(_MOSEI) and (names is None or _looks_like_mosei(names)):
        sentiment = LabelSpecification("sentiment", "regression", range=_range(sequence, 0, _SENTIMENT))
        return _MOSEI, (sentiment, LabelSpecification("emotion", "multilabel", _MOSEI[1:]))
    if sequence.dim == 1:
        told = " ".join((sequence.root, *(names or ()))).lower()
        name = "sentiment" if re.search("sentiment|opinion", told) else (names or (_slug(sequence.root),))[0]
        known = _SENTIMENT if name == "sentiment" else None
        return (name,), (LabelSpecification(name, "regression", range=_range(sequence, 0, known)),)
    names = names or tuple(f"label-{i:02d}" for i in range(sequence.dim))
    return names, tuple(LabelSpecification(name, "regression") for name in names)


def _looks_like_mosei(names: tuple[str, ...]) -> bool:
    return "sentiment" in names[0].lower()


def _range(sequence: Sequence, column: int, known: tuple[float, float] | None) -> tuple[float, float] | None:
    """The customary range, unless the file's own values leave it."""
    values = [e.features[:, column] for e in sequence.entries.values()]
    if known is None or not values:
        return known
    with np.errstate(invalid="ignore"):
        low, high = np.nanmin(np.concatenate(values)), np.nanmax(np.concatenate(values))
    return known if low >= known[0] and high <= known[1] else None


def _times(utterance: Utterance, modality: str) -> NDArray[np.float64]:
    stream = utterance.streams[modality]
    if stream.times is not None:
        return stream.times
    words = utterance.words
    by_word = stream.specification.clock == "words" and words is not None and len(words) == stream.steps
    if by_word and words is not None and words.times is not None:
        return words.times
    raise DataError(
        f"{modality} has no times, and a computational sequence cannot be without",
        place=f"utterance {utterance.id}",
        remedy="write npz or mmsa, or give the words their times",
    )


def _word_entries(utterances: list[Utterance]) -> dict[str, Entry]:
    return {
        u.id: Entry(np.array([w.encode() for w in u.words.text], dtype=np.bytes_).reshape(-1, 1), u.words.times)
        for u in utterances
        if u.words is not None and u.words.times is not None and _has_timed_words(u)
    }


def _has_timed_words(utterance: Utterance) -> bool:
    return utterance.words is not None and utterance.words.times is not None and len(utterance.words) > 0


def _label_entries(corpus: Corpus, utterances: list[Utterance]) -> tuple[list[str], dict[str, Entry]]:
    labels = [v for v in corpus.specification.labels if v.is_number or v.kind == "multilabel"]
    names = [name for v in labels for name in (v.classes or (v.key,))]
    entries = {}
    for u in utterances:
        span = np.array([[u.start, u.end]])
        row = [float(x) for v in labels for x in _numbers(u.labels.get(v.key), len(v.classes) or 1)]
        if np.isfinite(span).all() and np.isfinite(row).any():
            entries[u.id] = Entry(np.array([row], np.float32), span)
    return names, entries


def _numbers(value: Any, width: int) -> tuple[float, ...]:
    if value is None:
        return (float("nan"),) * width
    return value if isinstance(value, tuple) else (float(value),)


def _write(folder: Path, role: str, entries: dict[str, Entry], described: Mapping[str, Any]) -> None:
    if entries:
        write_sequence(folder / f"{role}.csd", role, entries, {**described, _MODALITY_KEY: role})
