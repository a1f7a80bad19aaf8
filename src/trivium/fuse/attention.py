"""Attention of one sequence to another, as the transformer networks of this part use it.

Vaswani et al. (2017), Attention is all you need, arXiv 1706.03762. Weights of short sequences are kept for the backward
pass, which is written by hand, for columns before steps, where products with few columns are quick; some queries are
worked on together, and keys that none of them may look at are left out. Weights of long sequences are not kept: without
dropout ``torch.nn.functional.scaled_dot_product_attention`` never builds them, with dropout they are computed a second
time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from trivium.errors import SpecificationError
from trivium.fuse.dropout import drawn, dropout
from trivium.fuse.steps import is_eager, is_mixed

__all__ = ["Attention", "Glance", "attend", "attend_columns", "glances", "reach", "sinusoids", "visible_steps"]

_SHORT = 128 * 128  # pairs of steps
_TOGETHER = 24  # queries
_LANES = 8  # numbers of one instruction; a softmax over a multiple of it takes two thirds of the time


class Glance(NamedTuple):
    """Queries that are worked on together, and how far they look.

    Parameters
    ----------
    queries : slice
        Steps that look.
    keys : int
        Steps that one of them at least may look at; they come first, and a few hidden ones may follow.
    bias : tensor (B, 1, queries, keys), optional
        0 where a query may look, minus infinity elsewhere; None where nothing is hidden.
    """

    queries: slice
    keys: int
    bias: Tensor | None

    def bias_of(self, rows: slice, count: int) -> Tensor | None:
        """The bias of some of so many samples and heads."""
        if self.bias is None:
            return None
        heads = count // len(self.bias)
        return self.bias[rows.start // heads : rows.stop // heads]


def glances(bias: Tensor | None, steps: int, source_steps: int) -> list[Glance]:
    """Short sequences in pieces, so that what is hidden from all queries of a piece is not computed for them.

    Long sequences are not worked on in pieces: there are none of them.

    Parameters
    ----------
    bias : tensor (B, 1, T, S), optional
        0, or minus infinity where a step is hidden.
    steps, source_steps : int
        T and S.

    Examples
    --------
    >>> length = torch.tensor([32])
    >>> bias = visible_steps(length, 32, length, 32, future=False)
    >>> [(glance.queries, glance.keys) for glance in glances(bias, 32, 32)]
    [(slice(0, 24, None), 24), (slice(24, 32, None), 32)]
    """
    if steps * source_steps > _SHORT:
        return []
    if bias is None:
        return [Glance(slice(0, steps), source_steps, None)]
    place = torch.arange(1, source_steps + 1, device=bias.device)
    farthest = ((bias[:, 0] == 0).any(dim=0) * place).amax(dim=1)
    found = []
    for start in range(0, steps, _TOGETHER):
        queries = slice(start, min(start + _TOGETHER, steps))
        keys = -(-int(farthest[queries].max()) // _LANES) * _LANES
        own = F.pad(bias[:, :, queries, :keys], (0, max(keys - source_steps, 0)), value=-math.inf)
        found.append(Glance(queries, keys, own.contiguous() if own.any() else None))
    return found


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

    def forward(
        self, x: Tensor, source: Tensor, bias: Tensor | None = None, looks: Sequence[Glance] | None = None
    ) -> Tensor:
        """What queries `x` (B, T, D) take from `source` (B, S, D); `bias` (B, 1, T, S) hides steps.

        Where many layers share a bias, `looks` are the :func:`glances` that were made of it.
        """
        rate = self.dropout if self.training else 0.0
        query, key, value = self._parts(x, source)
        taken = attend(query, key, value, self.heads, rate, bias, looks)
        return F.linear(taken, self.out.weight, self.out.bias)

    def _parts(self, x: Tensor, source: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values."""
        if x is source:
            return self.into(x).chunk(3, dim=2)  # type: ignore[no-any-return]
        size, weight, offset = x.shape[2], self.into.weight, self.into.bias
        query = F.linear(x, weight[:size], offset[:size])
        return query, *F.linear(source, weight[size:], offset[size:]).chunk(2, dim=2)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    heads: int,
    rate: float | Sequence[float] = 0.0,
    bias: Tensor | None = None,
    looks: Sequence[Glance] | None = None,
) -> Tensor:
    """What queries (B, T, D) take from values (B, S, D) by their likeness with keys (B, S, D).

    Parameters
    ----------
    query, key, value : tensor
        Already mapped.
    heads : int
        Parts of the columns that look on their own.
    rate : float or sequence of float
        Dropout of the weights, of the batch or of equal parts of it that follow one another.
    bias : tensor (B, 1, T, S), optional
        0 where a query may look, minus infinity elsewhere.
    looks : sequence of Glance, optional
        What :func:`glances` made of the bias, where it is shared.

    Examples
    --------
    >>> attend(torch.zeros(1, 2, 4), torch.zeros(1, 3, 4), torch.ones(1, 3, 4), 2).flatten().tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    rates = list(rate) if isinstance(rate, Sequence) else [float(rate)]
    short = query.shape[1] * key.shape[1] <= _SHORT and is_eager(query) and not is_mixed()
    if len(rates) > 1 and not short:
        parts = zip(*(x.chunk(len(rates)) for x in (query, key, value)), rates, strict=True)
        hidden = [None] * len(rates) if bias is None else bias.chunk(len(rates))
        return torch.cat([attend(q, k, v, heads, own, h) for (q, k, v, own), h in zip(parts, hidden, strict=True)])
    q, k, v = (x.view(*x.shape[:2], heads, -1).transpose(1, 2) for x in (query, key, value))
    if query.shape[1] * key.shape[1] > _SHORT:
        taken = _long(q, k, v, bias, rates[0])
    elif short:
        taken = _short(q, k, v, looks or glances(bias, query.shape[1], key.shape[1]), rates)
    else:
        taken = _weighted(q, k, v, bias, rates[0])
    return taken.transpose(1, 2).flatten(2)


def _weighted(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, rate: float) -> Tensor:
    """Attention by its formula, of (B, heads, T, D / heads)."""
    scores = (query * query.shape[3] ** -0.5) @ key.transpose(2, 3)
    if bias is not None:
        scores = scores + bias
    return dropout(scores.softmax(dim=3), rate) @ value


def _long(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, rate: float) -> Tensor:
    """The same, of which no weights are kept."""
    if rate > 0:
        return checkpoint(_weighted, query, key, value, bias, rate, use_reentrant=False)  # type: ignore[no-any-return]
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias)


def _short(query: Tensor, key: Tensor, value: Tensor, looks: Sequence[Glance], rates: Sequence[float]) -> Tensor:
    """The same of short sequences."""
    missing = reach(looks) - key.shape[2]
    pair = F.pad(torch.stack([key, value]).transpose(3, 4), (0, missing)).flatten(1, 2)
    taken = attend_columns(query.transpose(2, 3).flatten(0, 1), pair, looks, rates)
    return taken.view(query.shape[0], query.shape[1], query.shape[3], -1).transpose(2, 3)


def reach(looks: Sequence[Glance]) -> int:
    """Keys that any query looks at, hidden ones at their end included.

    Parameters
    ----------
    looks : sequence of Glance
        One at least.

    Examples
    --------
    >>> reach(glances(None, 3, 5))
    5
    """
    return max(look.keys for look in looks)


def attend_columns(query: Tensor, pair: Tensor, looks: Sequence[Glance], rates: Sequence[float] = (0.0,)) -> Tensor:
    """:func:`attend` of short sequences with columns before steps: products with few columns are quicker so.

    Parameters
    ----------
    query : tensor (N, D, T)
        N samples and heads, D columns each.
    pair : tensor (2, N, D, S)
        Keys and values, of as many steps as :func:`reach` tells.
    looks : sequence of Glance
        What queries look at.
    rates : sequence of float
        Dropout of the weights, of equal parts of the samples.

    Returns
    -------
    taken : tensor (N, D, T)

    Examples
    --------
    >>> attend_columns(torch.zeros(1, 4, 2), torch.ones(2, 1, 4, 3), glances(None, 2, 3)).flatten().tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    taken: Tensor = _Short.apply(query, pair, looks, rates)  # type: ignore[no-untyped-call]
    return taken


