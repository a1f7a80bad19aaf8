"""EF-LSTM, early fusion: all modalities side by side at every step, one LSTM over them.

Paper: Williams et al. (2018), Recognizing emotions in video using multimodal DNN feature fusion (Challenge-HML); as a
baseline of the field's tables Cambria et al. (2017), arXiv 1707.09538. Layers and MOSI hyper-parameters as in MMSA
2.2.1: normalised input, four LSTM layers of 128, two linear layers. Any number of modalities: more columns. They must
share their steps; an utterance-level vector stands at every step. Different: MMSA normalises every step number over all
its columns and samples, padding included, so that its network fits one length only; here every column is normalised
over the cells that were seen, and sequences have any length. The state after the last step that counts is used, not
that after the padding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trivium.fuse.dropout import Dropout
from trivium.fuse.network import Network
from trivium.fuse.recurrence import last_state
from trivium.fuse.steps import Steps, join_steps
from trivium.fuse.subnetworks import MaskedBatchNorm

__all__ = ["EFLSTM"]


class EFLSTM(Network):
    """One LSTM over the columns of all modalities.

    Parameters
    ----------
    widths, outputs
        See :class:`~trivium.fuse.network.Network`.
    hidden : int
        Size of the state and of the linear layer after it.
    layers : int
        Layers of the LSTM.
    dropout : float
        Between layers of the LSTM and around the linear layer.

    Examples
    --------
    >>> network = EFLSTM({"text": 300, "audio": 74}, hidden=16)
    >>> values = {m: torch.zeros(2, 20, d) for m, d in network.widths.items()}
    >>> outputs = network(values, {m: torch.ones(2, 20, dtype=torch.bool) for m in values})
    >>> {name: tuple(tensor.shape) for name, tensor in outputs.items()}
    {'prediction': (2, 1), 'fused': (2, 16)}
    """

    name: ClassVar[str] = "ef-lstm"
    aligned: ClassVar[bool] = True

    def __init__(
        self,
        widths: Mapping[str, int],
        outputs: int = 1,
        *,
        hidden: int = 128,
        layers: int = 4,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(widths, outputs)
        self.norms = nn.ModuleDict({name: MaskedBatchNorm(width) for name, width in self.widths.items()})
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(sum(self.widths.values()), hidden, layers, batch_first=True, dropout=between)
        self.dropout = Dropout(dropout)
        self.linear = nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, outputs)

    def fuse(self, inputs: Mapping[str, Steps]) -> dict[str, Tensor]:
        """``prediction`` and ``fused``; no modality has a vector of its own."""
        joined, mask = join_steps(inputs)
        columns = torch.cat([self._normed(name, steps) for name, steps in joined.items()], dim=2)
        fused = F.relu(self.linear(self.dropout(last_state(self.lstm, Steps(columns, mask)))))
        return {"prediction": self.last(self.dropout(fused)), "fused": fused}

    def _normed(self, name: str, steps: Steps) -> Tensor:
        cells: Tensor = self.norms[name](steps.values.flatten(0, 1), steps.mask.flatten())
        return cells.view_as(steps.values)
