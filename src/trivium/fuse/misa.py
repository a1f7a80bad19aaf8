"""MISA's network: every modality in a space it shares with the others and in one of its own.

Paper: Hazarika et al. (2020), MISA: Modality-invariant and -specific representations for multimodal sentiment analysis,
arXiv 2005.03545; layers and MOSI hyper-parameters as in MMSA 2.2.1. Its losses (difference, similarity, reconstruction)
are objectives; they read ``private_...``, ``shared_...``, ``raw_...`` and ``reconstruction_...``. Faithful: words are
the mean of a language model's steps, voice and face two bidirectional LSTMs with a normalisation between them; one
encoder for all and one per modality, decoders, a transformer layer over all vectors, two layers. Any number of
modalities: two tokens more. Different: the language model stands outside (columns, or a text encoder that is trained
along); two parts that MMSA builds but that no output depends on are not built (the normalisation of words, and a
discriminator whose answer enters no loss), nor is the adversarial discriminator, which MMSA has switched off. No packed
sequences. A missing modality is zero in both spaces.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trivium.fuse.attention import Attention
from trivium.fuse.dropout import Dropout
from trivium.fuse.network import Network
from trivium.fuse.steps import Steps, compact, mean_of_steps
from trivium.fuse.subnetworks import BidirectionalLSTM, check_modalities

__all__ = ["MISA"]

_FEED_FORWARD, _TRANSFORMER_DROPOUT = 2048, 0.1  # the defaults of torch's transformer layer, which MISA's code leaves


class MISA(Network):
    """Modality-invariant and modality-specific representations.

    Parameters
    ----------
    widths, outputs
        See :class:`~trivium.fuse.network.Network`.
    pooled : tuple of str
        Modalities whose columns come from a language model: averaged, not read by LSTMs.
    size : int
        Columns of both spaces.
    heads : int
        Heads of the transformer layer, which divide `size`.
    dropout : float
        Between the last two layers.

    Examples
    --------
    >>> network = MISA({"text": 768, "audio": 5, "vision": 20}, size=8)
    >>> values = {m: torch.zeros(2, 5, d) for m, d in network.widths.items()}
    >>> outputs = network(values, {m: torch.ones(2, 5, dtype=torch.bool) for m in values})
    >>> [name for name in outputs if "audio" in name]
    ['raw_audio', 'private_audio', 'shared_audio', 'feature_audio', 'reconstruction_audio']
    """

    name: ClassVar[str] = "misa"

    def __init__(
        self,
        widths: Mapping[str, int],
        outputs: int = 1,
        *,
        pooled: Collection[str] = ("text",),
        size: int = 128,
        heads: int = 2,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(widths, outputs)
        self.pooled = check_modalities(pooled, self.widths, "pooled")
        self.encoders = nn.ModuleDict(
            {name: _TwoLSTMs(width) for name, width in self.widths.items() if name not in self.pooled}
        )
        columns = {name: width if name in self.pooled else 4 * width for name, width in self.widths.items()}
        self.projections = nn.ModuleDict({name: _Projection(width, size) for name, width in columns.items()})
        self.private = nn.ModuleDict({name: nn.Linear(size, size) for name in self.widths})
        self.shared = nn.Linear(size, size)
        self.decoders = nn.ModuleDict({name: nn.Linear(size, size) for name in self.widths})
        self.transformer = _TransformerLayer(size, heads)
        count = len(self.widths)
        self.first = nn.Linear(2 * count * size, count * size)
        self.dropout = Dropout(dropout)
        self.last = nn.Linear(count * size, outputs)

    def fuse(self, inputs: Mapping[str, Steps]) -> dict[str, Tensor]:
        """``prediction``, ``fused``, and five vectors per modality.

        ``raw_...`` is what decoders have to give back, ``feature_...`` what they are given: private plus shared.
        """
        private, shared, others = {}, {}, {}
        for name, steps in inputs.items():
            raw = self.projections[name](self._utterance(name, steps)) * steps.seen
            private[name] = self.private[name](raw).sigmoid() * steps.seen
            shared[name] = F.linear(raw, self.shared.weight, self.shared.bias).sigmoid() * steps.seen
            feature = private[name] + shared[name]
            others[f"raw_{name}"], others[f"private_{name}"], others[f"shared_{name}"] = (
                raw,
                private[name],
                shared[name],
            )
            others[f"feature_{name}"] = feature
            others[f"reconstruction_{name}"] = self.decoders[name](feature) * steps.seen
        tokens = self.transformer(torch.stack([*private.values(), *shared.values()], dim=1)).flatten(1)
        fused = F.relu(self.dropout(self.first(tokens)))
        return {"prediction": self.last(fused), **others, "fused": fused}

    def _utterance(self, name: str, steps: Steps) -> Tensor:
        vector: Tensor = mean_of_steps(steps) if name in self.pooled else self.encoders[name](steps)
        return vector


class _TwoLSTMs(nn.Module):
    """Two bidirectional LSTMs over seen steps; the last states of both, forwards before backwards."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lower, self.upper = BidirectionalLSTM(width, width), BidirectionalLSTM(2 * width, width)
        self.norm = nn.LayerNorm(2 * width)

    def forward(self, steps: Steps) -> Tensor:
        values, mask = compact(steps)
        length = mask.sum(dim=1)
        states, low = self.lower(values, length)
        _, high = self.upper(self.norm(states), length)
        return torch.cat([low, high], dim=2).flatten(1)


class _Projection(nn.Module):
    """Linear, ReLU, normalisation: an utterance's vector among the others."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(width, size), nn.LayerNorm(size)

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(F.relu(self.linear(x)), self.norm.normalized_shape, self.norm.weight, self.norm.bias)


class _TransformerLayer(nn.Module):
    """Self-attention and two layers, a normalisation after each residual."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.attention = Attention(size, heads, _TRANSFORMER_DROPOUT)
        self.first, self.second = nn.Linear(size, _FEED_FORWARD), nn.Linear(_FEED_FORWARD, size)
        self.norm_attention, self.norm_layers = nn.LayerNorm(size), nn.LayerNorm(size)
        self.dropout = Dropout(_TRANSFORMER_DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm_attention(x + self.dropout(self.attention(x, x)))
        hidden = self.second(self.dropout(F.relu(self.first(x))))
        return F.layer_norm(
            x + self.dropout(hidden), self.norm_layers.normalized_shape, self.norm_layers.weight, self.norm_layers.bias
        )
