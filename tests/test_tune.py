"""Tuning: declared spaces, trials on validation alone, and a run that goes on as if it had never stopped."""

from __future__ import annotations

import csv
import json
import math
import shlex
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from typer.testing import CliRunner

from trivium.cli import app
from trivium.corpus import Aligned, Specification, StreamSpecification
from trivium.corpus.specification import LabelSpecification
from trivium.errors import FormatError, SpecificationError, WeightsError
from trivium.evaluate import EvaluationPlan, ReadLedger, named_protocol, plan_evaluation
from trivium.evaluate.experiment import fit_folds
from trivium.evaluate.tuning import SearchSpace, Trial, learning_part, search, tune, with_settings
from trivium.predict import SentimentRegressor

_SPLIT = np.array((["train"] * 6 + ["valid"] * 2 + ["test"] * 2) * 4)
_BOWL = SearchSpace.parsed(["learning_rate=log(1e-5, 1)", "batch_size=int(4, 64)"])


def made_corpus(seed: int = 0) -> Aligned:
    specification = Specification(
        (StreamSpecification("audio", ("f0", "energy"), clock="words"),),
        (LabelSpecification("mood", "regression", range=(-1.0, 1.0)),),
    )
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((len(_SPLIT), 3, 2)).astype(np.float32)
    speakers = np.array([f"s{k % 4}" for k in range(len(_SPLIT))])
    table = {"label.mood": np.tanh(x[:, :, 0].mean(axis=1)), "split.fixed": _SPLIT, "group.speaker": speakers}
    return Aligned.from_arrays(x, specification, table=table)


def plan_of(corpus: Aligned, folder: Path) -> EvaluationPlan[Aligned]:
    ledger = ReadLedger(folder / "reads.jsonl")
    return plan_evaluation(corpus, named_protocol("regression"), "mood", ledger=ledger)


class Bowl(BaseEstimator):  # type: ignore[misc]
    """Stands for a predictor: its validation loss is a bowl around a learning rate of .001 and batches of 16."""

    def __init__(
        self,
        network: str = "concat",
        objectives: tuple[str, ...] = (),
        *,
        label: str | None = None,
        network_options: dict[str, Any] | None = None,
        learning_rate: float = 1.0,
        batch_size: int = 64,
        validation_fraction: float = 0.1,
        validation_groups: str | None = None,
        selection: str = "loss",
        random_state: int = 0,
        folder: Path | None = None,
        resume: bool = False,
        progress: bool = True,
    ) -> None:
        self.network, self.objectives, self.network_options, self.label = network, objectives, network_options, label
        self.learning_rate, self.batch_size = learning_rate, batch_size
        self.validation_fraction, self.validation_groups = validation_fraction, validation_groups
        self.selection, self.random_state, self.folder = selection, random_state, folder
        self.resume, self.progress = resume, progress

    def fit(self, X: Aligned, y: Any = None, **_: Any) -> Self:
        loss = (math.log10(self.learning_rate) + 3) ** 2 + (math.log2(self.batch_size) - 4) ** 2
        self.loss_curves_, self.best_epoch_, self.n_iter_ = [{"valid_loss": loss}], 0, 1
        self.best_value_ = loss
        return self


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("learning_rate", "declares nothing"),
        ("learning_rate=normal(0, 1)", "declares nothing"),
        ("learning_rate=log(0.01, 0.001)", "lower and a higher number above 0"),
        ("learning_rate=log(0, 1)", "above 0"),
        ("batch_size=int(8, 16.5)", "whole number"),
        ("batch_size=choice(8)", "two or more choices"),
        ("batch_size=choice(8, 8)", "two or more choices"),
        ("dropout=uniform(a, b)", "lower and a higher number"),
    ],
)
def test_what_declares_no_range_is_refused(text: str, says: str) -> None:
    with pytest.raises(SpecificationError, match=says):
        SearchSpace.parsed([text])


def test_a_setting_is_declared_once() -> None:
    with pytest.raises(SpecificationError, match="declared twice"):
        SearchSpace.parsed(["patience=int(1, 4)", "patience=int(2, 8)"])
    with pytest.raises(SpecificationError, match="empty"):
        SearchSpace.parsed([])


