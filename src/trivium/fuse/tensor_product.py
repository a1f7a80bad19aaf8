"""The first layer on an outer product, piece by piece, so that the product never stands in memory as a whole.

Of 32 samples with 33, 129 and 33 numbers the product has 4.5 million cells, which dropout, the layer and their backward
pass would each write and read again. A piece that stays in the cache goes through all of them at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from trivium.fuse.dropout import drawn, dropout
from trivium.fuse.steps import is_eager

__all__ = ["linear_of_product"]

_PIECE = 1 << 17  # cells that stay in the cache of one core


def linear_of_product(first: Tensor, rest: Tensor, weight: Tensor, bias: Tensor, rate: float) -> Tensor:
    """Linear layer (B, F) on the outer product of two vectors per sample, after dropout of the product's cells.

    Parameters
    ----------
    first, rest : tensor (B, N), tensor (B, M)
        The vectors.
    weight, bias : tensor (F, N M), tensor (F,)
        Of the layer; cell i M + j of the product is ``first[:, i] * rest[:, j]``.
    rate : float
        Share of cells that is dropped.

    Examples
    --------
    >>> first, rest = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 5.0]])
    >>> linear_of_product(first, rest, torch.eye(4), torch.zeros(4), 0.0).tolist()
    [[3.0, 5.0, 6.0, 10.0]]
    """
    if not is_eager(first):
        product = (first.unsqueeze(2) * rest.unsqueeze(1)).flatten(1)
        return F.linear(dropout(product, rate), weight, bias)
    found: Tensor = _LinearOfProduct.apply(first, rest, weight, rate)  # type: ignore[no-untyped-call]
    return found + bias


def _pieces(rows: int, count: int, width: int) -> Iterator[slice]:
    """Numbers of the first vector that are worked on together."""
    size = max(_PIECE // max(rows * width, 1), 1)
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


class _LinearOfProduct(torch.autograd.Function):
    """Without the bias."""

    @staticmethod
    def forward(ctx: Any, first: Tensor, rest: Tensor, weight: Tensor, rate: float) -> Tensor:
        by_piece = weight.view(len(weight), first.shape[1], rest.shape[1])
        found, left, makeup = first.new_zeros(len(first), len(weight)), [], 1.0
        for piece in _pieces(len(first), first.shape[1], rest.shape[1]):
            factor, cells = _split(first[:, piece], rest)
            if rate:
                stays, makeup = drawn(cells, rate)
                left.append(stays)
                cells = cells * stays
            found.addcmul_(cells.flatten(1) @ by_piece[:, piece].flatten(1).t(), factor)
        ctx.save_for_backward(first, rest, weight, *left)
        ctx.makeup = makeup
        return found.mul_(makeup)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        first, rest, weight, *left = ctx.saved_tensors
        shape, given = (len(weight), first.shape[1], rest.shape[1]), given * ctx.makeup
        by_piece, of_weight = weight.view(shape), torch.empty_like(weight).view(shape)
        of_first, of_rest = torch.empty_like(first), torch.zeros_like(rest)
        for number, piece in enumerate(_pieces(len(first), first.shape[1], rest.shape[1])):
            factor, cells = _split(first[:, piece], rest)
            of_cells = (given @ by_piece[:, piece].flatten(1)).view_as(cells)
            if left:
                cells = cells * left[number]
                of_cells *= left[number]
            torch.mm((given * factor).t(), cells.flatten(1), out=of_weight[:, piece].flatten(1))
            of_first[:, piece] = torch.bmm(of_cells, rest.unsqueeze(2)).squeeze(2)
            of_rest.unsqueeze(1).baddbmm_(first[:, piece].unsqueeze(1), of_cells)
        return of_first, of_rest, of_weight.view_as(weight), None


def _split(part: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
    """A piece of the product as a factor (B, 1) and cells (B, n, M); those of a single number need no product."""
    if part.shape[1] == 1:
        return part, rest.unsqueeze(1)
    return torch.ones_like(part[:, :1]), part.unsqueeze(2) * rest.unsqueeze(1)
