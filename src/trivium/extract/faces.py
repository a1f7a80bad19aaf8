"""Faces of several spans of a clip, found in one pass over its frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from trivium.corpus import Stream
from trivium.extract.face_landmarks import FaceTracker
from trivium.extract.media import Clip
from trivium.extract.recording import Recording
from trivium.extract.vision import FaceRecorder

__all__ = ["SeenFace", "see_faces"]

_WHOLE = (float("-inf"), float("inf"))


class SeenFace(NamedTuple):
    """What was seen in one span.

    Parameters
    ----------
    stream : Stream or None
        Face columns (T, 63); None where no frame shows a face.
    frames : int
        How many frames were looked at.
    """

    stream: Stream | None = None
    frames: int = 0


def see_faces(
    clip: Clip, recordings: Sequence[Recording], tracker: FaceTracker, frames_per_second: float
) -> list[SeenFace]:
    """Look at the frames of a clip once, for all its spans; faces are followed anew in each.

    Parameters
    ----------
    clip : Clip
        With a picture.
    recordings : sequence of Recording
        The clip or spans of it; they may overlap.
    tracker : FaceTracker
        Networks that follow a face.
    frames_per_second : float
        How many frames are looked at.

    Returns
    -------
    list of SeenFace
        One for each recording.
    """
    # a frame lasts until the next one; where one is dropped, half as long again
    longest = 1.5 / min(frames_per_second, clip.facts.frames_per_second)
    spans = [_WHOLE if one.is_whole else one.span(clip.facts.seconds) for one in recordings]
    recorders = [FaceRecorder(tracker, longest) for _ in recordings]
    for frame in clip.frames(frames_per_second, () if _WHOLE in spans else spans):
        for (start, end), recorder in zip(spans, recorders, strict=True):
            if start <= frame.time < end:
                recorder.add(frame.time, frame.rgb)
    return [SeenFace(one.stream(end), one.frames) for one, (_, end) in zip(recorders, spans, strict=True)]
