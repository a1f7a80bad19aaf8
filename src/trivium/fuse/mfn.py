"""MFN, the memory fusion network: one LSTM per modality, attention over what their memories changed, a shared memory.

Paper: Zadeh et al. (2018), Memory fusion network for multi-view sequential learning, arXiv 1802.00927; layers and MOSI
hyper-parameters as in MMSA 2.2.1. Faithful: attention over the cells of two neighbouring steps, a candidate for the
memory, a gate that retains and a gate that updates, and an answer from all last states and the memory. Any number of
modalities: one LSTM more. They must share their steps; an utterance-level vector stands at every step. Different: the
memory is read after the last step that counts, not after the padding; the cells of a missing modality are zero. Same
numbers, other order: what does not depend on the memory is computed for all seen steps at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trivium.fuse.dropout import Dropout, survivors
from trivium.fuse.gated_memory import Gate, remember
from trivium.fuse.network import Network, Sizes, by_modality
from trivium.fuse.recurrence import StepRows, earlier_rows, long_short_term
from trivium.fuse.steps import Steps, is_eager, join_steps, last_step
from trivium.fuse.subnetworks import named_vectors

__all__ = ["MFN"]

_HIDDEN = {"text": 256, "audio": 32, "vision": 256}


class MFN(Network):
    """Memory fusion network.

    Parameters
    ----------
    widths, outputs
        See :class:`~trivium.fuse.network.Network`.
    hidden : int or mapping of str to int
        States of the LSTMs.
    memory : int
        Size of the shared memory.
    attention, candidate, retain, update : int
        Hidden layers of the attention, of the candidate, and of the two gates.
    attention_dropout, candidate_dropout, retain_dropout, update_dropout : float
        On those layers.
    fusion : int
        Hidden layer of the answer.
    fusion_dropout : float
        On it.

    Examples
    --------
    >>> network = MFN({"text": 300, "audio": 74}, hidden=16, memory=8)
    >>> values = {m: torch.zeros(2, 5, d) for m, d in network.widths.items()}
    >>> outputs = network(values, {m: torch.ones(2, 5, dtype=torch.bool) for m in values})
    >>> outputs["feature_text"].shape, outputs["fused"].shape
    (torch.Size([2, 16]), torch.Size([2, 40]))
    """

    name: ClassVar[str] = "mfn"
    aligned: ClassVar[bool] = True

    def __init__(
        self,
        widths: Mapping[str, int],
        outputs: int = 1,
        *,
        hidden: Sizes = _HIDDEN,
        memory: int = 400,
        attention: int = 32,
        candidate: int = 64,
        retain: int = 256,
        update: int = 32,
        attention_dropout: float = 0.2,
        candidate_dropout: float = 0.0,
        retain_dropout: float = 0.7,
        update_dropout: float = 0.5,
        fusion: int = 128,
        fusion_dropout: float = 0.0,
    ) -> None:
        super().__init__(widths, outputs)
        sizes = by_modality(hidden, _HIDDEN, self.modalities)
        states = sum(sizes.values())
        self.cells = nn.ModuleDict({name: nn.LSTMCell(width, sizes[name]) for name, width in self.widths.items()})
        self.attention = _TwoLayers(2 * states, attention, 2 * states, attention_dropout)
        self.candidate = _TwoLayers(2 * states, candidate, memory, candidate_dropout)
        self.retain = _TwoLayers(2 * states + memory, retain, memory, retain_dropout)
        self.update = _TwoLayers(2 * states + memory, update, memory, update_dropout)
        self.answer = _TwoLayers(states + memory, fusion, outputs, fusion_dropout)

    def fuse(self, inputs: Mapping[str, Steps]) -> dict[str, Tensor]:
        """``prediction``, ``raw_...``, ``feature_...`` (the same: last states) and ``fused``, states and memory."""
        joined, mask = join_steps(inputs)
        vectors, remembered = self._in_rows(joined, mask) if is_eager(mask) else self._in_steps(joined, mask)
        fused = torch.cat([*vectors.values(), remembered], dim=1)
        return {"prediction": self.answer(fused), **named_vectors(vectors), "fused": fused}

    def _in_rows(self, inputs: Mapping[str, Steps], mask: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Last states by modality, and what is remembered then; steps that nobody has are not computed."""
        rows = StepRows.of(mask)
        vectors, changes = {}, []
        for name, cell in self.cells.items():
            seen, weights = inputs[name].seen, list(cell.parameters())
            states, cells = long_short_term(rows.take(inputs[name].values), weights, rows.sizes)
            vectors[name] = states.index_select(0, rows.last) * seen
            changes.append(cells * seen[rows.sample])
        cells = torch.cat(changes, dim=1)
        candidates, retain, update = self._attend(torch.cat([earlier_rows(cells, rows.sizes), cells], dim=1))
        memory = remember(candidates, retain, update, rows.sizes)
        return vectors, memory.index_select(0, rows.last) * mask.any(dim=1, keepdim=True)

    def _in_steps(self, inputs: Mapping[str, Steps], mask: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """As :meth:`_in_rows`, in a graph whose shapes do not depend on what was seen."""
        length = mask.sum(dim=1)
        vectors, changes = {}, []
        for name, cell in self.cells.items():
            seen = inputs[name].seen
            hidden, memory = _run(cell, inputs[name].values)
            vectors[name] = last_step(hidden, length) * seen
            changes.append(memory * seen.unsqueeze(2))
        cells = torch.cat(changes, dim=2)
        window = torch.cat([F.pad(cells, (0, 0, 1, 0))[:, :-1], cells], dim=2)
        candidates, retain, update = self._attend(window)
        memory = cells.new_zeros(cells.shape[0], candidates.shape[2])
        after = []
        for step in range(cells.shape[1]):
            kept = retain.at(step, memory) * memory
            memory = kept + update.at(step, memory) * candidates[:, step]
            after.append(memory)
        return vectors, last_step(torch.stack(after, dim=1), length)

    def _attend(self, window: Tensor) -> tuple[Tensor, Gate, Gate]:
        """What the cells of two neighbouring steps say: a candidate for the memory, and both gates' share of it."""
        attended = self.attention(window).softmax(dim=-1) * window
        return self.candidate(attended).tanh(), self.retain.gate(attended), self.update.gate(attended)


class _TwoLayers(nn.Module):
    """Linear, ReLU, dropout, linear; the first layer can take its input in two parts, one of them known earlier."""

    def __init__(self, width: int, hidden: int, size: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Linear(width, hidden)
        self.dropout = Dropout(dropout)
        self.second = nn.Linear(hidden, size)

    def forward(self, x: Tensor) -> Tensor:
        return self.finish(self.first(x))

    def gate(self, x: Tensor) -> Gate:
        """The layers as a gate of the memory, of which `x` are the first columns of the input."""
        width = x.shape[-1]
        given = F.linear(x, self.first.weight[:, :width], self.first.bias)
        stays = survivors(given, self.dropout.p) if self.training and self.dropout.p > 0 else None
        return Gate(given, self.first.weight[:, width:], self.second.weight, self.second.bias, stays)

    def finish(self, hidden: Tensor) -> Tensor:
        """What follows the first layer."""
        return F.linear(self.dropout(F.relu(hidden)), self.second.weight, self.second.bias)


def _run(cell: nn.Module, values: Tensor) -> tuple[Tensor, Tensor]:
    """States and cells after every step, (B, T, H) each, of an LSTM cell; ``nn.LSTM`` shows only the last cells."""
    assert isinstance(cell, nn.LSTMCell)
    given = F.linear(values, cell.weight_ih, cell.bias_ih + cell.bias_hh).unbind(dim=1)
    hidden = memory = values.new_zeros(values.shape[0], cell.hidden_size)
    states, memories = [], []
    for part in given:
        enter, keep, new, leave = (part + F.linear(hidden, cell.weight_hh)).chunk(4, dim=1)
        memory = keep.sigmoid() * memory + enter.sigmoid() * new.tanh()
        hidden = leave.sigmoid() * memory.tanh()
        states.append(hidden)
        memories.append(memory)
    return torch.stack(states, dim=1), torch.stack(memories, dim=1)
