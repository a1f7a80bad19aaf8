"""Recurrent networks over the steps that were seen and no others, with a backward pass that waits for no step.

Seen steps of a batch stand one below the other: the first of every sample, then the second of those that have one, and
so on, longest sample first. A recurrence then works on as many rows as there are samples left, and everything that does
not recur is one matrix product over all rows: into the gates before it, and onto the weights after it. Steps of a
padded batch that nobody fills cost nothing. Where all are filled, torch's own is quicker, unless its input is wide and
needs no gradient, which it takes nevertheless.

Hochreiter & Schmidhuber (1997), Long short-term memory; same formulas and order of gates as ``torch.nn.LSTM``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from trivium.fuse.dropout import dropout
from trivium.fuse.steps import Steps, compact, is_eager, last_step

__all__ = ["StepRows", "earlier_rows", "last_state", "long_short_term", "spans"]

_SMALL = 8192  # cells of the gates of one step, below which a loop in Python costs more than it saves
_WIDE = 1 << 23  # products a step of a batch from columns to gates, above which it saves more than it costs


class StepRows(NamedTuple):
    """Where the R seen steps of a batch stand when they are put one below the other.

    A sample without any step has one row, so that every sample has a first.

    Parameters
    ----------
    place : int64 tensor (R,)
        Which of the B times T steps of the batch a row is.
    sizes : list of int
        Samples that have a first step, a second, ...
    sample : int64 tensor (R,)
        Whose step a row is.
    last : int64 tensor (B,)
        Row of every sample's last step.
    """

    place: Tensor
    sizes: list[int]
    sample: Tensor
    last: Tensor

    @classmethod
    def of(cls, mask: Tensor) -> StepRows:
        """Rows of a mask (B, T) with gaps and padding anywhere.

        Parameters
        ----------
        mask : bool tensor (B, T)
            Seen steps.

        Examples
        --------
        >>> rows = StepRows.of(torch.tensor([[False, True, False], [True, False, True]]))
        >>> rows.sizes, rows.place.tolist(), rows.last.tolist()
        ([2, 1], [3, 1, 5], [1, 2])
        """
        length = mask.sum(dim=1).clamp(min=1)
        order = torch.argsort(length, descending=True, stable=True)
        longest = int(length.max())
        place = torch.argsort((~mask).to(torch.int8), dim=1, stable=True)[order, :longest].t()
        filled = torch.arange(longest).unsqueeze(1) < length[order]
        sizes = filled.sum(dim=1)
        rank = torch.empty_like(order).scatter_(0, order, torch.arange(len(order)))
        sample = order.expand(longest, -1)[filled]
        before = F.pad(sizes.cumsum(dim=0), (1, 0))
        return cls(place[filled] + sample * mask.shape[1], sizes.tolist(), sample, before[length - 1] + rank)

    def take(self, values: Tensor) -> Tensor:
        """Rows (R, D) of values (B, T, D).

        Parameters
        ----------
        values : tensor (B, T, D)
            Of the batch that the mask belongs to.
        """
        return values.flatten(0, 1).index_select(0, self.place)


def last_state(lstm: nn.LSTM, steps: Steps) -> Tensor:
    """State (B, H) of an LSTM after the last seen step of every sample.

    Parameters
    ----------
    lstm : torch.nn.LSTM
        One direction, ``batch_first``.
    steps : Steps
        With gaps and padding anywhere; a sample without steps gets zeros.

    Examples
    --------
    >>> from trivium.fuse.steps import prepare_steps
    >>> steps = prepare_steps(torch.ones(4, 3, 2), torch.ones(4, 3, dtype=torch.bool))
    >>> last_state(nn.LSTM(2, 5, batch_first=True), steps).shape
    torch.Size([4, 5])
    """
    values, mask = steps
    if not is_eager(values) or _is_torch_quicker(lstm, steps):
        values, mask = compact(steps)
        hidden, _ = lstm(values)
        return last_step(hidden, mask.sum(dim=1))
    rows = StepRows.of(mask)
    x = rows.take(values)
    for layer, weights in enumerate(lstm.all_weights):
        x = dropout(x, lstm.dropout if layer else 0.0, lstm.training)
        x, _ = long_short_term(x, weights, rows.sizes)
    return torch.where(mask.any(dim=1, keepdim=True), x.index_select(0, rows.last), x.new_zeros(()))


def _is_torch_quicker(lstm: nn.LSTM, steps: Steps) -> bool:
    gates = len(steps.values) * 4 * lstm.hidden_size
    # torch's own takes a gradient of its input too, which columns of data have no use for
    wide = not steps.values.requires_grad and gates * steps.values.shape[2] >= _WIDE
    return gates < _SMALL or (not wide and bool(steps.mask.all()))


def long_short_term(x: Tensor, weights: Sequence[Tensor], sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """States and cells (R, H) of an LSTM after every row.

    Parameters
    ----------
    x : tensor (R, D)
        Rows as :class:`StepRows` lines them up.
    weights : sequence of tensor
        Of the input (4 H, D), of the state (4 H, H), and both biases (4 H,), as ``torch.nn.LSTM`` keeps them.
    sizes : sequence of int
        Samples at every step.

    Examples
    --------
    >>> cell = nn.LSTMCell(2, 3)
    >>> weights = [cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh]
    >>> states, cells = long_short_term(torch.ones(3, 2), weights, [2, 1])
    >>> torch.allclose(states[:1], cell(torch.ones(1, 2))[0])
    True
    """
    from_input, from_state, *biases = weights
    bias = biases[0] + biases[1]
    states, cells = _LongShortTerm.apply(x, from_input, from_state, bias, list(sizes))  # type: ignore[no-untyped-call]
    return states, cells


def spans(sizes: Sequence[int]) -> list[slice]:
    """Rows of every step.

    Parameters
    ----------
    sizes : sequence of int
        Samples at every step.

    Examples
    --------
    >>> spans([2, 1])
    [slice(0, 2, None), slice(2, 3, None)]
    """
    return [slice(start, end) for start, end in pairwise(accumulate(sizes, initial=0))]


def earlier_rows(x: Tensor, sizes: Sequence[int]) -> Tensor:
    """For every row that of the step before it, (R, D); zero for first steps.

    Parameters
    ----------
    x : tensor (R, D)
        Rows.
    sizes : sequence of int
        Samples at every step.

    Examples
    --------
    >>> earlier_rows(torch.tensor([[1.0], [2.0], [3.0]]), [2, 1]).flatten().tolist()
    [0.0, 0.0, 1.0]
    """
    parts = zip(torch.split(x, list(sizes)), sizes[1:], strict=False)
    return torch.cat([x.new_zeros(sizes[0], x.shape[1]), *(part[:size] for part, size in parts)])


class _LongShortTerm(torch.autograd.Function):
    """LSTM over rows; autograd is told of matrices over all rows, never of a step."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, from_input: Tensor, from_state: Tensor, bias: Tensor, sizes: list[int]
    ) -> tuple[Tensor, Tensor]:
        size, recurrent = from_state.shape[1], from_state.t()
        gates = torch.addmm(bias, x, from_input.t())
        cells = gates.new_empty(len(gates), size)
        states, bent = torch.empty_like(cells), torch.empty_like(cells)
        enter, keep, new, leave = (torch.split(gate, sizes) for gate in gates.chunk(4, dim=1))
        enter_and_keep = torch.split(gates[:, : 2 * size], sizes)
        whole, state, cell, curve = (torch.split(part, sizes) for part in (gates, states, cells, bent))
        for step, count in enumerate(sizes):  # the views are cut beforehand: one by one they cost as much as the sums
            if step:
                whole[step].addmm_(state[step - 1][:count], recurrent)
            enter_and_keep[step].sigmoid_()
            new[step].tanh_()
            leave[step].sigmoid_()
            torch.mul(enter[step], new[step], out=cell[step])
            if step:
                cell[step].addcmul_(keep[step], cell[step - 1][:count])
            torch.mul(leave[step], torch.tanh(cell[step], out=curve[step]), out=state[step])
        ctx.save_for_backward(x, from_input, from_state, gates, states, cells, bent)
        ctx.sizes = sizes
        return states, cells

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_states: Tensor, of_cells: Tensor) -> tuple[Tensor | None, Tensor, Tensor, Tensor, None]:
        x, from_input, from_state, gates, states, cells, bent = ctx.saved_tensors
        sizes, parts = ctx.sizes, gates.unflatten(1, (4, -1))
        slopes, through = _slopes(parts, earlier_rows(cells, sizes), bent)
        found = torch.empty_like(parts)
        flat = found.flatten(1)
        state, cell = (torch.split(given.clone(), sizes) for given in (of_states, of_cells))
        gate, of_cell, of_state = (torch.split(part, sizes) for part in (flat, found[:, :3], found[:, 3]))
        cell_slope, state_slope = torch.split(slopes[:, :3], sizes), torch.split(slopes[:, 3], sizes)
        kept, opened = torch.split(parts[:, 1], sizes), torch.split(through, sizes)
        for step in reversed(range(len(sizes))):
            if step + 1 < len(sizes):
                later = sizes[step + 1]
                state[step][:later].addmm_(gate[step + 1], from_state)
                cell[step][:later].addcmul_(cell[step + 1], kept[step + 1])
            cell[step].addcmul_(state[step], opened[step])
            torch.mul(cell[step].unsqueeze(1), cell_slope[step], out=of_cell[step])
            torch.mul(state[step], state_slope[step], out=of_state[step])
        turned = flat.t()
        of_x = flat @ from_input if ctx.needs_input_grad[0] else None
        return of_x, turned @ x, turned @ earlier_rows(states, sizes), flat.sum(dim=0), None


def _slopes(gates: Tensor, before: Tensor, bent: Tensor) -> tuple[Tensor, Tensor]:
    """What a change of the gates' inputs does to the cell (the last one's: to the state), and a cell to the state."""
    enter, _, new, leave = gates.unbind(dim=1)
    slopes = gates - gates.square()  # of a sigmoid
    slopes[:, 0] *= new
    slopes[:, 1] *= before
    torch.mul(enter, 1 - new.square(), out=slopes[:, 2])
    slopes[:, 3] *= bent
    return slopes, leave * (1 - bent.square())
