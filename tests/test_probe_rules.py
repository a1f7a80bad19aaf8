"""The rules of a probe: what no representation may see, what a collapsed one scores, and what the table must admit."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from trivium.corpus import Aligned, LabelSpecification, Specification, StreamSpecification
from trivium.errors import DataError
from trivium.evaluate import (
    ProbeResult,
    Protocol,
    across,
    given_split,
    grouped_folds,
    pretraining_combinations,
    probe,
    repeated_folds,
)
from trivium.evaluate.report import Predictions
from trivium.evaluate.scores import rows_of, score
from trivium.evaluate.target import target_of
from trivium.weights.example import example_weights
from trivium.weights.proof import proof_input

MOOD, FEEL = LabelSpecification("mood", "binary", ("calm", "angry")), LabelSpecification("feel", "regression")
SPEC = Specification((StreamSpecification("audio", ("a0", "a1"), clock="words"),), (MOOD, FEEL))
QUICK: dict[str, Any] = {"progress": False, "floors": ("majority", "mean"), "seeds": 1, "resamples": 20}


def acted(n: int = 96) -> Aligned:
    """Synthetic: 12 speakers of 8 utterances, two sentences in turn, the first 6 speakers in the corpus ``near``."""
    rng, rows = np.random.default_rng(0), np.arange(n)
    kind = rows // 2 % 2
    x = rng.standard_normal((n, 3, 2)).astype(np.float32) + kind[:, None, None].astype(np.float32)
    table: dict[str, NDArray[Any]] = {
        "label.mood": np.array(MOOD.classes)[kind],
        "label.feel": x.mean(axis=(1, 2)).astype(np.float64),
        "group.speaker": (rows // 8).astype(str),
        "group.sentence": (rows % 2).astype(str),
        "group.corpus": np.where(rows // 8 < 6, "near", "far"),
        "split.std": np.array(["train", "train", "valid", "test"])[rows // 8 % 4],
    }
    return Aligned.from_arrays(x, SPEC, ids=np.array([f"u{i}" for i in rows]), table=table)


class Watcher(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Means, and a note of what was fitted on, stopped by and scaled with."""

    fits: list[tuple[set[str], set[str], str]] = []  # noqa: RUF012  # shared by clones on purpose

    def __init__(self, scaler: str = "pooled", max_epochs: int = 5) -> None:
        self.scaler = scaler
        self.max_epochs = max_epochs

    def fit(self, X: Aligned, y: object = None, *, validation: Aligned | None = None) -> Self:
        stopping = set() if validation is None else set(validation.ids.tolist())
        Watcher.fits.append((set(X.ids.tolist()), stopping, self.scaler))
        return self

    def transform(self, X: Aligned) -> NDArray[np.float32]:
        return np.asarray(X.values.mean(axis=1))


class Stored:
    """Something without ``fit``."""

    def transform(self, X: Aligned) -> NDArray[np.float32]:
        return np.asarray(X.values.mean(axis=1))


@pytest.fixture(autouse=True)
def _forget() -> None:
    Watcher.fits.clear()


@pytest.mark.parametrize("same", [False, True])
def test_across_fits_on_its_training_rows_and_on_no_row_of_a_tested_speaker(same: bool) -> None:
    data = acted()
    plan = across(grouped_folds(data.group("speaker"), 3), data.group("sentence"), same=same)
    probe(Watcher(), data, "feel", protocol=plan, **QUICK)
    assert len(Watcher.fits) == len(plan.folds) == 6
    for (fitted, _, _), fold in zip(Watcher.fits, plan.folds, strict=True):
        assert fitted == set(data.ids[fold.train].tolist())


def test_pretraining_rows_of_a_tested_speaker_are_left_out_whatever_their_label() -> None:
    data = acted()
    data.table["label.feel"][::4] = np.nan  # every speaker has rows without a label
    every = np.ones(len(data), bool)
    probe(Watcher(), data, "feel", group="speaker", folds=3, pretraining=every, **QUICK)
    speakers = data.group("speaker")
    for (fitted, _, _), fold in zip(Watcher.fits, grouped_folds(speakers, 3).folds, strict=True):
        assert fitted == set(data.ids[~np.isin(speakers, speakers[fold.test])].tolist())


def test_a_split_that_shares_all_its_groups_with_the_test_fold_leaves_nothing_to_fit_on() -> None:
    data = acted()
    data.table["split.std"][:] = np.array(["train", "train", "train", "test"])[np.arange(len(data)) % 4]
    with pytest.raises(DataError, match="cluster"):
        probe(Watcher(), data, "feel", split="std", group="speaker", **QUICK)


