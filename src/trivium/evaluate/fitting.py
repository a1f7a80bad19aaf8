"""Predictors fitted on the folds of a protocol: what is learned from, what stops training, what stays closed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from trivium.corpus import Aligned
from trivium.errors import SpecificationError
from trivium.evaluate.configuration import experiment_configuration, noted
from trivium.evaluate.plan import EvaluationPlan
from trivium.evaluate.test_fold import Data, LearningFold, TestFold

__all__ = ["SEEDS", "FittedFold", "fit_folds", "fitted_on", "runs_of", "settled"]

SEEDS = (1111, 1112, 1113, 1114, 1115)
"""The five seeds of the field's bench (MMSA)."""

_MAY_CHANGE = ("max_epochs", "patience")  # of a run that goes on


@dataclass(frozen=True, eq=False)
class FittedFold(Generic[Data]):
    """A predictor trained on one fold with one seed; its test fold is still closed.

    Parameters
    ----------
    seed : int
        Of the run.
    name : str
        Of the fold.
    predictor : estimator
        Fitted.
    learning : LearningFold
        What it was given.
    door : TestFold
        The test rows, behind their door.
    """

    seed: int
    name: str
    predictor: Any
    learning: LearningFold[Data]
    door: TestFold[Data]


def fit_folds(
    plan: EvaluationPlan[Data],
    predictor: Any,
    *,
    seeds: Sequence[int] = SEEDS,
    folder: str | os.PathLike[str] | None = None,
    resume: bool = True,
    show: bool = True,
) -> Iterator[FittedFold[Data]]:
    """Train on every fold with every seed, one after the other; test folds stay closed.

    Parameters
    ----------
    plan, predictor, seeds, show
        As in :func:`train_and_score`.
    folder : path, optional
        Gets a checkpoint and loss curves for every run, from which a run that was killed goes on.
    resume : bool
        False starts anew whatever is in the folder.

    Raises
    ------
    WeightsError
        The folder holds runs with other settings, the number of epochs and the patience aside.
    """
    whole = None if folder is None else Path(folder)
    told = experiment_configuration(plan, predictor)
    lasting = {k: v for k, v in told["parameters"].items() if k not in _MAY_CHANGE}
    with noted(whole, told | {"parameters": lasting}, resume=resume):
        for seed, learning, door, where in runs_of(plan, seeds, whole):
            yield fitted_on(plan, settled(plan, predictor, seed, where, resume, show), learning, door)


def runs_of(
    plan: EvaluationPlan[Data], seeds: Sequence[int], folder: Path | None
) -> Iterator[tuple[int, LearningFold[Data], TestFold[Data], Path | None]]:
    """Every seed on every fold, and the folder of the run.

    Parameters
    ----------
    plan : EvaluationPlan
        Gives the folds.
    seeds : sequence of int
        Of the runs; at least one, each once.
    folder : path, optional
        Of the whole experiment.

    Raises
    ------
    SpecificationError
        There is no seed, or one is there twice.
    """
    if not len(seeds) or len(set(seeds)) < len(seeds):
        raise SpecificationError(f"seeds are {list(seeds)}", remedy="give at least one, each once")
    for seed in seeds:
        for learning, door in plan.runs(seed):
            where = None if folder is None else folder / f"seed-{seed}" / f"fold-{learning.name.replace('/', '_')}"
            yield seed, learning, door, where


def settled(plan: EvaluationPlan[Data], predictor: Any, seed: int, where: Path | None, resume: bool, show: bool) -> Any:
    """A clone with what the plan and the run decide.

    Parameters
    ----------
    plan : EvaluationPlan
        Gives label and rule of selection.
    predictor : estimator
        With the settings of the experiment.
    seed : int
        Of the run.
    where : path, optional
        Its folder.
    resume, show : bool
        Whether it goes on from a checkpoint there; whether it shows progress.
    """
    return clone(predictor).set_params(
        label=plan.label,
        random_state=seed,
        selection=plan.protocol.selection,
        folder=where,
        resume=resume and where is not None,
        progress=show,
    )


def fitted_on(
    plan: EvaluationPlan[Data], one: Any, learning: LearningFold[Data], door: TestFold[Data]
) -> FittedFold[Data]:
    """One run trained on what a fold gives to learn from; its test rows stay closed.

    Parameters
    ----------
    plan : EvaluationPlan
        Gives label and protocol.
    one : estimator
        Of :func:`settled`; it is fitted.
    learning : LearningFold
        Its rows.
    door : TestFold
        Handed on.
    """
    y = _target(plan, learning.train)
    if learning.valid is not None and len(learning.valid):
        one.fit(learning.train, y, validation=(learning.valid, _target(plan, learning.valid)))
    else:
        one.fit(learning.train, y, groups=_kept_together(plan, one, learning.train))
    return FittedFold(one.random_state, learning.name, one, learning, door)


def _target(plan: EvaluationPlan[Data], data: Data) -> NDArray[Any]:
    """Labels to learn; of several classes at once, whether each is above the protocol's threshold."""
    values = data.label(plan.label)
    if not plan.protocol.is_multilabel:
        return values
    return np.where(np.isnan(values), values, values > (plan.protocol.threshold or 0.0))


def _kept_together(plan: EvaluationPlan[Data], predictor: Any, train: Data) -> NDArray[np.str_] | None:
    """Groups that the early-stopping fold keeps on one side: what the protocol holds apart, where it is known."""
    name = predictor.validation_groups or plan.protocol.held_apart or plan.protocol.group
    columns = list(train.table) if isinstance(train, Aligned) else train.column_names()
    return train.group(name) if predictor.validation_groups or f"group.{name}" in columns else None
