"""Dropout of whole modalities and of steps in training, in front of any network.

The random drops that robustness to missing modalities is trained with (for one, MMIN, Zhao et al., 2021, and TFR-Net,
Yuan et al., 2021, train with missing inputs). Our choices: every modality of every sample is dropped by itself, a
sample that would lose all of them keeps one, and nothing is rescaled, because networks here read masks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trivium.errors import SpecificationError
from trivium.train import TensorBatch

__all__ = ["ModalityDropout"]


class ModalityDropout(nn.Module):
    """A network that, in training, sees a random part of its input; in evaluation mode it sees all.

    Parameters
    ----------
    network : module
        Takes a batch.
    modalities, steps : float
        Probability with which a modality of a sample, or a step of a modality, is dropped; from 0 up to, not including,
        1. What is dropped is zero and masked. A sample keeps one modality, and of all its steps one, in any case.

    Raises
    ------
    SpecificationError
        A rate is out of range.

    Examples
    --------
    >>> class Seen(nn.Module):
    ...     def forward(self, batch):
    ...         return {"seen": batch.mask["text"].any(dim=1) | batch.mask["audio"].any(dim=1)}
    >>> ones = {name: torch.ones(4, 3, 2) for name in ("text", "audio")}
    >>> batch = TensorBatch(torch.arange(4), ones, {name: torch.ones(4, 3, dtype=torch.bool) for name in ones}, {})
    >>> ModalityDropout(Seen(), modalities=0.99)(batch)["seen"].tolist()
    [True, True, True, True]
    """

    def __init__(self, network: nn.Module, modalities: float = 0.0, steps: float = 0.0) -> None:
        super().__init__()
        for name, rate in (("modalities", modalities), ("steps", steps)):
            if not 0 <= rate < 1:
                raise SpecificationError(f"{name} cannot be dropped at the rate {rate}", remedy="give 0 up to below 1")
        self.network, self.modalities, self.steps = network, modalities, steps

    def extra_repr(self) -> str:
        """What the layers do not show."""
        return f"modalities={self.modalities}, steps={self.steps}"

    def forward(self, batch: TensorBatch) -> dict[str, Tensor]:
        """Outputs of the network."""
        outputs: dict[str, Tensor] = self.network(self._dropped(batch) if self.training else batch)
        return outputs

    def _dropped(self, batch: TensorBatch) -> TensorBatch:
        names = list(batch.mask)
        kept = self._kept([batch.mask[name].reshape(len(batch), -1).any(dim=1) for name in names])
        draws = {}
        for name, whole in zip(names, kept, strict=True):
            mask = batch.mask[name]
            drawn = torch.rand(mask.shape[:2], device=mask.device)
            there = whole[:, None] & mask.reshape(*mask.shape[:2], -1).any(dim=2)
            draws[name] = drawn.masked_fill(~there, -1.0)
        highest = torch.cat(list(draws.values()), dim=1).max(dim=1).values  # the last step of a sample always stays
        limit = highest.clamp(max=self.steps)[:, None]
        masks, values = {}, {}
        for name, drawn in draws.items():
            mask, seen = batch.mask[name], (drawn >= limit) & (drawn >= 0)
            masks[name] = mask & (seen if mask.dim() == 2 else seen.unsqueeze(2))
            values[name] = batch.values[name] * seen.unsqueeze(2)
        return TensorBatch(batch.rows, {**batch.values, **values}, masks, batch.labels)

    def _kept(self, there: list[Tensor]) -> Tensor:
        """Which modalities (M, B) stay; of those that are there, the last one always does."""
        present = torch.stack(there)
        draws = torch.rand(present.shape, device=present.device).masked_fill(~present, -1.0)
        strongest = draws == draws.max(dim=0).values
        return (draws >= self.modalities) | strongest
