"""Landmarks and blendshapes of faces: the networks, which know one picture only.

Three networks of one bundle (Apache-2.0) run one after the other on the processor: the detector finds faces; the
landmark network gives 478 points and says whether what it saw is a face (Grishchenko et al. 2020, "Attention Mesh");
the blendshape network turns 146 of the points into 52 expression strengths (Grishchenko et al. 2022, "Blendshapes
GHUM"). The next frame is searched where the landmarks of the last one were (:mod:`trivium.extract.vision.tracks`). No
smoothing over time (our choice): every frame stands for itself.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trivium.errors import DependencyError, UpstreamError
from trivium.extract.vision.detector import Detection, FaceDetector
from trivium.extract.vision.head_pose import CanonicalFace, canonical_face
from trivium.extract.vision.region import Region, crop

__all__ = ["BLENDSHAPES", "EYE_CORNERS", "Face", "FaceTracker"]

Float: TypeAlias = NDArray[np.floating[Any]]
Network: TypeAlias = Callable[[NDArray[np.float32]], list[Float]]

SIDE = 256
_LEAST_PRESENCE = 0.5
_MARGIN = 1.5
EYE_CORNERS = (33, 263)  # outer ones, the person's right first

# What the blendshape network was trained to answer, in its order; the names are ARKit's.
BLENDSHAPES: tuple[str, ...] = tuple(
    """
    neutral browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff cheekSquintLeft
    cheekSquintRight eyeBlinkLeft eyeBlinkRight eyeLookDownLeft eyeLookDownRight eyeLookInLeft eyeLookInRight
    eyeLookOutLeft eyeLookOutRight eyeLookUpLeft eyeLookUpRight eyeSquintLeft eyeSquintRight eyeWideLeft eyeWideRight
    jawForward jawLeft jawOpen jawRight mouthClose mouthDimpleLeft mouthDimpleRight mouthFrownLeft mouthFrownRight
    mouthFunnel mouthLeft mouthLowerDownLeft mouthLowerDownRight mouthPressLeft mouthPressRight mouthPucker mouthRight
    mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmileLeft mouthSmileRight mouthStretchLeft
    mouthStretchRight mouthUpperUpLeft mouthUpperUpRight noseSneerLeft noseSneerRight
    """.split()
)
# The 146 landmarks it looks at: outline, brows, eyes, lips, nose ridge, irises.
_BLENDSHAPE_LANDMARKS = np.array(
    """
    0 1 4 5 6 7 8 10 13 14 17 21 33 37 39 40 46 52 53 54 55 58 61 63 65 66 67 70 78 80 81 82 84 87 88 91 93 95 103 105
    107 109 127 132 133 136 144 145 146 148 149 150 152 153 154 155 157 158 159 160 161 162 163 168 172 173 176 178 181
    185 191 195 197 234 246 249 251 263 267 269 270 276 282 283 284 285 288 291 293 295 296 297 300 308 310 311 312 314
    317 318 321 323 324 332 334 336 338 356 361 362 365 373 374 375 377 378 379 380 381 382 384 385 386 387 388 389 390
    397 398 400 402 405 409 415 454 466 468 469 470 471 472 473 474 475 476 477
    """.split(),
    np.int64,
)


@dataclass(frozen=True, eq=False)
class Face:
    """One face in one picture.

    Parameters
    ----------
    landmarks : array of shape (478, 3)
        x to the right, y down, z away from the viewer, in pixels of the picture.
    blendshapes : array of shape (52,)
        Expression strengths in [0, 1], in the order of ``BLENDSHAPES``.
    presence : float
        How sure the landmark network is that it saw a face, in [0, 1].
    """

    landmarks: Float
    blendshapes: Float
    presence: float

    @cached_property
    def box(self) -> Float:
        """Left, top, right and bottom of the landmarks: (4,)."""
        flat = self.landmarks[:, :2]
        return np.concatenate([flat.min(axis=0), flat.max(axis=0)])

    @property
    def region(self) -> Region:
        """Where to look for this face in the next picture."""
        flat = self.landmarks[:, :2]
        low, high = self.box[:2], self.box[2:]
        across = flat[EYE_CORNERS[1]] - flat[EYE_CORNERS[0]]
        middle = (low + high) / 2
        side = float((high - low).max()) * _MARGIN
        return Region(float(middle[0]), float(middle[1]), side, float(np.arctan2(across[1], across[0])))


class FaceTracker:
    """The three networks: faces of a picture, and a face near a place.

    Parameters
    ----------
    model : path
        The bundle of the three networks (``trivium upstream fetch face-landmarker``).
    threads : int
        Processor threads of each network. The same number gives the same bytes.

    Raises
    ------
    UpstreamError
        The bundle lacks a part.
    DependencyError
        The runtime for such networks is not installed.

    Attributes
    ----------
    canonical : CanonicalFace
        The mean face that poses are told from.

    Examples
    --------
    >>> tracker = FaceTracker("face_landmarker.task")  # doctest: +SKIP
    >>> face = tracker.first(picture)  # doctest: +SKIP
    """

    def __init__(self, model: str | PathLike[str], threads: int = 1) -> None:
        parts = _parts(Path(model))
        self.canonical: CanonicalFace = canonical_face(parts["geometry_pipeline_metadata_landmarks.binarypb"])
        self._detect = FaceDetector(_network(parts["face_detector.tflite"], threads))
        self._landmarks = _network(parts["face_landmarks_detector.tflite"], threads)
        self._blendshapes = _network(parts["face_blendshapes.tflite"], threads)

    def detect(self, picture: NDArray[np.uint8], turn: int | None = None) -> list[Detection]:
        """Where faces may be; see :class:`~trivium.extract.vision.detector.FaceDetector`.

        Parameters
        ----------
        picture : array of shape (H, W, 3)
            8-bit RGB.
        turn : int, optional
            Which of the smaller squares to look at; all of them where left out.
        """
        return self._detect(picture, turn)

    def first(self, picture: NDArray[np.uint8]) -> Face | None:
        """The most prominent face of a picture, or None where there is none.

        Parameters
        ----------
        picture : array of shape (H, W, 3)
            8-bit RGB.
        """
        found = (self.look(picture, detection.region) for detection in self.detect(picture))
        return next((face for face in found if face), None)

    def look(self, picture: NDArray[np.uint8], region: Region) -> Face | None:
        """The face in a region of a picture, or None where the network is not sure that there is one.

        Parameters
        ----------
        picture : array of shape (H, W, 3)
            8-bit RGB.
        region : Region
            About one and a half faces wide.
        """
        points, presence, *_ = self._landmarks(crop(picture, region, SIDE)[None] / np.float32(255))
        sure = float(1 / (1 + np.exp(-np.float64(presence.ravel()[0]))))
        if sure < _LEAST_PRESENCE:
            return None
        landmarks = region.to_picture(points.reshape(-1, 3).astype(np.float64) / SIDE)
        chosen = landmarks[_BLENDSHAPE_LANDMARKS, :2].astype(np.float32)
        return Face(landmarks, self._blendshapes(chosen[None])[0], sure)


def _parts(model: Path) -> dict[str, bytes]:
    names = (
        "face_detector.tflite",
        "face_landmarks_detector.tflite",
        "face_blendshapes.tflite",
        "geometry_pipeline_metadata_landmarks.binarypb",
    )
    try:
        with zipfile.ZipFile(model) as bundle:
            return {name: bundle.read(name) for name in names}
    except (OSError, KeyError, zipfile.BadZipFile) as cause:
        remedy = "run `trivium upstream fetch face-landmarker --again`"
        raise UpstreamError(f"is no face landmark bundle ({cause})", file=model, remedy=remedy) from cause


def _network(content: bytes, threads: int) -> Network:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as cause:
        raise DependencyError(
            "the face needs the package ai-edge-litert", remedy="pip install 'trivium[extract]'"
        ) from cause
    with _quiet_runtime():
        interpreter = Interpreter(model_content=content, num_threads=threads)
        interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    answers = [output["index"] for output in interpreter.get_output_details()]

    def run(values: NDArray[np.float32]) -> list[Float]:
        interpreter.set_tensor(source, values)
        interpreter.invoke()
        return [interpreter.get_tensor(answer) for answer in answers]

    return run


@contextmanager
def _quiet_runtime() -> Iterator[None]:
    """Keep a notice of the runtime off the terminal; it goes to the error output whatever its log level."""
    screen = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(screen, 2)
        os.close(nowhere)
        os.close(screen)
