"""Ordered levels and weights by class: by hand, against brute force, from the estimators and from the commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from trivium.cli import app
from trivium.corpus import Corpus, LabelSpecification
from trivium.errors import SpecificationError
from trivium.objectives import Ordinal
from trivium.predict import EmotionClassifier, SentimentRegressor
from trivium.predict.selection import selection_of
from trivium.train import TensorBatch, TrainingClock
from trivium.weights import expected_level, load_predictor

THOROUGH: dict[str, Any] = {
    "max_epochs": 40,
    "learning_rate": 1e-2,
    "batch_size": 16,
    "validation_fraction": 0,
    "progress": False,
    "random_state": 1,
}
QUICK: dict[str, Any] = {**THOROUGH, "max_epochs": 1}


@given(st.lists(st.integers(-30, 30), min_size=1, max_size=20))
def test_levels_are_the_bins_of_acc7(tenths: list[int]) -> None:
    labels = np.array(tenths) / 10
    found = Ordinal("y", lowest=-3.0).numbers(torch.tensor(labels), 6)
    assert (found.numpy() - 3).tolist() == np.clip(np.round(labels), -3, 3).tolist()


def test_levels_that_lie_closer_are_told_apart() -> None:
    labels = torch.tensor([-1.0, -0.8, 0.0, 0.6, 1.0])
    assert Ordinal("y", lowest=-1.0, step=0.2).numbers(labels, 10).tolist() == [0, 1, 5, 8, 10]


def test_the_loss_by_hand() -> None:
    # 0.8 is nearest to 1, the level number 4 of -3 ... 3: above -3, -2, -1 and 0, not above 1 and 2
    scores = torch.tensor([[2.0, 1.0, 0.5, -0.5, 1.0, -2.0]])
    batch = TensorBatch(torch.arange(1), {}, {}, {"y": torch.tensor([0.8])})
    signs = np.array([-1, -1, -1, -1, 1, 1])
    expected = np.log1p(np.exp(signs * scores.numpy()[0])).mean()
    made = Ordinal("y", lowest=-3.0).loss({"prediction": scores}, batch, TrainingClock(0, 0))
    assert made.item() == pytest.approx(float(expected), rel=1e-5)


@given(st.lists(st.floats(-8, 8), min_size=1, max_size=9))
def test_the_expected_level_is_the_mean_of_the_distribution(scores: list[float]) -> None:
    falling = np.array(sorted(scores, reverse=True))
    levels = np.cumsum(np.arange(1, len(scores) + 2)).astype(float)  # of different heights
    above = np.concatenate([[1.0], 1 / (1 + np.exp(-falling)), [0.0]])
    brute = float(np.sum(levels * -np.diff(above)))
    found = expected_level(falling[None].astype(np.float32), levels.tolist())[0]
    assert found == pytest.approx(brute, rel=1e-4)


def stars(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = rng.integers(1, 6, n).astype(float)
    x = rng.standard_normal((n, 3, 4)).astype(np.float32) * 0.2
    x[:, :, 0] += y[:, None]
    return x, y


def test_ordered_levels_are_learned_and_answered_as_expected_levels() -> None:
    x, y = stars()
    made = SentimentRegressor("concat", loss="ordinal", **THOROUGH).fit(x, y)
    assert made.levels_ == (1.0, 2.0, 3.0, 4.0, 5.0) and made.outputs(x)["prediction"].shape == (60, 4)
    said = made.predict(x)
    assert said.min() > 1 and said.max() < 5
    assert (np.round(said) == y).mean() > 0.9 and made.score(x, y) > 0.9


def test_levels_come_from_the_declared_range_and_selection_reads_levels(make_spoken: Callable[..., Corpus]) -> None:
    made = SentimentRegressor("concat", label="sentiment", loss="ordinal", selection="mae", **QUICK)
    made.set_params(validation_fraction=0.3).fit(make_spoken())
    assert made.levels_ == (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
    assert 0 < made.best_value_ < 3
    rule = selection_of("mae", Ordinal("y", lowest=1.0))
    sure = torch.tensor([[99.0, 99.0, -99.0, -99.0], [-99.0] * 4])
    assert rule.of([(torch.tensor([3.0, 2.0]), sure)]) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("loss", "problem"),
    [
        ("ordinal:0", "choose from l1, mse, huber, ordinal"),
        ("ordinal:wide", "loss cannot be 'ordinal:wide'"),
        ("ordinal:20", "there are 1 levels 20 apart"),
        ("ordinal:0.001", "write the loss as ordinal:STEP"),
        ("l1:2", "loss cannot be 'l1:2'"),
        ("cross-entropy", "loss cannot be 'cross-entropy'"),
    ],
)
def test_levels_that_cannot_be_are_refused(loss: str, problem: str) -> None:
    with pytest.raises(SpecificationError, match=problem):
        SentimentRegressor("concat", loss=loss, **QUICK).fit(*stars())


def test_stored_levels_give_the_same_answers_without_torch_too(tmp_path: Path) -> None:
    x, y = stars(20)
    made = SentimentRegressor("concat", label="stars", loss="ordinal", **QUICK).fit(x, y)
    from trivium.represent.inputs import array_to_aligned

    weights = load_predictor(made.save(tmp_path / "w").folder)
    assert weights.graph is not None and weights.config.levels == made.levels_
    np.testing.assert_allclose(weights.predict(array_to_aligned(x)), made.predict(x), atol=1e-5)
    assert "a number from 1 to 5, learned as 5 levels" in (tmp_path / "w" / "README.md").read_text()


def test_a_memory_of_one_number_refuses_several(make_spoken: Callable[..., Corpus]) -> None:
    made = SentimentRegressor("self-mm", ["unimodal_labels"], label="sentiment", loss="ordinal", **QUICK)
    with pytest.raises(SpecificationError, match="unimodal_labels: the unimodal heads give several numbers"):
        made.fit(make_spoken())


def moods(n: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Two classes that overlap."""
    rng = np.random.default_rng(1)
    y = np.array(["calm", "sad"])[rng.integers(0, 2, n)]
    x = rng.standard_normal((n, 2, 3)).astype(np.float32)
    x[:, :, 0] += np.where(y == "sad", 0.4, -0.4)[:, None]
    return x, y


