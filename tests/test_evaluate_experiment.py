"""Experiments: test rows stay behind their door, reads are counted, and what was killed goes on without repeating."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trivium.corpus import Corpus, Specification
from trivium.errors import DataError, SpecificationError, TriviumError, WeightsError
from trivium.evaluate import (
    EvaluationPlan,
    ReadLedger,
    answers_of,
    named_protocol,
    plan_evaluation,
    read_predictions,
    repeated_folds,
    score_answers,
)
from trivium.evaluate.configuration import noted
from trivium.evaluate.experiment import fit_folds, train_and_score, validate
from trivium.files import read_json, write_json
from trivium.predict import EmotionClassifier, SentimentRegressor, predictor_for

QUICK: dict[str, Any] = {"max_epochs": 3, "batch_size": 8, "learning_rate": 0.01}


PlanOf = Callable[..., EvaluationPlan[Corpus]]


@pytest.fixture
def plan_of(tmp_path: Path, make_spoken: Callable[..., Corpus]) -> PlanOf:
    def make(protocol: str = "mosi", label: str = "sentiment", where: str = "", **rest: Any) -> EvaluationPlan[Corpus]:
        ledger = ReadLedger(tmp_path / where / "reads.jsonl")
        data = rest.pop("data", None) or make_spoken()
        return plan_evaluation(data, named_protocol(protocol), label, ledger=ledger, **rest)

    return make


def regressor(**settings: Any) -> SentimentRegressor:
    return SentimentRegressor("concat", **{**QUICK, **settings})


def test_a_split_is_scored_as_the_command_would_score_its_table(tmp_path: Path, plan_of: PlanOf) -> None:
    plan = plan_of()
    done = train_and_score(plan, regressor(max_epochs=15), seeds=[1, 2], folder=tmp_path / "run", show=False)
    table = read_predictions(tmp_path / "run" / "predictions.csv")
    again = score_answers(answers_of(table, plan.protocol), plan.protocol)
    assert [line.by_seed for line in again.lines] == [line.by_seed for line in done.card.lines]
    assert done.card.line("r").mean > 0.8
    assert sorted(set(table.text("id").tolist())) == sorted(f"u{i}" for i in range(60) if i % 5 == 4)
    assert json.loads((tmp_path / "run" / "scores.json").read_text())["scores"]["mae"]["mean"] > 0


def test_every_read_is_counted_once_per_seed_and_fold(tmp_path: Path, plan_of: PlanOf) -> None:
    plan = plan_of("classification", "mood", folds=3)
    grouped = replace(plan.protocol, folds="grouped", group="actor")
    plan = plan_evaluation(plan.data, grouped, "mood", folds=3, ledger=plan.ledger)
    done = train_and_score(plan, EmotionClassifier("concat", **QUICK), seeds=[1, 2], show=False)
    lines = (tmp_path / "reads.jsonl").read_text().splitlines()
    assert len(lines) == 6 and {count.times for count in done.reads.values()} == {2}
    assert "Of 3 test folds" in " ".join(done.card.notes())
    train_and_score(plan, EmotionClassifier("concat", **{**QUICK, "learning_rate": 0.02}), seeds=[1], show=False)
    again = train_and_score(plan, EmotionClassifier("concat", **QUICK), seeds=[3], show=False)
    assert {(count.times, count.configurations) for count in again.reads.values()} == {(3, 2)}


def test_what_is_in_the_test_rows_changes_no_weight(
    tmp_path: Path, plan_of: PlanOf, make_spoken: Callable[..., Corpus]
) -> None:
    plain, spoilt = (plan_of(where=name, data=make_spoken(spoil=s)) for name, s in (("a", None), ("b", 50.0)))
    first, second = (next(fit_folds(plan, regressor(), seeds=[1], show=False)) for plan in (plain, spoilt))
    ours, theirs = (one.predictor.network_.state_dict() for one in (first, second))
    assert all((ours[name] == theirs[name]).all() for name in ours)
    assert first.predictor.scaler_.mean["text"].tolist() == second.predictor.scaler_.mean["text"].tolist()
    assert not (tmp_path / "a" / "reads.jsonl").exists()


def test_finished_runs_are_neither_trained_nor_read_again(tmp_path: Path, plan_of: PlanOf) -> None:
    plan = plan_of()
    first = train_and_score(plan, regressor(), seeds=[1], folder=tmp_path / "run", show=False)
    stamp = (tmp_path / "run" / "seed-1" / "fold-test" / "predictions.parquet").stat().st_mtime_ns
    both = train_and_score(plan, regressor(), seeds=[1, 2], folder=tmp_path / "run", show=False)
    assert (tmp_path / "run" / "seed-1" / "fold-test" / "predictions.parquet").stat().st_mtime_ns == stamp
    assert both.reads["test"].times == 2
    assert both.runs[0].table.numbers("prediction").tolist() == first.table.numbers("prediction").tolist()
    assert both.runs[0].valid == first.runs[0].valid


def test_a_run_that_was_stopped_goes_on_from_its_checkpoint(
    tmp_path: Path, plan_of: PlanOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of()
    straight = train_and_score(plan, regressor(max_epochs=5), seeds=[1], show=False)
    from trivium.train.run_checkpoint import RunCheckpoint

    save, calls = RunCheckpoint.save, []

    def save_and_stop(self: RunCheckpoint, *rest: Any) -> None:
        save(self, *rest)
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(RunCheckpoint, "save", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        train_and_score(plan, regressor(max_epochs=5), seeds=[1], folder=tmp_path / "run", show=False)
    rest = train_and_score(plan, regressor(max_epochs=5), seeds=[1], folder=tmp_path / "run", show=False)
    assert len(calls) == 5
    assert rest.table.numbers("prediction").tolist() == straight.table.numbers("prediction").tolist()


OTHER = [("learning_rate", 0.5), ("batch_size", 3), ("clip_norm", 0.5), ("patience", 1), ("weight_decay", 0.5)]


@pytest.mark.parametrize(("name", "value"), OTHER)
def test_a_folder_of_other_settings_is_refused_and_the_setting_named(
    tmp_path: Path, plan_of: PlanOf, name: str, value: float
) -> None:
    """Whether the folder's note tells it, or, where a run's folder was brought from elsewhere, its predictions."""
    plan = plan_of()
    train_and_score(plan, regressor(), seeds=[1], folder=tmp_path / "run", show=False)
    for note in (True, False):
        if not note:
            for file in (tmp_path / "run").glob("*.json"):
                file.unlink()
        with pytest.raises(WeightsError, match=name):
            train_and_score(plan, regressor(**{name: value}), seeds=[1], folder=tmp_path / "run", show=False)


def test_validation_opens_no_door_and_chooses_as_the_protocol_says(
    tmp_path: Path, plan_of: PlanOf, make_spoken: Callable[..., Corpus]
) -> None:
    plan = plan_of("merbench-sentiment")
    value = validate(plan, regressor(), seeds=[1, 2], show=False)
    assert 0 <= value <= 1  # an F1, not a loss
    assert not (tmp_path / "reads.jsonl").exists()
    grouped = replace(named_protocol("classification"), folds="grouped", group="actor")
    without = plan_evaluation(make_spoken(), grouped, "mood", folds=2, ledger=plan.ledger)
    with pytest.raises(SpecificationError, match="nothing was validated"):
        validate(without, EmotionClassifier("concat", **QUICK, validation_fraction=0), show=False)


def test_the_kept_epoch_is_the_one_with_the_best_metric(plan_of: PlanOf) -> None:
    plan = plan_of("merbench-sentiment")
    made = next(fit_folds(plan, regressor(max_epochs=8), seeds=[1], show=False)).predictor
    values = [row["valid_f1_non0"] for row in made.loss_curves_]
    assert made.best_epoch_ == int(np.argmax(values)) and made.best_value_ == max(values)


def test_the_early_stopping_fold_keeps_the_protocols_groups_together(
    tmp_path: Path, make_spoken: Callable[..., Corpus]
) -> None:
    grouped = replace(named_protocol("classification"), folds="grouped", group="actor")
    plan = plan_evaluation(make_spoken(), grouped, "mood", folds=3, ledger=ReadLedger(tmp_path / "r.jsonl"))
    seen: list[Any] = []

    class Watching(EmotionClassifier):
        def _hold_out(self, given: Any, groups: Any, seed: int) -> Any:
            held = super()._hold_out(given, groups, seed)
            seen.append((set(given.group("actor")[held]), set(given.group("actor")[~held])))
            return held

        __init__ = EmotionClassifier.__init__

    list(fit_folds(plan, Watching("concat", **QUICK), seeds=[1], show=False))
    assert len(seen) == 3 and all(held and not held & kept for held, kept in seen)


def test_several_emotions_at_once_are_scored_by_the_iemocap_protocol(
    plan_of: PlanOf, make_spoken: Callable[..., Corpus]
) -> None:
    plan = plan_of("iemocap", "emotions")
    made = predictor_for(
        make_spoken().specification.label("emotions"),
        network="concat",
        class_weight="balanced",
        **{**QUICK, "max_epochs": 20},
    )
    done = train_and_score(plan, made, seeds=[1], resamples=0, show=False)
    assert done.card.line("happy.accuracy").mean > 0.7
    said = done.table.numbers("prediction_happy")
    assert ((said >= 0) & (said <= 1)).all()


def test_partitions_may_be_given_and_differ_by_seed(plan_of: PlanOf, make_spoken: Callable[..., Corpus]) -> None:
    data = make_spoken()
    folds = repeated_folds(data.ids, 2, seeds=[1, 2])
    plan = plan_of("regression", data=data, folds=folds)
    done = train_and_score(plan, regressor(), seeds=[1, 2], resamples=0, show=False)
    assert [(run.seed, run.fold) for run in done.runs] == [(1, "1.1"), (1, "1.2"), (2, "2.1"), (2, "2.2")]
    assert len(done.table) == 120 and set(done.reads) == {"1.1", "1.2", "2.1", "2.2"}


def test_labels_out_of_range_are_named_before_anything_is_trained(
    plan_of: PlanOf, make_spoken: Callable[..., Corpus]
) -> None:
    corpus = make_spoken()
    streams, labels = corpus.specification.streams, corpus.specification.labels
    narrow = [replace(one, range=(-1.0, 1.0)) if one.key == "sentiment" else one for one in labels]
    wrong = Corpus.from_utterances(list(corpus), Specification(streams, tuple(narrow)))
    with pytest.raises(DataError, match=r"outside -1 \.\.\. 1: u\d+"):
        plan_of("regression", data=wrong)
    with pytest.raises(DataError, match=r"outside -1 \.\.\. 1: u\d+"):
        regressor(label="sentiment", progress=False).fit(wrong)


def test_no_seed_or_one_twice_is_refused(plan_of: PlanOf) -> None:
    for seeds in ([], [1, 1]):
        with pytest.raises(TriviumError, match="seeds"):
            train_and_score(plan_of(), regressor(), seeds=seeds, show=False)


def contents(folder: Path) -> dict[str, str | None]:
    return {str(p.relative_to(folder)): p.read_text() if p.is_file() else None for p in sorted(folder.rglob("*"))}


@pytest.mark.parametrize("earlier", [None, {"seed": 1}])
def test_a_refused_start_takes_back_what_it_made_and_nothing_else(
    tmp_path: Path, earlier: dict[str, int] | None
) -> None:
    run = tmp_path / "run"
    (run / "mine" / "empty").mkdir(parents=True)
    (run / "mine" / "notes.txt").write_text("of the user")
    if earlier:
        write_json(run / "configuration.json", earlier)
    before = contents(tmp_path)
    with pytest.raises(DataError, match="refused"), noted(run, {"seed": 2}, resume=False):
        (run / "seed-2" / "fold-test").mkdir(parents=True)
        raise DataError("refused")
    assert contents(tmp_path) == before
    with pytest.raises(DataError, match="refused"), noted(tmp_path / "fresh", {"seed": 2}):
        raise DataError("refused")
    assert not (tmp_path / "fresh").exists()


def test_a_start_that_got_as_far_as_an_epoch_keeps_its_note(tmp_path: Path) -> None:
    for number in (2, 3):  # the second start writes into the file of the first
        with pytest.raises(DataError, match="diverged"), noted(tmp_path, {"seed": number}, resume=False):
            (tmp_path / "losses.csv").write_text(f"epoch of {number}")
            os.utime(tmp_path / "losses.csv", ns=(number, number))
            raise DataError("diverged")
        assert read_json(tmp_path / "configuration.json") == {"seed": number}
