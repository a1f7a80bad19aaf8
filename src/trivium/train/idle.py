"""Objectives that change nothing, which is told, since neither the loss nor the weights show it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

from trivium.train.hooks import Objective

__all__ = ["tell_faint", "tell_silent"]

_FAINT = 1e-3
_EARLY = 2  # epochs in which an objective may not have begun
_LEVEL = 5  # of the caller of `Trainer.fit`


def tell_faint(objectives: Sequence[Objective], row: Mapping[str, float]) -> None:
    """Warn of objectives beside the first, the task, that are too small after the first epoch to change anything.

    One that is exactly 0 says nothing yet: there are such as begin in the second epoch (:func:`tell_silent`).

    Parameters
    ----------
    objectives : sequence of Objective
        The task first.
    row : mapping of str to float
        Losses of the first epoch.
    """
    sizes = [abs(one.weight * row.get(f"train_{one.name}", 0.0)) for one in objectives]
    for objective, size in zip(objectives[1:], sizes[1:], strict=True):
        if 0 < size < _FAINT * sizes[0]:
            warnings.warn(
                f"{objective.name} adds {size:.1e} to a task loss of {sizes[0]:.1e}: "
                "this objective changes nothing that can be seen; raise its weight",
                stacklevel=_LEVEL,
            )


def tell_silent(objectives: Sequence[Objective], curves: Sequence[Mapping[str, float]]) -> None:
    """Warn of objectives beside the task that were exactly 0 from the first epoch to the last.

    Two epochs tell nothing: labels of single modalities, for one, are moved in the second and looked at in the third.

    Parameters
    ----------
    objectives : sequence of Objective
        The task first.
    curves : sequence of mapping of str to float
        Losses by epoch.
    """
    for objective in objectives[1:]:
        if len(curves) > _EARLY and objective.weight and not any(row[f"train_{objective.name}"] for row in curves):
            warnings.warn(
                f"{objective.name} was 0 in every epoch and changed nothing: it found no two samples to compare in "
                "a batch, no modality that it is about, or labels on one side of 0 only",
                stacklevel=_LEVEL,
            )