def test_folds_are_made_of_the_evaluated_speakers_alone() -> None:
    data = acted()
    near = data.group("corpus") == "near"
    result = probe(None, data, "feel", group="speaker", folds=6, evaluated=near, **QUICK)
    folds = result.row("mean").predictions.folds[0]
    assert set(folds) == {"", "1", "2", "3", "4", "5", "6"}
    np.testing.assert_array_equal(folds != "", near)
    for fold in "123456":
        assert len(set(data.group("speaker")[folds == fold])) == 1


def test_an_encoder_that_collapsed_in_most_folds_scores_nothing_on_them() -> None:
    truth, folds = np.tile([1.0, 2.0, 3.0], 4), np.repeat(np.arange(4), 3)
    said = np.where(folds == 0, truth, 7.0)
    assert score("r", truth, said, folds) == pytest.approx(0.25)
    assert score("r", np.where(folds == 1, 5.0, truth), said, folds) == pytest.approx(1 / 3)  # that fold has no r
    assert np.isnan(score("r", np.ones(12), truth, folds))
    assert score("acc2_non0", np.where(folds == 0, 0.0, truth), said, folds) == 1


def test_a_prediction_that_is_no_number_is_an_error() -> None:
    truth = np.arange(6.0)
    with pytest.raises(DataError, match="NaN"):
        score("r", truth, np.where(truth == 3, np.nan, truth), np.zeros(6))
    data = acted(16)
    broken = Predictions((0,), np.full((1, 16, 2), np.nan), np.full((1, 16), "1"))
    with pytest.raises(DataError, match="x predicted NaN or infinity for 16"):
        rows_of({"x": broken}, {"x": 1}, target_of(data, "mood"), data.ids, (), 5)


def test_vectors_that_are_not_finite_are_an_error() -> None:
    data = acted()
    data.values[3, 0, 0] = np.nan
    with pytest.raises(DataError, match="Watcher gave vectors that are not finite"):
        probe(Watcher(), data, "feel", folds=3, **QUICK)


def told(result: ProbeResult) -> str:
    return result.markdown() + json.dumps(result.to_json())


def test_what_is_not_refitted_says_that_it_may_be_transductive_and_that_a_floor_is_missing() -> None:
    result = probe({"old": Stored()}, acted(), "feel", folds=3, **{**QUICK, "floors": ("mean", "untrained")})
    for text in (result.markdown(), json.dumps(result.to_json())):
        assert "old is not refitted: transductive if it was trained on these utterances" in text
        assert "There is no untrained floor" in text
    fitted = told(probe(Watcher(), acted(), "feel", folds=3, **{**QUICK, "floors": ("mean", "untrained")}))
    assert "transductive" not in fitted and "no untrained floor" not in fitted


def test_weights_are_described_as_not_refitted(tmp_path: Path) -> None:
    weights = example_weights(tmp_path / "example")
    one = proof_input(weights.config, weights.scalers)  # synthetic
    rows = np.tile(np.arange(len(one)), 6)
    table: dict[str, NDArray[Any]] = {"label.mood": np.array(MOOD.classes)[np.arange(len(rows)) % 2]}
    spec = Specification(one.specification.streams, (MOOD,))
    data = Aligned.from_arrays(one.values[rows], spec, ids=np.arange(len(rows)).astype(str), table=table)
    result = probe(weights, data, "mood", folds=2, **QUICK)
    assert "not refitted: transductive" in result.settings["representations"]["example"]


def test_a_refitted_scaler_is_called_transductive() -> None:
    result = probe(Watcher(scaler="refit"), acted(), "feel", folds=3, **QUICK)
    assert "transductive" in result.settings["representations"]["Watcher"]
    assert "Watcher is transductive" in result.markdown()


def reads(folder: Path, data: Aligned, **options: Any) -> set[str]:
    probe(Watcher(), data, "feel", group="speaker", folds=3, out=folder, **{**QUICK, **options})
    lines = [json.loads(line) for line in (folder / "test_reads.jsonl").read_text().splitlines()]
    return {line["config"] for line in lines if line["row"] == "Watcher"}


def other_values(data: Aligned) -> Aligned:
    return replace(data, values=data.values + np.float32(1))


def other_labels(data: Aligned) -> Aligned:
    return replace(data, table={**data.table, "label.feel": data.table["label.feel"][::-1].copy()})


