"""A clip that is open, with its sound and what earlier runs made of it: what every span of it is made from."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cached_property
from math import inf

import numpy as np
from numpy.typing import NDArray

from trivium.extract.earlier import Earlier
from trivium.extract.source.media import SOUND_RATE, Clip
from trivium.extract.source.recording import Recording

__all__ = ["OpenedClip"]


@dataclass(frozen=True, eq=False)
class OpenedClip:
    """A clip and its sound, which is decoded once, when somebody listens.

    Parameters
    ----------
    clip : Clip
        The file.
    content : str
        Hash of the file.
    earlier : Earlier
        What may be taken over.
    stopped : Event
        Set when nobody wants the rest any more: whoever looks at its frames beside the others ends.
    """

    clip: Clip
    content: str = ""
    earlier: Earlier = field(default_factory=Earlier)
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def seconds(self) -> float:
        """Length of the clip."""
        return self.clip.facts.seconds

    @cached_property
    def sound(self) -> NDArray[np.float32] | None:
        """Mono sound at 16 kHz, (n,), whatever is damaged in it; None where the clip has none."""
        return self.clip.sound(refuse=False)

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

        Raises
        ------
        MediaError
            Too much of the sound cannot be decoded before the recording's end.
        """
        if self.sound is None:
            return None
        self.damage(recording, "audio")
        if recording.is_whole:
            return self.sound
        first, last = (round(edge * SOUND_RATE) for edge in recording.span(self.seconds))
        part = self.sound[first:last]
        return part if len(part) else None

    def damage(self, recording: Recording, track: str) -> str:
        """What could not be decoded before the recording's end; see :meth:`~trivium.extract.source.media.Clip.damage`.

        Parameters
        ----------
        recording : Recording
            The clip or a span of it.
        track : {"audio", "video"}
            Which.

        Raises
        ------
        MediaError
            It is too much.
        """
        return self.clip.damage(track, inf if recording.is_whole else recording.span(self.seconds)[1])
