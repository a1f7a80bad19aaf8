"""Intervals by resampling whole clusters: utterances of one speaker or video are not independent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.errors import DataError

__all__ = ["Interval", "cluster_bootstrap", "drawn_counts", "percentile_interval", "resamples"]

_BLOCK = 1 << 22  # numbers in one block of resamples: 32 MiB
Score = Callable[[NDArray[np.int64]], float]


@dataclass(frozen=True)
class Interval:
    """Percentile interval.

    Parameters
    ----------
    low, high : float
        Bounds that hold 95 % of the resampled values.
    """

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 lies outside."""
        return self.low > 0 or self.high < 0


def resamples(clusters: NDArray[Any], times: int, seed: int) -> list[NDArray[np.int64]]:
    """Row numbers of `times` resamples of whole clusters, drawn with replacement.

    Parameters
    ----------
    clusters : array of shape (N,)
        Cluster of every row.
    times : int
        Number of resamples.
    seed : int
        Of the draws.

    Examples
    --------
    >>> rows = resamples(np.array(["a", "a", "b"]), 2, seed=0)
    >>> all(np.sum(r == 0) == np.sum(r == 1) for r in rows)
    True
    """
    if not len(clusters):
        raise DataError("there is nothing to resample")
    _, which = np.unique(clusters, return_inverse=True)
    order = np.argsort(which, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(which))[:-1])
    rng = np.random.default_rng(seed)
    return [np.concatenate([members[c] for c in rng.integers(len(members), size=len(members))]) for _ in range(times)]


def drawn_counts(clusters: int, times: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each cluster is in each resample, in blocks that fit into memory.

    Parameters
    ----------
    clusters : int
        C clusters.
    times : int
        Number of resamples.
    seed : int
        Of the draws.

    Yields
    ------
    array of shape (T, C)
        Of T resamples; all blocks together have `times`.

    Examples
    --------
    >>> [block.sum(axis=1).tolist() for block in drawn_counts(3, 2, seed=0)]
    [[3.0, 3.0]]
    """
    rng = np.random.default_rng(seed)
    most = max(1, _BLOCK // clusters)
    for start in range(0, times, most):
        draws = rng.integers(clusters, size=(min(most, times - start), clusters))
        yield np.stack([np.bincount(draw, minlength=clusters) for draw in draws]).astype(np.float64)


def cluster_bootstrap(score: Score, clusters: NDArray[Any], *, times: int = 1000, seed: int = 0) -> Interval:
    """95 % interval of a score, or of a difference of two scores on the same rows (then it is paired).

    Parameters
    ----------
    score : callable
        Of row numbers (n,), repeated as drawn; NaN where it is not defined on the draw, which is then left out.
    clusters : array of shape (N,)
        Cluster of every row.
    times : int
        Number of resamples.
    seed : int
        Of the draws.

    Returns
    -------
    Interval
        The 2.5th and 97.5th percentile; NaN where the score was defined on no draw.

    Notes
    -----
    Source: the percentile bootstrap over clusters, Davison & Hinkley (1997), section 3.8.

    Examples
    --------
    >>> x = np.arange(100.0)
    >>> interval = cluster_bootstrap(lambda rows: float(x[rows].mean()), np.arange(100))
    >>> 43 < interval.low < 45 and 54 < interval.high < 56
    True
    """
    return percentile_interval(np.array([score(rows) for rows in resamples(clusters, times, seed)]))


def percentile_interval(values: NDArray[np.float64]) -> Interval:
    """Central 95 % of resampled values; NaN are left out.

    Parameters
    ----------
    values : array of shape (n,)
        One per resample.

    Examples
    --------
    >>> percentile_interval(np.arange(101.0))
    Interval(low=2.5, high=97.5)
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return Interval(float("nan"), float("nan"))
    low, high = np.percentile(known, [2.5, 97.5])
    return Interval(float(low), float(high))
