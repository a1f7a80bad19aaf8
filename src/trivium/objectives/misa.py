"""What MISA asks of its invariant and specific features: likeness, difference, and that both explain the input.

Paper: Hazarika et al. (2020), MISA: Modality-Invariant and -Specific Representations for Multimodal Sentiment Analysis,
arXiv 2005.03545. Faithful: the central moment discrepancy of the invariant features (equation 7), the orthogonality of
invariant and specific features of one modality and of the specific features of two (equation 8), the squared error of
the reconstruction (equation 9). Different: any number of modalities; the likeness leaves out rows where a modality is
missing; the difference is the mean of the squared entries, as in the authors' code, where the paper writes the squared
Frobenius norm (``scale="sum"``), and as there no gradient flows through the length of a row (``detach=false`` lets it).
"""

from __future__ import annotations

from itertools import combinations
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from trivium.errors import SpecificationError
from trivium.objectives.distances import moment_distance
from trivium.objectives.pairs import PairObjective
from trivium.train import Objective, Outputs, TensorBatch, TrainingClock, require_weight

__all__ = ["CentralMoments", "Difference", "FeatureReconstruction", "SumOrMean"]

SumOrMean = Literal["mean", "sum"]
_LEAST_LENGTH = 1e-6  # of the authors' code


class CentralMoments(PairObjective):
    """Likeness: the central moments of the modalities' features are drawn together, averaged over the pairs.

    Parameters
    ----------
    pairs, layer, width, shuffled, weight
        See :class:`trivium.objectives.PairObjective`; features must lie in [0, 1], as MISA's invariant ones do behind
        their sigmoid, or `squash` puts them there.
    moments : int
        How many, the mean included.
    squash : bool
        Put the features through a sigmoid first.

    Examples
    --------
    >>> CentralMoments().layer
    'shared'
    """

    name: ClassVar[str] = "central_moments"

    def __init__(
        self,
        pairs: str = "",
        layer: str = "shared",
        width: int = 0,
        moments: int = 5,
        squash: bool = False,
        shuffled: bool = False,
        weight: float = 1.0,
    ) -> None:
        super().__init__(pairs, layer, width, shuffled, weight)
        if moments < 1:
            raise SpecificationError(f"moments cannot be {moments}", remedy="give 1 or more")
        self.moments, self.squash = moments, squash

    def loss(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> Tensor:
        """Mean over the pairs."""
        return super().loss(outputs, batch, clock) / len(self._pairs(outputs))

    def apart(self, x: Tensor, y: Tensor, pair: tuple[str, str]) -> Tensor:
        """Central moment discrepancy."""
        return (
            moment_distance(x.sigmoid(), y.sigmoid(), self.moments)
            if self.squash
            else moment_distance(x, y, self.moments)
        )


class Difference(Objective):
    """Difference: what a modality shares and what it keeps are orthogonal, and so is what two modalities keep.

    Features are centred over the batch and every row gets unit length. Reads the outputs ``shared_MODALITY`` and
    ``private_MODALITY``.

    Parameters
    ----------
    scale : {"mean", "sum"}
        Mean of the squared entries of each product of two feature matrices, or their sum.
    detach : bool
        Hold the length of every row fixed, so that no gradient flows through it; False: the gradient of the formula.
    weight : float
        Factor in the sum of losses.

    Examples
    --------
    >>> from trivium.train import TensorBatch, TrainingClock
    >>> x, y = torch.tensor([[1.0], [-1.0]]), torch.tensor([[1.0], [1.0]])
    >>> batch = TensorBatch(torch.arange(2), {}, {}, {})
    >>> Difference().loss({"shared_text": x, "private_text": x}, batch, TrainingClock(0, 0)).round(decimals=3).item()
    4.0
    """

    name: ClassVar[str] = "difference"

    def __init__(self, scale: SumOrMean = "mean", detach: bool = True, weight: float = 1.0) -> None:
        if scale not in get_args(SumOrMean):
            raise SpecificationError(f"scale cannot be {scale!r}", remedy="choose from mean, sum")
        self.scale, self.detach, self.weight = scale, detach, require_weight(self.name, weight)

    def loss(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> Tensor:
        """Sum over the modalities and over the pairs of modalities."""
        kept = {name.removeprefix("private_"): x for name, x in outputs.items() if name.startswith("private_")}
        if not kept or any(f"shared_{name}" not in outputs for name in kept):
            raise SpecificationError(
                "difference: the network does not give shared_MODALITY and private_MODALITY",
                remedy=f"it gives {', '.join(sorted(outputs))}",
            )
        terms = [self._overlap(x, outputs[f"shared_{name}"]) for name, x in kept.items()]
        terms += [self._overlap(x, y) for x, y in combinations(kept.values(), 2)]
        return torch.stack(terms).sum()

    def _overlap(self, x: Tensor, y: Tensor) -> Tensor:
        a, b = (self._of_unit_length(part - part.mean(dim=0)) for part in (x, y))
        squared = (a.T @ b).square()
        return squared.mean() if self.scale == "mean" else squared.sum()

    def _of_unit_length(self, rows: Tensor) -> Tensor:
        if not self.detach:
            return functional.normalize(rows, dim=1)
        lengths: Tensor = torch.linalg.vector_norm(rows.detach(), dim=1, keepdim=True)
        return rows / (lengths + _LEAST_LENGTH)


class FeatureReconstruction(Objective):
    """Reconstruction: a decoder gets each modality's features back from what is shared and what is kept.

    Reads the outputs ``reconstruction_MODALITY`` and ``raw_MODALITY`` (B, D); the mean over the modalities of the
    mean squared error. The features are not held fixed, as in the authors' code.

    Parameters
    ----------
    weight : float
        Factor in the sum of losses.

    Examples
    --------
    >>> from trivium.train import TensorBatch, TrainingClock
    >>> outputs = {"raw_text": torch.zeros(1, 2), "reconstruction_text": torch.ones(1, 2)}
    >>> batch = TensorBatch(torch.arange(1), {}, {}, {})
    >>> FeatureReconstruction().loss(outputs, batch, TrainingClock(0, 0)).round(decimals=3).item()
    1.0
    """

    name: ClassVar[str] = "feature_reconstruction"
    data_parallel: ClassVar[bool] = True

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = require_weight(self.name, weight)

    def loss(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> Tensor:
        """Mean over the modalities."""
        made = {n.removeprefix("reconstruction_"): x for n, x in outputs.items() if n.startswith("reconstruction_")}
        if not made or any(f"raw_{name}" not in outputs for name in made):
            raise SpecificationError(
                "feature_reconstruction: the network does not give reconstruction_MODALITY and raw_MODALITY",
                remedy=f"it gives {', '.join(sorted(outputs))}",
            )
        errors = [functional.mse_loss(x, outputs[f"raw_{name}"]) for name, x in made.items()]
        return torch.stack(errors).mean()
