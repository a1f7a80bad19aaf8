"""Raw landmarks of the face as columns: 478 points with x, y and z, relative to the face.

The origin is the middle between the outer corners of the eyes, the unit the distance between them in three dimensions;
x is to the right of the picture, y down, z away from the viewer. Position and size in the picture are gone, the head's
pose is not. The points are those of the face mesh of Kartynnik et al. 2019 ("Real-time facial surface geometry from
monocular video on mobile GPUs"), 0 to 467, and of the irises of the person's right and left eye, 468 to 472 and 473 to
477.
"""

from __future__ import annotations

from os import PathLike

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import StreamSpecification
from trivium.extract.vision.face_columns import face_tracker
from trivium.extract.vision.head_pose import CanonicalFace
from trivium.extract.vision.landmarks import EYE_CORNERS, Face, FaceTracker

__all__ = ["LANDMARK_COLUMNS", "LandmarkExtractor", "landmark_specification"]

LANDMARK_COLUMNS: tuple[str, ...] = tuple(f"landmark_{point:03d}_{axis}" for point in range(478) for axis in "xyz")


def landmark_specification() -> StreamSpecification:
    """Specification of the streams of the extractor ``landmarks``.

    Examples
    --------
    >>> landmark_specification().dim
    1434
    """
    return StreamSpecification("vision", LANDMARK_COLUMNS, clock="seconds", extractor="trivium-landmarks", version="1")


class LandmarkExtractor:
    """The extractor ``landmarks``: raw landmarks instead of columns that were told from them.

    Parameters
    ----------
    argument : str
        Takes none.
    local : path, optional
        See :func:`trivium.upstream.model_folder`.

    Examples
    --------
    >>> LandmarkExtractor().specification.columns[:3]
    ('landmark_000_x', 'landmark_000_y', 'landmark_000_z')
    """

    models = ("face-landmarker",)
    takes = ""

    def __init__(self, argument: str = "", local: str | PathLike[str] | None = None) -> None:
        self._local = local

    @property
    def specification(self) -> StreamSpecification:
        """Specification of its streams."""
        return landmark_specification()

    def tracker(self) -> FaceTracker:
        """Networks that find and follow faces."""
        return face_tracker(self._local)

    def row(self, face: Face, canonical: CanonicalFace, width: int, height: int) -> NDArray[np.float32]:
        """Columns of one face: (1434,).

        Parameters
        ----------
        face : Face
            In pixels of its picture.
        canonical : CanonicalFace
            Not needed.
        width, height : int
            Of the picture; not needed.
        """
        corners = face.landmarks[list(EYE_CORNERS)]
        apart = max(float(np.linalg.norm(corners[1] - corners[0])), 1e-9)
        relative: NDArray[np.float32] = ((face.landmarks - corners.mean(axis=0)) / apart).astype(np.float32).ravel()
        return relative
