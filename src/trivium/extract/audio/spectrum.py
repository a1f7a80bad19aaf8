"""Level, spectral shape, cepstrum and loudness of single frames of 25 ms.

Mel bands and cepstra equal librosa's: Slaney's bands, type-II cosine transform.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trivium.extract.audio.loudness import auditory_loudness
from trivium.extract.audio.pitch import RATE

__all__ = ["CEPSTRA", "FFT", "FRAME", "frame_columns", "magnitude"]

FRAME = 400
FFT = 512
CEPSTRA = 13
_BANDS = 40
_FLOOR = 1e-10

Float: TypeAlias = NDArray[np.floating[Any]]


def magnitude(frames: Float) -> Float:
    """Magnitude spectrum under a Hann window.

    Parameters
    ----------
    frames : array of shape (T, 400)
        25 ms of sound at 16 kHz around the middle of each frame.

    Returns
    -------
    array of shape (T, 257), float32
        From 0 to 8000 Hz, 31.25 Hz apart.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(400) / 16000).astype(np.float32)
    >>> int(magnitude(tone[None]).argmax()) * 31.25
    1000.0
    """
    return np.abs(np.fft.rfft(frames * _hann(), FFT, axis=1)).astype(np.float32)


def frame_columns(frames: Float, spectrum: Float, previous: Float) -> list[Float]:
    """Columns of consecutive frames, each (T,) or (T, D).

    Energy in dB, sign changes per second, loudness; ten of spectral shape, from `spectral_centroid` to
    `hammarberg_index`; 13 of the cepstrum; auditory loudness and magnitude flux.

    Parameters
    ----------
    frames : array of shape (T, 400)
        25 ms of sound at 16 kHz around the middle of each frame.
    spectrum : array of shape (T, 257)
        Their :func:`magnitude`.
    previous : array of shape (1, 257)
        That of the frame before them; zeros where there is none.

    Examples
    --------
    >>> silence = np.zeros((2, 400), np.float32)
    >>> energy, *_ = frame_columns(silence, magnitude(silence), np.zeros((1, 257), np.float32))
    >>> energy.round(3).tolist()
    [-100.0, -100.0]
    """
    power = spectrum**2
    bands = power @ _mel_bands().T
    cepstrum = 10 * np.log10(np.maximum(bands, _FLOOR)) @ _cosines().T
    hearing = [auditory_loudness(power, RATE / FFT), _magnitude_flux(spectrum, previous)]
    return [*_level(frames), _loudness(bands), *_spectral_shape(spectrum, previous), cepstrum, *hearing]


@cache
def _hann() -> Float:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)).astype(np.float32)


@cache
def _hertz() -> Float:
    return (np.arange(FFT // 2 + 1) * (RATE / FFT)).astype(np.float32)


@cache
def _mel_bands() -> Float:
    """Slaney's triangular bands of equal area from 0 to 8 kHz, (40, 257)."""
    # linear to 1 kHz at 200/3 Hz per mel, then 27 mel per factor 6.4
    step = np.log(6.4) / 27
    mel = np.linspace(0, 15 + np.log(8.0) / step, _BANDS + 2)
    edges = np.where(mel < 15, mel * 200 / 3, 1000 * np.exp(step * (mel - 15)))
    low, top, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    hertz = _hertz().astype(np.float64)
    rise, fall = (hertz - low) / (top - low), (high - hertz) / (high - top)
    bands: Float = np.maximum(0, np.minimum(rise, fall)) * 2 / (high - low)
    return bands.astype(np.float32)


@cache
def _cosines() -> Float:
    """Orthonormal type-II cosine transform, (13, 40)."""
    band = (np.arange(_BANDS) + 0.5) / _BANDS
    wave = np.sqrt(2 / _BANDS) * np.cos(np.pi * np.arange(CEPSTRA)[:, None] * band)
    wave[0] /= np.sqrt(2)
    cosines: Float = wave.astype(np.float32)
    return cosines


def _level(frames: Float) -> tuple[Float, Float]:
    """Energy in dB and sign changes per second."""
    energy = 10 * np.log10(np.mean(np.square(frames), axis=1) + _FLOOR)
    negative = frames < 0
    changes = np.count_nonzero(negative[:, 1:] != negative[:, :-1], axis=1)
    return energy, (changes * (RATE / (FRAME - 1))).astype(np.float32)


def _loudness(bands: Float) -> Float:
    loudness: Float = np.sum(bands**0.3, axis=1)
    return loudness


def _spectral_shape(magnitude: Float, previous: Float) -> list[Float]:
    """Columns from `spectral_centroid` to `hammarberg_index`, each (T,); 0 where the frame is digital silence."""
    total = magnitude.sum(axis=1)
    sounds = total > 0
    share = magnitude / np.where(sounds, total, 1)[:, None]
    centroid = share @ _hertz()
    spread = np.sqrt(np.maximum(share @ _hertz() ** 2 - centroid**2, 0))
    rolloff = _hertz()[np.argmax(np.cumsum(share, axis=1) >= 0.85, axis=1)]
    power = np.maximum(magnitude**2, _FLOOR)
    decibel = 10 * np.log10(power)
    flatness = np.where(sounds, 10 ** (decibel.mean(axis=1) / 10) / power.mean(axis=1), 0)
    slopes = decibel @ _slope_weights()
    bands = power @ _band_sums()
    alpha = 10 * np.log10(bands[:, 0] / bands[:, 1]) * sounds
    peaks = decibel[:, _hertz() < 2000].max(axis=1) - decibel[:, _between(2000, 5000)].max(axis=1)
    flux = _flux(share, previous)
    return [centroid, spread, rolloff, flatness, flux, *(slopes * sounds[:, None]).T, alpha, peaks]


def _flux(share: Float, previous: Float) -> Float:
    before = np.concatenate([previous / max(float(previous.sum()), _FLOOR), share[:-1]])
    # nothing precedes the first frame, and silence has no shape to differ from
    both = (before.sum(axis=1) > 0) & (share.sum(axis=1) > 0)
    flux: Float = np.square(share - before).sum(axis=1) * share.shape[1] * both
    return flux


def _magnitude_flux(magnitude: Float, previous: Float) -> Float:
    change = np.diff(magnitude[:, _hertz() <= 5000], axis=0, prepend=previous[:, _hertz() <= 5000])
    flux: Float = np.sqrt(np.mean(change**2, axis=1)) * (2 / _hann().sum())
    return flux


def _between(low: float, high: float) -> NDArray[np.bool_]:
    return (_hertz() >= low) & (_hertz() <= high)


@cache
def _slope_weights() -> Float:
    """Columns that give the least-squares slope in dB/kHz of three ranges, (257, 3)."""
    weights = np.zeros((_hertz().size, 3), np.float32)
    for column, (low, high) in enumerate([(0, 5000), (0, 500), (500, 1500)]):
        inside = _between(low, high)
        kilohertz = _hertz()[inside] / 1000
        centred = kilohertz - kilohertz.mean()
        weights[inside, column] = centred / np.sum(centred**2)
    return weights


@cache
def _band_sums() -> Float:
    return np.column_stack([_between(50, 1000), _between(1000, 5000)]).astype(np.float32)
