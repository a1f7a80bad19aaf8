"""Faces in a picture, by the short-range BlazeFace network.

Paper: Bazarevsky et al. 2019, "BlazeFace: sub-millisecond neural face detection on mobile GPUs". The network sees a
square of 128 x 128 and answers for 896 fixed places (anchors): a score, a box and six points (eyes, nose, mouth, ears).
Answers that overlap are averaged with their scores as weights, as in the paper. Faces below a fifth of the picture
escape the network, so the detector also looks at smaller, overlapping squares: at all of them, or at one in turn
where it is asked often (our choice).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trivium.extract.vision.region import Region, crop

__all__ = ["Detection", "FaceDetector", "anchors", "closer_squares", "decode", "merge_overlapping", "overlap"]

Float: TypeAlias = NDArray[np.floating[Any]]

SIDE = 128
_GRIDS = ((16, 2), (8, 6))  # cells per side, anchors per cell
_LEAST_SCORE, _LEAST_OVERLAP = 0.5, 0.3
_MARGIN = 1.5  # the landmark network expects half a face more on every side


@dataclass(frozen=True, eq=False)
class Detection:
    """One face.

    Parameters
    ----------
    score : float
        In [0, 1].
    box : array of shape (4,)
        Left, top, right, bottom in pixels of the picture.
    points : array of shape (6, 2)
        Eyes (the person's right one first), nose, mouth, ears, in pixels.
    """

    score: float
    box: Float
    points: Float

    @property
    def region(self) -> Region:
        """Upright square around the face, with the margin that the landmark network expects."""
        left, top, right, bottom = self.box
        side = max(right - left, bottom - top) * _MARGIN
        across = self.points[1] - self.points[0]
        return Region((left + right) / 2, (top + bottom) / 2, side, float(np.arctan2(across[1], across[0])))


@cache
def anchors() -> Float:
    """Centres of the 896 anchors in shares of the square: (896, 2).

    Examples
    --------
    >>> anchors().shape
    (896, 2)
    """
    parts = []
    for cells, repeats in _GRIDS:
        middle = (np.arange(cells) + 0.5) / cells
        x, y = np.meshgrid(middle, middle)
        parts.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), repeats, axis=0))
    return np.concatenate(parts)


class FaceDetector:
    """All faces of a picture.

    Parameters
    ----------
    network : callable
        Takes float32 of shape (1, 128, 128, 3) in [-1, 1]; gives regressors (1, 896, 16) and scores (1, 896, 1).
    """

    def __init__(self, network: Callable[[NDArray[np.float32]], list[Float]]) -> None:
        self._network = network

    def __call__(self, picture: NDArray[np.uint8], turn: int | None = None) -> list[Detection]:
        """Faces of a picture, those of the whole picture first, the most prominent (score times area) first.

        A face may be given several times: by the whole picture, and by each smaller square that it lies in.

        Parameters
        ----------
        picture : array of shape (H, W, 3)
            8-bit RGB.
        turn : int, optional
            Look at one of the smaller squares only: this one, counted round and round.
        """
        whole = self._whole(picture)
        squares = closer_squares(*picture.shape[:2])
        looked = squares if turn is None else [squares[turn % len(squares)]]
        closer = [face for square in looked for face in self._inside(picture, square)]
        return [face for found in (whole, closer) for face in sorted(found, key=_prominence, reverse=True)]

    def _whole(self, picture: NDArray[np.uint8]) -> list[Detection]:
        height, width = picture.shape[:2]
        side = max(height, width)
        across, down = (side - width) // 2, (side - height) // 2
        square = np.pad(picture, ((down, side - height - down), (across, side - width - across), (0, 0)))
        return self._inside(square, Region(side / 2, side / 2, side, 0.0), (across, down))

    def _inside(self, picture: NDArray[np.uint8], square: Region, frame: tuple[int, int] = (0, 0)) -> list[Detection]:
        """Faces in a square of a picture that has a frame of so many pixels to its left and top."""
        regressors, logits = self._network(crop(picture, square, SIDE)[None] / np.float32(127.5) - np.float32(1))
        corner = np.array([square.x, square.y]) - square.side / 2 - frame
        return decode(regressors[0], logits[0, :, 0], square.side, corner)


def closer_squares(height: int, width: int) -> list[Region]:
    """Squares of three quarters of the shorter side that cover the picture, each half over the next."""
    side = max(round(0.75 * min(height, width)), 1)
    rows, columns = (
        np.linspace(side / 2, length - side / 2, int(np.ceil((length - side) / (side / 2))) + 1)
        for length in (height, width)
    )
    return [Region(float(x), float(y), side, 0.0) for y in rows for x in columns]


def _prominence(face: Detection) -> float:
    left, top, right, bottom = face.box
    return float(face.score * (right - left) * (bottom - top))


def decode(regressors: Float, logits: Float, side: float, corner: Float) -> list[Detection]:
    """Faces from the answers of the network.

    Parameters
    ----------
    regressors : array of shape (896, 16)
        Box centre, box size and six points, in pixels of the network's square relative to the anchor.
    logits : array of shape (896,)
        Scores before the sigmoid.
    side : float
        Side of the square in pixels of the picture.
    corner : array of shape (2,)
        Where the square begins in the picture.
    """
    scores = 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -100, 100)))
    kept = np.flatnonzero(scores >= _LEAST_SCORE)
    values = regressors[kept].astype(np.float64).reshape(-1, 8, 2) / SIDE
    values[:, [0, 2, 3, 4, 5, 6, 7]] += anchors()[kept, None]
    places = values * side
    places[:, [0, 2, 3, 4, 5, 6, 7]] += corner
    boxes = np.concatenate([places[:, 0] - places[:, 1] / 2, places[:, 0] + places[:, 1] / 2], axis=1)
    whole = np.concatenate([boxes, places[:, 2:].reshape(-1, 12)], axis=1)
    return [Detection(score, row[:4], row[4:].reshape(6, 2)) for score, row in merge_overlapping(scores[kept], whole)]


def merge_overlapping(scores: Float, rows: Float) -> list[tuple[float, Float]]:
    """Average the answers that speak of one face.

    Parameters
    ----------
    scores : array of shape (n,)
        In [0, 1].
    rows : array of shape (n, K)
        The first four columns are left, top, right, bottom; all columns are averaged.

    Returns
    -------
    list of (float, array of shape (K,))
        Highest score and averaged row of each group, by falling score.

    Examples
    --------
    >>> twice = np.array([[0, 0, 4, 4], [0, 0, 4, 4.0]])
    >>> merge_overlapping(np.array([0.9, 0.6]), twice)[0][0]
    0.9
    """
    merged = []
    left = np.argsort(-scores, kind="stable")
    while left.size:
        best, others = left[0], rows[left]
        together = overlap(rows[best], others) > _LEAST_OVERLAP
        together[0] = True  # also when its box has no area
        group = left[together]
        merged.append((float(scores[best]), np.average(rows[group], axis=0, weights=scores[group])))
        left = left[~together]
    return merged


def overlap(box: Float, boxes: Float) -> Float:
    """Intersection over union of one box with others.

    Parameters
    ----------
    box : array of shape (4,)
        Left, top, right, bottom; may be longer.
    boxes : array of shape (n, 4)
        Others; may be wider.

    Returns
    -------
    array of shape (n,)
        In [0, 1].

    Examples
    --------
    >>> overlap(np.array([0, 0, 2, 2.0]), np.array([[1, 0, 3, 2.0]])).round(3).tolist()
    [0.333]
    """
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:4], boxes[:, 2:4])
    common = np.prod(np.maximum(high - low, 0), axis=1)
    areas = np.prod(np.maximum(boxes[:, 2:4] - boxes[:, :2], 0), axis=1)
    own = np.prod(np.maximum(box[2:4] - box[:2], 0))
    share: Float = common / np.maximum(areas + own - common, 1e-9)
    return share
