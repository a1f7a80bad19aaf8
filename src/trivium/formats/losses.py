"""What of a corpus a written file does not hold, so that nothing is lost without a word.

A writer states once what it keeps (:class:`Kept`); :func:`losses` holds that against what the corpus really has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from trivium.corpus import Corpus, StreamSpecification, Utterance
from trivium.formats.findings import Finding, Findings

__all__ = ["PARTS", "Kept", "is_positional", "losses", "shares_words"]

PARTS = frozenset({"text", "word times", "word confidence", "clip", "times", "clocks", "extractors", "ranges"})
_PAUSES = ("sp", "")


@dataclass(frozen=True)
class Kept:
    """What one written file keeps, beside ids and values; where a collection is None, all of its sort.

    Parameters
    ----------
    parts : frozenset of str
        Of ``PARTS``: transcripts, times and confidence of words, clips, times of steps (of streams in seconds), clocks
        (that steps are words), extractors and versions, ranges of labels.
    streams, columns : collection of str, optional
        Modalities whose values, and whose column names, are kept.
    labels, classes : collection of str, optional
        Keys of labels that are kept, and of those whose class names are.
    labelled, spans : collection of str, optional
        Ids of the utterances whose labels, and whose start and end, are kept.
    groups, splits : collection of str, optional
        Names of those that are kept.
    words : callable, optional
        Whether the words of an utterance are kept.
    video : callable, optional
        Id to the video that the reader takes from it, as group ``video`` and clip.

    Examples
    --------
    >>> sorted(PARTS - Kept(PARTS - {"text"}).parts)
    ['text']
    """

    parts: frozenset[str] = PARTS
    streams: Collection[str] | None = None
    columns: Collection[str] | None = None
    labels: Collection[str] | None = None
    classes: Collection[str] | None = None
    labelled: Collection[str] | None = None
    spans: Collection[str] | None = None
    groups: Collection[str] | None = None
    splits: Collection[str] | None = None
    words: Callable[[Utterance], bool] | None = None
    video: Callable[[str], str] | None = None


def is_positional(stream: StreamSpecification) -> bool:
    """Whether the columns of a stream have no names of their own.

    Examples
    --------
    >>> is_positional(StreamSpecification.positional("audio", "mosi", 3))
    True
    """
    return all(re.fullmatch(rf".*-{re.escape(stream.modality)}-\d+", name) for name in stream.columns)


def shares_words(corpus: Corpus) -> bool:
    """Whether padded arrays show that steps are words: several modalities, and all of them by word."""
    clocks = [s.clock for s in corpus.specification.streams if s.dtype == "float32"]
    return len(clocks) > 1 and set(clocks) == {"words"}


def losses(corpus: Corpus, kept: Kept, name: str) -> list[dict[str, Any]]:
    """Findings on everything that the corpus has and the file does not; empty where all is kept.

    Parameters
    ----------
    corpus : Corpus
        What was written.
    kept : Kept
        What the file holds.
    name : str
        Name of the format.

    Returns
    -------
    list of dict
        In the form of ``corpus.provenance["findings"]``: kind ``dropped``, what, how often, the first places.

    Examples
    --------
    >>> from trivium.corpus import Specification
    >>> one = Corpus.from_utterances([Utterance("a", text="hello")], Specification(()))
    >>> losses(one, Kept(PARTS - {"text"}), "csd")[0]["action"]
    'text: the format csd has no place for it'
    """
    return _Losses(corpus, kept, name).found()


def _has(names: Collection[str] | None, name: str) -> bool:
    return names is None or name in names


class _Losses:
    def __init__(self, corpus: Corpus, kept: Kept, name: str) -> None:
        self._corpus, self._kept, self._name = corpus, kept, name
        self._findings = Findings()

    def found(self) -> list[dict[str, Any]]:
        for stream in self._corpus.specification.streams:
            self._stream(stream)
        self._labels()
        self._columns()
        if self._kept.words is not None or not self._kept.parts >= {"text", "word times", "word confidence"}:
            for utterance in self._corpus:
                self._spoken(utterance)
        return self._findings.to_json()

    def _lost(self, what: str, utterance: str, modality: str = "", count: int = 1) -> None:
        action = f"{what}: the format {self._name} has no place for it"
        self._findings.add(Finding("dropped", utterance, modality, count=count, action=action))

    def _without(self, part: str) -> bool:
        return part not in self._kept.parts

    def _stream(self, stream: StreamSpecification) -> None:
        steps = self._corpus.lengths(stream.modality)
        rows = np.flatnonzero(steps >= 0)
        if not len(rows):
            return
        whole = _has(self._kept.streams, stream.modality)
        lost = [] if whole else ["values of the stream"]
        lost += ["times of its steps"] if whole and stream.clock == "seconds" and self._without("times") else []
        lost += ["that its steps are words"] if whole and stream.clock == "words" and self._without("clocks") else []
        for what in lost:
            for name, count in zip(self._corpus.ids[rows], steps[rows].tolist(), strict=True):
                self._lost(what, str(name), stream.modality, count)
        if whole and not _has(self._kept.columns, stream.modality) and not is_positional(stream):
            self._lost("names of its columns", stream.modality, stream.modality, stream.dim)
        if whole and self._without("extractors") and (stream.extractor or stream.version):
            self._lost("extractor and version", stream.modality, stream.modality)

    def _labels(self) -> None:
        for label in self._corpus.specification.labels:
            ids = self._corpus.ids[self._corpus.labelled(label.key)].tolist()
            written = [name for name in ids if _has(self._kept.labels, label.key) and _has(self._kept.labelled, name)]
            for name in sorted(set(ids) - set(written)):
                self._lost(f"label {label.key}", name)
            numbered = label.classes == tuple(str(k) for k in range(len(label.classes)))
            if written and not numbered and not _has(self._kept.classes, label.key):
                self._lost("names of its classes", label.key, count=len(label.classes))
            if written and label.range is not None and self._without("ranges"):
                self._lost("range of the label", label.key)

    def _columns(self) -> None:
        kept = self._kept
        for name in self._corpus.groups():
            self._texts(f"group {name}", f"group.{name}", _has(kept.groups, name), as_video=name == "video")
        for name in self._corpus.splits():
            self._texts(f"split {name}", f"split.{name}", _has(kept.splits, name))
        self._texts("clip", "clip", not self._without("clip"), as_video=True)
        spanned = np.isfinite(self._corpus.column("start")) | np.isfinite(self._corpus.column("end"))
        for name in self._corpus.ids[spanned].tolist():
            if not _has(kept.spans, name):
                self._lost("start and end within the clip", name)

    def _texts(self, what: str, column: str, whole: bool, *, as_video: bool = False) -> None:
        """One column of text, lost wherever it says more than the id does."""
        if whole:
            return
        told = self._kept.video if as_video else None
        for name, value in zip(self._corpus.ids.tolist(), self._corpus.column(column).tolist(), strict=True):
            if value and (told is None or told(name) != value):
                self._lost(what, name)

    def _spoken(self, utterance: Utterance) -> None:
        words, kept = utterance.words, self._kept
        written = words is not None and (kept.words is None or kept.words(utterance))
        told = " ".join(w for w in words.text if w not in _PAUSES) if written and words is not None else ""
        if self._without("text") and utterance.text and utterance.text != told:
            self._lost("text", utterance.id)
        if words is None or not len(words):
            return
        if not written:
            self._lost("words", utterance.id, "words", len(words))
        if words.times is not None and (not written or self._without("word times")):
            self._lost("times of words", utterance.id, "words", len(words))
        if words.confidence is not None and (not written or self._without("word confidence")):
            self._lost("confidence of words", utterance.id, "words", len(words))
