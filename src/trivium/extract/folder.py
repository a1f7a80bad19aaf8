"""A folder of clips becomes a corpus: clip by clip, in the order of their names, able to go on after a kill.

A clip that cannot be read costs only itself. What failed, and what the others lack, is kept in the corpus' provenance
(``failures`` and ``findings``), and what no stream keeps in its ``notes`` (see :mod:`trivium.corpus.notes`).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trivium.corpus import Corpus, Specification
from trivium.corpus.notes import ExtractionNote, pack_notes
from trivium.corpus.specification import LabelSpecification
from trivium.corpus.writer import CorpusWriter
from trivium.errors import DataError, TriviumError
from trivium.extract.choice import MODALITIES
from trivium.extract.clip import FRAMES_PER_SECOND, ClipExtractor, Extracted
from trivium.extract.cutting import Cut
from trivium.extract.listing import labelled_recordings
from trivium.extract.recording import Recording
from trivium.extract.span_table import span_recordings
from trivium.extract.timed_transcript import TimedTranscript
from trivium.files import read_json, sha256_file, write_json
from trivium.formats.findings import Finding, Findings
from trivium.progress import Bar, progress_bar
from trivium.upstream import model

__all__ = ["extract_clips"]


def extract_clips(
    src: str | os.PathLike[str] | Sequence[Recording],
    out: str | os.PathLike[str] | None = None,
    *,
    transcripts: str | os.PathLike[str] | Mapping[str, str] | None = None,
    modalities: Iterable[str] = MODALITIES,
    frames_per_second: float = FRAMES_PER_SECOND,
    labels: Sequence[LabelSpecification] = (),
    upstream: str | Path | None = None,
    spans: str | os.PathLike[str] | None = None,
    cut: Cut = "whole",
    track: int = 1,
    text: str = "",
    audio: str = "",
    vision: str = "",
    faces: int = 1,
    overwrite: bool = False,
    show: bool = True,
) -> Corpus:
    """Words, voice and face of all clips of a folder.

    A run that was killed goes on where it stopped when it is called again with the same arguments, and ends with the
    same bytes.

    Parameters
    ----------
    src : path or sequence of Recording
        A clip, a folder of clips (with labels, folds and transcripts where it has a ``label.csv``), a pattern such as
        ``clips/*.mp4``, or recordings with labels and groups of their own.
    out : path, optional
        Corpus folder to write; without it the corpus stays in memory.
    transcripts : path or mapping of str to str, optional
        Text by id; a folder with a transcript per clip, named by its id; or, for one clip, its transcript. Endings are
        ``.txt``, ``.srt``, ``.vtt``, ``.json`` (Whisper's), ``.TextGrid`` and ``.eaf``. Clips without one are
        recognised.
    modalities : iterable of str
        Which of ``text``, ``audio`` and ``vision`` to extract.
    frames_per_second : float
        How many frames of the picture are looked at.
    labels : sequence of LabelSpecification
        What the labels of the recordings are, where `src` are recordings.
    upstream : path, optional
        Folder with models of the catalogue; see :func:`trivium.upstream.model_folder`.
    spans : path, optional
        Table of the stretches of the clips that are the utterances (:mod:`~trivium.extract.span_table`).
    cut : {"whole", "sentences", "voice"}
        Whether a clip, or a span of it, is one utterance, or one for each sentence, or for each stretch in which
        somebody speaks; such utterances are named ``ID$_$0001`` and so on, and ``ID`` becomes their group ``video``.
    track : int
        Which sound track of the clips, counted from 1.
    text, audio, vision : str
        Extractors of each modality, such as ``voice,whisper`` (see :mod:`trivium.extract.choice`); empty: the usual.
    faces : int
        How many faces are kept: that of the speaker as ``vision``, the next best as ``vision_2`` and so on.
    overwrite : bool
        Whether an existing corpus may be replaced.
    show : bool
        Whether to show progress.

    Returns
    -------
    Corpus
        One utterance per readable clip, ordered by id, or per span, in the order of the table; its provenance holds
        ``failures`` (clip and reason), ``findings`` and ``notes``. All times are seconds of the clip.

    Raises
    ------
    MediaError
        No clip at all could be read; the message is that of the first.
    DataError
        The corpus would be written over the clips.
    UpstreamError
        A model is not on this machine; the message says how to fetch it.

    Examples
    --------
    >>> extract_clips("clips", "corpus", transcripts="texts").provenance["failures"]  # doctest: +SKIP
    []
    """
    if isinstance(src, str | os.PathLike):
        listed = labelled_recordings(src, transcripts) if spans is None else span_recordings(src, spans, transcripts)
        recordings, labels = listed[0], labels or listed[1]
    else:
        recordings = list(src)
    extractor = ClipExtractor(
        modalities,
        frames_per_second=frames_per_second,
        upstream=upstream,
        track=track,
        cut=cut,
        text=text,
        audio=audio,
        vision=vision,
        faces=faces,
    )
    extractor.require_models(recordings)
    specification = Specification(extractor.specification.streams, tuple(labels))
    provenance = _provenance(extractor, recordings)
    if out is not None and any(r.path.resolve().is_relative_to(Path(out).resolve()) for r in recordings):
        raise DataError("clips lie in the folder that is to be written", file=Path(out), remedy="choose another folder")
    if out is None:
        with tempfile.TemporaryDirectory(prefix="trivium-") as name:
            stored = _run(recordings, extractor, CorpusWriter(Path(name) / "corpus", specification, provenance), show)
            return Corpus.from_utterances(stored, specification, stored.provenance)
    return _run(recordings, extractor, CorpusWriter(out, specification, provenance, overwrite=overwrite), show)


def _provenance(extractor: ClipExtractor, recordings: Sequence[Recording]) -> dict[str, Any]:
    from trivium import __version__

    return {
        "made_by": f"trivium {__version__}",
        "frames_per_second": extractor.frames_per_second,
        "models": {name: model(name).version for name in extractor.models(recordings)},
        **_unusual(extractor),
    }


def _run(recordings: Sequence[Recording], extractor: ClipExtractor, writer: CorpusWriter, show: bool) -> Corpus:
    run = _Run(extractor, writer)
    with progress_bar("extracting", len(recordings), show=show) as bar:
        for path, places in _by_clip(recordings).items():
            bar.note(recordings[places[0]].id)
            run.clip(path, {place: recordings[place] for place in places}, bar)
    if run.first is not None and not run.done:
        writer.discard()
        raise run.first
    told = {name: run.told[name] for name in sorted(run.told)}
    writer.provenance |= {"failures": run.failures, "findings": run.findings.to_json(), "notes": pack_notes(told)}
    corpus = writer.finish([key for _, key in sorted(run.done.items())])
    shutil.rmtree(run.notes, ignore_errors=True)
    return corpus


def _by_clip(recordings: Sequence[Recording]) -> dict[Path, list[int]]:
    """Places of the recordings of every clip, in the order in which the clips appear."""
    found: dict[Path, list[int]] = {}
    for place, recording in enumerate(recordings):
        found.setdefault(recording.path, []).append(place)
    return found


class _Run:
    """One pass over all clips: what is done already is taken over, what fails costs only itself."""

    def __init__(self, extractor: ClipExtractor, writer: CorpusWriter) -> None:
        self.notes = writer.path.with_name(f".{writer.path.name}.notes")
        self.done: dict[int, str] = {}
        self.failures: list[dict[str, str]] = []
        self.findings, self.told = Findings(), dict[str, ExtractionNote]()
        self.first: Exception | None = None
        self._extractor, self._writer = extractor, writer

    def clip(self, path: Path, recordings: Mapping[int, Recording], bar: Bar) -> None:
        """Stage the recordings of one clip, by their place, unless a killed run already did."""
        waiting = dict(recordings)
        try:
            for place, recording in recordings.items():
                if recording.fault is not None:
                    self._fail(waiting.pop(place), recording.fault, bar)
            content = sha256_file(path) if waiting else ""
            keys = {place: _key(recording, self._extractor, content) for place, recording in waiting.items()}
            for place in [place for place in waiting if self._staged(keys[place])]:
                self._take(place, keys[place], waiting.pop(place), bar)
            for place, result in self._results(dict(waiting)):
                recording = waiting.pop(place)
                try:
                    self._stage(keys[place], result)
                    self._take(place, keys[place], recording, bar)
                except Exception as error:  # whatever one span does, the others go on
                    self._fail(recording, error, bar)
        except Exception as error:  # whatever one clip does, the others go on
            for recording in waiting.values():
                self._fail(recording, error, bar)

    def _results(self, recordings: Mapping[int, Recording]) -> Iterator[tuple[int, tuple[Extracted, ...] | Exception]]:
        if self._extractor.cut == "whole" and len(recordings) == 1:
            yield from ((place, (self._extractor.extract(recording),)) for place, recording in recordings.items())
        elif recordings:
            made = self._extractor.extract_spans(list(recordings.values()))
            yield from ((place, result) for place, (_, result) in zip(recordings, made, strict=True))

    def _staged(self, key: str) -> bool:
        return self._writer.staged(key) and self._note(key).exists()

    def _note(self, key: str) -> Path:
        return self.notes / f"{key}.json"

    def _stage(self, key: str, result: tuple[Extracted, ...] | Exception) -> None:
        if isinstance(result, Exception):
            raise result
        # the note comes first: a clip counts as done when its part is there
        findings = [asdict(finding) for one in result for finding in one.findings]
        write_json(
            self._note(key), {"findings": findings, "notes": {one.utterance.id: one.note.to_json() for one in result}}
        )
        self._writer.stage(key, [one.utterance for one in result])

    def _take(self, place: int, key: str, recording: Recording, bar: Bar) -> None:
        bar.note(recording.id)
        kept = read_json(self._note(key))
        self.findings.extend(Finding(**row) for row in kept["findings"])
        self.told |= {name: ExtractionNote(**note) for name, note in kept["notes"].items()}
        self.done[place] = key
        bar.advance()

    def _fail(self, recording: Recording, error: Exception, bar: Bar) -> None:
        self.first = self.first or error
        self.failures.append({"id": recording.id, "clip": recording.path.name, "reason": _reason(error)})
        bar.advance()


def _key(recording: Recording, extractor: ClipExtractor, content: str) -> str:
    """Hash of everything the result depends on, so that parts of another run are never taken for ours."""
    told = recording.transcript
    facts: dict[str, Any] = {
        "id": recording.id,
        "clip": content,
        "transcript": told.to_json() if isinstance(told, TimedTranscript) else told,
        "labels": {key: value for key, value in recording.labels.items()},
        "groups": dict(recording.groups),
        "splits": dict(recording.splits),
        "frames_per_second": extractor.frames_per_second,
        "specification": extractor.specification.to_json(),
        "notes": 2,  # raised when other facts are noted, so that parts without them are made again
    }
    if not recording.is_whole:
        facts["span"] = [recording.start, recording.end]
    return hashlib.sha256(json.dumps(facts | _unusual(extractor), sort_keys=True).encode()).hexdigest()


def _unusual(extractor: ClipExtractor) -> dict[str, Any]:
    """Options that are not as they are by default."""
    track = {} if extractor.track == 1 else {"track": extractor.track}
    return track if extractor.cut == "whole" else {**track, "cut": extractor.cut}


def _reason(error: Exception) -> str:
    return error.problem if isinstance(error, TriviumError) else f"{type(error).__name__}: {error}"
