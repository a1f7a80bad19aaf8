"""Statistics of a clip's voice columns, the same for every table of columns; fixed before any score was seen.

In the manner of the functionals of Eyben et al. (2016): mean, spread and three percentiles of every column, of those
about the voice over voiced frames only; rising and falling slopes of loudness and pitch; how often and how long the
voice sounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating[Any]]
PERCENTILES = (20, 50, 80)
FRAMES_PER_SECOND = 100
SEGMENTS = 20


@dataclass(frozen=True)
class Layout:
    """Where things stand in a table of columns.

    Parameters
    ----------
    voice, other : sequence of int
        Columns that mean something where voiced only, and the rest.
    pitch, loudness : int
        Columns whose slopes count; voiced is where the pitch is above 0.
    """

    voice: Sequence[int]
    other: Sequence[int]
    pitch: int
    loudness: int


def statistics(values: Values, layout: Layout) -> Values:
    """Vector of a clip."""
    voiced = values[:, layout.pitch] > 0
    spoken = values[voiced]
    return np.concatenate(
        [
            _moments(spoken[:, layout.voice]),
            _moments(values[:, layout.other]),
            _moments(spoken[:, layout.other])[: 2 * len(layout.other)],
            _rhythm(voiced, values[:, layout.loudness]),
            _slopes(values[:, layout.loudness]),
            _slopes(spoken[:, layout.pitch]),
        ]
    )


def flattened(values: Values) -> Values:
    """Means of twenty equal parts, one after the other."""
    return np.concatenate([part.mean(axis=0) for part in np.array_split(values, SEGMENTS)])


def _moments(part: Values) -> Values:
    """Means, then spreads, then percentiles of all columns; 0 without frames."""
    if not len(part):
        return np.zeros((2 + len(PERCENTILES)) * part.shape[1])
    return np.concatenate([part.mean(axis=0), part.std(axis=0), *np.percentile(part, PERCENTILES, axis=0)])


def _rhythm(voiced: NDArray[np.bool_], loudness: Values) -> Values:
    """Voiced share, voiced pieces a second, length of pieces and pauses, loudness peaks a second, seconds."""
    seconds = len(voiced) / FRAMES_PER_SECOND
    here, before, after = loudness[1:-1], loudness[:-2], loudness[2:]
    peaks = np.count_nonzero((here > before) & (here >= after) & (here > np.median(loudness)))
    pieces, pauses = _lengths(voiced), _lengths(~voiced)
    lengths = [(part.mean(), part.std()) if len(part) else (0.0, 0.0) for part in (pieces, pauses)]
    return np.array(
        [voiced.mean(), len(pieces) / seconds, *np.ravel(lengths) / FRAMES_PER_SECOND, peaks / seconds, seconds]
    )


def _lengths(mask: NDArray[np.bool_]) -> Values:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int64), [0]])))
    return (edges[1::2] - edges[::2]).astype(np.float64)


def _slopes(column: Values) -> Values:
    """Mean and spread of the rises, then of the falls, from one frame to the next."""
    change = np.diff(column)
    parts = (change[change > 0], change[change < 0])
    return np.ravel([(part.mean(), part.std()) if len(part) else (0.0, 0.0) for part in parts])
