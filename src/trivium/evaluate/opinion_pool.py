"""The logarithmic opinion pool: probabilities of several judges joined by their weighted geometric mean.

Genest and Zidek (1986). The weights are those with the least cross entropy, none below zero: a convex problem. With one
judge the weight says how sharp its answers should be (Guo et al. 2017 call its inverse the temperature).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["pooled_probabilities", "pooling_weights"]

Floats = NDArray[np.float64]
_LEAST = 1e-12  # of a probability whose logarithm is taken


def pooled_probabilities(shares: Floats, weights: Floats) -> Floats:
    """Weighted geometric mean of probabilities, brought to the sum 1 over the classes.

    Parameters
    ----------
    shares : array of shape (B, N, C)
        Probabilities of every class by block.
    weights : array of shape (B,)
        Powers.

    Returns
    -------
    array of shape (N, C)
        Sums to 1; equal for all classes where all weights are 0.

    Examples
    --------
    >>> shares = np.array([[[0.8, 0.2]], [[0.5, 0.5]]])
    >>> pooled_probabilities(shares, np.array([1.0, 3.0])).round(3).tolist()
    [[0.8, 0.2]]
    """
    powers = np.tensordot(weights, np.log(np.maximum(shares, _LEAST)), axes=1)
    found = np.exp(powers - powers.max(axis=1, keepdims=True))
    pooled: Floats = found / found.sum(axis=1, keepdims=True)
    return pooled


def pooling_weights(shares: Floats, truth: NDArray[np.integer[Any]]) -> Floats:
    """Weights, none below zero, with which the pooled probabilities have the least cross entropy.

    Parameters
    ----------
    shares : array of shape (B, N, C)
        Probabilities by block, of rows from which their models had not learned.
    truth : int array of shape (N,)
        Number of the true class.

    Returns
    -------
    array of shape (B,)
        All equal, to sum to 1, where every block is useless: there is nothing to weigh by.

    Examples
    --------
    >>> told = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]]); noise = told[[1, 0, 0, 1]]
    >>> weights = pooling_weights(np.stack([told, noise]), np.array([0, 1, 0, 1]))
    >>> bool(weights[0] > weights[1] >= 0)
    True
    """
    from scipy.optimize import minimize

    logs = np.log(np.maximum(shares, _LEAST))
    rows = np.arange(logs.shape[1])

    def entropy(weights: Floats) -> tuple[float, Floats]:
        pooled = pooled_probabilities(shares, weights)
        value = -np.log(np.maximum(pooled[rows, truth], _LEAST)).mean()
        rise = (pooled * logs).sum(axis=2) - logs[:, rows, truth]
        return float(value), rise.mean(axis=1)

    start = np.full(len(shares), 1 / len(shares))
    found: Floats = minimize(entropy, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(shares)).x
    return found if found.any() else start
