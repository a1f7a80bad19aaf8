"""The second half of a transformer's layer, group by group: normalisation, two layers with a rectifier between, sum.

Groups have weights of their own. Each goes through all of it, and back, before the next one does: what lies between the
layers is four times as wide as the rest and stays in the cache so, where one product for all groups would write it to
memory and read it again for the offset, the rectifier and the second layer; and no weight is copied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

__all__ = ["two_layers"]

_PER_GROUP = 6


def two_layers(
    x: Tensor, norms: Sequence[nn.LayerNorm], first: Sequence[nn.Linear], second: Sequence[nn.Linear]
) -> Tensor:
    """Rows and, added to them, the second layer of what the rectifier leaves of the first layer of the normalised rows.

    Parameters
    ----------
    x : tensor (G, R, D)
        R rows of G groups.
    norms, first, second : sequence of module
        Of every group; of equal sizes.

    Returns
    -------
    found : tensor (G, R, D)

    Examples
    --------
    >>> norm, first, second = nn.LayerNorm(2), nn.Linear(2, 8), nn.Linear(8, 2)
    >>> x = torch.tensor([[1.0, 2.0], [3.0, 5.0]])
    >>> plain = x + second(first(norm(x)).relu())
    >>> torch.allclose(two_layers(x.unsqueeze(0), [norm], [first], [second])[0], plain, atol=1e-6)
    True
    """
    weights = [
        part
        for group in zip(norms, first, second, strict=True)
        for module in group
        for part in (module.weight, module.bias)
    ]
    found: Tensor = _TwoLayers.apply(x.contiguous(), norms[0].eps, *weights)  # type: ignore[no-untyped-call]
    return found


class _TwoLayers(torch.autograd.Function):
    """Keeps the normalised rows and what lies between the layers for the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float, *weights: Tensor) -> Tensor:
        found, kept = torch.empty_like(x), []
        for rows, own, (scale, shift, first, offset, second, added) in zip(
            x, found, _by(_PER_GROUP, weights), strict=True
        ):
            normed, *moments = torch.native_layer_norm(rows, scale.shape, scale, shift, eps)
            hidden = torch.addmm(offset, normed, first.t()).relu_()
            torch.add(rows, added, out=own).addmm_(hidden, second.t())
            kept += [normed, *moments, hidden]
        ctx.save_for_backward(x, *weights, *kept)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor | None, ...]:
        x, *saved = ctx.saved_tensors
        weights, kept = _by(_PER_GROUP, saved), _by(4, saved[_PER_GROUP * len(x) :])
        of_x, of_weights = torch.empty_like(x), []
        for rows, own, found in zip(x, given, of_x, strict=True):
            (scale, shift, first, _, second, _), (normed, *moments, hidden) = next(weights), next(kept)
            of_hidden = torch.ops.aten.threshold_backward(own @ second, hidden, 0)
            of_rows, of_scale, of_shift = torch.ops.aten.native_layer_norm_backward(
                of_hidden @ first, rows, scale.shape, *moments, scale, shift, [True, True, True]
            )
            torch.add(of_rows, own, out=found)
            of_weights += [
                of_scale,
                of_shift,
                of_hidden.t() @ normed,
                of_hidden.sum(dim=0),
                own.t() @ hidden,
                own.sum(dim=0),
            ]
        return of_x, None, *of_weights


def _by(count: int, things: Sequence[Tensor]) -> Iterator[Sequence[Tensor]]:
    """So many at a time."""
    return (things[start : start + count] for start in range(0, len(things), count))
