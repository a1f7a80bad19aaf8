"""Gaze: where the eyes look relative to the head, from the irises between the corners of the eyes.

The landmarks are turned back by the head's pose, so that the head looks straight at the viewer. There the
iris' distance from the middle between the corners of its eye, over the radius of the eyeball, is the sine of the angle.
The radius is taken as .4 of the distance between the corners (12 mm of 30 mm, an adult's mean; our choice). The middle
between the corners stands for straight ahead, which is off by some degrees from person to person: differences within a
person say more than the angles themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trivium.extract.vision.head_pose import HeadPose, head_rotation, openings

__all__ = ["Gaze", "gaze"]

Float: TypeAlias = NDArray[np.floating[Any]]

_RADIUS = 0.4  # of the eye's width
_CLOSED = 0.12  # height over width below which an eye counts as closed
_HIDDEN = 35.0  # degrees that the head may turn before the farther eye is left out
# (iris, one corner, other corner) of the person's own left and right eye
_EYES = ((473, 362, 263), (468, 133, 33))


@dataclass(frozen=True)
class Gaze:
    """Direction of the eyes in the head.

    Parameters
    ----------
    yaw, pitch : float
        Degrees, means over the eyes that are seen; 0 where none is. Yaw is positive to the right of the picture for a
        head that faces the viewer, which is the person's own left; pitch is positive upwards.
    seen : float
        Share of the two eyes that it was told from: those that are open, and not on the far side of a turned head.
    """

    yaw: float
    pitch: float
    seen: float


def gaze(landmarks: Float, pose: HeadPose) -> Gaze:
    """Gaze of a face.

    Parameters
    ----------
    landmarks : array of shape (478, 3)
        x to the right, y down, z away from the viewer, all in pixels.
    pose : HeadPose
        Of the same face.

    Examples
    --------
    >>> gaze(np.zeros((478, 3)), HeadPose(0.0, 0.0, 0.0, 60.0)).seen
    0.0
    """
    left, right, _ = openings(landmarks)
    seen = (left >= _CLOSED and pose.yaw <= _HIDDEN, right >= _CLOSED and pose.yaw >= -_HIDDEN)
    head = landmarks * np.array([1, -1, -1]) @ head_rotation(pose)
    angles = [_angles(*head[list(eye)]) for eye, used in zip(_EYES, seen, strict=True) if used]
    if not angles:
        return Gaze(0.0, 0.0, 0.0)
    yaw, pitch = np.mean(angles, axis=0)
    return Gaze(float(yaw), float(pitch), len(angles) / 2)


def _angles(iris: Float, corner: Float, other: Float) -> tuple[float, float]:
    """Yaw and pitch in degrees of one eye, whose points are in the frame of the head."""
    radius = max(_RADIUS * float(np.linalg.norm(other[:2] - corner[:2])), 1e-9)
    across, up = np.clip((iris - (corner + other) / 2)[:2] / radius, -1, 1)
    return float(np.degrees(np.arcsin(across))), float(np.degrees(np.arcsin(up)))
