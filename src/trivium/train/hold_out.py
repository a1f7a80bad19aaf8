"""The early-stopping fold: which training samples are held out, whole groups at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trivium.errors import DataError

__all__ = ["hold_out"]


def hold_out(
    n: int,
    fraction: float,
    *,
    seed: int,
    groups: NDArray[np.str_] | None = None,
    strata: NDArray[np.str_] | None = None,
) -> NDArray[np.bool_]:
    """Choose a fold that shares no group with the rest.

    Groups are taken in random order until `fraction` of the samples is reached, at least one group of each stratum,
    and never a stratum's last group. A stratum with a single group gives nothing. Equal names in two strata are two
    groups: speaker 01 of one corpus is not speaker 01 of another.

    Parameters
    ----------
    n : int
        Number of samples.
    fraction : float
        Share to hold out, in [0, 1); 0 holds out none.
    seed : int
        Decides the order.
    groups : str array of shape (n,), optional
        Speaker or video of each; None: each sample is a group. Samples with ``""`` are groups of their own.
    strata : str array of shape (n,), optional
        Corpus of each; the share is taken from every stratum.

    Returns
    -------
    bool array of shape (n,)
        True for the held-out samples.

    Examples
    --------
    >>> hold_out(6, 0.3, seed=0, groups=np.array(["a", "a", "b", "b", "c", "c"])).sum()
    np.int64(2)
    """
    if not 0 <= fraction < 1:
        raise DataError(f"the share to hold out must lie in [0, 1), not {fraction}")
    for name, column in (("groups", groups), ("strata", strata)):
        if column is not None and len(column) != n:
            raise DataError(f"there are {len(column)} {name} for {n} samples")
    held = np.zeros(n, dtype=bool)
    if fraction == 0:
        return held
    own = np.array([f"\0{i}" for i in range(n)])
    named = own if groups is None else np.where(np.asarray(groups, np.str_) == "", own, np.asarray(groups, np.str_))
    rng = np.random.default_rng(seed)
    parts = np.zeros(n, np.int64) if strata is None else np.unique(strata, return_inverse=True)[1]
    for part in np.unique(parts):
        members = parts == part
        names = rng.permutation(np.unique(named[members]))[:-1]
        for name in names:
            if held[members].sum() >= max(1, round(fraction * members.sum())):
                break
            held |= members & (named == name)
    return held
