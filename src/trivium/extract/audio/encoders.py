"""Sound to vectors by any audio encoder that the user has: wav2vec 2.0, HuBERT, WavLM, or the encoder of Whisper.

States of the last layer, or of another one. Encoders of waves see each step through the field of their convolutions
(400 samples every 320, as a rule): a step lies in the middle of its field and is as long as the stride. Sound is read
in windows of 20 seconds that begin every 10 seconds; a window answers for its middle, so joins lie at 15, 25, 35 ...
seconds whatever the length of the sound (our choice). What a model does to its whole input, such as bringing it to unit
variance, it does to each window.
"""

from __future__ import annotations

from functools import cached_property
from itertools import count
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Stream, StreamSpecification
from trivium.errors import DataError, UpstreamError
from trivium.extract.encoder_folder import find_encoder, one_thread
from trivium.extract.scratch import ScratchRows, let_go
from trivium.extract.source.media import SOUND_RATE
from trivium.extract.words.speech import Heard

__all__ = ["AudioEncoderExtractor", "Field", "field_of"]

_WINDOW_SECONDS, _HOP_SECONDS = 20, 10


class Field(NamedTuple):
    """What a step sees of the sound, in samples.

    Parameters
    ----------
    width : int
        Samples that one step sees.
    stride : int
        Samples from one step to the next.
    """

    width: int
    stride: int

    def times(self, steps: int, samples: int) -> NDArray[np.float64]:
        """Start and end (steps, 2) in seconds of steps that are as long as the stride, in the middle of their fields.

        Parameters
        ----------
        steps : int
            How many.
        samples : int
            Length of the sound, over which none reaches.

        Examples
        --------
        >>> Field(400, 320).times(2, 16000).tolist()
        [[0.0025, 0.0225], [0.0225, 0.0425]]
        """
        first = (self.width - self.stride) // 2 if samples >= self.width else 0
        edges = np.minimum(first + np.arange(steps + 1) * self.stride, samples) / SOUND_RATE
        return np.stack([edges[:-1], edges[1:]], axis=1)


def field_of(kernels: list[int], strides: list[int]) -> Field:
    """Field of a stack of convolutions.

    Parameters
    ----------
    kernels, strides : list of int
        Of each layer, from the sound upwards.

    Examples
    --------
    >>> field_of([10, 3, 3, 3, 3, 2, 2], [5, 2, 2, 2, 2, 2, 2])
    Field(width=400, stride=320)
    """
    width = 1 + sum((kernel - 1) * prod(strides[:place]) for place, kernel in enumerate(kernels))
    return Field(width, prod(strides))


class AudioEncoderExtractor:
    """The extractor ``hf:FOLDER`` or ``hf:FOLDER@LAYER``: an audio encoder of transformers.

    Parameters
    ----------
    argument : str
        A folder or name on the hub (see :func:`trivium.extract.encoder_folder.find_encoder`), and after ``@`` which
        layer: 0 is what the first one reads; without it, the last states.
    local : path, optional
        Not used.

    Raises
    ------
    DependencyError
        transformers or torch is not installed.
    UpstreamError
        There is no such encoder on this machine.
    """

    models: tuple[str, ...] = ()
    takes = "FOLDER[@LAYER]"

    def __init__(self, argument: str, local: str | Path | None = None) -> None:
        name, _, layer = argument.rpartition("@")
        if name and layer.isdigit():
            self._layer: int | None = int(layer)
        else:
            name, self._layer = argument, None
        self._folder = find_encoder(name)

    @property
    def specification(self) -> StreamSpecification:
        """Columns are named after the encoder and the layer."""
        name = self._folder.name + ("" if self._layer is None else f"-layer-{self._layer}")
        columns = tuple(f"{name}-{i:04d}" for i in range(self._folder.width))
        return StreamSpecification("audio", columns, clock="seconds", extractor="hf", version=self._folder.version)

    def stream(self, sound: NDArray[np.float32], heard: Heard | None) -> Stream:
        """Values (T, D) at times (T, 2) of sound (n,); an hour of 768 columns takes 553 MB on disk."""
        hop = round(_HOP_SECONDS * SOUND_RATE / self._field.stride)
        window = _WINDOW_SECONDS * SOUND_RATE
        states = ScratchRows(np.float32)
        with one_thread():
            for place in count():
                begin = place * hop * self._field.stride
                seen = self._states(sound[begin : begin + window])
                last = len(sound) - begin <= 3 * hop * self._field.stride // 2
                states.add(seen[hop // 2 if place else 0 : None if last else hop * 3 // 2])
                let_go(sound)
                if last:
                    break
        values = states.finished()
        return Stream(values, self.specification, self._field.times(len(values), len(sound)))

    def _states(self, sound: NDArray[np.float32]) -> NDArray[np.float32]:
        whole = np.pad(sound, (0, max(self._field.width - len(sound), 0)))
        given = self._features(whole, sampling_rate=SOUND_RATE, return_tensors="pt")
        found = self._model(given[self._features.model_input_names[0]], output_hidden_states=self._layer is not None)
        states = found.last_hidden_state if self._layer is None else self._of_layer(found.hidden_states)
        values: NDArray[np.float32] = states[0].float().numpy()
        return values[: -(-len(whole) // self._field.stride)] if self._from_spectrum else values

    def _of_layer(self, layers: Any) -> Any:
        if self._layer is None or self._layer >= len(layers):
            raise DataError(
                f"the encoder has layers 0 to {len(layers) - 1}",
                file=self._folder.path,
                remedy="name one of them, or leave @LAYER out for the last",
            )
        return layers[self._layer]

    @cached_property
    def _from_spectrum(self) -> bool:
        return bool(self._features.model_input_names[0] == "input_features")

    @cached_property
    def _field(self) -> Field:
        config = self._model.config
        if self._from_spectrum:
            if config.model_type != "whisper":
                raise UpstreamError(
                    f"steps of {config.model_type} are not known",
                    file=self._folder.path,
                    remedy="take a model like wav2vec 2, HuBERT, WavLM or Whisper",
                )
            stride = 2 * int(self._features.hop_length)
            return Field(stride, stride)
        return field_of(list(config.conv_kernel), list(config.conv_stride))

    @cached_property
    def _features(self) -> Any:
        features = self._folder.load("AutoFeatureExtractor")
        if features.sampling_rate != SOUND_RATE:
            raise UpstreamError(
                f"takes sound at {features.sampling_rate} Hz, not 16000",
                file=self._folder.path,
                remedy="take an encoder that was trained at 16 kHz",
            )
        return features

    @cached_property
    def _model(self) -> Any:
        return self._folder.model()
