"""``trivium train`` and ``evaluate``: weights that check, the same bytes for a seed and after a kill, honest scores."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from trivium.cli import app
from trivium.corpus import Corpus
from trivium.errors import DataError, SpecificationError, TriviumError, WeightsError
from trivium.train.loop import Trainer
from trivium.train.run_checkpoint import RunCheckpoint
from trivium.weights import check_weights, load_predictor

FORKS = multiprocessing.get_context("fork")
QUICK = ["--network", "concat", "--epochs", "4", "--batch-size", "8", "--lr", "0.01", "--seed", "3", "--no-export"]
MOSI = ["-l", "sentiment", "-p", "mosi"]


@pytest.fixture
def corpus(tmp_path: Path, make_spoken: Callable[..., Corpus], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    make_spoken().save(tmp_path / "spoken")
    return str(tmp_path / "spoken")


def run(*arguments: object) -> Result:
    done = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


def train(corpus: str, out: Path, *more: object, asked: list[str] = MOSI) -> Result:
    return run("train", corpus, *asked, *QUICK, "--out", out, *more)


def state(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_training_writes_weights_that_check_and_know_what_they_learned(corpus: str, tmp_path: Path) -> None:
    told = train(corpus, tmp_path / "w", "--tensorboard").output
    assert "4 epochs" in told and "valid loss" in told
    found = check_weights(tmp_path / "w")
    assert found.ok, found.problems
    learned = load_predictor(tmp_path / "w").config.learned
    assert (learned["corpus"], learned["protocol"], learned["fold"], learned["seed"]) == ("spoken", "mosi", "test", 3)
    assert learned["utterances"] == 36 and not (tmp_path / "home" / "test-reads").exists()
    logs = tmp_path / "w.run" / "seed-3" / "fold-test"
    assert (logs / "losses.csv").read_text().count("\n") == 5 and list((logs / "tensorboard").iterdir())


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(corpus: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        train(corpus, tmp_path / name)
    train(corpus, tmp_path / "c", "--seed", 4)  # two seeds: a folder of two
    assert state(tmp_path / "a") == state(tmp_path / "b")
    assert state(tmp_path / "c" / "seed-3.fold-test") == state(tmp_path / "a")
    assert state(tmp_path / "c" / "seed-4.fold-test") != state(tmp_path / "a")


def train_until_killed(corpus: str, out: Path) -> None:
    torch.set_num_threads(1)  # a pool of threads does not survive the fork
    save, calls = RunCheckpoint.save, []

    def save_and_die(self: RunCheckpoint, *rest: Any) -> None:
        save(self, *rest)
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    RunCheckpoint.save = save_and_die  # type: ignore[method-assign, assignment]
    train(corpus, out)


def test_a_run_that_was_killed_goes_on_and_ends_with_the_same_bytes(corpus: str, tmp_path: Path) -> None:
    train(corpus, tmp_path / "straight")
    process = FORKS.Process(target=train_until_killed, args=(corpus, tmp_path / "killed"))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL and not (tmp_path / "killed").exists()
    with pytest.raises(DataError, match="--resume"):
        train(corpus, tmp_path / "killed")
    with pytest.raises(WeightsError, match=r"other settings \(objectives"):
        train(corpus, tmp_path / "killed", "--resume", "--objective", "modal_alignment:layer=fused")
    train(corpus, tmp_path / "killed", "--resume")
    for name in ("model.safetensors", "scalers.safetensors", "proof.safetensors", "config.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()
    losses = [(tmp_path / f"{one}.run/seed-3/fold-test/losses.csv").read_text() for one in ("straight", "killed")]
    assert losses[0] == losses[1]


def test_an_evaluation_scores_the_test_fold_and_counts_its_reads(corpus: str, tmp_path: Path) -> None:
    train(corpus, tmp_path / "w", "--epochs", 15)
    first = json.loads(run("evaluate", corpus, "-w", tmp_path / "w", "--json", "--resamples", 10).stdout)
    assert first["utterances"] == 12 and first["scores"]["r"]["mean"] > 0.8 and not first["remarks"]
    again = run("evaluate", corpus, "-w", tmp_path / "w", "--predictions", tmp_path / "p.csv", "--resamples", 10).output
    assert "This configuration read this test fold 2 times" in " ".join(again.split())
    shown = next(line for line in again.splitlines() if "mae (less is better)" in line)
    assert f"{first['floor']['mae']['mean']:.4f}" in shown  # what one answer for everybody scores stands beside it
    scored = json.loads(run("score", tmp_path / "p.csv", "-p", "mosi", "--json", "--resamples", 0).stdout)
    assert scored["scores"]["mae"]["mean"] == first["scores"]["mae"]["mean"]


def test_several_seeds_and_folds_are_one_table_with_mean_and_spread(corpus: str, tmp_path: Path) -> None:
    grouped = ["-l", "mood", "-p", "classification", "--group", "actor", "--folds", "3"]
    train(corpus, tmp_path / "w", "--seed", 4, "--class-weight", "balanced", asked=grouped)
    assert sorted(p.name for p in (tmp_path / "w").iterdir()) == [
        f"seed-{s}.fold-{f}" for s in (3, 4) for f in (1, 2, 3)
    ]
    facts = json.loads(run("evaluate", corpus, "-w", tmp_path / "w", "--json", "--resamples", 0).stdout)
    assert facts["seeds"] == ["3", "4"] and facts["folds"] == 3 and facts["utterances"] == 60
    assert len(facts["scores"]["uar"]["by_seed"]) == 2
    lines = (tmp_path / "home" / "test-reads" / "reads.jsonl").read_text().splitlines()
    assert len(lines) == 6


def test_several_emotions_at_once_with_weights_by_class(corpus: str, tmp_path: Path) -> None:
    asked = ["-l", "emotions", "-p", "iemocap", "--class-weight", "balanced"]
    train(corpus, tmp_path / "w", "--epochs", 15, asked=asked)
    facts = json.loads(run("evaluate", corpus, "-w", tmp_path / "w", "--json", "--resamples", 0).stdout)
    assert facts["scores"]["happy.accuracy"]["mean"] > 0.6
    row = json.loads(run("predict", corpus, "-w", tmp_path / "w", "--json").stdout)[0]
    assert set(row["probabilities"]) == {"neutral", "happy", "sad", "angry"}
    assert row["answer"] == [name for name, share in row["probabilities"].items() if share > 0.5]


def test_missing_modalities_cost_what_the_curve_shows(corpus: str, tmp_path: Path) -> None:
    train(corpus, tmp_path / "w", "--epochs", 15)
    out = tmp_path / "robust"
    asked = ["evaluate", corpus, "-w", tmp_path / "w", "--missing", "--out", out, "--draws", 2, "--resamples", 0]
    facts = json.loads(run(*asked, "--json").stdout)
    mae = facts["missing"]["curve"]["scores"]["mae"]
    assert mae["mean"][0] == pytest.approx(facts["scores"]["mae"]["mean"], abs=1e-6) and len(mae["mean"]) == 11
    assert mae["mean"][-1] > 1.5 * mae["mean"][0]
    assert mae["area"] == pytest.approx(np.trapezoid(mae["mean"], facts["missing"]["curve"]["rates"]))
    assert set(facts["missing"]["subsets"]) == {"text", "audio", "text+audio"}
    assert facts["missing"]["subsets"]["text+audio"]["mae"] == pytest.approx(mae["mean"][0])
    with (out / "missing.csv").open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert len(rows) == 22 and rows[-1]["share_of_modalities_missing"] == "1.0" and rows[-1]["r"] == ""
    assert (out / "missing.png").read_bytes().startswith(b"\x89PNG") and (out / "subsets.csv").exists()
    lines = (tmp_path / "home" / "test-reads" / "reads.jsonl").read_text().splitlines()
    assert len(lines) == 1  # the rows are opened once, however often they are spoilt
    assert "steps missing" in run(*asked, "--drop", "steps", "--measures", "mae,r").output


def test_other_training_rows_than_the_plans_are_told(
    corpus: str, tmp_path: Path, make_spoken: Callable[..., Corpus]
) -> None:
    train(corpus, tmp_path / "w")
    make_spoken()[np.arange(5, 60)].save(tmp_path / "part")
    facts = json.loads(run("evaluate", tmp_path / "part", "-w", tmp_path / "w", "--json", "--resamples", 0).stdout)
    assert "learned from other utterances" in facts["remarks"][0]


def test_a_loss_that_is_not_finite_names_the_batch_and_keeps_the_last_good_weights(corpus: str, tmp_path: Path) -> None:
    straight = train(corpus, tmp_path / "good", "--epochs", 2, "--json")
    kept = json.loads(straight.stdout)[0]["kept_epoch"]
    step, calls = Trainer._train_epoch, []

    def spoil(self: Trainer, module: Any, *rest: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            with torch.no_grad():
                next(module.parameters()).fill_(float("nan"))
        return step(self, module, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_train_epoch", spoil)
        with pytest.raises(DataError, match=r"the weights are not finite after this step; its batch holds u\d+, u\d+"):
            train(corpus, tmp_path / "w")
    assert not (tmp_path / "w").exists()
    rest = json.loads(train(corpus, tmp_path / "w", "--resume", "--epochs", 2, "--json").stdout)[0]
    assert rest["kept_epoch"] == kept and state(tmp_path / "w") == state(tmp_path / "good")


def test_what_does_not_fit_is_said_before_the_training(corpus: str, tmp_path: Path) -> None:
    out = tmp_path / "w"
    with pytest.raises(TriviumError, match="there is no network"):
        train(corpus, out, "--network", "transfusion")
    with pytest.raises(SpecificationError, match="has no option 'colour'"):
        train(corpus, out, "--network", "tfn:colour=3", "--overwrite")
    with pytest.raises(SpecificationError, match="precision cannot be"):
        train(corpus, out, "--precision", "fp7", "--overwrite")
    with pytest.raises(SpecificationError, match="there is no fold"):
        train(corpus, out, "--fold", "9", "--overwrite")
    with pytest.raises(SpecificationError, match="there is no label"):
        train(corpus, out, "--overwrite", asked=["-l", "colour", "-p", "mosi"])
    train(corpus, out, "--overwrite")
    with pytest.raises(DataError, match="exists already"):
        train(corpus, out)
    with pytest.raises(WeightsError, match="holds a predictor"):
        run("embed", corpus, "--weights", out, "--out", tmp_path / "v.parquet")


@pytest.mark.parametrize("command", ["train", "evaluate", "predict"])
def test_the_help_teaches(command: str) -> None:
    text = CliRunner().invoke(app, [command, "--help"]).output
    assert "Examples" in text and text.count(f"trivium {command} ") == 3  # usage and two examples
