"""Experiments: a predictor trained on the folds of a protocol with several seeds, then scored, and every read counted.

Training is handed a :class:`trivium.evaluate.LearningFold`, which holds none of the test rows; the epoch that is kept
is chosen by the protocol's rule on validation; a test fold is opened once per seed, after its training, and the read is
recorded. With a folder, an experiment that was killed goes on: what is finished is neither trained nor read again, and
the run that was under way goes on from its checkpoint.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from trivium.corpus import Aligned, Corpus, LabelSpecification
from trivium.errors import SpecificationError, TriviumError, WeightsError
from trivium.evaluate.answers import answers_of
from trivium.evaluate.named_protocols import NamedProtocol
from trivium.evaluate.plan import EvaluationPlan
from trivium.evaluate.predictions import PredictionTable, read_predictions, write_predictions
from trivium.evaluate.scorecard import Scorecard, score_answers
from trivium.evaluate.study import data_hash
from trivium.evaluate.test_fold import Data, LearningFold, ReadCount, TestFold, configuration_hash
from trivium.files import read_json, write_json
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

SEEDS = (1111, 1112, 1113, 1114, 1115)
"""The five seeds of the field's bench (MMSA)."""

_UNTOLD = ("device", "folder", "progress", "random_state", "resume", "tensorboard")  # decide nothing, or the seed does
_MAY_CHANGE = ("max_epochs", "patience")  # of a run that goes on
_PREDICTIONS = "predictions.parquet"


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
    >>> from trivium.corpus import Specification, StreamSpecification
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
    with _noted(where, told):
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
    with _noted(whole, told | {"parameters": lasting}, resume=resume):
        for seed, learning, door, where in _runs(plan, seeds, whole):
            yield _fitted(plan, _settled(plan, predictor, seed, where, resume, show), learning, door)


def _runs(
    plan: EvaluationPlan[Data], seeds: Sequence[int], folder: Path | None
) -> Iterator[tuple[int, LearningFold[Data], TestFold[Data], Path | None]]:
    """Every seed on every fold, and the folder of the run."""
    if not len(seeds) or len(set(seeds)) < len(seeds):
        raise SpecificationError(f"seeds are {list(seeds)}", remedy="give at least one, each once")
    for seed in seeds:
        for learning, door in plan.runs(seed):
            where = None if folder is None else folder / f"seed-{seed}" / f"fold-{learning.name.replace('/', '_')}"
            yield seed, learning, door, where


def _settled(
    plan: EvaluationPlan[Data], predictor: Any, seed: int, where: Path | None, resume: bool, show: bool
) -> Any:
    """A clone with what the plan and the run decide."""
    return clone(predictor).set_params(
        label=plan.label,
        random_state=seed,
        selection=plan.protocol.selection,
        folder=where,
        resume=resume and where is not None,
        progress=show,
    )


def _fitted(
    plan: EvaluationPlan[Data], one: Any, learning: LearningFold[Data], door: TestFold[Data]
) -> FittedFold[Data]:
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
        for seed, learning, door, where in _runs(plan, seeds, folder):
            bar.note(f"seed {seed}, fold {learning.name}")
            run = _stored(where, seed, learning.name, told)
            if run is None:
                settled = _settled(plan, predictor, seed, where, True, show and total == 1)
                fitted = _fitted(plan, settled, learning, door)
                run = _finished(plan, fitted, told, where)
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
        raise _other_settings(where, told, table.provenance.get("configuration", {}))
    return _run_of(table, seed, fold)


def _run_of(table: PredictionTable, seed: int, fold: str) -> FoldRun:
    facts = table.provenance
    valid = float("nan") if facts["valid"] is None else float(facts["valid"])
    return FoldRun(seed, fold, table, valid, int(facts["best_epoch"]), int(facts["epochs"]))


