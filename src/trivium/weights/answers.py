"""From the numbers of a network to shares of classes, in NumPy alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["class_shares"]


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
        small = np.exp(-np.abs(scores))
        return np.asarray(np.where(scores >= 0, 1 / (1 + small), small / (1 + small)), np.float32)
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float32)
