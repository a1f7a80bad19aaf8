"""Faces of several spans of a clip, found in one pass over its frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trivium.errors import MediaError
from trivium.extract.opened import OpenedClip
from trivium.extract.source.recording import Recording
from trivium.extract.vision.landmarks import FaceTracker
from trivium.extract.vision.recorder import FaceRecorder, FacesFound, VisionExtractor

__all__ = ["see_faces"]

_WHOLE = (float("-inf"), float("inf"))


def see_faces(
    source: OpenedClip,
    recordings: Sequence[Recording],
    tracker: FaceTracker,
    extractors: Sequence[VisionExtractor],
    *,
    frames_per_second: float,
    faces: int = 1,
) -> list[FacesFound]:
    """Look at the frames of a clip once, for all its spans; faces are followed anew in each.

    Where a span shows several faces, its sound helps to tell which one speaks. Damage in the picture is no error here:
    it is asked for with each span.

    Parameters
    ----------
    source : OpenedClip
        With a picture.
    recordings : sequence of Recording
        The clip or spans of it; they may overlap.
    tracker : FaceTracker
        Networks that follow a face.
    extractors : sequence of VisionExtractor
        Make the columns.
    frames_per_second : float
        How many frames are looked at.
    faces : int
        How many faces are wanted.

    Returns
    -------
    list of FacesFound
        One for each recording.
    """
    clip = source.clip
    # a frame lasts until the next one; where one is dropped, half as long again
    longest = 1.5 / min(frames_per_second, clip.facts.frames_per_second)
    spans = [_WHOLE if one.is_whole else one.span(clip.facts.seconds) for one in recordings]
    recorders = [FaceRecorder(tracker, longest, extractors) for _ in recordings]
    for frame in clip.frames(frames_per_second, () if _WHOLE in spans else spans, refuse=False):
        if source.stopped.is_set():
            break
        for (start, end), recorder in zip(spans, recorders, strict=True):
            if start <= frame.time < end:
                recorder.add(frame.time, frame.rgb)
    return [
        recorder.found(_sound(source, one) if recorder.several else None, source.begin(one), end, faces)
        for one, recorder, (_, end) in zip(recordings, recorders, spans, strict=True)
    ]


def _sound(source: OpenedClip, recording: Recording) -> NDArray[np.float32] | None:
    """Sound that only helps: where it is broken, there is none."""
    try:
        return source.part(recording)
    except MediaError:
        return None
