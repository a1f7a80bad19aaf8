"""The faces of one span become streams: all of them are followed, then those that are wanted are chosen."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Stream, StreamSpecification
from trivium.errors import DataError
from trivium.extract.scratch import ScratchRows, let_go
from trivium.extract.vision.head_pose import CanonicalFace, face_size, openings
from trivium.extract.vision.landmarks import Face, FaceTracker
from trivium.extract.vision.speaker import FaceChoice, Mouth, choose_faces, frame_loudness
from trivium.extract.vision.tracks import FaceFollower, FaceTrack

__all__ = ["NO_FURTHER_FACE", "FaceRecorder", "FacesFound", "SeenFace", "VisionExtractor"]

Float: TypeAlias = NDArray[np.floating[Any]]

NO_FURTHER_FACE = "no further face"
_BLOCK = 1024  # rows at a time


class VisionExtractor(Protocol):
    """Gives columns of a face in a picture."""

    @property
    def specification(self) -> StreamSpecification:
        """Columns, clock, extractor and version of its streams."""

    def row(self, face: Face, canonical: CanonicalFace, width: int, height: int) -> NDArray[np.float32]:
        """Values (D,) of one face in a picture of so many pixels."""


class SeenFace(NamedTuple):
    """What is kept of a face in one frame.

    Parameters
    ----------
    row : int
        Number of its columns among the rows of the recorder.
    opening : float
        Of the mouth, height over width.
    size : float
        Height of the face in picture heights.
    """

    row: int
    opening: float
    size: float


@dataclass(frozen=True, eq=False)
class FacesFound:
    """The faces of one span.

    Parameters
    ----------
    streams : tuple of sequence of Stream or None
        Per wanted face, the one that speaks first: one stream per extractor; None where no frame shows it.
    frames : int
        Frames that were looked at.
    faces, shots : int
        Most faces seen at a time, and stretches between cuts; see :class:`trivium.extract.vision.speaker.FaceChoice`.
    confidence : float, optional
        How sure the choice is; None where there was nothing to choose.
    """

    streams: tuple[Sequence[Stream | None], ...]
    frames: int = 0
    faces: int = 0
    shots: int = 0
    confidence: float | None = None

    @classmethod
    def none(cls, faces: int, extractors: int) -> FacesFound:
        """Nothing, where there is no picture.

        Parameters
        ----------
        faces, extractors : int
            How many are wanted.
        """
        return cls(((None,) * extractors,) * faces)


class FaceRecorder:
    """Collects the faces of one span, frame by frame; several may share a tracker, each following its own faces.

    Parameters
    ----------
    tracker : FaceTracker
        The networks.
    frame_seconds : float
        How long a frame is shown at most.
    extractors : sequence of VisionExtractor
        Make the columns.

    Attributes
    ----------
    follower : FaceFollower
        All tracks.

    Examples
    --------
    >>> recorder = FaceRecorder(face_tracker(), 0.08, [FaceExtractor()])  # doctest: +SKIP
    >>> recorder.add(0.0, picture)  # doctest: +SKIP
    >>> (stream,) = recorder.streams(recorder.choice())  # doctest: +SKIP
    """

    def __init__(self, tracker: FaceTracker, frame_seconds: float, extractors: Sequence[VisionExtractor]) -> None:
        self._canonical, self._frame_seconds = tracker.canonical, frame_seconds
        self._extractors = extractors
        self._rows = [ScratchRows(np.float32) for _ in extractors]
        self._begins = array("d")
        self.follower: FaceFollower[SeenFace] = FaceFollower(tracker, self._keep)

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
        self.follower.add(time, picture)
        self._begins.append(time)

    def _keep(self, face: Face, picture: NDArray[np.uint8]) -> SeenFace:
        height, width = picture.shape[:2]
        for rows, one in zip(self._rows, self._extractors, strict=True):
            rows.add(one.row(face, self._canonical, width, height)[None])
        number = self._rows[0].length - 1 if self._rows else 0
        return SeenFace(number, openings(face.landmarks)[2], face_size(face.landmarks, height))

    @cached_property
    def rows(self) -> tuple[NDArray[np.float32], ...]:
        """Columns of all faces (n, D), one array per extractor; no frame can be added when they were asked for."""
        return tuple(rows.finished() for rows in self._rows)

    def choice(self, sound: Float | None = None, begin: float = 0.0, faces: int = 1) -> FaceChoice:
        """Which face speaks, and which are the next best.

        Parameters
        ----------
        sound : array of shape (n,), optional
            Mono at 16 kHz.
        begin : float
            Second of its first sample.
        faces : int
            How many are wanted.
        """
        times = np.array(self._begins, np.float64)
        mouths = [_mouth(track) for track in self.follower.tracks]
        loudness = None
        if sound is not None and self.several:
            loudness = frame_loudness(sound, begin, times, self._frame_seconds)
        return choose_faces(mouths, times, loudness, faces)

    @property
    def several(self) -> bool:
        """Whether there is a choice between faces."""
        return len(self.follower.tracks) > 1

    def found(self, sound: Float | None, begin: float, end: float, faces: int) -> FacesFound:
        """What is known when the span is over.

        Parameters
        ----------
        sound : array of shape (n,) or None
            Mono at 16 kHz.
        begin, end : float
            Second of its first sample, and where the span ends.
        faces : int
            How many are wanted.
        """
        choice = self.choice(sound, begin, faces)
        streams = tuple(self.streams(choice, end, place) for place in range(faces))
        return FacesFound(streams, self.frames, choice.faces, choice.shots, choice.confidence)

    def streams(self, choice: FaceChoice, end: float = np.inf, place: int = 0) -> list[Stream | None]:
        """One stream per extractor of one of the chosen faces.

        Parameters
        ----------
        choice : FaceChoice
            Of this recorder.
        end : float
            Where the span ends; the last frame ends there at the latest.
        place : int
            0 is the face that speaks, 1 the next best.

        Returns
        -------
        list of Stream or None
            Values (T, D) of the T frames with that face, and their times; None if no frame shows it.
        """
        chosen = choice.chosen[place]
        frames = np.flatnonzero(chosen >= 0)
        if not len(frames):
            return [None] * len(self._extractors)
        wanted = self._rows_of(chosen)[frames]
        times = _spans(self._begins, self._frame_seconds)[frames]
        times[:, 1] = np.minimum(times[:, 1], end)
        return [
            Stream(_taken(rows, wanted), one.specification, times)
            for rows, one in zip(self.rows, self._extractors, strict=True)
        ]

    def _rows_of(self, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        """Number of the row of the chosen track in every frame, (F,); 0 where there is none."""
        found = np.zeros_like(chosen)
        for number in np.unique(chosen[chosen >= 0]):
            track = self.follower.tracks[number]
            taken = chosen[track.frames] == number
            found[track.frames[taken]] = np.array([face.row for face in track.kept], np.int64)[taken]
        return found


def _taken(rows: NDArray[np.float32], wanted: NDArray[np.int64]) -> NDArray[np.float32]:
    taken = ScratchRows(np.float32)
    for first in range(0, len(wanted), _BLOCK):
        taken.add(rows[wanted[first : first + _BLOCK]])
        let_go(rows)
    return taken.finished()


def _mouth(track: FaceTrack[SeenFace]) -> Mouth:
    openings = np.array([face.opening for face in track.kept])
    return Mouth(track.shot, track.frames, openings, float(np.median([face.size for face in track.kept])))


def _check(time: float, last: float, picture: NDArray[np.uint8]) -> None:
    if not time > last:
        raise DataError(f"frame times must rise, but {time} follows {last}", place=f"second {time}")
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or not picture.size:
        raise DataError(f"a frame has shape {picture.shape} and type {picture.dtype}", place=f"second {time}")


def _spans(begins: Sequence[float], frame_seconds: float) -> NDArray[np.float64]:
    starts = np.array(begins, np.float64)
    ends = starts + frame_seconds
    ends[:-1] = np.minimum(ends[:-1], starts[1:])
    return np.stack([starts, ends], axis=1)
