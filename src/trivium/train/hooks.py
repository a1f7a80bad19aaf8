"""What plugs into the training loop: objectives, and the clock they read.

The order of calls is part of the contract, because some objectives remember what they saw:

0. before there is an optimiser: ``heads(outputs)`` with the outputs of a first batch, for objectives that train layers
   of their own; what they give is joined to the network (:class:`WithHeads`);
1. once: ``setup(specification, n)``, then ``load_state_dict`` where a run goes on;
2. for every batch: ``steps(batch)`` of the one objective that owns the steps, if any, else the batch itself; the
   network; ``loss`` of every objective, in the order they were given; one backward pass; ``after_backward``;
3. at the end of a group of accumulated batches: ``before_step``, the optimiser's step, then for every batch of the
   group ``after_step`` (where a label memory updates its labels, stores them, then moves its centres);
4. at the end of an epoch: validation (``loss`` without gradients, the network in evaluation mode), ``measures`` for the
   loss curves, ``epoch_end``, and the checkpoint, which holds ``state_dict`` of every objective;
5. once, with the best weights in place: ``task_end``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from torch import Tensor, nn

from trivium.corpus import Specification
from trivium.errors import SpecificationError
from trivium.train.samples import TensorBatch

__all__ = ["Objective", "Outputs", "TrainingClock", "WithHeads", "require_weight"]

Outputs: TypeAlias = Mapping[str, Tensor]
"""What a network gives, by name: ``representation``, ``reconstruction``, ``prediction`` ..."""


@dataclass(frozen=True)
class TrainingClock:
    """Where training stands.

    Parameters
    ----------
    epoch : int
        Epochs finished before this one.
    step : int
        Optimiser steps done so far, over all epochs.
    training : bool
        False while a validation loss is computed.
    """

    epoch: int
    step: int
    training: bool = True


class Objective:
    """A loss and, where needed, state and hooks; see the order of calls at the head of this module.

    Subclasses set `name` (its column in the loss curves), `weight` (its factor in the sum of losses) and
    `data_parallel` (whether the mean of its losses over processes is the loss over all samples; where it is not,
    training in several processes is refused).

    Examples
    --------
    >>> class Smaller(Objective):
    ...     name = "smaller"
    ...     def loss(self, outputs, batch, clock):
    ...         return outputs["representation"].square().mean()
    >>> Smaller().owns_steps
    False
    """

    name: ClassVar[str]
    data_parallel: ClassVar[bool] = False
    weight: float = 1.0

    def loss(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> Tensor:
        """Loss of one batch, a scalar: a mean over its samples."""
        raise NotImplementedError

    def amount(self, batch: TensorBatch) -> float:
        """How much one batch weighs in the mean over several; the number of its samples.

        An objective whose mean is over some samples only, or weighs them, says so here. The loss of accumulated
        batches, of an epoch and of several processes is then the loss of all their samples at once.

        Parameters
        ----------
        batch : TensorBatch
            Of B samples.
        """
        return float(len(batch))

    def heads(self, outputs: Outputs) -> nn.Module | None:
        """Layers of its own, trained with the network: a module that gives further outputs from the network's.

        Parameters
        ----------
        outputs : mapping of str to tensor
            What the network gives for some batch; tells the widths.
        """
        return None

    def setup(self, specification: Specification, n: int) -> None:
        """Prepare for `n` training samples of this specification."""

    def steps(self, batch: TensorBatch) -> Iterable[TensorBatch]:
        """Give the batches, each with a step of its own, that one batch becomes; one objective at most says so."""
        return (batch,)

    def after_backward(self, network: nn.Module, batch: TensorBatch, clock: TrainingClock) -> None:
        """Read or change gradients of one batch."""

    def before_step(self, network: nn.Module, clock: TrainingClock) -> None:
        """Read or change the gradients that the optimiser is about to use."""

    def after_step(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> None:
        """Remember something of a batch whose gradients have been used; `outputs` carry no graph."""

    def epoch_end(self, network: nn.Module, clock: TrainingClock) -> None:
        """Close an epoch."""

    def measures(self) -> Mapping[str, float]:
        """Numbers of the epoch that ends, for the loss curves; called once an epoch."""
        return {}

    def task_end(self, network: nn.Module, clock: TrainingClock) -> None:
        """Close the training on these samples; others may follow."""

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that a run which goes on must know."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Inverse of :meth:`state_dict`."""

    @property
    def owns_steps(self) -> bool:
        """Whether this objective turns a batch into steps of its own."""
        return type(self).steps is not Objective.steps


def require_weight(name: str, weight: float, *, negative: bool = False) -> float:
    """The weight of an objective, checked.

    Parameters
    ----------
    name : str
        Of the objective, for the message.
    weight : float
        Factor in the sum of losses.
    negative : bool
        Whether it may be below 0, which makes the loss larger; only of losses that are bounded above.

    Raises
    ------
    SpecificationError
        It is not finite, or below 0 where it may not be.

    Examples
    --------
    >>> require_weight("regression", 0.5)
    0.5
    """
    if not math.isfinite(weight) or (weight < 0 and not negative):
        least = "finite number" if negative else "number of at least 0"
        raise SpecificationError(f"{name}: weight cannot be {weight}", remedy=f"give a {least}")
    return weight


class WithHeads(nn.Module):
    """A network and the heads of its objectives, trained together.

    Parameters
    ----------
    network : nn.Module
        Takes a batch, gives outputs.
    heads : iterable of nn.Module
        Each takes the network's outputs and gives further ones.

    Examples
    --------
    >>> class Doubles(nn.Module):
    ...     def forward(self, outputs):
    ...         return {"double": 2 * outputs["prediction"]}
    >>> class Two(nn.Module):
    ...     def forward(self, batch):
    ...         return {"prediction": 2.0}
    >>> WithHeads(Two(), [Doubles()])(None)
    {'prediction': 2.0, 'double': 4.0}
    """

    def __init__(self, network: nn.Module, heads: Iterable[nn.Module]) -> None:
        super().__init__()
        self.network = network
        self.heads = nn.ModuleList(heads)

    def forward(self, batch: TensorBatch) -> dict[str, Tensor]:
        """Outputs of the network and of all heads."""
        outputs = dict(self.network(batch))
        further = [head(outputs) for head in self.heads]
        return outputs | {name: tensor for found in further for name, tensor in found.items()}
