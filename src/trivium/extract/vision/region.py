"""A turned square of a picture: cut out for a network, and its points brought back into the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Region", "crop"]

Float: TypeAlias = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Region:
    """A square.

    Parameters
    ----------
    x, y : float
        Its middle, in pixels of the picture.
    side : float
        In pixels.
    angle : float
        How far it is turned, in radians, clockwise as people see it (y points down).

    Examples
    --------
    >>> Region(10, 20, 4, 0.0).to_picture(np.array([[0.0, 0.0], [1.0, 1.0]])).tolist()
    [[8.0, 18.0], [12.0, 22.0]]
    """

    x: float
    y: float
    side: float
    angle: float

    def to_picture(self, points: Float) -> Float:
        """Points in shares of the square, (n, 2 or 3), as pixels of the picture; a third axis only grows."""
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        placed = points * self.side
        across, down = placed[:, 0] - self.side / 2, placed[:, 1] - self.side / 2
        placed[:, 0] = self.x + across * cosine - down * sine
        placed[:, 1] = self.y + across * sine + down * cosine
        return placed


def crop(picture: NDArray[np.uint8], region: Region, size: int) -> NDArray[np.float32]:
    """Cut a square out of a picture, with straight lines between pixels; the border repeats outside.

    Parameters
    ----------
    picture : array of shape (H, W, 3)
        8-bit colours.
    region : Region
        What to cut out.
    size : int
        Side of the result.

    Returns
    -------
    array of shape (size, size, 3), float32
        In [0, 255]. Pixel (i, j) lies j steps right and i steps down from the first corner, a step being side / size.
    """
    height, width = picture.shape[:2]
    step = np.float32(region.side / size)
    cosine, sine = np.float32(np.cos(region.angle)) * step, np.float32(np.sin(region.angle)) * step
    first = region.to_picture(np.zeros((1, 2)))[0].astype(np.float32)
    along = np.arange(size, dtype=np.float32)
    x = np.clip(first[0] + along * cosine - along[:, None] * sine, 0, width - 1).ravel()
    y = np.clip(first[1] + along * sine + along[:, None] * cosine, 0, height - 1).ravel()
    return _between(picture, x, y).reshape(size, size, 3)


def _between(picture: NDArray[np.uint8], x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Colours at places (n,) and (n,) inside the picture: (n, 3)."""
    left, top = int(x.min()), int(y.min())
    numbers = _packed(picture[top : int(y.max()) + 2, left : int(x.max()) + 2])
    row = numbers.shape[1]
    column, line = np.floor(x), np.floor(y)
    place = (line.astype(np.int64) - top) * row + (column.astype(np.int64) - left)
    corners = [numbers.ravel().take(place + step, mode="clip") for step in (0, 1, row, row + 1)]
    right, down = x - column, y - line
    result = np.empty((x.size, 3), np.float32)
    for channel in range(3):
        # plane by plane: an inner loop over three colours would cost more than all the rest
        a, b, c, d = ((corner >> np.uint32(8 * channel) & np.uint32(255)).astype(np.float32) for corner in corners)
        upper, lower = a + (b - a) * right, c + (d - c) * right
        result[:, channel] = upper + (lower - upper) * down
    return result


def _packed(part: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """One number per pixel, last row and column repeated: gathering these is several times quicker than bytes."""
    height, width = part.shape[:2]
    packed = np.empty((height + 1, width + 1), np.uint32)
    red, green, blue = (part[:, :, channel].astype(np.uint32) for channel in range(3))
    packed[:height, :width] = red | green << np.uint32(8) | blue << np.uint32(16)
    packed[height], packed[:, width] = packed[height - 1], packed[:, width - 1]
    return packed
