"""Pitch, voicing and voice quality of 16 kHz speech, every 10 ms.

Pitch follows Boersma (1993), "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise
ratio of a sampled sound": the autocorrelation of a Hann-windowed frame divided by that of its window, local maxima as
candidates, and one path of least cost through all frames. Faithful: the correction, the candidate strengths and the
costs. Different: parabolas instead of sinc interpolation between lags, and silence judged against the 99th percentile
of the levels instead of the loudest sample, so that one bang does not make an hour unvoiced.

Jitter and shimmer are local: three neighbouring cycles around every voiced frame, resampled to 64 points per cycle,
are compared with one another (our choice; no pulse marks are needed, so the whole signal is done in a few array
operations).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trivium.extract.scratch import let_go

__all__ = ["Candidates", "Cycles", "PitchPath", "candidates", "cycle_measures", "pitch_path", "spectral_power"]

RATE = 16_000
LOWEST_HZ, HIGHEST_HZ = 60.0, 600.0
WINDOW = 800  # three periods of the lowest pitch
_FFT = 1152  # at least WINDOW + longest lag, and a quick length
_SHORTEST, _LONGEST = int(RATE / HIGHEST_HZ), int(np.ceil(RATE / LOWEST_HZ))
_KEPT = 6
_VOICING_THRESHOLD, _SILENCE_THRESHOLD = 0.45, 0.03
_OCTAVE_COST, _JUMP_COST, _VOICING_COST = 0.01, 0.35, 0.14
_CYCLE = 64  # points per cycle after resampling
_REACH = 13  # a neighbouring cycle may be a fifth shorter or longer
_SMALL = 1e-12
_BLOCK = 4096  # frames whose costs are in memory at once

Float: TypeAlias = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Candidates:
    """Possible pitches of T frames.

    Parameters
    ----------
    period : array of shape (T, K)
        Period in samples, at 16 kHz.
    strength : array of shape (T, K)
        Corrected autocorrelation at that period, in [0, 1]; 0 where the frame has fewer than K candidates.
    level : array of shape (T,)
        Root mean square of the windowed frame.
    """

    period: Float
    strength: Float
    level: Float

    @property
    def rows(self) -> Float:
        """All in one array (T, 2 K + 1), as they are kept on disk."""
        return np.concatenate([self.period, self.strength, self.level[:, None]], axis=1)

    @classmethod
    def of_rows(cls, rows: Float) -> Candidates:
        """What :attr:`rows` gave.

        Parameters
        ----------
        rows : array of shape (T, 2 K + 1)
            Views of it are kept.
        """
        kept = rows.shape[1] // 2
        return cls(rows[:, :kept], rows[:, kept:-1], rows[:, -1])

    def part(self, first: int, last: int) -> Candidates:
        """Those of some frames."""
        return Candidates(self.period[first:last], self.strength[first:last], self.level[first:last])


class PitchPath(NamedTuple):
    """The pitch of T frames.

    Parameters
    ----------
    period : array of shape (T,)
        Period in samples at 16 kHz; 0 where unvoiced.
    confidence : array of shape (T,)
        Strength of the chosen candidate, or of the best one where unvoiced, in [0, 1].
    """

    period: NDArray[np.float32]
    confidence: NDArray[np.float32]


def _window() -> tuple[Float, Float]:
    window = (0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(WINDOW) + 0.5) / WINDOW)).astype(np.float32)
    spectrum = np.fft.rfft(window, _FFT)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2, _FFT)[: _LONGEST + 2]
    return window, (correlation / correlation[0]).astype(np.float32)


_HANN, _HANN_CORRELATION = _window()


def candidates(frames: Float) -> Candidates:
    """Pitch candidates of every frame.

    Parameters
    ----------
    frames : array of shape (T, 800)
        50 ms of sound around the middle of each frame.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 200 * np.arange(800) / 16000).astype(np.float32)
    >>> found = candidates(tone[None])
    >>> round(float(found.period[0, found.strength[0].argmax()]))
    80
    """
    power, _ = spectral_power(frames)
    correlation = np.fft.irfft(power, _FFT, axis=1)[:, : _LONGEST + 2].astype(np.float32)
    energy = correlation[:, :1]
    curve = correlation / np.maximum(energy, _SMALL) / _HANN_CORRELATION
    period, strength = _peaks(curve)
    return Candidates(period, strength, np.sqrt(np.maximum(energy[:, 0], 0) / WINDOW))


def spectral_power(frames: Float) -> tuple[Float, float]:
    """Power spectrum of 50 ms under a Hann window, without the mean.

    Parameters
    ----------
    frames : array of shape (T, 800)
        50 ms of sound around the middle of each frame.

    Returns
    -------
    power : array of shape (T, 577)
        Squared magnitudes from 0 to 8000 Hz.
    spacing : float
        Hz between two bins.
    """
    windowed = (frames - frames.mean(axis=1, keepdims=True)) * _HANN
    spectrum = np.fft.rfft(windowed, _FFT, axis=1)
    return spectrum.real**2 + spectrum.imag**2, RATE / _FFT


def _peaks(curve: Float) -> tuple[Float, Float]:
    """Highest local maxima between the shortest and the longest lag, placed and sized by a parabola."""
    before, here, after = (curve[:, _SHORTEST + d : _LONGEST + 1 + d] for d in (-1, 0, 1))
    is_peak = (here > before) & (here >= after) & (here > 0)
    lags = np.arange(_SHORTEST, _LONGEST + 1, dtype=np.float32)
    # shorter periods win among equals, or the path would be free to halve the pitch
    score = np.where(is_peak, here - _OCTAVE_COST * np.log2(lags / _LONGEST), -np.inf)
    best = np.argpartition(-score, _KEPT, axis=1)[:, :_KEPT]
    best.sort(axis=1)
    a, b, c = (np.take_along_axis(v, best, axis=1) for v in (before, here, after))
    bend = np.where((a - 2 * b + c) < 0, a - 2 * b + c, -1.0)
    shift = 0.5 * (a - c) / bend
    kept = np.take_along_axis(is_peak, best, axis=1)
    strength = np.where(kept, np.clip(b - 0.25 * (a - c) * shift, 0, 1), 0)
    period = np.where(kept, lags[best] + shift, _LONGEST)
    return period.astype(np.float32), strength.astype(np.float32)


def pitch_path(found: Candidates) -> PitchPath:
    """Path of least cost through the candidates of all frames.

    Parameters
    ----------
    found : Candidates
        Of T frames; looked at block by block.
    """
    kept = found.period.shape[1]
    choice = _viterbi(found)
    period, confidence = np.zeros(len(choice), np.float32), np.zeros(len(choice), np.float32)
    for first in range(0, len(choice), _BLOCK):
        part, chosen = found.part(first, first + _BLOCK), choice[first : first + _BLOCK]
        voiced = chosen < kept
        place = np.where(voiced, chosen, 0)[:, None].astype(np.intp)
        own = slice(first, first + len(chosen))
        period[own] = np.where(voiced, np.take_along_axis(part.period, place, axis=1)[:, 0], 0)
        sure = np.take_along_axis(part.strength, place, axis=1)[:, 0]
        confidence[own] = np.where(voiced, sure, part.strength.max(axis=1))
        let_go(found.period)
    return PitchPath(period, confidence)


def _local_costs(found: Candidates, loud: float) -> NDArray[np.float64]:
    """Cost of every state of T frames, (T, K + 1); the last one is to be unvoiced."""
    relative = found.level / max(loud, _SMALL)
    silence = np.maximum(0, 2 - relative * (1 + _VOICING_THRESHOLD) / _SILENCE_THRESHOLD)
    unvoiced = -(_VOICING_THRESHOLD + silence)
    voiced = _OCTAVE_COST * np.log2(found.period / _LONGEST) - found.strength
    costs = [np.where(found.strength > 0, voiced, np.inf), unvoiced[:, None]]
    return np.concatenate(costs, axis=1, dtype=np.float64)


def _viterbi(found: Candidates) -> NDArray[np.uint8]:
    frames, states = len(found.level), np.arange(found.period.shape[1] + 1)
    loud = float(np.percentile(found.level, 99))
    back = np.zeros((frames, len(states)), np.uint8)
    total = _local_costs(found.part(0, 1), loud)[0]
    for first in range(1, frames, _BLOCK):
        part = found.part(first - 1, first + _BLOCK)  # with the frame before
        local = _local_costs(part, loud)[1:]
        for t, jump in enumerate(_jumps(np.log2(part.period).astype(np.float64))):
            reach = jump + total
            best = reach.argmin(axis=1)
            total = reach[states, best] + local[t]
            back[first + t] = best
        let_go(found.period)
    choice = np.empty(frames, np.uint8)
    choice[-1] = total.argmin()
    for t in range(frames - 1, 0, -1):
        choice[t - 1] = back[t, choice[t]]
    return choice


def _jumps(octave: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cost of going from every state of a frame (third axis) to every state of the next (second axis)."""
    here, then = octave[:-1], octave[1:]
    kept = octave.shape[1]
    costs = np.full((len(then), kept + 1, kept + 1), _VOICING_COST)
    costs[:, kept, kept] = 0
    costs[:, :kept, :kept] = _JUMP_COST * np.abs(then[:, :, None] - here[:, None, :])
    return costs


