"""Where a training stands: what a checkpoint keeps of it, and what it gives in the end."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from trivium.train.hooks import TrainingClock

__all__ = ["TrainingRun"]


@dataclass
class TrainingRun:
    """Where a training stands, and in the end what it gave.

    Parameters
    ----------
    epoch, step : int
        Finished epochs and optimiser steps.
    best_epoch : int
        Epoch (from 0) whose weights the network holds, -1 before the first.
    best_loss : float
        Its validation loss; where a :class:`Selection` chooses, its score, with the sign that makes lower better.
    curves : list of mapping
        One row per epoch: ``epoch``, ``learning_rate``, ``train_loss``, ``valid_loss``, and both by objective where
        there are several.
    """

    epoch: int = 0
    step: int = 0
    best_epoch: int = -1
    best_loss: float = math.inf
    curves: list[dict[str, float]] = field(default_factory=list)

    def clock(self, *, training: bool = True) -> TrainingClock:
        """What objectives see of it."""
        return TrainingClock(self.epoch, self.step, training)

    @property
    def watched(self) -> list[float]:
        """Validation losses so far, or training losses where there is no validation."""
        return [row.get("valid_loss", row["train_loss"]) for row in self.curves]

    def close_epoch(self, row: dict[str, float], cost: float) -> bool:
        """Add an epoch's losses; True when its cost is the lowest so far."""
        self.curves.append(row)
        self.epoch += 1
        better = cost < self.best_loss
        if better:
            self.best_epoch, self.best_loss = self.epoch - 1, cost
        return better
