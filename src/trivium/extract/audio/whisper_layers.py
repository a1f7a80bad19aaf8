"""What single layers of Whisper's encoder hear: the extractor ``whisper-layers:1+2``, 384 columns a layer every 20 ms.

The last layer is made for words; how something is said is often plainer in the layers before it (Pasad et al. 2021 for
other encoders of speech). The recogniser's library gives the last states only, so the encoder (Radford et al. 2023) is
computed here in NumPy, from the weights in the recogniser's own file: nothing else has to be fetched. With single
precision on both sides the last states are those of the library to 2e-4, at about the same speed.

Nothing is decoded, so a window needs no silence after it, and speech is not looked for: the sound is read in order in
windows of at most 25 seconds that end at quiet places (our choice). States are those between the blocks of the encoder,
before its last normalisation; layer 0 is what the first block reads.
"""

from __future__ import annotations

import struct
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Stream, StreamSpecification
from trivium.errors import DataError, DependencyError, UpstreamError
from trivium.extract.encoder_layers import gelu, layer_norm, softmax, split_heads
from trivium.extract.scratch import ScratchRows, let_go
from trivium.extract.source.media import SOUND_RATE
from trivium.extract.words.listening import STATE_SAMPLES, windows_in_order
from trivium.extract.words.speech import Heard
from trivium.upstream import model, model_folder

__all__ = ["WhisperEncoder", "WhisperLayersExtractor", "converted_weights", "load_encoder"]

Array = NDArray[np.float32]
_LAYERS, _WIDTH = 4, 384
_EPSILON = 1e-5
_KERNEL = 3  # of both convolutions
_KINDS = (np.float32, np.int8, np.int16, np.int32, np.float16)  # as the file numbers them
_WINDOWS = "1"  # changes with the division of the sound


class WhisperLayersExtractor:
    """The extractor ``whisper-layers:LAYER[+LAYER]``: states of layers of the recogniser's encoder, every 20 ms.

    Parameters
    ----------
    argument : str
        Layers from 0 to 4, joined with ``+``; their columns stand side by side in this order.
    local : path, optional
        See :func:`trivium.upstream.model_folder`.

    Raises
    ------
    DataError
        A layer does not exist or is named twice.

    Examples
    --------
    >>> WhisperLayersExtractor("1+3").specification.columns[384]
    'whisper-tiny-en-layer-3-000'
    """

    models = ("whisper-tiny-en",)
    takes = "LAYER[+LAYER]"

    def __init__(self, argument: str, local: str | Path | None = None) -> None:
        names = argument.split("+")
        known = [str(number) for number in range(_LAYERS + 1)]
        if any(name not in known for name in names) or len(set(names)) < len(names):
            raise DataError(
                f"{argument!r} names no layers of the recogniser's encoder",
                remedy=f"join some of {', '.join(known)} with +, each once, as in whisper-layers:1+2",
            )
        self._layers = [int(name) for name in names]
        self._local = local

    @property
    def specification(self) -> StreamSpecification:
        """Specification of its streams."""
        columns = tuple(f"whisper-tiny-en-layer-{layer}-{i:03d}" for layer in self._layers for i in range(_WIDTH))
        version = f"{model('whisper-tiny-en').version}-{_WINDOWS}"
        return StreamSpecification("audio", columns, clock="seconds", extractor="whisper-layers", version=version)

    def stream(self, sound: NDArray[np.float32], heard: Heard | None) -> Stream:
        """Values (T, 384 L) of L layers at times (T, 2), T = ceil(n / 320), of sound (n,)."""
        encoder, kept = load_encoder(self._local), ScratchRows(np.float32)
        kept.add(np.zeros((0, _WIDTH * len(self._layers)), np.float32))
        for window in windows_in_order(sound):
            states = encoder.layers(self._features(window.of(sound)))[self._layers]
            kept.add(np.concatenate(list(states), axis=1)[: len(window.steps)])
            let_go(sound)
        values = kept.finished()
        edges = np.minimum(np.arange(len(values) + 1) * STATE_SAMPLES, len(sound)) / SOUND_RATE
        return Stream(values, self.specification, np.stack([edges[:-1], edges[1:]], axis=1))

    @cached_property
    def _features(self) -> Any:
        try:
            from faster_whisper.feature_extractor import FeatureExtractor
        except ImportError as cause:
            raise DependencyError("faster-whisper is not installed", remedy="pip install 'trivium[extract]'") from cause
        return FeatureExtractor()


