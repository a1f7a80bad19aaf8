"""Streams of a corpus with one step per word, in place of steps of their own."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

import numpy as np

from trivium.align.words import align
from trivium.corpus import Corpus, Specification, Stream, StreamSpecification, Utterance

__all__ = ["by_word"]

_ROWS_AT_ONCE = 256


def by_word(corpus: Corpus, modalities: Collection[str]) -> Corpus:
    """Give some streams one step per word, as :func:`trivium.align` makes it, and leave the others as they are.

    A word at which a modality was not seen is a step of zeros, as in every distribution of aligned features; a modality
    that was seen at no word is missing.

    Parameters
    ----------
    corpus : Corpus
        Utterances; those without words lose these streams.
    modalities : collection of str
        Which streams.

    Returns
    -------
    Corpus
        In memory.

    Raises
    ------
    AlignmentError
        A stream cannot be put on the words.

    Examples
    --------
    >>> from trivium.corpus import Words
    >>> voice = StreamSpecification("audio", ("energy",), clock="seconds")
    >>> frames = np.array([[0.0, 0.1], [0.1, 0.2], [0.2, 0.3]])
    >>> stream = Stream(np.array([[1.0], [3.0], [5.0]], np.float32), voice, frames)
    >>> spoken = Words(("hi", "there"), np.array([[0.0, 0.2], [0.2, 0.3]]))
    >>> corpus = Corpus.from_utterances([Utterance("a", {"audio": stream}, spoken)], Specification((voice,)))
    >>> by_word(corpus, ["audio"])[0].streams["audio"].values.tolist()
    [[2.0], [5.0]]
    """
    given = corpus.specification
    streams = tuple(replace(s, clock="words") if s.modality in modalities else s for s in given.streams)
    specification = Specification(streams, given.labels)
    chosen = [stream for stream in streams if stream.modality in modalities]
    return Corpus.from_utterances(_utterances(corpus, chosen), specification, corpus.provenance)


def _utterances(corpus: Corpus, chosen: list[StreamSpecification]) -> Iterator[Utterance]:
    names = [stream.modality for stream in chosen]
    for start in range(0, len(corpus), _ROWS_AT_ONCE):
        part = corpus[start : start + _ROWS_AT_ONCE]
        aligned = align(part, modalities=names, need_words=False, pad="right", show=False)
        order = [aligned.specification.modalities.index(name) for name in names]
        edges = np.cumsum([0, *(stream.dim for stream in aligned.specification.streams)])
        for row, utterance in enumerate(part):
            steps = aligned.mask[row]
            kept = {name: stream for name, stream in utterance.streams.items() if name not in names}
            for stream, number in zip(chosen, order, strict=True):
                if aligned.cell_mask[row, :, number].any():
                    values = aligned.values[row, steps, edges[number] : edges[number + 1]]
                    kept[stream.modality] = Stream(values, stream)
            yield replace(utterance, streams=kept)
