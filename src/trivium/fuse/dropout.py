"""Dropout that costs what it should on a CPU: sixteen random bits per cell, where torch draws a number for each.

Srivastava et al. (2014), Dropout: a simple way to prevent neural networks from overfitting. Different from torch's: the
rate is rounded to a multiple of 1/65536, and what remains is scaled by the rounded rate, so that means are exact. On
other devices, and where there is little to drop, torch's own is used. Random numbers come from torch's generator alone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Dropout", "dropout", "survivors"]

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
    level = round(rate * _LEVELS)
    if x.device.type != "cpu" or x.numel() < _FEW or level >= _LEVELS:
        return F.dropout(torch.ones_like(x), rate)
    bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(1 << 63), None)
    stays = bits.view(torch.int16)[: x.numel()].view(x.shape) >= level - _LEVELS // 2
    return stays.to(x.dtype).mul_(_LEVELS / (_LEVELS - level))


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
