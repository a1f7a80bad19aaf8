"""Objectives between modalities: what they share, for any pairs, at any layer of the network.

They read the outputs ``LAYER_MODALITY`` of a network, such as ``feature_text``. Where the widths of the modalities
differ, or where a space of its own is wanted, ``width`` puts a linear map without activation behind each modality; it
is trained with the network and thrown away afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations
from typing import ClassVar

import torch
from torch import Tensor, nn

from trivium.errors import SpecificationError
from trivium.train import Objective, Outputs, TensorBatch, TrainingClock, require_weight

__all__ = ["PairObjective", "parsed_pairs"]

_LEAST_ROWS = 2


def parsed_pairs(request: str) -> dict[tuple[str, str], float]:
    """Weight by pair, from ``text+audio,text+vision*0.5``.

    Parameters
    ----------
    request : str
        Pairs of modalities, each with a factor where it is not 1.

    Raises
    ------
    SpecificationError
        It cannot be read, or names a pair twice.

    Examples
    --------
    >>> parsed_pairs("text+audio,text+vision*0.5")
    {('text', 'audio'): 1.0, ('text', 'vision'): 0.5}
    """
    found: dict[tuple[str, str], float] = {}
    for part in filter(None, (piece.strip() for piece in request.split(","))):
        names, _, factor = part.partition("*")
        first, sign, second = (piece.strip() for piece in names.partition("+"))
        try:
            weight = float(factor or 1)
        except ValueError:
            weight = math.nan
        if not (first and sign and second) or first == second or "+" in second or not math.isfinite(weight):
            raise SpecificationError(f"{part!r} is no pair of modalities", remedy="write text+audio or text+audio*0.5")
        if (first, second) in found or (second, first) in found:
            raise SpecificationError(f"the pair {first}+{second} is named twice", remedy="name each pair once")
        found[first, second] = weight
    return found


class _Projections(nn.Module):
    """A linear map for each modality: outputs ``LAYER_MODALITY`` to ``NAME_MODALITY``."""

    def __init__(self, widths: Mapping[str, int], width: int, layer: str, name: str) -> None:
        super().__init__()
        self._layer, self._name = layer, name
        self.maps = nn.ModuleDict({modality: nn.Linear(own, width) for modality, own in widths.items()})

    def forward(self, outputs: Outputs) -> dict[str, Tensor]:
        return {f"{self._name}_{m}": linear(outputs[f"{self._layer}_{m}"]) for m, linear in self.maps.items()}


class PairObjective(Objective):
    """Weighted sum over pairs of modalities of how far they are apart; subclasses say what far means (`apart`).

    A sample counts for a pair when both modalities have at least one step; a pair with fewer than two such samples in a
    batch adds nothing.

    Parameters
    ----------
    pairs : str
        Such as ``text+audio,text+vision*0.5``; empty: all pairs that the network has.
    layer : str
        Which outputs are compared: ``feature``, ``raw``, ``shared`` ...
    width : int
        Width of the space they are projected to; 0 compares them as they are.
    shuffled : bool
        Break the pairing: the rows of the second modality are permuted in every batch. A control, no method: what helps
        as much when shuffled does not come from knowing what belongs together.
    weight : float
        Factor in the sum of losses.

    Raises
    ------
    SpecificationError
        The width is below 0; a weight or factor is not finite; or one is below 0, of a distance that is not capped: it
        could be made larger without end.
    """

    name: ClassVar[str]
    same_width: ClassVar[bool] = True
    capped: ClassVar[bool] = False

    def __init__(
        self, pairs: str = "", layer: str = "feature", width: int = 0, shuffled: bool = False, weight: float = 1.0
    ) -> None:
        if width < 0:
            raise SpecificationError(f"{self.name}: width cannot be {width}", remedy="give at least 1, or 0 for none")
        self.pairs, self.layer, self.width, self.shuffled = pairs, layer, width, shuffled
        self.weight = require_weight(self.name, weight, negative=self.capped)
        self._factors = parsed_pairs(pairs)
        below = [pair for pair, factor in self._factors.items() if factor < 0]
        if below and not self.capped:
            raise SpecificationError(
                f"{self.name}: the factor of {'+'.join(below[0])} cannot be below 0, as its distance has no end",
                remedy="give a number of at least 0, or push apart with modal_alignment, which has a cap",
            )

    def heads(self, outputs: Outputs) -> nn.Module | None:
        """Linear maps of the modalities, where a width is given."""
        pairs = self._pairs(outputs)
        if not self.width:
            for pair in pairs:
                self._require_widths(pair, outputs)
            return None
        used = {name for pair in pairs for name in pair}
        widths = {name: outputs[f"{self.layer}_{name}"].shape[-1] for name in sorted(used)}
        return _Projections(widths, self.width, self.layer, self.name)

    def loss(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> Tensor:
        """Weighted sum over the pairs."""
        terms = [self._term(pair, factor, outputs, batch) for pair, factor in self._pairs(outputs).items()]
        return torch.stack(terms).sum()

    def apart(self, x: Tensor, y: Tensor, pair: tuple[str, str]) -> Tensor:
        """How far the features (n, D) and (n, E) of a pair are apart, n >= 2: a scalar."""
        raise NotImplementedError

    def weighted(self, distance: Tensor, factor: float) -> Tensor:
        """The distance with its factor."""
        return factor * distance

    def _pairs(self, outputs: Outputs) -> dict[tuple[str, str], float]:
        prefix = f"{self.layer}_"
        there = [name.removeprefix(prefix) for name in outputs if name.startswith(prefix)]
        missing = sorted({name for pair in self._factors for name in pair} - set(there))
        if missing or len(there) < _LEAST_ROWS:
            what = ", ".join(f"{self.layer}_{name}" for name in missing) or f"{self.layer}_MODALITY for two modalities"
            raise SpecificationError(
                f"{self.name}: the network does not give {what}", remedy=f"it gives {', '.join(sorted(outputs))}"
            )
        return self._factors or dict.fromkeys(combinations(there, 2), 1.0)

    def _require_widths(self, pair: tuple[str, str], outputs: Outputs) -> None:
        first, second = (outputs[f"{self.layer}_{name}"].shape[-1] for name in pair)
        if self.same_width and first != second:
            raise SpecificationError(
                f"{self.name}: {pair[0]} has {first} features and {pair[1]} {second}", remedy="give a width"
            )

    def _term(self, pair: tuple[str, str], factor: float, outputs: Outputs, batch: TensorBatch) -> Tensor:
        layer = self.name if self.width else self.layer
        if not self.width:
            self._require_widths(pair, outputs)
        x, y = (outputs[f"{layer}_{name}"] for name in pair)
        both = _present(batch, pair[0], len(x)) & _present(batch, pair[1], len(x))
        if int(both.sum()) < _LEAST_ROWS:
            return (x.sum() + y.sum()) * 0.0
        x, y = x[both], y[both]
        if self.shuffled:
            y = y[torch.randperm(len(y)).to(y.device)]
        return self.weighted(self.apart(x, y, pair), factor)


def _present(batch: TensorBatch, modality: str, n: int) -> Tensor:
    mask = batch.mask.get(modality)
    return torch.ones(n, dtype=torch.bool, device=batch.rows.device) if mask is None else mask.flatten(1).any(dim=1)
