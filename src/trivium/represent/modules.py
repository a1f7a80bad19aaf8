"""Torch modules around encoders: scaling and statistics as graphs, so that a combination is one ONNX file.

Every module here maps matrices (B, 1, W, D) whose unseen cells are NaN, to matrices of that shape or to vectors (B, K).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import Tensor, nn

from trivium.column_statistics import STATISTICS
from trivium.errors import SpecificationError
from trivium.scale import POOLED, ScalerSet

__all__ = ["Rescale", "SideBySide", "StatisticsModule"]

_MIDDLE = 0.5
_NO_GRAPH = ("p10", "p90")  # percentiles of a number of cells that differs by utterance


class Rescale(nn.Module):
    """A number added to and a factor for every column; holes stay holes.

    Parameters
    ----------
    width : int
        Columns D.

    Examples
    --------
    >>> scale = Rescale(2)
    >>> scale.factor.fill_(2.0).tolist(), scale(torch.tensor([[[[1.0, 3.0]]]])).tolist()
    ([2.0, 2.0], [[[[2.0, 6.0]]]])
    """

    takes_holes = True

    def __init__(self, width: int) -> None:
        super().__init__()
        self.factor: Tensor
        self.offset: Tensor
        self.register_buffer("factor", torch.ones(width))
        self.register_buffer("offset", torch.zeros(width))

    @classmethod
    def of(cls, scalers: ScalerSet) -> Self:
        """What the pooled scaler does, as far as cells that were seen go."""
        factor, offset = scalers.scalers[POOLED].affine()
        module = cls(len(factor))
        module.factor.copy_(torch.from_numpy(factor))
        module.offset.copy_(torch.from_numpy(offset))
        return module

    def forward(self, x: Tensor) -> Tensor:
        """Matrices (B, 1, W, D), scaled."""
        return x * self.factor + self.offset


class StatisticsModule(nn.Module):
    """What :func:`trivium.column_statistics.column_statistics` computes, as a graph.

    Parameters
    ----------
    widths : sequence of int
        Columns of each modality, in order.
    names : sequence of str
        Which statistics; percentiles have no graph.
    indicators : bool
        Add 1 or 0 for each modality: whether it was seen at all.

    Raises
    ------
    SpecificationError
        A percentile is among the names.

    Examples
    --------
    >>> module = StatisticsModule([1], ["mean", "spread"], indicators=True)
    >>> module(torch.tensor([[[[1.0], [3.0], [float("nan")]]]])).tolist()
    [[2.0, 1.0, 1.0]]
    """

    takes_holes = True

    def __init__(self, widths: Sequence[int], names: Sequence[str], *, indicators: bool) -> None:
        super().__init__()
        bad = [name for name in names if name in _NO_GRAPH or name not in STATISTICS]
        if bad:
            raise SpecificationError(f"{', '.join(bad)} cannot be exported", remedy="leave it out of the statistics")
        self.widths, self.names, self.indicators = list(widths), list(names), indicators
        self.n_features = sum(self.widths) * len(self.names) + len(self.widths) * indicators

    def forward(self, x: Tensor) -> Tensor:
        """Statistics (B, K) of matrices (B, 1, W, D)."""
        parts = [part.squeeze(1) for part in torch.split(x, self.widths, dim=3)]
        found, there = [], []
        for part in parts:
            seen = (~torch.isnan(part)).to(part.dtype)
            values = torch.where(torch.isnan(part), torch.zeros_like(part), part)
            steps = seen.amax(dim=2)
            found += [self._statistic(name, values, seen, _places(steps)) for name in self.names]
            there.append(steps.amax(dim=1, keepdim=True))
        return torch.cat(found + there * self.indicators, dim=1)

    def _statistic(self, name: str, values: Tensor, seen: Tensor, places: Tensor) -> Tensor:
        mean = _mean(values, seen)
        centred = (values - mean.unsqueeze(1)) * seen
        if name == "mean":
            return mean
        if name == "spread":
            return _mean(centred.square(), seen).sqrt()
        if name == "slope":
            when = places.unsqueeze(2) * seen
            apart = (when - _mean(when, seen).unsqueeze(1)) * seen
            length = apart.square().sum(dim=1)
            return (apart * centred).sum(dim=1) / torch.where(length > 0, length, torch.ones_like(length))
        if name in ("minimum", "maximum"):
            sign = -1.0 if name == "minimum" else 1.0
            largest = torch.where(seen > 0, sign * values, torch.full_like(values, -torch.inf)).amax(dim=1)
            return torch.where(seen.amax(dim=1) > 0, sign * largest, torch.zeros_like(largest))
        inside = places <= _MIDDLE if name == "first-half" else places >= _MIDDLE
        return _mean(values, seen * inside.unsqueeze(2))


def _mean(values: Tensor, seen: Tensor) -> Tensor:
    return (values * seen).sum(dim=1) / seen.sum(dim=1).clamp(min=1)


def _places(steps: Tensor) -> Tensor:
    """Relative places (B, W) of steps (B, W) that are 1 where seen."""
    number = torch.arange(steps.shape[1], dtype=steps.dtype, device=steps.device).expand_as(steps)
    far = float(steps.shape[1])
    first = torch.where(steps > 0, number, torch.full_like(number, far)).amin(dim=1, keepdim=True)
    last = torch.where(steps > 0, number, torch.full_like(number, -far)).amax(dim=1, keepdim=True)
    spans = last > first
    length = torch.where(spans, last - first, torch.ones_like(first))
    return torch.where(spans, (number - first) / length, torch.full_like(number, _MIDDLE))


class SideBySide(nn.Module):
    """Vectors of several encoders next to each other, each number standardised.

    Parameters
    ----------
    parts : mapping of str to module
        Encoders of the same matrices, in order.
    width : int
        Columns D.
    features : int
        Length K of all vectors together.

    Attributes
    ----------
    before : Rescale
        What the matrices go through first.
    mean, factor : tensor (K,)
        Of the vectors.

    Examples
    --------
    >>> mean = StatisticsModule([1], ["mean"], indicators=False)
    >>> SideBySide({"one": mean, "two": mean}, 1, 2)(torch.full((1, 1, 3, 1), 5.0)).tolist()
    [[5.0, 5.0]]
    """

    takes_holes = True

    def __init__(self, parts: Mapping[str, nn.Module], width: int, features: int) -> None:
        super().__init__()
        self.before = Rescale(width)
        self.parts = nn.ModuleDict(parts)
        self.mean: Tensor
        self.factor: Tensor
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("factor", torch.ones(features))
        self.n_features = features

    def forward(self, x: Tensor) -> Tensor:
        """Vectors (B, K) of matrices (B, 1, W, D)."""
        scaled = self.before(x)
        return (torch.cat([part(scaled) for part in self.parts.values()], dim=1) - self.mean) * self.factor
