"""Learning rates by epoch, as pure functions of the losses so far: a run that goes on needs no state of theirs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from trivium.errors import SpecificationError

__all__ = ["SCHEDULES", "Schedule", "constant", "plateau", "public_code", "schedule"]

Schedule: TypeAlias = Callable[[float, Sequence[float]], float]
"""(first learning rate, validation losses of the finished epochs) -> learning rate of the next epoch."""

_FACTOR, _PATIENCE, _THRESHOLD, _SMALLEST_CHANGE = 0.1, 10, 1e-4, 1e-8


def constant(first: float, losses: Sequence[float]) -> float:
    """Keep the learning rate.

    Examples
    --------
    >>> constant(0.02, [0.5, 0.4])
    0.02
    """
    return first


def plateau(first: float, losses: Sequence[float]) -> float:
    """Divide the learning rate by 10 whenever the loss has not fallen by 1e-4 of itself for more than 10 epochs.

    The rule and defaults are those of ``torch.optim.lr_scheduler.ReduceLROnPlateau`` (a test compares them).

    Parameters
    ----------
    first : float
        Learning rate of the first epoch.
    losses : sequence of float
        What is watched, one value per finished epoch.

    Examples
    --------
    >>> plateau(0.02, [0.5] * 11), round(plateau(0.02, [0.5] * 12), 6)
    (0.02, 0.002)
    """
    rate, best, bad = first, float("inf"), 0
    for loss in losses:
        if loss < best * (1 - _THRESHOLD):
            best, bad = loss, 0
        else:
            bad += 1
        if bad > _PATIENCE:
            bad = 0
            if rate - rate * _FACTOR > _SMALLEST_CHANGE:
                rate *= _FACTOR
    return rate


def public_code(first: float, losses: Sequence[float]) -> float:
    """Divide the learning rate by 10 after 12 epochs and then after every 11, whatever the losses.

    The public code of Koromilas & Giannakopoulos (2021) hands the epoch's number to the plateau rule in place of the
    loss. That number only grows, so the rule never sees an improvement.

    Examples
    --------
    >>> [round(public_code(0.02, [0.0] * epochs), 6) for epochs in (0, 11, 12, 22, 23)]
    [0.02, 0.02, 0.002, 0.002, 0.0002]
    """
    return plateau(first, range(len(losses)))


SCHEDULES: dict[str, Schedule] = {"public-code": public_code, "plateau": plateau, "constant": constant}


def schedule(name: str) -> Schedule:
    """Schedule by name; the error lists the names.

    Examples
    --------
    >>> schedule("constant") is constant
    True
    """
    if name not in SCHEDULES:
        raise SpecificationError(f"there is no schedule {name!r}", remedy=f"choose from {', '.join(SCHEDULES)}")
    return SCHEDULES[name]
