"""From the numbers of a network to shares of classes and to levels, in NumPy alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["class_shares", "expected_level"]


def class_shares(scores: NDArray[np.float32], *, multilabel: bool = False) -> NDArray[np.float32]:
    """Probabilities of classes.

    Parameters
    ----------
    scores : array of shape (N, K)
        Before the softmax; where several classes may be true together, before the sigmoid of each.
    multilabel : bool
        Whether several may be true together.

    Returns
    -------
    array of shape (N, K)
        Rows sum to 1 where one class is true.

    Examples
    --------
    >>> class_shares(np.array([[0.0, np.log(3.0)]])).round(2).tolist()
    [[0.25, 0.75]]
    """
    if multilabel:
        return _shares(scores)
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float32)


def expected_level(scores: NDArray[np.float32], levels: Sequence[float]) -> NDArray[np.float32]:
    """Expected level (N,) of answers to "is it above level k?".

    Parameters
    ----------
    scores : array of shape (N, K)
        Before the sigmoid, one for each level but the highest.
    levels : sequence of K + 1 float
        Rising.

    Notes
    -----
    The expectation of a number on the levels is the lowest plus, for every step up, its height times the probability
    of lying above it. It is a number between the levels; rounded, it is a level. Our choice: the source of the loss
    counts the questions answered yes, which throws away how sure they are.

    Examples
    --------
    >>> expected_level(np.array([[9.0, 0.0, -9.0]], np.float32), [-1, 0, 1, 2]).round(2).tolist()
    [0.5]
    """
    return np.asarray(levels[0] + _shares(scores) @ np.diff(np.asarray(levels, np.float32)), np.float32)


def _shares(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sigmoid, without overflow."""
    small = np.exp(-np.abs(scores))
    return np.asarray(np.where(scores >= 0, 1 / (1 + small), small / (1 + small)), np.float32)
