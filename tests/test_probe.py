"""The probe: what is fitted on what, which scores come out, and what the run leaves behind."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.metrics import balanced_accuracy_score
from typer.testing import CliRunner

from trivium.align import save_aligned
from trivium.corpus import Aligned, LabelSpecification, Specification, StreamSpecification
from trivium.errors import DataError, FormatError, SpecificationError
from trivium.evaluate import (
    ProbeResult,
    TestReads,
    leave_one_corpus_out,
    modality_combinations,
    pretraining_combinations,
    probe,
)

MOOD = LabelSpecification("mood", "multiclass", ("sad", "calm", "angry"))
FEEL = LabelSpecification("feel", "regression", range=(-3.0, 3.0))
WARM = LabelSpecification("warm", "regression")
SPEC = Specification(
    (
        StreamSpecification("audio", ("a0", "a1"), clock="words"),
        StreamSpecification("vision", ("v0",), clock="words"),
    ),
    (MOOD, FEEL, WARM),
)
QUICK: dict[str, Any] = {"progress": False, "floors": ("majority", "mean"), "seeds": 2, "resamples": 40}
BARE: dict[str, Any] = {**QUICK, "floors": ("majority",)}


pytestmark = pytest.mark.usefixtures("few_strengths")


def talking(n: int = 72, seed: int = 0) -> Aligned:
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, n)
    x = rng.standard_normal((n, 4, 3)).astype(np.float32)
    x[:, :, 0] += 2 * (kind == 0)[:, None]
    x[:, :, 2] += 2 * (kind == 1)[:, None]
    table: dict[str, NDArray[Any]] = {
        "label.mood": np.array(MOOD.classes)[kind],
        "label.feel": x[:, :, 0].mean(axis=1) + 0.1 * rng.standard_normal(n),
        "label.warm": x[:, :, 2].mean(axis=1),
        "group.speaker": (np.arange(n) // 6).astype(str),
        "group.corpus": np.where(np.arange(n) // 6 % 2, "near", "far"),
        "split.std": np.array(["train", "train", "valid", "test"])[np.arange(n) % 4],
    }
    table["label.feel"] = table["label.feel"].astype(np.float64)
    table["label.warm"] = table["label.warm"].astype(np.float64)
    return Aligned.from_arrays(x, SPEC, ids=np.array([f"u{i}" for i in range(n)]), table=table)


class Spy(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Means, and a note of what it was fitted on."""

    seen: list[tuple[type, tuple[str, ...], int | None]] = []  # noqa: RUF012  # shared by clones on purpose

    def __init__(self, random_state: int | None = None) -> None:
        self.random_state = random_state

    def fit(self, X: Aligned, y: object = None) -> Self:
        Spy.seen.append((type(X), tuple(X.ids.tolist()), self.random_state))
        assert y is None
        return self

    def transform(self, X: Aligned) -> NDArray[np.float32]:
        return np.asarray(X.values.mean(axis=1))


@pytest.fixture(autouse=True)
def _fresh_spy() -> None:
    Spy.seen.clear()


def test_representations_are_fitted_per_fold_and_seed_without_test_rows() -> None:
    data = talking()
    result = probe(Spy(), data, "mood", group="speaker", folds=3, **QUICK)
    assert len(Spy.seen) == 6 and {kind for kind, _, _ in Spy.seen} == {Aligned}
    assert [seed for _, _, seed in Spy.seen] == [0, 0, 0, 1, 1, 1]
    folds = result.row("Spy").predictions.folds[0]
    for number, (_, ids, _) in enumerate(Spy.seen[:3], 1):
        assert set(ids) == set(data.ids[folds != str(number)])


def test_scores_are_those_of_the_saved_predictions(tmp_path: Path) -> None:
    data = talking()
    result = probe(Spy(), data, "mood", group="speaker", folds=3, out=tmp_path, **QUICK)
    with (tmp_path / "predictions.csv").open() as file:
        lines = list(csv.DictReader(file))
    for row in result.rows:
        for seed, value in zip(row.predictions.seeds, row.scores["uar"], strict=True):
            mine = [line for line in lines if line["row"] == row.name and line["seed"] == str(seed)]
            assert {line["id"] for line in mine} == set(data.ids)
            by_fold = [[m for m in mine if m["fold"] == fold] for fold in ("1", "2", "3")]
            found = [balanced_accuracy_score([m["label"] for m in f], [m["prediction"] for m in f]) for f in by_fold]
            assert value == pytest.approx(np.mean(found))
            for line in mine:
                chances = {c: float(line[f"p_{c}"]) for c in MOOD.classes}
                assert sum(chances.values()) == pytest.approx(1, abs=1e-5)
                assert max(chances, key=lambda c: chances[c]) == line["prediction"]


