"""Loudness as the ear hears it, roughly: critical bands, equal loudness, compression.

After Hermansky (1990), "Perceptual linear predictive (PLP) analysis of speech": the power in bands of equal width on a
pitch scale, weighted by the ear's sensitivity at 40 phon, to the power of a third. Different: mel bands (O'Shaughnessy
1987) instead of Bark, as in Eyben et al. (2016). Not calibrated: nobody knows how loud a recording was.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["auditory_loudness"]

_BANDS = 26
_LOWEST_HZ, _HIGHEST_HZ = 20.0, 8000.0
_COMPRESSION = 1 / 3

Float: TypeAlias = NDArray[np.floating[Any]]


def auditory_loudness(power: Float, spacing: float) -> Float:
    """Sum of the auditory spectrum.

    Parameters
    ----------
    power : array of shape (T, F)
        Power spectrum of T frames from 0 Hz on.
    spacing : float
        Hz between two bins.

    Returns
    -------
    array of shape (T,)
        Doubles when the power grows by 9 dB.

    Examples
    --------
    >>> at = np.zeros((2, 257))
    >>> at[0, 3], at[1, 100] = 1.0, 1.0  # the same power at 94 Hz and at 3.1 kHz
    >>> low, high = auditory_loudness(at, 31.25)
    >>> bool(high > 4 * low)
    True
    """
    loudness: Float = np.sum((power @ _weights(power.shape[1], spacing)) ** _COMPRESSION, axis=1)
    return loudness


@cache
def _weights(bins: int, spacing: float) -> NDArray[np.float32]:
    """Triangles of equal height, weighted by the sensitivity at their tops, (bins, 26)."""
    hertz = np.arange(bins) * spacing
    lowest, highest = _mel(np.array([_LOWEST_HZ, _HIGHEST_HZ]))
    edges = np.linspace(float(lowest), float(highest), _BANDS + 2)
    low, top, high = edges[:-2], edges[1:-1], edges[2:]
    mel = _mel(hertz)[:, None]
    triangles = np.maximum(0, np.minimum((mel - low) / (top - low), (high - mel) / (high - top)))
    weights: NDArray[np.float32] = (triangles * _sensitivity(700 * np.expm1(top / 1127))).astype(np.float32)
    return weights


def _mel(hertz: Float) -> Float:
    mel: Float = 1127 * np.log1p(hertz / 700)
    return mel


def _sensitivity(hertz: Float) -> Float:
    square = (2 * np.pi * hertz) ** 2
    curve: Float = (square + 56.8e6) * square**2 / ((square + 6.3e6) ** 2 * (square + 0.38e9))
    return curve
