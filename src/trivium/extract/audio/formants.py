"""Formants: the resonances of the vocal tract, by linear prediction.

Linear prediction after Atal & Hanauer (1971), "Speech analysis and synthesis by linear prediction of the speech wave",
and Markel & Gray (1976), "Linear Prediction of Speech": the autocorrelation of a pre-emphasised frame, Levinson's
recursion, and the complex roots of the predictor. The autocorrelation is a cosine transform of the power spectrum up to
5.5 kHz, which is what resampling to 11 kHz would give; ten coefficients are five resonances there, the number that an
adult's vocal tract has. Resonances are taken in order of frequency, frame by frame: no track through time is chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["FORMANTS", "Formants", "autocorrelation", "formants"]

FORMANTS = 3
_TOP_HZ = 5500.0
_EDGE_HZ = 50.0  # a root nearer than this to either end of the band is its tilt, not a resonance
_ORDER = 10
_PRE_EMPHASIS = 0.97
_NOISE_FLOOR = 1e-9  # of the power, so that a pure tone still has a predictor
_NARROWEST = 1e-12

Float: TypeAlias = NDArray[np.floating[Any]]
Exact: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Formants:
    """Three lowest resonances of T frames.

    Parameters
    ----------
    frequency : array of shape (T, 3)
        In Hz, rising; 0 where the frame has fewer resonances.
    bandwidth : array of shape (T, 3)
        In Hz, 3 dB below the top; 0 where the frequency is.
    """

    frequency: Exact
    bandwidth: Exact


def autocorrelation(power: Float, spacing: float) -> Exact:
    """Autocorrelation of pre-emphasised sound below 5.5 kHz.

    Parameters
    ----------
    power : array of shape (T, F)
        Power spectrum of T frames, from 0 Hz on, up to 5.5 kHz at least. A frame must be shorter than the transform by
        11 samples at 11 kHz, or its end wraps around.
    spacing : float
        Hz between two bins; 5500 must be a multiple of it.

    Returns
    -------
    array of shape (T, 11), float64
        At lags of 0 to 10 samples at 11 kHz.

    Examples
    --------
    >>> found = autocorrelation(np.ones((1, 257)), 31.25)[0]  # an impulse becomes the emphasis 1, -0.97
    >>> [round(float(lag), 2) for lag in found[:2] / found[0] * (1 + 0.97**2)]
    [1.94, -0.97]
    """
    kept = round(_TOP_HZ / spacing) + 1
    product: Exact = power[:, :kept].astype(np.float64) @ _lags(kept)
    return product


@cache
def _lags(bins: int) -> Exact:
    """Pre-emphasis and cosines of the lags, (bins, 11)."""
    angle = np.pi * np.arange(bins) / (bins - 1)
    emphasis = 1 + _PRE_EMPHASIS**2 - 2 * _PRE_EMPHASIS * np.cos(angle)
    weight = 2 * emphasis  # both halves of the spectrum of real sound, which share the bins at the ends
    weight[[0, -1]] /= 2
    lags: Exact = np.cos(angle[:, None] * np.arange(_ORDER + 1)) * weight[:, None]
    return lags


def formants(correlation: Exact) -> Formants:
    """Formants of frames whose autocorrelation is known.

    Parameters
    ----------
    correlation : array of shape (T, 11), float64
        As :func:`autocorrelation` gives it.

    Examples
    --------
    >>> bins = np.exp(-2j * np.pi * np.arange(257) * 31.25 / 11000)
    >>> poles = [np.exp((-80 + 2j * hertz) * np.pi / 11000) for hertz in (500, 1500, 2500, 3500, 4500)]
    >>> tube = np.prod([1 / ((1 - p * bins) * (1 - p.conjugate() * bins)) for p in poles], axis=0) / (1 - 0.97 * bins)
    >>> found = formants(autocorrelation(np.abs(tube[None]) ** 2, 31.25))
    >>> found.frequency.round().tolist(), found.bandwidth.round().tolist()
    ([[500.0, 1500.0, 2500.0]], [[80.0, 80.0, 80.0]])
    """
    roots = np.linalg.eigvals(_companions(_predictor(correlation)))
    frequency = np.angle(roots) * (_TOP_HZ / np.pi)
    bandwidth = -np.log(np.maximum(np.abs(roots), _NARROWEST)) * (2 * _TOP_HZ / np.pi)
    resonates = (frequency > _EDGE_HZ) & (frequency < _TOP_HZ - _EDGE_HZ)  # of a conjugate pair the upper one
    order = np.argsort(np.where(resonates, frequency, np.inf), axis=1, kind="stable")[:, :FORMANTS]
    kept = np.take_along_axis(resonates, order, axis=1)
    return Formants(
        np.where(kept, np.take_along_axis(frequency, order, axis=1), 0),
        np.where(kept, np.take_along_axis(bandwidth, order, axis=1), 0),
    )


def _predictor(correlation: Exact) -> Exact:
    """Coefficients 1, a1 ... a10 of the inverse filter by Levinson's recursion, (T, 11)."""
    power = correlation[:, :1]
    sounds = power > 0
    share = np.where(sounds, correlation / np.where(sounds, power, 1), 0)
    filters = np.zeros_like(correlation)
    filters[:, 0] = 1
    error = np.full(len(correlation), 1 + _NOISE_FLOOR)
    for step in range(1, _ORDER + 1):
        reflection = -np.einsum("tk,tk->t", filters[:, :step], share[:, step:0:-1]) / error
        filters[:, 1 : step + 1] += reflection[:, None] * filters[:, step - 1 :: -1]
        error = error * (1 - reflection**2)
    return filters


def _companions(filters: Exact) -> Exact:
    """Matrices whose eigenvalues are the roots of the filters, (T, 10, 10)."""
    matrices = np.zeros((len(filters), _ORDER, _ORDER))
    matrices[:, 0] = -filters[:, 1:]
    matrices[:, np.arange(1, _ORDER), np.arange(_ORDER - 1)] = 1
    return matrices
