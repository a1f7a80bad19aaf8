"""Cuts between shots: where a picture differs from the last one far more than pictures differed before.

Each picture is thinned out to about 48 x 36 points; the mean absolute difference of their colours is compared with a
fixed bound and with the largest of the last three, so that a camera in motion is no series of cuts (the bounds are our
choice). Fades are not found: a face in them is lost, and found again as another one.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

__all__ = ["CutDetector"]

_COLUMNS, _ROWS = 48, 36
_LEAST_DIFFERENCE, _TIMES_LATELY = 18.0, 2.0  # of 255
_REMEMBERED = 3


class CutDetector:
    """Says of every picture whether a new shot begins with it.

    Examples
    --------
    >>> black, white = (np.full((36, 48, 3), level, np.uint8) for level in (0, 255))
    >>> is_cut = CutDetector()
    >>> [is_cut(picture) for picture in (black, black, white, white)]
    [False, False, True, False]
    """

    def __init__(self) -> None:
        self._last: NDArray[np.int16] | None = None
        self._lately: deque[float] = deque(maxlen=_REMEMBERED)

    def __call__(self, picture: NDArray[np.uint8]) -> bool:
        """Whether a cut lies before this picture (H, W, 3); never before the first one."""
        height, width = picture.shape[:2]
        small = picture[:: max(height // _ROWS, 1), :: max(width // _COLUMNS, 1)].astype(np.int16)
        last, self._last = self._last, small
        if last is None:
            return False
        if last.shape != small.shape:
            return True
        difference = float(np.abs(small - last).mean())
        bound = max(_LEAST_DIFFERENCE, _TIMES_LATELY * max(self._lately, default=0.0))
        self._lately.append(difference)
        return difference >= bound
