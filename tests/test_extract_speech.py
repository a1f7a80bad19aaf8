"""Transcripts, pronunciations, recognition and word times."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trivium.extract.source.media import SOUND_RATE, open_clip
from trivium.extract.words import speech
from trivium.extract.words.pronunciation import load_pronouncer
from trivium.extract.words.speech import Heard, align_words, recognise, spread_words, time_words
from trivium.extract.words.transcript import read_transcript, spoken_words

NeedModels = Callable[..., None]
_SENTENCE = "unless to be rather cold hearted and rather selfish is to be ill disposed".split()


@pytest.fixture(scope="module")
def reading(need_models: NeedModels) -> NDArray[np.float32]:
    """5.3 seconds of a human voice reading a sentence of Sense and Sensibility."""
    need_models("sample-voice")
    from trivium.upstream import model_file

    sound = open_clip(model_file("sample-voice")).sound()
    assert sound is not None
    return sound


# Transcripts


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("Kids", "kids"),
        ("don\u2019t,", "don't"),
        ("25", "twenty five"),
        ("1,250", "one thousand two hundred fifty"),
        ("1982.", "nineteen eighty two"),
        ("2009", "two thousand nine"),
        ("3.5%", "three point five percent"),
        ("$100", "one hundred dollars"),
        ("\u20ac1", "one euro"),
        ("21st", "twenty first"),
        ("9-1-1", "nine one one"),
        ("10:30", "ten thirty"),
        ("U.S.", "u s"),
        ("Dr.", "doctor"),
        ("R&B", "r and b"),
        ("na\u00efve", "naive"),
        ("(court", "court"),
        ("\u2014", ""),
        ("...", ""),
    ],
)
def test_a_written_token_becomes_what_is_said(token: str, words: str) -> None:
    assert spoken_words(token) == words.split()


def test_remarks_are_left_out_and_punctuation_stays_in_the_text() -> None:
    heard = read_transcript("Well, [laughs] I <noise> didn't (inaudible) go.")
    assert heard.words == ("well", "i", "didn't", "go")
    assert heard.text == "Well, I didn't go."


@given(st.text(max_size=200))
@settings(max_examples=200)
def test_any_text_gives_words_that_point_to_their_tokens(text: str) -> None:
    heard = read_transcript(text)
    assert len(heard.words) == len(heard.source)
    assert list(heard.source) == sorted(heard.source)
    assert all(0 <= place < len(heard.tokens) for place in heard.source)
    for word in heard.words:
        assert word and word == word.lower() and not set(word) & set(' .,!?"[]<>()')


@given(st.lists(st.sampled_from(["kids", "are", "talking", "don't", "25", "$3", "U.S.", "\u2014"]), max_size=12))
def test_words_do_not_depend_on_their_neighbours(tokens: list[str]) -> None:
    expected = [word for token in tokens for word in spoken_words(token)]
    assert list(read_transcript(" ".join(tokens)).words) == expected


# Pronunciations


def test_unknown_words_are_pronounced(need_models: NeedModels) -> None:
    need_models("g2p-en")
    pronouncer = load_pronouncer()
    assert pronouncer.phones("activationist") == tuple("AE K T IH V EY SH AH N IH S T".split())
    assert pronouncer.phones("123") == ()


def test_the_pronouncer_equals_a_gated_recurrent_unit_of_another_library(need_models: NeedModels) -> None:
    need_models("g2p-en")
    torch = pytest.importorskip("torch")
    pronouncer = load_pronouncer()
    weights = {name: torch.tensor(value) for name, value in pronouncer._weights.items()}
    unit = torch.nn.GRU(256, 256, batch_first=True)
    names = ("w_ih", "w_hh", "b_ih", "b_hh")
    stored = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    unit.load_state_dict({s: weights[f"enc_{n}"] for s, n in zip(stored, names, strict=True)})
    letters = [3 + ord(letter) - ord("a") for letter in "trivium"] + [2]
    with torch.no_grad():
        expected = unit(weights["enc_emb"][letters][None])[1][0, 0].numpy()
    state = np.zeros(256, np.float32)
    for letter in letters:
        state = pronouncer._step("enc", letter, state)
    np.testing.assert_allclose(state, expected, atol=1e-5)


# Words in time


def test_words_of_a_real_voice_are_aligned_in_order_and_inside_the_sound(reading: NDArray[np.float32]) -> None:
    timed = align_words(reading, _SENTENCE)
    assert timed is not None and timed.timing == "aligned" and timed.guessed == ()
    assert np.all(timed.times[:, 1] > timed.times[:, 0])
    assert np.all(timed.times[1:, 0] >= timed.times[:-1, 1])
    assert timed.times[0, 0] > 0.1 and timed.times[-1, 1] <= len(reading) / SOUND_RATE
    assert np.all((timed.confidence > 0) & (timed.confidence <= 1))


def test_words_shift_with_the_sound(reading: NDArray[np.float32]) -> None:
    plain = align_words(reading, _SENTENCE)
    later = align_words(np.concatenate([np.zeros(SOUND_RATE, np.float32), reading]), _SENTENCE)
    assert plain is not None and later is not None
    assert np.median(np.abs(later.times - plain.times - 1.0)) <= 0.02


def test_the_last_word_does_not_reach_into_the_silence_after_it(reading: NDArray[np.float32]) -> None:
    timed = align_words(reading, _SENTENCE)
    loud = np.flatnonzero(np.abs(reading) > 0.05 * np.abs(reading).max())[-1] / SOUND_RATE
    assert timed is not None and timed.times[-1, 1] == pytest.approx(loud, abs=0.1)
    assert loud + 0.15 < len(reading) / SOUND_RATE


def test_gated_sound_is_aligned_as_well(reading: NDArray[np.float32]) -> None:
    whole = len(reading) // 160 * 160
    steps = reading[:whole].reshape(-1, 160).copy()
    level = np.sqrt(np.mean(steps**2, axis=1))
    steps[level < np.percentile(level, 45)] = 0.0  # a noise gate: digital silence within and between words
    plain, gated = align_words(reading, _SENTENCE), align_words(steps.ravel(), _SENTENCE)
    assert plain is not None and gated is not None and gated.timing == "aligned"
    assert np.median(np.abs(gated.times - plain.times)) <= 0.02


def test_the_noise_floor_is_faint_and_always_the_same() -> None:
    tone = np.sin(np.arange(SOUND_RATE) / 5).astype(np.float32)
    quiet = np.concatenate([tone, np.zeros(9 * SOUND_RATE, np.float32)])
    noise = speech._with_floor(quiet) - quiet
    assert 20 * np.log10(np.std(noise) / np.std(tone)) == pytest.approx(-40.0, abs=0.1)
    assert speech._with_floor(quiet).tobytes() == speech._with_floor(quiet).tobytes()
    assert not speech._with_floor(np.zeros(100, np.float32)).any()


def test_words_that_were_not_said_fit_worse(reading: NDArray[np.float32]) -> None:
    said = align_words(reading, _SENTENCE)
    other = align_words(
        reading, "my uncle bought seven green bicycles in the village for his youngest daughter".split()
    )
    assert said is not None
    assert other is None or np.median(other.confidence) < 0.5 * np.median(said.confidence)


def test_alignment_does_not_depend_on_what_was_aligned_before(reading: NDArray[np.float32]) -> None:
    first = align_words(reading, _SENTENCE)
    align_words(reading[: 2 * SOUND_RATE] * 0.1, ["unless", "to", "be"])
    again = align_words(reading, _SENTENCE)
    assert first is not None and again is not None
    assert first.times.tobytes() == again.times.tobytes()
    assert first.confidence.tobytes() == again.confidence.tobytes()


def test_a_word_nobody_can_pronounce_lies_between_its_neighbours(
    reading: NDArray[np.float32], need_models: NeedModels
) -> None:
    need_models("g2p-en")
    words = [*_SENTENCE[:4], "\u5317\u4eac", *_SENTENCE[4:], "\u5317"]
    timed = align_words(reading, words)
    assert timed is not None and timed.guessed == ("\u5317\u4eac", "\u5317")
    assert timed.times[3, 1] <= timed.times[4, 0] <= timed.times[4, 1] <= timed.times[5, 0]
    assert timed.confidence[4] == 0 and timed.times[-1, 1] == pytest.approx(len(reading) / SOUND_RATE)


def test_a_word_of_no_dictionary_is_pronounced_for_the_aligner(
    reading: NDArray[np.float32], need_models: NeedModels
) -> None:
    need_models("g2p-en")
    timed = align_words(reading, [w if w != "selfish" else "sellfische" for w in _SENTENCE])
    usual = align_words(reading, _SENTENCE)
    assert timed is not None and usual is not None and timed.guessed == ()
    assert timed.times[8, 0] == pytest.approx(usual.times[8, 0], abs=0.1)


def test_sound_too_short_for_its_words_is_not_aligned(reading: NDArray[np.float32]) -> None:
    assert align_words(reading[:1600], _SENTENCE) is None
    assert align_words(reading, []) is None
    timed = time_words(reading[:1600], _SENTENCE)
    assert timed.timing == "spread" and np.all(timed.confidence == 0)
    np.testing.assert_allclose(np.diff(timed.times), 0.1 / len(_SENTENCE))


def test_the_recognisers_times_are_the_second_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "align_words", lambda *_, **__: None)
    times = np.array([[0.0, 0.5], [0.5, 0.9]])
    heard = Heard(read_transcript("two words"), times, np.array([0.9, 0.4], np.float32))
    timed = time_words(np.zeros(SOUND_RATE, np.float32), ["two", "words"], heard)
    assert timed.timing == "recognised" and timed.times is times


@given(st.integers(0, 30), st.floats(0.01, 1e4))
def test_spreading_conserves_time(count: int, seconds: float) -> None:
    times = spread_words(["word"] * count, seconds).times
    assert times.shape == (count, 2)
    if count:
        np.testing.assert_allclose((times[:, 1] - times[:, 0]).sum(), seconds)
        np.testing.assert_array_equal(times[1:, 0], times[:-1, 1])


# Recognition


def test_a_real_voice_is_recognised_the_same_every_time(reading: NDArray[np.float32], need_models: NeedModels) -> None:
    need_models("whisper-tiny-en")
    first, second = recognise(reading), recognise(reading)
    assert list(first.transcript.words) == _SENTENCE
    assert first.transcript.tokens[-1] == "ill-disposed."
    assert np.all(np.diff(first.times[:, 0]) >= 0) and np.all((first.confidence > 0) & (first.confidence <= 1))
    assert first.times.tobytes() == second.times.tobytes()
    assert first.confidence.tobytes() == second.confidence.tobytes()


@pytest.mark.parametrize("level", [0.0, 0.1])
def test_nobody_is_heard_in_silence_and_noise(need_models: NeedModels, level: float) -> None:
    need_models("whisper-tiny-en")
    noise = level * np.random.default_rng(0).standard_normal(3 * SOUND_RATE)
    heard = recognise(noise.astype(np.float32))
    assert heard.transcript.words == () and heard.times.shape == (0, 2)


def test_recognised_tokens_keep_their_numbers_when_some_are_no_words() -> None:
    tokens = [["[music]", 0.0, 1.0, 0.1], ["She", 1.0, 1.2, 0.9], ["\u2014", 1.2, 1.3, 0.2], ["$5.", 1.4, 2.0, 0.8]]
    heard = speech._heard(tokens)
    assert heard.transcript.words == ("she", "five", "dollars")
    np.testing.assert_allclose(heard.times, [[1.0, 1.2], [1.4, 1.7], [1.7, 2.0]])
    np.testing.assert_allclose(heard.confidence, [0.9, 0.8, 0.8], rtol=1e-6)


@pytest.mark.data
def test_word_times_of_acted_speech_equal_those_of_an_independent_run(data_folder: Path) -> None:
    reference: dict[str, list[list[float]]] = {}
    with (data_folder / "ravdess" / "word_alignment_pocketsphinx.csv").open() as file:
        for row in csv.DictReader(file):
            reference.setdefault(row["id"], []).append([float(row["start"]), float(row["end"])])
    sentences = {"01": "kids are talking by the door", "02": "dogs are sitting by the door"}
    apart = []
    for name in sorted(reference)[::80]:
        sound = open_clip(data_folder / "ravdess" / "clips" / f"{name}.flac").sound()
        words = sentences[name.split("-")[4]].split()
        assert sound is not None
        timed = align_words(sound, words)
        assert timed is not None
        assert np.all(np.diff(timed.times.ravel()) >= 0)
        apart.append(np.abs(timed.times - np.array(reference[name])))
    assert np.percentile(apart, 90) < 0.025 and np.max(apart) <= 0.3  # two steps of 10 ms; it had no floor of noise


def test_long_sound_is_recognised_in_blocks_that_end_where_it_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "_BLOCK_SECONDS", 20.0)
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 0.1, 50 * SOUND_RATE).astype(np.float32)
    for second in (19.0, 38.5):
        sound[round(second * SOUND_RATE) : round((second + 0.5) * SOUND_RATE)] = 0
    heard: list[int] = []

    class Ear:
        width = 2

        def tokens(self, samples: NDArray[np.float32], states: object, **_: object) -> list[list[Any]]:
            heard.append(len(samples))
            return [["word", 0.0, 0.5, 0.5]]

    monkeypatch.setattr(speech, "load_listener", lambda local: Ear())
    told = recognise(sound)
    assert sum(heard) == len(sound) and told.transcript.words == ("word",) * 3
    begins = [0.0, heard[0] / SOUND_RATE, (heard[0] + heard[1]) / SOUND_RATE]
    assert begins == pytest.approx([0.0, 19.25, 38.75], abs=0.5)
    assert told.times[:, 0].tolist() == begins


def test_ten_minutes_are_recognised_at_once() -> None:
    assert speech.sound_blocks(np.zeros(600 * SOUND_RATE, np.float32)) == [(0, 600 * SOUND_RATE)]
    assert speech.sound_blocks(np.zeros(0, np.float32)) == [(0, 0)]
