"""Streams pooled by word: statistics against NumPy's own, how they are asked for, and what a clip gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trivium.align import align
from trivium.corpus import Corpus, Specification, Stream, StreamSpecification, Utterance, Words
from trivium.errors import DataError, SpecificationError
from trivium.extract import ClipExtractor, Recording
from trivium.extract.choice import USUAL_EXTRACTORS, choose, requests_for
from trivium.extract.word_pooling import pooled_by_word, words_and_pauses
from trivium.upstream import model_file

Numbers = NDArray[np.float64]
ALL = ("mean", "spread", "slope")
VOICE = StreamSpecification("audio", ("f0", "energy"), clock="seconds", extractor="voice", version="1")
SAID = "Unless to be rather cold-hearted, and rather selfish, is to be ill disposed"


def stream_of(values: Numbers, edges: Numbers) -> Stream:
    return Stream(values.astype(np.float32), VOICE, np.stack([edges[:-1], edges[1:]], axis=1))


def by_hand(stream: Stream, start: float, end: float) -> Numbers:
    """Mean, spread and slope of one word by NumPy's weighted average and weighted polynomial."""
    assert stream.times is not None
    shared = [max(min(b, end) - max(a, start), 0) for a, b in stream.times.tolist()]
    steps = np.flatnonzero(np.array(shared) > 1e-5)
    weights, middles = np.array(shared)[steps], stream.times[steps].mean(axis=1)
    found = []
    for column in stream.values[steps].astype(np.float64).T:
        mean = np.average(column, weights=weights)
        spread = np.sqrt(np.average((column - mean) ** 2, weights=weights))
        slope = 0.0
        if len(steps) > 1:
            places = (middles - middles[0]) / (middles[-1] - middles[0])
            slope = np.polyfit(places, column, 1, w=np.sqrt(weights))[0]
        found.append((mean, spread, slope))
    return np.array(found).T.ravel()


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_a_word_has_the_weighted_statistics_of_its_steps(seed: int) -> None:
    rng = np.random.default_rng(seed)
    stream = stream_of(rng.normal(3, 2, (40, 2)), np.cumsum(rng.uniform(0.005, 0.03, 41)))
    words = np.sort(rng.choice(700, (5, 2), replace=False) / 1000.0, axis=1) + 0.0003
    pooled = pooled_by_word(stream, words, ALL)
    assert stream.times is not None and pooled.times is not None
    first, last = stream.times[0, 0], stream.times[-1, 1]
    heard = [[a, b] for a, b in words.tolist() if min(b, last) - max(a, first) > 1e-5]
    assert all(word in pooled.times.tolist() for word in heard) and np.all(np.diff(pooled.times[:, 0]) >= 0)
    expected = np.array([by_hand(stream, a, b) for a, b in pooled.times.tolist()])
    np.testing.assert_allclose(pooled.values, expected, atol=2e-5)


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_words_and_pauses_together_are_the_whole_sound(seed: int) -> None:
    rng = np.random.default_rng(seed)
    stream = stream_of(rng.normal(3, 2, (50, 2)), np.arange(51, dtype=np.float64) * 0.02)
    edges: Numbers = (np.sort(rng.choice(51, 2 * int(rng.integers(1, 8)), replace=False)) * 0.02).astype(np.float64)
    pooled = pooled_by_word(stream, edges.reshape(-1, 2), ("mean",))
    assert pooled.times is not None
    lengths = np.diff(pooled.times, axis=1)[:, 0]
    assert lengths.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(
        np.average(pooled.values, axis=0, weights=lengths), stream.values.mean(axis=0), atol=1e-5
    )


