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
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Stream, StreamSpecification
from trivium.errors import DataError
from trivium.extract.audio.formants import FORMANTS, autocorrelation, formants
from trivium.extract.audio.harmonics import harmonic_levels
from trivium.extract.audio.pitch import RATE, WINDOW, Candidates, PitchPath, candidates, cycle_measures, pitch_path
from trivium.extract.audio.spectrum import CEPSTRA, FFT, FRAME, frame_columns, magnitude
from trivium.extract.columns import Column
from trivium.extract.scratch import ScratchRows, let_go
from trivium.extract.words.speech import Heard

__all__ = ["VOICE_COLUMNS", "VoiceExtractor", "voice_specification", "voice_stream"]

HOP = 160
_BLOCK = 500  # frames at a time, so that an hour needs little more memory than a minute
_CHECKED = 1 << 20  # samples at a time
_FIRST_OF = (3, 13, 13 + CEPSTRA)  # where spectral shape, cepstrum and hearing begin among the columns of a frame
_CLEAREST = 0.9999  # 40 dB of harmonics over noise
_SEMITONE_REFERENCE_HZ = 27.5

Float: TypeAlias = NDArray[np.floating[Any]]


def _formant_columns(n: int) -> tuple[Column, Column, Column]:
    return (
        Column(f"formant_{n}_frequency", "Hz", f"Resonance {n} of the vocal tract; 0 where unvoiced or not found"),
        Column(f"formant_{n}_bandwidth", "Hz", "Its width at half power; 0 where unvoiced or not found"),
        Column(f"formant_{n}_level", "dB", "Harmonic nearest to it over the first; 0 where unvoiced or not found"),
    )


_CEPSTRUM = [f"mfcc_{i:02d}" for i in range(CEPSTRA)]
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
    specification = voice_specification()
    if not sound.size:
        return Stream(np.zeros((0, specification.dim), np.float32), specification, np.zeros((0, 2)))
    table, times = _table(sound)
    return Stream(table, specification, times)


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
    for first in range(0, len(samples), _CHECKED):
        if not np.isfinite(samples[first : first + _CHECKED]).all():
            raise DataError("the sound holds values that are not finite")
        let_go(samples)


