"""Whisper in windows: what a window holds, one encoding for words and states, times that lead back to the sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from trivium.corpus import StreamSpecification
from trivium.errors import DependencyError, SpecificationError
from trivium.extract import ClipExtractor, Recording
from trivium.extract.audio.whisper import WhisperExtractor
from trivium.extract.choice import choose, requests_for
from trivium.extract.source.media import open_clip
from trivium.extract.words import listening
from trivium.extract.words.listening import Listener, Window, windows
from trivium.extract.words.speech import load_listener, recognise
from trivium.upstream import model_folder

NeedModels = Callable[..., None]
RATE = 16000


@pytest.fixture(scope="module")
def reading(need_models: NeedModels) -> NDArray[np.float32]:
    need_models("sample-voice", "whisper-tiny-en", "g2p-en")
    sound = open_clip(_reading()).sound()
    assert sound is not None
    return sound


def _reading() -> Path:
    return model_folder("sample-voice") / "sense_and_sensibility_01_austen_64kb-0890.wav"


def _detected(monkeypatch: pytest.MonkeyPatch, *spans: tuple[int, int]) -> None:
    found = [{"start": first, "end": last} for first, last in spans]
    monkeypatch.setattr("faster_whisper.vad.get_speech_timestamps", lambda samples: found)


def test_windows_share_the_sound_among_them(monkeypatch: pytest.MonkeyPatch) -> None:
    _detected(monkeypatch, (100, 1000), (9999, 16001))
    found = windows(np.zeros(20001, np.float32))
    assert found == [
        Window(((0, 1280), (9920, 16320)), True),
        Window(((1280, 9920), (16320, 20001)), False),
    ]
    assert len(found[0].steps) == 4 + 20 and found[1].steps[-1] == 62


@given(st.lists(st.integers(1, 40 * RATE), max_size=6), st.integers(1, 3 * RATE))
def test_every_step_is_in_one_window_of_at_most_25_seconds(lengths: list[int], rest: int) -> None:
    edges = np.cumsum([0, *lengths])
    spans = [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=False) if b - a > 2 * RATE]
    with pytest.MonkeyPatch.context() as patch:
        _detected(patch, *spans)
        samples = np.zeros(int(edges[-1]) + rest, np.float32)
        found = windows(samples)
    steps = np.concatenate([window.steps for window in found])
    assert sorted(steps.tolist()) == list(range(-(-len(samples) // 320)))
    assert all(len(window.of(samples)) <= 25 * RATE for window in found)


def test_a_long_speech_is_cut_where_it_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, 40 * RATE).astype(np.float32)
    sound[20 * RATE : round(20.4 * RATE)] = 0
    _detected(monkeypatch, (0, len(sound)))
    first, second = windows(sound)
    assert first.spans[0][1] / RATE == pytest.approx(20.2, abs=0.2) and second.spans == (
        (first.spans[0][1], 40 * RATE),
    )


def test_a_short_dip_in_the_middle_is_quieter_than_the_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, 40 * RATE).astype(np.float32)
    sound[21 * RATE : round(21.2 * RATE)] *= 10 ** (-2.5 / 20)
    _detected(monkeypatch, (0, len(sound)))
    assert windows(sound)[0].spans[0][1] / RATE == pytest.approx(21.1, abs=0.05)


def test_words_move_with_the_span_in_which_their_middle_lies() -> None:
    window = Window(((RATE, 2 * RATE), (5 * RATE, 6 * RATE)), True)
    assert window.moved(0.2, 0.4) == (1.2, 1.4)
    assert window.moved(0.8, 1.1) == (1.8, 2.1) and window.moved(0.95, 1.3) == (4.95, 5.3)


class _Model:
    """Stands in for faster-whisper: pads as it does, and goes round in circles unless padded to 30 seconds."""

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def feature_extractor(self, part: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.full((80, len(part) // 160 + 1), -1.0, np.float32)

    def encode(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        self.lengths.append(features.shape[1])
        return np.zeros((1, features.shape[1] // 2, 4), np.float32)

    def transcribe(self, part: NDArray[np.float32], **options: Any) -> tuple[Iterator[Any], None]:
        features = self.feature_extractor(part)[:, :-1]
        states = self.encode(np.pad(features, ((0, 0), (0, 3000 - features.shape[1]))))
        ratio = 1.0 if states.shape[1] == 1500 else 3.0
        words = [SimpleNamespace(word=f" {ratio:.0f}", start=0.0, end=0.5, probability=0.9)]
        return iter([SimpleNamespace(compression_ratio=ratio, words=words)]), None


def test_a_text_that_goes_round_in_circles_is_recognised_again_in_30_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    model = _Model()
    listener = Listener(model)
    _detected(monkeypatch, (0, 4 * RATE))
    states = np.ones((200, 4), np.float32)
    tokens = listener.tokens(np.zeros(4 * RATE, np.float32), states)
    assert [token[0] for token in tokens] == ["1"] and not states.any()
    assert model.lengths == [900, 3000]  # its own 400 frames and 5 seconds, then all of 30 seconds


def test_silence_follows_every_window() -> None:
    padded = listening._with_silence(np.array([[1.0, 2.0, 3.0]], np.float32))
    assert padded.shape == (1, 504) and padded[0, :4].tolist() == [1, 2, 3, 1]
    assert listening._with_silence(np.zeros((80, 2900), np.float32)).shape == (80, 3000)


def test_words_and_states_come_from_one_encoding(reading: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch) -> None:
    listener = load_listener(None)
    inside = listener._encode_padded
    encoded: list[int] = []

    def counted(features: NDArray[np.float32]) -> Any:
        encoded.append(features.shape[1])
        return inside(features)

    listener.width  # noqa: B018
    monkeypatch.setattr(listener, "_encode_padded", counted)
    heard = recognise(reading, states=True)
    assert len(encoded) == len(windows(reading)) and heard.states is not None
    stream = WhisperExtractor().stream(reading, heard)
    assert len(encoded) == len(windows(reading)) and stream.values is heard.states
    assert recognise(reading).states is None


def test_states_are_the_same_whether_words_are_recognised_or_not(reading: NDArray[np.float32]) -> None:
    sound = np.concatenate([np.zeros(4 * RATE, np.float32), reading, np.zeros(5 * RATE + 7, np.float32), reading])
    heard = recognise(sound, states=True)
    stream = WhisperExtractor().stream(sound, None)
    np.testing.assert_array_equal(stream.values, heard.states)
    assert stream.times is not None and len(stream.times) == -(-len(sound) // 320)
    assert stream.times[0].tolist() == [0.0, 0.02] and stream.times[-1, 1] == len(sound) / RATE
    starts = [t for t, word in zip(heard.times[:, 0], heard.transcript.words, strict=True) if word == "unless"]
    assert starts[1] - starts[0] == pytest.approx(len(reading) / RATE + 5, abs=0.6)  # its own times are rough


def test_states_are_those_of_the_encoder_at_the_windows_own_length(reading: NDArray[np.float32]) -> None:
    from faster_whisper import WhisperModel

    (window, *_) = windows(reading)
    part = window.of(reading)
    model = WhisperModel(str(model_folder("whisper-tiny-en")), device="cpu", compute_type="int8", local_files_only=True)
    features = model.feature_extractor(part)[:, :-1]
    silence = np.full((80, 500 + features.shape[1] % 2), features.min(), np.float32)
    expected = np.array(model.encode(np.concatenate([features, silence], axis=1)))[0, : len(window.steps)]
    found = WhisperExtractor().stream(reading, None).values[window.steps]
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("samples", [0, 1, 159, 320, 321])
def test_any_length_gives_a_state_per_step(need_models: NeedModels, samples: int) -> None:
    need_models("whisper-tiny-en")
    stream = WhisperExtractor().stream(np.zeros(samples, np.float32), None)
    assert stream.values.shape == (-(-samples // 320), 384) and np.isfinite(stream.values).all()


def test_a_clip_has_states_beside_its_voice(reading: NDArray[np.float32]) -> None:
    extractor = ClipExtractor(["text", "audio"], audio="voice,whisper")
    streams = extractor.extract(Recording(_reading())).utterance.streams
    assert list(streams) == ["text", "audio", "audio_whisper"]
    np.testing.assert_array_equal(streams["audio_whisper"].values, WhisperExtractor().stream(reading, None).values)


# Extractors that fit weights


def test_the_extractors_of_weights_are_found_by_their_streams() -> None:
    both = [choice.specification() for choice in choose("audio", "voice,whisper")]
    assert requests_for(both) == {"audio": "voice,whisper"}
    assert requests_for(both[1:]) == {"audio": "voice,whisper"}  # the second stream is only made beside a first
    assert requests_for([choose("audio", "whisper")[0].specification()]) == {"audio": "whisper"}
    assert requests_for([choose("text", "wordllama")[0].specification()]) == {"text": "wordllama"}
    assert requests_for([StreamSpecification("vision", ("a",)), StreamSpecification("touch", ("a",))]) == {
        "vision": "face"
    }


def test_weights_whose_extractor_needs_a_file_are_refused_for_clips() -> None:
    with pytest.raises(SpecificationError, match="'glove'") as error:
        requests_for([StreamSpecification("text", ("a",), extractor="glove", version="1")])
    assert "trivium extract --text" in str(error.value.remedy)


def test_the_licence_of_an_extractor_is_asked_for_where_weights_need_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path))
    monkeypatch.delenv("TRIVIUM_ACCEPT_OPENSMILE", raising=False)
    with pytest.raises(DependencyError, match="audEERING"):
        requests_for([StreamSpecification("audio", ("a",), extractor="egemaps", version="1")])
