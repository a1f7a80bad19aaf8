"""Rates by part of a network: SGD steps by hand, the same bytes after a stop, the commands, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from trivium.cli import app
from trivium.corpus import Aligned, Corpus, Specification, StreamSpecification
from trivium.errors import SpecificationError, WeightsError
from trivium.evaluate.reproduction import DATASETS, NETWORKS, run_settings
from trivium.predict import SentimentRegressor
from trivium.registry import load
from trivium.train import rates_by_part
from trivium.weights import load_predictor

torch.set_num_threads(1)
FIELD = {"text": 5, "audio": 3, "vision": 4}


class Tower(nn.Module):
    """Two numbers of one part, one of another, one beside."""

    def __init__(self) -> None:
        super().__init__()
        self.audio = nn.ParameterDict({"low": torch.tensor([2.0]), "high": torch.tensor([4.0])})
        self.audio_gain = nn.Parameter(torch.tensor([8.0]))
        self.offset = nn.Parameter(torch.tensor([1.0]))


def whole(*parameters: nn.Parameter, rate: float = 0.1, decay: float = 0.0) -> dict[str, Any]:
    return {"params": list(parameters), "lr": rate, "weight_decay": decay}


def test_a_step_of_sgd_is_the_one_by_hand() -> None:
    """p - rate (gradient + decay p), with gradient 1 everywhere; `audio` does not reach into `audio_gain`."""
    tower, head = Tower(), nn.Parameter(torch.tensor([16.0]))
    parts = {"audio": {"learning_rate": 0.5, "weight_decay": 0.25}, "audio.high": {"weight_decay": 0.5}}
    optimizer = torch.optim.SGD(rates_by_part([whole(*tower.parameters(), head)], tower, parts), lr=9.0)
    torch.stack([parameter.sum() for parameter in (*tower.parameters(), head)]).sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    assert tower.audio["low"].item() == pytest.approx(2 - 0.5 * (1 + 0.25 * 2))
    assert tower.audio["high"].item() == pytest.approx(4 - 0.1 * (1 + 0.5 * 4)), "the longer name alone decides"
    assert tower.audio_gain.item() == pytest.approx(8 - 0.1)
    assert tower.offset.item() == pytest.approx(0.9) and head.item() == pytest.approx(15.9)


def test_groups_keep_what_a_part_does_not_set_and_every_parameter_stands_in_one() -> None:
    tower = Tower()
    free, rest = (
        whole(tower.audio["low"], rate=0.3),
        whole(tower.audio["high"], tower.audio_gain, tower.offset, decay=1),
    )
    found = rates_by_part([free, rest], tower, {"audio": {"learning_rate": 0.7}})
    assert [(g.get("part"), g["lr"], g["weight_decay"], len(g["params"])) for g in found] == [
        (None, 0.1, 1, 2), ("audio", 0.7, 0.0, 1), ("audio", 0.7, 1, 1),
    ]  # fmt: skip
    assert sorted(id(p) for g in found for p in g["params"]) == sorted(id(p) for p in tower.parameters())
    assert rates_by_part([rest], tower, {}) == [rest]


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"video": {"learning_rate": 1.0}}, r"no part 'video'.*audio_gain, offset, audio, audio\.high, audio\.low"),
        ({"aud": {"learning_rate": 1.0}}, "no part 'aud'"),
        ({"audio": {"momentum": 0.9}}, "no rate 'momentum'"),
        ({"audio": {}}, "no rates"),
        ({"audio": {"learning_rate": -1.0}}, "learning_rate of audio cannot be -1.0"),
        ({"audio": {"weight_decay": float("nan")}}, "weight_decay of audio cannot be nan"),
    ],
)
def test_parts_and_rates_that_are_not_there_are_refused(parts: dict[str, dict[str, float]], told: str) -> None:
    with pytest.raises(SpecificationError, match=told):
        rates_by_part([whole(*Tower().parameters())], Tower(), parts)


def spoken(n: int = 24) -> tuple[Aligned, Any]:
    specification = Specification(tuple(StreamSpecification(m, tuple("abc")) for m in ("text", "audio")))
    x = np.random.default_rng(0).standard_normal((n, 3, 6)).astype(np.float32)
    return Aligned.from_arrays(x, specification), x[:, :, 0].mean(axis=1).astype(float)


def regressor(**options: Any) -> SentimentRegressor:
    quick = {"max_epochs": 6, "batch_size": 8, "patience": 20, "learning_rate": 0.05, "progress": False}
    return SentimentRegressor("self-mm", ("unimodal_labels:limit=3",), **{**quick, **options})


def test_a_part_that_does_not_learn_stays_as_it_was_drawn() -> None:
    x, y = spoken()
    drawn = regressor(max_epochs=0).fit(x, y).network_.state_dict()
    still = regressor(parts={"encoders.audio": {"learning_rate": 0.0}}).fit(x, y).network_.state_dict()
    same = {name: torch.equal(still[name], drawn[name]) for name in drawn}
    assert all(equal == name.startswith("encoders.audio.") for name, equal in same.items())


def test_rates_equal_to_those_of_the_whole_change_nothing() -> None:
    x, y = spoken()
    parts = {"fusion": {"learning_rate": 0.05}}
    assert regressor(parts=parts).fit(x, y).predict(x).tobytes() == regressor().fit(x, y).predict(x).tobytes()


def test_a_run_on_a_plateau_goes_on_with_the_same_bytes_and_with_these_parts_only(tmp_path: Path) -> None:
    x, y = spoken()
    options: dict[str, Any] = {
        "schedule": "plateau:patience=0:factor=0.5",
        "parts": {"encoders.audio": {"learning_rate": 0.4, "weight_decay": 0.1}},
    }
    straight = regressor(**options).fit(x, y)
    regressor(**options, max_epochs=3, folder=tmp_path).fit(x, y)
    again = regressor(**options, folder=tmp_path, resume=True).fit(x, y)
    assert again.predict(x).tobytes() == straight.predict(x).tobytes()
    assert again.loss_curves_ == straight.loss_curves_
    rates = [row["learning_rate"] for row in straight.loss_curves_]
    assert rates[0] == 0.05 and rates[-1] < 0.05, "the loss stopped falling at least once"
    for changed, named in (
        ({"parts": {"heads.audio": options["parts"]["encoders.audio"]}}, "optimizer"),
        ({"schedule": "plateau:patience=1:factor=0.5"}, "schedule"),
    ):
        with pytest.raises(WeightsError, match=f"other settings: {named}"):
            regressor(**{**options, **changed}, folder=tmp_path, resume=True).fit(x, y)


def test_the_command_takes_parts_and_a_schedule_and_the_weights_keep_them(
    make_spoken: Callable[..., Corpus], tmp_path: Path
) -> None:
    make_spoken().save(tmp_path / "spoken")
    asked = ["train", str(tmp_path / "spoken"), "-l", "sentiment", "-p", "mosi", "-n", "lmf", "--epochs", "1"]
    asked += ["--no-export", "-o", str(tmp_path / "w")]
    done = CliRunner().invoke(app, [*asked, "--part", "factors:learning_rate=0.5", "--schedule", "plateau:patience=3"])
    assert done.exit_code == 0, done.output
    kept = load_predictor(tmp_path / "w").config.parameters
    assert (kept["parts"], kept["schedule"]) == ({"factors": {"learning_rate": 0.5}}, "plateau:patience=3")
    for wrong in (["--part", "factors:learning_rate=much"], ["--part", "factors"], ["--schedule", "cosine"]):
        with pytest.raises(SpecificationError):
            CliRunner().invoke(app, [*asked, "--overwrite", *wrong], catch_exceptions=False)


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("network", NETWORKS)
def test_what_reproduce_runs_names_parts_that_the_networks_have(dataset: str, network: str) -> None:
    settings = run_settings(dataset, network)
    made = load("network", network)(FIELD, 1, **settings.options)
    parts = settings.training.get("parts", {})
    found = rates_by_part([whole(*made.parameters())], made, parts)
    assert {group.get("part") for group in found} == {None, *parts}
    json.dumps(dict(settings.training))


def test_published_rates_are_those_of_their_source() -> None:
    """MMSA's config_regression.json: learning_rate_audio, ..._video, factor_lr and MulT's patience."""
    mosei, sims = run_settings("mosei", "self-mm").training, run_settings("sims", "lmf").training
    assert mosei["parts"]["encoders.vision"] == {"learning_rate": 0.0001, "weight_decay": 0.0}
    assert mosei["parts"]["encoders.audio"] == {"learning_rate": 0.005, "weight_decay": 0.0}
    assert (sims["learning_rate"], sims["parts"]) == (0.002, {"factors": {"learning_rate": 0.0005}})
    patience = {name: run_settings(name, "mult").training["schedule"] for name in DATASETS}
    assert patience == {
        "mosi": "plateau:patience=5", "mosei": "plateau:patience=20", "sims": "plateau:patience=10",
        "simsv2": "plateau:patience=10", "iemocap": "plateau:patience=20",
    }  # fmt: skip