def _table(sound: Float) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Columns (T, 61) and edges (T, 2) of all steps, in two passes: the pitch path needs the candidates of all."""
    shapes, found = _first_pass(sound)
    path = pitch_path(found)
    voiced = _VoicedColumns(sound, path)
    table, times = ScratchRows(np.float32), ScratchRows(np.float64)
    for first, last in _blocks(len(shapes)):
        level, shape, cepstrum, hearing = np.split(shapes[first:last], _FIRST_OF, axis=1)
        slopes = _slopes(shapes, first, last)
        quality, resonance = np.split(voiced.rows(first, last), [3], axis=1)
        columns = [_pitch_columns(path, first, last), quality, level[:, :1], slopes[:, :1], level[:, 2:], level[:, 1:2]]
        table.add(np.concatenate([*columns, shape, cepstrum, slopes[:, 1:], hearing, resonance], axis=1))
        edges = np.arange(first, last + 1, dtype=np.float64) * HOP / RATE
        edges[-1] = min(edges[-1], sound.size / RATE)
        times.add(np.stack([edges[:-1], edges[1:]], axis=1))
        let_go(shapes)
    return table.finished(), times.finished()


def _first_pass(sound: Float) -> tuple[Float, Candidates]:
    """What each frame shows by itself: level, loudness, spectral shape, cepstrum, hearing; and its pitch candidates."""
    shapes, found = ScratchRows(np.float32), ScratchRows(np.float32)
    # flux looks one frame back: a block starts with the last spectrum of the one before
    previous = np.zeros((1, FFT // 2 + 1), np.float32)
    for first, last in _blocks(-(-sound.size // HOP)):
        found.add(candidates(_frames(sound, first, last, WINDOW)).rows)
        frames = _frames(sound, first, last, FRAME)
        spectrum = magnitude(frames)
        shapes.add(np.column_stack(frame_columns(frames, spectrum, previous)))
        previous = spectrum[-1:]
        let_go(sound)
    return shapes.finished(), Candidates.of_rows(found.finished())


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


def _slopes(shapes: Float, first: int, last: int) -> Float:
    """Least-squares slope of energy and cepstrum over five frames, the ends repeated: (T, 14)."""
    low, high = max(first - 2, 0), min(last + 2, len(shapes))
    columns = np.concatenate([shapes[low:high, :1], shapes[low:high, _FIRST_OF[1] : _FIRST_OF[2]]], axis=1)
    padded = np.pad(columns, ((2 - (first - low), 2 - (high - last)), (0, 0)), mode="edge")
    outer, inner = padded[4:] - padded[:-4], padded[3:-1] - padded[1:-3]
    slope: Float = (2 * outer + inner) / 10
    return slope


def _pitch_columns(path: PitchPath, first: int, last: int) -> Float:
    """Columns from `pitch_semitones` to `harmonics_to_noise` of some steps, (T, 5)."""
    semitones = np.zeros(last - first + 2, np.float32)  # with a neighbour on either side; none is unvoiced
    low, high = max(first - 1, 0), min(last + 1, len(path.period))
    semitones[low - first + 1 : high - first + 1] = _semitones(path.period[low:high])
    own, sounds = semitones[1:-1], semitones > 0
    slope = (semitones[2:] - semitones[:-2]) / 2 * (sounds[2:] & sounds[1:-1] & sounds[:-2])
    slope[: low == first] = 0  # the ends of the sound have one neighbour
    slope[len(slope) - (high == last) :] = 0
    confidence = path.confidence[first:last]
    clear = np.clip(confidence, 1 - _CLEAREST, _CLEAREST)
    noise_ratio = 10 * np.log10(clear / (1 - clear)) * sounds[1:-1]
    return np.column_stack([own, slope, sounds[1:-1], confidence, noise_ratio])


def _semitones(period: Float) -> Float:
    semitones = np.zeros_like(period)
    voiced = period > 0
    semitones[voiced] = 12 * np.log2(RATE / period[voiced] / _SEMITONE_REFERENCE_HZ)
    return semitones


class _VoicedColumns:
    """Columns of voiced steps, made for 500 of them at a time, however they are spread; 0 where unvoiced."""

    def __init__(self, sound: Float, path: PitchPath) -> None:
        self._sound, self._period = sound, path.period
        self._places = np.flatnonzero(path.period)
        self._kept: dict[int, Float] = {}

    def rows(self, first: int, last: int) -> Float:
        """`jitter`, `shimmer` and `h1_h2`, then `h2_h3` to `formant_3_level`, of some steps: (T, 14)."""
        rows = np.zeros((last - first, 5 + 3 * FORMANTS), np.float32)
        low, high = np.searchsorted(self._places, [first, last])
        for number in range(low // _BLOCK, -(-high // _BLOCK)):
            begin, end = max(low, number * _BLOCK), min(high, (number + 1) * _BLOCK)
            own = self._block(number)[begin - number * _BLOCK : end - number * _BLOCK]
            rows[self._places[begin:end] - first] = own
        return rows

    def _block(self, number: int) -> Float:
        if number not in self._kept:  # a stretch of steps reaches into two of them at most
            last = {n: rows for n, rows in self._kept.items() if n == number - 1}
            self._kept = last | {number: self._made(number)}
        return self._kept[number]

    def _made(self, number: int) -> Float:
        at = self._places[number * _BLOCK : (number + 1) * _BLOCK]
        period = self._period[at]
        cycles = cycle_measures(self._sound, at * HOP + HOP // 2, period)
        found = formants(autocorrelation(magnitude(_frames_at(self._sound, at, FRAME)) ** 2, RATE / FFT))
        pitch = _SEMITONE_REFERENCE_HZ * 2 ** (_semitones(period) / 12)
        levels = harmonic_levels(_frames_at(self._sound, at, WINDOW), pitch, found.frequency)
        triples = np.stack([found.frequency, found.bandwidth, levels.formant_level], axis=2)
        let_go(self._sound)
        quality = [cycles.jitter, cycles.shimmer, cycles.h1_h2, levels.h2_h3, levels.h1_a3]
        return np.column_stack([*quality, triples.reshape(at.size, -1)]).astype(np.float32)
