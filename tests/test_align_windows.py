"""Cutting long utterances: nothing is lost, nothing is doubled, and aligning the parts gives the parts of the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.align import align, cut_into_windows
from trivium.corpus import Corpus, Specification, Stream, StreamSpecification, Utterance, Words
from trivium.errors import AlignmentError

VOICE = StreamSpecification("audio", ("a", "b"), clock="seconds")
TEXT = StreamSpecification("text", ("t",), clock="words")


def talk(words: int, seed: int) -> Utterance:
    rng = np.random.default_rng(seed)
    ends = np.cumsum(rng.uniform(0.1, 0.5, words))
    times = np.stack([np.concatenate([[0.0], ends[:-1]]), ends], axis=1)
    frames = np.arange(0, ends[-1] if words else 0.0, 0.03)
    voice = Stream(
        rng.normal(size=(len(frames), 2)).astype(np.float32), VOICE, np.stack([frames, frames + 0.03], axis=1)
    )
    text = Stream(rng.normal(size=(words, 1)).astype(np.float32), TEXT)
    spoken = Words(tuple(f"w{i}" for i in range(words)), times)
    return Utterance("u", {"audio": voice, "text": text}, spoken, groups={"speaker": "7"})


@given(st.integers(1, 60), st.integers(1, 25), st.integers(0, 3))
def test_the_parts_aligned_are_the_whole_aligned(words: int, most: int, seed: int) -> None:
    corpus = Corpus.from_utterances([talk(words, seed)], Specification((VOICE, TEXT)))
    cut = cut_into_windows(corpus, most)
    whole = align(corpus, pad="right")
    parts = align(cut, pad="right")
    assert int(cut.lengths("text").max()) <= most
    assert int(cut.lengths("text").max()) - int(cut.lengths("text").min()) <= 1
    np.testing.assert_array_equal(parts.values[parts.mask], whole.values[whole.mask])
    assert parts.words[parts.mask].tolist() == whole.words[whole.mask].tolist()
    assert set(cut.group("utterance")) == {"u"} and set(cut.group("speaker")) == {"7"}


def test_short_utterances_stay_whole_and_words_must_be_positive() -> None:
    corpus = Corpus.from_utterances([talk(3, 0)], Specification((VOICE, TEXT)))
    assert cut_into_windows(corpus, 3).ids.tolist() == ["u"]
    with pytest.raises(AlignmentError, match="positive"):
        cut_into_windows(corpus, 0)
