"""Columns of sound, made once per clip: voice every 10 ms, states of the recogniser's encoder, and of its layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.errors import MediaError
from trivium.evaluate.suite.sequences import Steps, kept_sequences
from trivium.evaluate.suite.source import source_digest
from trivium.files import sha256_file

__all__ = ["LAYERS", "sound_columns"]

LAYERS = (1, 2, 3, 4)
"""Layers of the recogniser's encoder whose states are told apart."""


def sound_columns(files: Sequence[Path], kind: str, folder: Path, *, show: bool = True) -> list[Steps]:
    """Voice columns or encoder states of clips of sound, or what single layers of the encoder hear.

    Parameters
    ----------
    files : sequence of path
        N clips.
    kind : {"voice", "states", "layers"}
        61 voice columns every 10 ms; 384 last states of Whisper-tiny's encoder every 20 ms; or mean and spread over the
        clip of the 384 states after each of its four layers.
    folder : path
        Where they are kept, outside the repository.
    show : bool
        Show progress.

    Returns
    -------
    list of N arrays of shape (T_i, 61), (T_i, 384) or (2, 4 x 384)

    Raises
    ------
    MediaError
        A clip has no sound or cannot be decoded.
    UpstreamError
        The recogniser is not on this machine.
    """
    columns_of = _maker(kind)

    def of(number: int) -> dict[str, Steps]:
        return {kind: columns_of(_decoded(files[number]))}

    told = f"{kind} {source_digest(__name__)}"
    names = [f"{file.name} {sha256_file(file)}" for file in files]
    return kept_sequences(names, told, of, folder / "sound", title=f"{kind} columns", show=show)[kind]


def _maker(kind: str) -> Callable[[Steps], Steps]:
    """What makes columns of a kind of sound."""
    if kind == "voice":
        from trivium.extract.audio.voice import voice_stream

        return lambda sound: np.asarray(voice_stream(sound).values, np.float32)
    if kind == "states":
        from trivium.extract.words.speech import encoder_states

        return encoder_states
    from trivium.extract.audio.whisper_layers import WhisperLayersExtractor

    extractor = WhisperLayersExtractor("+".join(map(str, LAYERS)))
    return lambda sound: _mean_and_spread(extractor.stream(sound, None).values)


def _mean_and_spread(values: NDArray[Any]) -> Steps:
    return np.stack([values.mean(axis=0), values.std(axis=0)]).astype(np.float32)


def _decoded(file: Path) -> Steps:
    """Mono sound at 16 kHz."""
    from trivium.extract.source.media import open_clip

    sound = open_clip(file).sound()
    if sound is None:
        raise MediaError("has no sound", file=file)
    return sound
