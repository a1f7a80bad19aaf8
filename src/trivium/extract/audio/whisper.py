"""What Whisper's encoder hears: 384 columns every 20 ms, from the pass that also recognises the words.

These are the states of the last layer of tiny.en (Radford et al. 2023). How the sound is divided is told in
:mod:`trivium.extract.words.listening`; where words are recognised in the same sound, nothing is encoded twice.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Stream, StreamSpecification
from trivium.extract.source.media import SOUND_RATE
from trivium.extract.words.listening import STATE_SAMPLES
from trivium.extract.words.speech import Heard, encoder_states
from trivium.upstream import model

__all__ = ["WhisperExtractor"]

_WIDTH = 384
_WINDOWS = "3"  # changes with the division of the sound


class WhisperExtractor:
    """The extractor ``whisper``: states of the recogniser's encoder, one for every 20 ms of the sound.

    Parameters
    ----------
    argument : str
        Takes none.
    local : path, optional
        See :func:`trivium.upstream.model_folder`.

    Examples
    --------
    >>> WhisperExtractor().specification.columns[-1]
    'whisper-tiny-en-383'
    """

    models = ("whisper-tiny-en",)
    takes = ""
    takes_states = True

    def __init__(self, argument: str = "", local: str | Path | None = None) -> None:
        self._local = local

    @property
    def specification(self) -> StreamSpecification:
        """Specification of its streams."""
        columns = tuple(f"whisper-tiny-en-{i:03d}" for i in range(_WIDTH))
        version = f"{model('whisper-tiny-en').version}-{_WINDOWS}"
        return StreamSpecification("audio", columns, clock="seconds", extractor="whisper-tiny-en", version=version)

    def stream(self, sound: NDArray[np.float32], heard: Heard | None) -> Stream:
        """Values (T, 384) at times (T, 2), T = ceil(n / 320), of sound (n,); the last step may be shorter.

        An hour of sound holds 276 MB of states; they lie in a temporary file.
        """
        known = None if heard is None else heard.states
        values = encoder_states(sound, local=self._local) if known is None else known
        edges = np.minimum(np.arange(len(values) + 1) * STATE_SAMPLES, len(sound)) / SOUND_RATE
        return Stream(values, self.specification, np.stack([edges[:-1], edges[1:]], axis=1))
