"""Voice columns against sounds with known answers, and against librosa and SciPy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trivium.errors import DataError
from trivium.extract.audio.voice import VOICE_COLUMNS, voice_specification, voice_stream

Sound: TypeAlias = NDArray[np.float32]
Exact: TypeAlias = NDArray[np.floating[Any]]
RATE = 16_000
PLACE = {column.name: i for i, column in enumerate(VOICE_COLUMNS)}
SECOND = np.arange(RATE) / RATE


def columns_of(sound: Exact) -> dict[str, Sound]:
    values = voice_stream(sound.astype(np.float32)).values.astype(np.float32)
    return {name: values[:, i] for name, i in PLACE.items()}


def tone(hertz: float, seconds: float = 1.0) -> Exact:
    sine: Exact = np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)
    return sine


def pulses(periods: Exact, heights: Exact) -> Exact:
    """Glottis-like pulses: a short decaying bump at every moment, placed between samples."""
    moments = np.cumsum(periods)
    samples = np.arange(int(moments[-1]) + 400)
    sound = np.zeros(samples.size)
    for moment, height in zip(moments, heights, strict=True):
        sound += height * np.exp(-0.5 * ((samples - moment) / 6) ** 2)
    centred: Exact = sound - sound.mean()
    return centred


def middle(column: Sound) -> Sound:
    return column[8:-8]


@pytest.mark.parametrize("hertz", [65.0, 82.4, 110.0, 155.6, 220.0, 311.1, 440.0, 587.3])
def test_pitch_of_a_pure_tone_is_within_a_tenth_of_a_semitone(hertz: float) -> None:
    found = columns_of(tone(hertz))
    assert np.all(middle(found["voicing"]) == 1)
    assert np.abs(middle(found["pitch_semitones"]) - 12 * np.log2(hertz / 27.5)).max() < 0.1
    assert middle(found["harmonics_to_noise"]).min() > 25


def test_pitch_of_a_harmonic_sound_without_its_fundamental_is_the_fundamental() -> None:
    found = columns_of(tone(400) + tone(600) + tone(800))
    assert np.abs(middle(found["pitch_semitones"]) - 12 * np.log2(200 / 27.5)).max() < 0.1


def test_pitch_follows_a_chirp() -> None:
    hertz = 100 * 3.0**SECOND
    found = columns_of(np.sin(2 * np.pi * np.cumsum(hertz) / RATE))
    truth = 12 * np.log2(hertz[80::160] / 27.5)
    assert np.abs(middle(found["pitch_semitones"]) - middle(truth.astype(np.float32))).max() < 0.3
    assert middle(found["pitch_slope"]).mean() == pytest.approx(12 * np.log2(3) / 100, rel=0.05)


def test_a_train_of_equal_pulses_has_its_pitch_and_neither_jitter_nor_shimmer() -> None:
    found = columns_of(pulses(np.full(120, 133.3), np.ones(120)))
    assert np.abs(middle(found["pitch_semitones"]) - 12 * np.log2(RATE / 133.3 / 27.5)).max() < 0.1
    assert np.median(found["jitter"]) < 0.2
    assert np.median(found["shimmer"]) < 0.05


@pytest.mark.parametrize("percent", [1.0, 2.0, 4.0])
def test_jitter_of_alternating_periods_is_their_difference_over_their_mean(percent: float) -> None:
    periods = 140 * (1 + percent / 200 * (-1.0) ** np.arange(110))
    found = columns_of(pulses(periods, np.ones(110)))
    voiced = middle(found["voicing"]) == 1
    assert voiced.mean() > 0.9
    assert np.median(middle(found["jitter"])[voiced]) == pytest.approx(percent, rel=0.15)


@pytest.mark.parametrize("decibel", [0.5, 1.0, 2.0])
def test_shimmer_of_alternating_heights_is_their_ratio(decibel: float) -> None:
    heights = 10 ** (decibel / 40 * (-1.0) ** np.arange(110))
    found = columns_of(pulses(np.full(110, 140.0), heights))
    voiced = middle(found["voicing"]) == 1
    assert np.median(middle(found["shimmer"])[voiced]) == pytest.approx(decibel, rel=0.15)


def test_harmonics_to_noise_is_the_ratio_that_was_mixed() -> None:
    noise = np.random.default_rng(0).normal(size=4 * RATE)
    for decibel in (5.0, 10.0, 15.0):
        clean = tone(150, 4) + 0.5 * tone(300, 4)
        scale = np.sqrt(np.mean(clean**2) / 10 ** (decibel / 10))
        found = columns_of(clean + scale * noise)
        assert np.median(found["harmonics_to_noise"]) == pytest.approx(decibel, abs=1.5)


def test_first_over_second_harmonic_is_the_ratio_that_was_mixed() -> None:
    found = columns_of(tone(180) + 10 ** (-9 / 20) * tone(360))
    assert middle(found["h1_h2"]) == pytest.approx(9, abs=0.5)


def test_white_noise_is_unvoiced_and_flat() -> None:
    found = columns_of(np.random.default_rng(1).normal(0, 0.1, 3 * RATE))
    assert found["voicing"].mean() < 0.05
    assert found["energy_db"].mean() == pytest.approx(-20, abs=0.5)
    assert found["spectral_centroid"].mean() == pytest.approx(4000, rel=0.02)
    assert found["spectral_flatness"].mean() == pytest.approx(np.exp(-np.euler_gamma), abs=0.03)
    assert found["zero_crossing_rate"].mean() == pytest.approx(8000, rel=0.02)
    assert found["spectral_slope"].mean() == pytest.approx(0, abs=0.2)


def test_a_steady_tone_has_the_level_centroid_crossings_and_flux_of_a_sine() -> None:
    found = columns_of(0.5 * tone(1000))
    assert middle(found["energy_db"]) == pytest.approx(10 * np.log10(0.125), abs=0.05)
    assert middle(found["spectral_centroid"]) == pytest.approx(1000, rel=0.01)
    assert middle(found["spectral_rolloff"]) == pytest.approx(1000, abs=63)
    assert middle(found["zero_crossing_rate"]) == pytest.approx(2000, abs=2 * RATE / 399)
    assert middle(found["spectral_flux"]).max() < 1e-3
    assert middle(found["energy_slope"]) == pytest.approx(0, abs=0.05)


def test_band_ratios_tell_low_from_high() -> None:
    low, high = columns_of(tone(500)), columns_of(tone(3000))
    assert np.median(low["alpha_ratio"]) > 40
    assert np.median(high["alpha_ratio"]) < -40
    assert np.median(low["hammarberg_index"]) > 40
    assert np.median(high["hammarberg_index"]) < -40


def test_silence_is_finite_unvoiced_and_at_the_floor() -> None:
    found = columns_of(np.zeros(RATE))
    assert found["energy_db"] == pytest.approx(-100)
    silent = set(PLACE) - {"energy_db", "mfcc_00"}
    assert all(np.all(found[name] == 0) for name in silent if not name.startswith("mfcc"))


def test_voice_between_silences_is_voiced_only_there() -> None:
    found = columns_of(np.concatenate([np.zeros(RATE), tone(200), np.zeros(RATE)]))
    assert np.all(found["voicing"][104:196] == 1)
    assert np.all(found["voicing"][:96] == 0) and np.all(found["voicing"][204:] == 0)
    assert np.all(found["pitch_semitones"][found["voicing"] == 0] == 0)


def test_cepstra_equal_those_of_librosa() -> None:
    from librosa.filters import mel
    from scipy.fft import dct
    from scipy.signal import ShortTimeFFT, get_window

    sound = np.random.default_rng(2).normal(0, 0.1, RATE) + tone(300)
    found = np.stack([columns_of(sound)[f"mfcc_{i:02d}"] for i in range(13)], axis=1)
    transform = ShortTimeFFT(get_window("hann", 400), hop=160, fs=RATE, mfft=512)
    power = np.abs(transform.stft(sound[80:], p0=2, p1=90)) ** 2  # slice p lies around sample 160 p + 80
    bands = mel(sr=RATE, n_fft=512, n_mels=40) @ power
    truth = dct(10 * np.log10(np.maximum(bands, 1e-10)), axis=0, norm="ortho")[:13].T
    assert np.abs(found[2:90] - truth).max() < 0.01


def test_slopes_equal_a_savitzky_golay_filter() -> None:
    from scipy.signal import savgol_filter

    found = columns_of(np.random.default_rng(3).normal(0, 0.1, RATE))
    truth = savgol_filter(found["mfcc_05"], 5, 1, deriv=1)
    assert np.abs(found["mfcc_05_slope"] - truth)[2:-2].max() < 1e-4


@settings(max_examples=25)
@given(n=st.integers(0, 2000), seed=st.integers(0, 99), scale=st.sampled_from([0.0, 1e-20, 1e-4, 1.0, 1e3]))
def test_any_length_gives_half_open_frames_that_cover_the_sound_and_finite_values(
    n: int, seed: int, scale: float
) -> None:
    sound = (scale * np.random.default_rng(seed).normal(size=n)).astype(np.float32)
    stream = voice_stream(sound)
    assert stream.times is not None
    assert stream.steps == -(-n // 160)
    assert np.isfinite(stream.values).all()
    if n:
        assert stream.times[0, 0] == 0 and stream.times[-1, 1] == n / RATE
        assert np.array_equal(stream.times[1:, 0], stream.times[:-1, 1])


def test_blocks_leave_no_seam() -> None:
    """Frames far from the ends do not depend on where a block of 500 frames begins."""
    sound = np.random.default_rng(4).normal(0, 0.1, 12 * RATE)
    whole, late = columns_of(sound), columns_of(sound[160 * 37 :])
    for name in ("mfcc_03", "spectral_flux", "energy_db", "spectral_centroid", "mfcc_03_slope"):
        assert whole[name][47:-9] == pytest.approx(late[name][10:-9], rel=1e-4, abs=1e-4), name


def test_the_same_sound_gives_the_same_bytes() -> None:
    sound = (tone(180) + np.random.default_rng(5).normal(0, 0.1, RATE)).astype(np.float32)
    assert voice_stream(sound).values.tobytes() == voice_stream(sound.copy()).values.tobytes()


@pytest.mark.parametrize(
    ("sound", "rate", "says"),
    [
        (np.zeros(100, np.float32), 44_100, "resample"),
        (np.zeros((100, 2), np.float32), RATE, "mix the channels"),
        (np.array([0, np.nan], np.float32), RATE, "not finite"),
    ],
)
def test_unusable_sound_is_one_clear_error(sound: Sound, rate: int, says: str) -> None:
    with pytest.raises(DataError, match=says):
        voice_stream(sound, rate)


def steady_and_noisy() -> Exact:
    """Pulses with a chirping pitch, a pause, noise."""
    rng = np.random.default_rng(6)
    voice = pulses(150 - 40 * np.arange(90) / 90, 1 + 0.1 * rng.normal(size=90))
    return np.concatenate([0.3 * voice, np.zeros(1600), rng.normal(0, 0.05, 4000)])


def test_the_columns_that_the_set_began_with_keep_their_names_their_places_and_their_values() -> None:
    """Weights name them. ``voice_columns_1.json`` holds mean, spread and a value of each, made before there were more.

    Compared with a tolerance, because products of matrices may differ in the last digits between machines.
    """
    kept = json.loads((Path(__file__).parent / "voice_columns_1.json").read_text(encoding="utf-8"))
    assert list(PLACE)[: len(kept)] == list(kept)
    specification = voice_specification()
    assert (specification.extractor, specification.version) == ("trivium-voice", "1")
    found = columns_of(steady_and_noisy())
    for name, (mean, spread, value) in kept.items():
        column = found[name].astype(np.float64)
        assert [column.mean(), column.std(), column[40]] == pytest.approx([mean, spread, value], rel=2e-4, abs=2e-4), (
            name
        )


def test_the_column_table_of_the_docs_is_that_of_the_code() -> None:
    page = (Path(__file__).parents[1] / "docs" / "columns.md").read_text(encoding="utf-8")
    rows = [line for line in page.split("## Voice")[1].split("\n## ")[0].splitlines() if line.startswith("| `")]
    assert rows == [column.row for column in VOICE_COLUMNS]
    assert voice_specification().columns == tuple(PLACE)
