"""MiniRocket: how often dilated kernels of fixed shapes lie above a threshold, over whole series. A strong floor.

Source: Dempster, Schmidt and Webb (2021), "MiniRocket: a very fast (almost) deterministic transform for time series
classification", and its form for several channels. From the paper: the 84 kernels of length 9 with three weights of 2
and six of -1, dilations, thresholds at quantiles of the convolution of a training series, padding of every second
kernel, the share of values above the threshold. Ours: columns are standardised by their seen training cells, what was
not seen is 0, and series are cut or padded to the steps of training. No labels, nothing is trained.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from trivium.errors import SpecificationError
from trivium.represent.by_modality import Block, ByModality
from trivium.represent.inputs import ModalitySteps

__all__ = ["LENGTH", "MiniRocket", "RocketKernels", "dilations_of", "rocket_features"]

LENGTH = 9
"""Weights of a kernel, and the fewest steps."""
_KERNELS = np.array(list(combinations(range(LENGTH), 3)), np.int64)
_MOST_DILATIONS = 32
_GOLDEN = (np.sqrt(5) + 1) / 2
_TINY = 1e-6
_NUMBERS_AT_ONCE = 1 << 22

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RocketKernels:
    """What the features are made with.

    Parameters
    ----------
    dilations : int array of shape (P,)
        Steps between the weights of a kernel.
    counts : int array of shape (P,)
        Thresholds of each kernel at each dilation.
    channels : sequence of P * 84 int arrays
        Channels that are added up, by dilation, then by kernel.
    thresholds : array of shape (84 * sum of counts,)
        By dilation, then by kernel.
    """

    dilations: NDArray[np.int64]
    counts: NDArray[np.int64]
    channels: Sequence[NDArray[np.int64]]
    thresholds: Floats


def dilations_of(steps: int, per_kernel: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Dilations of series of a length, and how many thresholds each gets.

    Parameters
    ----------
    steps : int
        T, at least 9.
    per_kernel : int
        Features of each of the 84 kernels.

    Returns
    -------
    (int array of shape (P,), int array of shape (P,))

    Examples
    --------
    >>> dilations, counts = dilations_of(100, 20)
    >>> dilations.tolist(), int(counts.sum())
    ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12], 20)
    """
    most = min(per_kernel, _MOST_DILATIONS)
    highest = np.log2((steps - 1) / (LENGTH - 1))
    dilations, counts = np.unique((2 ** np.linspace(0, highest, most)).astype(np.int64), return_counts=True)
    counts = (counts * (per_kernel / most)).astype(np.int64)
    for place in range(per_kernel - int(counts.sum())):
        counts[place % len(counts)] += 1
    return dilations, counts


def rocket_features(series: Floats, kernels: RocketKernels) -> NDArray[np.float32]:
    """Share of the values of every convolution that lie above each threshold.

    Parameters
    ----------
    series : array of shape (N, C, T)
        N series of C channels.
    kernels : RocketKernels
        With F thresholds.

    Returns
    -------
    array of shape (N, F)

    Examples
    --------
    >>> one = RocketKernels(np.array([1]), np.array([1]), [np.array([0])] * 84, np.zeros(84))
    >>> rocket_features(np.ones((1, 1, 9)), one)[0, :2].tolist() == [np.float32(4 / 9), 0.0]
    True
    """
    return np.concatenate(
        [
            _shares(convolved if padded else convolved[:, inner], thresholds)
            for convolved, padded, inner, thresholds in _convolutions(series, kernels)
        ],
        axis=1,
    ).astype(np.float32)


def _shares(convolved: Floats, thresholds: Floats) -> Floats:
    return np.stack([(convolved > threshold).mean(axis=1) for threshold in thresholds], axis=1)


_Convolved = tuple[Floats, bool, slice, Floats]


