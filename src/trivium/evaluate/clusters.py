"""Clusters: what must not lie on both sides of a fold, and what the bootstrap draws as a whole."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["clusters_of"]

_BETWEEN = "\0"  # stands in no name that a person or a file gives, so joined names stay distinct


def clusters_of(groups: NDArray[Any], corpora: NDArray[np.str_] | None = None) -> NDArray[Any]:
    """Tell apart what only looks like one group.

    An utterance without a group is a cluster of its own, and equal names in two corpora are two clusters: speaker 01
    of one corpus is not speaker 01 of another. The early-stopping fold (:func:`trivium.train.hold_out`) has the same
    rule. Where neither occurs, the groups are given back as they are.

    Parameters
    ----------
    groups : array of shape (N,)
        Group of every utterance; ``""`` where unknown.
    corpora : str array of shape (N,), optional
        Corpus of every utterance; None where all are of one.

    Returns
    -------
    array of shape (N,)
        Equal where utterances belong together.

    Notes
    -----
    Source: our choice.

    Examples
    --------
    >>> clusters = clusters_of(np.array(["01", "01", "", "", "01"]), np.array(["a", "a", "a", "a", "b"]))
    >>> len(np.unique(clusters)), bool(clusters[0] == clusters[1])
    (4, True)
    """
    names = np.asarray(groups)
    unknown = names == "" if names.dtype.kind in "UO" else np.zeros(len(names), bool)
    if unknown.any():
        own = np.array([f"{_BETWEEN}{row}" for row in range(len(names))])
        names = np.where(unknown, own, names.astype(np.str_))
    if corpora is None:
        return names
    pairs = [f"{corpus}{_BETWEEN}{name}" for corpus, name in zip(corpora.tolist(), names.tolist(), strict=True)]
    return names if len(set(pairs)) == len(np.unique(names)) else np.array(pairs)
