"""Attention of one sequence to another, as the transformer networks of this part use it.

Vaswani et al. (2017), Attention is all you need, arXiv 1706.03762. Weights of short sequences are kept for the backward
pass, which is written by hand, for columns before steps, where products with few columns are quick. Those of long ones
are not kept: without dropout ``torch.nn.functional.scaled_dot_product_attention`` never builds them, with dropout they
are computed a second time.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from trivium.errors import SpecificationError
from trivium.fuse.dropout import dropout, survivors
from trivium.fuse.steps import is_eager

__all__ = ["Attention", "sinusoids", "visible_steps"]

_SHORT = 128 * 128  # pairs of steps


class Attention(nn.Module):
    """Multi-head attention.

    Parameters
    ----------
    size : int
        Columns of queries, keys and values.
    heads : int
        Must divide `size`.
    dropout : float
        On the weights.

    Raises
    ------
    SpecificationError
        `heads` does not divide `size`.

    Examples
    --------
    >>> Attention(8, 2, 0.0)(torch.zeros(3, 5, 8), torch.zeros(3, 7, 8)).shape
    torch.Size([3, 5, 8])
    """

    def __init__(self, size: int, heads: int, dropout: float) -> None:
        super().__init__()
        if heads < 1 or size % heads:
            raise SpecificationError(f"{heads} heads do not divide {size} columns", remedy="choose a divisor")
        self.heads, self.dropout = heads, dropout
        self.into = nn.Linear(size, 3 * size)
        self.out = nn.Linear(size, size)
        nn.init.xavier_uniform_(self.into.weight)
        nn.init.xavier_uniform_(self.out.weight)
        nn.init.zeros_(self.into.bias)
        nn.init.zeros_(self.out.bias)

    def extra_repr(self) -> str:
        """What the layers do not show."""
        return f"heads={self.heads}, dropout={self.dropout}"

    def forward(self, x: Tensor, source: Tensor, bias: Tensor | None = None) -> Tensor:
        """What queries `x` (B, T, D) take from `source` (B, S, D); `bias` (B, 1, T, S) is added to the scores."""
        size = x.shape[2]
        weight, offset = self.into.weight, self.into.bias
        query = self._by_head(F.linear(x, weight[:size], offset[:size]))
        key, value = F.linear(source, weight[size:], offset[size:]).chunk(2, dim=2)
        parts = (query, self._by_head(key), self._by_head(value))
        rate = self.dropout if self.training else 0.0
        if x.shape[1] * source.shape[1] <= _SHORT:
            taken = _short(*parts, bias, rate) if is_eager(x) else _weighted(*parts, bias, rate)
        elif rate > 0:
            taken = checkpoint(_weighted, *parts, bias, rate, use_reentrant=False)
        else:
            taken = F.scaled_dot_product_attention(*parts, attn_mask=bias)
        return F.linear(taken.transpose(1, 2).flatten(2), self.out.weight, self.out.bias)

    def _by_head(self, x: Tensor) -> Tensor:
        rows, steps, size = x.shape
        return x.reshape(rows, steps, self.heads, size // self.heads).transpose(1, 2)


def _weighted(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, rate: float) -> Tensor:
    """Attention by its formula, of (B, heads, T, D / heads)."""
    scores = (query * query.shape[3] ** -0.5) @ key.transpose(2, 3)
    if bias is not None:
        scores = scores + bias
    return dropout(scores.softmax(dim=3), rate) @ value


def _short(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, rate: float) -> Tensor:
    """The same with columns before steps: products with few columns are several times quicker so."""
    turned = [part.transpose(2, 3).flatten(0, 1).contiguous() for part in (query, key, value)]
    taken: Tensor = _Short.apply(*turned, bias, rate)  # type: ignore[no-untyped-call]
    rows, heads, steps, size = query.shape
    return taken.view(rows, heads, size, steps).transpose(2, 3)


class _Short(torch.autograd.Function):
    """Attention of queries, keys and values (B heads, D / heads, steps)."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, rate: float) -> Tensor:
        scaled = query * query.shape[1] ** -0.5
        scores = scaled.transpose(1, 2) @ key
        if bias is not None:
            scores.unflatten(0, (len(bias), -1)).add_(bias)
        weights = torch.softmax(scores, dim=2)
        stays = [survivors(weights, rate)] if rate else []
        ctx.save_for_backward(scaled, key, value, weights, *stays)
        return value @ (weights * stays[0] if stays else weights).transpose(1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        scaled, key, value, weights, *stays = ctx.saved_tensors
        given = given.contiguous()
        of_weights = given.transpose(1, 2) @ value
        if stays:
            of_weights *= stays[0]
        of_value = given @ (weights * stays[0] if stays else weights)
        of_scores = torch._softmax_backward_data(of_weights, weights, 2, weights.dtype)
        of_query = (key @ of_scores.transpose(1, 2)).mul_(key.shape[1] ** -0.5)
        return of_query, scaled @ of_scores, of_value, None, None


def visible_steps(length: Tensor, steps: int, source_length: Tensor, source_steps: int, *, future: bool) -> Tensor:
    """Scores to add, (B, 1, T, S): 0 where a step of one sequence may look at a step of another, else minus infinity.

    The first step of the other sequence is always visible, so that no step looks at nothing.

    Parameters
    ----------
    length, source_length : int64 tensor (B,)
        Seen steps of both; they come first.
    steps, source_steps : int
        T and S.
    future : bool
        Whether steps that come later may be seen. Where not, step i sees steps up to i and as many more as the two
        lengths differ by, as the multimodal transformer has it.

    Examples
    --------
    >>> visible_steps(torch.tensor([2]), 2, torch.tensor([3]), 4, future=False)[0, 0].tolist()
    [[0.0, 0.0, -inf, -inf], [0.0, 0.0, 0.0, -inf]]
    """
    place = torch.arange(source_steps, device=length.device)
    visible = (place < source_length.unsqueeze(1)).unsqueeze(1)
    if not future:
        reach = torch.arange(steps, device=length.device) + (source_length - length).abs().unsqueeze(1)
        visible = visible & (place <= reach.unsqueeze(2))
    else:
        visible = visible.expand(-1, steps, -1)
    hidden = ~(visible | (place == 0))
    return torch.zeros(hidden.shape, device=length.device).masked_fill(hidden, -math.inf).unsqueeze(1)


def sinusoids(steps: int, size: int) -> Tensor:
    """Positions 1 ... T as sines and cosines, (T, D): sines in the first half of the columns, cosines in the second.

    Parameters
    ----------
    steps, size : int
        T and D; the last column of an odd D is zero.

    Examples
    --------
    >>> sinusoids(2, 4).round(decimals=2).tolist()
    [[0.8399999737739563, 0.0, 0.5400000214576721, 1.0], [0.9100000262260437, 0.0, -0.41999998688697815, 1.0]]
    """
    half = size // 2
    rates = torch.exp(torch.arange(half) * (-math.log(10_000) / max(half - 1, 1)))
    angles = torch.arange(1, steps + 1).unsqueeze(1) * rates
    return F.pad(torch.cat([angles.sin(), angles.cos()], dim=1), (0, size - 2 * half))