class WhisperEncoder:
    """Whisper's encoder in NumPy.

    Parameters
    ----------
    weights : mapping of str to array
        As :func:`converted_weights` gives them; those of the encoder are used.

    Examples
    --------
    >>> load_encoder().layers(np.zeros((80, 100), np.float32)).shape  # doctest: +SKIP
    (5, 50, 384)
    """

    def __init__(self, weights: dict[str, NDArray[Any]]) -> None:
        own = {name.removeprefix("encoder/"): part for name, part in weights.items() if name.startswith("encoder/")}
        self._heads = int(own["num_heads"])
        self._weights: dict[str, Array] = {name: np.asarray(part, np.float32) for name, part in own.items()}
        self._blocks = len({name.split("/")[0] for name in own if name.startswith("layer_") and name[6].isdigit()})

    def layers(self, features: NDArray[np.floating]) -> Array:
        """States before the first block and after every one.

        Parameters
        ----------
        features : array of shape (80, F)
            Log-mel frames of 10 ms, at most 30 seconds.

        Returns
        -------
        array of shape (5, ceil(F / 2), 384), float32
            Not normalised; see :meth:`normalised`.
        """
        x = self._convolved(np.asarray(features, np.float32).T, "conv1", stride=1)
        x = self._convolved(x, "conv2", stride=2)
        states = [x + self._weights["position_encodings/encodings"][: len(x)]]
        for number in range(self._blocks):
            states.append(self._block(states[-1], f"layer_{number}"))
        return np.stack(states)

    def normalised(self, states: Array) -> Array:
        """What the decoder reads, from the states (T, 384) after the last block."""
        return self._normal(states, "layer_norm")

    def _convolved(self, x: Array, name: str, *, stride: int) -> Array:
        padded = np.pad(x, ((1, 1), (0, 0)))
        count = (len(x) - 1) // stride + 1
        seen = [padded[place : place + stride * (count - 1) + 1 : stride] for place in range(_KERNEL)]
        kernel = self._weights[f"{name}/weight"]
        flat = kernel.transpose(2, 1, 0).reshape(-1, len(kernel))
        return gelu(np.concatenate(seen, axis=1) @ flat + self._weights[f"{name}/bias"])

    def _block(self, x: Array, name: str) -> Array:
        own = f"{name}/self_attention"
        joined = self._linear(self._normal(x, f"{own}/layer_norm"), f"{own}/linear_0")
        query, key, value = (split_heads(part, self._heads) for part in np.split(joined, 3, axis=1))
        powers = query @ key.transpose(0, 2, 1) / np.float32(np.sqrt(x.shape[1] / self._heads))
        seen = softmax(powers) @ value
        x = x + self._linear(seen.transpose(1, 0, 2).reshape(x.shape), f"{own}/linear_1")
        wide = gelu(self._linear(self._normal(x, f"{name}/ffn/layer_norm"), f"{name}/ffn/linear_0"))
        return x + self._linear(wide, f"{name}/ffn/linear_1")

    def _linear(self, x: Array, name: str) -> Array:
        result: Array = x @ self._weights[f"{name}/weight"].T + self._weights[f"{name}/bias"]
        return result

    def _normal(self, x: Array, name: str) -> Array:
        return layer_norm(x, self._weights[f"{name}/gamma"], self._weights[f"{name}/beta"], _EPSILON)


@lru_cache(maxsize=2)
def load_encoder(local: str | Path | None = None) -> WhisperEncoder:
    """Read the encoder from the recogniser's file in the catalogue.

    Parameters
    ----------
    local : path, optional
        See :func:`trivium.upstream.model_folder`.

    Raises
    ------
    UpstreamError
        The model is missing, altered, or of another kind.
    """
    file = model_folder("whisper-tiny-en", local) / "model.bin"
    weights = converted_weights(file)
    shape = weights.get(f"encoder/layer_{_LAYERS - 1}/ffn/linear_1/weight", np.zeros(0)).shape
    if shape[:1] != (_WIDTH,):
        raise _unknown(file, "it holds no encoder of the expected size")
    return WhisperEncoder(weights)


def converted_weights(file: Path) -> dict[str, NDArray[Any]]:
    """Arrays of a model in CTranslate2's format, version 6: names, shapes, kinds and bytes, one after the other.

    Parameters
    ----------
    file : path
        ``model.bin``.

    Returns
    -------
    dict of str to array
        Read-only, in the precision of the file.

    Raises
    ------
    UpstreamError
        The file is of another kind, or cut off.
    """
    content = memoryview(file.read_bytes())
    try:
        version, place = struct.unpack_from("<I", content)[0], 4
        if version != 6:
            raise _unknown(file, f"its version is {version}")
        _, place = _text(content, place)
        _, count = struct.unpack_from("<II", content, place)
        place += 8
        found: dict[str, NDArray[Any]] = {}
        for _ in range(count):
            name, place = _text(content, place)
            found[name], place = _array(content, place)
    except (struct.error, ValueError, IndexError) as cause:
        raise _unknown(file, "it is cut off or damaged") from cause
    return found


def _text(content: memoryview, place: int) -> tuple[str, int]:
    """Text with its length before it and a zero after it, and the place behind."""
    (length,) = struct.unpack_from("<H", content, place)
    begin, end = place + 2, place + 2 + length
    return bytes(content[begin : end - 1]).decode("utf-8"), end


def _array(content: memoryview, place: int) -> tuple[NDArray[Any], int]:
    """Array with its shape, kind and count of bytes before it, and the place behind."""
    rank = content[place]
    *shape, kind, size = struct.unpack_from(f"<{rank}IBI", content, place + 1)
    begin = place + 1 + struct.calcsize(f"<{rank}IBI")
    values = np.frombuffer(content[begin : begin + size], _KINDS[kind])
    return values.reshape(shape), begin + size


def _unknown(file: Path, why: str) -> UpstreamError:
    return UpstreamError(
        f"is no model that can be read: {why}", file=file, remedy="trivium upstream fetch whisper-tiny-en"
    )
