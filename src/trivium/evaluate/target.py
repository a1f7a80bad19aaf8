"""What a probe predicts: one label of classes, or one or several labels of numbers, and the measures that suit them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Aligned
from trivium.errors import SpecificationError

__all__ = ["Target", "target_of"]

_SENTIMENT = ("acc2_has0", "acc2_non0", "f1_non0", "acc7")


@dataclass(frozen=True, eq=False)
class Target:
    """What is predicted.

    Parameters
    ----------
    label : tuple of str
        One label, or several numbers at once.
    task : str
        ``classes`` or ``numbers``.
    values : array of shape (N,) or (N, K)
        Class names, or numbers.
    known : bool array of shape (N,)
        Where there is a label.
    metrics : tuple of str
        The first one decides.
    """

    label: tuple[str, ...]
    task: str
    values: NDArray[Any]
    known: NDArray[np.bool_]
    metrics: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes that occur, sorted; empty for numbers."""
        return tuple(np.unique(self.values[self.known]).tolist()) if self.task == "classes" else ()

    @property
    def width(self) -> int:
        """Numbers that a readout gives by utterance: one per class, or one per label."""
        return len(self.classes) or int(self.values.shape[1])


def target_of(data: Aligned, label: str | Sequence[str]) -> Target:
    """Labels of a set and the measures that suit them.

    Parameters
    ----------
    data : Aligned
        N utterances.
    label : str or sequence of str
        Label key, or several of numbers.

    Raises
    ------
    SpecificationError
        A label does not exist, or several hold classes.
    """
    keys = (label,) if isinstance(label, str) else tuple(label)
    specs = [data.specification.label(key) for key in keys]
    values = [data.label(key) for key in keys]
    if specs[0].kind in ("binary", "multiclass"):
        if len(keys) > 1:
            raise SpecificationError("several labels of classes at once", remedy="probe them one by one")
        return Target(keys, "classes", values[0], values[0] != "", ("uar", "accuracy", "weighted_f1"))
    if any(not s.is_number and s.kind != "multilabel" for s in specs):
        raise SpecificationError("numbers and classes at once", remedy="probe them one by one")
    numbers = np.concatenate([v.reshape(len(data), -1) for v in values], axis=1)
    names = tuple(
        n for s in specs for n in ([f"{s.key}:{c}" for c in s.classes] if s.kind == "multilabel" else [s.key])
    )
    if numbers.shape[1] > 1:
        metrics: tuple[str, ...] = ("mean_r", "mae")
    else:
        metrics = ("r", "mae", *(_SENTIMENT if specs[0].range == (-3.0, 3.0) else ()))
    return Target(names, "numbers", numbers, ~np.isnan(numbers).any(axis=1), metrics)
