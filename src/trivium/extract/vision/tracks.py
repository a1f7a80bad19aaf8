"""Every face of a span, followed through its frames.

The landmark network looks for each face where it was last. The detector, which sees the whole picture, runs where a
shot begins, where a face was lost, on every frame while there is no face, and else every two seconds at most: following
one face costs little more than if there could be no other. A track is one face within one shot. It ends at a cut, where
the face is lost, where what is seen lies elsewhere than the face was, and where it turns out to be another track's.
A face that comes back to its place within a second in the same shot goes on as the same track; no track is continued
behind a cut. The bounds are our choice.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from trivium.extract.vision.detector import overlap
from trivium.extract.vision.landmarks import Face, FaceTracker
from trivium.extract.vision.region import Region
from trivium.extract.vision.shots import CutDetector

__all__ = ["MOST_FACES", "FaceFollower", "FaceTrack", "Sighting"]

Float: TypeAlias = NDArray[np.floating[Any]]
Picture: TypeAlias = NDArray[np.uint8]
Kept = TypeVar("Kept")

MOST_FACES = 4
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.25, 2.0  # seconds between two searches while a face is seen
_LOST_SECONDS = 1.0
_SAME_FACE, _SAME_PLACE, _JUMP = 0.5, 0.3, 0.1  # overlaps of two boxes, as intersection over union


@dataclass(frozen=True, eq=False)
class Sighting(Generic[Kept]):
    """A face in one frame.

    Parameters
    ----------
    frame : int
        Number of the frame in its span.
    box : array of shape (4,)
        Left, top, right, bottom of its landmarks in pixels.
    kept : object
        What the follower was told to keep of it.
    """

    frame: int
    box: Float
    kept: Kept


@dataclass(eq=False)
class FaceTrack(Generic[Kept]):
    """One face within one shot.

    Parameters
    ----------
    shot : int
        Number of the shot in its span.
    kept : list of object
        What is kept of each sighting, in order of time.
    region : Region or None
        Where to look for it next; None where it is not followed any more.
    last : float
        Second at which it was seen last.
    """

    shot: int
    kept: list[Kept] = field(default_factory=list)
    region: Region | None = None
    last: float = -np.inf
    # numbers in a row, not an object each: an hour has tens of thousands
    _frames: array[int] = field(default_factory=lambda: array("q"))
    _boxes: array[float] = field(default_factory=lambda: array("d"))

    @property
    def frames(self) -> NDArray[np.int64]:
        """Numbers of the frames that show it: (n,)."""
        return np.array(self._frames, np.int64)

    @property
    def box(self) -> Float:
        """Where it was seen last: (4,)."""
        return np.array(self._boxes[-4:])

    @property
    def sightings(self) -> list[Sighting[Kept]]:
        """In order of time."""
        boxes = np.array(self._boxes).reshape(-1, 4)
        return [Sighting(*row) for row in zip(self._frames, boxes, self.kept, strict=True)]

    def see(self, frame: int, time: float, face: Face, kept: Kept) -> None:
        """Add one frame.

        Parameters
        ----------
        frame : int
            Its number.
        time : float
            Its second.
        face : Face
            What was seen.
        kept : object
            What to keep of it.
        """
        self._frames.append(frame)
        self._boxes.extend(face.box.tolist())
        self.kept.append(kept)
        self.region, self.last = face.region, time


class FaceFollower(Generic[Kept]):
    """Finds and follows the faces of one span.

    Parameters
    ----------
    tracker : FaceTracker
        The networks; several followers may share them.
    keep : callable
        What to keep of a face in a picture.

    Attributes
    ----------
    tracks : list of FaceTrack
        All that were found, in the order in which they began.
    frames : int
        Pictures looked at.
    searches : int
        How often the detector was asked.

    Examples
    --------
    >>> follower = FaceFollower(face_tracker(), lambda face, picture: face.presence)  # doctest: +SKIP
    >>> follower.add(0.0, picture)  # doctest: +SKIP
    """

    def __init__(self, tracker: FaceTracker, keep: Callable[[Face, Picture], Kept]) -> None:
        self._tracker, self._keep = tracker, keep
        self._is_cut = CutDetector()
        self._shot = 0
        self._pause, self._due = _SHORTEST_PAUSE, -np.inf
        self._thorough = True
        self.tracks: list[FaceTrack[Kept]] = []
        self.frames = self.searches = 0

    def add(self, time: float, picture: Picture) -> None:
        """Look at the next picture.

        Parameters
        ----------
        time : float
            Seconds, later than the last one's.
        picture : array of shape (H, W, 3)
            8-bit RGB.
        """
        if self._is_cut(picture):
            self._begin_shot()
        followed = [track for track in self.tracks if track.region is not None]
        seen = self._follow(followed, time, picture)
        if len(seen) < len(followed) or not seen or time >= self._due:
            self._pause = min(2 * self._pause, _LONGEST_PAUSE) if len(seen) == len(followed) else _SHORTEST_PAUSE
            self._search(seen, time, picture)
            self._due = time + self._pause
        self.frames += 1

    def _begin_shot(self) -> None:
        for track in self.tracks:
            track.region = None
        self._shot += 1
        self._pause, self._due, self._thorough = _SHORTEST_PAUSE, -np.inf, True

    def _follow(self, tracks: Iterable[FaceTrack[Kept]], time: float, picture: Picture) -> list[Float]:
        """Look for the tracks where they were; boxes of those that were seen, the older ones first."""
        boxes: list[Float] = []
        for track in tracks:
            face = self._tracker.look(picture, track.region) if track.region is not None else None
            track.region = None
            if face is None or _covered(face.box, boxes, _SAME_FACE):
                continue
            boxes.append(face.box)
            if overlap(face.box, track.box[None])[0] < _JUMP:
                track = self._new_track()
            track.see(self.frames, time, face, self._keep(face, picture))
        return boxes

    def _search(self, boxes: list[Float], time: float, picture: Picture) -> None:
        """Find faces beside those in the boxes."""
        self.searches += 1
        turn = None if self._thorough or not boxes else self.searches
        for detection in self._tracker.detect(picture, turn):
            if len(boxes) >= MOST_FACES:
                break
            if _covered(detection.box, boxes, _SAME_PLACE):
                continue
            face = self._tracker.look(picture, detection.region)
            if face is not None and not _covered(face.box, boxes, _SAME_PLACE):
                boxes.append(face.box)
                track = self._former(face.box, time) or self._new_track()
                track.see(self.frames, time, face, self._keep(face, picture))
        self._thorough = False

    def _new_track(self) -> FaceTrack[Kept]:
        self.tracks.append(FaceTrack(self._shot))
        return self.tracks[-1]

    def _former(self, box: Float, time: float) -> FaceTrack[Kept] | None:
        """The track of this shot that was lost at this place a moment ago."""
        lately = (
            track
            for track in reversed(self.tracks)
            if track.shot == self._shot and track.region is None and time - track.last <= _LOST_SECONDS
        )
        return next((t for t in lately if overlap(box, t.box[None])[0] > _SAME_PLACE), None)


def _covered(box: Float, boxes: list[Float], least: float) -> bool:
    """Whether a box overlaps one of the others, or has its middle in it."""
    if not boxes:
        return False
    others = np.stack(boxes)
    middle = (box[:2] + box[2:4]) / 2
    inside = ((middle > others[:, :2]) & (middle < others[:, 2:4])).all(axis=1)
    return bool(inside.any() or (overlap(box, others) > least).any())