class _Short(torch.autograd.Function):
    """Attention with columns before steps.

    The weights of a query are E / Z, where Z sums E over keys. E are powers of two, which take half the time of those
    of e. With P what dropout leaves of E, c what makes up for the rest and G the gradient of P c / Z, that of the
    scores is P G c / Z - E d / Z, where d is the sum of G P c / Z over keys: gradient times output of a query. With
    dropout P - E / 2 is kept, whose sign tells what was left: one tensor of all pairs of steps waits for the backward
    pass, not two.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, pair: Tensor, looks: Sequence[Glance], rates: Sequence[float]) -> Tensor:
        scaled, (key, value) = query * (query.shape[1] ** -0.5 / math.log(2)), pair
        share, found = query.new_empty(len(query), 1, query.shape[2]), torch.empty_like(query)
        kept, makeup = [], []
        for rows, rate in _parts(len(query), rates):
            for look in looks:
                seen = slice(0, look.keys)
                powers = _powers(scaled[rows, :, look.queries], key[rows, :, seen], look.bias_of(rows, len(query)))
                own = torch.sum(powers, dim=2).reciprocal_().unsqueeze(1)
                share[rows, :, look.queries] = own
                left, factor = powers, 1.0
                if rate:
                    stays, factor = drawn(powers, rate)
                    left = stays.mul_(powers)
                found[rows, :, look.queries] = (value[rows, :, seen] @ left.transpose(1, 2)).mul_(own.mul_(factor))
                kept.append(left.sub_(powers, alpha=0.5) if rate else powers)
            makeup.append(factor)
        ctx.save_for_backward(scaled, pair, found, share, *kept)
        ctx.looks, ctx.rates, ctx.makeup = looks, rates, makeup
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor, Tensor, None, None]:
        scaled, pair, found, share, *kept = ctx.saved_tensors
        (key, value), of_query, of_pair = pair, torch.empty_like(scaled), torch.zeros_like(pair)
        left = iter(kept)
        for (rows, rate), factor in zip(_parts(len(scaled), ctx.rates), ctx.makeup, strict=True):
            own_share = share[rows] * (2 if rate else 1)  # halves were kept
            together = (given[rows] * found[rows]).sum(dim=1, keepdim=True).mul_(own_share).transpose(1, 2)
            scaled_given = given[rows] * own_share.mul_(factor)
            for look in ctx.looks:
                weights, queries, seen = next(left), look.queries, slice(0, look.keys)
                own = scaled_given[:, :, queries]
                of_scores = own.transpose(1, 2) @ value[rows, :, seen]
                if rate:
                    stayed = weights.clamp(min=0)
                    of_scores.mul_(stayed).addcmul_(weights.abs(), together[:, queries], value=-1)
                else:
                    stayed = weights
                    of_scores.sub_(together[:, queries]).mul_(weights)
                of_pair[0, rows, :, seen] += scaled[rows, :, queries] @ of_scores
                of_pair[1, rows, :, seen] += own @ stayed
                of_query[rows, :, queries] = key[rows, :, seen] @ of_scores.transpose(1, 2)
        of_pair[0] *= math.log(2)
        return of_query.mul_(key.shape[1] ** -0.5), of_pair, None, None


def _parts(count: int, rates: Sequence[float]) -> list[tuple[slice, float]]:
    """Samples of equal rates of dropout, given the rates of equal parts."""
    found, start = [], 0
    for rate, alike in groupby(rates):
        stop = start + len(list(alike)) * (count // len(rates))
        found.append((slice(start, stop), rate))
        start = stop
    return found


def _powers(query: Tensor, key: Tensor, bias: Tensor | None) -> Tensor:
    """Powers of two of scores less the largest of a query, (N, T, S)."""
    scores = query.transpose(1, 2) @ key
    if bias is not None:
        scores.view(len(bias), -1, *scores.shape[1:]).add_(bias)
    return scores.sub_(scores.amax(dim=2, keepdim=True)).exp2_()


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
