"""What is said when a loss is not finite."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from trivium.errors import DataError
from trivium.train.hooks import Objective, TrainingClock
from trivium.train.samples import Samples, TensorBatch, sample_names

__all__ = ["diverged"]


def diverged(
    objectives: Sequence[Objective], parts: Tensor, batch: TensorBatch, clock: TrainingClock, samples: Samples
) -> DataError:
    """The error of a loss that is not finite: which objective's, where, and which samples are in the batch.

    Parameters
    ----------
    objectives : sequence of Objective
        K objectives.
    parts : tensor of shape (1 + K,)
        Their sum, then each one's loss.
    batch : TensorBatch
        Where it happened.
    clock : TrainingClock
        When.
    samples : Samples
        Give the names of the batch's rows.
    """
    named = zip(objectives, parts[1:].tolist(), strict=True)
    bad = ", ".join(f"{objective.name} is {loss}" for objective, loss in named if not math.isfinite(loss))
    for name, values in batch.values.items():
        rows = batch.rows[~torch.isfinite(values.float()).reshape(len(batch), -1).all(dim=1)]
        if len(rows):
            bad += f"; {name} is not finite in samples {', '.join(sample_names(samples, rows.cpu().numpy())[:6])}"
    names = sample_names(samples, batch.rows.cpu().numpy())
    fold = "" if clock.training else "validation "
    return DataError(
        f"a loss is not finite: {bad or 'their sum'}; the {fold}batch holds {', '.join(names)}",
        place=f"epoch {clock.epoch + 1}, step {clock.step + 1}",
        remedy="lower the learning rate, clip the gradients, or mend the samples that are named",
    )
