"""Stored predictors on the test folds of a protocol: scored once, and again with modalities or steps missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from trivium.corpus import Batch
from trivium.errors import DataError, SpecificationError
from trivium.evaluate.answers import answers_of
from trivium.evaluate.configuration import configuration_of, reads_sentence
from trivium.evaluate.missing import (
    RATES,
    MissingCurve,
    drop_modalities,
    drop_steps,
    keep_modalities,
    missing_curve,
    modality_subsets,
)
from trivium.evaluate.plan import EvaluationPlan, plan_evaluation, protocol_of
from trivium.evaluate.predictions import PredictionTable, joined_tables
from trivium.evaluate.said import said_of
from trivium.evaluate.scorecard import Scorecard, score_answers, values_of
from trivium.evaluate.test_fold import Data, LearningFold, ReadCount, TestFold, fingerprint
from trivium.progress import progress_bar
from trivium.weights import PredictorWeights

__all__ = [
    "DROPS",
    "OpenedFold",
    "StoredEvaluation",
    "evaluate_weights",
    "missing_scores",
    "record_answers",
    "subset_scores",
]

DROPS: Mapping[str, Callable[..., Batch]] = {"modalities": drop_modalities, "steps": drop_steps}
"""What can be dropped at test."""


@dataclass(frozen=True, eq=False)
class OpenedFold:
    """A predictor and the test rows that it is measured on.

    Parameters
    ----------
    weights : PredictorWeights
        What predicts.
    fold : str
        Its name.
    seed : int
        The predictor's.
    data : Aligned or Corpus
        The test rows.
    """

    weights: PredictorWeights
    fold: str
    seed: int
    data: Any


@dataclass(frozen=True, eq=False)
class StoredEvaluation:
    """What :func:`evaluate_weights` gives.

    Parameters
    ----------
    plan : EvaluationPlan
        Protocol, label and folds.
    card : Scorecard
        Its numbers.
    table : PredictionTable
        All predictions.
    floor : Scorecard
        Of one answer for everybody: the most frequent class of the training fold, or the median of its numbers.
    opened : tuple of OpenedFold
        For more measurements on the same rows, which are not read again.
    notes : tuple of str
        What must stand beside the numbers.
    """

    plan: EvaluationPlan[Any]
    card: Scorecard
    floor: Scorecard
    table: PredictionTable
    opened: tuple[OpenedFold, ...]
    notes: tuple[str, ...]


def evaluate_weights(
    plan: EvaluationPlan[Data], weights: Sequence[PredictorWeights], *, resamples: int = 1000
) -> StoredEvaluation:
    """Score stored predictors, each on the test fold that its training left out.

    Parameters
    ----------
    plan : EvaluationPlan
        Protocol, label and folds.
    weights : sequence of PredictorWeights
        One, or one for each seed and fold.
    resamples : int
        Of the bootstrap behind the intervals; 0 for none.

    Raises
    ------
    SpecificationError
        The weights answer another label, learned on a fold that the plan does not have, or are of several
        configurations.
    """
    opened: list[OpenedFold] = []
    tables: list[PredictionTable] = []
    constant: list[PredictionTable] = []
    notes: list[str] = []
    reads: dict[str, ReadCount] = {}
    configurations = [_told(plan, one) for one in weights]
    _require_one_configuration(configurations, weights)
    for one, told in zip(weights, configurations, strict=True):
        learning, door = _fold_of(plan, one)
        notes += _doubts(plan, one, learning)
        seed = int(one.config.learned.get("seed", 0))
        read = door.read(told, seed=seed)
        opened.append(OpenedFold(one, learning.name, seed, read.data))
        tables.append(_predicted(plan, opened[-1]))
        constant.append(_same_for_all(plan, learning, opened[-1]))
        reads[learning.name] = _later(reads.get(learning.name), read.count)
    notes += _absent(opened)
    table = joined_tables(tables, {"test_reads": reads_sentence(reads), "weights": [dict(w.hashes) for w in weights]})
    card = score_answers(answers_of(table, plan.protocol), plan.protocol, times=resamples, provenance=table.provenance)
    floor = score_answers(answers_of(joined_tables(constant, {}), plan.protocol), plan.protocol, times=0)
    return StoredEvaluation(plan, card, floor, table, tuple(opened), tuple(dict.fromkeys(notes)))


def _later(before: ReadCount | None, now: ReadCount) -> ReadCount:
    return now if before is None or now.times >= before.times else before


def _fold_of(plan: EvaluationPlan[Data], one: PredictorWeights) -> tuple[LearningFold[Data], TestFold[Data]]:
    learned = one.config.learned
    if one.config.label.key != plan.label:
        raise SpecificationError(f"the weights answer {one.config.label.key}, not {plan.label}", file=one.folder)
    runs = list(plan.runs(int(learned.get("seed", 0))))
    found = [run for run in runs if run[0].name == learned.get("fold")] or (runs if len(runs) == 1 else [])
    if not found:
        raise SpecificationError(
            f"learned on fold {learned.get('fold', '?')}, here are {', '.join(run[0].name for run in runs)}",
            file=one.folder,
            remedy="name the split, or the group and the number of folds, that it was trained by",
        )
    return found[0]


def _doubts(plan: EvaluationPlan[Data], one: PredictorWeights, learning: LearningFold[Data]) -> list[str]:
    if one.config.learned.get("train") == fingerprint(learning.train, plan.label):
        return []
    return [
        f"{one.folder.name} learned from other utterances than the training fold here; nothing tells whether test "
        "utterances, or others of their speakers, are among them."
    ]


def _absent(opened: Sequence[OpenedFold]) -> list[str]:
    """Which modalities of the weights are absent in how many test utterances, each fold counted once."""
    found: dict[str, int] = {}
    total = 0
    for one in {one.fold: one for one in opened}.values():
        there = one.weights.there(one.data)
        total += len(one.data)
        for name in one.weights.specification.modalities:
            lacking = len(one.data) - int(there[name].sum()) if name in there else len(one.data)
            found[name] = found.get(name, 0) + lacking
    told = [f"{name} in {'all' if count == total else count} of {total}" for name, count in found.items() if count]
    return [f"Absent from the test utterances, and masked: {', '.join(told)}."] if told else []


def _told(plan: EvaluationPlan[Data], one: PredictorWeights) -> dict[str, Any]:
    """The configuration that reads are counted by: all but the seed, the same as while it was trained."""
    taken = [name for name in plan.data.specification.modalities if name in one.specification.modalities]
    if taken and len(taken) < len(plan.data.specification.modalities):  # trained without the others
        plan = replace(plan, data=plan.data.select(taken))
    return configuration_of(plan, one.config.estimator, one.config.parameters)


def _require_one_configuration(told: Sequence[Mapping[str, Any]], weights: Sequence[PredictorWeights]) -> None:
    """Refuse a mean over predictors that differ in more than seed and fold."""
    flat = [{**one, **one["parameters"]} for one in told]
    for other, one in zip(flat[1:], weights[1:], strict=True):
        names = [k for k in {**flat[0], **other} if k != "parameters" and flat[0].get(k) != other.get(k)]
        if names:
            said = ", ".join(f"{name} {flat[0].get(name)} and {other.get(name)}" for name in names)
            raise SpecificationError(
                f"{weights[0].folder.name} and {one.folder.name} are two configurations, not two seeds of one: {said}",
                file=one.folder,
                remedy="evaluate each by itself, and compare them with `trivium score --against`",
            )


def record_answers(data: Data, one: PredictorWeights) -> ReadCount | None:
    """Record answers for a corpus as a read, where they include the very test fold that the weights' training left out.

    The weights keep by which protocol, split or groups their test fold was made, and its fingerprint. Where the corpus,
    divided so again, gives that fold, to predict it is to read it. Part of that fold, its clips, or a copy without
    labels are not recognised.

    Parameters
    ----------
    data : Aligned or Corpus
        What will be answered.
    one : PredictorWeights
        By which.

    Returns
    -------
    ReadCount or None
        How often the fold has been read, this time included; None where it is not there.

    Raises
    ------
    DataError
        The read cannot be recorded.
    """
    learned = one.config.learned
    if not learned.get("test"):
        return None
    try:
        protocol = protocol_of(str(learned["protocol"]), learned.get("split"), learned.get("group"))
        plan = plan_evaluation(
            data, protocol, one.config.label.key, split=learned.get("split"), folds=int(learned.get("folds", 5))
        )
        _, door = _fold_of(plan, one)
    except (SpecificationError, DataError):
        return None  # not divided as it was then
    if door.fingerprint != learned["test"]:
        return None
    return door.read(_told(plan, one), seed=int(learned.get("seed", 0))).count


def _predicted(
    plan: EvaluationPlan[Any], one: OpenedFold, alter: Callable[[Batch], Batch] | None = None
) -> PredictionTable:
    answering = one.weights if alter is None else one.weights.altered(alter)
    said = said_of(answering, one.data, plan.data.specification.label(plan.label), plan.protocol)
    return plan.table(one.data, said, fold=one.fold, seed=one.seed)


def _same_for_all(plan: EvaluationPlan[Any], learning: LearningFold[Any], one: OpenedFold) -> PredictionTable:
    """What one answer for everybody, known from the training fold alone, says of a test fold."""
    y, label, n = learning.train.label(plan.label), plan.data.specification.label(plan.label), len(one.data)
    if not label.classes:
        said = np.full(n, np.nanmedian(y))
    elif plan.protocol.is_multilabel:
        threshold = plan.protocol.threshold or 0.0
        said = np.tile(np.nanmedian(np.where(np.isnan(y), y, y > threshold), axis=0) + threshold - 0.5, (n, 1))
    else:
        said = np.tile([np.mean(y == name) for name in label.classes], (n, 1))
    return plan.table(one.data, said, fold=one.fold, seed=one.seed)


def _scores(done: StoredEvaluation, alter: Callable[[Batch], Batch]) -> dict[str, float]:
    """Every measure, mean over the predictors' seeds; NaN where it is not defined."""
    table = joined_tables([_predicted(done.plan, one, alter) for one in done.opened], {})
    answers = answers_of(table, done.plan.protocol)
    values = values_of(answers, done.plan.protocol, np.arange(len(answers)))
    return {m.name: float(np.mean(v)) for m, v in zip(done.plan.protocol.measures, values, strict=True)}