def test_file_and_command_line_declare_the_same(tmp_path: Path) -> None:
    file = tmp_path / "space.toml"
    file.write_text(
        'learning_rate = "log(1e-4, 1e-2)"\n[network]\nfusion = "choice(16, 32)"\n[network.dropout]\n'
        'text = "uniform(0, 0.5)"\n'
    )
    texts = ["learning_rate=log(1e-4,1e-2)", "network.fusion=choice(16,32)", "network.dropout.text=uniform(0,0.5)"]
    assert SearchSpace.read(file) == SearchSpace.parsed(texts)
    file.write_text("learning_rate = [1, 2")
    with pytest.raises(FormatError, match="no TOML"):
        SearchSpace.read(file)
    file.write_text("learning_rate = 3")
    with pytest.raises(SpecificationError, match="declares nothing"):
        SearchSpace.read(file)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("speed=log(1, 2)", "no setting 'speed'.*learning_rate"),
        ("random_state=int(1, 9)", "no setting 'random_state'"),
        ("batch_size=uniform(8, 16)", "batch_size cannot be uniform"),
        ("loss=choice(l1, mse)", "cannot be tuned"),
        ("network.width=int(4, 8)", "the network lf-dnn has no setting 'width'.*fusion"),
        ("network.fusion=uniform(4, 8)", "network.fusion cannot be"),
        ("network.recurrent.text=int(4, 8)", "not set by modality"),
        ("barlow_twins.weight=log(1, 9)", "no 'barlow_twins' here.*modal_alignment"),
        ("modal_alignment.force=log(1, 9)", "the objective modal_alignment has no setting 'force'"),
    ],
)
def test_settings_that_do_not_exist_are_named_before_anything_is_trained(text: str, says: str) -> None:
    predictor = SentimentRegressor("lf-dnn:fusion=32", ["modal_alignment:pairs=text+audio"])
    with pytest.raises(SpecificationError, match=says):
        SearchSpace.parsed([text]).require_known(predictor)


def test_settings_reach_estimator_network_and_objective() -> None:
    base = SentimentRegressor('lf-dnn:fusion=32:hidden={"audio": 4}', ["modal_alignment:weight=2", "difference"])
    settings = {"patience": 3, "network.hidden.text": 7, "network.fusion": 5, "modal_alignment.weight": 0.5}
    space = ["patience=int(1, 4)", "network.hidden.text=int(4, 8)", "network.fusion=int(4, 8)"]
    SearchSpace.parsed([*space, "modal_alignment.weight=log(0.1, 10)"]).require_known(base)
    found = with_settings(base, settings)
    assert (found.patience, found.network) == (3, "lf-dnn")
    assert found.network_options == {"fusion": 5, "hidden": {"audio": 4, "text": 7}}
    assert found.objectives == ["modal_alignment:weight=0.5", "difference"]
    assert base.network.startswith("lf-dnn:fusion=32") and base.patience == 8


def test_a_tuner_holds_no_test_row_and_opens_no_test_fold(tmp_path: Path) -> None:
    corpus = made_corpus()
    part = learning_part(plan_of(corpus, tmp_path))
    tested = set(corpus.ids[_SPLIT == "test"].tolist())
    assert not tested & set(part.data.ids.tolist())
    for learning, door in part.runs(seed=1111):
        assert len(door) == 0 and learning.valid is not None
        assert set(learning.train.ids.tolist()) == set(corpus.ids[_SPLIT == "train"].tolist())
        assert set(learning.valid.ids.tolist()) == set(corpus.ids[_SPLIT == "valid"].tolist())
    tune(part, Bowl(), _BOWL, trials=3, show=False)
    assert not (tmp_path / "reads.jsonl").exists()
    with pytest.raises(SpecificationError, match="no test rows"):
        tune(plan_of(corpus, tmp_path), Bowl(), _BOWL, trials=1, show=False)


def test_the_bar_counts_the_trials_that_were_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[tuple[float, bool]] = []

    class Counting:
        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None: ...

        def note(self, text: str) -> None: ...

        def advance(self, steps_done: float = 1, *, worked: bool = True) -> None:
            steps.append((steps_done, worked))

    def bar(title: str, total: int, *, show: bool) -> Counting:
        totals.append(total)
        return Counting()

    totals: list[int] = []
    monkeypatch.setattr(search, "progress_bar", bar)
    part = learning_part(plan_of(made_corpus(), tmp_path))
    for trials in (2, 3):
        tune(part, Bowl(), _BOWL, trials=trials, folder=tmp_path / "run")
        assert totals.pop() == trials == sum(done for done, _ in steps)
        assert sum(done for done, worked in steps if not worked) == (0 if trials == 2 else 2), "of the earlier start"
        steps.clear()


