"""An encoder of steps: a small 1-D convolutional network per modality, of any length, that knows holes from numbers.

The layers are those of the field's usual residual convolutions over time (dilated, as in van den Oord et al., 2016,
WaveNet, arXiv 1609.03499, without gates); the pooled mean and spread of the states is the statistics pooling of speaker
embeddings (Snyder et al., 2018, X-vectors). Our choice: a tower per modality, so that the part of the vector that the
voice gives does not depend on whether a face was there; unseen cells as zeros after standardising and unseen steps as
zeros before every convolution, so that neither what stands in padding nor how much of it there is changes anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from trivium.fuse.steps import Steps, mean_of_steps, spread_of_steps

__all__ = ["Standardised", "StepEncoder", "StepTower"]

_LIMIT = 5.0  # standard deviations: one broken frame must not rule the states around it
_TINY = 1e-6


class Standardised(NamedTuple):
    """Cells of one modality on one scale.

    Parameters
    ----------
    values : tensor (B, T, D)
        In standard deviations, limited to five; 0 where not seen.
    cells : bool tensor (B, T, D)
        True where a cell holds data.
    """

    values: Tensor
    cells: Tensor

    @property
    def steps(self) -> Tensor:
        """True where any cell of a step was seen, bool (B, T)."""
        return self.cells.any(dim=2)


class _Residual(nn.Module):
    """Normalise, look at neighbours in time, mix the channels, add."""

    def __init__(self, channels: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.time = nn.Conv1d(channels, channels, kernel, padding=kernel // 2 * dilation, dilation=dilation)
        self.mix = nn.Sequential(nn.GELU(), nn.Linear(channels, channels))

    def forward(self, x: Tensor, steps: Tensor) -> Tensor:
        looked: Tensor = self.time((self.norm(x) * steps).transpose(1, 2)).transpose(1, 2)
        added: Tensor = (x + self.mix(looked)) * steps
        return added


class StepTower(nn.Module):
    """States of one modality's steps, and one vector of them.

    Parameters
    ----------
    width : int
        Columns D.
    channels : int
        Width H of a state.
    layers : int
        Residual convolutions; the k-th looks 2**k steps apart.
    kernel : int
        Steps that a convolution looks at; odd.

    Examples
    --------
    >>> tower = StepTower(3, channels=8, layers=2)
    >>> cells = Standardised(torch.zeros(2, 7, 3), torch.ones(2, 7, 3, dtype=torch.bool))
    >>> states = tower.states(cells)
    >>> states.values.shape, tower.pool(states).shape
    (torch.Size([2, 7, 8]), torch.Size([2, 16]))
    """

    def __init__(self, width: int, channels: int = 64, layers: int = 3, kernel: int = 5) -> None:
        super().__init__()
        self.into = nn.Linear(width, channels)
        self.hidden = nn.Parameter(torch.zeros(channels))
        self.layers = nn.ModuleList(_Residual(channels, kernel, 2**number) for number in range(layers))
        self.n_features = 2 * channels

    def states(self, given: Standardised, hidden: Tensor | None = None) -> Steps:
        """States (B, T, H) of the steps; those that are hidden (bool (B, T)) go in as a learned vector."""
        x = self.into(given.values)
        if hidden is not None:
            x = torch.where(hidden.unsqueeze(2), self.hidden, x)
        seen = given.steps.unsqueeze(2).to(x.dtype)
        x = x * seen
        for layer in self.layers:
            x = layer(x, seen)
        return Steps(x, given.steps)

    def pool(self, states: Steps) -> Tensor:
        """Mean and spread of the states over seen steps, (B, 2 H); zeros where there is none."""
        return torch.cat([mean_of_steps(states), spread_of_steps(states)], dim=1)


class StepEncoder(nn.Module):
    """Matrices with holes to vectors: a tower per modality, their vectors side by side.

    Parameters
    ----------
    widths : mapping of str to int
        Columns of each modality, in order.
    channels, layers, kernel : int
        Of every :class:`StepTower`.

    Attributes
    ----------
    n_features : int
        Length K of the vector: 2 H for each modality, zeros for one that is missing.

    Examples
    --------
    >>> encoder = StepEncoder({"audio": 3, "vision": 2}, channels=4).eval()
    >>> x = torch.full((1, 1, 6, 5), float("nan"))
    >>> x[..., :3] = 1.0  # no face
    >>> encoder(x).shape, encoder(x)[0, 8:].abs().sum().item()
    (torch.Size([1, 16]), 0.0)
    """

    takes_holes = True

    def __init__(self, widths: Mapping[str, int], channels: int = 64, layers: int = 3, kernel: int = 5) -> None:
        super().__init__()
        self.widths = dict(widths)
        self.towers = nn.ModuleDict(
            {name: StepTower(width, channels, layers, kernel) for name, width in widths.items()}
        )
        columns = sum(self.widths.values())
        self.register_buffer("mean", torch.zeros(columns))
        self.register_buffer("spread", torch.ones(columns))
        self.n_features = len(self.widths) * 2 * channels

    @torch.no_grad()
    def learn_scale(self, parts: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Take mean and spread of every column over the seen cells of training matrices, values and cells (n, T, D)."""
        sums = torch.zeros(3, len(self.get_buffer("mean")), dtype=torch.float64)
        for values, seen in parts:
            # values lie in [0, 1] of training, where one pass in double precision loses nothing that matters
            x = torch.where(seen, values, 0.0).double()
            sums += torch.stack([seen.sum(dim=(0, 1)).double(), x.sum(dim=(0, 1)), x.square().sum(dim=(0, 1))])
        count = sums[0].clamp(min=1)
        mean = sums[1] / count
        spread = (sums[2] / count - mean.square()).clamp(min=0).sqrt()
        self.get_buffer("mean").copy_(mean)
        self.get_buffer("spread").copy_(torch.where(spread > _TINY, spread, 1.0))

    def standardised(self, values: Tensor, seen: Tensor) -> dict[str, Standardised]:
        """Cells (B, T, D) by modality, on one scale."""
        scaled = ((values - self.get_buffer("mean")) / self.get_buffer("spread")).clamp(-_LIMIT, _LIMIT)
        scaled = torch.where(seen, scaled, torch.zeros_like(scaled))
        sizes = list(self.widths.values())
        parts = zip(self.widths, torch.split(scaled, sizes, dim=2), torch.split(seen, sizes, dim=2), strict=True)
        return {name: Standardised(part, cells) for name, part, cells in parts}

    def features(self, given: Mapping[str, Standardised]) -> dict[str, Tensor]:
        """Vector (B, 2 H) of each modality."""
        return {name: tower.pool(tower.states(given[name])) for name, tower in self._each()}

    def forward(self, x: Tensor) -> Tensor:
        """Vectors (B, K) of matrices (B, 1, T, D) whose unseen cells are NaN."""
        matrix = x.squeeze(1)
        seen = ~torch.isnan(matrix)
        given = self.standardised(torch.where(seen, matrix, torch.zeros_like(matrix)), seen)
        return torch.cat(list(self.features(given).values()), dim=1)

    def states(self, given: Mapping[str, Standardised], hidden: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """States (B, T, H) of each modality where some steps are hidden (bool (B, T))."""
        return {name: tower.states(given[name], hidden[name]).values for name, tower in self._each()}

    def _each(self) -> list[tuple[str, StepTower]]:
        return [(name, tower) for name, tower in self.towers.items() if isinstance(tower, StepTower)]