def test_pauses_do_not_change_what_alignment_gives_a_word() -> None:
    stream = stream_of(np.arange(100.0).reshape(50, 2), np.arange(51, dtype=np.float64) * 0.02)
    spoken = Words(("so", "I", "told"), np.array([[0.2, 0.31], [0.31, 0.4], [0.6, 0.7]]))
    assert spoken.times is not None
    pooled = pooled_by_word(stream, spoken.times, ("mean",))
    corpus = Corpus.from_utterances([Utterance("a", {"audio": pooled}, spoken)], Specification((pooled.specification,)))
    assert pooled.steps == 6
    np.testing.assert_array_equal(align(corpus, show=False).values[0], pooled.values[[1, 2, 4]])


def test_pauses_lie_where_no_word_does() -> None:
    words = np.array([[0.5, 1.5], [0.6, 0.9], [1.515, 2.0]])  # one within another, one after 15 ms
    assert words_and_pauses(words, 0.0, 3.0).tolist() == [[0, 0.5], *words.tolist(), [2.0, 3.0]]
    assert words_and_pauses(np.zeros((0, 2)), 0.0, 3.0).tolist() == [[0.0, 3.0]]


def test_columns_are_named_after_their_statistic() -> None:
    pooled = pooled_by_word(stream_of(np.ones((2, 2)), np.arange(3.0)), np.array([[0.0, 2.0]]), ALL)
    assert pooled.specification.columns == (
        *("f0.mean", "energy.mean", "f0.spread", "energy.spread"),
        *("f0.slope", "energy.slope"),
    )
    assert pooled.values.tolist() == [[1, 1, 0, 0, 0, 0]]
    assert pooled.specification.extractor == "voice:words" != VOICE.extractor


def test_touching_ends_do_not_count() -> None:
    stream = stream_of(np.array([[1.0, 0], [50, 0], [3, 0], [5, 0]]), np.array([0.0, 0.02, 0.04, 0.06, 0.08]))
    words = np.array([[0.0, 0.02], [0.04, 0.08]])
    assert pooled_by_word(stream, words, ("mean",)).values[:, 0].tolist() == [1.0, 50.0, 4.0]


@pytest.mark.parametrize("word", [(0.5, 0.5), (0.5, 0.500001), (1.0, 1.4), (-1.0, 0.0)])
def test_a_word_that_shares_no_time_with_a_step_gives_none(word: tuple[float, float]) -> None:
    stream = stream_of(np.ones((10, 2)), np.linspace(0, 1, 11))
    pooled = pooled_by_word(stream, np.array([word, (0.2, 0.4)]), ("mean",))
    assert pooled.times is not None and list(word) not in pooled.times.tolist() and [0.2, 0.4] in pooled.times.tolist()


def test_a_stream_without_steps_gives_no_words() -> None:
    pooled = pooled_by_word(stream_of(np.ones((0, 2)), np.zeros(1)), np.array([[0.0, 1.0]]), ("mean",))
    assert pooled.values.shape == (0, 2)


def test_a_stream_without_times_is_refused() -> None:
    untimed = Stream(np.ones((1, 1), np.float32), StreamSpecification("audio", ("a",)))
    with pytest.raises(DataError, match="has no times"):
        pooled_by_word(untimed, np.array([[0.0, 1.0]]), ("mean",))


# How they are asked for


def test_columns_by_word_are_asked_for_behind_the_extractor() -> None:
    voice, whisper = choose("audio", "voice,whisper:words=mean+spread")
    assert (voice.by_word, whisper.by_word) == ((), ("mean", "spread"))
    assert whisper.specification().columns[384] == "whisper-tiny-en-000.spread"
    (encoder,) = choose("audio", "hf:some/folder@3:words")
    assert (encoder.name, encoder.argument) == ("hf", "some/folder@3") and encoder.by_word


@pytest.mark.parametrize("request_", ["whisper:words=median", "whisper:words=", "whisper:words=mean+mean"])
def test_statistics_that_are_not_there_are_refused(request_: str) -> None:
    with pytest.raises(SpecificationError, match="does not name statistics"):
        choose("audio", request_)


def test_only_sound_is_pooled_when_it_is_extracted() -> None:
    with pytest.raises(DataError, match="only columns of the sound"):
        choose("vision", "face:words")