def test_a_class_that_weighs_more_is_named_more_often() -> None:
    x, y = moods()

    def named_sad(weights: Any) -> float:
        made = EmotionClassifier("concat", class_weight=weights, **{**THOROUGH, "max_epochs": 8}).fit(x, y)
        return float((made.predict(x) == "sad").mean())

    assert named_sad({"sad": 0.05}) < 0.2 < named_sad(None) < 0.8 < named_sad({"sad": 20, "calm": 1})
    assert named_sad({"calm": 1.0, "sad": 1.0}) == named_sad(None)


def test_presences_that_weigh_more_are_named_more_often(make_spoken: Callable[..., Corpus]) -> None:
    corpus = make_spoken()

    def named_happy(weights: Any) -> float:
        made = EmotionClassifier("concat", label="emotions", class_weight=weights, **{**THOROUGH, "max_epochs": 8})
        return float(made.fit(corpus).predict_proba(corpus)[:, 1].mean())

    assert named_happy({"happy": 0.05}) < named_happy(None) < named_happy({"happy": 20})


@pytest.mark.parametrize(
    ("weights", "problem"),
    [
        ({"merry": 2}, "there is no class 'merry' to give a weight.*calm, sad"),
        ({"sad": 0}, "the weight of sad cannot be 0"),
        ({"sad": -1.0}, "give a number above 0"),
        ({"sad": float("nan")}, "the weight of sad cannot be nan"),
        ({"sad": True}, "the weight of sad cannot be True"),
        ("fair", "give balanced, or a weight by class"),
    ],
)
def test_weights_that_cannot_be_are_refused(weights: Any, problem: str) -> None:
    with pytest.raises(SpecificationError, match=problem):
        EmotionClassifier("concat", class_weight=weights, **QUICK).fit(*moods())


def test_a_number_has_no_class_weights() -> None:
    with pytest.raises(SpecificationError, match="class weights are of classes"):
        SentimentRegressor("concat", class_weight="balanced", **QUICK).fit(*stars())


# the commands

TRAIN = ["--network", "concat", "--epochs", "3", "--batch-size", "8", "--lr", "0.01", "--no-export"]


@pytest.fixture
def corpus(tmp_path: Path, make_spoken: Callable[..., Corpus], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    make_spoken().save(tmp_path / "spoken")
    return str(tmp_path / "spoken")


def run(*arguments: object) -> Result:
    done = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


def test_the_command_learns_levels_and_scores_them_as_numbers(corpus: str, tmp_path: Path) -> None:
    run("train", corpus, "-l", "sentiment", "-p", "mosi", "--loss", "ordinal", "--out", tmp_path / "w", *TRAIN)
    scores = json.loads(run("evaluate", corpus, "-w", tmp_path / "w", "--json", "--resamples", 0).stdout)["scores"]
    assert {"acc7", "mae", "r"} <= set(scores) and 0 < scores["mae"]["mean"] < 3


def test_the_command_takes_weights_by_class(corpus: str, tmp_path: Path) -> None:
    asked = ["train", corpus, "-l", "mood", "-p", "classification", "--split", "standard", *TRAIN]
    run(*asked, "--class-weight", "up=2,down=0.5", "--out", tmp_path / "w")
    stored = load_predictor(tmp_path / "w").config.parameters["class_weight"]
    assert stored == {"up": 2.0, "down": 0.5}
    with pytest.raises(SpecificationError, match="'much' is no number"):
        run(*asked, "--class-weight", "up=much", "--out", tmp_path / "x")
    with pytest.raises(SpecificationError, match="there is no class 'merry'"):
        run(*asked, "--class-weight", "merry=2", "--out", tmp_path / "y")


def test_labels_of_the_kind_ordinal_are_numbers() -> None:
    from trivium.predict import predictor_for

    made = predictor_for(LabelSpecification("stars", "ordinal", range=(1.0, 5.0)), loss="ordinal")
    assert isinstance(made, SentimentRegressor)
