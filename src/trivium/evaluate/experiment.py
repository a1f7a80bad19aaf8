"""Experiments: a predictor trained on the folds of a protocol with several seeds, then scored, and every read counted.

Training is handed a :class:`trivium.evaluate.LearningFold`, which holds none of the test rows; the epoch that is kept
is chosen by the protocol's rule on validation; a test fold is opened once per seed, after its training, and the read is
recorded. With a folder, an experiment that was killed goes on: what is finished is neither trained nor read again, and
the run that was under way goes on from its checkpoint.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trivium.errors import SpecificationError
from trivium.evaluate.answers import answers_of
from trivium.evaluate.configuration import (
    configuration_of,
    data_content,
    experiment_configuration,
    noted,
    other_settings,
    reads_of,
    reads_sentence,
)
from trivium.evaluate.fitting import SEEDS, FittedFold, fit_folds, fitted_on, runs_of, settled
from trivium.evaluate.plan import EvaluationPlan
from trivium.evaluate.predictions import PredictionTable, joined_tables, read_predictions, write_predictions
from trivium.evaluate.said import said_of
from trivium.evaluate.scorecard import Scorecard, score_answers
from trivium.evaluate.test_fold import Data, ReadCount
from trivium.files import write_json
from trivium.progress import progress_bar

__all__ = [
    "SEEDS",
    "Experiment",
    "FittedFold",
    "FoldRun",
    "configuration_of",
    "data_content",
    "experiment_configuration",
    "fit_folds",
    "joined_tables",
    "reads_of",
    "reads_sentence",
    "said_of",
    "train_and_score",
    "validate",
]

_PREDICTIONS = "predictions.parquet"


@dataclass(frozen=True, eq=False)
class FoldRun:
    """One seed on one fold, finished.

    Parameters
    ----------
    seed : int
        Of the run.
    fold : str
        Its name.
    table : PredictionTable
        Predictions of the test rows.
    valid : float
        What the kept epoch scored on validation, by the protocol's rule; NaN where there was no validation.
    best_epoch, epochs : int
        The epoch (from 0) whose weights predict, and how many were run.
    """

    seed: int
    fold: str
    table: PredictionTable
    valid: float
    best_epoch: int
    epochs: int


@dataclass(frozen=True, eq=False)
class Experiment:
    """What :func:`train_and_score` gives.

    Parameters
    ----------
    card : Scorecard
        The protocol's numbers: by seed, their mean and spread, intervals over clusters; the count of reads is a note.
    table : PredictionTable
        All predictions; the form of `trivium score`.
    runs : tuple of FoldRun
        By seed and fold.
    reads : dict of str to ReadCount
        By fold.
    """

    card: Scorecard
    table: PredictionTable
    runs: tuple[FoldRun, ...]
    reads: Mapping[str, ReadCount]

    @property
    def valid(self) -> float:
        """Mean over seeds and folds of what the kept epochs scored on validation."""
        return float(np.mean([run.valid for run in self.runs]))


def train_and_score(
    plan: EvaluationPlan[Data],
    predictor: Any,
    *,
    seeds: Sequence[int] = SEEDS,
    folder: str | os.PathLike[str] | None = None,
    resamples: int = 1000,
    show: bool = True,
) -> Experiment:
    """Train on every fold with every seed, predict its test rows once, and score all of it by the protocol.

    Parameters
    ----------
    plan : EvaluationPlan
        Of :func:`trivium.evaluate.plan_evaluation`: label, protocol, folds, and where reads are recorded.
    predictor : SentimentRegressor or EmotionClassifier
        Not fitted; its settings are the configuration. It is cloned for every run, which gets the seed, the folder and
        the protocol's rule of selection.
    seeds : sequence of int
        Of the runs.
    folder : path, optional
        Gets ``predictions.csv``, ``scores.json`` and, by seed and fold, loss curves and predictions. Given again with
        the same settings, it goes on where it was. None keeps the disk clean.
    resamples : int
        Of the bootstrap behind the intervals; 0 for none.
    show : bool
        Show progress.

    Raises
    ------
    WeightsError
        The folder holds runs with other settings.
    SpecificationError
        The predictor cannot predict such a label, or there is no seed.
    DataError
        A fold cannot be learned from, or training diverges.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from trivium.corpus import Aligned, LabelSpecification, Specification, StreamSpecification
    >>> from trivium.evaluate import ReadLedger, named_protocol, plan_evaluation
    >>> from trivium.predict import SentimentRegressor
    >>> spec = Specification(
    ...     (StreamSpecification("audio", ("f0", "energy"), clock="words"),),
    ...     (LabelSpecification("mood", "regression", range=(-1.0, 1.0)),),
    ... )
    >>> rng = np.random.default_rng(0)  # synthetic
    >>> x = rng.standard_normal((40, 3, 2)).astype(np.float32)
    >>> table = {"label.mood": np.tanh(x[:, :, 0].mean(axis=1)), "split.fixed": np.array(["train", "test"] * 20)}
    >>> corpus = Aligned.from_arrays(x, spec, table=table)
    >>> with tempfile.TemporaryDirectory() as home:
    ...     ledger = ReadLedger(home + "/reads.jsonl")
    ...     plan = plan_evaluation(corpus, named_protocol("regression"), "mood", ledger=ledger)
    ...     done = train_and_score(plan, SentimentRegressor("concat", max_epochs=2), seeds=[1, 2], show=False)
    >>> [line.measure.name for line in done.card.lines], len(done.table), str(done.reads["test"])[:47]
    (['r', 'mae'], 40, 'This configuration read this test fold 2 times;')
    """
    where = None if folder is None else Path(folder)
    told = experiment_configuration(plan, predictor)
    with noted(where, told):
        runs = tuple(_finished_runs(plan, predictor, seeds, where, told, show))
    reads = reads_of(plan, told, seeds)
    table = joined_tables([run.table for run in runs], {"configuration": told, "test_reads": reads_sentence(reads)})
    answers = answers_of(table, plan.protocol)
    card = score_answers(answers, plan.protocol, times=resamples, provenance=table.provenance)
    if where is not None:
        write_predictions(where / "predictions.csv", table)
        write_json(where / "scores.json", card.to_json())
    return Experiment(card, table, runs, reads)


def validate(
    plan: EvaluationPlan[Data],
    predictor: Any,
    *,
    seeds: Sequence[int] = SEEDS[:1],
    folder: str | os.PathLike[str] | None = None,
    show: bool = True,
) -> float:
    """Train on the folds and give what the kept epochs scored on validation; no test fold is opened.

    For choosing settings: lower is better where the protocol chooses by loss, otherwise as the metric says.

    Parameters
    ----------
    plan, predictor, seeds, folder, show
        As in :func:`train_and_score`; the folder gets checkpoints and loss curves.

    Raises
    ------
    SpecificationError
        A fold has no validation rows and the predictor holds none out.
    """
    fitted = fit_folds(plan, predictor, seeds=seeds, folder=folder, show=show)
    values = [float(one.predictor.best_value_) for one in fitted]
    if np.isnan(values).any():
        raise SpecificationError(
            "nothing was validated", remedy="set validation_fraction above 0, or give a valid fold"
        )
    return float(np.mean(values))


def _finished_runs(
    plan: EvaluationPlan[Data],
    predictor: Any,
    seeds: Sequence[int],
    folder: Path | None,
    told: Mapping[str, Any],
    show: bool,
) -> Iterator[FoldRun]:
    total = sum(len(plan.folds.of_seed(seed)) for seed in seeds)
    with progress_bar("training", total, show=show and total > 1) as bar:
        for seed, learning, door, where in runs_of(plan, seeds, folder):
            bar.note(f"seed {seed}, fold {learning.name}")
            run = _stored(where, seed, learning.name, told)
            if run is None:
                one = settled(plan, predictor, seed, where, True, show and total == 1)
                run = _finished(plan, fitted_on(plan, one, learning, door), told, where)
            bar.advance()
            yield run


def _finished(
    plan: EvaluationPlan[Data], one: FittedFold[Data], told: Mapping[str, Any], where: Path | None
) -> FoldRun:
    """Open the door, predict, and keep the predictions; what is kept is not read again."""
    read = one.door.read(told, seed=one.seed)
    said = said_of(one.predictor, read.data, plan.data.specification.label(plan.label), plan.protocol)
    facts = {
        "configuration": dict(told),
        "valid": None if np.isnan(one.predictor.best_value_) else float(one.predictor.best_value_),
        "best_epoch": one.predictor.best_epoch_,
        "epochs": one.predictor.n_iter_,
    }
    table = plan.table(read.data, said, fold=one.name, seed=one.seed, provenance=facts)
    if where is not None:
        write_predictions(where / _PREDICTIONS, table)
        (where / "checkpoint.safetensors").unlink(missing_ok=True)
    return _run_of(table, one.seed, one.name)


def _stored(where: Path | None, seed: int, fold: str, told: Mapping[str, Any]) -> FoldRun | None:
    """A run that an earlier start finished."""
    if where is None or not (where / _PREDICTIONS).is_file():
        return None
    table = read_predictions(where / _PREDICTIONS)
    if table.provenance.get("configuration") != dict(told):
        raise other_settings(where, told, table.provenance.get("configuration", {}))
    return _run_of(table, seed, fold)


def _run_of(table: PredictionTable, seed: int, fold: str) -> FoldRun:
    facts = table.provenance
    valid = float("nan") if facts["valid"] is None else float(facts["valid"])
    return FoldRun(seed, fold, table, valid, int(facts["best_epoch"]), int(facts["epochs"]))
