"""Levels of single harmonics, and of those that carry the formants.

After Eyben et al. (2016), "The Geneva minimalistic acoustic parameter set for voice research and affective computing",
where H1 is the harmonic at the pitch itself (Hanson 1997, "Glottal characteristics of female speakers"). A harmonic's
level is that of the highest bin around it in the spectrum of 50 ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trivium.extract.audio.pitch import spectral_power

__all__ = ["Harmonics", "harmonic_levels"]

_NEAR = 0.25  # of the pitch: where a harmonic may lie around its multiple
_HALF = 0.5  # of the pitch: there is always a harmonic within it
_RANGE = 0.1  # of the third formant: its range
_WIDEST_HZ = 600.0
_FLOOR = 1e-10  # of the frame's highest bin: 100 dB
_SMALL = 1e-30

Float: TypeAlias = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Harmonics:
    """Level differences within T voiced frames, in dB.

    Parameters
    ----------
    h2_h3 : array of shape (T,)
        Second over third harmonic.
    h1_a3 : array of shape (T,)
        First harmonic over the highest one in the range of the third formant; 0 where there is no third formant.
    formant_level : array of shape (T, 3)
        Harmonic nearest to the formant over the first harmonic; 0 where there is no formant.
    """

    h2_h3: Float
    h1_a3: Float
    formant_level: Float


def harmonic_levels(frames: Float, pitch: Float, formant: Float) -> Harmonics:
    """Level differences of harmonics.

    Parameters
    ----------
    frames : array of shape (T, 800)
        50 ms of sound around the middle of each voiced frame.
    pitch : array of shape (T,)
        In Hz, 60 to 600.
    formant : array of shape (T, 3)
        Frequencies of the formants in Hz; 0 where there is none.

    Examples
    --------
    >>> time = np.arange(800) / 16000
    >>> voice = sum(level * np.sin(2 * np.pi * 200 * k * time) for k, level in ((1, 1.0), (2, 0.5), (3, 0.1), (5, 0.2)))
    >>> found = harmonic_levels(voice[None], np.array([200.0]), np.array([[380.0, 0.0, 1010.0]]))
    >>> found.h2_h3.round().tolist(), found.h1_a3.round().tolist(), found.formant_level.round().tolist()
    ([14.0], [14.0], [[-6.0, 0.0, -14.0]])
    """
    power, spacing = spectral_power(frames)
    first, second, third = (_peak(power, k * pitch / spacing, _NEAR * pitch / spacing) for k in (1, 2, 3))
    near = [_peak(power, column / spacing, _HALF * pitch / spacing) - first for column in formant.T]
    third_formant = formant[:, -1]
    around = np.minimum(np.maximum(_RANGE * third_formant, _HALF * pitch), _WIDEST_HZ)
    highest = _peak(power, third_formant / spacing, around / spacing)
    return Harmonics(
        second - third,
        np.where(third_formant > 0, first - highest, 0),
        np.where(formant > 0, np.stack(near, axis=1), 0),
    )


def _peak(power: Float, middle: Float, reach: Float) -> Float:
    """Level in dB of the highest bin within `reach` bins of `middle`, (T,)."""
    last = power.shape[1] - 1
    low = np.clip(np.ceil(middle - reach), 0, last).astype(np.int64)
    high = np.clip(np.floor(middle + reach), low, last).astype(np.int64)
    bins = np.minimum(low[:, None] + np.arange(int((high - low).max(initial=0)) + 1), high[:, None])
    found = np.take_along_axis(power, bins, axis=1).max(axis=1)
    top = power.max(axis=1)
    level: Float = 10 * np.log10(np.maximum(found, np.maximum(_FLOOR * top, _SMALL)))
    return level
