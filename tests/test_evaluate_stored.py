"""Weights on test folds: what is refused, noted and counted, and that a refused start leaves its place free."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from trivium.cli import app
from trivium.corpus import Corpus
from trivium.errors import DataError, SpecificationError
from trivium.evaluate import MissingCurve, ReadLedger, named_protocol, plan_evaluation
from trivium.evaluate.experiment import experiment_configuration, train_and_score
from trivium.evaluate.stored import evaluate_weights
from trivium.predict import EmotionClassifier, SentimentRegressor
from trivium.weights import load_predictor

MOSI = ["-l", "sentiment", "-p", "mosi", "--network", "concat", "--epochs", 2, "--batch-size", 8, "--no-export"]


@pytest.fixture
def corpus(tmp_path: Path, make_spoken: Callable[..., Corpus], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    make_spoken().save(tmp_path / "spoken")
    return tmp_path / "spoken"


def run(*arguments: object) -> Result:
    done = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


def reads(home: Path) -> list[dict[str, Any]]:
    file = home / "home" / "test-reads" / "reads.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


FOLDS = ("train", "test")


def test_a_start_that_is_refused_leaves_its_place_free(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "w"
    with pytest.raises(SpecificationError):
        run("train", corpus, *MOSI, "--objective", "modal_alignment:pairs=text+gaze", "--out", out)
    with pytest.raises(SpecificationError, match="drop_steps cannot be nan"):
        run("train", corpus, *MOSI, "--drop-steps", "nan", "--out", out)
    with pytest.raises(SpecificationError, match="learning rate cannot be -1"):
        run("train", corpus, *MOSI, "--lr", "-1", "--out", out)
    assert not out.with_name("w.run").exists()
    told = run("train", corpus, *MOSI, "--out", out).output
    assert "learned from 36 utterances" in told and f"trivium evaluate {corpus} --weights" in told.replace("\n", " ")
    with pytest.raises(DataError, match="exists already"):
        run("train", corpus, *MOSI, "--out", out.with_name("w.run").with_suffix(""))


def test_two_configurations_are_not_two_seeds(corpus: Path, tmp_path: Path) -> None:
    for name, more in {"a": ["--seed", 1], "b": ["--seed", 2], "c": ["--seed", 3, "--lr", 0.5]}.items():
        run("train", corpus, *MOSI, *more, "--out", tmp_path / name)
    both = run("evaluate", corpus, "-w", tmp_path / "a", "-w", tmp_path / "b", "--resamples", 0).output
    assert "2 seeds (1, 2)" in both
    before = len(reads(tmp_path))
    with pytest.raises(SpecificationError, match=r"two configurations.*learning_rate 0.001 and 0.5"):
        run("evaluate", corpus, "-w", tmp_path / "a", "-w", tmp_path / "c", "--resamples", 0)
    assert len(reads(tmp_path)) == before


def test_predicting_the_corpus_of_the_test_fold_is_a_read_and_part_of_it_is_not(
    corpus: Path, tmp_path: Path, make_spoken: Callable[..., Corpus]
) -> None:
    run("train", corpus, *MOSI, "--out", tmp_path / "w")
    told = run("predict", corpus, "-w", tmp_path / "w")
    assert "holds the test fold of the weights" in told.stderr
    run("evaluate", corpus, "-w", tmp_path / "w", "--resamples", 0)
    first, second = reads(tmp_path)
    assert (first["configuration"], first["fold"]) == (second["configuration"], second["fold"])
    assert second["read"] == 2
    make_spoken()[np.arange(0, 30)].save(tmp_path / "part")
    run("predict", tmp_path / "part", "-w", tmp_path / "w")
    assert len(reads(tmp_path)) == 2


def test_a_configuration_has_one_hash_in_training_and_after(tmp_path: Path, make_spoken: Callable[..., Corpus]) -> None:
    plan = plan_evaluation(
        make_spoken(), named_protocol("mosi"), "sentiment", ledger=ReadLedger(tmp_path / "reads.jsonl")
    )
    settings: dict[str, Any] = {"max_epochs": 1, "progress": False, "objectives": ("modal_alignment",)}
    predictor = SentimentRegressor("concat", label="sentiment", **settings)
    train_and_score(plan, predictor, seeds=[1], resamples=0, show=False)
    learning, _ = next(plan.runs(1))
    fitted = SentimentRegressor("concat", label="sentiment", random_state=1, **settings)
    fitted.set_params(selection=plan.protocol.selection).fit(learning.train, validation=None)
    fitted.save(tmp_path / "w", learned={"fold": "test", "seed": 1}, export=False)
    done = evaluate_weights(plan, [load_predictor(tmp_path / "w")], resamples=0)
    first, second = (json.loads(line) for line in (tmp_path / "reads.jsonl").read_text().splitlines())
    assert first["configuration"] == second["configuration"] and second["read"] == 2
    known = {split: make_spoken()[make_spoken().split("standard") == split].label("sentiment") for split in FOLDS}
    (mae,) = [line.mean for line in done.floor.lines if line.measure.name == "mae"]
    assert mae == pytest.approx(np.nanmean(np.abs(known["test"] - np.nanmedian(known["train"]))), rel=1e-6)
    assert "1 configuration has" in str(done.table.provenance["test_reads"])
    with pytest.raises(SpecificationError, match="drop_steps cannot be nan"):
        experiment_configuration(plan, SentimentRegressor("concat", drop_steps=float("nan")))


def test_absent_modalities_are_told(corpus: Path, tmp_path: Path, make_spoken: Callable[..., Corpus]) -> None:
    run("train", corpus, *MOSI, "--out", tmp_path / "w")
    assert "Absent" not in run("evaluate", corpus, "-w", tmp_path / "w", "--resamples", 0).output
    make_spoken().select(["text"]).save(tmp_path / "mute")
    clips = [replace(u, streams={"text": u.streams["text"]}) if i < 20 else u for i, u in enumerate(make_spoken())]
    Corpus.from_utterances(clips, make_spoken().specification).save(tmp_path / "half")
    for name, said in (("mute", "audio in all of 12"), ("half", "audio in 4 of 12")):
        told = run("evaluate", tmp_path / name, "-w", tmp_path / "w", "--resamples", 0, "--json").stdout
        assert f"Absent from the test utterances, and masked: {said}." in json.loads(told)["remarks"]


def test_an_area_ends_where_its_number_does() -> None:
    nan = float("nan")
    curve = MissingCurve((0.0, 0.5, 0.75, 1.0), {"r": ((1.0,), (0.5,), (0.5,), (nan,)), "mae": ((1.0,),) * 4})
    assert curve.defined_to("r") == 0.75 and curve.area("r") == pytest.approx(0.375 + 0.125)
    assert (curve.defined_to("mae"), curve.area("mae")) == (1.0, 1.0)
    assert curve.to_json()["scores"]["r"]["area_to"] == 0.75
    never = MissingCurve((0.0, 1.0), {"r": ((nan,), (0.5,))})
    assert np.isnan(never.area("r")) and np.isnan(never.defined_to("r"))


def test_areas_and_shares_are_shown(corpus: Path, tmp_path: Path) -> None:
    run("train", corpus, *MOSI, "--out", tmp_path / "w")
    asked = ["evaluate", corpus, "-w", tmp_path / "w", "--missing", "--draws", 1, "--resamples", 0]
    shown = run(*asked, "--rates", "0,0.25,1", "--measures", "mae,r").output
    assert "area to 0.25" in shown and "area to 1" in shown and "0.25" in shown
    wrong = CliRunner().invoke(app, [str(one) for one in [*asked, "--rates", "0,2"]])
    assert wrong.exit_code == 2 and "rising shares" in wrong.output


def test_a_valid_fold_without_labels_is_told(corpus: Path, tmp_path: Path, make_spoken: Callable[..., Corpus]) -> None:
    clips = [replace(u, labels={}) if u.splits["standard"] == "valid" else u for u in make_spoken()]
    Corpus.from_utterances(clips, make_spoken().specification).save(tmp_path / "unlabelled")
    told = run("train", tmp_path / "unlabelled", *MOSI, "--out", tmp_path / "w").stderr
    assert "No utterance of the valid fold (test fold test) has the label sentiment" in told
    assert "No utterance" not in run("train", corpus, *MOSI, "--out", tmp_path / "v").stderr


def test_a_class_that_only_validation_has_is_named_with_its_utterances(make_spoken: Callable[..., Corpus]) -> None:
    corpus = make_spoken()
    level = np.asarray(corpus.label("mood") == "level")
    quick: dict[str, Any] = {"label": "mood", "max_epochs": 1, "progress": False}
    given = (corpus, corpus.label("mood"))
    first = corpus.ids[level][0]
    with pytest.raises(DataError, match=rf"'level' of \d+ validation utterances \(such as {first}, .*training fold"):
        EmotionClassifier("concat", **quick).fit(corpus[~level], validation=given)


def test_numbers_are_no_classes(tmp_path: Path) -> None:
    table = tmp_path / "p.csv"
    table.write_text("id,prediction,label\na,-0.01,up\nb,0.7,down\n")
    with pytest.raises(DataError, match=r"the predictions are numbers \(such as -0.01\)"):
        run("score", table, "-p", "classification")


def test_a_predicted_class_without_a_label_is_noted(tmp_path: Path) -> None:
    table = tmp_path / "p.csv"
    table.write_text("id,prediction,label\na,up,up\nb,Up,up\nc,down,down\n")
    assert "the class of no label: Up." in run("score", table, "-p", "classification").output
