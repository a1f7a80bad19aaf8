"""What the label asks for: losses between predictions and labels, for every kind of label.

A sample whose label is missing (NaN) adds nothing, and the mean is over the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, TypeAlias, get_args

import torch
from torch import Tensor
from torch.nn import functional

from trivium.errors import SpecificationError
from trivium.train import Objective, Outputs, TensorBatch, TrainingClock, require_weight

__all__ = ["Classes", "Distance", "Multilabel", "Ordinal", "Regression", "TaskLoss"]

Distance: TypeAlias = Literal["l1", "mse", "huber"]


class TaskLoss(Objective):
    """Mean loss of an output over the samples whose label is known; subclasses give the loss of every sample.

    Parameters
    ----------
    label : str
        Key of the label in the batch.
    output : str
        Which output of the network is compared with it.
    weight : float
        Factor in the sum of losses.
    """

    data_parallel: ClassVar[bool] = True

    def __init__(self, label: str, output: str = "prediction", weight: float = 1.0) -> None:
        self.label, self.output, self.weight = label, output, require_weight(self.name, weight)

    def loss(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> Tensor:
        """Mean over the samples whose label is known; 0 where there is none."""
        if self.output not in outputs:
            given = ", ".join(sorted(outputs))
            raise SpecificationError(f"the network does not give {self.output}", remedy=f"it gives {given}")
        output, label, known = outputs[self.output], batch.labels[self.label], self._known(batch)
        if not bool(known.any()):
            return output.sum() * 0.0
        losses, factors = self.by_sample(output[known], label[known]), self.factors(label[known])
        if factors is None:
            return losses.mean()
        return (losses * factors).sum() / factors.sum().clamp(min=torch.finfo(losses.dtype).tiny)

    def amount(self, batch: TensorBatch) -> float:
        """Number of samples whose label is known, or the sum of their factors."""
        known = self._known(batch)
        factors = self.factors(batch.labels[self.label][known])
        return float(known.sum() if factors is None else factors.sum())

    def by_sample(self, output: Tensor, label: Tensor) -> Tensor:
        """Losses (n,) of outputs (n, K) and known labels (n,) or (n, K)."""
        raise NotImplementedError

    def factors(self, label: Tensor) -> Tensor | None:
        """What each of n samples weighs in the mean (n,), by their known labels; None where all weigh the same."""
        return None

    def _known(self, batch: TensorBatch) -> Tensor:
        return ~torch.isnan(batch.labels[self.label].reshape(len(batch), -1)).any(dim=1)


class Regression(TaskLoss):
    """Distance of one predicted number from the label.

    Parameters
    ----------
    label, output, weight
        See :class:`TaskLoss`; the output has shape (B, 1).
    distance : {"l1", "mse", "huber"}
        Absolute, squared, or squared up to 1 and absolute beyond.

    Examples
    --------
    >>> from trivium.train import TensorBatch, TrainingClock
    >>> batch = TensorBatch(torch.arange(2), {}, {}, {"sentiment": torch.tensor([1.0, float("nan")])})
    >>> outputs = {"prediction": torch.tensor([[3.0], [9.0]])}
    >>> Regression("sentiment").loss(outputs, batch, TrainingClock(0, 0)).item()
    2.0
    """

    name: ClassVar[str] = "regression"

    def __init__(self, label: str, distance: Distance = "l1", output: str = "prediction", weight: float = 1.0) -> None:
        super().__init__(label, output, weight)
        if distance not in get_args(Distance):
            raise SpecificationError(
                f"distance cannot be {distance!r}", remedy=f"choose from {', '.join(get_args(Distance))}"
            )
        self.distance = distance

    def by_sample(self, output: Tensor, label: Tensor) -> Tensor:
        """Distance of every sample."""
        if self.distance == "huber":
            return functional.smooth_l1_loss(output[:, 0], label, reduction="none")
        error = output[:, 0] - label
        return error.abs() if self.distance == "l1" else error.square()


class Classes(TaskLoss):
    """Cross entropy of one class out of K.

    Parameters
    ----------
    label, output, weight
        See :class:`TaskLoss`; labels are class numbers, the output holds K scores before the softmax.
    class_weights : sequence of float
        Factor of the samples of each class, as for unbalanced classes; the mean is over their sum. Empty: all 1.

    Examples
    --------
    >>> from trivium.train import TensorBatch, TrainingClock
    >>> batch = TensorBatch(torch.arange(1), {}, {}, {"mood": torch.tensor([1.0])})
    >>> round(Classes("mood").loss({"prediction": torch.zeros(1, 2)}, batch, TrainingClock(0, 0)).item(), 4)
    0.6931
    """

    name: ClassVar[str] = "classes"

    def __init__(
        self, label: str, class_weights: Sequence[float] = (), output: str = "prediction", weight: float = 1.0
    ) -> None:
        super().__init__(label, output, weight)
        self.class_weights = tuple(class_weights)

    def by_sample(self, output: Tensor, label: Tensor) -> Tensor:
        """Cross entropy of every sample."""
        return functional.cross_entropy(output, label.long(), reduction="none")

    def factors(self, label: Tensor) -> Tensor | None:
        """Weights of the samples' classes."""
        if not self.class_weights:
            return None
        return torch.tensor(self.class_weights, dtype=torch.float32, device=label.device)[label.long()]


