"""What transformer encoders are made of, in NumPy, so that extracting columns needs no torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["gelu", "layer_norm", "softmax", "split_heads"]

Array = NDArray[np.float32]


def gelu(x: Array) -> Array:
    """Gaussian error linear unit in its exact form (Hendrycks and Gimpel 2016), any shape.

    Examples
    --------
    >>> gelu(np.array([0.0, 1.0], np.float32)).round(4).tolist()
    [0.0, 0.8413000106811523]
    """
    from scipy.special import erf

    result: Array = 0.5 * x * (1 + erf(x / np.float32(np.sqrt(2))))
    return result


def softmax(x: Array) -> Array:
    """Shares along the last axis, any shape.

    Examples
    --------
    >>> softmax(np.zeros((1, 4), np.float32)).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    result: Array = powers / powers.sum(axis=-1, keepdims=True)
    return result


def layer_norm(x: Array, scale: Array, offset: Array, epsilon: float) -> Array:
    """Rows of (T, D) with mean 0 and variance 1, times `scale` (D,), plus `offset` (D,).

    Examples
    --------
    >>> one = np.ones(2, np.float32)
    >>> layer_norm(np.array([[1.0, 3.0]], np.float32), one, 0 * one, 1e-5).round(3).tolist()
    [[-1.0, 1.0]]
    """
    centred = x - x.mean(axis=1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=1, keepdims=True) + np.float32(epsilon))
    result: Array = centred / spread * scale + offset
    return result


def split_heads(x: Array, heads: int) -> Array:
    """Columns of (T, D) divided among heads: (heads, T, D / heads).

    Examples
    --------
    >>> split_heads(np.arange(4, dtype=np.float32).reshape(1, 4), 2).tolist()
    [[[0.0, 1.0]], [[2.0, 3.0]]]
    """
    return x.reshape(len(x), heads, -1).transpose(1, 0, 2)
