"""What a probe refuses before anything is fitted: seeds, masks and folds that would not mean what they seem to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.errors import DataError
from trivium.evaluate.protocols import Fold, Protocol

__all__ = ["chosen_seeds", "require_folds", "require_rows", "row_mask"]


def chosen_seeds(seeds: int | Sequence[int]) -> tuple[int, ...]:
    """Seeds of a probe.

    Parameters
    ----------
    seeds : int or sequence of int
        An int n means 0 ... n-1.

    Raises
    ------
    DataError
        There is none, one is negative, or one is there twice.

    Examples
    --------
    >>> chosen_seeds(3), chosen_seeds([7, 4])
    ((0, 1, 2), (7, 4))
    """
    found = np.arange(seeds) if isinstance(seeds, int | np.integer) else np.asarray(seeds)
    if not found.size or found.dtype.kind not in "iu" or found.min() < 0 or len(np.unique(found)) < found.size:
        raise DataError(
            f"{seeds!r} gives no seeds", remedy="give a number above 0, or distinct seeds that are not negative"
        )
    return tuple(found.tolist())


def row_mask(name: str, mask: NDArray[Any], count: int) -> NDArray[np.bool_]:
    """Mask over all utterances, as it must be.

    Parameters
    ----------
    name : str
        What the error calls it.
    mask : bool array of shape (N,)
        True for the utterances meant.
    count : int
        N.

    Raises
    ------
    DataError
        It has another type or shape.

    Examples
    --------
    >>> row_mask("evaluated", np.array([True, False]), 2)
    array([ True, False])
    """
    found = np.asarray(mask)
    if found.dtype != np.bool_ or found.shape != (count,):
        raise DataError(
            f"{name} is an array of {found.dtype} and shape {found.shape}",
            remedy=f"give one bool for each of the {count} utterances",
        )
    return found


def require_rows(protocol: Protocol, count: int) -> None:
    """Refuse a protocol that was made for other utterances.

    Parameters
    ----------
    protocol : Protocol
        Its clusters must be (N,), its rows between 0 and N-1.
    count : int
        N.

    Raises
    ------
    DataError
        Names what does not fit.

    Examples
    --------
    >>> require_rows(Protocol("two rows", (Fold("1", np.array([0]), np.array([1])),), np.arange(2)), 2)
    """
    if np.shape(protocol.clusters) != (count,):
        raise DataError(
            f"the protocol has clusters of shape {np.shape(protocol.clusters)} for {count} utterances",
            remedy="make it from these utterances",
        )
    for fold in protocol.folds:
        if not all(_number_rows(rows, count) for rows in (fold.train, fold.valid, fold.test)):
            raise DataError(
                f"fold {fold.name} holds something else than row numbers below {count}",
                remedy="make the protocol from these utterances",
            )


def _number_rows(rows: NDArray[Any], count: int) -> bool:
    found = np.asarray(rows)
    return found.ndim == 1 and found.dtype.kind in "iu" and bool(((found >= 0) & (found < count)).all())


def require_folds(protocol: Protocol, seeds: Sequence[int]) -> None:
    """Refuse folds that give a seed nothing, or that would be scored for what they are not.

    Parameters
    ----------
    protocol : Protocol
        Every seed needs folds; they need training rows, names of their own, and test rows that no other fold of the
        seed tests and that the fold does not learn from.
    seeds : sequence of int
        Seeds that run through it.

    Raises
    ------
    DataError
        Names the seed or the fold.

    Examples
    --------
    >>> require_folds(Protocol("two rows", (Fold("1", np.array([0]), np.array([1])),), np.arange(2)), [0, 1])
    """
    for fold in protocol.folds:
        _require_apart(fold)
    for seed in seeds:
        folds = protocol.of_seed(seed)
        if not folds:
            known = sorted({fold.seed for fold in protocol.folds if fold.seed is not None})
            raise DataError(
                f"the protocol has no fold with a test row for seed {seed}", remedy=f"choose from the seeds {known}"
            )
        names = [fold.name for fold in folds]
        if len(set(names)) < len(names) or "" in names:
            raise DataError(f"the folds of seed {seed} need names of their own: {', '.join(map(repr, names))}")
        tested = np.concatenate([fold.test for fold in folds])
        if len(np.unique(tested)) < len(tested):
            raise DataError(f"several folds of seed {seed} test the same utterance", remedy="test each once by seed")


def _require_apart(fold: Fold) -> None:
    if not len(fold.train):
        raise DataError(f"fold {fold.name} has no training row with a label", remedy="choose other folds")
    shared = len(np.intersect1d(fold.test, np.concatenate([fold.train, fold.valid])))
    if shared:
        raise DataError(f"fold {fold.name} learns from {shared} of its test rows", remedy="keep them apart")