@pytest.mark.parametrize("change", [other_values, other_labels])
def test_other_data_are_another_configuration(change: Callable[[Aligned], Aligned], tmp_path: Path) -> None:
    first, again = (reads(tmp_path / name, acted()) for name in "ab")
    assert first == again and len(first) == 3
    assert not first & reads(tmp_path / "c", change(acted()))


def test_other_pretraining_rows_are_another_configuration(tmp_path: Path) -> None:
    data = acted()
    some = data.group("sentence") == "0"
    assert not reads(tmp_path / "a", data) & reads(tmp_path / "b", data, pretraining=some)


def test_a_split_with_valid_trains_on_train_and_stops_on_valid() -> None:
    data = acted()
    probe(Watcher(), data, "feel", split="std", **{**QUICK, "floors": ("untrained",)})
    train, valid = (set(data.ids[data.split("std") == fold].tolist()) for fold in ("train", "valid"))
    assert Watcher.fits == [(train, valid, "pooled")] * 2


@pytest.mark.parametrize(
    ("plan", "group", "said"),
    [
        (lambda d: grouped_folds(d.group("speaker"), 3), None, "12 clusters that the protocol names"),
        (lambda d: grouped_folds(d.group("speaker"), 3), "speaker", "speaker"),
        (lambda d: grouped_folds(d.group("speaker"), 3), "sentence", "12 clusters that the protocol names"),
        (lambda d: repeated_folds(d.ids, 3, [0]), None, "utterance"),
        (lambda d: given_split(d.split("std"), d.ids), None, "utterance"),
    ],
)
def test_the_clusters_of_a_given_protocol_are_named(
    plan: Callable[[Aligned], Protocol], group: str | None, said: str
) -> None:
    data = acted()
    assert probe(None, data, "feel", protocol=plan(data), group=group, **QUICK).settings["clusters"] == said


def test_the_notes_say_that_intervals_hold_the_models_fixed() -> None:
    result = probe(None, acted(), "feel", folds=3, **QUICK)
    assert any("hold the trained models fixed" in note for note in result.notes())
    assert result.settings["grid"].startswith("C 1e-5 ... 1e1, or alpha 1e-1 ... 1e6")


def test_a_target_that_is_pretrained_on_is_read_with_its_own_scaler() -> None:
    floors = {**QUICK, "floors": ("mean", "untrained")}
    found = pretraining_combinations(Watcher(), acted(), "feel", target="near", folds=2, **floors)
    assert [scaler for *_, scaler in Watcher.fits] == ["near"] * 4 + ["pooled"] * 2 + ["near"] * 4
    assert "scaler='near'" in found["near"].settings["representations"]["Watcher"]
    assert "Watcher is scaled by near." in found["near+far"].markdown()
    assert "is scaled by" not in found["far"].markdown()


def test_intervals_and_differences_are_those_of_a_paired_bootstrap_over_clusters_made_by_hand() -> None:
    data, rng = acted(), np.random.default_rng(5)
    truth, folds = data.label("feel"), np.repeat(["1", "2"], 48)
    clusters, n = data.group("speaker"), len(data)
    good = np.stack([truth + rng.standard_normal(n) for _ in range(2)])
    poor = np.stack([truth + 3 * rng.standard_normal(n) for _ in range(2)])
    made = {k: Predictions((0, 1), v[:, :, None], np.stack([folds] * 2)) for k, v in (("poor", poor), ("good", good))}
    rows = rows_of(made, {"poor": 1, "good": 1}, target_of(data, "feel"), clusters, ("poor",), 1500)

    def by_hand(said: NDArray[np.float64], drawn: NDArray[np.int64]) -> float:
        inside = [drawn[folds[drawn] == fold] for fold in ("1", "2")]
        return float(np.mean([np.corrcoef(truth[i], one[i])[0, 1] for one in said for i in inside if len(i)]))

    members = {name: np.flatnonzero(clusters == name) for name in np.unique(clusters)}
    pairs = []
    for _ in range(1500):
        drawn = np.concatenate([members[name] for name in rng.choice(list(members), len(members))])
        pairs.append((by_hand(good, drawn), by_hand(poor, drawn)))
    values = np.array(pairs)
    own, (difference, apart) = rows[1].interval, rows[1].differences["poor"]
    whole = np.arange(n)
    assert difference == pytest.approx(by_hand(good, whole) - by_hand(poor, whole), abs=1e-6)
    np.testing.assert_allclose([own.low, own.high], np.percentile(values[:, 0], [2.5, 97.5]), atol=0.02)
    paired = np.percentile(values[:, 0] - values[:, 1], [2.5, 97.5])
    np.testing.assert_allclose([apart.low, apart.high], paired, atol=0.03)
