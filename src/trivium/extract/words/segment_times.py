"""Words of a timed transcript in time: aligned segment by segment, never across its borders.

Alignment of an hour at once is slow and one error moves everything behind it; inside a segment it cannot.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trivium.extract.source.media import SOUND_RATE
from trivium.extract.words.recogniser import ENGLISH
from trivium.extract.words.speech import Sound, Timed, Times, align_words
from trivium.extract.words.timed_transcript import Segment, TimedTranscript
from trivium.extract.words.transcript import Transcript, read_transcript

__all__ = ["joined", "time_segments"]

_MARGIN_SECONDS = 0.2  # subtitles begin late and end early


@dataclass(frozen=True, eq=False)
class _Part:
    """One segment's words in time; ``how`` says whether they were aligned."""

    transcript: Transcript
    times: Times
    confidence: NDArray[np.float32]
    how: str


def time_segments(
    samples: Sound | None,
    told: TimedTranscript,
    start: float,
    end: float,
    *,
    language: str = ENGLISH,
    local: str | Path | None = None,
) -> tuple[Transcript, Timed]:
    """Spoken words of a timed transcript, and their times.

    Word times that were set in an annotation tool stay as they are, with the confidence 1. All other words are
    aligned with the sound of their segment and 0.2 seconds around it, as far as the neighbours leave room; a
    recogniser's probabilities stay their confidence. Where that fails, and in other languages than English, the
    recogniser's times are taken, and where there are none, the words are spread evenly over their segment.

    Parameters
    ----------
    samples : array of shape (n,), float32, or None
        Mono sound at 16 kHz of the span; None where there is none.
    told : TimedTranscript
        What is said within the span.
    start, end : float
        The span, in seconds of the clip.
    language : str
        Whisper's code of the language that is spoken.
    local : path, optional
        See :func:`trivium.upstream.model_folder`.

    Returns
    -------
    transcript : Transcript
        All segments together.
    timed : Timed
        Times of its W words, in seconds of the clip.

    Examples
    --------
    >>> from trivium.extract.words.timed_transcript import TimedWord, tidy
    >>> word = Segment(1, 2, "so", (TimedWord("so", 1.0, 1.5),))
    >>> time_segments(None, tidy([word], "set"), 0.0, 3.0)[1].times.tolist()
    [[1.0, 1.5]]
    """
    segments = told.segments
    edges = [start, *((a.end + b.start) / 2 for a, b in itertools.pairwise(segments)), end]
    parts = []
    for number, segment in enumerate(segments):
        low = max(edges[number], segment.start - _MARGIN_SECONDS)
        high = min(edges[number + 1], segment.end + _MARGIN_SECONDS)
        parts.append(
            _given(segment, "set", language)
            if _is_set(told, segment)
            else _timed(samples, segment, (start, low, high), language, local)
        )
    kinds = {part.how for part in parts if len(part.times)}
    guessed = tuple(word for part in parts if part.how == "spread" for word in part.transcript.words)
    timing = next((how for how in ("set", "aligned", "recognised") if how in kinds), "spread")
    return joined([part.transcript for part in parts]), Timed(
        np.concatenate([part.times for part in parts]),
        np.concatenate([part.confidence for part in parts]),
        timing,  # type: ignore[arg-type]
        guessed,
    )


def _is_set(told: TimedTranscript, segment: Segment) -> bool:
    return told.word_times in ("set", "aligned") and bool(segment.words)


def _timed(
    samples: Sound | None,
    segment: Segment,
    edges: tuple[float, float, float],
    language: str,
    local: str | Path | None,
) -> _Part:
    """Align a segment; `edges` are the start of the sound and the edges of its part, in seconds of the clip."""
    start, low, high = edges
    transcript = read_transcript(segment.text, language)
    first, last = (max(round((edge - start) * SOUND_RATE), 0) for edge in (low, high))
    aligned = None
    if samples is not None and language == ENGLISH:
        aligned = align_words(samples[first:last], transcript.words, local=local)
    known = _given(segment, "recognised", language) if segment.words else None
    if aligned is not None:
        told = known is not None and len(known.confidence) == len(aligned.confidence) and known.confidence.any()
        sure = known.confidence if known is not None and told else aligned.confidence
        times = np.minimum(aligned.times + (start + first / SOUND_RATE), high)
        return _Part(transcript, times, sure, "aligned")
    if known is not None:
        return known
    spread = np.linspace(segment.start, segment.end, len(transcript.words) + 1)
    times = np.stack([spread[:-1], spread[1:]], axis=1)
    return _Part(transcript, times, np.zeros(len(times), np.float32), "spread")


def _given(segment: Segment, how: str, language: str) -> _Part:
    """Times as the transcript gives them; what is spoken as several words shares the time of the written one."""
    transcripts = [read_transcript(word.text, language) for word in segment.words]
    edges = [
        np.linspace(word.start, word.end, len(said.words) + 1)
        for word, said in zip(segment.words, transcripts, strict=True)
    ]
    times = [np.stack([edge[:-1], edge[1:]], axis=1) for edge in edges]
    unknown = 1.0 if how == "set" else 0.0
    sure = [
        unknown if word.confidence is None else word.confidence
        for word, said in zip(segment.words, transcripts, strict=True)
        for _ in said.words
    ]
    whole = np.concatenate(times) if times else np.empty((0, 2))
    return _Part(joined(transcripts), whole, np.array(sure, np.float32), how)


def joined(transcripts: list[Transcript]) -> Transcript:
    """Transcripts one behind the other.

    Parameters
    ----------
    transcripts : list of Transcript
        In order.

    Examples
    --------
    >>> joined([read_transcript("so good"), read_transcript("- yes")]).source
    (0, 1, 3)
    """
    tokens: list[str] = []
    words: list[str] = []
    source: list[int] = []
    for one in transcripts:
        source += [place + len(tokens) for place in one.source]
        tokens += one.tokens
        words += one.words
    return Transcript(tuple(tokens), tuple(words), tuple(source))
