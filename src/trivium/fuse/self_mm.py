"""Self-MM's backbone: one head for the fusion and one for every modality, so that each can have a target of its own.

Paper: Yu et al. (2021), Learning modality-specific representations with self-supervised multi-task learning for
multimodal sentiment analysis, arXiv 2102.04830; layers and MOSI hyper-parameters as in MMSA 2.2.1. The labels that the
paper makes for single modalities are an objective, not part of the network. Faithful: words are one vector of a
language model, voice and face the last state of an LSTM mapped to a few columns; every head is dropout and three
layers, the first of which gives the feature. Any number of modalities: a head more. Different: the language model
stands outside (columns, or a text encoder that is trained along), and ``text_pooling="mean"`` averages its steps, since
columns by word have no first token that stands for all: ``"first"`` is the paper's. No packed sequences; a batch of one
works. A missing modality is a zero vector, and its own head says what it says of nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from trivium.errors import SpecificationError
from trivium.fuse.network import Network, Rates, Sizes, by_modality
from trivium.fuse.steps import Steps, compact, mean_of_steps
from trivium.fuse.subnetworks import RecurrentSubnetwork, TaskHead, check_modalities

__all__ = ["SelfMM", "StepPooling"]

StepPooling = Literal["mean", "first"]

_STATES = {"text": 64, "audio": 16, "vision": 32}
_FEATURES = {"text": 32, "audio": 16, "vision": 32}
_DROPOUT = {"text": 0.1, "audio": 0.1, "vision": 0.0}


class SelfMM(Network):
    """Fusion head and unimodal heads on one vector per modality.

    Parameters
    ----------
    widths, outputs
        See :class:`~trivium.fuse.network.Network`.
    pooled : tuple of str
        Modalities whose columns come from a language model: pooled, not read by an LSTM.
    text_pooling : {"mean", "first"}
        How they are pooled: mean of the seen steps, or the first of them (``[CLS]``).
    hidden, size : int or mapping of str to int
        State of an LSTM, and the columns it is mapped to.
    features : int or mapping of str to int
        Size of the features of unimodal heads.
    fusion : int
        Size of the feature of the fusion head.
    dropout : float or mapping of str to float
        Before the unimodal heads.
    fusion_dropout : float
        Before the fusion head.

    Examples
    --------
    >>> network = SelfMM({"text": 768, "audio": 5, "vision": 20})
    >>> values = {m: torch.zeros(2, 5, d) for m, d in network.widths.items()}
    >>> outputs = network(values, {m: torch.ones(2, 5, dtype=torch.bool) for m in values})
    >>> [(name, tensor.shape[1]) for name, tensor in outputs.items() if "audio" in name or name == "fused"]
    [('prediction_audio', 1), ('raw_audio', 16), ('feature_audio', 16), ('fused', 128)]
    """

    name: ClassVar[str] = "self-mm"

    def __init__(
        self,
        widths: Mapping[str, int],
        outputs: int = 1,
        *,
        pooled: Collection[str] = ("text",),
        text_pooling: StepPooling = "mean",
        hidden: Sizes = _STATES,
        size: Sizes = _STATES,
        features: Sizes = _FEATURES,
        fusion: int = 128,
        dropout: Rates = _DROPOUT,
        fusion_dropout: float = 0.0,
    ) -> None:
        super().__init__(widths, outputs)
        if text_pooling not in get_args(StepPooling):
            raise SpecificationError(f"text_pooling cannot be {text_pooling!r}", remedy="choose from mean, first")
        self.text_pooling, names = text_pooling, self.modalities
        states, sizes = by_modality(hidden, _STATES, names), by_modality(size, _STATES, names)
        rates, feature = by_modality(dropout, _DROPOUT, names), by_modality(features, _FEATURES, names)
        self.pooled = check_modalities(pooled, self.widths, "pooled")
        self.encoders = nn.ModuleDict(
            {
                name: RecurrentSubnetwork(width, states[name], sizes[name], dropout=0.0)
                for name, width in self.widths.items()
                if name not in self.pooled
            }
        )
        raw = {name: width if name in self.pooled else sizes[name] for name, width in self.widths.items()}
        self.heads = nn.ModuleDict({name: TaskHead(raw[name], feature[name], outputs, rates[name]) for name in names})
        self.fusion = TaskHead(sum(raw.values()), fusion, outputs, fusion_dropout)

    def fuse(self, inputs: Mapping[str, Steps]) -> dict[str, Tensor]:
        """All outputs: ``raw_...`` before the heads, ``feature_...`` and ``fused`` the first layer of each head."""
        raw = {name: self._vector(name, steps) for name, steps in inputs.items()}
        fused = self.fusion.feature(torch.cat(list(raw.values()), dim=1))
        outputs = {"prediction": self.fusion(fused)}
        for name, head in self.heads.items():
            assert isinstance(head, TaskHead)
            feature = head.feature(raw[name]) * inputs[name].seen
            outputs[f"prediction_{name}"] = head(feature)
            outputs[f"raw_{name}"], outputs[f"feature_{name}"] = raw[name], feature
        return {**outputs, "fused": fused}

    def extra_repr(self) -> str:
        """Sizes and pooling."""
        return f"{super().extra_repr()}, text_pooling={self.text_pooling!r}"

    def _vector(self, name: str, steps: Steps) -> Tensor:
        if name in self.pooled:
            return mean_of_steps(steps) if self.text_pooling == "mean" else compact(steps).values[:, 0]
        vector: Tensor = self.encoders[name](steps)
        return vector
