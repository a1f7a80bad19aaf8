"""A memory with two gates that look at it, over rows of seen steps, as the memory fusion network has it.

Zadeh et al. (2018), arXiv 1802.00927: a gate that retains and a gate that updates, each two layers, of which the first
sees the memory. What does not depend on the memory is known for all rows; the gradient of every weight is one product.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from trivium.fuse.recurrence import earlier_rows, spans

__all__ = ["Gate", "remember"]


class Gate(NamedTuple):
    """Two layers, the first of which sees the memory beside something that is known for all steps.

    Parameters
    ----------
    given : tensor (R, H) or (B, T, H)
        What the first layer has of everything but the memory.
    of_memory : tensor (H, M)
        Its weights of the memory.
    weight, bias : tensor (M, H), tensor (M,)
        The second layer.
    stays : tensor, as `given`, optional
        What dropout multiplies the hidden layer with.
    """

    given: Tensor
    of_memory: Tensor
    weight: Tensor
    bias: Tensor
    stays: Tensor | None

    def at(self, step: int, memory: Tensor) -> Tensor:
        """Gate (B, M) at one step of (B, T, H), for the memory (B, M) before it.

        Parameters
        ----------
        step : int
            From 0.
        memory : tensor (B, M)
            Before the step.
        """
        hidden = F.relu(self.given[:, step] + F.linear(memory, self.of_memory))
        hidden = hidden if self.stays is None else hidden * self.stays[:, step]
        return F.linear(hidden, self.weight, self.bias).sigmoid()


def remember(candidates: Tensor, retain: Gate, update: Gate, sizes: Sequence[int]) -> Tensor:
    """Memory (R, M) after every row: what is retained of the one before, and what is taken of the candidate.

    Parameters
    ----------
    candidates : tensor (R, M)
        Rows as :class:`~trivium.fuse.recurrence.StepRows` lines them up.
    retain, update : Gate
        In rows.
    sizes : sequence of int
        Samples at every step.

    Examples
    --------
    >>> half = Gate(torch.zeros(2, 1), torch.zeros(1, 1), torch.zeros(1, 1), torch.zeros(1), None)
    >>> remember(torch.ones(2, 1), half, half, [1, 1]).flatten().tolist()
    [0.5, 0.75]
    """
    stays = None
    if retain.stays is not None or update.stays is not None:
        both = [torch.ones_like(gate.given) if gate.stays is None else gate.stays for gate in (retain, update)]
        stays = torch.cat(both, dim=1)
    found: Tensor = _GatedMemory.apply(  # type: ignore[no-untyped-call]
        candidates,
        torch.cat([retain.given, update.given], dim=1),
        torch.cat([retain.of_memory, update.of_memory]),
        *(retain.weight, retain.bias, update.weight, update.bias),
        stays,
        list(sizes),
    )
    return found


class _GatedMemory(torch.autograd.Function):
    """Both gates side by side."""

    @staticmethod
    def forward(
        ctx: Any,
        candidates: Tensor,
        given: Tensor,
        of_memory: Tensor,
        retaining: Tensor,
        retaining_bias: Tensor,
        updating: Tensor,
        updating_bias: Tensor,
        stays: Tensor | None,
        sizes: list[int],
    ) -> Tensor:
        hidden, split = given.clone(), retaining.shape[1]
        memories, retain, update = (torch.empty_like(candidates) for _ in range(3))
        before = 0
        for here in spans(sizes):
            part, same = hidden[here], slice(before, before + here.stop - here.start)
            if here.start:
                part.addmm_(memories[same], of_memory.t())
            part.relu_()
            if stays is not None:
                part *= stays[here]
            torch.addmm(retaining_bias, part[:, :split], retaining.t(), out=retain[here]).sigmoid_()
            torch.addmm(updating_bias, part[:, split:], updating.t(), out=update[here]).sigmoid_()
            torch.mul(update[here], candidates[here], out=memories[here])
            if here.start:
                memories[here].addcmul_(retain[here], memories[same])
            before = here.start
        kept = [] if stays is None else [stays]
        ctx.save_for_backward(candidates, of_memory, retaining, updating, hidden, retain, update, memories, *kept)
        ctx.sizes = sizes
        return memories

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_memories: Tensor) -> tuple[Tensor | None, ...]:
        candidates, of_memory, retaining, updating, hidden, retain, update, memories, *stays = ctx.saved_tensors
        before, split = earlier_rows(memories, ctx.sizes), retaining.shape[1]
        through = (hidden > 0).to(hidden.dtype)
        if stays:
            through *= stays[0]
        of_retain, of_update = (retain - retain.square()) * before, (update - update.square()) * candidates
        of_hidden, asked = torch.empty_like(hidden), of_memories.clone()
        for here, earlier in _backwards(ctx.sizes):
            of_retain[here] *= asked[here]
            of_update[here] *= asked[here]
            part = of_hidden[here]
            torch.mm(of_retain[here], retaining, out=part[:, :split])
            torch.mm(of_update[here], updating, out=part[:, split:])
            part *= through[here]
            if here.start:
                asked[earlier].addcmul_(asked[here], retain[here]).addmm_(part, of_memory)
        first, second = hidden[:, :split], hidden[:, split:]
        of_weights = (of_hidden.t() @ before, of_retain.t() @ first, of_retain.sum(dim=0))
        return asked * update, of_hidden, *of_weights, of_update.t() @ second, of_update.sum(dim=0), None, None


def _backwards(sizes: Sequence[int]) -> list[tuple[slice, slice]]:
    """Rows of every step from the last to the first, and those of the same samples one step before."""
    steps = spans(sizes)
    same = (slice(a.start, a.start + b.stop - b.start) for a, b in pairwise(steps))
    return list(zip(steps, [slice(0, 0), *same], strict=True))[::-1]
