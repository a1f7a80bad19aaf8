"""MulT, the multimodal transformer: every modality attends to every other, none needs to be aligned.

Paper: Tsai et al. (2019), Multimodal transformer for unaligned multimodal language sequences, arXiv 1906.00295; layers
and MOSI hyper-parameters as in MMSA 2.2.1. Faithful: a convolution per modality to common columns, crossmodal attention
for every ordered pair, self-attention on what a modality took from all others, the last step of each, a residual block.
Any number of modalities: M (M - 1) pairs; a single one goes straight to its self-attention. Different from MMSA:
sinusoidal positions are on, as in the paper (``positions=False`` is MMSA's); unseen steps are never attended to, "last"
is the last seen step and the reach of the mask follows the seen lengths (there padding counts); columns are always
mapped, also where there are already as many as wanted; keys and values share one draw of dropout. Sequences shorter
than the convolution are filled up with zeros. Nothing is taken from a missing modality, and its own vector is zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trivium.fuse.attention import Attention, Glance, attend, attend_columns, glances, reach, sinusoids, visible_steps
from trivium.fuse.dropout import Dropout
from trivium.fuse.network import Network, Rates, Sizes, by_modality
from trivium.fuse.steps import Steps, compact, is_eager, is_mixed, last_step, mean_of_steps
from trivium.fuse.subnetworks import MultiLayer
from trivium.fuse.two_layers import two_layers

__all__ = ["MulT"]

_Thing = TypeVar("_Thing")
_Weights = tuple[Tensor, Tensor]
_KERNEL = {"audio": 5}
_ATTENTION_DROPOUT = {"text": 0.3, "audio": 0.2, "vision": 0.0}
_INPUT_DROPOUT = {"text": 0.5, "audio": 0.0, "vision": 0.0}


class MulT(Network):
    """Multimodal transformer.

    Parameters
    ----------
    widths, outputs
        See :class:`~trivium.fuse.network.Network`.
    size, heads : int
        Columns that every modality is mapped to; heads of the attention, which divide them.
    layers, self_layers : int
        Layers of crossmodal and of self-attention.
    kernel : int or mapping of str to int
        Steps of the convolutions.
    causal : bool
        Keep steps from looking at later ones.
    positions : bool
        Add sinusoidal positions.
    attention_dropout : float or mapping of str to float
        On the weights with which the named modality is looked at.
    self_attention_dropout, embedding_dropout, relu_dropout, residual_dropout : float
        On the weights of self-attention, on sequences entering a stack, within and after the two layers of a block.
    input_dropout : float or mapping of str to float
        On columns.
    output_dropout : float
        Within the last block.

    Examples
    --------
    >>> network = MulT({"text": 300, "audio": 74}, size=8, heads=2, layers=1, self_layers=1)
    >>> values = {"text": torch.zeros(2, 20, 300), "audio": torch.zeros(2, 500, 74)}
    >>> masks = {m: torch.ones(x.shape[:2], dtype=torch.bool) for m, x in values.items()}
    >>> network(values, masks)["fused"].shape
    torch.Size([2, 16])
    """

    name: ClassVar[str] = "mult"

    def __init__(
        self,
        widths: Mapping[str, int],
        outputs: int = 1,
        *,
        size: int = 50,
        heads: int = 10,
        layers: int = 4,
        self_layers: int = 4,
        kernel: Sizes = 5,
        causal: bool = True,
        positions: bool = True,
        attention_dropout: Rates = _ATTENTION_DROPOUT,
        self_attention_dropout: float = 0.3,
        embedding_dropout: float = 0.2,
        relu_dropout: float = 0.0,
        residual_dropout: float = 0.0,
        input_dropout: Rates = _INPUT_DROPOUT,
        output_dropout: float = 0.5,
    ) -> None:
        super().__init__(widths, outputs)
        names = self.modalities
        kernels, inputs = by_modality(kernel, _KERNEL, names), by_modality(input_dropout, _INPUT_DROPOUT, names)
        looking = by_modality(attention_dropout, _ATTENTION_DROPOUT, names)
        rates = (embedding_dropout, relu_dropout, residual_dropout)
        self.causal = causal
        self.projections = nn.ModuleDict(
            {name: _Projection(width, size, kernels[name], inputs[name]) for name, width in self.widths.items()}
        )
        self.crossmodal = nn.ModuleDict(
            {
                target: nn.ModuleDict(
                    {
                        source: _Stack(size, heads, layers, looking[source], rates, positions)
                        for source in names
                        if source != target
                    }
                )
                for target in names
            }
        )
        wide = max(len(names) - 1, 1) * size
        self.memories = nn.ModuleDict(
            {name: _Stack(wide, heads, self_layers, self_attention_dropout, rates, positions) for name in names}
        )
        self.block = MultiLayer(len(names) * wide, len(names) * wide, len(names) * wide)
        self.output_dropout = Dropout(output_dropout)
        self.last = nn.Linear(len(names) * wide, outputs)

    def fuse(self, inputs: Mapping[str, Steps]) -> dict[str, Tensor]:
        """``prediction`` and ``fused``; ``raw_...`` is the mean of the mapped steps of one modality alone.

        ``feature_...`` is the last step of its stream, which has looked at the others.
        """
        mapped = {name: self.projections[name](steps) for name, steps in inputs.items()}
        taken = self._crossmodal(mapped)
        streams = {
            name: Steps(torch.cat(taken[name] or [mapped[name].values], dim=2), mapped[name].mask) for name in mapped
        }
        features = self._last_steps(streams)
        joined = torch.cat(list(features.values()), dim=1)
        fused = joined + self.block.last(self.output_dropout(self.block.hidden(joined)))
        outputs = {"prediction": self.last(fused)}
        outputs |= {f"raw_{name}": mean_of_steps(steps) for name, steps in mapped.items()}
        return {**outputs, **{f"feature_{name}": feature for name, feature in features.items()}, "fused": fused}

    def extra_repr(self) -> str:
        """Sizes, and whether later steps are hidden."""
        return f"{super().extra_repr()}, causal={self.causal}"

    def _crossmodal(self, mapped: Mapping[str, Steps]) -> dict[str, list[Tensor]]:
        """What every modality took from each of the others, (B, T, size) each."""
        pairs = [(target, source) for source in mapped for target in mapped if source != target]
        groups = _alike(pairs, lambda pair: tuple(mapped[m].mask.shape[1] for m in pair))
        found: dict[tuple[str, str], Tensor] = {}
        for group in groups if is_eager(mapped[self.modalities[0]].mask) else [[pair] for pair in pairs]:
            x, source = (torch.stack([mapped[pair[side]].values for pair in group]) for side in (0, 1))
            bias = torch.cat([self._bias(mapped[target], mapped[other]) for target, other in group])
            present = _present([mapped[other] for _, other in group])
            taken = _Abreast([self._stack(*pair) for pair in group])(x, source, bias, present)
            found |= dict(zip(group, taken.unbind(), strict=True))
        return {target: [found[pair] for pair in pairs if pair[0] == target] for target in mapped}

    def _last_steps(self, streams: Mapping[str, Steps]) -> dict[str, Tensor]:
        """Last step (B, D) of every modality after it has looked at itself."""
        groups = _alike(list(streams), lambda name: streams[name].mask.shape[1])
        found: dict[str, Tensor] = {}
        for group in groups if is_eager(streams[self.modalities[0]].mask) else [[name] for name in streams]:
            own = [streams[name] for name in group]
            bias = torch.cat([self._bias(steps, steps) for steps in own])
            stacks = _Abreast([_as_stack(self.memories[name]) for name in group])
            found |= dict(zip(group, stacks.last(own, bias).unbind(), strict=True))
        return {name: found[name] for name in streams}

    def _stack(self, target: str, source: str) -> _Stack:
        stacks = self.crossmodal[target]
        assert isinstance(stacks, nn.ModuleDict)
        return _as_stack(stacks[source])

    def _bias(self, target: Steps, source: Steps) -> Tensor:
        steps, source_steps = target.mask.shape[1], source.mask.shape[1]
        return visible_steps(target.length, steps, source.length, source_steps, future=not self.causal)


class _Projection(nn.Module):
    """Convolution over steps to common columns; it shortens a sequence by its kernel less one, to one step at least."""

    def __init__(self, width: int, size: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.kernel = kernel
        self.dropout = Dropout(dropout)
        self.conv = nn.Conv1d(width, size, kernel, bias=False)

    def forward(self, steps: Steps) -> Steps:
        values, mask = compact(steps)
        missing = max(self.kernel - mask.shape[1], 0)
        x = self._convolve(self.dropout(F.pad(values, (0, 0, 0, missing))))
        length = (mask.sum(dim=1) - self.kernel + 1).clamp(min=1) * mask.any(dim=1)
        seen = torch.arange(x.shape[1], device=mask.device) < length.unsqueeze(1)
        return Steps(x * seen.unsqueeze(2), seen)

    def _convolve(self, x: Tensor) -> Tensor:
        """The convolution, on a CPU as products of all steps of the batch: columns need not be moved behind steps."""
        if not is_eager(x):
            turned: Tensor = self.conv(x.transpose(1, 2))
            return turned.transpose(1, 2)
        rows, steps, _ = x.shape
        flat, count = x.flatten(0, 1), rows * steps - self.kernel + 1
        taps = self.conv.weight.permute(2, 0, 1).contiguous()
        found = F.linear(flat[:count], taps[0])
        for step in range(1, self.kernel):
            found = torch.addmm(found, flat[step : step + count], taps[step].t())
        # the last steps of a sample have met the first of the next one
        return F.pad(found, (0, 0, 0, self.kernel - 1)).view(rows, steps, -1)[:, : steps - self.kernel + 1]


class _Stack(nn.Module):
    """Layers of attention to another sequence, or to itself; :class:`_Abreast` computes them."""

    def __init__(
        self, size: int, heads: int, layers: int, dropout: float, rates: tuple[float, float, float], positions: bool
    ) -> None:
        super().__init__()
        embedding, *within = rates
        self.positions = positions
        self.dropout = Dropout(embedding)
        self.layers = nn.ModuleList([_Block(size, heads, dropout, *within) for _ in range(layers)])
        self.norm = nn.LayerNorm(size)

    def extra_repr(self) -> str:
        return f"positions={self.positions}"


class _Block(nn.Module):
    """Attention, then two layers; normalisation stands before each, a residual goes round each."""

    def __init__(self, size: int, heads: int, dropout: float, relu_dropout: float, residual_dropout: float) -> None:
        super().__init__()
        self.attention = Attention(size, heads, dropout)
        self.norm_attention, self.norm_layers = nn.LayerNorm(size), nn.LayerNorm(size)
        self.first, self.second = nn.Linear(size, 4 * size), nn.Linear(4 * size, size)
        self.relu_dropout, self.residual_dropout = Dropout(relu_dropout), Dropout(residual_dropout)
        for layer in (self.first, self.second):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)


class _Layer(NamedTuple):
    """One layer of stacks side by side: weights (G, F, D), biases (G, F) of its attention, normalisation folded in."""

    blocks: Sequence[_Block]
    into: _Weights
    out: _Weights


class _Abreast:
    """G stacks of equal sizes side by side: each layer is one product for all, (G, B, T, D) at once.

    What a normalisation multiplies with and what it adds stand in the layer that follows, where they are few numbers.
    Weights of all layers are brought together at once.
    """

    def __init__(self, stacks: Sequence[_Stack]) -> None:
        self.stacks, self.norms = stacks, [stack.norm for stack in stacks]
        by_layer = [[_as_block(layer) for layer in layers] for layers in zip(*(s.layers for s in stacks), strict=True)]
        blocks = [block for layer in by_layer for block in layer]
        self.one = blocks[0]
        self.rates = [block.attention.dropout if block.training else 0.0 for block in blocks[: len(stacks)]]
        into = _joined([block.attention.into for block in blocks], [block.norm_attention for block in blocks])
        out = _joined([block.attention.out for block in blocks])
        parts = zip(by_layer, _by_layer(into, len(stacks)), _by_layer(out, len(stacks)), strict=True)
        self.layers = [_Layer(*part) for part in parts]

    def __call__(self, x: Tensor, source: Tensor, bias: Tensor, present: Tensor | None) -> Tensor:
        """Sequences `x` after looking at `source` (G, B, S, D); where `present` (G, B, 1, 1) is 0 nothing is taken."""
        x, other, looks = self._embedded(x), _normed(self._embedded(source)), _glances(bias)
        for layer in self.layers:
            x = self._block(layer, x, other, bias, present, looks)
        return _scaled(_normed(x), self.norms)

    def last(self, streams: Sequence[Steps], bias: Tensor) -> Tensor:
        """Last steps (G, B, D) of sequences that look at themselves: nothing asks the last layer for the others."""
        x, looks = self._embedded(torch.stack([steps.values for steps in streams])), _glances(bias)
        present = _present(streams)
        for layer in self.layers[:-1]:
            x = self._block(layer, x, None, bias, present, looks)
        length = torch.cat([steps.length for steps in streams])
        own = last_step(x.flatten(0, 1), length).view(*x.shape[:2], 1, -1)
        place = (length - 1).clamp(min=0).view(-1, 1, 1, 1).expand(-1, 1, 1, bias.shape[3])
        for layer in self.layers[-1:]:
            own = self._block(layer, own, _normed(x), torch.gather(bias, 2, place), present, None)
        return _where(present, _scaled(_normed(own), self.norms)).squeeze(2)

    def _embedded(self, x: Tensor) -> Tensor:
        scaled = math.sqrt(x.shape[3]) * x
        if self.stacks[0].positions:
            scaled = scaled + sinusoids(x.shape[2], x.shape[3]).to(x)
        dropped: Tensor = self.stacks[0].dropout(scaled)
        return dropped

    def _block(
        self,
        layer: _Layer,
        x: Tensor,
        source: Tensor | None,
        bias: Tensor,
        present: Tensor | None,
        looks: Sequence[Glance] | None,
    ) -> Tensor:
        """One layer of stacks side by side; `source` is already normalised, and `x` itself without it."""
        normed, size = _normed(x), x.shape[3]
        source = normed if source is None else source
        of_query, of_pair = zip(*(torch.split(part, [size, 2 * size], dim=1) for part in layer.into), strict=True)
        if looks:
            taken = self._attend_columns(_columns(normed, of_query, 1), _columns(source, of_pair, 2), looks)
        else:
            query = _linear(normed, *of_query).flatten(0, 1)
            key, value = _linear(source, *of_pair).flatten(0, 1).chunk(2, dim=2)
            taken = attend(query, key, value, self.one.attention.heads, self.rates, bias).view(x.shape)
        x = x + _where(present, self.one.residual_dropout(_linear(taken, *layer.out)))
        return self._second_half(layer.blocks, x)

    def _attend_columns(self, query: Tensor, pair: Tensor, looks: Sequence[Glance]) -> Tensor:
        """What queries (1, G, B, D, T) take from keys and values (2, G, B, D, S), (G, B, T, D)."""
        rows = query.reshape(-1, query.shape[3] // self.one.attention.heads, query.shape[4])
        filled = F.pad(pair, (0, reach(looks) - pair.shape[4])).reshape(2, len(rows), rows.shape[1], -1)
        taken = attend_columns(rows, filled, looks, self.rates).view(query.shape[1:])
        return taken.transpose(1, 2).contiguous().permute(0, 2, 3, 1)

    def _second_half(self, blocks: Sequence[_Block], x: Tensor) -> Tensor:
        """The two layers of a block, with all around them."""
        one = self.one
        norms, first, second = zip(*((b.norm_layers, b.first, b.second) for b in blocks), strict=True)
        drops = one.training and (one.relu_dropout.p or one.residual_dropout.p)
        if is_eager(x) and not is_mixed() and not drops:
            rows: Tensor = two_layers(x.flatten(1, 2), norms, first, second)
            return rows.view(x.shape)
        hidden = F.relu(_linear(_normed(x), *_joined(first, norms)))
        after: Tensor = one.residual_dropout(_linear(one.relu_dropout(hidden), *_joined(second)))
        return x + after


def _present(steps: Sequence[Steps]) -> Tensor | None:
    """Factor (G, B, 1, 1) that is 0 where a sample has no step; none where every sample is known to have one."""
    seen = torch.stack([one.seen for one in steps]).unsqueeze(3)
    return None if is_eager(seen) and bool(seen.all()) else seen


def _where(present: Tensor | None, x: Tensor) -> Tensor:
    return x if present is None else x * present


def _columns(x: Tensor, weights: _Weights, parts: int) -> Tensor:
    """What layers (G, parts D, C) give, columns before steps, (parts, G, B, D, T)."""
    weight, offset = weights
    found = torch.baddbmm(offset.unsqueeze(2), weight, x.flatten(1, 2).transpose(1, 2))
    return found.view(len(x), parts, -1, x.shape[1], x.shape[2]).permute(1, 0, 3, 2, 4)


def _by_layer(weights: _Weights, stacks: int) -> list[_Weights]:
    """Weights and biases of all layers of all stacks, taken apart by layer."""
    return list(zip(*(part.view(-1, stacks, *part.shape[1:]).unbind() for part in weights), strict=True))


def _joined(layers: Sequence[nn.Linear], norms: Sequence[nn.LayerNorm] = ()) -> _Weights:
    """Weights (G, F, D) and biases (G, F) of layers, behind what normalisations scale and add."""
    weight, bias = torch.stack([layer.weight for layer in layers]), torch.stack([layer.bias for layer in layers])
    if not norms:
        return weight, bias
    scale, added = torch.stack([norm.weight for norm in norms]), torch.stack([norm.bias for norm in norms])
    return weight * scale.unsqueeze(1), bias + (weight @ added.unsqueeze(2)).squeeze(2)


def _linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Layers (G, F, D) on their (G, B, T, D)."""
    found = torch.baddbmm(bias.unsqueeze(1), x.flatten(1, 2), weight.transpose(1, 2))
    return found.view(*x.shape[:3], -1)


def _normed(x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[3:])


def _scaled(x: Tensor, norms: Sequence[nn.LayerNorm]) -> Tensor:
    """What normalisations do after they have normalised."""
    scale, added = torch.stack([norm.weight for norm in norms]), torch.stack([norm.bias for norm in norms])
    return x * scale[:, None, None] + added[:, None, None]


def _alike(things: Sequence[_Thing], key: Callable[[_Thing], object]) -> list[list[_Thing]]:
    """Things with equal keys together, in order of their first."""
    groups: dict[object, list[_Thing]] = {}
    for thing in things:
        groups.setdefault(key(thing), []).append(thing)
    return list(groups.values())


def _as_stack(module: nn.Module) -> _Stack:
    assert isinstance(module, _Stack)
    return module


def _as_block(module: nn.Module) -> _Block:
    assert isinstance(module, _Block)
    return module


def _glances(bias: Tensor) -> list[Glance] | None:
    return glances(bias, bias.shape[2], bias.shape[3]) if is_eager(bias) and not is_mixed() else None
