"""Two layers with a rectifier between them, as transformers have them, a few groups of samples at a time.

Groups have weights of their own. Each goes through both layers, and back, on its own: what lies between the layers is
four times as wide as the rest and stays in the cache so, where one product for all groups would write it to memory and
read it again for the offset, the rectifier and the second layer.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["two_layers"]

Weights = tuple[Tensor, Tensor]


def two_layers(x: Tensor, first: Weights, second: Weights) -> Tensor:
    """Second layer of what the rectifier leaves of the first.

    Parameters
    ----------
    x : tensor (G, R, D)
        R rows of G groups.
    first : tensors (G, H, D) and (G, H)
        Weights and offsets of the first layers.
    second : tensors (G, F, H) and (G, F)
        The same of the second ones.

    Returns
    -------
    found : tensor (G, R, F)

    Examples
    --------
    >>> ones = torch.ones(1, 1, 1)
    >>> two_layers(torch.tensor([[[-3.0], [2.0]]]), (ones, ones[0]), (ones, ones[0])).flatten().tolist()
    [1.0, 4.0]
    """
    found: Tensor = _TwoLayers.apply(x, *first, *second)  # type: ignore[no-untyped-call]
    return found


class _TwoLayers(torch.autograd.Function):
    """Keeps what lies between the layers for the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, first: Tensor, offset: Tensor, second: Tensor, added: Tensor) -> Tensor:
        hidden = x.new_empty(*x.shape[:2], first.shape[1])
        found = x.new_empty(*x.shape[:2], second.shape[1])
        for group, rows in enumerate(x):
            torch.addmm(offset[group], rows, first[group].t(), out=hidden[group]).relu_()
            torch.addmm(added[group], hidden[group], second[group].t(), out=found[group])
        ctx.save_for_backward(x, first, second, hidden)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor, ...]:
        x, first, second, hidden = ctx.saved_tensors
        of_x, of_first, of_second = torch.empty_like(x), torch.empty_like(first), torch.empty_like(second)
        of_offset = x.new_empty(len(x), first.shape[1])
        for group, rows in enumerate(hidden):
            torch.mm(given[group].t(), rows, out=of_second[group])
            of_hidden = torch.ops.aten.threshold_backward(given[group] @ second[group], rows, 0)
            torch.sum(of_hidden, dim=0, out=of_offset[group])
            torch.mm(of_hidden.t(), x[group], out=of_first[group])
            torch.mm(of_hidden, first[group], out=of_x[group])
        return of_x, of_first, of_offset, of_second, given.sum(dim=1)