def test_what_stands_in_the_test_rows_changes_no_trial(tmp_path: Path) -> None:
    corpus = made_corpus()
    values, labels = corpus.values.copy(), np.array(corpus.table["label.mood"])
    values[_SPLIT == "test"] = 1e6
    labels[_SPLIT == "test"] *= -1
    other = replace(corpus, values=values, table={**corpus.table, "label.mood": labels})
    base = SentimentRegressor("concat", max_epochs=2)
    space = SearchSpace.parsed(["learning_rate=log(1e-3, 1e-1)"])
    found = [tune(learning_part(plan_of(x, tmp_path)), base, space, trials=2, show=False) for x in (corpus, other)]
    assert [t.value for t in found[0].trials] == [t.value for t in found[1].trials]


def test_one_fold_of_several_has_to_be_named(tmp_path: Path) -> None:
    protocol = replace(named_protocol("regression"), folds="grouped")
    plan = plan_evaluation(made_corpus(), protocol, "mood", folds=2, ledger=ReadLedger(tmp_path / "reads.jsonl"))
    with pytest.raises(SpecificationError, match="name one of 1, 2"):
        learning_part(plan)
    part = learning_part(plan, "2")
    tested = {name for fold in plan.folds.folds if fold.name == "2" for name in plan.data.ids[fold.test]}
    assert tested and not tested & set(part.data.ids.tolist())


def test_the_search_comes_nearer_than_its_random_start(tmp_path: Path) -> None:
    found = tune(learning_part(plan_of(made_corpus(), tmp_path)), Bowl(), _BOWL, trials=40, show=False)
    values = [trial.value for trial in found.trials if trial.value is not None]
    assert values[0] == 9 + 4  # as given: a learning rate of 1, batches of 64
    assert min(values) < min(values[:11]) and min(values) < 0.3
    assert found.best.value == min(values)
    assert found.predictor.learning_rate == found.best.settings["learning_rate"]
    assert [row["best"] for row in found.rows()] == np.minimum.accumulate(values).tolist()


def told(trials: tuple[Trial, ...]) -> list[dict[str, Any]]:
    return [{**asdict(trial), "seconds": 0, "settings": list(trial.settings.items())} for trial in trials]


