"""Face: 63 named columns for every frame that shows one: expression, head pose, openings, place, confidence.

The 52 expression strengths are blendshapes with ARKit's names. They resemble facial action units, but are not FACS.
Frames without a face give no step: nothing is guessed, and alignment masks the words they would have covered.
"""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Stream, StreamSpecification
from trivium.errors import DataError
from trivium.extract.columns import Column
from trivium.extract.face_landmarks import BLENDSHAPES, Face, FaceTracker
from trivium.extract.head_pose import CanonicalFace, head_pose, openings
from trivium.extract.region import Region
from trivium.upstream import model_file

__all__ = ["FACE_COLUMNS", "FaceExtractor", "FaceRecorder", "face_specification", "face_stream", "face_tracker"]

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
)
_FOREHEAD, _CHIN = 10, 152


def face_specification() -> StreamSpecification:
    """Specification of every stream that :func:`face_stream` gives.

    Examples
    --------
    >>> face_specification().dim
    63
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
        """Networks that follow a face."""
        return face_tracker(self._local)


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
    frames: Iterable[tuple[float, NDArray[np.uint8]]], *, frame_seconds: float, tracker: FaceTracker | None = None
) -> Stream | None:
    """Face columns of the frames of one clip.

    Parameters
    ----------
    frames : iterable of (float, array of shape (H, W, 3))
        Time in seconds, rising, and 8-bit RGB picture. They are read once, one at a time.
    frame_seconds : float
        How long a frame is shown at most; it ends earlier where the next one begins.
    tracker : FaceTracker, optional
        Networks that are loaded already; it starts afresh with this clip.

    Returns
    -------
    Stream or None
        Values (T, 63) for the T frames with a face, and their half-open times; None if no frame shows a face.

    Raises
    ------
    DataError
        The times do not rise, or a picture is not (H, W, 3) of 8 bits.

    Examples
    --------
    >>> face_stream(clip, frame_seconds=0.08).steps  # doctest: +SKIP
    213
    """
    tracker = tracker or face_tracker()
    tracker.reset()
    recorder = FaceRecorder(tracker, frame_seconds)
    for time, picture in frames:
        recorder.add(time, picture)
    return recorder.stream()


class FaceRecorder:
    """Collects the face columns of one span, frame by frame; several may share a tracker, each following its own face.

    Parameters
    ----------
    tracker : FaceTracker
        The networks.
    frame_seconds : float
        How long a frame is shown at most.

    Examples
    --------
    >>> recorder = FaceRecorder(face_tracker(), 0.08)  # doctest: +SKIP
    >>> recorder.add(0.0, picture)  # doctest: +SKIP
    """

    def __init__(self, tracker: FaceTracker, frame_seconds: float) -> None:
        self._tracker, self._frame_seconds = tracker, frame_seconds
        self._region: Region | None = None
        self._begins: list[float] = []
        self._seen: list[int] = []
        self._rows: list[NDArray[np.float32]] = []

    @property
    def frames(self) -> int:
        """Frames that were looked at, with a face or without."""
        return len(self._begins)

    def add(self, time: float, picture: NDArray[np.uint8]) -> None:
        """Look at the next frame.

        Parameters
        ----------
        time : float
            Seconds, later than the last one's.
        picture : array of shape (H, W, 3)
            8-bit RGB.

        Raises
        ------
        DataError
            The time does not rise, or the picture is not (H, W, 3) of 8 bits.
        """
        _check(time, self._begins[-1] if self._begins else -np.inf, picture)
        self._tracker.region = self._region
        face = self._tracker(picture)
        self._region = self._tracker.region
        if face is not None:
            self._seen.append(len(self._begins))
            self._rows.append(_row(face, self._tracker.canonical, picture.shape[1], picture.shape[0]))
        self._begins.append(time)

    def stream(self, end: float = np.inf) -> Stream | None:
        """Values (T, 63) of the T frames with a face, and their times; None if no frame shows a face.

        Parameters
        ----------
        end : float
            Where the span ends; the last frame ends there at the latest.
        """
        if not self._rows:
            return None
        times = _spans(self._begins, self._frame_seconds)[self._seen]
        times[:, 1] = np.minimum(times[:, 1], end)
        return Stream(np.stack(self._rows), face_specification(), times)


def _check(time: float, last: float, picture: NDArray[np.uint8]) -> None:
    if not time > last:
        raise DataError(f"frame times must rise, but {time} follows {last}", place=f"second {time}")
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or not picture.size:
        raise DataError(f"a frame has shape {picture.shape} and type {picture.dtype}", place=f"second {time}")


def _spans(begins: list[float], frame_seconds: float) -> NDArray[np.float64]:
    starts = np.array(begins, np.float64)
    ends = starts + frame_seconds
    ends[:-1] = np.minimum(ends[:-1], starts[1:])
    return np.stack([starts, ends], axis=1)


def _row(face: Face, canonical: CanonicalFace, width: int, height: int) -> NDArray[np.float32]:
    pose = head_pose(face.landmarks, canonical, height)
    middle = (face.landmarks[:, :2].min(axis=0) + face.landmarks[:, :2].max(axis=0)) / 2
    size = np.linalg.norm(face.landmarks[_FOREHEAD] - face.landmarks[_CHIN]) / height
    place = (middle[0] / width, middle[1] / height, size, face.presence)
    angles = (pose.pitch, pose.yaw, pose.roll, pose.distance)
    return np.concatenate([face.blendshapes, angles, openings(face.landmarks), place]).astype(np.float32)
