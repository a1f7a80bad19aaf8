"""Voice: 61 named columns every 10 ms from mono sound at 16 kHz.

The set covers what the minimal acoustic sets of the field cover (Eyben et al. 2016, "The Geneva minimalistic acoustic
parameter set for voice research and affective computing"): pitch, level, cepstra, spectral shape, voice quality,
harmonics, formants. The definitions are written out in ``docs/columns.md``. Mel bands and cepstra equal librosa's
(Slaney's bands, type-II cosine transform); they are computed here because importing librosa's filters costs seconds,
which is more than a clip needs.

Every value is finite. What does not apply is 0: pitch, voice quality, harmonics and formants where unvoiced, spectral
shape in digital silence. The first 48 columns are those that the set began with: weights name them, so they stay as
they are, and what is new comes after them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Stream, StreamSpecification
from trivium.errors import DataError
from trivium.extract.audio.formants import FORMANTS, autocorrelation, formants
from trivium.extract.audio.harmonics import harmonic_levels
from trivium.extract.audio.loudness import auditory_loudness
from trivium.extract.audio.pitch import RATE, WINDOW, Candidates, candidates, cycle_measures, pitch_path
from trivium.extract.columns import Column
from trivium.extract.words.speech import Heard

__all__ = ["VOICE_COLUMNS", "VoiceExtractor", "voice_specification", "voice_stream"]

HOP = 160
_FRAME = 400
_FFT = 512
_BANDS, _CEPSTRA = 40, 13
_BLOCK = 500  # frames at a time, so that an hour needs little more memory than a minute
_FLOOR = 1e-10
_CLEAREST = 0.9999  # 40 dB of harmonics over noise
_SEMITONE_REFERENCE_HZ = 27.5

Float: TypeAlias = NDArray[np.floating[Any]]


def _formant_columns(n: int) -> tuple[Column, Column, Column]:
    return (
        Column(f"formant_{n}_frequency", "Hz", f"Resonance {n} of the vocal tract; 0 where unvoiced or not found"),
        Column(f"formant_{n}_bandwidth", "Hz", "Its width at half power; 0 where unvoiced or not found"),
        Column(f"formant_{n}_level", "dB", "Harmonic nearest to it over the first; 0 where unvoiced or not found"),
    )


_CEPSTRUM = [f"mfcc_{i:02d}" for i in range(_CEPSTRA)]
VOICE_COLUMNS: tuple[Column, ...] = (
    Column("pitch_semitones", "semitones above 27.5 Hz", "Pitch; 0 where unvoiced"),
    Column(
        "pitch_slope", "semitones per 10 ms", "Central difference of the pitch; 0 unless all three frames are voiced"
    ),
    Column("voicing", "1", "1 where voiced, else 0"),
    Column("pitch_confidence", "1", "Autocorrelation at the pitch, or its highest peak where unvoiced; 0 to 1"),
    Column("harmonics_to_noise", "dB", "Energy of the periodic over the other part, at most 40; 0 where unvoiced"),
    Column("jitter", "%", "Difference of two neighbouring periods over their mean; 0 where unvoiced"),
    Column("shimmer", "dB", "Mean level difference of neighbouring cycles; 0 where unvoiced"),
    Column("h1_h2", "dB", "First over second harmonic; 0 where unvoiced"),
    Column("energy_db", "dB re full scale", "Mean square of 25 ms; -100 in digital silence"),
    Column("energy_slope", "dB per 10 ms", "Regression slope of `energy_db` over five frames"),
    Column("loudness", "1", "Sum of mel band powers to the power 0.3 (auditory compression, not calibrated)"),
    Column("zero_crossing_rate", "Hz", "Sign changes per second in 25 ms"),
    Column("spectral_centroid", "Hz", "Mean frequency, weighted by magnitude"),
    Column("spectral_spread", "Hz", "Standard deviation of frequency, weighted by magnitude"),
    Column("spectral_rolloff", "Hz", "Frequency below which 85 % of the magnitude lies"),
    Column("spectral_flatness", "1", "Geometric over arithmetic mean of the power; 0 to 1"),
    Column("spectral_flux", "1", "Squared distance of neighbouring magnitude spectra of unit sum, times 257 bins"),
    Column("spectral_slope", "dB/kHz", "Regression slope of the power in dB, 0 to 5 kHz"),
    Column("spectral_slope_0_500", "dB/kHz", "The same, 0 to 500 Hz"),
    Column("spectral_slope_500_1500", "dB/kHz", "The same, 500 to 1500 Hz"),
    Column("alpha_ratio", "dB", "Energy of 50 to 1000 Hz over 1 to 5 kHz"),
    Column("hammarberg_index", "dB", "Highest peak of 0 to 2 kHz over that of 2 to 5 kHz"),
    *(Column(name, "dB", f"Mel-frequency cepstral coefficient {i} of 40 bands") for i, name in enumerate(_CEPSTRUM)),
    *(Column(f"{name}_slope", "dB per 10 ms", f"Regression slope of `{name}` over five frames") for name in _CEPSTRUM),
    Column("loudness_auditory", "1", "Sum of 26 mel bands after equal loudness, to the power 1/3; not calibrated"),
    Column("magnitude_flux", "1", "Root mean square change of the magnitude, 0 to 5 kHz; re a sine of full scale"),
    Column("h2_h3", "dB", "Second over third harmonic; 0 where unvoiced"),
    Column("h1_a3", "dB", "First harmonic over the highest within 10 % of formant 3; 0 where there is none"),
    *(column for n in range(1, FORMANTS + 1) for column in _formant_columns(n)),
)


def voice_specification() -> StreamSpecification:
    """Specification of every stream that :func:`voice_stream` gives.

    Examples
    --------
    >>> voice_specification().dim
    61
    """
    names = tuple(column.name for column in VOICE_COLUMNS)
    return StreamSpecification("audio", names, clock="seconds", extractor="trivium-voice", version="1")


def voice_stream(samples: NDArray[np.float32], rate: int = RATE) -> Stream:
    """Voice columns of a piece of sound.

    Step i covers [0.01 i, 0.01 (i + 1)) seconds, the last one up to the end of the sound; the analysis windows (25 ms,
    50 ms for pitch) lie around its middle, and the sound is zero outside. The pitch path is chosen over the whole.

    Parameters
    ----------
    samples : array of shape (n,), float32
        Mono sound, full scale ±1. May be empty.
    rate : int
        Samples per second; must be 16000 (decoding resamples).

    Returns
    -------
    Stream
        Values (ceil(n / 160), 61), all finite; times in seconds.

    Raises
    ------
    DataError
        The sound is not one-dimensional, not finite or of another rate.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 220 * np.arange(16000) / 16000).astype(np.float32)
    >>> stream = voice_stream(tone)
    >>> stream.values.shape
    (100, 61)
    >>> round(float(stream.values[50, 0]), 1)  # 220 Hz lie three octaves above 27.5 Hz
    36.0
    """
    _check(samples, rate)
    sound = np.ascontiguousarray(samples, dtype=np.float32)
    steps = -(-sound.size // HOP)
    specification = voice_specification()
    times = np.arange(steps + 1, dtype=np.float64) * HOP / RATE
    times[-1] = sound.size / RATE
    table = _table(sound, steps) if steps else np.zeros((0, specification.dim))
    return Stream(table.astype(np.float32), specification, np.stack([times[:-1], times[1:]], axis=1))


class VoiceExtractor:
    """The extractor ``voice``: see :func:`voice_stream`.

    Parameters
    ----------
    argument : str
        Takes none.
    local : path, optional
        Needs no model.

    Examples
    --------
    >>> VoiceExtractor().specification.columns[0]
    'pitch_semitones'
    """

    models: tuple[str, ...] = ()
    takes = ""
    uses_heard = False

    def __init__(self, argument: str = "", local: str | Path | None = None) -> None:
        pass

    @property
    def specification(self) -> StreamSpecification:
        """Specification of its streams."""
        return voice_specification()

    def stream(self, sound: NDArray[np.float32], heard: Heard | None = None) -> Stream:
        """Values (T, D) of the sound (n,); what was heard in it is not used."""
        return voice_stream(sound)


def _check(samples: NDArray[np.float32], rate: int) -> None:
    if rate != RATE:
        raise DataError(f"the sound has {rate} samples per second", remedy=f"resample it to {RATE}")
    if samples.ndim != 1:
        raise DataError(f"the sound has shape {samples.shape}, expected (n,)", remedy="mix the channels to one")
    if not np.isfinite(samples).all():
        raise DataError("the sound holds values that are not finite")


def _table(sound: Float, steps: int) -> Float:
    found, shapes, cepstra, hearing = [], [], [], []
    # flux looks one frame back: a block starts with the last spectrum of the one before
    previous = np.zeros((1, _FFT // 2 + 1), np.float32)
    for first, last in _blocks(steps):
        found.append(candidates(_frames(sound, first, last, WINDOW)))
        spectrum = _magnitude(_frames(sound, first, last, _FRAME))
        power = spectrum**2
        bands = power @ _mel_bands().T
        cepstra.append(10 * np.log10(np.maximum(bands, _FLOOR)) @ _cosines().T)
        level = _level(_frames(sound, first, last, _FRAME))
        shapes.append(np.column_stack([*level, _loudness(bands), *_spectral_shape(spectrum, previous)]))
        hearing.append(np.column_stack([auditory_loudness(power, RATE / _FFT), _magnitude_flux(spectrum, previous)]))
        previous = spectrum[-1:]
    pitch = _pitch_columns(sound, Candidates.joined(found))
    shape, cepstrum = np.concatenate(shapes), np.concatenate(cepstra)
    columns = [pitch, shape[:, :1], _slope(shape[:, :1]), shape[:, 2:3], shape[:, 1:2], shape[:, 3:]]
    resonance = _resonance_columns(sound, pitch[:, 0])
    return np.concatenate([*columns, cepstrum, _slope(cepstrum), np.concatenate(hearing), resonance], axis=1)


def _blocks(steps: int) -> Iterator[tuple[int, int]]:
    for first in range(0, steps, _BLOCK):
        yield first, min(first + _BLOCK, steps)


def _frames(sound: Float, first: int, last: int, width: int) -> Float:
    """Frames `first` to `last` of `width` samples around their middles, zero outside the sound: (frames, width)."""
    begin = first * HOP + HOP // 2 - width // 2
    end = begin + (last - first - 1) * HOP + width
    piece = sound[max(begin, 0) : max(end, 0)]
    piece = np.pad(piece, (max(-begin, 0), max(end - max(begin, 0) - piece.size, 0)))
    return np.lib.stride_tricks.sliding_window_view(piece, width)[::HOP]


def _frames_at(sound: Float, places: NDArray[np.int64], width: int) -> Float:
    """Frames of `width` samples around the middles of chosen steps, zero outside the sound: (places, width)."""
    at = places[:, None] * HOP + (HOP // 2 - width // 2) + np.arange(width)
    return np.where((at >= 0) & (at < sound.size), sound[np.clip(at, 0, sound.size - 1)], 0)


@cache
def _hann() -> Float:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FRAME) / _FRAME)).astype(np.float32)


def _magnitude(frames: Float) -> Float:
    return np.abs(np.fft.rfft(frames * _hann(), _FFT, axis=1)).astype(np.float32)


@cache
def _hertz() -> Float:
    return (np.arange(_FFT // 2 + 1) * (RATE / _FFT)).astype(np.float32)


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
    wave = np.sqrt(2 / _BANDS) * np.cos(np.pi * np.arange(_CEPSTRA)[:, None] * band)
    wave[0] /= np.sqrt(2)
    cosines: Float = wave.astype(np.float32)
    return cosines


def _level(frames: Float) -> tuple[Float, Float]:
    """Energy in dB and sign changes per second."""
    energy = 10 * np.log10(np.mean(np.square(frames), axis=1) + _FLOOR)
    negative = frames < 0
    changes = np.count_nonzero(negative[:, 1:] != negative[:, :-1], axis=1)
    return energy, (changes * (RATE / (_FRAME - 1))).astype(np.float32)


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


def _slope(columns: Float) -> Float:
    """Least-squares slope over five frames, ends repeated: (T, D) -> (T, D)."""
    padded = np.pad(columns, ((2, 2), (0, 0)), mode="edge")
    outer, inner = padded[4:] - padded[:-4], padded[3:-1] - padded[1:-3]
    slope: Float = (2 * outer + inner) / 10
    return slope


def _pitch_columns(sound: Float, found: Candidates) -> Float:
    """Columns from `pitch_semitones` to `h1_h2`, (T, 8)."""
    period, confidence, voiced = pitch_path(found)
    semitones = np.zeros_like(period)
    semitones[voiced] = 12 * np.log2(RATE / period[voiced] / _SEMITONE_REFERENCE_HZ)
    slope = np.zeros_like(period)
    slope[1:-1] = (semitones[2:] - semitones[:-2]) / 2 * (voiced[2:] & voiced[1:-1] & voiced[:-2])
    clear = np.clip(confidence, 1 - _CLEAREST, _CLEAREST)
    noise_ratio = 10 * np.log10(clear / (1 - clear)) * voiced
    quality = np.zeros((period.size, 3), np.float32)
    places = np.flatnonzero(voiced)
    for first, last in _blocks(places.size):
        at = places[first:last]
        cycles = cycle_measures(sound, at * HOP + HOP // 2, period[at])
        quality[at] = np.column_stack([cycles.jitter, cycles.shimmer, cycles.h1_h2])
    return np.column_stack([semitones, slope, voiced, confidence, noise_ratio, quality])


def _resonance_columns(sound: Float, semitones: Float) -> Float:
    """Columns from `h2_h3` to `formant_3_level`, (T, 11)."""
    columns = np.zeros((semitones.size, 2 + 3 * FORMANTS), np.float32)
    places = np.flatnonzero(semitones)
    for first, last in _blocks(places.size):
        at = places[first:last]
        found = formants(autocorrelation(_magnitude(_frames_at(sound, at, _FRAME)) ** 2, RATE / _FFT))
        pitch = _SEMITONE_REFERENCE_HZ * 2 ** (semitones[at] / 12)
        levels = harmonic_levels(_frames_at(sound, at, WINDOW), pitch, found.frequency)
        triples = np.stack([found.frequency, found.bandwidth, levels.formant_level], axis=2)
        columns[at] = np.column_stack([levels.h2_h3, levels.h1_a3, triples.reshape(at.size, -1)])
    return columns