def test_a_signal_is_found_and_its_paired_interval_excludes_zero() -> None:
    result = probe(Spy(), talking(), "mood", group="speaker", folds=3, **QUICK)
    assert result.row("majority").mean("uar") == pytest.approx(1 / 3)
    value, interval = result.row("Spy").differences["majority"]
    assert value > 0.3 and interval.low > 0
    assert result.row("Spy").differences["mean"][0] == pytest.approx(0, abs=0.05)
    assert result.row("mean").differences == {}


def test_no_number_of_the_table_loses_its_end_within_80_columns() -> None:
    result = probe(Spy(), talking(), "mood", group="speaker", folds=3, **QUICK)
    rows = (*result.rows[:-1], replace(result.row("Spy"), name="mean and spread beside Fisher vectors"))
    shown = io.StringIO()
    Console(file=shown, width=80).print(replace(result, rows=rows).table())
    value, interval = result.row("Spy").differences[result._best_floor().name]  # type: ignore[union-attr]
    words = shown.getvalue().split()
    assert {f"{value:+.3f}", f"[{interval.low:+.3f},", f"{interval.high:+.3f}]"} <= set(words)
    assert "…" not in shown.getvalue()


def test_labels_that_are_noise_stay_at_chance() -> None:
    data = talking(120)
    data.table["label.mood"][:] = np.random.default_rng(1).permutation(data.table["label.mood"])
    result = probe(None, data, "mood", group="speaker", folds=4, **QUICK)
    assert abs(result.row("mean").mean("uar") - 1 / 3) < 0.12


def test_numbers_get_correlation_within_folds_and_the_measures_of_sentiment() -> None:
    result = probe(None, talking(), "feel", folds=3, **QUICK)
    assert result.metrics == ("r", "mae", "acc2_has0", "acc2_non0", "f1_non0", "acc7")
    assert result.row("mean").mean("r") > 0.9 and result.row("majority").mean("r") == 0
    assert result.settings["representations"]["majority"] == "mean of the training labels"


def test_several_numbers_give_the_mean_of_their_correlations() -> None:
    result = probe(None, talking(), ["feel", "warm"], folds=3, **QUICK)
    assert result.metrics == ("mean_r", "mae") and result.label == ("feel", "warm")
    assert result.row("mean").mean("mean_r") > 0.9
    assert result.predictions_csv().splitlines()[0].endswith("label_feel,label_warm,prediction_feel,prediction_warm")


def test_random_partitions_give_every_row_its_seeds_and_fixed_folds_only_the_random_ones() -> None:
    data = talking()
    drawn = probe(Spy(), data, "mood", folds=3, **QUICK)
    assert {row.name: len(row.predictions.seeds) for row in drawn.rows} == {"majority": 2, "mean": 2, "Spy": 2}
    fixed = probe(Spy(), data, "mood", group="speaker", folds=3, **QUICK)
    assert {row.name: len(row.predictions.seeds) for row in fixed.rows} == {"majority": 1, "mean": 1, "Spy": 2}


def test_a_given_split_tests_its_test_fold_and_fits_on_the_rest() -> None:
    data = talking()
    result = probe(Spy(), data, "mood", split="std", **QUICK)
    tested = result.row("Spy").predictions.folds[0] != ""
    np.testing.assert_array_equal(tested, data.split("std") == "test")
    assert set(Spy.seen[0][1]) == set(data.ids[data.split("std") != "test"])


def test_utterances_without_the_label_take_no_part_and_none_at_all_is_an_error() -> None:
    data = talking()
    data.table["label.mood"][:10] = ""
    result = probe(None, data, "mood", folds=3, **QUICK)
    assert not (result.row("mean").predictions.folds[:, :10] != "").any()
    data.table["label.mood"][:] = ""
    with pytest.raises(DataError, match="no utterance with a label"):
        probe(None, data, "mood", folds=3, **QUICK)


def test_every_floor_is_in_the_table_in_order() -> None:
    result = probe(Spy(), talking(36), "mood", folds=2, seeds=1, resamples=20, progress=False)
    names = [row.name for row in result.rows]
    assert names == ["majority", "missingness", "mean", "mean-std", "flatten", "flatten-pca", "Spy"]
    assert result.row("flatten-pca").features == result.row("Spy").features == 3
    table = result.markdown()
    assert all(name in table for name in names) and "Mean over the true classes" in table


