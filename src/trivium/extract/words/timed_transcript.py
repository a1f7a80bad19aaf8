"""A transcript whose parts have times: segments in seconds of the clip, with the times of their words where known.

Files of other people hold segments out of order, overlapping, empty, backwards or before time 0. :func:`tidy` brings
them into one order without overlap and says what it did; nothing is mended silently.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import isfinite
from typing import Any, Literal, TypeAlias

from trivium.errors import DataError

__all__ = ["Segment", "TimedTranscript", "TimedWord", "WordTimes", "sentences", "tidy"]

WordTimes: TypeAlias = Literal["none", "recognised", "heard", "aligned", "set"]

_SENTENCE_ENDS = (".", "!", "?", "\u2026", "\u3002", "\uff01", "\uff1f")
_CLOSING = "\"')]}\u201d\u2019\u00bb"
_PAUSE_SECONDS = 1.0
_LONGEST_SENTENCE_SECONDS = 30.0


@dataclass(frozen=True)
class TimedWord:
    """A written word and when it is said.

    Parameters
    ----------
    text : str
        As written.
    start, end : float
        Seconds of the clip, half-open.
    confidence : float, optional
        Of the recogniser or aligner, in [0, 1]; None where the file tells none.
    """

    text: str
    start: float
    end: float
    confidence: float | None = None


@dataclass(frozen=True)
class Segment:
    """A stretch of speech.

    Parameters
    ----------
    start, end : float
        Seconds of the clip, half-open.
    text : str
        What is said.
    words : tuple of TimedWord
        Its words, where their times are known.
    """

    start: float
    end: float
    text: str
    words: tuple[TimedWord, ...] = ()


@dataclass(frozen=True)
class TimedTranscript:
    """Segments in order of time, none overlapping another; :func:`tidy` makes one.

    Parameters
    ----------
    segments : tuple of Segment
        At least one.
    word_times : {"none", "recognised", "heard", "aligned", "set"}
        Whether words have times, and whose they are: of the recogniser that wrote the file or of ours (a second choice
        after alignment), of our alignment, or set in an annotation tool (both kept as they are).
    findings : tuple of (str, int)
        What was mended, and how many times.

    Examples
    --------
    >>> told = tidy([Segment(2, 3, "talking"), Segment(-1, 1, "kids are")])
    >>> told.text, told.segments[0].start
    ('kids are talking', 0.0)
    >>> told.findings
    (('begins before 0, set to 0', 1), ('out of order, sorted', 1))
    """

    segments: tuple[Segment, ...]
    word_times: WordTimes = "none"
    findings: tuple[tuple[str, int], ...] = ()

    @property
    def text(self) -> str:
        """The whole transcript as people read it."""
        return " ".join(segment.text for segment in self.segments)

    def within(self, start: float, end: float) -> TimedTranscript | None:
        """What is said in a span; None where nothing is.

        A word belongs to the span that holds its middle, and so does a segment whose words have no times. What reaches
        over the span's edges is cut there.

        Parameters
        ----------
        start, end : float
            Seconds of the clip.

        Examples
        --------
        >>> told = tidy([Segment(0, 1, "kids"), Segment(1, 3, "are talking")])
        >>> told.within(1.5, 9).segments
        (Segment(start=1.5, end=3, text='are talking', words=()),)
        """
        inside = [part for segment in self.segments if (part := _cut(segment, start, end)) is not None]
        return replace(self, segments=tuple(inside)) if inside else None

    def to_json(self) -> dict[str, Any]:
        """Plain builtins: everything that what is extracted depends on."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> TimedTranscript:
        """What :meth:`to_json` gave.

        Parameters
        ----------
        told : mapping
            Plain builtins.

        Examples
        --------
        >>> told = tidy([Segment(0, 1, "kids", (TimedWord("kids", 0.2, 0.9, 0.5),))], "set")
        >>> TimedTranscript.from_json(told.to_json()) == told
        True
        """
        segments = (
            Segment(**{**segment, "words": tuple(TimedWord(**word) for word in segment["words"])})
            for segment in told["segments"]
        )
        findings = tuple((action, count) for action, count in told["findings"])
        return cls(tuple(segments), told["word_times"], findings)


def _cut(segment: Segment, start: float, end: float) -> Segment | None:
    words = tuple(
        replace(word, start=max(word.start, start), end=min(word.end, end))
        for word in segment.words
        if start <= (word.start + word.end) / 2 < end
    )
    if not words and (segment.words or not start <= (segment.start + segment.end) / 2 < end):
        return None
    whole = len(words) == len(segment.words)
    text = segment.text if whole else " ".join(word.text for word in words)
    return Segment(max(segment.start, start), min(segment.end, end), text, words)


