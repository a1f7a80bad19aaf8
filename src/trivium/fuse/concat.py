"""Concatenation, the simplest network with all modalities: pooled steps side by side, two layers on them.

Our choice, as the floor that every other network has to beat: mean and standard deviation of the seen steps of every
modality (what a logistic regression on pooled columns is given), normalised, one hidden layer. Any number of
modalities: more columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from trivium.errors import SpecificationError
from trivium.fuse.dropout import Dropout
from trivium.fuse.network import Network
from trivium.fuse.steps import Steps, mean_of_steps, spread_of_steps
from trivium.fuse.subnetworks import MaskedBatchNorm, MultiLayer, named_vectors

__all__ = ["Concat", "Pooling"]

Pooling = Literal["mean", "mean-std"]


class Concat(Network):
    """Pooled steps of all modalities through one hidden layer.

    Parameters
    ----------
    widths, outputs
        See :class:`~trivium.fuse.network.Network`.
    pooling : {"mean-std", "mean"}
        What is taken of the seen steps; an utterance-level vector has a standard deviation of zero.
    hidden : int
        Size of the hidden layer.
    dropout : float
        On the pooled columns and on the hidden layer.
    balanced : bool
        Bring the modalities to the same total variance, so that a few columns of one do not drown in the many of
        another; whoever has more columns than the mean is made smaller (our choice).

    Examples
    --------
    >>> network = Concat({"text": 300, "audio": 74})
    >>> values = {m: torch.zeros(2, 20, d) for m, d in network.widths.items()}
    >>> network(values, {m: torch.ones(2, 20, dtype=torch.bool) for m in values})["feature_text"].shape
    torch.Size([2, 600])
    """

    name: ClassVar[str] = "concat"

    def __init__(
        self,
        widths: Mapping[str, int],
        outputs: int = 1,
        *,
        pooling: Pooling = "mean-std",
        hidden: int = 128,
        dropout: float = 0.2,
        balanced: bool = False,
    ) -> None:
        super().__init__(widths, outputs)
        if pooling not in get_args(Pooling):
            raise SpecificationError(f"pooling cannot be {pooling!r}", remedy="choose from mean, mean-std")
        self.pooling, self.balanced = pooling, balanced
        mean = sum(self.widths.values()) / len(self.widths)
        self.scales = {name: (mean / width) ** 0.5 if balanced else 1.0 for name, width in self.widths.items()}
        times = 2 if pooling == "mean-std" else 1
        self.norms = nn.ModuleDict({name: MaskedBatchNorm(times * width) for name, width in self.widths.items()})
        self.dropout = Dropout(dropout)
        self.layers = MultiLayer(times * sum(self.widths.values()), hidden, outputs)

    def fuse(self, inputs: Mapping[str, Steps]) -> dict[str, Tensor]:
        """``prediction``, ``raw_...``, ``feature_...`` (the same: normalised pooled columns) and ``fused``."""
        vectors = {name: self._pooled(name, steps) * self.scales[name] for name, steps in inputs.items()}
        fused = self.dropout(self.layers.hidden(self.dropout(torch.cat(list(vectors.values()), dim=1))))
        return {"prediction": self.layers.last(fused), **named_vectors(vectors), "fused": fused}

    def extra_repr(self) -> str:
        """Sizes, pooling, and whether modalities are balanced."""
        return f"{super().extra_repr()}, pooling={self.pooling!r}, balanced={self.balanced}"

    def _pooled(self, name: str, steps: Steps) -> Tensor:
        parts = [mean_of_steps(steps)] + ([spread_of_steps(steps)] if self.pooling == "mean-std" else [])
        normed: Tensor = self.norms[name](torch.cat(parts, dim=1), steps.mask.any(dim=1))
        return normed
