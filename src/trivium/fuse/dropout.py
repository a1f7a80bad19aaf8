"""Dropout that costs what it should on a CPU: 8 or 16 random bits per cell, where torch draws a number for each.

Srivastava et al. (2014), Dropout: a simple way to prevent neural networks from overfitting. Different from torch's: the
rate is rounded to a multiple of 1/65536, and what remains is scaled by the rounded rate, so that means are exact. On
other devices, and where there is little to drop, torch's own is used. The bits are those of NumPy's SFC64, three words
of torch's generator being its seed, so that torch's state decides them alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import NDArray
from torch import Tensor, nn

__all__ = ["Dropout", "drawn", "dropout", "survivors"]

_LEVELS = 1 << 16
_FEW = 4096  # cells below which drawing them one by one is as quick


def dropout(x: Tensor, rate: float, training: bool = True) -> Tensor:
    """Zero a random share of cells, scale the others so that means stay.

    Parameters
    ----------
    x : float tensor
        Of any shape.
    rate : float
        Share that is dropped, 0 to 1.
    training : bool
        False leaves `x` as it is.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> dropped = dropout(torch.ones(100, 100), 0.25)
    >>> dropped.unique().round(decimals=3).tolist(), round(dropped.mean().item(), 1)
    ([0.0, 1.3329999446868896], 1.0)
    >>> dropout(torch.ones(2), 0.25, training=False).tolist()
    [1.0, 1.0]
    """
    return x * survivors(x, rate) if training and round(rate * _LEVELS) else x


def survivors(x: Tensor, rate: float) -> Tensor:
    """What dropout multiplies the cells of a tensor with: 0, or what makes up for the others.

    Parameters
    ----------
    x : float tensor
        Tells shape, type and device.
    rate : float
        Share that is dropped, 0 to 1.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> sorted(set(survivors(torch.zeros(100, 100), 0.5).flatten().tolist()))
    [0.0, 2.0]
    """
    stays, makeup = drawn(x, rate)
    return stays.mul_(makeup)


def drawn(x: Tensor, rate: float) -> tuple[Tensor, float]:
    """Which cells of a tensor stay, as 1 and 0 of its shape and type, and the factor that makes up for the others.

    Parameters
    ----------
    x : float tensor
        Tells shape, type and device.
    rate : float
        Share that is dropped, 0 to 1.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> stays, makeup = drawn(torch.zeros(100, 100), 0.75)
    >>> sorted(set(stays.flatten().tolist())), makeup, 0.24 < stays.mean() < 0.26
    ([0.0, 1.0], 4.0, tensor(True))
    """
    level = round(rate * _LEVELS)
    if x.device.type != "cpu" or x.numel() < _FEW or level >= _LEVELS:
        return (F.dropout(torch.ones_like(x), rate) > 0).to(x.dtype), 1 / (1 - rate) if rate < 1 else 0.0
    if level % 256:
        stays = _random_words(-(-x.numel() // 4)).view(np.uint16)[: x.numel()] >= level
    else:
        stays = _random_words(-(-x.numel() // 8)).view(np.uint8)[: x.numel()] >= level // 256
    bytes_of_stays = torch.from_numpy(stays.view(np.uint8)).view(x.shape)  # torch turns bool into float much slower
    return bytes_of_stays.to(x.dtype), _LEVELS / (_LEVELS - level)


def _random_words(count: int) -> NDArray[np.uint64]:
    """Words of 64 random bits."""
    seed = torch.empty(3, dtype=torch.int64).random_(-(1 << 63), None)
    words: NDArray[np.uint64] = np.random.SFC64(_Words(seed.numpy().view(np.uint64))).random_raw(count)  # type: ignore[arg-type]
    return words


class _Words(ISeedSequence):
    """A seed that is given as the words that a generator asks for."""

    def __init__(self, words: NDArray[np.uint64]) -> None:
        self.words = words

    def generate_state(self, n_words: int, dtype: Any = np.uint64) -> NDArray[np.uint64]:
        """Give the words."""
        return self.words[:n_words]


class Dropout(nn.Dropout):
    """:func:`dropout` as a layer.

    Parameters
    ----------
    p : float
        Share that is dropped.

    Examples
    --------
    >>> Dropout(0.5).eval()(torch.ones(2)).tolist()
    [1.0, 1.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Drop cells, in training mode only."""
        return dropout(input, self.p, self.training)
