"""A run that diverges: which step broke it, and on which samples.

A step that ruins the weights is seen only by what comes after it: the loss of the next batch, the validation, or the
end of the epoch. The watch therefore remembers the samples of the last step, and blames them where the weights are no
longer finite; where they are, the batch whose loss is not finite is to blame itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from trivium.errors import DataError
from trivium.train.hooks import Objective, TrainingClock
from trivium.train.samples import Samples, TensorBatch, sample_names

__all__ = ["DivergenceWatch"]

_REMEDY = "lower the learning rate, clip the gradients, or mend the samples that are named"


class DivergenceWatch:
    """Raises a :class:`DataError` that names epoch, step and samples as soon as a run is seen to have diverged.

    Parameters
    ----------
    network : nn.Module
        Whose weights and buffers must stay finite.
    objectives : sequence of Objective
        Named where their losses are not finite.
    train : Samples
        What the steps are made on.

    Examples
    --------
    >>> import numpy as np
    >>> from trivium.corpus import Specification
    >>> from trivium.train.samples import ArraySamples
    >>> samples = ArraySamples(Specification(()), {"x": np.ones((2, 1, 1), np.float32)})
    >>> network = nn.Linear(1, 1)
    >>> watch = DivergenceWatch(network, [], samples)
    >>> watch.stepped([samples.batch(np.array([1]))], TrainingClock(0, 0))
    >>> _ = nn.init.constant_(network.weight, math.inf)
    >>> watch.weights()
    Traceback (most recent call last):
    ...
    trivium.errors.DataError: epoch 1, step 1: the weights are not finite after this step; its batch holds 1. ...
    """

    def __init__(self, network: nn.Module, objectives: Sequence[Objective], train: Samples) -> None:
        self._network, self._objectives, self._train = network, objectives, train
        self._last: tuple[list[TensorBatch], TrainingClock] | None = None

    def stepped(self, batches: list[TensorBatch], clock: TrainingClock) -> None:
        """Remember the batches that the optimiser has just used."""
        self._last = batches, clock

    def losses(self, total: Tensor, parts: Tensor, batch: TensorBatch, clock: TrainingClock, samples: Samples) -> None:
        """Raise where the weighted sum or a part is not finite.

        Parameters
        ----------
        total : tensor, scalar
            Weighted sum of the losses.
        parts : tensor (objectives,)
            Every objective's own.
        batch, clock, samples
            What they were measured on, and when.
        """
        if math.isfinite(float(total)) and bool(torch.isfinite(parts).all()):
            return
        self.weights()
        named = zip(self._objectives, parts.tolist(), strict=True)
        bad = ", ".join(f"{objective.name} is {loss}" for objective, loss in named if not math.isfinite(loss))
        for name, values in batch.values.items():
            rows = batch.rows[~torch.isfinite(values.float()).reshape(len(batch), -1).all(dim=1)]
            if len(rows):
                bad += f"; {name} is not finite in samples {', '.join(sample_names(samples, rows.cpu().numpy())[:6])}"
        fold = "" if clock.training else "validation "
        raise DataError(
            f"a loss is not finite: {bad or 'their sum'}; the {fold}batch holds {_named(samples, [batch])}",
            place=_place(clock),
            remedy=_REMEDY,
        )

    def gradients(self, norm: Tensor | None, batches: Sequence[TensorBatch], clock: TrainingClock) -> None:
        """Raise where the gradients of a step have no norm that they could be scaled by, before they are used.

        Parameters
        ----------
        norm : tensor, scalar
            Of all gradients of the step.
        batches, clock
            What they were computed from, and when.
        """
        if norm is not None and not bool(torch.isfinite(norm)):
            raise DataError(
                f"the norm of the gradients is not finite and cannot be clipped; the batch holds "
                f"{_named(self._train, batches)}",
                place=_place(clock),
                remedy="lower the learning rate, or mend the samples that are named",
            )

    def weights(self) -> None:
        """Raise where a weight is not finite, naming the last step."""
        for tensor in self._network.state_dict().values():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise self._broken("the weights are not finite")

    @torch.no_grad()
    def answers(self, module: nn.Module) -> None:
        """Raise where the network's outputs are not finite for the batch it has just learned from.

        Weights can be finite and of no use, such as 1e38. Where there is no validation to show it, this does; the
        random state is left as it was.

        Parameters
        ----------
        module : nn.Module
            The network as it is called; ends in the mode it was in.
        """
        if self._last is None:
            return
        batch, mode = self._last[0][-1], module.training
        device = batch.rows.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            module.eval()
            outputs: dict[str, Any] = module(batch)
            module.train(mode)
        if not all(bool(torch.isfinite(tensor).all()) for tensor in outputs.values() if tensor.is_floating_point()):
            raise self._broken("what the network answers is not finite")

    def _broken(self, what: str) -> DataError:
        if self._last is None:
            return DataError(f"{what} before the first step", remedy="begin with other weights")
        batches, clock = self._last
        return DataError(
            f"{what} after this step; its batch holds {_named(self._train, batches)}",
            place=_place(clock),
            remedy=_REMEDY,
        )


def _named(samples: Samples, batches: Sequence[TensorBatch]) -> str:
    return ", ".join(name for batch in batches for name in sample_names(samples, batch.rows.cpu().numpy()))


def _place(clock: TrainingClock) -> str:
    return f"epoch {clock.epoch + 1}, step {clock.step + 1}"
