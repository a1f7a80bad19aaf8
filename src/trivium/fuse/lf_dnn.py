"""LF-DNN, late fusion: every modality becomes one vector, the vectors side by side go through three layers.

Paper: Cambria et al. (2017), Benchmarking multimodal sentiment analysis, arXiv 1707.09538, in the form that the field's
tables use (MMSA 2.2.1), whose layers and MOSI hyper-parameters are the defaults. Faithful: words through one LSTM, the
other modalities averaged, normalised and put through three layers, then three more for all. Any number of modalities:
one sub-network more, its vector beside the others. Different: means, statistics and the LSTM's last state leave padding
out (there padding counts); the dropout of words, which a rule for LSTMs of one layer switches off there, acts; a
missing modality is a zero vector.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from trivium.fuse.dropout import Dropout
from trivium.fuse.network import Network, Rates, Sizes, by_modality
from trivium.fuse.steps import Steps
from trivium.fuse.subnetworks import MultiLayer, Subnetworks, named_vectors

__all__ = ["LFDNN"]

_HIDDEN = {"text": 128, "audio": 16, "vision": 128}


class LFDNN(Network):
    """Late fusion of one vector per modality by a deep network.

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
        Size of the layers after the vectors have been joined.
    dropout : float or mapping of str to float
        Within the sub-networks.
    fusion_dropout : float
        On the joined vectors.

    Examples
    --------
    >>> network = LFDNN({"text": 300, "audio": 74, "vision": 35})
    >>> values = {m: torch.zeros(2, 20, d) for m, d in network.widths.items()}
    >>> masks = {m: torch.ones(2, 20, dtype=torch.bool) for m in values}
    >>> {name: tuple(tensor.shape) for name, tensor in network(values, masks).items() if "raw" not in name}
    {'prediction': (2, 1), 'feature_text': (2, 256), 'feature_audio': (2, 16), 'feature_vision': (2, 128), \
'fused': (2, 128)}
    """

    name: ClassVar[str] = "lf-dnn"

    def __init__(
        self,
        widths: Mapping[str, int],
        outputs: int = 1,
        *,
        hidden: Sizes = _HIDDEN,
        recurrent: tuple[str, ...] = ("text",),
        recurrent_out: int = 256,
        fusion: int = 128,
        dropout: Rates = 0.2,
        fusion_dropout: float = 0.2,
    ) -> None:
        super().__init__(widths, outputs)
        self.subnetworks = Subnetworks(
            self.widths,
            by_modality(hidden, _HIDDEN, self.modalities),
            by_modality(dropout, {"audio": 0.2}, self.modalities),
            recurrent=recurrent,
            recurrent_out=dict.fromkeys(self.modalities, recurrent_out),
        )
        joined = sum(self.subnetworks.sizes.values())
        self.fusion_dropout = Dropout(fusion_dropout)
        self.fusion = MultiLayer(joined, fusion, fusion, outputs)

    def fuse(self, inputs: Mapping[str, Steps]) -> dict[str, Tensor]:
        """``prediction``, ``raw_...``, ``feature_...`` (the same: one vector per modality) and ``fused``."""
        vectors: dict[str, Tensor] = self.subnetworks(inputs)
        fused = self.fusion.hidden(self.fusion_dropout(torch.cat(list(vectors.values()), dim=1)))
        return {"prediction": self.fusion.last(fused), **named_vectors(vectors), "fused": fused}
