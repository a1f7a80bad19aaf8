"""MiniRocket against the definition of its authors: plain loops over series, dilations, kernels, steps and weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from trivium.errors import SpecificationError
from trivium.represent import MiniRocket
from trivium.represent.minirocket import RocketKernels, dilations_of, rocket_features

Numbers = NDArray[np.float64]
KERNELS = [[2 if place in high else -1 for place in range(9)] for high in combinations(range(9), 3)]
"""Nine weights each: every choice of three places for the weight 2; they add up to 0."""
DILATIONS, COUNTS = (1, 2, 3), (2, 1, 1)
"""Of 30 steps and four features for each kernel: 2 to the power of 0, .62, 1.24 and 1.86, cut to whole numbers."""
STEPS, PER_KERNEL = 30, 4


def convolution(line: Numbers, weights: list[int], dilation: int) -> Numbers:
    """Weighted sum around every step, nothing beyond the ends."""
    found = np.zeros(len(line))
    for t in range(len(line)):
        for place, weight in enumerate(weights):
            step = t + (place - 4) * dilation
            if 0 <= step < len(line):
                found[t] += weight * line[step]
    return found


def counted(convolved: Numbers, threshold: float, *, padded: bool, dilation: int) -> float:
    """Share of values above a threshold, of all steps or of those that all nine weights reach."""
    steps = range(len(convolved)) if padded else range(4 * dilation, len(convolved) - 4 * dilation)
    return sum(1 for t in steps if convolved[t] > threshold) / len(steps)


def places() -> Iterator[tuple[int, int, int]]:
    """Number of the dilation, number of the kernel, and first feature of both, in the order of the vector."""
    first = 0
    for number, count in enumerate(COUNTS):
        for kernel in range(84):
            yield number, kernel, first
            first += count


Convolved = Mapping[tuple[int, int], Numbers]


def convolved_by_hand(series: Numbers, channels: list[NDArray[np.int64]]) -> Convolved:
    """Convolutions (N, T) by dilation and kernel, of series (N, C, T) whose given channels are added up."""
    return {
        (number, kernel): np.stack(
            [convolution(one[channels[number * 84 + kernel]].sum(axis=0), KERNELS[kernel], dilation) for one in series]
        )
        for number, dilation in enumerate(DILATIONS)
        for kernel in range(84)
    }


def features_by_hand(convolved: Convolved, thresholds: Numbers) -> Numbers:
    """Every second combination of dilation and kernel counts padded ends, the first one does."""
    columns = []
    for number, kernel, first in places():
        padded = (number + kernel) % 2 == 0
        columns += [
            [counted(one, t, padded=padded, dilation=DILATIONS[number]) for one in convolved[number, kernel]]
            for t in thresholds[first : first + COUNTS[number]]
        ]
    return np.array(columns).T


def clips(channels: int, seed: int = 0) -> NDArray[np.float32]:
    """Five series (N, T, C), each at a scale of its own, a tenth of the cells of several channels not seen."""
    rng = np.random.default_rng(seed)
    made = rng.normal(3, 2, (5, STEPS, channels)) * np.arange(1, 6)[:, None, None]
    return np.where((rng.random(made.shape) < 0.1) & (channels > 1), np.nan, made).astype(np.float32)


def standardised(x: NDArray[np.float32]) -> Numbers:
    """Series (N, C, T) by the seen cells of each channel; what was not seen is 0."""
    values = x.astype(np.float64)
    scaled = (values - np.nanmean(values, axis=(0, 1))) / np.nanstd(values, axis=(0, 1))
    found: Numbers = np.nan_to_num(scaled).transpose(0, 2, 1)
    return found


def golden_levels(count: int) -> Numbers:
    """Multiples of the golden ratio without their whole parts."""
    ratio = (1 + 5**0.5) / 2
    return np.array([number * ratio - int(number * ratio) for number in range(1, count + 1)])


def series_that_gave(convolved: Convolved, thresholds: Numbers) -> list[int]:
    """Number of the series, by dilation and kernel, at whose quantiles the thresholds lie: exactly one."""
    levels, found = golden_levels(len(thresholds)), []
    for number, kernel, first in places():
        rows = slice(first, first + COUNTS[number])
        fitting = [
            place
            for place, one in enumerate(convolved[number, kernel])
            if np.allclose(np.quantile(one, levels[rows]), thresholds[rows], atol=1e-9)
        ]
        assert len(fitting) == 1, (number, kernel, fitting)
        found += fitting
    return found


def test_every_kernel_has_three_weights_of_2_and_six_of_minus_1() -> None:
    impulse = np.zeros((1, 1, 17))
    impulse[0, 0, 8] = 1  # whose convolution is the kernel, turned round, and 0 elsewhere
    around = np.array([2.01, 1.99, -0.99, -1.01])
    kernels = RocketKernels(np.array([1]), np.array([4]), [np.array([0])] * 84, np.tile(around, 84))
    steps = np.where(np.arange(84) % 2, 9, 17)  # padded ends count for every second kernel
    above = np.stack([np.zeros(84), np.full(84, 3), steps - 6, steps], axis=1) / steps[:, None]
    np.testing.assert_allclose(rocket_features(impulse, kernels).reshape(84, 4), above, rtol=1e-6)


@pytest.mark.parametrize(
    ("steps", "per_kernel", "dilations", "counts"),
    [
        (9, 40, [1], [40]),
        (16, 3, [1], [3]),
        (17, 3, [1, 2], [2, 1]),
        (STEPS, PER_KERNEL, list(DILATIONS), list(COUNTS)),
        (STEPS, 33, [1, 2, 3], [18, 10, 5]),  # 17, 10 and 5 of 32 exponents; one feature is left over
        (STEPS, 64, [1, 2, 3], [34, 20, 10]),  # twice those 32
        (65, 4, [1, 2, 4, 8], [1, 1, 1, 1]),
    ],
)
def test_dilations_are_powers_of_2_as_far_as_a_kernel_fits_in_the_series(
    steps: int, per_kernel: int, dilations: list[int], counts: list[int]
) -> None:
    assert [found.tolist() for found in dilations_of(steps, per_kernel)] == [dilations, counts]
    assert 8 * dilations[-1] < steps


def test_features_are_shares_counted_step_by_step_with_padding_in_turns() -> None:
    rng = np.random.default_rng(1)
    series = rng.standard_normal((4, 3, STEPS))
    channels = [rng.permutation(3)[: 1 + number % 3] for number in range(3 * 84)]
    thresholds = rng.normal(0, 2, 84 * PER_KERNEL)
    kernels = RocketKernels(np.array(DILATIONS), np.array(COUNTS), channels, thresholds)
    expected = features_by_hand(convolved_by_hand(series, channels), thresholds)
    np.testing.assert_allclose(rocket_features(series, kernels), expected, rtol=1e-6)


def test_a_value_at_the_threshold_is_not_above_it() -> None:
    kernels = RocketKernels(np.array([1]), np.array([1]), [np.array([0])] * 84, np.zeros(84))
    assert not rocket_features(np.zeros((2, 1, 12)), kernels).any()
    assert not rocket_features(np.ones((2, 1, 12)), kernels)[:, 1::2].any()  # kernels add up to 0 where they fit


@pytest.mark.parametrize("channels", [1, 3])
def test_vectors_are_those_of_plain_loops_over_standardised_series(channels: int) -> None:
    x = clips(channels)
    fitted = MiniRocket(n_features=84 * PER_KERNEL + 83).fit(x)
    kernels = fitted.kernels_
    assert (kernels.dilations.tolist(), kernels.counts.tolist()) == (list(DILATIONS), list(COUNTS))
    expected = features_by_hand(convolved_by_hand(standardised(x), list(kernels.channels)), kernels.thresholds)
    assert expected.shape == (5, 84 * PER_KERNEL) == (5, len(fitted.get_feature_names_out()))
    np.testing.assert_allclose(fitted.transform(x), expected, rtol=1e-6)
    assert expected.std(axis=0).mean() > 0.05  # thresholds lie where series differ


@pytest.mark.parametrize("channels", [1, 3])
def test_thresholds_are_quantiles_of_a_training_series_drawn_anew_for_every_dilation_and_kernel(channels: int) -> None:
    x = clips(channels)
    kernels = MiniRocket(n_features=84 * PER_KERNEL, random_state=3).fit(x).kernels_
    drawn = series_that_gave(convolved_by_hand(standardised(x), list(kernels.channels)), kernels.thresholds)
    assert np.bincount(drawn, minlength=5).min() > 252 / 5 / 2  # each of five about as often


def test_golden_levels_are_those_that_one_gets_by_hand() -> None:
    assert golden_levels(5) == pytest.approx([0.618034, 0.236068, 0.854102, 0.472136, 0.090170], abs=1e-6)
    assert np.abs(np.sort(golden_levels(400)) - (np.arange(400) + 0.5) / 400).max() < 0.01  # spread evenly


def test_channels_are_joined_in_numbers_that_grow_rarer_the_more_there_are() -> None:
    x = np.random.default_rng(0).standard_normal((2, 100, 3)).astype(np.float32)
    joined = MiniRocket(n_features=84 * 20).fit(x).kernels_.channels
    assert len(joined) == 11 * 84
    assert all(len(set(one.tolist())) == len(one) for one in joined)
    shares = np.bincount([len(one) for one in joined], minlength=4) / len(joined)
    # a whole number below 2 ** u, u uniform up to log2(4): log2(2) / 2, log2(3 / 2) / 2, log2(4 / 3) / 2
    np.testing.assert_allclose(shares, [0, 0.5, 0.292, 0.208], atol=0.05)
    used = np.bincount(np.concatenate(joined), minlength=3) / len(joined)
    np.testing.assert_allclose(used, np.full(3, used.mean()), atol=0.06)


def test_another_seed_draws_other_series_and_channels_and_the_same_seed_the_same() -> None:
    x = clips(3)
    one, again, other = (MiniRocket(n_features=336, random_state=seed).fit(x).kernels_ for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.thresholds, again.thresholds)
    assert (one.thresholds != other.thresholds).mean() > 0.5
    assert any(a.tolist() != b.tolist() for a, b in zip(one.channels, other.channels, strict=True))


def test_series_are_cut_or_padded_to_the_steps_of_training() -> None:
    x = clips(3)
    fitted = MiniRocket(n_features=336).fit(x)
    np.testing.assert_array_equal(fitted.transform(np.concatenate([x, x[:, :6]], axis=1)), fitted.transform(x))
    ended = np.concatenate([x[:, :-6], np.full((5, 6, 3), np.nan, np.float32)], axis=1)
    np.testing.assert_array_equal(fitted.transform(x[:, :-6]), fitted.transform(ended))
    assert not np.array_equal(fitted.transform(ended), fitted.transform(x))


@pytest.mark.parametrize(("steps", "features"), [(8, 84), (9, 83)])
def test_too_few_steps_or_features_are_refused(steps: int, features: int) -> None:
    with pytest.raises(SpecificationError, match="at least 84 features and series of 9 steps"):
        MiniRocket(n_features=features).fit(np.ones((2, steps, 1), np.float32))