class Multilabel(TaskLoss):
    """Binary cross entropy of K classes that may be true together.

    Parameters
    ----------
    label, output, weight
        See :class:`TaskLoss`; labels (B, K) are shares between 0 and 1, the output holds K scores before the sigmoid.
        Intensities count as present above 0.
    class_weights : sequence of float
        Factor of the positive samples of each class. Empty: all 1.

    Examples
    --------
    >>> from trivium.train import TensorBatch, TrainingClock
    >>> batch = TensorBatch(torch.arange(1), {}, {}, {"emotions": torch.tensor([[1.0, 0.0]])})
    >>> round(Multilabel("emotions").loss({"prediction": torch.zeros(1, 2)}, batch, TrainingClock(0, 0)).item(), 4)
    0.6931
    """

    name: ClassVar[str] = "multilabel"

    def __init__(
        self, label: str, class_weights: Sequence[float] = (), output: str = "prediction", weight: float = 1.0
    ) -> None:
        super().__init__(label, output, weight)
        self.class_weights = tuple(class_weights)

    def by_sample(self, output: Tensor, label: Tensor) -> Tensor:
        """Mean over the classes, for every sample."""
        factors = torch.tensor(self.class_weights, dtype=output.dtype, device=output.device)
        return functional.binary_cross_entropy_with_logits(
            output,
            (label > 0).to(output.dtype),
            reduction="none",
            pos_weight=factors if self.class_weights else None,
        ).mean(dim=1)


class Ordinal(TaskLoss):
    """Ordered levels as K questions "is it above level k?", each a binary cross entropy.

    Parameters
    ----------
    label, output, weight
        See :class:`TaskLoss`; labels are numbers, the output holds K scores before the sigmoid, one for each level but
        the highest.
    lowest, step : float
        The levels are ``lowest``, ``lowest + step`` ... A label counts as the nearest of them; halfway between two,
        as the even multiple of the step, which is how Acc-7 rounds.

    Notes
    -----
    Source: Niu et al. (2016), Ordinal regression with multiple output CNN. The answers need not be ordered; the
    predicted class is there the number of questions answered yes, and the estimators here answer the expected level
    (:func:`trivium.weights.expected_level`).

    Raises
    ------
    SpecificationError
        The step is not above 0.

    Examples
    --------
    >>> from trivium.train import TensorBatch, TrainingClock
    >>> batch = TensorBatch(torch.arange(1), {}, {}, {"stars": torch.tensor([2.0])})
    >>> round(Ordinal("stars").loss({"prediction": torch.zeros(1, 4)}, batch, TrainingClock(0, 0)).item(), 4)
    0.6931
    >>> Ordinal("sentiment", lowest=-3.0).numbers(torch.tensor([-3.0, -0.4, 2.6]), 6).tolist()
    [0.0, 3.0, 6.0]
    """

    name: ClassVar[str] = "ordinal"

    def __init__(
        self, label: str, lowest: float = 0.0, step: float = 1.0, output: str = "prediction", weight: float = 1.0
    ) -> None:
        super().__init__(label, output, weight)
        if step <= 0:
            raise SpecificationError(f"levels cannot be {step} apart", remedy="give a step above 0")
        self.lowest, self.step = lowest, step

    def numbers(self, label: Tensor, highest: int) -> Tensor:
        """Numbers (n,) of the levels that labels are nearest to, from 0 to `highest`.

        Parameters
        ----------
        label : tensor (n,)
            Labels.
        highest : int
            Number of the highest level.
        """
        return ((label / self.step).round() - round(self.lowest / self.step)).clamp(0, highest)

    def by_sample(self, output: Tensor, label: Tensor) -> Tensor:
        """Mean over the questions, for every sample."""
        steps = torch.arange(output.shape[1], device=output.device)
        above = (self.numbers(label, output.shape[1])[:, None] > steps).to(output.dtype)
        return functional.binary_cross_entropy_with_logits(output, above, reduction="none").mean(dim=1)
