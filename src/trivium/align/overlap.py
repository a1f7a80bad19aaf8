"""Which rows of a stream overlap each step of a timeline.

The rule is that of the CMU Multimodal SDK: a row belongs to a step when the two share more than 1e-5 seconds. Because
rounding is monotone, ``min(ends) - max(starts) > 1e-5`` holds in floating point exactly when each of the four
differences does, so sorted streams need two binary searches per step and give exactly what the definition gives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trivium.errors import AlignmentError

__all__ = ["SHORTEST_OVERLAP", "Overlap", "overlapping_rows"]

SHORTEST_OVERLAP = 1e-5
"""Seconds that a row and a step must share at least; touching ends do not count."""


@dataclass(frozen=True, eq=False)
class Overlap:
    """Rows of a stream by step of a timeline.

    Step w overlaps the rows ``order[first[w]:last[w]]``; they come in the order in which the stream stores them.

    Parameters
    ----------
    first, last : int arrays of shape (W,)
        Half-open range of every step; empty where nothing overlaps.
    order : int array of shape (K,), optional
        Row numbers that the ranges speak of; None where they are the row numbers themselves.
    """

    first: NDArray[np.int64]
    last: NDArray[np.int64]
    order: NDArray[np.int64] | None = None

    def rows(self, step: int) -> slice | NDArray[np.int64]:
        """Rows of one step, as something that indexes the stream's arrays."""
        span = slice(int(self.first[step]), int(self.last[step]))
        return span if self.order is None else self.order[span]


def overlapping_rows(reference: NDArray[np.float64], times: NDArray[np.float64]) -> Overlap:
    """Find the rows that share more than 1e-5 s with each step.

    Parameters
    ----------
    reference : array of shape (W, 2)
        Start and end of every step in seconds, in any order; steps may overlap each other.
    times : array of shape (T, 2)
        Start and end of every row of the stream in seconds, in any order; rows may overlap each other.

    Returns
    -------
    Overlap
        Linear in W + T (and W log T) where the stream is sorted; elsewhere linear in the rows that lie within reach.

    Raises
    ------
    AlignmentError
        A row of the stream has no start or end (NaN).

    Examples
    --------
    >>> frames = np.array([[0.0, 0.1], [0.1, 0.2], [0.2, 0.3]])
    >>> found = overlapping_rows(np.array([[0.05, 0.2], [0.3, 0.4]]), frames)
    >>> found.first.tolist(), found.last.tolist()
    ([0, 3], [2, 3])
    """
    starts, ends = np.ascontiguousarray(times.T)
    kept = ends - starts > SHORTEST_OVERLAP
    order = None
    if not kept.all():
        _require_numbers(times)
        order = np.flatnonzero(kept)
        starts, ends = starts[order], ends[order]
    if (starts[1:] >= starts[:-1]).all() and (ends[1:] >= ends[:-1]).all():
        return Overlap(*_ranges(reference, starts, ends), order)
    return _unsorted(reference, starts, ends, order)


def _require_numbers(times: NDArray[np.float64]) -> None:
    missing = np.isnan(times).any(axis=1)
    if missing.any():
        raise AlignmentError(
            "a row has no start or end", place=f"row {np.flatnonzero(missing)[0]}", remedy="drop the row or time it"
        )


def _ranges(
    reference: NDArray[np.float64], starts: NDArray[np.float64], reach: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Range of rows by step, both `starts` and `reach` being sorted: reach - begin > 1e-5 and end - starts > 1e-5."""
    begin, end = reference.T
    if not len(starts):
        return np.zeros(len(reference), np.int64), np.zeros(len(reference), np.int64)
    # search a few units of rounding too wide, then let the definition itself decide at the edges
    slack = 4 * np.spacing(max(float(np.abs(reference).max(initial=0.0)), SHORTEST_OVERLAP))
    first = reach.searchsorted(begin + (SHORTEST_OVERLAP - slack))
    last = starts.searchsorted(end - (SHORTEST_OVERLAP - slack), side="right")
    total = len(starts)
    while (over := (reach.take(first, mode="clip") - begin <= SHORTEST_OVERLAP) & (first < total)).any():
        first += over
    while (over := (end - starts.take(last - 1, mode="clip") <= SHORTEST_OVERLAP) & (last > 0)).any():
        last -= over
    last = np.where(end - begin > SHORTEST_OVERLAP, np.maximum(first, last), first)
    return first, last


def _unsorted(
    reference: NDArray[np.float64],
    starts: NDArray[np.float64],
    ends: NDArray[np.float64],
    order: NDArray[np.int64] | None,
) -> Overlap:
    by_start = np.argsort(starts, kind="stable")
    # the running maximum of the ends is sorted even where a long row encloses later ones
    reach = np.maximum.accumulate(ends[by_start])
    first, last = _ranges(reference, starts[by_start], reach)
    chosen = [np.empty(0, np.int64)]
    for begin, low, high in zip(reference[:, 0], first, last, strict=True):
        rows = by_start[low:high]
        chosen.append(np.sort(rows[ends[rows] - begin > SHORTEST_OVERLAP]))
    bounds = np.cumsum([len(rows) for rows in chosen])
    flat = np.concatenate(chosen)
    return Overlap(bounds[:-1], bounds[1:], flat if order is None else order[flat])