@contextmanager
def _noted(folder: Path | None, told: Mapping[str, Any], *, resume: bool = True) -> Iterator[None]:
    """Refuse a folder of an experiment with other settings, and note the settings in it as long as runs are there.

    What is refused before its first epoch leaves nothing, so that the corrected start finds its place free.
    """
    if folder is None:
        yield
        return
    note = folder / "configuration.json"
    if resume and note.is_file() and read_json(note) != dict(told):
        raise _other_settings(folder, told, read_json(note))
    write_json(note, dict(told))
    try:
        yield
    except TriviumError:
        if not [file for file in folder.rglob("*") if file.is_file() and file != note]:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _other_settings(where: Path, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> WeightsError:
    flat = [{**one, **one.get("parameters", {})} for one in (ours, theirs)]
    names = sorted(k for k in {*flat[0], *flat[1]} if k != "parameters" and flat[0].get(k) != flat[1].get(k))
    return WeightsError(
        f"holds runs with other settings ({', '.join(names)})", file=where, remedy="choose another folder"
    )


def experiment_configuration(plan: EvaluationPlan[Data], predictor: Any) -> dict[str, Any]:
    """Everything that decides predictions but the seed, as plain builtins: what reads of a test fold are counted by.

    Parameters
    ----------
    plan : EvaluationPlan
        Protocol, label, folds and data.
    predictor : estimator
        Its settings.
    """
    settled = {"selection": plan.protocol.selection, "label": plan.label}
    return configuration_of(plan, type(predictor).__name__, predictor.get_params(deep=False) | settled)


def configuration_of(plan: EvaluationPlan[Data], estimator: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The same of an estimator by name and parameters, which stored weights tell too: one hash in training and after.

    Parameters
    ----------
    plan : EvaluationPlan
        Protocol, label, folds and data.
    estimator : str
        Name of its class.
    parameters : mapping
        Its settings; what decides no prediction is left out, and of a text encoder's folder only the name counts.

    Raises
    ------
    SpecificationError
        A setting is not finite.
    """
    told = {k: _plain(v) for k, v in sorted(parameters.items()) if k not in _UNTOLD}
    wrong = [k for k, v in told.items() if isinstance(v, float) and not np.isfinite(v)]
    if wrong:
        raise SpecificationError(f"{wrong[0]} cannot be {told[wrong[0]]}", remedy="give a finite number")
    kind, sign, place = (told.get("text_encoder") or "").partition(":")
    if sign:  # stored weights name the encoder behind any kind, a request behind `hf` alone
        told["text_encoder"] = f"{kind}:{Path(place).name}" if kind == "hf" else kind
    return {
        "predictor": estimator,
        "parameters": told,
        "protocol": plan.protocol.name,
        "folds": plan.folds.description,
        "data": data_content(plan.data),
    }


def data_content(data: Aligned | Corpus) -> str:
    """Hash of all utterances with their columns.

    Parameters
    ----------
    data : Aligned or Corpus
        Utterances.
    """
    return data.content_hash() if isinstance(data, Corpus) else data_hash(data)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value.item() if isinstance(value, np.generic) else value


def said_of(predictor: Any, data: Data, label: LabelSpecification, protocol: NamedProtocol) -> NDArray[Any]:
    """Predictions in the terms of a protocol: what :meth:`EvaluationPlan.table` takes.

    Parameters
    ----------
    predictor : fitted estimator, or stored weights
        With ``predict``, or for classes ``predict_proba`` and ``classes_``.
    data : Aligned or Corpus
        N test rows.
    label : LabelSpecification
        Gives the classes in order.
    protocol : NamedProtocol
        Gives the threshold above which a class of several counts as present.

    Returns
    -------
    array of shape (N,) or (N, K)
        Numbers; or one for each class, the largest of which is the answer, or which is above the threshold exactly
        where the probability is above one half.
    """
    if not label.classes:
        return np.asarray(predictor.predict(data))
    shares = np.asarray(predictor.predict_proba(data))
    found = np.zeros((len(shares), len(label.classes)), np.float32)
    places = [label.classes.index(str(name)) for name in predictor.classes_]
    found[:, places] = shares
    return found + np.float32((protocol.threshold or 0.0) - 0.5) if protocol.is_multilabel else found


def joined_tables(tables: Sequence[PredictionTable], provenance: Mapping[str, Any]) -> PredictionTable:
    """One table of several.

    Parameters
    ----------
    tables : sequence of PredictionTable
        With the same columns.
    provenance : mapping
        Of the whole.
    """
    columns = {name: [cell for table in tables for cell in table.columns[name]] for name in tables[0].columns}
    return PredictionTable(columns, provenance)


def reads_of(plan: EvaluationPlan[Data], told: Mapping[str, Any], seeds: Sequence[int]) -> dict[str, ReadCount]:
    """How often each test fold has been read, by this configuration and by all.

    Parameters
    ----------
    plan : EvaluationPlan
        Gives the folds and the ledger.
    told : mapping
        Of :func:`experiment_configuration`.
    seeds : sequence of int
        Whose folds are meant.
    """
    key = configuration_hash(told)
    doors = {door.name: door for seed in seeds for _, door in plan.runs(seed)}
    return {name: plan.ledger.count(door.fingerprint, key) for name, door in doors.items()}


def reads_sentence(reads: Mapping[str, ReadCount]) -> str:
    """Counts by fold as one sentence for people.

    Examples
    --------
    >>> reads_sentence({"1": ReadCount(1, 2), "2": ReadCount(2, 2)})[:54]
    'Of 2 test folds, the most read one: This configuration'
    """
    if len(reads) == 1:
        return str(next(iter(reads.values())))
    most = ReadCount(max(r.times for r in reads.values()), max(r.configurations for r in reads.values()))
    return f"Of {len(reads)} test folds, the most read one: {most}"
