"""Formants, harmonics and loudness against sounds with known answers."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import freqz, lfilter

from trivium.extract.audio import voice as audio
from trivium.extract.audio.formants import autocorrelation, formants
from trivium.extract.audio.harmonics import harmonic_levels
from trivium.extract.audio.loudness import auditory_loudness
from trivium.extract.audio.voice import VOICE_COLUMNS, voice_stream

Exact: TypeAlias = NDArray[np.floating[Any]]
RATE = 16_000
PLACE = {column.name: i for i, column in enumerate(VOICE_COLUMNS)}
# Means of Peterson & Barney (1952) for men; the fourth and fifth resonance are added.
VOWELS = {
    "i": (270, 2290, 3010),
    "e": (530, 1840, 2480),
    "ae": (660, 1720, 2410),
    "a": (730, 1090, 2440),
    "u": (300, 870, 2240),
}
BANDWIDTHS = (80, 100, 140, 200, 250)
GLOTTIS = [1, -0.95]


def columns_of(sound: Exact) -> dict[str, Exact]:
    values = voice_stream(sound.astype(np.float32)).values.astype(np.float64)
    return {name: values[:, i] for name, i in PLACE.items()}


def middle(column: Exact) -> Exact:
    return column[10:-10]


def tone(hertz: float, seconds: float = 1.0) -> Exact:
    sine: Exact = np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)
    return sine


def tract(frequencies: tuple[float, ...], bandwidths: tuple[float, ...] = BANDWIDTHS) -> Exact:
    """Denominator of resonators in a row."""
    whole = np.ones(1)
    for hertz, width in zip(frequencies, bandwidths, strict=True):
        radius = np.exp(-np.pi * width / RATE)
        whole = np.convolve(whole, [1, -2 * radius * np.cos(2 * np.pi * hertz / RATE), radius**2])
    return whole


def vowel(name: str, pitch: float, seconds: float = 1.0) -> Exact:
    """Pulses through a glottis that falls with frequency and through five resonances."""
    moments = np.arange(0, seconds, 1 / pitch) * RATE
    pulses = np.zeros(int(seconds * RATE) + 1)
    whole = moments.astype(int)
    np.add.at(pulses, whole, 1 - (moments - whole))
    np.add.at(pulses, whole + 1, moments - whole)
    sound = lfilter([1], np.convolve(tract((*VOWELS[name], 3500, 4500)), GLOTTIS), pulses)
    breath = np.random.default_rng(0).normal(0, 1e-5, sound.size)
    louder: Exact = 0.3 * sound / np.abs(sound).max() + breath
    return louder


@pytest.mark.parametrize(("pitch", "surely"), [(100.0, 3), (140.0, 3), (200.0, 3), (260.0, 2)])
@pytest.mark.parametrize("name", VOWELS)
def test_formants_of_a_vowel_are_those_it_was_made_with(name: str, pitch: float, surely: int) -> None:
    """Within 35 Hz or a quarter of the pitch: what lies between two harmonics is not in the sound.

    At 260 Hz the third and fourth resonance of "i", 490 Hz apart, melt into one.
    """
    found = columns_of(vowel(name, pitch))
    for number, truth in enumerate(VOWELS[name][:surely], start=1):
        error = np.median(middle(found[f"formant_{number}_frequency"])) - truth
        assert abs(error) < max(35, pitch / 4), (number, error)


@pytest.mark.parametrize("name", VOWELS)
def test_formants_of_a_low_voice_are_within_60_hz_in_every_frame(name: str) -> None:
    found = columns_of(vowel(name, 80))
    for number, truth in enumerate(VOWELS[name], start=1):
        assert np.abs(middle(found[f"formant_{number}_frequency"]) - truth).max() < 60


@pytest.mark.parametrize("bandwidth", [60.0, 120.0, 240.0])
def test_bandwidth_of_a_resonance_is_that_it_was_made_with(bandwidth: float) -> None:
    widths = (bandwidth, 100.0, 140.0, 200.0, 250.0)
    bins = 2 * np.pi * np.arange(257) * 31.25 / 11_000  # at the rate that the method works at: nothing is lost
    radii = np.exp(-np.pi * np.array(widths) / 11_000)
    angles = 2 * np.pi * np.array([600, 1200, 2400, 3500, 4500]) / 11_000
    poles = np.concatenate([radii * np.exp(1j * angles), radii * np.exp(-1j * angles)])
    _, response = freqz([1], np.convolve(np.poly(poles).real, [1, -0.97]), bins)
    found = formants(autocorrelation(np.abs(response[None]) ** 2, 31.25))
    assert found.bandwidth[0, 0] == pytest.approx(bandwidth, rel=0.02)
    assert found.frequency[0] == pytest.approx([600, 1200, 2400], abs=1)


def test_a_wider_resonance_has_a_wider_formant() -> None:
    noise = np.random.default_rng(1).normal(size=2 * RATE)
    pulses = np.where(np.arange(2 * RATE) % 160 == 0, 1.0, 0.0) + 1e-4 * noise
    found = []
    for width in (60.0, 300.0):
        shape = tract((600, 1500, 2500, 3500, 4500), (width, 100, 140, 200, 250))
        found.append(
            np.median(columns_of(0.01 * lfilter([1], np.convolve(shape, GLOTTIS), pulses))["formant_1_bandwidth"])
        )
    assert found[0] == pytest.approx(60, abs=30)
    assert found[1] > 2.5 * found[0]


def test_formants_follow_a_diphthong() -> None:
    """The first resonance glides from 400 to 800 Hz; the filter changes every 5 ms."""
    pulses = np.where(np.arange(2 * RATE) % 133 == 0, 1.0, 0.0)
    sound, state = np.zeros(2 * RATE), np.zeros(11)
    glide = np.linspace(400, 800, 2 * RATE // 80)
    for step, hertz in enumerate(glide):
        shape = np.convolve(tract((hertz, 1600, 2500, 3500, 4500)), GLOTTIS)
        sound[80 * step : 80 * step + 80], state = lfilter([1], shape, pulses[80 * step : 80 * step + 80], zi=state)
    found = middle(columns_of(0.3 * sound / np.abs(sound).max())["formant_1_frequency"])
    truth = middle(np.linspace(400, 800, 200))
    assert np.abs(found - truth).mean() < 20
    assert np.corrcoef(found, truth)[0, 1] > 0.98


def test_formants_and_harmonics_are_zero_where_unvoiced() -> None:
    sound = np.concatenate([np.zeros(RATE // 2), vowel("a", 120), np.random.default_rng(2).normal(0, 0.02, RATE)])
    found = columns_of(sound)
    unvoiced = found["voicing"] == 0
    assert 0.3 < unvoiced.mean() < 0.8
    names = [name for name in PLACE if name.startswith(("formant_", "h1_a3", "h2_h3"))]
    assert len(names) == 11
    assert all(np.all(found[name][unvoiced] == 0) for name in names)
    assert np.all(found["formant_1_frequency"][~unvoiced] > 0)


def test_formants_equal_roots_of_a_predictor_that_scipy_solves() -> None:
    from scipy.linalg import solve_toeplitz

    power = np.abs(np.fft.rfft(np.random.default_rng(3).normal(size=(20, 400)) * np.hanning(400), 512)) ** 2
    correlation = autocorrelation(power, RATE / 512)
    found = formants(correlation)
    for row, frequency, bandwidth in zip(correlation, found.frequency, found.bandwidth, strict=True):
        column = row[:10].copy()
        column[0] *= 1 + 1e-9
        roots = np.roots([1, *-solve_toeplitz(column, row[1:])])
        hertz = np.angle(roots) * 5500 / np.pi
        order = [k for k in np.argsort(hertz) if 50 < hertz[k] < 5450][:3]
        assert frequency == pytest.approx(hertz[order], rel=1e-6)
        assert bandwidth == pytest.approx(-np.log(np.abs(roots[order])) * 11_000 / np.pi, rel=1e-6)


def test_autocorrelation_equals_that_of_sound_at_11_khz() -> None:
    from scipy.signal import resample

    spectrum = np.fft.rfft(np.random.default_rng(4).normal(size=512))
    spectrum[176:] = 0  # what lies above 5.5 kHz is not looked at
    frame = np.fft.irfft(spectrum)
    emphasised = resample(frame, 352)  # 16 kHz to 11 kHz, circular like the transform
    emphasised = emphasised - 0.97 * np.roll(emphasised, 1)
    truth = np.array([emphasised @ np.roll(emphasised, lag) for lag in range(11)])
    found = autocorrelation(np.abs(spectrum[None]) ** 2, RATE / 512)[0]
    assert found / found[0] == pytest.approx(truth / truth[0], abs=1e-9)


@pytest.mark.parametrize("pitch", [90.0, 150.0, 240.0, 400.0])
def test_differences_of_harmonics_are_those_that_were_mixed(pitch: float) -> None:
    levels = [0.0, -4.0, -11.0, -20.0, -23.0, -26.0, -29.0]
    mixed = [10 ** (level / 20) * tone(k * pitch) for k, level in enumerate(levels, start=1)]
    found = columns_of(0.2 * np.sum(mixed, axis=0))
    assert middle(found["h2_h3"]) == pytest.approx(7, abs=0.7)
    assert middle(found["h1_h2"]) == pytest.approx(4, abs=0.7)


def test_levels_of_formants_are_those_of_the_nearest_harmonics() -> None:
    pitch, strong = 150.0, {1: 0.0, 4: -6.0, 10: -15.0, 17: -24.0}
    time = np.arange(800) / RATE
    frame = sum(10 ** (level / 20) * np.sin(2 * np.pi * k * pitch * time) for k, level in strong.items())
    found = harmonic_levels(np.asarray(frame)[None], np.array([pitch]), np.array([[610.0, 1480.0, 2540.0]]))
    assert found.formant_level[0] == pytest.approx([-6, -15, -24], abs=0.7)
    assert found.h1_a3[0] == pytest.approx(24, abs=0.7)


def test_a_formant_that_was_not_found_has_no_level() -> None:
    frame = np.sin(2 * np.pi * 200 * np.arange(800) / RATE)[None]
    found = harmonic_levels(frame, np.array([200.0]), np.zeros((1, 3)))
    assert found.h1_a3[0] == 0
    assert np.all(found.formant_level == 0)


def test_loudness_of_a_sound_doubles_with_9_db() -> None:
    power = np.random.default_rng(5).uniform(size=(4, 257))
    assert auditory_loudness(10**0.9 * power, RATE / 512) == pytest.approx(
        10**0.3 * auditory_loudness(power, RATE / 512)
    )


def test_the_ear_hears_3_khz_best_and_loudness_grows_with_the_width_of_the_band() -> None:
    heard = {hertz: np.median(columns_of(0.1 * tone(hertz))["loudness_auditory"]) for hertz in (60, 500, 3000, 7900)}
    assert heard[60] < heard[500] < heard[3000] > heard[7900]
    noise = columns_of(0.1 / np.sqrt(2) * np.random.default_rng(6).normal(size=RATE))
    assert np.median(noise["loudness_auditory"]) > 2 * heard[3000]


def test_magnitude_flux_equals_that_of_another_transform() -> None:
    from scipy.signal import ShortTimeFFT, get_window

    sound = np.random.default_rng(9).normal(0, 0.1, RATE) * np.linspace(0, 1, RATE) + tone(300)
    transform = ShortTimeFFT(get_window("hann", 400), hop=160, fs=RATE, mfft=512)
    magnitude = np.abs(transform.stft(sound[80:], p0=2, p1=90))[:161] * 2 / 200  # a sine of full scale is 1
    truth = np.sqrt(np.mean(np.diff(magnitude, axis=1) ** 2, axis=0))
    assert columns_of(sound)["magnitude_flux"][3:90] == pytest.approx(truth, rel=1e-3)


def test_magnitude_flux_is_zero_in_silence_and_in_a_steady_sound() -> None:
    found = columns_of(np.concatenate([np.zeros(RATE // 2), tone(1000, 0.5)]))["magnitude_flux"]
    assert found[:47].max() == 0
    assert found[54:-3].max() < 1e-4
    assert found[47:54].max() > 0.01


SCALED_BY = {"energy_db", "loudness", "loudness_auditory", "magnitude_flux", "mfcc_00"}


@settings(max_examples=15)
@given(exponent=st.integers(-4, 4), pitch=st.floats(70, 400), name=st.sampled_from(sorted(VOWELS)))
def test_gain_changes_the_columns_of_level_only(exponent: int, pitch: float, name: str) -> None:
    # noise well above the floor of the power in dB, below which a gain does change the shape
    sound = vowel(name, pitch, 0.4) + np.random.default_rng(7).normal(0, 1e-2, int(0.4 * RATE) + 1)
    one, other = columns_of(sound), columns_of(2.0**exponent * sound)
    for column in set(PLACE) - SCALED_BY:
        assert middle(other[column]) == pytest.approx(middle(one[column]), rel=1e-3, abs=1e-2), column
    assert other["energy_db"] - one["energy_db"] == pytest.approx(20 * exponent * np.log10(2), abs=0.01)
    assert other["loudness_auditory"] == pytest.approx(one["loudness_auditory"] * 2 ** (2 * exponent / 3), rel=1e-3)
    assert other["magnitude_flux"] == pytest.approx(one["magnitude_flux"] * 2.0**exponent, rel=1e-3)


@settings(max_examples=15)
@given(hops=st.integers(1, 40), name=st.sampled_from(sorted(VOWELS)))
def test_silence_of_whole_hops_before_the_sound_shifts_the_rows(hops: int, name: str) -> None:
    sound = vowel(name, 130, 0.5)
    one, late = columns_of(sound), columns_of(np.concatenate([np.zeros(160 * hops), sound]))
    for column in PLACE:
        assert late[column][hops:][8:-8] == pytest.approx(one[column][8:-8], rel=1e-4, abs=1e-3), column


@pytest.mark.parametrize("block", [37, 131])
def test_the_size_of_a_block_changes_no_column(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames that begin a block are no others; the last digits may differ, for products of matrices may."""
    quiet = np.random.default_rng(8).normal(0, 1e-3, 6 * RATE)
    sound = quiet + np.concatenate([vowel("a", 110, 2), np.zeros(RATE), vowel("i", 220, 2), np.zeros(RATE)])[: 6 * RATE]
    whole = columns_of(sound)
    monkeypatch.setattr(audio, "_BLOCK", block)
    parts = columns_of(sound)
    for column in PLACE:
        assert parts[column] == pytest.approx(whole[column], rel=1e-4, abs=1e-3), column


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    kind=st.sampled_from(["tone", "pulse", "square", "constant", "noise", "clipped", "tiny"]),
    pitch=st.floats(50, 700),
)
def test_every_sound_has_finite_columns_within_their_ranges(seed: int, kind: str, pitch: float) -> None:
    noise = np.random.default_rng(seed).normal(size=4000)
    wave = np.sin(2 * np.pi * pitch * np.arange(4000) / RATE)
    sounds = {
        "tone": wave,
        "pulse": np.where(np.arange(4000) % int(RATE / pitch) == 0, 1.0, 0.0),
        "square": np.sign(wave),
        "constant": np.ones(4000),
        "noise": noise,
        "clipped": np.clip(100 * wave + noise, -1, 1),
        "tiny": 1e-18 * wave,
    }
    found = columns_of(sounds[kind])
    assert all(np.isfinite(column).all() for column in found.values())
    for number in (1, 2, 3):
        frequency = found[f"formant_{number}_frequency"]
        assert np.all((frequency == 0) | ((frequency > 50) & (frequency < 5450)))
        assert found[f"formant_{number}_bandwidth"].min() >= 0
        assert np.abs(found[f"formant_{number}_level"]).max() <= 100.001  # float32
    both = found["formant_2_frequency"] > 0
    assert np.all(found["formant_1_frequency"][both] <= found["formant_2_frequency"][both])