def _convolutions(series: Floats, kernels: RocketKernels) -> Iterator[_Convolved]:
    """By dilation and kernel: values (N, T), whether their padded ends count, what lies within, and the thresholds."""
    place = start = 0
    for number, (dilation, count) in enumerate(zip(kernels.dilations, kernels.counts, strict=True)):
        reach = int(dilation) * (LENGTH // 2)
        shifted = _shifted(series, int(dilation), reach)
        base = -shifted.sum(axis=0)
        inner = slice(reach, series.shape[2] - reach)
        for kernel, (first, second, third) in enumerate(_KERNELS):
            channels = kernels.channels[place]
            high = shifted[first][:, channels] + shifted[second][:, channels] + shifted[third][:, channels]
            convolved = (base[:, channels] + 3 * high).sum(axis=1)
            padded = (number + kernel) % 2 == 0
            yield convolved, padded, inner, kernels.thresholds[start : start + count]
            place, start = place + 1, start + int(count)


def _shifted(series: Floats, dilation: int, reach: int) -> Floats:
    """The series as each of the nine weights sees it (9, N, C, T), zeros beyond the ends."""
    steps = series.shape[2]
    wide = np.pad(series, ((0, 0), (0, 0), (reach, reach)))
    return np.stack([wide[:, :, k * dilation : k * dilation + steps] for k in range(LENGTH)])


class MiniRocket(ByModality):
    """Shares of dilated convolutions above thresholds, over all modalities as channels of one series.

    Parameters
    ----------
    words : int
        Steps that a corpus is cropped or padded to; aligned sets and arrays bring their own.
    n_features : int
        Length of the vector, rounded down to a multiple of 84.
    random_state : int, RandomState or None
        Which channels are joined, and which training series give thresholds.

    Attributes
    ----------
    kernels_ : RocketKernels
        Dilations, channels, thresholds.
    mean_, scale_ : arrays of shape (D,)
        Of the seen training cells.
    steps_ : int
        T of training.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((8, 12, 3)).astype(np.float32)
    >>> MiniRocket(n_features=168).fit_transform(x).shape
    (8, 168)
    """

    def __init__(
        self,
        words: int = 20,
        n_features: int = 9996,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        super().__init__(words, native=False)
        self.n_features = n_features
        self.random_state = random_state

    def _learn(self, blocks: Iterator[Block]) -> None:
        series = [_joined(block) for block in blocks]
        if not series or series[0].shape[1] < LENGTH or self.n_features < len(_KERNELS):
            raise SpecificationError(
                f"{self.n_features} features of {series[0].shape[1] if series else 0} steps are none",
                remedy=f"give at least {len(_KERNELS)} features and series of {LENGTH} steps",
            )
        values = np.concatenate(series)
        self.steps_ = values.shape[1]
        counts = np.maximum(np.isfinite(values).sum(axis=(0, 1)), 1)
        self.mean_ = np.nansum(values, axis=(0, 1)) / counts
        spread = np.sqrt(np.nansum((values - self.mean_) ** 2, axis=(0, 1)) / counts)
        self.scale_ = np.where(spread > _TINY, spread, 1.0)
        self.kernels_ = self._kernels(self._standardised(values))

    def _kernels(self, series: Floats) -> RocketKernels:
        """Kernels whose thresholds are quantiles of the convolutions of training series drawn at random."""
        random = check_random_state(self.random_state)
        _, channels, steps = series.shape
        dilations, counts = dilations_of(steps, self.n_features // len(_KERNELS))
        most = np.log2(min(channels, LENGTH) + 1)
        sizes = (2 ** random.uniform(0, most, len(dilations) * len(_KERNELS))).astype(np.int64)
        joined = [random.choice(channels, size, replace=False) for size in sizes]
        total = int(counts.sum()) * len(_KERNELS)
        quantiles = (np.arange(1, total + 1) * _GOLDEN) % 1.0
        drawn = random.randint(len(series), size=len(joined))
        thresholds: list[Floats] = []
        start = 0
        for place, (count, own) in enumerate(zip(np.repeat(counts, len(_KERNELS)), drawn, strict=True)):
            dilation, kernel = divmod(place, len(_KERNELS))
            one = _one_convolution(series[own : own + 1], int(dilations[dilation]), kernel, joined[place])
            thresholds.append(np.quantile(one, quantiles[start : start + count]))
            start += int(count)
        return RocketKernels(dilations, counts, joined, np.concatenate(thresholds))

    def _block_vectors(self, block: Block) -> Floats:
        series = self._standardised(_joined(block))
        most = max(1, _NUMBERS_AT_ONCE // max(1, LENGTH * series.shape[1] * series.shape[2]))
        pieces = [rocket_features(series[i : i + most], self.kernels_) for i in range(0, len(series), most)]
        return np.concatenate(pieces).astype(np.float64)

    def _standardised(self, values: Floats) -> Floats:
        """Series (N, C, T) of the steps of training, 0 where nothing was seen."""
        scaled = np.nan_to_num((values - self.mean_) / self.scale_)[:, : self.steps_]
        missing = self.steps_ - scaled.shape[1]
        return np.ascontiguousarray(np.pad(scaled, ((0, 0), (0, missing), (0, 0))).transpose(0, 2, 1))

    def _names(self, columns: Sequence[str] | None = None) -> list[str]:
        return [f"minirocket.{number}" for number in range(len(self.kernels_.thresholds))]


def _joined(block: Block) -> Floats:
    """All modalities side by side (N, T, D), NaN where not seen."""
    parts: list[ModalitySteps] = list(block.values())
    return np.concatenate([np.where(part.seen, part.values, np.nan) for part in parts], axis=2).astype(np.float64)


def _one_convolution(series: Floats, dilation: int, kernel: int, channels: NDArray[np.int64]) -> Floats:
    """Convolution of one series with one kernel, both ends padded (T,)."""
    shifted = _shifted(series[:, channels], dilation, dilation * (LENGTH // 2))
    weights = np.full(LENGTH, -1.0)
    weights[_KERNELS[kernel]] += 3.0
    return np.asarray(np.einsum("k,kncs->s", weights, shifted))
