"""A clip that is open, and its sound: what every span of it is made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trivium.extract.media import SOUND_RATE, Clip
from trivium.extract.recording import Recording

__all__ = ["OpenedClip"]


@dataclass(frozen=True, eq=False)
class OpenedClip:
    """A clip and its sound, decoded once for all its spans.

    Parameters
    ----------
    clip : Clip
        The file.
    sound : array of shape (n,), float32, or None
        Mono at 16 kHz; None where the clip has none, or nobody listens.
    """

    clip: Clip
    sound: NDArray[np.float32] | None

    @property
    def seconds(self) -> float:
        """Length of the clip."""
        return self.clip.facts.seconds

    def begin(self, recording: Recording) -> float:
        """Second of the clip at which the first sample of the recording lies.

        Parameters
        ----------
        recording : Recording
            The clip or a span of it.
        """
        return round(recording.span(self.seconds)[0] * SOUND_RATE) / SOUND_RATE

    def part(self, recording: Recording) -> NDArray[np.float32] | None:
        """Sound of the recording (n,); None where there is none.

        Parameters
        ----------
        recording : Recording
            The clip or a span of it.
        """
        if self.sound is None or recording.is_whole:
            return self.sound
        first, last = (round(edge * SOUND_RATE) for edge in recording.span(self.seconds))
        part = self.sound[first:last]
        return part if len(part) else None
