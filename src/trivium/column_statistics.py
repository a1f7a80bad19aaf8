"""Statistics of columns over the steps where they were seen: pure functions of values, masks and places in time.

The functionals that the field computes by habit (mean, standard deviation, slope, extremes, percentiles), with holes
taken for what they are: a step where a column was not seen counts for nothing. No paper; the choice and the scale of
the slope are ours. No torch.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from trivium.errors import SpecificationError

__all__ = ["STATISTICS", "column_statistics", "parsed_statistics", "relative_places"]

Floats = NDArray[np.float64]
Cells = NDArray[np.bool_]
Counts = NDArray[np.bool_] | Floats  # how much a cell counts; 0, or False, where it was not seen
_MIDDLE = 0.5


def parsed_statistics(request: str) -> tuple[str, ...]:
    """Names of statistics, from ``mean,spread,slope``.

    Parameters
    ----------
    request : str
        Names from :data:`STATISTICS`, joined with commas.

    Raises
    ------
    SpecificationError
        One does not exist or is named twice, or there is none.

    Examples
    --------
    >>> parsed_statistics("mean, slope")
    ('mean', 'slope')
    """
    names = tuple(piece.strip() for piece in str(request).split(",") if piece.strip())
    unknown = [name for name in names if name not in STATISTICS]
    if unknown or not names or len(set(names)) < len(names):
        raise SpecificationError(
            f"{request!r} does not name statistics", remedy=f"choose from {', '.join(STATISTICS)}, each once"
        )
    return names


def relative_places(steps: Cells, times: Floats | None = None) -> Floats:
    """Place of every step within what was seen: 0 at the first seen step, 1 at the last, so that padding moves nothing.

    Parameters
    ----------
    steps : bool array of shape (N, T)
        True where the modality was seen.
    times : array of shape (N, T), optional
        When, in any unit; default: steps follow each other evenly.

    Returns
    -------
    array of shape (N, T)
        0.5 where only one place was seen.

    Examples
    --------
    >>> relative_places(np.array([[False, True, True, True], [True, False, False, False]]))[:, :3].tolist()
    [[-0.5, 0.0, 0.5], [0.5, 0.5, 0.5]]
    """
    n, t = steps.shape
    places = np.broadcast_to(np.arange(t, dtype=np.float64), (n, t)) if times is None else times
    first = np.where(steps, places, np.inf).min(axis=1, initial=np.inf, keepdims=True)
    last = np.where(steps, places, -np.inf).max(axis=1, initial=-np.inf, keepdims=True)
    spans = last > first
    length = np.where(spans, last - np.where(spans, first, 0.0), 1.0)
    found: Floats = np.where(spans, (places - np.where(spans, first, 0.0)) / length, _MIDDLE)
    return found


def column_statistics(
    values: NDArray[np.floating],
    seen: Cells,
    names: Sequence[str],
    places: Floats | None = None,
    weights: Floats | None = None,
) -> Floats:
    """Statistics of every column over the cells that were seen.

    ``mean``, ``spread`` (population standard deviation), ``slope`` (of the least-squares line over the relative
    places: the change from the first seen step to the last), ``minimum``, ``maximum``, ``p10`` and ``p90``
    (interpolated percentiles), ``first-half`` and ``second-half`` (means of the cells up to and from the middle).

    Parameters
    ----------
    values : array of shape (N, T, D)
        Columns of one modality; what stands in unseen cells is not looked at.
    seen : bool array of shape (N, T, D)
        True where a cell holds data.
    names : sequence of S str
        From :data:`STATISTICS`.
    places : array of shape (N, T), optional
        Of :func:`relative_places`; default: even steps.
    weights : array of shape (N, T), optional
        How much a step counts in means, spreads and slopes, such as its seconds; default: all alike. Extremes and
        percentiles take every step alike.

    Returns
    -------
    array of shape (N, S * D)
        All columns of the first statistic, then of the next; 0 where a column was never seen, and for the slope where
        it was seen at one place only.

    Examples
    --------
    >>> x = np.array([[[1.0], [2.0], [6.0]]])
    >>> column_statistics(x, np.ones((1, 3, 1), bool), ["mean", "slope", "maximum"]).tolist()
    [[3.0, 5.0, 6.0]]
    >>> column_statistics(x, np.ones((1, 3, 1), bool), ["mean"], weights=np.array([[1, 1, 2]])).tolist()
    [[3.75]]
    """
    if not values.shape[1]:
        return np.zeros((len(values), len(names) * values.shape[2]))
    filled = np.where(seen, values, 0).astype(np.float64)
    where = relative_places(np.any(seen, axis=2)) if places is None else places
    counts: Counts = seen if weights is None else seen * weights[:, :, None]
    return np.concatenate([_MAKERS[name](filled, counts, where) for name in names], axis=1)


def _mean(values: Floats, counts: Counts, places: Floats) -> Floats:
    whole = counts.sum(axis=1)
    found: Floats = (values * counts).sum(axis=1) / np.where(whole > 0, whole, 1)
    return found


def _spread(values: Floats, counts: Counts, places: Floats) -> Floats:
    centred = values - _mean(values, counts, places)[:, None]
    found: Floats = np.sqrt(_mean(centred**2, counts, places))
    return found


def _slope(values: Floats, counts: Counts, places: Floats) -> Floats:
    when = np.broadcast_to(places[:, :, None], values.shape)
    apart = when - _mean(when, counts, places)[:, None]
    around = values - _mean(values, counts, places)[:, None]
    length = (apart * counts * apart).sum(axis=1)
    found: Floats = (apart * counts * around).sum(axis=1) / np.where(length > 0, length, 1)
    return found


def _percentile(share: float) -> Callable[[Floats, Counts, Floats], Floats]:
    def make(values: Floats, counts: Counts, places: Floats) -> Floats:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # columns that were never seen
            found: Floats = np.nan_to_num(np.nanquantile(np.where(counts, values, np.nan), share, axis=1))
        return found

    return make


def _extreme(choose: np.ufunc, worst: float) -> Callable[[Floats, Counts, Floats], Floats]:
    def make(values: Floats, counts: Counts, places: Floats) -> Floats:
        found = choose.reduce(np.where(counts, values, worst), axis=1)
        return np.where(counts.any(axis=1), found, 0.0)

    return make


def _half(first: bool) -> Callable[[Floats, Counts, Floats], Floats]:
    def make(values: Floats, counts: Counts, places: Floats) -> Floats:
        inside = places <= _MIDDLE if first else places >= _MIDDLE
        return _mean(values, counts * inside[:, :, None], places)

    return make


_MAKERS: dict[str, Callable[[Floats, Counts, Floats], Floats]] = {
    "mean": _mean,
    "spread": _spread,
    "slope": _slope,
    "minimum": _extreme(np.minimum, np.inf),
    "maximum": _extreme(np.maximum, -np.inf),
    "p10": _percentile(0.1),
    "p90": _percentile(0.9),
    "first-half": _half(True),
    "second-half": _half(False),
}

STATISTICS = tuple(_MAKERS)
"""Names of all statistics."""
