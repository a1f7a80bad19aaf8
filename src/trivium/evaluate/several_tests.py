"""Several tests at once: p from a bootstrap, and Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trivium.errors import DataError

__all__ = ["bootstrap_p", "holm"]


def bootstrap_p(drawn: NDArray[np.float64]) -> float:
    """Two-sided p of a difference from its bootstrap: below .05 where the 95 % percentile interval leaves out zero.

    Parameters
    ----------
    drawn : array of shape (R,)
        Differences on R resamples; NaN are left out.

    Returns
    -------
    float
        At least 2 / (R + 1); NaN where nothing is known.

    Notes
    -----
    Source: the percentile interval turned round, Davison & Hinkley (1997), section 4.4; one is added to each tail so
    that p is never 0.

    Examples
    --------
    >>> bootstrap_p(np.arange(1.0, 100.0)), bootstrap_p(np.array([-1.0, 1.0]))
    (0.02, 1.0)
    """
    known = drawn[~np.isnan(drawn)]
    if not len(known):
        return float("nan")
    tails = (int((known <= 0).sum()), int((known >= 0).sum()))
    return float(min(1.0, 2 * (min(tails) + 1) / (len(known) + 1)))


def holm(p: Sequence[float]) -> list[float]:
    """Corrected p of several tests: the chance of a single false finding among them stays below the level.

    Parameters
    ----------
    p : sequence of K float
        Of each test, between 0 and 1.

    Returns
    -------
    list of K float
        In the same order.

    Raises
    ------
    DataError
        One is no probability.

    Notes
    -----
    Source: Holm (1979), step down.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise DataError(f"{list(p)} are no probabilities")
    order = np.argsort(values, kind="stable")
    raised = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    found = np.empty(len(values))
    found[order] = np.minimum(raised, 1.0)
    return [float(value) for value in found]
