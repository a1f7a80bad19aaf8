"""Tuning: settings are tried on validation only, what is tried next follows from what was tried, and a run goes on.

The data that trials see holds no test row: neither training nor the tuner can reach one. Trials are compared by what
the protocol chooses by, on the validation fold; where that is the loss, by the loss of the task alone, or the weight of
an objective would be chosen for making the sum small. Trial 0 is what was given, unchanged: a choice has to beat it.

What is tried next is asked of Optuna's sampler (TPE: Bergstra et al., 2011, Algorithms for hyper-parameter
optimization), afresh for every trial, with the trials so far and a seed made of the tuner's and the trial's number. So
a run that was killed and started again tries what it would have tried.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from trivium.errors import DataError, DependencyError, SpecificationError, WeightsError
from trivium.evaluate.configuration import experiment_configuration
from trivium.evaluate.fitting import FittedFold, fit_folds
from trivium.evaluate.named_protocols import LOSS
from trivium.evaluate.plan import EvaluationPlan
from trivium.evaluate.protocols import Fold
from trivium.evaluate.test_fold import Data, sealed
from trivium.evaluate.tuning.space import Dimension, SearchSpace, with_settings
from trivium.files import read_json, write_json
from trivium.metrics import metric
from trivium.progress import progress_bar
from trivium.train import CHECKPOINT

__all__ = ["RECORD", "Trial", "Tuning", "learning_part", "tune"]

RECORD = "tuning.json"
"""What a folder of a tuning keeps."""

# What settings can bring about: refused, diverged, or an option that a network of torch cannot be built or run with.
_FAILURES = (DataError, SpecificationError, ValueError, TypeError, RuntimeError, ArithmeticError, AssertionError)
_TASKS = ("regression", "classes", "multilabel", "ordinal")


@dataclass(frozen=True)
class Trial:
    """One set of settings, tried.

    Parameters
    ----------
    number : int
        From 0; 0 is what was given.
    settings : mapping
        Values by name; empty for trial 0.
    value : float, optional
        On validation, a mean over seeds; None where the trial failed.
    epochs : float, optional
        Run, a mean over seeds.
    seconds : float
        CPU time.
    problem : str
        Why it failed.
    """

    number: int
    settings: Mapping[str, Any]
    value: float | None
    epochs: float | None
    seconds: float
    problem: str = ""


@dataclass(frozen=True, eq=False)
class Tuning:
    """What :func:`tune` gives.

    Parameters
    ----------
    trials : tuple of Trial
        In the order of their numbers.
    measure : str
        What they are compared by.
    higher_is_better : bool
        Of the measure.
    space : SearchSpace
        What could be tried.
    predictor : estimator
        With the settings of the best trial, not fitted.
    """

    trials: tuple[Trial, ...]
    measure: str
    higher_is_better: bool
    space: SearchSpace
    predictor: Any

    @property
    def best(self) -> Trial:
        """The best trial; of equal ones the first."""
        return _best(self.trials, self.higher_is_better)

    def rows(self) -> list[dict[str, Any]]:
        """One row per trial for a table: its value, the best so far, its settings."""
        found = []
        for trial in self.trials:
            tried = [t for t in self.trials[: trial.number + 1] if t.value is not None]
            best = _best(tried, self.higher_is_better).value if tried else None
            told: dict[str, Any] = {"trial": trial.number, "value": trial.value, "best": best, "epochs": trial.epochs}
            told |= {"cpu_seconds": trial.seconds, "problem": trial.problem}
            found.append(told | {one.name: trial.settings.get(one.name) for one in self.space.dimensions})
        return found


def _best(trials: Sequence[Trial], higher_is_better: bool) -> Trial:
    known = [trial for trial in trials if trial.value is not None]
    sign = -1.0 if higher_is_better else 1.0
    return min(known, key=lambda trial: (sign * (trial.value or 0.0), trial.number))


def learning_part(plan: EvaluationPlan[Data], fold: str | None = None) -> EvaluationPlan[Data]:
    """One fold of a plan without its test rows: what a tuner is given.

    Settings that were chosen on several folds at once would have been chosen on the test rows of each of them, since
    what one fold tests another learns from. So there is one fold, and the settings are for that fold.

    Parameters
    ----------
    plan : EvaluationPlan
        With its test rows.
    fold : str, optional
        Which one; may be left out where there is one.

    Returns
    -------
    EvaluationPlan
        Its data are the training and validation rows, its test fold is empty.

    Raises
    ------
    SpecificationError
        There are several folds and none is named, or none of that name.

    Examples
    --------
    >>> from trivium.corpus import Corpus, LabelSpecification, Specification, Utterance
    >>> from trivium.evaluate import named_protocol, plan_evaluation
    >>> label = LabelSpecification("mood", "regression", range=(-1.0, 1.0))
    >>> clips = [Utterance(n, labels={"mood": 0.2}, splits={"standard": n}) for n in ("train", "valid", "test")]
    >>> corpus = Corpus.from_utterances(clips, Specification((), (label,)))
    >>> plan = plan_evaluation(corpus, named_protocol("sims"), "mood")
    >>> learning_part(plan).data.ids.tolist()
    ['train', 'valid']
    """
    names = [one.name for one in plan.folds.folds]
    chosen = names[0] if fold is None and len(names) == 1 else fold
    if chosen not in names:
        problem = f"there is no fold {fold!r}" if fold is not None else f"the protocol has {len(names)} folds"
        raise SpecificationError(
            problem,
            remedy=f"name one of {', '.join(names)}: what one fold tests another learns from, so each needs settings "
            "of its own",
        )
    one = plan.folds.folds[names.index(chosen)]
    rows = np.concatenate([one.train, one.valid])
    train, valid = np.arange(len(one.train)), np.arange(len(one.train), len(rows))
    alone = Fold(one.name, train, np.empty(0, np.int64), valid, one.seed)
    told = f"{plan.folds.description}; fold {one.name}, without its test rows"
    folds = replace(plan.folds, description=told, folds=(alone,), clusters=plan.folds.clusters[rows])
    return replace(plan, folds=folds, data=sealed(plan.data, rows))


def tune(
    plan: EvaluationPlan[Data],
    predictor: Any,
    space: SearchSpace,
    *,
    trials: int = 30,
    seeds: Sequence[int] = (1111,),
    seed: int = 0,
    folder: str | os.PathLike[str] | None = None,
    show: bool = True,
) -> Tuning:
    """Try settings on validation and give the best.

    Parameters
    ----------
    plan : EvaluationPlan
        Of :func:`learning_part`: without test rows.
    predictor : SentimentRegressor or EmotionClassifier
        Not fitted; what the space does not name stays as it is.
    space : SearchSpace
        What may be tried.
    trials : int
        How many, beside trial 0, which is the predictor as given.
    seeds : sequence of int
        Of the training; a trial's value is the mean over them.
    seed : int
        Of the sampler.
    folder : path, optional
        Gets the record, and loss curves by trial; given again with the same settings, the tuning goes on where it was.
    show : bool
        Show progress.

    Raises
    ------
    SpecificationError
        The space names what the predictor does not have, the plan still holds test rows, or nothing is validated.
    WeightsError
        The folder holds a tuning of something else.
    DependencyError
        Optuna is not installed.
    """
    _require_no_test_rows(plan)
    space.require_known(predictor)
    sampler = _sampler()
    where = None if folder is None else Path(folder)
    told = _told(plan, predictor, space, seeds, seed)
    done = _recorded(where, told, space)
    with progress_bar("tuning", trials, show=show) as bar:
        bar.note("as given")
        bar.advance(min(max(len(done) - 1, 0), trials), worked=False)
        while len(done) <= trials:
            number = len(done)
            settings = {} if number == 0 else sampler(space, done, _is_higher(plan), _seed_of(seed, number))
            done.append(_tried(plan, predictor, number, settings, seeds, where))
            _record(where, told, done)
            bar.advance(1 if number else 0)  # what was given comes beside the trials that were asked for
            bar.note(_so_far(done, _is_higher(plan)))
    kept = tuple(done[: trials + 1])
    best = with_settings(predictor, _best(kept, _is_higher(plan)).settings)
    return Tuning(kept, _measure(plan), _is_higher(plan), space, best)


def _require_no_test_rows(plan: EvaluationPlan[Data]) -> None:
    if len(plan.folds.folds) != 1 or len(plan.folds.folds[0].test):
        raise SpecificationError("a tuner is given no test rows", remedy="give it learning_part(plan)")


def _measure(plan: EvaluationPlan[Data]) -> str:
    return "loss of the task" if plan.protocol.selection == LOSS else plan.protocol.selection


def _is_higher(plan: EvaluationPlan[Data]) -> bool:
    return plan.protocol.selection != LOSS and metric(plan.protocol.selection).higher_is_better


def _told(
    plan: EvaluationPlan[Data], predictor: Any, space: SearchSpace, seeds: Sequence[int], seed: int
) -> dict[str, Any]:
    """What must be the same for a tuning to go on; there may be more trials."""
    base = experiment_configuration(plan, predictor)
    return {**base, "space": space.to_json(), "seeds": list(seeds), "sampler_seed": seed, "measure": _measure(plan)}


def _recorded(where: Path | None, told: Mapping[str, Any], space: SearchSpace) -> list[Trial]:
    """Trials of an earlier start, their settings in the order of the space, which the file has sorted by name."""
    if where is None or not (where / RECORD).is_file():
        return []
    found = read_json(where / RECORD)
    theirs = found.get("told", {})
    if theirs != dict(told):
        names = sorted(key for key in {*told, *theirs} if told.get(key) != theirs.get(key))
        raise WeightsError(
            f"holds a tuning of something else ({', '.join(names)})", file=where, remedy="choose another folder"
        )
    names = [one.name for one in space.dimensions]
    return [
        Trial(**{**one, "settings": {name: one["settings"][name] for name in names if name in one["settings"]}})
        for one in found["trials"]
    ]


def _record(where: Path | None, told: Mapping[str, Any], done: Sequence[Trial]) -> None:
    if where is not None:
        write_json(where / RECORD, {"told": dict(told), "trials": [asdict(trial) for trial in done]})


def _tried(
    plan: EvaluationPlan[Data],
    predictor: Any,
    number: int,
    settings: Mapping[str, Any],
    seeds: Sequence[int],
    where: Path | None,
) -> Trial:
    """Train with some settings; what cannot be built or diverges is a failed trial, unless it is what was given."""
    folder = None if where is None else where / f"trial-{number:04d}"
    began = time.process_time()
    try:
        one = with_settings(predictor, settings)
        fitted = list(fit_folds(plan, one, seeds=seeds, folder=folder, show=False))
        value, problem = float(np.mean([_value(fold, plan.protocol.selection) for fold in fitted])), ""
        epochs: float | None = float(np.mean([fold.predictor.n_iter_ for fold in fitted]))
        problem = "" if math.isfinite(value) else f"the {_measure(plan)} is not defined"
    except _FAILURES as error:
        if number == 0:
            raise
        value, epochs, problem = math.nan, None, str(error) or type(error).__name__
    if number == 0 and problem:
        raise SpecificationError(problem, remedy="give a valid fold, or set validation_fraction above 0")
    for left in [] if folder is None else folder.rglob(CHECKPOINT):
        left.unlink()
    seconds = round(time.process_time() - began, 2)
    return Trial(number, dict(settings), None if problem else value, epochs, seconds, problem)


def _value(fitted: FittedFold[Data], selection: str) -> float:
    """What the kept epoch scored: the protocol's metric, or the loss of the task alone."""
    one = fitted.predictor
    if selection != LOSS or one.best_epoch_ < 0:
        return float(one.best_value_)
    row = one.loss_curves_[one.best_epoch_]
    named = [row[f"valid_{task}"] for task in _TASKS if f"valid_{task}" in row]
    return float(named[0] if named else row["valid_loss"])