def test_without_words_the_usual_request_leaves_columns_by_word_out_and_others_are_refused() -> None:
    assert ClipExtractor(["audio"]).specification.modalities == ("audio",)
    assert ClipExtractor(["audio"], audio=USUAL_EXTRACTORS["audio"]).specification.modalities == ("audio",)
    assert ClipExtractor(["text", "audio"]).specification.modalities == ("text", "audio", "audio_whisper")
    with pytest.raises(DataError, match=r"voice:words: columns by word need the words.*add text"):
        ClipExtractor(["audio", "vision"], audio="voice:words")


@pytest.mark.parametrize("request_", ["voice,whisper:words", "whisper:words=mean+spread+slope", "voice:words,whisper"])
def test_weights_ask_for_the_very_columns_that_they_learned_from(request_: str) -> None:
    assert requests_for([choice.specification() for choice in choose("audio", request_)]) == {"audio": request_}


def test_weights_without_the_encoders_columns_do_not_ask_for_them() -> None:
    assert requests_for([choose("audio")[0].specification()]) == {"audio": "voice"}
    assert requests_for([StreamSpecification("audio", ("f0",))]) == {"audio": "voice"}
    alone = choose("audio", "whisper:words")[0].specification()
    assert alone.modality == "audio" and requests_for([alone]) == {"audio": "whisper:words"}


# What a clip gives


@pytest.fixture(scope="module")
def voice(need_models: Callable[..., None]) -> Path:
    need_models("sample-voice", "whisper-tiny-en", "g2p-en", "minilm-l6")
    return model_file("sample-voice")


def test_a_clip_has_its_words_in_the_encoders_columns(voice: Path) -> None:
    asked = "voice:words=slope,whisper:words"
    one = ClipExtractor(["text", "audio"], audio=asked).extract(Recording(voice, transcript=SAID)).utterance
    native = ClipExtractor(["audio"], audio="whisper").extract(Recording(voice)).utterance.streams["audio"]
    pooled = one.streams["audio_whisper"]
    assert one.words is not None and one.words.times is not None and len(one.words) == 14
    assert pooled.times is not None and pooled.times[0, 0] == 0 and pooled.steps > 14
    assert all(word in pooled.times.tolist() for word in one.words.times.tolist())
    np.testing.assert_array_equal(pooled.values, pooled_by_word(native, one.words.times, ("mean",)).values)
    assert one.streams["audio"].values.shape == (pooled.steps, 61)
    assert "pitch_semitones.slope" in one.streams["audio"].specification.columns


def test_words_of_a_span_are_seconds_of_the_clip(voice: Path) -> None:
    recording = Recording(voice, transcript="and rather selfish is to be ill disposed", start=2.4, end=5.3)
    one = ClipExtractor(["text", "audio"]).extract(recording).utterance
    assert one.words is not None and one.words.times is not None and one.words.times[0, 0] >= 2.4
    times = one.streams["audio_whisper"].times
    assert times is not None and all(word in times.tolist() for word in one.words.times.tolist())
    assert times[0, 0] == pytest.approx(2.4) and times[-1, 1] <= 5.3


def test_columns_by_word_change_with_the_words_and_others_do_not(voice: Path) -> None:
    extractor = ClipExtractor(["text", "audio"], audio="voice,whisper:words")
    keys = [extractor.keys(Recording(voice, transcript=said), "1f") for said in (SAID, SAID.upper(), SAID)]
    assert keys[0] == keys[2] and keys[0].streams["audio"] == keys[1].streams["audio"]
    assert keys[0].streams["audio_whisper"] != keys[1].streams["audio_whisper"]
    others = [
        ClipExtractor(["text", "audio"], audio=asked).keys(Recording(voice, transcript=SAID), "1f")
        for asked in ("voice,whisper", "voice,whisper:words=mean+spread")
    ]
    assert len({one.streams["audio_whisper"] for one in (keys[0], *others)}) == 3
    assert {one.streams["audio"] for one in others} == {keys[0].streams["audio"]}
