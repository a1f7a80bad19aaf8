"""Which epoch is kept: by a metric of the validation predictions, in the terms of the task."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from trivium.metrics import metric
from trivium.objectives.task import Classes, Multilabel, Ordinal, TaskLoss
from trivium.train import Objective, Selection
from trivium.weights import expected_level

__all__ = ["LOSS", "selection_of"]

LOSS = "loss"
"""Selection by the lowest validation loss."""


def selection_of(name: str, task: Objective) -> Selection:
    """Metric as a rule of selection.

    Parameters
    ----------
    name : str
        In :data:`trivium.metrics.METRICS`. Classes are compared by number; of classes that may be true together the
        mean over the classes is taken, of ordered levels the expected one.
    task : TaskLoss
        Says what outputs mean, and which label they are compared with.

    Raises
    ------
    TriviumError
        There is no such metric.

    Examples
    --------
    >>> import torch
    >>> chosen = selection_of("accuracy", Classes("mood"))
    >>> chosen.of([(torch.tensor([1.0, 0.0]), torch.tensor([[0.1, 0.9], [0.4, 0.6]]))])
    0.5
    """
    found = metric(name)

    def score(labels: Tensor, outputs: Tensor) -> float:
        truth, said = labels.numpy(), outputs.numpy()
        if isinstance(task, Multilabel):
            columns = zip((truth > 0).T, (said > 0).T, strict=True)
            return float(np.mean([found.function(y, p) for y, p in columns]))
        if isinstance(task, Classes):
            return float(found.function(truth.astype(np.int64), said.argmax(axis=1)))
        if isinstance(task, Ordinal):
            levels = task.lowest + task.step * np.arange(said.shape[1] + 1)
            return float(found.function(truth, expected_level(said, levels.tolist())))
        return float(found.function(truth, said[:, 0]))

    return Selection(name, score, task.label if isinstance(task, TaskLoss) else "", found.higher_is_better)