def test_wrong_floors_and_names_of_floors_are_refused() -> None:
    with pytest.raises(SpecificationError, match="no floor"):
        probe(None, talking(), "mood", floors=["ceiling"], progress=False)
    with pytest.raises(SpecificationError, match="as a floor"):
        probe({"mean": Spy()}, talking(), "mood", progress=False)


def test_every_read_of_a_test_fold_is_recorded_and_counted_across_runs(tmp_path: Path) -> None:
    first = probe(Spy(), talking(), "mood", group="speaker", folds=3, out=tmp_path, **QUICK)
    assert first.test_reads == 3 + 3 + 6
    second = probe(Spy(), talking(), "mood", group="speaker", folds=3, out=tmp_path, **QUICK)
    assert second.test_reads == 24
    lines = [json.loads(line) for line in (tmp_path / "test_reads.jsonl").read_text().splitlines()]
    assert len(lines) == 24 and {line["count"] for line in lines[:12]} == {1}
    assert {line["count"] for line in lines[12:]} == {2}
    assert len({line["config"] for line in lines if line["row"] == "mean"}) == 3  # one per fold
    assert json.loads((tmp_path / "result.json").read_text())["test_reads"] == 24


def test_a_damaged_record_of_reads_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "test_reads.jsonl").write_text('{"config": "a"}\n')
    with pytest.raises(FormatError, match="line 1"):
        TestReads(tmp_path)


def same_scores(a: ProbeResult, b: ProbeResult) -> bool:
    return bool(a.to_json()["rows"] == b.to_json()["rows"])


def test_the_same_seeds_give_the_same_table() -> None:
    assert same_scores(*(probe(Spy(), talking(), "mood", folds=3, **QUICK) for _ in range(2)))


def test_combinations_of_modalities_see_their_columns_only() -> None:
    found = modality_combinations(Spy(), talking(), "mood", folds=3, **BARE)
    assert {name: r.row("Spy").features for name, r in found.items()} == {"audio": 2, "vision": 1, "audio+vision": 3}


def test_combinations_of_corpora_fit_on_what_they_name_and_never_on_test_rows() -> None:
    data = talking()
    corpora = dict(zip(data.ids.tolist(), data.group("corpus").tolist(), strict=True))
    found = pretraining_combinations(Spy(), data, "mood", target="near", folds=3, **BARE)
    assert list(found) == ["far", "near", "far+near"]
    used = [{corpora[i] for i in ids} for _, ids, _ in Spy.seen]
    assert used == [{"far"}] * 2 + [{"near"}] * 6 + [{"far", "near"}] * 6  # far does not depend on the fold
    for result in found.values():
        tested = result.row("Spy").predictions.folds[0] != ""
        np.testing.assert_array_equal(tested, data.group("corpus") == "near")


def test_leaving_a_corpus_out_fits_on_all_others() -> None:
    data = talking()
    corpora = dict(zip(data.ids.tolist(), data.group("corpus").tolist(), strict=True))
    found = leave_one_corpus_out(Spy(), data, "mood", folds=3, **BARE)
    used = [{corpora[i] for i in ids} for _, ids, _ in Spy.seen]
    assert set(found) == {"near", "far"} and len(used) == 4
    assert used[0] != used[-1] and all(len(names) == 1 for names in used)
    with pytest.raises(SpecificationError, match="near"):
        pretraining_combinations(Spy(), data, "mood", target="here", **QUICK)


def test_the_command_prints_a_table_with_definitions_and_writes_the_run(tmp_path: Path) -> None:
    from trivium.cli import app

    save_aligned(talking(24), tmp_path / "a.npz")
    asked = ["probe", str(tmp_path / "a.npz"), "--label", "mood", "--group", "speaker", "--folds", "2", "--seeds", "1"]
    asked += ["--resamples", "10"]
    result = CliRunner().invoke(app, [*asked, "--out", str(tmp_path / "run")])
    assert result.exit_code == 0, result.output
    assert "flatten-pca" in result.output and "Mean over the true classes" in result.output.replace("\n", " ")
    assert "Reads of a test fold recorded: 12" in result.output
    names = {"result.json", "result.md", "predictions.csv", "test_reads.jsonl"}
    assert {file.name for file in (tmp_path / "run").iterdir()} == names
    asked[asked.index("mood")] = "feel"
    several = CliRunner().invoke(app, [*asked, "--combinations", "modalities"])
    assert "over all 3 tables: 36" in several.output
    told = CliRunner().invoke(app, [*asked, "--json", "--combinations", "modalities"])
    assert set(json.loads(told.stdout)) == {"audio", "vision", "audio+vision"}
