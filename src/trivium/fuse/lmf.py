"""LMF, low-rank fusion: the outer product of all modalities' vectors, its weights a sum of a few rank-one terms.

Paper: Liu et al. (2018), Efficient low-rank multimodal fusion with modality-specific factors, arXiv 1806.00064; layers
and MOSI hyper-parameters as in MMSA 2.2.1. Faithful: the sub-networks of tensor fusion, a 1 in front of every vector,
one factor per modality and rank, their product over modalities, a learned sum over ranks. Any number of modalities: one
factor more, at linear cost. Different: padding never counts; dropout of words acts (MMSA switches it off by a rule for
LSTMs of one layer); MMSA also declares a dropout after fusion and never uses it: there is none here. A missing modality
leaves only what its factor makes of the 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trivium.fuse.network import Network, Rates, Sizes, by_modality
from trivium.fuse.steps import Steps
from trivium.fuse.subnetworks import Subnetworks, named_vectors

__all__ = ["LMF"]

_HIDDEN = {"text": 128, "audio": 16, "vision": 128}


class LMF(Network):
    """Low-rank multimodal fusion.

    Parameters
    ----------
    widths, outputs
        See :class:`~trivium.fuse.network.Network`.
    hidden : int or mapping of str to int
        State of the LSTM, or size of every layer, by modality.
    recurrent : tuple of str
        Modalities that an LSTM reads, whose vectors have half as many columns as its state; the others are averaged.
    rank : int
        Terms of the weights.
    dropout : float or mapping of str to float
        Within the sub-networks.

    Examples
    --------
    >>> network = LMF({"text": 300, "audio": 74, "vision": 35}, outputs=7)
    >>> values = {m: torch.zeros(2, 20, d) for m, d in network.widths.items()}
    >>> network(values, {m: torch.ones(2, 20, dtype=torch.bool) for m in values})["fused"].shape
    torch.Size([2, 21])
    """

    name: ClassVar[str] = "lmf"

    def __init__(
        self,
        widths: Mapping[str, int],
        outputs: int = 1,
        *,
        hidden: Sizes = _HIDDEN,
        recurrent: tuple[str, ...] = ("text",),
        rank: int = 3,
        dropout: Rates = 0.3,
    ) -> None:
        super().__init__(widths, outputs)
        sizes = by_modality(hidden, _HIDDEN, self.modalities)
        self.subnetworks = Subnetworks(
            self.widths,
            sizes,
            by_modality(dropout, {"audio": 0.3}, self.modalities),
            recurrent=recurrent,
            recurrent_out={name: max(size // 2, 1) for name, size in sizes.items()},
        )
        self.factors = nn.ParameterDict(
            {name: torch.empty(rank, size + 1, outputs) for name, size in self.subnetworks.sizes.items()}
        )
        self.rank_weights = nn.Parameter(torch.empty(1, rank))
        self.bias = nn.Parameter(torch.zeros(outputs))
        for weights in (*self.factors.values(), self.rank_weights):
            nn.init.xavier_normal_(weights)

    def fuse(self, inputs: Mapping[str, Steps]) -> dict[str, Tensor]:
        """``prediction``, ``raw_...``, ``feature_...`` (the same) and ``fused``, the product of every rank."""
        vectors: dict[str, Tensor] = self.subnetworks(inputs)
        product = torch.ones((), device=self.bias.device)
        for name, vector in vectors.items():
            product = product * torch.einsum("bi,rio->bro", F.pad(vector, (1, 0), value=1.0), self.factors[name])
        prediction = torch.einsum("r,bro->bo", self.rank_weights[0], product) + self.bias
        return {"prediction": prediction, **named_vectors(vectors), "fused": product.flatten(1)}
