"""What a probe predicts: one label of classes, or one or several labels of numbers, and the measures that suit them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Aligned, Corpus
from trivium.errors import DataError, SpecificationError
from trivium.metrics import METRICS

__all__ = ["Target", "require_known", "target_of"]

_SENTIMENT = ("acc2_has0", "acc2_non0", "f1_non0", "acc7")
_WORDS = {"classes": "a label of classes", "number": "one label of numbers", "numbers": "several numbers at once"}


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

    def measured_by(self, names: Sequence[str]) -> Target:
        """Take other measures.

        Parameters
        ----------
        names : sequence of str
            From :data:`trivium.metrics.METRICS`; the first one decides.

        Raises
        ------
        SpecificationError
            There is none, or one does not suit the label.
        """
        kind = self.task if self.task == "classes" or self.width > 1 else "number"
        suiting = [name for name, found in METRICS.items() if kind in found.suits]
        wrong = [name for name in names if name not in suiting]
        if wrong or not len(names):
            problem = f"there is no metric {wrong[0]!r} for {_WORDS[kind]}" if wrong else "no metric is asked for"
            raise SpecificationError(problem, remedy=f"choose from {', '.join(suiting)}")
        return replace(self, metrics=tuple(names))


def require_known(
    data: Aligned | Corpus, label: str | Sequence[str], group: str | None = None, split: str | None = None
) -> None:
    """Refuse names that a set does not have, before it is aligned and anything is fitted.

    Parameters
    ----------
    data : Aligned or Corpus
        N utterances.
    label : str or sequence of str
        Keys of labels.
    group, split : str, optional
        Names; None asks for none.

    Raises
    ------
    SpecificationError
        One does not exist; the message names those that do.

    Examples
    --------
    >>> from trivium.corpus import LabelSpecification, Specification
    >>> mood = LabelSpecification("mood", "binary", ("calm", "angry"))
    >>> require_known(Corpus.from_utterances([], Specification((), (mood,))), "mood")
    """
    for key in (label,) if isinstance(label, str) else label:
        data.specification.label(key)
    if group is not None:
        data.group(group)
    if split is not None:
        data.split(split)


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
        There is no label, one does not exist, or several hold classes.
    DataError
        A number is infinite.
    """
    keys = (label,) if isinstance(label, str) else tuple(label)
    if not keys:
        raise SpecificationError("no label is asked for", remedy="name one")
    specs = [data.specification.label(key) for key in keys]
    values = [data.label(key) for key in keys]
    if specs[0].kind in ("binary", "multiclass"):
        if len(keys) > 1:
            raise SpecificationError("several labels of classes at once", remedy="probe them one by one")
        return Target(keys, "classes", values[0], values[0] != "", ("uar", "accuracy", "weighted_f1"))
    if any(not s.is_number and s.kind != "multilabel" for s in specs):
        raise SpecificationError("numbers and classes at once", remedy="probe them one by one")
    numbers = np.concatenate([v.reshape(len(data), -1) for v in values], axis=1)
    if np.isinf(numbers).any():
        raise DataError(f"{', '.join(keys)} is infinite for {int(np.isinf(numbers).any(axis=1).sum())} utterances")
    names = tuple(
        n for s in specs for n in ([f"{s.key}:{c}" for c in s.classes] if s.kind == "multilabel" else [s.key])
    )
    if numbers.shape[1] > 1:
        metrics: tuple[str, ...] = ("mean_r", "mae")
    else:
        metrics = ("r", "mae", *(_SENTIMENT if specs[0].range == (-3.0, 3.0) else ()))
    return Target(names, "numbers", numbers, ~np.isnan(numbers).any(axis=1), metrics)