def tidy(segments: Iterable[Segment], word_times: WordTimes = "none") -> TimedTranscript:
    """Segments in order and without overlap.

    Segments without text, or that end before they begin, are left out. What begins before 0 begins at 0. Where two
    overlap, the earlier ends where the later begins; where they begin together, they become one.

    Parameters
    ----------
    segments : iterable of Segment
        In any order.
    word_times : {"none", "recognised", "heard", "aligned", "set"}
        Whose times the words have.

    Raises
    ------
    DataError
        A time is no finite number, or no segment is left.
    """
    told: Counter[str] = Counter()
    kept = [part for segment in segments if (part := _usable(segment, told)) is not None]
    if not kept:
        why = ", ".join(f"{count} {action}" for action, count in sorted(told.items()))
        raise DataError(
            f"holds no segment with text and times{f' ({why})' if why else ''}",
            remedy="check that it is the right file, or leave it out: words are then recognised",
        )
    ordered = sorted(kept, key=lambda segment: segment.start)
    moved = sum(a is not b for a, b in zip(kept, ordered, strict=True))
    if moved:
        told["out of order, sorted"] = max(1, moved // 2)
    return TimedTranscript(tuple(_apart(ordered, told)), word_times, tuple(sorted(told.items())))


def _usable(segment: Segment, told: Counter[str]) -> Segment | None:
    times = [segment.start, segment.end, *(t for word in segment.words for t in (word.start, word.end))]
    if not all(isfinite(time) for time in times):
        raise DataError(
            "holds a time that is no finite number", place=f"segment {segment.text[:40]!r}", remedy="correct the time"
        )
    if not segment.text.strip():
        told["without text, left out"] += 1
    elif segment.end <= max(segment.start, 0.0):
        told["ends before it begins or before 0, left out"] += 1
    else:
        if segment.start < 0:
            told["begins before 0, set to 0"] += 1
        start = max(segment.start, 0.0)
        words = sorted(segment.words, key=lambda word: word.start)
        placed = tuple(_placed(word, start, segment.end) for word in words)
        return replace(segment, start=start, text=" ".join(segment.text.split()), words=placed)
    return None


def _placed(word: TimedWord, start: float, end: float) -> TimedWord:
    """The word inside its segment."""
    begin = min(max(word.start, start), end)
    sure = word.confidence if word.confidence is not None and 0 <= word.confidence <= 1 else None
    return TimedWord(word.text, begin, min(max(word.end, begin), end), sure)


def _apart(ordered: Sequence[Segment], told: Counter[str]) -> list[Segment]:
    apart: list[Segment] = []
    for segment in ordered:
        if apart and segment.start < apart[-1].end:
            told["overlapping, the earlier cut where the later begins"] += 1
            before = apart.pop()
            if before.start == segment.start:
                segment = _joined([before, segment])
            else:
                words = tuple(_placed(word, before.start, segment.start) for word in before.words)
                apart.append(replace(before, end=segment.start, words=words))
        apart.append(segment)
    return apart


def _joined(segments: Sequence[Segment]) -> Segment:
    words = sorted((word for segment in segments for word in segment.words), key=lambda word: word.start)
    text = " ".join(segment.text for segment in segments)
    return Segment(segments[0].start, max(segment.end for segment in segments), text, tuple(words))


def sentences(transcript: TimedTranscript) -> tuple[Segment, ...]:
    """Segments joined or cut to sentences.

    A sentence ends with its punctuation, before a pause of a second or more, and at the latest where it would become
    longer than 30 seconds. Where words have times, sentences also end inside segments.

    Parameters
    ----------
    transcript : TimedTranscript
        What is said.

    Examples
    --------
    >>> lines = [Segment(0, 2, "Kids are"), Segment(2, 3, "talking."), Segment(3, 4, "By the door.")]
    >>> [(s.start, s.end, s.text) for s in sentences(tidy(lines))]
    [(0, 3, 'Kids are talking.'), (3, 4, 'By the door.')]
    """
    found: list[Segment] = []
    waiting: list[Segment] = []
    for piece in (piece for segment in transcript.segments for piece in _pieces(segment)):
        if waiting and _separate(waiting, piece):
            found.append(_joined(waiting))
            waiting = []
        waiting.append(piece)
    return tuple([*found, _joined(waiting)] if waiting else found)


def _pieces(segment: Segment) -> list[Segment]:
    """The words of a segment, each as a segment; the segment where its words have no times."""
    if not segment.words:
        return [segment]
    return [Segment(word.start, word.end, word.text, (word,)) for word in segment.words]


def _separate(waiting: Sequence[Segment], following: Segment) -> bool:
    ended = waiting[-1].text.rstrip(_CLOSING).endswith(_SENTENCE_ENDS)
    paused = following.start - waiting[-1].end >= _PAUSE_SECONDS
    return ended or paused or following.end - waiting[0].start > _LONGEST_SENTENCE_SECONDS
