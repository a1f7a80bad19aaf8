"""Protocols: which utterances train, which choose, which are tested, in words and in row numbers.

A fold's test rows are read once, at the end. Where a split brings a validation fold, it chooses the strength of the
readout; elsewhere inner folds of the training rows do, with the same groups kept together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.errors import DataError
from trivium.evaluate.clusters import clusters_of

__all__ = ["Fold", "Protocol", "across", "given_split", "grouped_folds", "repeated_folds"]

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Fold:
    """One division of the utterances.

    Parameters
    ----------
    name : str
        Such as ``1`` or ``test``.
    train, test : int arrays of shape (n,)
        Row numbers.
    valid : int array of shape (n,)
        Rows that choose the strength; empty where inner folds of `train` do.
    seed : int, optional
        Set where the fold belongs to one repeat only (another partition for every seed).
    """

    name: str
    train: Rows
    test: Rows
    valid: Rows = field(default_factory=lambda: np.empty(0, np.int64))
    seed: int | None = None


@dataclass(frozen=True, eq=False)
class Protocol:
    """A named evaluation.

    Parameters
    ----------
    description : str
        One sentence for tables.
    folds : tuple of Fold
        In order.
    clusters : array of shape (N,)
        What belongs together in inner folds and in the bootstrap: speaker, video, or the utterance itself; ``""`` is
        a cluster of its own. For corpora whose speakers only share their names, take
        :func:`trivium.evaluate.clusters_of` first.
    """

    description: str
    folds: tuple[Fold, ...]
    clusters: NDArray[Any]

    def of_seed(self, seed: int) -> tuple[Fold, ...]:
        """Folds that a seed runs through."""
        return tuple(f for f in self.folds if f.seed in (None, seed))

    @property
    def same_for_all_seeds(self) -> bool:
        """Whether every seed runs through the same folds."""
        return all(f.seed is None for f in self.folds)

    def without(self, dropped: NDArray[np.bool_]) -> Protocol:
        """Leave rows out of all folds, such as those without a label."""

        def kept(rows: Rows) -> Rows:
            return rows[~dropped[rows]]

        folds = (replace(f, train=kept(f.train), valid=kept(f.valid), test=kept(f.test)) for f in self.folds)
        return replace(self, folds=tuple(f for f in folds if len(f.test)))

    def placed(self, rows: Rows, clusters: NDArray[Any]) -> Protocol:
        """Take a protocol of some rows to the row numbers of all.

        Parameters
        ----------
        rows : int array of shape (n,)
            Where the rows of this protocol are among N.
        clusters : array of shape (N,)
            Clusters of all.
        """
        folds = (replace(f, train=rows[f.train], valid=rows[f.valid], test=rows[f.test]) for f in self.folds)
        return replace(self, folds=tuple(folds), clusters=clusters)


def grouped_folds(groups: NDArray[Any], folds: int = 5, *, name: str = "group") -> Protocol:
    """Folds of whole groups, taken in sorted order: the first groups are the first fold.

    Parameters
    ----------
    groups : array of shape (N,)
        Group of every utterance, such as its actor. Numbers in text sort as numbers; ``""`` is a group of its own.
    folds : int
        How many.
    name : str
        How the description calls a group.

    Raises
    ------
    DataError
        There are fewer groups than folds.

    Examples
    --------
    >>> protocol = grouped_folds(np.array(["1", "2", "10", "1"]), 3, name="actor")
    >>> [fold.test.tolist() for fold in protocol.folds]
    [[0, 3], [1], [2]]
    """
    groups = clusters_of(groups)
    members = sorted(np.unique(groups).tolist(), key=_order)
    if folds < 2 or len(members) < folds:
        raise DataError(f"{len(members)} groups of the kind {name} give no {folds} folds", remedy="ask for fewer folds")
    made = []
    for k, part in enumerate(np.array_split(np.arange(len(members)), folds)):
        tested = np.isin(groups, [members[i] for i in part])
        made.append(Fold(str(k + 1), np.flatnonzero(~tested), np.flatnonzero(tested)))
    text = f"{folds} folds of whole groups ({name}, {len(members)} of them, in order); inner folds by {name}"
    return Protocol(text, tuple(made), groups)


def _order(cluster: Any) -> list[tuple[float, str]]:
    return [_as_number(part) for part in str(cluster).split("\0")]  # corpus and name


def _as_number(value: Any) -> tuple[float, str]:
    try:
        return float(value), str(value)
    except (TypeError, ValueError):
        return float("inf"), str(value)


def repeated_folds(clusters: NDArray[Any], folds: int = 5, seeds: Sequence[int] = (0, 1, 2, 3, 4)) -> Protocol:
    """Partition the clusters at random, anew for every seed.

    Parameters
    ----------
    clusters : array of shape (N,)
        What must stay together; distinct values where every utterance stands alone, as those with ``""`` do.
    folds : int
        Folds per partition.
    seeds : sequence of int
        One partition each.

    Raises
    ------
    DataError
        There are fewer clusters than folds.

    Examples
    --------
    >>> protocol = repeated_folds(np.arange(10), 5, seeds=[0, 1])
    >>> len(protocol.folds), sorted(int(row) for fold in protocol.of_seed(1) for row in fold.test)
    (10, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    clusters = clusters_of(clusters)
    members = np.unique(clusters)
    if folds < 2 or len(members) < folds:
        raise DataError(f"{len(members)} clusters give no {folds} folds", remedy="ask for fewer folds")
    made = []
    for seed in seeds:
        shuffled = np.random.default_rng(seed).permutation(members)
        for k, part in enumerate(np.array_split(shuffled, folds)):
            tested = np.isin(clusters, part)
            made.append(Fold(f"{seed}.{k + 1}", np.flatnonzero(~tested), np.flatnonzero(tested), seed=seed))
    anew = f", partitioned anew for each of {len(seeds)} seeds" if len(seeds) > 1 else ""
    text = f"{folds} folds at random{anew}"
    return Protocol(text, tuple(made), clusters)


def given_split(split: NDArray[np.str_], clusters: NDArray[Any], *, name: str = "split") -> Protocol:
    """Take the distribution's own train, valid and test folds; valid may be absent.

    Parameters
    ----------
    split : str array of shape (N,)
        ``train``, ``valid``, ``test``, or anything else for rows that take no part.
    clusters : array of shape (N,)
        What belongs together in the bootstrap.
    name : str
        How the description calls the split.

    Raises
    ------
    DataError
        There is no training or no test row.

    Examples
    --------
    >>> protocol = given_split(np.array(["train", "valid", "test"]), np.arange(3))
    >>> protocol.folds[0].valid.tolist()
    [1]
    """
    rows = {fold: np.flatnonzero(split == fold) for fold in ("train", "valid", "test")}
    if not len(rows["train"]) or not len(rows["test"]):
        raise DataError(f"the split {name} has no train or no test fold", remedy="choose another split, or folds")
    chosen = "the valid fold" if len(rows["valid"]) else "inner folds of train"
    counts = " / ".join(str(len(part)) for part in rows.values())
    text = f"split {name} as given ({counts}); strength chosen on {chosen}"
    return Protocol(text, (Fold("test", rows["train"], rows["test"], rows["valid"]),), clusters)


def across(protocol: Protocol, values: NDArray[Any], *, same: bool = False, name: str = "value") -> Protocol:
    """Test each fold on one value of a property after training on the others, such as another sentence.

    Parameters
    ----------
    protocol : Protocol
        Its folds are divided further.
    values : array of shape (N,)
        Property of every utterance.
    same : bool
        Train on the same value instead, which shows what knowing the value is worth.
    name : str
        How the description calls the property.

    Examples
    --------
    >>> sentences = np.array(["a", "b", "a", "b"])
    >>> crossed = across(grouped_folds(np.array([1, 1, 2, 2]), 2), sentences, name="sentence")
    >>> [(f.train.tolist(), f.test.tolist()) for f in crossed.folds][0]
    ([3], [0])
    """
    made = []
    for fold in protocol.folds:
        for value in np.unique(values):
            train = fold.train[(values[fold.train] == value) == same]
            valid = fold.valid[(values[fold.valid] == value) == same]
            test = fold.test[values[fold.test] == value]
            if len(train) and len(test):
                made.append(replace(fold, name=f"{fold.name}/{value}", train=train, valid=valid, test=test))
    how = "the same" if same else "another"
    return replace(protocol, description=f"{protocol.description}; trained on {how} {name}", folds=tuple(made))
