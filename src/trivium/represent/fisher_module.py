"""Fisher vectors as a torch module, so that they go into one ONNX graph with what stands beside them.

Sums over frames are written as products of matrices, which takes a hundred times fewer cells than frames x Gaussians x
columns; that loses digits by cancellation, so the inside is computed in double precision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

__all__ = ["FisherModule", "MixtureModule"]

_TINY = 1e-12
_ABSENT = -1e30  # logarithm of the weight of a Gaussian that is not there


class MixtureModule(nn.Module):
    """Improved Fisher vector of the frames of one modality; see :func:`trivium.represent.fisher.fisher_vector`.

    Parameters
    ----------
    width : int
        Columns D.
    gaussians : int
        C; those that :meth:`learn` does not set leave zeros.
    limit : float
        Standardised cells lie within it.

    Examples
    --------
    >>> one = MixtureModule(1, 1, 5.0)
    >>> flat = np.ones((1, 1))
    >>> one.learn(np.zeros(1), np.ones(1), np.ones(1), flat, flat)
    >>> one(torch.tensor([[[3.0], [float("nan")]]])).mul(100).round().tolist()  # roots of 2 and 2.12 at the norm 1
    [[70.0, 72.0]]
    """

    def __init__(self, width: int, gaussians: int, limit: float) -> None:
        super().__init__()
        self.limit = limit
        self.centre: Tensor
        self.spread: Tensor
        self.log_weights: Tensor
        self.weight_factors: Tensor
        self.means: Tensor
        self.precisions: Tensor
        shapes: dict[str, tuple[int, ...]] = {"centre": (width,), "spread": (width,), "log_weights": (gaussians,)}
        shapes |= {"weight_factors": (gaussians,), "means": (gaussians, width), "precisions": (gaussians, width)}
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))
        self.spread.fill_(1)
        self.precisions.fill_(1)
        self.log_weights.fill_(_ABSENT)

    def learn(
        self,
        centre: NDArray[np.float64],
        spread: NDArray[np.float64],
        weights: NDArray[np.float64],
        means: NDArray[np.float64],
        deviations: NDArray[np.float64],
    ) -> None:
        """Take over a mixture of at most C Gaussians.

        Parameters
        ----------
        centre, spread : array of shape (D,)
            Of the frames' columns.
        weights : array of shape (c,)
            Of the Gaussians, whose means and deviations are those of standardised frames.
        means, deviations : array of shape (c, D)
            Covariances are diagonal.
        """
        there = len(weights)
        self.centre.copy_(torch.from_numpy(centre))
        self.spread.copy_(torch.from_numpy(spread))
        self.log_weights[:there] = torch.from_numpy(np.log(weights) - np.log(deviations).sum(axis=1))
        self.weight_factors[:there] = torch.from_numpy(1 / np.sqrt(weights))
        self.means[:there] = torch.from_numpy(means)
        self.precisions[:there] = torch.from_numpy(1 / deviations)

    def forward(self, x: Tensor) -> Tensor:
        """Vectors (B, 2 C D) of frames (B, T, D) whose unseen cells are NaN."""
        unseen = torch.isnan(x)
        there = (~unseen).to(torch.float64).amax(dim=2, keepdim=True)
        frames = ((x.to(torch.float64) - self.centre) / self.spread).clamp(-self.limit, self.limit)
        frames = torch.where(unseen, torch.zeros_like(frames), frames)
        squares, precise = frames.square(), self.precisions.square()
        apart = squares @ precise.T - 2 * (frames @ (self.means * precise).T) + (self.means.square() * precise).sum(1)
        shares = torch.softmax(self.log_weights - apart / 2, dim=2) * there
        total = shares.sum(dim=1).unsqueeze(2)
        turned = shares.transpose(1, 2)
        first, second = turned @ frames, turned @ squares
        by_mean = (first - self.means * total) * self.precisions
        by_deviation = (second - 2 * self.means * first + self.means.square() * total) * precise - total
        factors = self.weight_factors.unsqueeze(1)
        both = torch.cat([(by_mean * factors).flatten(1), (by_deviation * factors / np.sqrt(2)).flatten(1)], dim=1)
        mean = both / there.sum(dim=1).clamp(min=1)
        rooted = mean.sign() * mean.abs().sqrt()
        norm = rooted.square().sum(dim=1, keepdim=True).sqrt().clamp(min=_TINY)
        return (rooted / norm).to(x.dtype)


class FisherModule(nn.Module):
    """What :class:`trivium.represent.FisherVectors` computes of aligned steps, as a graph.

    Parameters
    ----------
    widths : mapping of str to int
        Columns of each modality, in order.
    mixed : sequence of str
        Modalities that have a mixture.
    gaussians : int
        C.
    limit : float
        As for :class:`MixtureModule`.

    Examples
    --------
    >>> module = FisherModule({"text": 3, "audio": 2}, ["audio"], 4, 5.0)
    >>> module(torch.zeros(2, 1, 7, 5)).shape, module.n_features
    (torch.Size([2, 16]), 16)
    """

    takes_holes = True

    def __init__(self, widths: Mapping[str, int], mixed: Sequence[str], gaussians: int, limit: float) -> None:
        super().__init__()
        self.widths = dict(widths)
        # no modality is called like an attribute of a module once it has a prefix
        self.mixtures = nn.ModuleDict(
            {f"of_{name}": MixtureModule(width, gaussians, limit) for name, width in widths.items() if name in mixed}
        )
        self.n_features = 2 * gaussians * sum(width for name, width in widths.items() if name in mixed)

    def mixture(self, modality: str) -> MixtureModule:
        """Mixture of a modality.

        Parameters
        ----------
        modality : str
            One that is mixed.
        """
        found = self.mixtures[f"of_{modality}"]
        assert isinstance(found, MixtureModule)
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Vectors (B, K) of matrices (B, 1, W, D)."""
        parts = torch.split(x.squeeze(1), list(self.widths.values()), dim=2)
        named = zip(self.widths, parts, strict=True)
        return torch.cat([self.mixture(name)(part) for name, part in named if f"of_{name}" in self.mixtures], dim=1)