def missing_scores(
    done: StoredEvaluation,
    *,
    drop: str = "modalities",
    rates: Sequence[float] = RATES,
    seeds: Sequence[int] = (0, 1, 2),
    show: bool = True,
) -> MissingCurve:
    """Scores with a share of the test input missing, for every rate and several draws.

    Parameters
    ----------
    done : StoredEvaluation
        Its rows are used again; they are not read anew.
    drop : {"modalities", "steps"}
        Whole modalities of an utterance, or single steps.
    rates : sequence of float
        Rising, from 0 to 1.
    seeds : sequence of int
        Of the draws.
    show : bool
        Show progress.

    Raises
    ------
    SpecificationError
        Nothing is called so that could be dropped.
    """
    if drop not in DROPS:
        raise SpecificationError(f"{drop!r} cannot be dropped", remedy=f"choose from {', '.join(DROPS)}")
    with progress_bar(f"missing {drop}", len(rates) * len(seeds), show=show) as bar:

        def measure(rate: float, seed: int) -> dict[str, float]:
            found = _scores(done, partial(DROPS[drop], rate=rate, seed=seed))
            bar.advance()
            return found

        return missing_curve(measure, rates=rates, seeds=seeds)


def subset_scores(done: StoredEvaluation) -> dict[str, dict[str, float]]:
    """Scores by measure for every choice of modalities, the others dropped; named ``text+audio``.

    Parameters
    ----------
    done : StoredEvaluation
        Its rows are used again; they are not read anew.
    """
    names = done.opened[0].weights.specification.modalities
    return {
        "+".join(kept): _scores(done, partial(keep_modalities, modalities=kept)) for kept in modality_subsets(names)
    }
