"""Columns of every few milliseconds become columns of words: statistics of the steps that lie within each word.

A foundation model's states of an hour of speech take 276 MB, which a table of words does not. A step counts by the
seconds that it shares with the word; statistics are those of :mod:`trivium.column_statistics`, and their names go
behind those of the columns: ``whisper-tiny-en-000.mean``. Pauses are steps of their own: alignment to words passes over
them, and the whole sound is still there, since the means of words and pauses, weighted by their lengths, are its mean.
What each choice costs was measured: ``docs/results/word-pooling.md``. All of it is our choice.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.column_statistics import column_statistics, parsed_statistics, relative_places
from trivium.corpus import Stream, StreamSpecification
from trivium.errors import DataError
from trivium.extract.scratch import let_go

__all__ = [
    "USUAL_STATISTICS",
    "asked_by_word",
    "pooled_by_word",
    "pooled_specification",
    "request_of_pooled",
    "words_and_pauses",
]

USUAL_STATISTICS = ("mean",)
_BY_WORD = ":words"
_VERSION = "1"  # changes with the way to pool
_SHORTEST = 1e-5  # seconds that a step and a word share at least, as in alignment
_SHORTEST_PAUSE = 0.02  # seconds: one state
_STEPS_AT_ONCE = 1000  # after so many, what was read of a long stream leaves memory


def asked_by_word(request: str) -> tuple[str, tuple[str, ...]]:
    """An extractor's request, and the statistics by word that it asks for.

    Parameters
    ----------
    request : str
        Such as ``whisper``, ``whisper:words``, or ``hf:FOLDER:words=mean+spread``.

    Returns
    -------
    str
        The request without them.
    tuple of str
        Names of statistics; empty where the stream is asked for as it is.

    Raises
    ------
    SpecificationError
        There is no such statistic.

    Examples
    --------
    >>> asked_by_word("whisper:words=mean+slope"), asked_by_word("voice")
    (('whisper', ('mean', 'slope')), ('voice', ()))
    """
    found = re.fullmatch(rf"(.+){_BY_WORD}(?:=(.*))?", request)
    if found is None:
        return request, ()
    named = found[2]
    return found[1], USUAL_STATISTICS if named is None else parsed_statistics(named.replace("+", ","))


def pooled_specification(specification: StreamSpecification, statistics: tuple[str, ...]) -> StreamSpecification:
    """Specification of a stream pooled by word: all columns of the first statistic, then of the next.

    Parameters
    ----------
    specification : StreamSpecification
        Of the stream as its extractor makes it.
    statistics : tuple of S str
        Their names.

    Examples
    --------
    >>> voice = StreamSpecification("audio", ("f0",), clock="seconds", extractor="voice", version="1")
    >>> pooled_specification(voice, ("mean", "spread")).columns
    ('f0.mean', 'f0.spread')
    """
    return replace(
        specification,
        columns=tuple(f"{column}.{name}" for name in statistics for column in specification.columns),
        extractor=specification.extractor + _BY_WORD,
        version=f"{specification.version}{_BY_WORD}-{_VERSION}",
    )


def request_of_pooled(specification: StreamSpecification) -> tuple[str, str]:
    """Name of the extractor below a pooled stream, and what asks for its statistics by word.

    Parameters
    ----------
    specification : StreamSpecification
        Of any stream.

    Returns
    -------
    str
        The extractor.
    str
        What follows it in a request; empty where the stream is not pooled.

    Examples
    --------
    >>> voice = StreamSpecification("audio", ("f0",), extractor="voice", version="1")
    >>> request_of_pooled(pooled_specification(voice, ("mean", "spread"))), request_of_pooled(voice)
    (('voice', ':words=mean+spread'), ('voice', ''))
    """
    if not specification.extractor.endswith(_BY_WORD):
        return specification.extractor, ""
    names = tuple(dict.fromkeys(column.rpartition(".")[2] for column in specification.columns))
    asked = _BY_WORD if names == USUAL_STATISTICS else f"{_BY_WORD}={'+'.join(names)}"
    return specification.extractor.removesuffix(_BY_WORD), asked


def words_and_pauses(words: NDArray[np.float64], start: float, end: float) -> NDArray[np.float64]:
    """Spans of words and of the pauses around and between them, by their start.

    Parameters
    ----------
    words : array of shape (W, 2), float64
        Start and end of every word in seconds; they may overlap.
    start, end : float
        Where the sound begins and ends, in the same seconds.

    Returns
    -------
    array of shape (S, 2), float64
        All words, and every pause of at least 0.02 seconds.

    Examples
    --------
    >>> words_and_pauses(np.array([[0.5, 0.7], [0.7, 1.0]]), 0.0, 1.01).tolist()
    [[0.0, 0.5], [0.5, 0.7], [0.7, 1.0]]
    """
    known = words[np.argsort(words[:, 0], kind="stable")]
    reached = np.maximum.accumulate(known[:, 1])
    pauses = np.stack([np.append(start, reached), np.append(known[:, 0], end)], axis=1)
    pauses = pauses[pauses[:, 1] - pauses[:, 0] >= _SHORTEST_PAUSE - _SHORTEST]
    spans: NDArray[np.float64] = np.concatenate([pauses, known])
    return spans[np.argsort(spans[:, 0], kind="stable")]


def pooled_by_word(stream: Stream, words: NDArray[np.float64], statistics: tuple[str, ...]) -> Stream:
    """Statistics of every column over the steps of each word or pause, weighted by the seconds that they share.

    The slope is that over relative places: the change from the middle of the word's first step to that of its last.

    Parameters
    ----------
    stream : Stream
        Values (T, D) with times (T, 2) whose starts and ends never decrease.
    words : array of shape (W, 2), float64
        Start and end of every word, in seconds of the same clock.
    statistics : tuple of S str
        From :data:`trivium.column_statistics.STATISTICS`.

    Returns
    -------
    Stream
        Values (K, S * D) at the times (K, 2) of :func:`words_and_pauses`. A word that shares nothing with any step,
        because it lasts no time or lies outside the sound, is left out.

    Raises
    ------
    DataError
        The stream has no times.

    Examples
    --------
    >>> voice = StreamSpecification("audio", ("f0",), clock="seconds")
    >>> edges = np.array([[0.0, 0.2], [0.2, 0.4], [0.4, 0.6]])
    >>> frames = Stream(np.array([[1.0], [2.0], [5.0]], np.float32), voice, edges)
    >>> pooled = pooled_by_word(frames, np.array([[0.2, 0.6]]), ("mean", "slope"))
    >>> pooled.times.tolist(), pooled.values.tolist()
    ([[0.0, 0.2], [0.2, 0.6]], [[1.0, 0.0], [3.5, 3.0]])
    """
    if stream.times is None:
        raise DataError(
            f"{stream.specification.modality} has no times, by which words could be told",
            remedy="ask for it frame by frame",
        )
    starts, ends = stream.times.T
    spans = words_and_pauses(words, *((starts[0], ends[-1]) if stream.steps else (0.0, 0.0)))
    first = np.searchsorted(ends, spans[:, 0] + _SHORTEST, side="right")
    last = np.searchsorted(starts, spans[:, 1] - _SHORTEST, side="left")
    heard = np.flatnonzero((last > first) & (spans[:, 1] - spans[:, 0] > _SHORTEST))
    specification = pooled_specification(stream.specification, statistics)
    values = np.zeros((len(heard), specification.dim), np.float32)
    for row, (start, end) in enumerate(spans[heard].tolist()):
        steps = slice(int(first[heard[row]]), int(last[heard[row]]))
        shared = np.minimum(ends[steps], end) - np.maximum(starts[steps], start)
        values[row] = _of_span(stream.values[steps], stream.times[steps], shared, statistics)
        if row % _STEPS_AT_ONCE == _STEPS_AT_ONCE - 1:
            let_go(stream.values)
    let_go(stream.values)
    return Stream(values, specification, spans[heard])


def _of_span(
    values: NDArray[Any], times: NDArray[np.float64], shared: NDArray[np.float64], statistics: tuple[str, ...]
) -> NDArray[np.float64]:
    """Statistics (S * D,) of the k steps of a word or pause."""
    steps = np.ones((1, len(values)), bool)
    seen = np.broadcast_to(steps[:, :, None], (1, *values.shape))
    places = relative_places(steps, times.mean(axis=1)[None])
    found: NDArray[np.float64] = column_statistics(values[None], seen, statistics, places, shared[None])[0]
    return found
