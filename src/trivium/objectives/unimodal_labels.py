"""Self-supervised unimodal labels: every modality gets a label of its own, moved away from the common one by evidence.

Paper: Yu et al. (2021), Learning Modality-Specific Representations with Self-Supervised Multi-Task Learning for
Multimodal Sentiment Analysis (Self-MM), arXiv 2102.04830. Faithful to the public code: the features of all samples are
remembered, each modality has a centre of its positive and of its negative samples, and a label moves by how much nearer
to one centre the modality lies than the fused features do; the momentum, the weights tanh|y_s - y_m|, and the order
update, store, centres. Different: any number of modalities; a missing label stays missing; where one of the two centres
has no sample nothing is moved (the public code divides by zero there); ``formula="paper"`` takes the distances and the
shift of the paper, as far as they are known to us.

The labels belong to the training samples: on validation samples the loss is 0, so that selection looks at the task
alone. The first epoch moves nothing, hence all weights are 0 and the unimodal heads learn nothing in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from trivium.corpus import Specification
from trivium.errors import SpecificationError
from trivium.train import Objective, Outputs, TensorBatch, TrainingClock, require_weight

__all__ = ["Formula", "UnimodalLabels"]

Formula = Literal["code", "paper"]
_TINY = 1e-8
_FUSED = "fused"


class UnimodalLabels(Objective):
    r"""Label memory and the weighted absolute errors of the unimodal heads.

    With :math:`y_m` the label and :math:`y_s` that of modality s,
    :math:`L = \frac{1}{B} \sum_i \sum_s \tanh|y_s - y_m| \, |\hat y_s - y_s|`.
    With :math:`D^{\pm}` the distances from the centres of positive and negative samples and
    :math:`\delta = (D^- - D^+) / (D^+ + \epsilon)`, epoch n > 1 moves
    :math:`y_s \leftarrow \frac{n-1}{n+1} y_s + \frac{2}{n+1} y'` with
    :math:`y' = \frac12 \frac{\delta_s}{\delta_m + \epsilon} y_m + \frac12 (y_m + \delta_s - \delta_m)`, cut at the
    range.

    Reads the outputs ``prediction_MODALITY`` (B, 1), ``feature_MODALITY`` (B, D) and ``fused`` (B, E). It remembers the
    samples by row, so it refuses to be trained in several processes, where each would see a share of them.

    Parameters
    ----------
    label : str
        Key of the label of the whole.
    formula : {"code", "paper"}
        Distances and shift of the public code, or of the paper.
    exclude_zero : bool
        A sample is positive above 0; otherwise from 0 on.
    limit : float
        Labels stay within plus and minus this; 0 takes the range of the label.
    weight : float
        Factor in the sum of losses.

    Raises
    ------
    SpecificationError
        An option has no such value.

    Examples
    --------
    >>> from trivium.train import TensorBatch, TrainingClock
    >>> labels = UnimodalLabels("sentiment", limit=3)
    >>> labels.setup(Specification(()), 2)
    >>> batch = TensorBatch(torch.arange(2), {}, {}, {"sentiment": torch.tensor([1.0, -1.0])})
    >>> x = torch.tensor([[1.0], [-1.0]])
    >>> outputs = {"prediction_text": x, "feature_text": x, "fused": x}
    >>> labels.loss(outputs, batch, TrainingClock(0, 0)).item()
    0.0
    >>> labels.after_step(outputs, batch, TrainingClock(0, 0))
    >>> labels.labels("text").tolist()
    [1.0, -1.0]
    """

    name: ClassVar[str] = "unimodal_labels"

    def __init__(
        self,
        label: str,
        formula: Formula = "code",
        exclude_zero: bool = True,
        limit: float = 0.0,
        weight: float = 1.0,
    ) -> None:
        if formula not in get_args(Formula):
            raise SpecificationError(f"formula cannot be {formula!r}", remedy="choose from code, paper")
        if not 0 <= limit < math.inf:
            raise SpecificationError(f"limit cannot be {limit}", remedy="give a positive number, or 0")
        self.label, self.formula, self.exclude_zero = label, formula, exclude_zero
        self.limit, self.weight = limit, require_weight(self.name, weight)
        self._limit, self._n = limit, 0
        self._given = torch.zeros(0)
        self._labels: dict[str, Tensor] = {}
        self._features: dict[str, Tensor] = {}
        self._seen = torch.zeros(0, dtype=torch.bool)
        self._moved = 0.0

    def heads(self, outputs: Outputs) -> nn.Module | None:
        """None; raises where the network has no unimodal heads of one number."""
        _modalities(outputs)
        return None

    def setup(self, specification: Specification, n: int) -> None:
        """Forget everything; make room for `n` samples."""
        found = next((one.range for one in specification.labels if one.key == self.label), None)
        self._limit = self.limit or (max(abs(edge) for edge in found) if found else 0.0)
        if not self._limit:
            raise SpecificationError(f"{self.name}: the label {self.label} has no range", remedy="give limit=3")
        self._n, self._labels, self._features = n, {}, {}
        self._given = torch.full((n,), torch.nan)
        self._seen = torch.zeros(n, dtype=torch.bool)

    def labels(self, modality: str) -> Tensor:
        """Labels (N,) of a modality as they stand; NaN for samples that were not met yet or have no label."""
        return self._labels[modality].clone()

    def loss(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> Tensor:
        """Mean over the samples with a label; 0 on validation samples."""
        modalities = _modalities(outputs)
        whole = batch.labels[self.label].reshape(-1)
        known = ~torch.isnan(whole)
        heads = torch.stack([outputs[f"prediction_{name}"].reshape(-1) for name in modalities])
        if not clock.training or not bool(known.any()):
            return heads.sum() * 0.0
        own = torch.stack([self._own(name, batch, whole) for name in modalities])
        # missing labels are left out before anything is computed: the gradient of NaN times 0 is NaN
        heads, own, whole = heads[:, known], own[:, known], whole[known]
        weights = torch.tanh((own - whole).abs())
        return (weights * (heads - own).abs()).sum() / len(whole)

    def amount(self, batch: TensorBatch) -> float:
        """Number of samples whose label is known."""
        return float((~torch.isnan(batch.labels[self.label].reshape(-1))).sum())

    def _own(self, modality: str, batch: TensorBatch, whole: Tensor) -> Tensor:
        """Labels of a modality for the samples of a batch: those of the whole until they have been moved."""
        if modality not in self._labels:
            return whole
        kept = self._labels[modality].to(whole.device)[batch.rows]
        return torch.where(torch.isnan(kept), whole, kept)

    def after_step(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> None:
        """Move the labels of these samples, store their features; the centres follow from what is stored."""
        modalities = _modalities(outputs)
        rows = batch.rows.cpu()
        whole = batch.labels[self.label].reshape(-1).detach().cpu().float()
        features = {name: outputs[f"feature_{name}"].detach().cpu().float() for name in modalities}
        features[_FUSED] = outputs[_FUSED].detach().cpu().float()
        for name in modalities:
            self._labels.setdefault(name, torch.full((self._n,), torch.nan))[rows] = self._own(name, batch, whole)
        if clock.epoch > 0:
            self._move(rows, whole, features, clock.epoch + 1)
        for name, values in features.items():
            self._features.setdefault(name, torch.zeros(self._n, values.shape[1]))[rows] = values
        self._given[rows] = whole
        self._seen[rows] = True

    def _move(self, rows: Tensor, whole: Tensor, features: Mapping[str, Tensor], epoch: int) -> None:
        fused = self._lean(_FUSED, features[_FUSED], self._given)
        for name, labels in self._labels.items():
            own = self._lean(name, features[name], labels)
            if fused is None or own is None:
                continue
            if self.formula == "code":
                new = 0.5 * own / (fused + _TINY) * whole + 0.5 * (whole + own - fused)
            else:
                new = whole + (own - fused) / 2 * (whole + fused) / (fused + _TINY)
            new = new.clamp(-self._limit, self._limit)
            before = labels[rows]
            labels[rows] = (epoch - 1) / (epoch + 1) * before + 2 / (epoch + 1) * new
            self._moved = max(self._moved, float((labels[rows] - whole).abs().nan_to_num().max()))

    def _lean(self, name: str, features: Tensor, labels: Tensor) -> Tensor | None:
        """How much nearer to the positive centre than to the negative one; None where one of them has no sample."""
        positive = (labels > 0) if self.exclude_zero else (labels >= 0)
        sides = torch.stack([positive, labels < 0]).logical_and_(self._seen).float()
        counts = sides.sum(dim=1, keepdim=True)
        if name not in self._features or not bool(counts.all()):
            return None
        centres = sides @ self._features[name] / counts
        near, far = (self._distance(features, centre) for centre in centres)
        return (far - near) / (near + _TINY)

    def _distance(self, features: Tensor, centre: Tensor) -> Tensor:
        squared = (features - centre).square().sum(dim=1)
        return squared.sqrt() if self.formula == "code" else squared / features.shape[1] ** 0.5

    def measures(self) -> dict[str, float]:
        """Largest shift of a label in the epoch; at 0 the unimodal heads learn nothing."""
        moved, self._moved = self._moved, 0.0
        return {"largest_shift": moved}

    def state_dict(self) -> dict[str, Tensor]:
        """Labels, features, and which samples were met."""
        parts = {"given": self._given, "seen": self._seen}
        parts |= {f"label.{name}": tensor for name, tensor in self._labels.items()}
        return parts | {f"feature.{name}": tensor for name, tensor in self._features.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Inverse of :meth:`state_dict`."""
        if not state:
            return
        self._given, self._seen = state["given"].clone(), state["seen"].clone()
        self._labels = {k.removeprefix("label."): v.clone() for k, v in state.items() if k.startswith("label.")}
        self._features = {k.removeprefix("feature."): v.clone() for k, v in state.items() if k.startswith("feature.")}


def _modalities(outputs: Outputs) -> list[str]:
    found = [name.removeprefix("prediction_") for name in outputs if name.startswith("prediction_")]
    if not found or _FUSED not in outputs or any(f"feature_{name}" not in outputs for name in found):
        raise SpecificationError(
            "unimodal_labels: the network has no unimodal heads with features beside a fused one",
            remedy="take a network that gives prediction_MODALITY, feature_MODALITY and fused, such as self-mm",
        )
    if any(outputs[f"prediction_{name}"].shape[1] != 1 for name in found):
        raise SpecificationError(
            "unimodal_labels: the unimodal heads give several numbers, and a label of one is what is moved",
            remedy="learn a number, with the loss l1, mse or huber",
        )
    return found
