"""Streams with one step per word in place of their own: the aligner's cells, and holes as the field has them."""

from __future__ import annotations

import numpy as np

from trivium.align import align, by_word
from trivium.corpus import Corpus, Specification, Stream, StreamSpecification, Utterance, Words

VOICE = StreamSpecification("audio", ("f0", "energy"), clock="seconds")
FACE = StreamSpecification("vision", ("smile",), clock="seconds")


def stream(spec: StreamSpecification, start: float, end: float, steps: int, seed: int) -> Stream:
    edges = np.linspace(start, end, steps + 1)
    values = np.random.default_rng(seed).random((steps, spec.dim)).astype(np.float32) + 1
    return Stream(values, spec, np.stack([edges[:-1], edges[1:]], axis=1))


def spoken(*edges: float) -> Words:
    return Words(tuple("abcdef"[: len(edges) - 1]), np.stack([edges[:-1], edges[1:]], axis=1).astype(np.float64))


def made_corpus() -> Corpus:
    """Three utterances: a face from the second word on, a face after the last word, and nobody who speaks."""
    whole = {"audio": stream(VOICE, 0, 3, 60, 1), "vision": stream(FACE, 1, 3, 10, 2)}
    late = {"audio": stream(VOICE, 0, 3, 60, 3), "vision": stream(FACE, 2.5, 3, 5, 4)}
    mute = {"audio": stream(VOICE, 0, 3, 60, 5), "vision": stream(FACE, 0, 3, 10, 6)}
    made = [
        Utterance("a", whole, spoken(0, 1, 2, 3), groups={"speaker": "x"}),
        Utterance("b", late, spoken(0, 1, 2)),
        Utterance("c", mute),
    ]
    return Corpus.from_utterances(made, Specification((VOICE, FACE)))


def test_steps_are_the_cells_that_the_aligner_gives_and_holes_are_zeros() -> None:
    corpus = made_corpus()
    found = by_word(corpus, ["audio", "vision"])
    assert {s.clock for s in found.specification.streams} == {"words"}
    first = found[0]
    cells = align(corpus, pad="right", show=False)
    np.testing.assert_array_equal(first.streams["audio"].values, cells.values[0, :, :2])
    by_hand = corpus[0].streams["audio"].values.reshape(3, 20, 2).mean(axis=1)
    np.testing.assert_allclose(first.streams["audio"].values, by_hand, rtol=1e-6)
    assert first.streams["vision"].values[0].tolist() == [0] and (first.streams["vision"].values[1:] > 1).all()
    assert first.streams["audio"].times is None and first.groups == {"speaker": "x"}


def test_what_was_seen_at_no_word_is_missing() -> None:
    _, late, mute = by_word(made_corpus(), ["audio", "vision"])
    assert set(late.streams) == {"audio"} and late.streams["audio"].steps == 2
    assert not mute.streams


def test_streams_that_are_not_named_stay_as_they_are() -> None:
    corpus = made_corpus()
    found = by_word(corpus, ["vision"])
    assert [s.clock for s in found.specification.streams] == ["seconds", "words"]
    for one, other in zip(found, corpus, strict=True):
        np.testing.assert_array_equal(one.streams["audio"].values, other.streams["audio"].values)
        np.testing.assert_array_equal(one.streams["audio"].times, other.streams["audio"].times)
