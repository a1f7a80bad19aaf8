"""Masked-step prediction: what stood at hidden steps, from the states that the steps around them give.

Sources: the regression of masked frames of speech, as in Mockingjay (Liu et al., 2020, arXiv 1910.12638), which takes
the absolute error of spectra; here the squared error of standardised columns of any kind, of the cells that were seen
(both our choice). The linear map from states to columns is trained with the network and left behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from trivium.errors import SpecificationError
from trivium.train import Objective, Outputs, TensorBatch, TrainingClock, require_weight

__all__ = ["HiddenSteps"]


class _Predictions(nn.Module):
    """Columns from states: outputs ``states_MODALITY`` to ``predicted_MODALITY``."""

    def __init__(self, widths: Mapping[str, tuple[int, int]]) -> None:
        super().__init__()
        self.maps = nn.ModuleDict({name: nn.Linear(states, columns) for name, (states, columns) in widths.items()})

    def forward(self, outputs: Outputs) -> dict[str, Tensor]:
        return {f"predicted_{name}": linear(outputs[f"states_{name}"]) for name, linear in self.maps.items()}


class HiddenSteps(Objective):
    """Mean squared error of the hidden cells, averaged over the modalities that have any in the batch.

    Reads ``states_MODALITY`` (B, T, H), ``target_MODALITY`` (B, T, D) and ``hidden_MODALITY`` (bool (B, T, D)) of
    :class:`trivium.represent.ShownSteps`. 1 is the error of always answering the training mean, where columns are
    standardised. A mean over cells, not over samples, so training in several processes is refused.

    Parameters
    ----------
    weight : float
        Factor in the sum of losses.

    Examples
    --------
    >>> batch = TensorBatch(torch.arange(1), {}, {}, {})
    >>> outputs = {"target_audio": torch.tensor([[[1.0], [3.0]]]), "hidden_audio": torch.tensor([[[False], [True]]])}
    >>> outputs["predicted_audio"] = torch.ones(1, 2, 1)
    >>> HiddenSteps().loss(outputs, batch, TrainingClock(0, 0)).item()
    4.0
    """

    name: ClassVar[str] = "hidden_steps"

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = require_weight(self.name, weight)

    def heads(self, outputs: Outputs) -> nn.Module | None:
        """A linear map for each modality, from states to columns."""
        names = [name.removeprefix("states_") for name in outputs if name.startswith("states_")]
        if not names:
            raise SpecificationError(
                "hidden_steps: the network hides no steps", remedy="use it with trivium.represent.MaskedSteps"
            )
        widths = {name: (outputs[f"states_{name}"].shape[-1], outputs[f"target_{name}"].shape[-1]) for name in names}
        return _Predictions(widths)

    def loss(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> Tensor:
        """Mean over the modalities of the mean over their hidden cells; 0 where nothing is hidden."""
        terms, there = [], []
        for name in (key.removeprefix("predicted_") for key in outputs if key.startswith("predicted_")):
            hidden = outputs[f"hidden_{name}"]
            error = (outputs[f"predicted_{name}"] - outputs[f"target_{name}"]).square() * hidden
            terms.append(error.sum() / hidden.sum().clamp(min=1))
            there.append(hidden.any())
        return torch.stack(terms).sum() / torch.stack(there).sum().clamp(min=1)
