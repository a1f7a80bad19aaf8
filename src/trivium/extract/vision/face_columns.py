"""Face: 66 named columns for every frame that shows one: expression, head pose, openings, place, confidence, gaze.

The 52 expression strengths are blendshapes with ARKit's names. They resemble facial action units, but are not FACS.
Frames without a face give no step: nothing is guessed, and alignment masks the words they would have covered. Of
several faces the one that speaks is taken (:mod:`trivium.extract.vision.speaker`); the others may be had as further
streams.
"""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Stream, StreamSpecification
from trivium.extract.columns import Column
from trivium.extract.vision.gaze import gaze
from trivium.extract.vision.head_pose import CanonicalFace, face_size, head_pose, openings
from trivium.extract.vision.landmarks import BLENDSHAPES, Face, FaceTracker
from trivium.extract.vision.recorder import FaceRecorder
from trivium.upstream import model_file

__all__ = ["FACE_COLUMNS", "FaceExtractor", "face_specification", "face_stream", "face_tracker"]

FACE_COLUMNS: tuple[Column, ...] = (
    *(Column(f"blendshape_{name}", "1", "Strength of this expression; 0 to 1") for name in BLENDSHAPES),
    Column("head_pitch", "degrees", "Positive when the face looks up"),
    Column("head_yaw", "degrees", "Positive when the face turns to the right of the picture"),
    Column("head_roll", "degrees", "Positive when the head leans counter-clockwise in the picture"),
    Column("head_distance", "cm", "Distance, for a camera with a vertical angle of view of 63 degrees"),
    Column("eye_opening_left", "1", "Height over width of the opening; the person's own left"),
    Column("eye_opening_right", "1", "Height over width of the opening; the person's own right"),
    Column("mouth_opening", "1", "Height over width between the inner lips"),
    Column("face_x", "picture widths", "Middle of the face from the left"),
    Column("face_y", "picture heights", "Middle of the face from the top"),
    Column("face_size", "picture heights", "Height of the face, chin to forehead"),
    Column("face_confidence", "1", "How sure the landmark network is that this is a face; 0.5 to 1"),
    Column("gaze_yaw", "degrees", "Eyes in the head, positive towards the person's own left; 0 where no eye is seen"),
    Column("gaze_pitch", "degrees", "Eyes in the head, positive upwards; 0 where no eye is seen"),
    Column("gaze_seen", "1", "Share of the two eyes that are open and not turned away; gaze is their mean"),
)


def face_specification() -> StreamSpecification:
    """Specification of every stream that :func:`face_stream` gives.

    Examples
    --------
    >>> face_specification().dim
    66
    """
    names = tuple(column.name for column in FACE_COLUMNS)
    return StreamSpecification("vision", names, clock="seconds", extractor="trivium-face", version="1")


class FaceExtractor:
    """The extractor ``face``: see :func:`face_stream`.

    Parameters
    ----------
    argument : str
        Takes none.
    local : path, optional
        See :func:`trivium.upstream.model_folder`.

    Examples
    --------
    >>> FaceExtractor().models
    ('face-landmarker',)
    """

    models = ("face-landmarker",)
    takes = ""

    def __init__(self, argument: str = "", local: str | PathLike[str] | None = None) -> None:
        self._local = local

    @property
    def specification(self) -> StreamSpecification:
        """Specification of its streams."""
        return face_specification()

    def tracker(self) -> FaceTracker:
        """Networks that find and follow faces."""
        return face_tracker(self._local)

    def row(self, face: Face, canonical: CanonicalFace, width: int, height: int) -> NDArray[np.float32]:
        """Columns of one face: (66,).

        Parameters
        ----------
        face : Face
            In pixels of its picture.
        canonical : CanonicalFace
            What poses are told from.
        width, height : int
            Of the picture, in pixels.
        """
        pose = head_pose(face.landmarks, canonical, height)
        middle = (face.box[:2] + face.box[2:]) / 2
        place = (middle[0] / width, middle[1] / height, face_size(face.landmarks, height), face.presence)
        angles = (pose.pitch, pose.yaw, pose.roll, pose.distance)
        look = gaze(face.landmarks, pose)
        measures = (*angles, *openings(face.landmarks), *place, look.yaw, look.pitch, look.seen)
        return np.concatenate([face.blendshapes, measures]).astype(np.float32)


def face_tracker(local: str | PathLike[str] | None = None, *, threads: int = 1) -> FaceTracker:
    """Tracker with the face model of the catalogue; make it once and use it for many clips.

    Parameters
    ----------
    local : path, optional
        Folder of the user's own models, looked at first (see :func:`trivium.upstream.model_folder`).
    threads : int
        Processor threads of each network.

    Raises
    ------
    UpstreamError
        The model is not on this machine.
    """
    return FaceTracker(model_file("face-landmarker", local), threads)


def face_stream(
    frames: Iterable[tuple[float, NDArray[np.uint8]]],
    *,
    frame_seconds: float,
    tracker: FaceTracker | None = None,
    sound: NDArray[np.float32] | None = None,
) -> Stream | None:
    """Face columns of the frames of one clip; of several faces, those of the one that speaks.

    Parameters
    ----------
    frames : iterable of (float, array of shape (H, W, 3))
        Time in seconds, rising, and 8-bit RGB picture. They are read once, one at a time.
    frame_seconds : float
        How long a frame is shown at most; it ends earlier where the next one begins.
    tracker : FaceTracker, optional
        Networks that are loaded already.
    sound : array of shape (n,), float32, optional
        Mono at 16 kHz from second 0; tells which face speaks.

    Returns
    -------
    Stream or None
        Values (T, 66) for the T frames with a face, and their half-open times; None if no frame shows a face.

    Raises
    ------
    DataError
        The times do not rise, or a picture is not (H, W, 3) of 8 bits.

    Examples
    --------
    >>> face_stream(clip, frame_seconds=0.08).steps  # doctest: +SKIP
    213
    """
    recorder = FaceRecorder(tracker or face_tracker(), frame_seconds, [FaceExtractor()])
    for time, picture in frames:
        recorder.add(time, picture)
    (stream,) = recorder.streams(recorder.choice(sound))
    return stream
