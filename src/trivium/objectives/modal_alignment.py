"""Modal alignment: the covariance matrices of two modalities' features are drawn together.

Paper: Lai et al. (2024), Shared and private information learning in multimodal sentiment analysis with deep modal
alignment and self-supervised multi-task learning, arXiv 2305.08473. Its abstract says that covariance matrices of two
modalities' features are compared, and that one may choose between which; there is no public code. Everything more exact
is a reconstruction: the distance is that of Deep CORAL (Sun and Saenko 2016), and the layer, the width, the scale and
the pairs are options. Our choices, where the paper is silent: all pairs, the features behind each unimodal head,
projected to 32 columns, which are standardised: without that the distance is that of Deep CORAL to the letter, and on
features of small variance, as networks give them, so small that it changes nothing.

What it is not: the distance does not change when the rows of one modality are shuffled, because a covariance is a sum
over the batch. It draws two populations together and is no evidence that anything shared was found; compare it with
``shuffled=true`` and with the objectives that see the pairing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from trivium.errors import SpecificationError
from trivium.objectives.distances import covariance, covariance_distance, standardised
from trivium.objectives.pairs import PairObjective
from trivium.train import Outputs, TensorBatch, TrainingClock

__all__ = ["ModalAlignment", "Scale"]

Scale = Literal["standard", "trace", "none"]
_TINY, _ROUNDING = 1e-20, 1e-6


class ModalAlignment(PairObjective):
    r"""Distance of covariance matrices: :math:`\sum_{ij} \lambda_{ij} \|C_i - C_j\|_F^2 / 4 d^2`.

    Minimising it may simply shrink the features, so the columns are standardised first (``scale="standard"``: matrices
    of correlations are compared), or every covariance is divided by its trace (``"trace"``); ``"none"`` compares the
    covariances as they are. The traces of the covariances before that are logged either way
    (``modal_alignment_trace_MODALITY`` in the loss curves); falling towards 0 they show a collapse.

    At width 32 with batches of 32, the distance of standardised columns is .016 for two samples of one population of
    independent columns, which is sampling noise, and .07 for two of different populations in 8 dimensions; unscaled, it
    is .017 and .08, but only for features of unit variance. It goes with the square of the variance: where variances
    are .01 it is 1e-5, and a weight of 1 does nothing that can be seen beside a task loss of about 1. A pair whose
    factor times the weight is negative is pushed apart, which is unbounded below, so its distance counts up to `cap`
    only.

    It is not the loss over all samples when they are split among processes, and is refused there.

    Parameters
    ----------
    pairs, layer, width, shuffled, weight
        See :class:`trivium.objectives.PairObjective`.
    scale : {"standard", "trace", "none"}
        What is taken out of the features' scale before they are compared. A distance of matrices of trace 1 is at most
        :math:`1 / 2 d^2`, 5e-4 at width 32, so ``trace`` asks for weights of thousands.
    memory : float
        Share, in [0, 1), of each covariance that comes from the batches before; steadies small batches.
    cap : float
        Largest distance that counts for a pair that is pushed apart. Only ``none`` reaches 1, the default; for the
        other scales choose it by what the loss curves show.

    Raises
    ------
    SpecificationError
        An option has no such value.

    Examples
    --------
    >>> from trivium.train import TensorBatch, TrainingClock
    >>> x = torch.tensor([[0.0, 1.0], [2.0, 1.0]])
    >>> batch = TensorBatch(torch.tensor([0, 1]), {}, {}, {})
    >>> alignment = ModalAlignment(width=0, scale="none")
    >>> alignment.loss({"feature_text": x, "feature_audio": x * 0}, batch, TrainingClock(0, 0)).item()  # 2^2 / (4 2^2)
    0.25
    """

    name: ClassVar[str] = "modal_alignment"
    capped: ClassVar[bool] = True

    def __init__(
        self,
        pairs: str = "",
        layer: str = "feature",
        width: int = 32,
        scale: Scale = "standard",
        memory: float = 0.0,
        cap: float = 1.0,
        shuffled: bool = False,
        weight: float = 1.0,
    ) -> None:
        super().__init__(pairs, layer, width, shuffled, weight)
        if scale not in get_args(Scale):
            raise SpecificationError(f"scale cannot be {scale!r}", remedy=f"choose from {', '.join(get_args(Scale))}")
        if not 0 <= memory < 1 or not 0 < cap < math.inf:
            raise SpecificationError(f"{self.name}: memory must lie in [0, 1), and cap be finite and above 0")
        self.scale, self.memory, self.cap = scale, memory, cap
        self._kept: dict[str, Tensor] = {}
        self._fresh: dict[str, Tensor] = {}
        self._seen: dict[str, float] = {}
        self._traces: dict[str, list[float]] = {}

    def loss(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> Tensor:
        """Weighted sum over the pairs."""
        self._fresh, self._seen = {}, {}
        total = super().loss(outputs, batch, clock)
        if clock.training:
            for name, trace in self._seen.items():
                self._traces.setdefault(name, []).append(trace)
        return total

    def apart(self, x: Tensor, y: Tensor, pair: tuple[str, str]) -> Tensor:
        """Distance of the covariances of (n, D) and (n, D)."""
        return covariance_distance(self._covariance(x, pair, 0), self._covariance(y, pair, 1))

    def weighted(self, distance: Tensor, factor: float) -> Tensor:
        """The distance with its factor; of a pair that is pushed apart, the distance up to the cap."""
        return factor * (distance.clamp(max=self.cap) if factor * self.weight < 0 else distance)

    def _covariance(self, x: Tensor, pair: tuple[str, str], side: int) -> Tensor:
        key = f"{pair[0]}+{pair[1]}.{pair[side]}"
        self._seen[pair[side]] = float(x.detach().var(dim=0).sum())
        own = covariance(standardised(x) if self.scale == "standard" else x)
        if self.memory and key in self._kept:
            own = (1 - self.memory) * own + self.memory * self._kept[key]
        self._fresh[key] = own.detach()
        if self.scale != "trace":
            return own
        noise = float(x.detach().abs().max()) * _ROUNDING  # constant columns differ by it
        return own / own.trace().clamp(min=max(_TINY, len(own) * noise**2))

    def after_backward(self, network: nn.Module, batch: TensorBatch, clock: TrainingClock) -> None:
        """Keep the covariances of this batch for the next ones, also those of the same step."""
        if self.memory:
            self._kept |= self._fresh

    def measures(self) -> dict[str, float]:
        """Mean trace of each modality's covariance over the epoch."""
        found = {f"trace_{name}": sum(values) / len(values) for name, values in sorted(self._traces.items())}
        self._traces = {}
        return found

    def state_dict(self) -> dict[str, Tensor]:
        """Covariances that are remembered."""
        return dict(self._kept)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Inverse of :meth:`state_dict`."""
        self._kept = {key: torch.as_tensor(value) for key, value in state.items()}
