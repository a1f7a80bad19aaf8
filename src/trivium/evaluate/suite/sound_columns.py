"""Columns of sound, made once per clip: the voice every 10 ms and the recogniser's encoder states every 20 ms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trivium.errors import MediaError
from trivium.evaluate.suite.sequences import Steps, kept_sequences

__all__ = ["sound_columns"]


def sound_columns(files: Sequence[Path], kind: str, folder: Path, *, show: bool = True) -> list[Steps]:
    """Voice columns or encoder states of clips of sound.

    Parameters
    ----------
    files : sequence of path
        N clips.
    kind : {"voice", "states"}
        61 voice columns every 10 ms; or 384 states of Whisper-tiny's encoder every 20 ms.
    folder : path
        Where they are kept, outside the repository.
    show : bool
        Show progress.

    Returns
    -------
    list of N arrays of shape (T_i, 61) or (T_i, 384)

    Raises
    ------
    MediaError
        A clip has no sound or cannot be decoded.
    UpstreamError
        The recogniser is not on this machine.
    """
    from trivium.extract.audio.voice import voice_specification, voice_stream
    from trivium.extract.audio.whisper import WhisperExtractor
    from trivium.extract.words.speech import encoder_states

    specification = voice_specification() if kind == "voice" else WhisperExtractor().specification

    def of(number: int) -> dict[str, Steps]:
        sound = _decoded(files[number])
        return {kind: np.asarray(voice_stream(sound).values, np.float32) if kind == "voice" else encoder_states(sound)}

    told = f"{kind} {specification.extractor} {specification.version} {' '.join(specification.columns)}"
    names = [f"{file.name} {file.stat().st_size}" for file in files]
    return kept_sequences(names, told, of, folder / "sound", title=f"{kind} columns", show=show)[kind]


def _decoded(file: Path) -> Steps:
    """Mono sound at 16 kHz."""
    from trivium.extract.source.media import open_clip

    sound = open_clip(file).sound()
    if sound is None:
        raise MediaError("has no sound", file=file)
    return sound
