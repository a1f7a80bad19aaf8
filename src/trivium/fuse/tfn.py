"""TFN, tensor fusion: the outer product of all modalities' vectors, each with a 1 in front.

Paper: Zadeh et al. (2017), Tensor fusion network for multimodal sentiment analysis, arXiv 1707.07250; layers and MOSI
hyper-parameters as in MMSA 2.2.1. Faithful: the sub-networks (words through an LSTM; voice and face averaged,
normalised, three layers), the product that holds every single vector, every pair and the triple, dropout and three
layers on it. Any number of modalities: the product has one factor more, and is refused above four million cells.
Different: padding never counts; dropout of words acts (MMSA switches it off by a rule for LSTMs of one layer); a
missing modality leaves only the 1 of its factor, so that the product holds the others' terms and nothing else; the
sigmoid onto (-3, 3) is off, since a network knows no labels: ``output_range=(-3, 3)`` gives the paper's. Same numbers,
other order: the product goes through dropout and the first layer in pieces.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from trivium.errors import SpecificationError
from trivium.fuse.dropout import Dropout
from trivium.fuse.network import Network, Rates, Sizes, by_modality
from trivium.fuse.steps import Steps
from trivium.fuse.subnetworks import MultiLayer, Subnetworks, named_vectors

__all__ = ["TFN"]

_HIDDEN = {"text": 128, "audio": 32, "vision": 128}
_MOST_CELLS = 1 << 22


class TFN(Network):
    """Tensor fusion network.

    Parameters
    ----------
    widths, outputs
        See :class:`~trivium.fuse.network.Network`.
    hidden : int or mapping of str to int
        State of the LSTM, or size of every layer, by modality.
    recurrent : tuple of str
        Modalities that an LSTM reads; the others are averaged.
    recurrent_out : int
        Columns of the vector of a modality that an LSTM read.
    fusion : int
        Size of the layers after the product.
    dropout : float or mapping of str to float
        Within the sub-networks.
    fusion_dropout : float
        On the product.
    output_range : (float, float), optional
        A sigmoid onto these limits follows the last layer.

    Raises
    ------
    SpecificationError
        The product would have more than 4,194,304 cells.

    Examples
    --------
    >>> import torch
    >>> network = TFN({"text": 300, "audio": 74}, output_range=(-3, 3))
    >>> values = {m: torch.zeros(2, 20, d) for m, d in network.widths.items()}
    >>> network(values, {m: torch.ones(2, 20, dtype=torch.bool) for m in values})["prediction"].shape
    torch.Size([2, 1])
    """

    name: ClassVar[str] = "tfn"

    def __init__(
        self,
        widths: Mapping[str, int],
        outputs: int = 1,
        *,
        hidden: Sizes = _HIDDEN,
        recurrent: tuple[str, ...] = ("text",),
        recurrent_out: int = 32,
        fusion: int = 64,
        dropout: Rates = 0.3,
        fusion_dropout: float = 0.5,
        output_range: tuple[float, float] | None = None,
    ) -> None:
        super().__init__(widths, outputs)
        self.subnetworks = Subnetworks(
            self.widths,
            by_modality(hidden, _HIDDEN, self.modalities),
            by_modality(dropout, {"audio": 0.3}, self.modalities),
            recurrent=recurrent,
            recurrent_out=dict.fromkeys(self.modalities, recurrent_out),
        )
        cells = math.prod(size + 1 for size in self.subnetworks.sizes.values())
        if cells > _MOST_CELLS:
            raise SpecificationError(
                f"the product of {len(self.widths)} modalities would have {cells:,} cells",
                remedy=f"lower hidden or recurrent_out to at most {_MOST_CELLS:,} cells, or use lmf",
            )
        self.fusion_dropout = Dropout(fusion_dropout)
        self.fusion = MultiLayer(cells, fusion, fusion, outputs)
        self.output_range = output_range

    def fuse(self, inputs: Mapping[str, Steps]) -> dict[str, Tensor]:
        """``prediction``, ``raw_...``, ``feature_...`` (the same: one vector per modality) and ``fused``."""
        vectors: dict[str, Tensor] = self.subnetworks(inputs)
        first, *factors = (F.pad(vector, (1, 0), value=1.0) for vector in vectors.values())
        rest = torch.ones_like(first[:, :1])  # len() would fix the size of the batch in an exported graph
        for factor in factors:
            rest = (rest.unsqueeze(2) * factor.unsqueeze(1)).flatten(1)
        fused = self.fusion.hidden_of_product(first, rest, self.fusion_dropout.p if self.training else 0.0)
        prediction = self.fusion.last(fused)
        if self.output_range is not None:
            low, high = self.output_range
            prediction = low + (high - low) * prediction.sigmoid()
        return {"prediction": prediction, **named_vectors(vectors), "fused": fused}

    def extra_repr(self) -> str:
        """Sizes, and the range of the prediction."""
        return f"{super().extra_repr()}, output_range={self.output_range}"
