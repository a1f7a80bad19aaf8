"""Learning rates by epoch, as pure functions of the losses so far: a run that goes on needs no state of theirs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from trivium.errors import SpecificationError

__all__ = ["SCHEDULES", "Plateau", "Schedule", "constant", "plateau", "public_code", "schedule"]

Schedule: TypeAlias = Callable[[float, Sequence[float]], float]
"""(first learning rate, validation losses of the finished epochs) -> learning rate of the next epoch."""

_THRESHOLD, _SMALLEST_CHANGE = 1e-4, 1e-8


def constant(first: float, losses: Sequence[float]) -> float:
    """Keep the learning rate.

    Examples
    --------
    >>> constant(0.02, [0.5, 0.4])
    0.02
    """
    return first


@dataclass(frozen=True)
class Plateau:
    """Lower the learning rate whenever the loss has not fallen by 1e-4 of itself for some epochs.

    The rule and defaults are those of ``torch.optim.lr_scheduler.ReduceLROnPlateau`` (a test compares them). A call
    takes the learning rate of the first epoch and what is watched, one value per finished epoch, and gives the learning
    rate of the next one.

    Parameters
    ----------
    patience : int
        Epochs without a fall that are borne; the next one lowers the rate.
    factor : float
        What the rate is multiplied with, between 0 and 1.

    Raises
    ------
    SpecificationError
        One of them is out of its range.

    Examples
    --------
    >>> patient = Plateau(patience=10)
    >>> patient(0.02, [0.5] * 11), round(patient(0.02, [0.5] * 12), 6)
    (0.02, 0.002)
    """

    patience: int = 10
    factor: float = 0.1

    def __post_init__(self) -> None:
        if isinstance(self.patience, bool) or not isinstance(self.patience, int) or self.patience < 0:
            raise SpecificationError(f"patience cannot be {self.patience!r}", remedy="give a number of epochs")
        if not isinstance(self.factor, float) or not 0 < self.factor < 1:
            raise SpecificationError(f"factor cannot be {self.factor!r}", remedy="give a number between 0 and 1")

    def __call__(self, first: float, losses: Sequence[float]) -> float:
        """Learning rate after these losses."""
        rate, best, bad = first, float("inf"), 0
        for loss in losses:
            if loss < best * (1 - _THRESHOLD):
                best, bad = loss, 0
            else:
                bad += 1
            if bad > self.patience:
                bad = 0
                if rate - rate * self.factor > _SMALLEST_CHANGE:
                    rate *= self.factor
        return rate


plateau = Plateau()
"""Divide the learning rate by 10 after more than 10 epochs without a fall."""


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


def schedule(request: str) -> Schedule:
    """Schedule by name, with options where wanted: ``plateau:patience=5:factor=0.5``.

    Parameters
    ----------
    request : str
        A name of :data:`SCHEDULES`; `patience` and `factor` are options of the plateau alone.

    Raises
    ------
    SpecificationError
        There is no such schedule or option, or its value is out of range; the message names those that exist.

    Examples
    --------
    >>> schedule("constant") is constant, schedule("plateau:patience=5")
    (True, Plateau(patience=5, factor=0.1))
    """
    name, *pieces = request.split(":")
    if name not in SCHEDULES:
        raise SpecificationError(f"there is no schedule {name!r}", remedy=f"choose from {', '.join(SCHEDULES)}")
    if not pieces:
        return SCHEDULES[name]
    kinds: dict[str, Callable[[str], Any]] = {"patience": int, "factor": float} if name == "plateau" else {}
    options: dict[str, Any] = {}
    for piece in pieces:
        option, _, text = piece.partition("=")
        try:
            options[option] = kinds[option](text)
        except (KeyError, ValueError):
            raise SpecificationError(
                f"the schedule {name} has no option {piece!r}", remedy="write plateau:patience=EPOCHS:factor=SHARE"
            ) from None
    return Plateau(**options)
