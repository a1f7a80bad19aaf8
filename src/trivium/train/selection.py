"""What chooses the epoch that is kept, where it is not the validation loss: a score of all validation predictions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trivium.errors import DataError

__all__ = ["Selection"]


@dataclass(frozen=True)
class Selection:
    """A score of validation predictions, measured on all of them at once after every epoch.

    Parameters
    ----------
    name : str
        Such as ``weighted_f1``; ``valid_weighted_f1`` is its column in the loss curves.
    score : callable
        Of labels (N,) or (N, K) and outputs (N, K), float32 tensors on the CPU without missing labels; gives a number.
    label : str
        Key of the label in the batches.
    higher_is_better : bool
        Whether the highest score is kept, or the lowest.

    Examples
    --------
    >>> from trivium.train import TensorBatch
    >>> chosen = Selection("near", lambda y, p: float((y - p[:, 0]).abs().lt(1).float().mean()), "y")
    >>> batch = TensorBatch(torch.arange(2), {}, {}, {"y": torch.tensor([1.0, float("nan")])})
    >>> chosen.of([chosen.seen({"prediction": torch.tensor([[1.5], [9.0]])}, batch.labels)])
    1.0
    >>> chosen.cost({"valid_near": 1.0})
    -1.0
    """

    name: str
    score: Callable[[Tensor, Tensor], float]
    label: str
    higher_is_better: bool = True

    @property
    def column(self) -> str:
        """Of the loss curves."""
        return f"valid_{self.name}"

    def seen(self, outputs: Mapping[str, Tensor], labels: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Labels and predictions of one batch, on the CPU, without those whose label is missing."""
        label, output = labels[self.label].float().cpu(), outputs["prediction"].detach().float().cpu()
        known = ~torch.isnan(label.reshape(len(label), -1)).any(dim=1)
        return label[known], output[known]

    def of(self, batches: Sequence[tuple[Tensor, Tensor]]) -> float:
        """Score of all batches; NaN where it is not defined, such as a correlation of constant predictions."""
        labels, outputs = (torch.cat(parts) for parts in zip(*batches, strict=True))
        try:
            return float(self.score(labels, outputs))
        except DataError:
            return math.nan

    def cost(self, row: Mapping[str, float]) -> float:
        """A number of an epoch's row of the loss curves that is lower for a better epoch; infinite where NaN."""
        value = row.get(self.column, math.nan)
        if math.isnan(value):
            return math.inf
        return -value if self.higher_is_better else value
