"""Many rows to one: what a step keeps of the rows that overlap it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from trivium.align.overlap import Overlap
from trivium.errors import AlignmentError

__all__ = ["COLLAPSE", "Collapse", "collapse_into", "collapse_rows"]

Collapse: TypeAlias = Callable[[NDArray[np.float64], NDArray[np.float32]], NDArray[Any]]
"""A function of (intervals (k, 2) cut to the step, features (k, D)) that gives (D,), as in the CMU SDK."""

_Reduce: TypeAlias = Callable[[NDArray[np.float32]], NDArray[Any]]
_MANY_ROWS = 256
_MOST_PAIRS = 1 << 22  # of a step and a row of it in one product: 32 MB; what is beyond goes step by step


def _mean(rows: NDArray[np.float32]) -> NDArray[Any]:
    """Unweighted mean; NaN and infinity pass through, as in the SDK."""
    mean: NDArray[np.float64] = np.add.reduce(rows, axis=0, dtype=np.float64) / len(rows)
    return mean


# Every one of these gives back a single row unchanged: `collapse_rows` relies on it.
COLLAPSE: Mapping[str, _Reduce] = MappingProxyType(
    {
        "mean": _mean,
        "sum": lambda rows: np.add.reduce(rows, axis=0, dtype=np.float64),
        "max": lambda rows: np.maximum.reduce(rows, axis=0),
        "min": lambda rows: np.minimum.reduce(rows, axis=0),
        "median": lambda rows: np.median(rows, axis=0),
        "first": lambda rows: rows[0],
        "last": lambda rows: rows[-1],
    }
)
"""Collapse functions by name: functions of features (k, D), with k >= 1, that give (D,)."""


def collapse_rows(
    values: NDArray[np.float32],
    times: NDArray[np.float64],
    reference: NDArray[np.float64],
    overlap: Overlap,
    collapse: str | Collapse = "mean",
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Give every step one row.

    Parameters
    ----------
    values : array of shape (T, D)
        Rows of the stream.
    times : array of shape (T, 2)
        Start and end of the rows in seconds.
    reference : array of shape (W, 2)
        Start and end of the steps in seconds.
    overlap : Overlap
        What :func:`overlapping_rows` found for `reference` and `times`.
    collapse : str or callable
        A name from :data:`COLLAPSE`, or a function of (intervals (k, 2), features (k, D)) that gives (D,); the
        intervals are cut to the step.

    Returns
    -------
    values : array of shape (W, D)
        float32, zero where nothing overlaps.
    seen : bool array of shape (W,)
        True where something overlaps.

    Raises
    ------
    AlignmentError
        There is no such name, or the function gives another shape.

    Examples
    --------
    >>> from trivium.align.overlap import overlapping_rows
    >>> frames = np.array([[0.0, 1.0], [1.0, 2.0], [5.0, 6.0]])
    >>> words = np.array([[0.5, 2.0], [3.0, 4.0]])
    >>> x = np.array([[1.0], [3.0], [9.0]], np.float32)
    >>> values, seen = collapse_rows(x, frames, words, overlapping_rows(words, frames))
    >>> values.tolist(), seen.tolist()
    ([[2.0], [0.0]], [True, False])
    """
    collapsed = np.zeros((len(reference), values.shape[1]), np.float32)
    seen = collapse_into(collapsed, values, times, reference, overlap, collapse)
    return collapsed, seen


def collapse_into(
    collapsed: NDArray[np.float32],
    values: NDArray[np.float32],
    times: NDArray[np.float64],
    reference: NDArray[np.float64],
    overlap: Overlap,
    collapse: str | Collapse,
) -> NDArray[np.bool_]:
    """Do as :func:`collapse_rows`, writing into zeros of shape (W, D) that may lie within a larger array."""
    counts = overlap.last - overlap.first
    if callable(collapse):
        _apply(collapse, values, times, reference, overlap, collapsed)
        return counts > 0
    reduce = _named(collapse)
    several = counts > 1
    if not several.all():
        single = np.flatnonzero(counts == 1)
        rows = overlap.first[single]
        collapsed[single] = values[rows if overlap.order is None else overlap.order[rows]]
    left = np.flatnonzero(several)
    with np.errstate(invalid="ignore", over="ignore"):  # inf - inf, and sums beyond float32, are what the data say
        if reduce is _mean and len(left):
            left = _means_of_few(collapsed, values, overlap, left)
        for step in left.tolist():
            collapsed[step] = reduce(values[overlap.rows(step)])
    return counts > 0


def _means_of_few(
    collapsed: NDArray[np.float32], values: NDArray[np.float32], overlap: Overlap, steps: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Means of those of `steps` that have at most 256 rows; give the steps that are left to do."""
    # One sparse product adds up the rows of all steps in a single pass, where a reduction for every step would be
    # nearly all overhead. Its sums are float32, as those of the SDK's mean are: off by at most (rows - 1) 6e-8 of the
    # mean magnitude of the column. Only a step's own rows take part, so NaN stays where it is.
    first, last = overlap.first[steps], overlap.last[steps]
    counts = last - first
    few = np.flatnonzero((counts <= _MANY_ROWS) & (np.cumsum(counts) <= _MOST_PAIRS))
    if len(few) < len(steps):
        first, counts = first[few], counts[few]
    bounds = np.zeros(len(few) + 1, np.int32)
    np.cumsum(counts, out=bounds[1:])
    rows = np.arange(bounds[-1], dtype=np.int32) + np.repeat((first - bounds[:-1]).astype(np.int32), counts)
    if overlap.order is not None:
        rows = overlap.order[rows]
    chosen = csr_array((np.ones(len(rows), np.float32), rows, bounds), shape=(len(few), len(values)))
    means = chosen @ values
    means /= counts.astype(np.float32)[:, None]
    collapsed[steps[few]] = means
    if len(few) == len(steps) and np.isfinite(means).all():
        return steps[:0]
    # a sum may pass float32 where its mean does not
    return np.delete(steps, few[np.isfinite(means).all(axis=1)])


def _named(collapse: str) -> _Reduce:
    try:
        return COLLAPSE[collapse]
    except KeyError:
        raise AlignmentError(
            f"there is no collapse function {collapse!r}",
            remedy=f"choose one of {', '.join(COLLAPSE)}, or pass a function of (intervals, features)",
        ) from None


def _apply(
    collapse: Collapse,
    values: NDArray[np.float32],
    times: NDArray[np.float64],
    reference: NDArray[np.float64],
    overlap: Overlap,
    collapsed: NDArray[np.float32],
) -> None:
    for step in np.flatnonzero(overlap.last > overlap.first).tolist():
        rows = overlap.rows(step)
        begin, end = reference[step]
        result = np.asarray(collapse(np.clip(times[rows], begin, end), values[rows]))
        if result.shape != collapsed[step].shape:
            raise AlignmentError(
                f"the collapse function gives shape {result.shape}, expected {collapsed[step].shape}",
                remedy="return one number per column",
            )
        collapsed[step] = result
