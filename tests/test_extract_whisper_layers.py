"""Layers of the recogniser's encoder: against the recogniser's library, and files that are none."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from trivium.errors import DataError, UpstreamError
from trivium.extract.audio.whisper_layers import WhisperLayersExtractor, converted_weights, load_encoder
from trivium.extract.clip import ClipExtractor
from trivium.extract.source.media import open_clip
from trivium.extract.words.listening import windows_in_order
from trivium.upstream import model_folder

Sound = NDArray[np.float32]


@pytest.fixture
def sound(need_models: Callable[..., None]) -> Sound:
    """Two seconds of speech."""
    need_models("sample-voice", "whisper-tiny-en")
    pytest.importorskip("faster_whisper")
    found = open_clip(next(model_folder("sample-voice").glob("*.wav"))).sound()
    assert found is not None
    return found[:32000]


def test_the_last_states_are_those_of_the_recognisers_library(sound: Sound) -> None:
    from faster_whisper import WhisperModel

    model = WhisperModel(str(model_folder("whisper-tiny-en")), device="cpu", compute_type="float32", cpu_threads=1)
    features = model.feature_extractor(sound)[:, :200]
    wanted = np.array(model.encode(features))[0]
    encoder = load_encoder()
    layers = encoder.layers(features)
    assert layers.shape == (5, 100, 384)
    np.testing.assert_allclose(encoder.normalised(layers[-1]), wanted, atol=2e-3)
    assert np.abs(layers[3] - layers[4]).mean() > 0.1


def test_columns_are_the_layers_side_by_side_every_20_ms(sound: Sound) -> None:
    both = WhisperLayersExtractor("3+1").stream(sound[:31800], None)
    assert both.values.shape == (100, 768)
    assert both.specification.columns[384] == "whisper-tiny-en-layer-1-000"
    assert both.times is not None and both.times[-1].tolist() == [1.98, 31800 / 16000]
    alone = WhisperLayersExtractor("1").stream(sound[:31800], None)
    np.testing.assert_array_equal(both.values[:, 384:], alone.values)


@pytest.mark.parametrize("samples", [0, 1, 319, 320, 321, 480, 800])
def test_there_is_a_state_for_every_step_however_short_the_sound(sound: Sound, samples: int) -> None:
    found = WhisperLayersExtractor("0").stream(sound[:samples], None)
    assert found.values.shape == (-(-samples // 320), 384)
    assert np.isfinite(found.values).all()


def test_windows_in_order_share_all_of_the_sound() -> None:
    sound = np.random.default_rng(0).standard_normal(61 * 16000).astype(np.float32)
    found = windows_in_order(sound)
    assert len(found) == 3
    steps = np.concatenate([window.steps for window in found])
    assert steps.tolist() == list(range(-(-len(sound) // 320)))
    assert max(len(window.of(sound)) for window in found) <= 25 * 16000


@pytest.mark.parametrize("argument", ["5", "", "1+1", "1,2", "-1", "x", "1+"])
def test_layers_that_do_not_exist_are_refused(argument: str) -> None:
    with pytest.raises(DataError, match=r"names no layers.*Remedy: join some of 0, 1, 2, 3, 4"):
        WhisperLayersExtractor(argument)


def test_a_request_names_the_layers() -> None:
    streams = ClipExtractor(["audio"], audio="voice,whisper-layers:2+3").specification.modalities
    assert streams == ("audio", "audio_whisper_layers")


def model_file(folder: Path, *, version: int = 6) -> Path:
    """A model of one array in the format of the recogniser's library."""

    def text(name: str) -> bytes:
        return struct.pack("<H", len(name) + 1) + name.encode() + b"\0"

    values = np.arange(6, dtype=np.float16)
    array = text("encoder/x") + struct.pack("<BIIBI", 2, 2, 3, 4, values.nbytes) + values.tobytes()
    file = folder / "model.bin"
    file.write_bytes(struct.pack("<I", version) + text("WhisperSpec") + struct.pack("<II", 3, 1) + array)
    return file


def test_arrays_of_a_converted_model_are_read_as_they_were_written(tmp_path: Path) -> None:
    found = converted_weights(model_file(tmp_path))
    assert list(found) == ["encoder/x"]
    assert found["encoder/x"].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("kept", [0, 3, 10, 25, 40, -1])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, kept: int) -> None:
    file = model_file(tmp_path)
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(UpstreamError, match=r"cut off or damaged.*Remedy: trivium upstream fetch"):
        converted_weights(file)


def test_another_version_of_the_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UpstreamError, match="its version is 5"):
        converted_weights(model_file(tmp_path, version=5))