def _seed_of(seed: int, number: int) -> int:
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def _so_far(done: Sequence[Trial], higher: bool) -> str:
    best = _best(done, higher)
    return f"best {best.value:.6g} (trial {best.number})"


def _sampler() -> Any:
    """Function that asks Optuna what to try next; import errors come before anything is trained."""
    try:
        import optuna
    except ImportError as cause:
        raise DependencyError("Optuna is not installed", remedy="pip install 'trivium[tune]'") from cause
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def ask(space: SearchSpace, done: Sequence[Trial], higher: bool, seed: int) -> dict[str, Any]:
        ranges = {one.name: _distribution(one) for one in space.dimensions}
        direction = optuna.study.StudyDirection.MAXIMIZE if higher else optuna.study.StudyDirection.MINIMIZE
        study = optuna.create_study(direction=direction, sampler=optuna.samplers.TPESampler(seed=seed))
        state = optuna.trial.TrialState
        for trial in done[1:]:
            study.add_trial(
                optuna.trial.create_trial(
                    state=state.FAIL if trial.value is None else state.COMPLETE,
                    value=trial.value,
                    params=dict(trial.settings),
                    distributions=ranges,
                )
            )
        return dict(study.ask(ranges).params)

    return ask


def _distribution(one: Dimension) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if one.kind == "choice":
        return CategoricalDistribution(one.values)
    low, high = one.values
    return IntDistribution(low, high) if one.kind == "int" else FloatDistribution(low, high, log=one.kind == "log")