@pytest.mark.parametrize("stops_at", [1, 7, 13])
def test_a_killed_tuning_goes_on_as_if_it_had_not_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stops_at: int
) -> None:
    part = learning_part(plan_of(made_corpus(), tmp_path))
    whole = tune(part, Bowl(), _BOWL, trials=14, seed=3, show=False)
    calls: list[int] = []

    def dies(*given: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == stops_at:
            raise KeyboardInterrupt
        return fit_folds(*given, **options)

    monkeypatch.setattr(search, "fit_folds", dies)
    with pytest.raises(KeyboardInterrupt):
        tune(part, Bowl(), _BOWL, trials=14, seed=3, folder=tmp_path / "run", show=False)
    again = tune(part, Bowl(), _BOWL, trials=14, seed=3, folder=tmp_path / "run", show=False)
    assert len(calls) == 15 + 1  # the stopped trial alone is begun twice
    assert told(again.trials) == told(whole.trials)
    more = tune(part, Bowl(), _BOWL, trials=16, seed=3, folder=tmp_path / "run", show=False)
    assert told(more.trials[:15]) == told(whole.trials) and len(calls) == 18


def test_a_folder_of_another_tuning_is_refused(tmp_path: Path) -> None:
    part = learning_part(plan_of(made_corpus(), tmp_path))
    tune(part, Bowl(), _BOWL, trials=1, folder=tmp_path / "run", show=False)
    other = SearchSpace.parsed(["batch_size=int(4, 32)"])
    with pytest.raises(WeightsError, match=r"something else \(space\)"):
        tune(part, Bowl(), other, trials=1, folder=tmp_path / "run", show=False)


def test_settings_that_cannot_be_built_are_a_failed_trial(tmp_path: Path) -> None:
    part = learning_part(plan_of(made_corpus(), tmp_path))
    predictor = SentimentRegressor("mult:size=4:heads=2:layers=1:self_layers=1", max_epochs=1)
    space = SearchSpace.parsed(["network.heads=choice(2, 3)"])
    found = tune(part, predictor, space, trials=6, show=False)
    failed = {trial.settings.get("network.heads"): trial for trial in found.trials if trial.problem}
    assert list(failed) == [3] and failed[3].value is None
    assert found.best.settings.get("network.heads", 2) == 2


def test_what_was_given_and_cannot_be_built_is_an_error(tmp_path: Path) -> None:
    part = learning_part(plan_of(made_corpus(), tmp_path))
    predictor = SentimentRegressor("mult:size=4:heads=3", max_epochs=1)
    with pytest.raises(SpecificationError):
        tune(part, predictor, SearchSpace.parsed(["patience=int(1, 4)"]), trials=2, show=False)


def test_trials_are_compared_by_the_task_alone(tmp_path: Path) -> None:
    corpus = made_corpus()
    both = Specification(
        (*corpus.specification.streams, StreamSpecification("text", ("a", "b"), clock="words")),
        corpus.specification.labels,
    )
    x = np.random.default_rng(1).standard_normal((len(_SPLIT), 3, 4)).astype(np.float32)
    part = learning_part(plan_of(Aligned.from_arrays(x, both, table=corpus.table), tmp_path))
    predictor = SentimentRegressor("lf-dnn:hidden=4:recurrent_out=4:fusion=4", ["modal_alignment:weight=50"])
    space = SearchSpace.parsed(["modal_alignment.weight=log(1, 100)"])
    found = tune(part, predictor.set_params(max_epochs=2), space, trials=1, folder=tmp_path / "run", show=False)
    for trial in found.trials:
        with next((tmp_path / "run" / f"trial-{trial.number:04d}").rglob("losses.csv")).open() as file:
            epochs = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
        kept = min(epochs, key=lambda row: row["valid_loss"])
        assert trial.value == kept["valid_regression"] != kept["valid_loss"]
    assert not list((tmp_path / "run").rglob("*.safetensors"))


def test_the_command_goes_on_and_says_how_to_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    maker, out = import_module("synthetic_field_files"), tmp_path / "tuning"
    corpus = maker.write_file(tmp_path / "a.pkl", "mosi", sizes=(24, 8, 8), columns=(4, 3, 3), steps=(4, 4, 4))
    words = ["tune", str(corpus), "--label", "sentiment", "--protocol", "mosi", "--modalities", "text,audio"]
    words += ["--network", "concat:hidden=4", "--set", "max_epochs=1", "--out", str(out)]
    tried = ["--try", "learning_rate=log(1e-3, 1e-1)", "--try", "network.hidden=int(2, 6)"]
    ran = CliRunner().invoke(app, [*words, *tried, "--trials", "1"], catch_exceptions=False)
    assert ran.exit_code == 0 and "train with them: trivium train " in ran.output
    assert "1 trial beside the settings as given, compared by" in ran.output and "as given (trial 0): " in ran.output
    ran = CliRunner().invoke(app, [*words, *tried, "--trials", "3", "--json"], catch_exceptions=False)
    best = json.loads(ran.stdout)
    with (out / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == ["0", "1", "2", "3"]
    assert best["value"] == min(float(row["value"]) for row in rows)
    assert (out / "history.png").read_bytes().startswith(b"\x89PNG")
    said = shlex.split(best["command"])
    assert said[:3] == ["trivium", "train", str(corpus)] and said[said.index("--epochs") + 1] == "1"
    with monkeypatch.context() as inside:
        inside.chdir(tmp_path)
        CliRunner().invoke(app, [*said[1:], "--no-export"], catch_exceptions=False)
    with (tmp_path / "WEIGHTS.run" / "seed-1111" / "fold-test" / "losses.csv").open() as file:
        trained = [float(row["valid_loss"]) for row in csv.DictReader(file)]
    assert min(trained) == best["value"]
    assert not (tmp_path / "home" / "test-reads").exists()
    with pytest.raises(SpecificationError, match="declared twice or not at all"):
        CliRunner().invoke(app, words, catch_exceptions=False)


def test_a_trial_that_torch_refuses_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecificationError, match="no setting of the training is below 0"):
        SearchSpace.parsed(["learning_rate=uniform(-1, 1)"]).require_known(SentimentRegressor())

    def refused(self: Bowl, *_: Any, **__: Any) -> Any:
        if self.batch_size != 64:
            raise ValueError("some value is not allowed")
        return fit(self, *_, **__)

    fit = Bowl.fit
    monkeypatch.setattr(Bowl, "fit", refused)
    plan = learning_part(plan_of(made_corpus(), tmp_path))
    found = tune(plan, Bowl(), SearchSpace.parsed(["batch_size=int(4, 8)"]), trials=2, show=False)
    assert [trial.problem for trial in found.trials] == ["", *["some value is not allowed"] * 2]