@dataclass(frozen=True)
class Cycles:
    """What three neighbouring cycles around T moments say about the voice.

    Parameters
    ----------
    jitter : array of shape (T,)
        Difference of two neighbouring periods in percent of their mean.
    shimmer : array of shape (T,)
        Mean absolute difference of neighbouring cycles in dB.
    h1_h2 : array of shape (T,)
        Level of the first harmonic above that of the second in dB, within ±60.
    """

    jitter: Float
    shimmer: Float
    h1_h2: Float


def cycle_measures(samples: Float, centre: NDArray[np.int64], period: Float) -> Cycles:
    """Jitter, shimmer and harmonic difference around voiced moments.

    Parameters
    ----------
    samples : array of shape (n,)
        Sound at 16 kHz; taken as zero outside.
    centre : array of shape (T,), int64
        Moments in samples.
    period : array of shape (T,)
        Period at each moment in samples, above 0.
    """
    steps = np.arange(-(3 * _CYCLE) // 2 - _REACH, (3 * _CYCLE) // 2 + _REACH) / _CYCLE
    grid = _read(samples, centre[:, None] + period[:, None].astype(np.float64) * steps)
    cycles = [grid[:, _REACH + k * _CYCLE : _REACH + (k + 1) * _CYCLE] for k in range(3)]
    first = _CYCLE - _delay(grid, cycles[1], _REACH)  # how far the middle cycle lies behind the first
    second = _delay(grid, cycles[1], _REACH + 2 * _CYCLE) + _CYCLE
    jitter = 200 * np.abs(second - first) / (second + first)
    level = [10 * np.log10(np.mean(c**2, axis=1) + _SMALL) for c in cycles]
    shimmer = 0.5 * (np.abs(level[1] - level[0]) + np.abs(level[2] - level[1]))
    whole = grid[:, _REACH : _REACH + 3 * _CYCLE]
    return Cycles(jitter.astype(np.float32), shimmer.astype(np.float32), _harmonic_difference(whole))


def _read(samples: Float, at: NDArray[np.float64]) -> Float:
    """Values between samples, on straight lines."""
    inside = np.clip(at, 0, samples.size - 1)
    low = np.minimum(inside.astype(np.int64), max(samples.size - 2, 0))
    share = (inside - low).astype(np.float32)
    value = samples[low] * (1 - share) + samples[np.minimum(low + 1, samples.size - 1)] * share
    return np.where(inside == at, value, 0).astype(np.float32)


def _delay(grid: Float, cycle: Float, start: int) -> Float:
    """Shift, in points within ±_REACH, at which the cycle at `start` is most like `cycle`."""
    around = grid[:, start - _REACH : start + _CYCLE + _REACH]
    windows = np.lib.stride_tricks.sliding_window_view(around, _CYCLE, axis=1)
    product = np.einsum("tsc,tc->ts", windows, cycle)
    norm = np.sqrt(np.einsum("tsc,tsc->ts", windows, windows))
    likeness = product / np.maximum(norm, _SMALL)
    best = np.clip(likeness.argmax(axis=1), 1, 2 * _REACH - 1)[:, None]
    a, b, c = (np.take_along_axis(likeness, best + d, axis=1)[:, 0] for d in (-1, 0, 1))
    bend = np.where((a - 2 * b + c) < 0, a - 2 * b + c, -np.inf)
    result: Float = best[:, 0] - _REACH + 0.5 * (a - c) / bend
    return result


def _harmonic_difference(whole: Float) -> Float:
    points = np.arange(3 * _CYCLE)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * (points + 0.5) / points.size)
    waves = np.exp(-2j * np.pi * points[:, None] * np.array([1, 2]) / _CYCLE) * hann[:, None]
    power = np.abs(whole @ waves.astype(np.complex64)) ** 2 + _SMALL
    difference: Float = np.clip(10 * np.log10(power[:, 0] / power[:, 1]), -60, 60)
    return difference.astype(np.float32)
