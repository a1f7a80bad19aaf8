"""Head pose and openings from 3-D face landmarks.

The pose is the similarity transform (rotation, scale, translation) that brings a canonical face onto the landmarks with
the least weighted squared error (Umeyama 1991, "Least-squares estimation of transformation parameters between two point
patterns"). The canonical face, in centimetres, and the weights of its stable points (eyes, nose, outline) lie in the
bundle of the landmark model. The projection is taken as parallel (our choice): the angles are those between face and
line of sight, which needs no camera calibration.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trivium.errors import UpstreamError

__all__ = ["CanonicalFace", "HeadPose", "canonical_face", "face_size", "head_pose", "head_rotation", "openings"]

Float: TypeAlias = NDArray[np.floating[Any]]

_ANGLE_OF_VIEW = 63.0  # vertical, in degrees: an assumption about the camera, used by `distance` alone
_CORNERS = (5, 468)  # a vertex of the canonical mesh holds x, y, z and two texture coordinates
_FOREHEAD, _CHIN = 10, 152
# (upper, lower, one corner, other corner); left and right are the person's own
_EYE_LEFT, _EYE_RIGHT, _MOUTH = (386, 374, 362, 263), (159, 145, 133, 33), (13, 14, 78, 308)


@dataclass(frozen=True, eq=False)
class CanonicalFace:
    """Stable points of a mean face: x to the right of the picture, y up, z towards the viewer.

    Parameters
    ----------
    points : array of shape (P, 3)
        In centimetres.
    landmarks : array of shape (P,), int64
        Which landmark each point is.
    weights : array of shape (P,)
        How much each point counts.
    triangles : array of shape (T, 3), int64
        Landmarks at the corners of the mesh's triangles; may be empty.
    """

    points: Float
    landmarks: NDArray[np.int64]
    weights: Float
    triangles: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 3), np.int64))


@dataclass(frozen=True)
class HeadPose:
    """Where a head is and where it looks.

    Parameters
    ----------
    pitch, yaw, roll : float
        Degrees. Pitch is positive when the face looks up, yaw when it turns to the right of the picture, roll when the
        head leans counter-clockwise in the picture. The rotation is roll after yaw after pitch.
    distance : float
        Centimetres from a camera whose vertical angle of view is 63 degrees; for another camera it is proportional.
    """

    pitch: float
    yaw: float
    roll: float
    distance: float


def canonical_face(metadata: bytes) -> CanonicalFace:
    """Read the canonical face from the geometry part of the model bundle.

    Parameters
    ----------
    metadata : bytes
        A protocol-buffer message: field 1 is the mesh (its field 3 the vertices), field 2 one weighted landmark each.

    Raises
    ------
    UpstreamError
        The bytes are no such message.
    """
    try:
        fields = list(_fields(metadata))
        mesh = next(value for number, value in fields if number == 1)
        numbers = [struct.unpack("<f", value)[0] for number, value in _fields(mesh) if number == 3]
        triangles = np.array([value for number, value in _fields(mesh) if number == 4], np.int64).reshape(-1, 3)
        basis = [dict(_fields(value)) for number, value in fields if number == 2]
        vertices = np.array(numbers).reshape(_CORNERS[1], _CORNERS[0])[:, :3]
        landmarks = np.array([item[1] for item in basis], np.int64)
        weights = np.array([struct.unpack("<f", item[2])[0] for item in basis])
        return CanonicalFace(vertices[landmarks], landmarks, weights / weights.sum(), triangles)
    except (StopIteration, ValueError, KeyError, TypeError, IndexError, struct.error) as cause:
        raise UpstreamError(
            "the geometry of the face model cannot be read",
            remedy="fetch it again: trivium upstream fetch face-landmarker",
        ) from cause


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Fields of a protocol-buffer message: (number, int or bytes)."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        length = 4
        if kind == 2:
            length, at = _varint(message, at)
        elif kind != 5:
            raise ValueError(f"unknown wire type {kind}")
        yield number, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def head_pose(landmarks: Float, face: CanonicalFace, picture_height: float) -> HeadPose:
    """Pose of a head.

    Parameters
    ----------
    landmarks : array of shape (478, 3)
        x to the right, y down, z away from the viewer, all in pixels.
    face : CanonicalFace
        What to compare with.
    picture_height : float
        In pixels.

    Examples
    --------
    >>> face = CanonicalFace(np.eye(3), np.arange(3), np.full(3, 1 / 3))
    >>> seen = np.eye(3) * [1, -1, -1] * 50
    >>> head_pose(seen, face, 480).yaw
    0.0
    """
    seen = landmarks[face.landmarks] * np.array([1, -1, -1])
    rotation, scale = _similarity(face.points, seen, face.weights)
    yaw = np.arcsin(np.clip(-rotation[2, 0], -1, 1))
    pitch = np.arctan2(rotation[2, 1], rotation[2, 2])
    roll = np.arctan2(rotation[1, 0], rotation[0, 0])
    focal = picture_height / 2 / np.tan(np.radians(_ANGLE_OF_VIEW / 2))
    pitch, yaw, roll = (round(float(np.degrees(angle)), 6) + 0.0 for angle in (-pitch, yaw, roll))
    return HeadPose(pitch, yaw, roll, float(focal / scale))


def head_rotation(pose: HeadPose) -> Float:
    """Rotation from the head's own axes to those of the picture: x to its right, y up, z towards the viewer.

    Parameters
    ----------
    pose : HeadPose
        Its angles are used.

    Returns
    -------
    array of shape (3, 3)
        Roll after yaw after pitch.

    Examples
    --------
    >>> (head_rotation(HeadPose(0.0, 90.0, 0.0, 60.0)) @ [0, 0, 1]).round(6).tolist()
    [1.0, 0.0, 0.0]
    """
    pitch, yaw, roll = np.radians([-pose.pitch, pose.yaw, pose.roll])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    rotation: Float = about_z @ about_y @ about_x
    return rotation


def _similarity(source: Float, target: Float, weights: Float) -> tuple[Float, float]:
    """Rotation (3, 3) and scale that bring `source` (P, 3) closest to `target` (P, 3)."""
    share = (weights / weights.sum())[:, None]
    a, b = source - (share * source).sum(axis=0), target - (share * target).sum(axis=0)
    left, stretch, right = np.linalg.svd((share * b).T @ a)
    mirror = np.array([1, 1, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    rotation: Float = (left * mirror) @ right
    scale = float((stretch * mirror).sum() / (share * a**2).sum())
    return rotation, max(scale, 1e-9)


def openings(landmarks: Float) -> tuple[float, float, float]:
    """Opening of the left eye, the right eye (the person's own) and the mouth: height over width.

    Parameters
    ----------
    landmarks : array of shape (478, 3)
        In any unit that is the same along all axes.
    """
    left, right, mouth = (_opening(landmarks, *places) for places in (_EYE_LEFT, _EYE_RIGHT, _MOUTH))
    return left, right, mouth


def _opening(landmarks: Float, upper: int, lower: int, corner: int, other: int) -> float:
    height = np.linalg.norm(landmarks[upper] - landmarks[lower])
    width = np.linalg.norm(landmarks[corner] - landmarks[other])
    return float(height / max(float(width), 1e-9))


def face_size(landmarks: Float, picture_height: float) -> float:
    """Height of a face, chin to forehead, in picture heights.

    Parameters
    ----------
    landmarks : array of shape (478, 3)
        In pixels.
    picture_height : float
        In pixels.
    """
    return float(np.linalg.norm(landmarks[_FOREHEAD] - landmarks[_CHIN]) / picture_height)
