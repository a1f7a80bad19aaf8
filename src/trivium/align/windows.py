"""Long utterances cut into stretches of words, so that a matrix of W steps holds all of what was said."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from trivium.align.overlap import SHORTEST_OVERLAP
from trivium.corpus import Corpus, Stream, Utterance, Words
from trivium.errors import AlignmentError

__all__ = ["cut_into_windows"]


def cut_into_windows(corpus: Corpus, words: int) -> Corpus:
    """Cut every utterance of more than `words` timed words into stretches of nearly equal word counts.

    A stretch keeps the labels, groups and splits of its utterance, the rows of every stream that overlap its span, and
    gets the id ``ID[k]`` and the span from its first word's start to its last word's end. The group ``utterance`` names
    what it was cut from. Stretches are as even as possible: 45 words at `words` = 20 give 15, 15 and 15, not 20, 20
    and 5.

    Parameters
    ----------
    corpus : Corpus
        Utterances whose words have times in seconds; those without are kept whole.
    words : int
        Most words in a stretch.

    Returns
    -------
    Corpus
        In memory, in the order of the clip.

    Raises
    ------
    AlignmentError
        `words` is not positive.

    Notes
    -----
    Our choice; the published protocol keeps the last 20 words of an utterance and loses the rest.

    Examples
    --------
    >>> from trivium.corpus import Specification
    >>> spoken = Words(("a", "b", "c"), np.array([[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]]))
    >>> cut = cut_into_windows(Corpus.from_utterances([Utterance("u", words=spoken)], Specification(())), 2)
    >>> [(u.id, u.words.text, u.start, u.end) for u in cut]
    [('u[0]', ('a', 'b'), 0.0, 2.0), ('u[1]', ('c',), 2.0, 3.0)]
    """
    if words < 1:
        raise AlignmentError(f"a stretch of {words} words is none", remedy="give a positive number of words")
    cut = [part for utterance in corpus for part in _cut(utterance, words)]
    return Corpus.from_utterances(cut, corpus.specification, {**corpus.provenance, "cut_into_words": words})


def _cut(utterance: Utterance, most: int) -> list[Utterance]:
    groups = {**utterance.groups, "utterance": utterance.id}
    spoken = utterance.words
    if spoken is None or spoken.times is None or len(spoken) <= most:
        return [replace(utterance, groups=groups)]
    bounds = np.linspace(0, len(spoken), -(-len(spoken) // most) + 1).round().astype(int)
    return [
        _stretch(utterance, spoken, slice(int(first), int(last)), f"{utterance.id}[{k}]", groups)
        for k, (first, last) in enumerate(pairwise(bounds))
    ]


def _stretch(utterance: Utterance, spoken: Words, place: slice, name: str, groups: dict[str, str]) -> Utterance:
    assert spoken.times is not None
    times = spoken.times[place]
    start, end = float(times[:, 0].min()), float(times[:, 1].max())
    streams = {m: _rows_within(s, place, len(spoken), start, end) for m, s in utterance.streams.items()}
    confidence = None if spoken.confidence is None else spoken.confidence[place]
    text = spoken.text[place]
    return replace(
        utterance,
        id=name,
        streams=streams,
        words=Words(text, times, confidence),
        text=" ".join(text),
        groups=groups,
        start=start,
        end=end,
    )


def _rows_within(stream: Stream, place: slice, words: int, start: float, end: float) -> Stream:
    if stream.specification.clock == "words" and stream.steps == words:
        return replace(stream, values=stream.values[place])
    if stream.times is None:
        return stream
    inside: NDArray[np.bool_] = (stream.times[:, 1] - start > SHORTEST_OVERLAP) & (
        end - stream.times[:, 0] > SHORTEST_OVERLAP
    )
    return replace(stream, values=stream.values[inside], times=stream.times[inside])
