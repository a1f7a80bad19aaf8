"""What a task of the suite is asked for and cannot give: labels, options; and which way less is better. Synthetic."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

from trivium.corpus import LabelSpecification
from trivium.errors import DataError, SpecificationError
from trivium.evaluate.protocols import Fold
from trivium.evaluate.report import Predictions, TestReads
from trivium.evaluate.suite.cells import Bench, Cut
from trivium.evaluate.suite.contrast import contrast_of
from trivium.evaluate.suite.declared import read_suite
from trivium.evaluate.suite.material import Material
from trivium.evaluate.suite.parts import Learning, PartVectors, require_options
from trivium.evaluate.suite.requests import PartRequest, RowRequest, parsed_row
from trivium.evaluate.suite.runs import SuiteRun
from trivium.evaluate.target import target_of
from trivium.represent import MaskedSteps, MeanPooling
from trivium.represent.inputs import array_to_aligned

pytestmark = pytest.mark.usefixtures("few_strengths")
REAL = read_suite("real")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """40 training, 8 validation and 16 test clips in the layout of ICT-MMMO."""
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for fold, count in (("train", 40), ("valid", 8), ("test", 16)):
        y = rng.uniform(1, 5, count)
        voice = rng.standard_normal((count, 20, 9)) + y[:, None, None]
        arrays |= {f"audio_{fold}": voice, f"video_{fold}": rng.standard_normal((count, 20, 5)), f"label_{fold}": y}
    (tmp_path / "word-level").mkdir()
    np.savez(tmp_path / "word-level" / "mmmo.npz", **{name: v.astype(np.float32) for name, v in arrays.items()})
    return tmp_path


def asked(data: Path, **changes: Any) -> SuiteRun:
    suite = replace(REAL, floors=("majority", "mean"), rows=("statistics",), resamples=20)
    usual: dict[str, Any] = {"tracks": ("H",), "rows": ("statistics",), "seeds": 1, "first_division": True}
    return SuiteRun(suite, data=data, work=data / "work", tasks=("ict-mmmo",), progress=False, **{**usual, **changes})


def toy_bench(count: int = 12) -> Bench:
    steps = array_to_aligned(np.random.default_rng(0).standard_normal((count, 3, 2)).astype(np.float32))
    label = LabelSpecification("mood", "binary", ("calm", "angry"))
    steps = replace(
        steps,
        specification=replace(steps.specification, labels=(label,)),
        table={"label.mood": np.where(np.arange(count) % 2, "calm", "angry")},
    )
    material = Material(steps, steps)
    return Bench(PartVectors(material), target_of(steps, "mood"), steps.ids, None, TestReads())


def test_a_fold_with_too_few_rows_for_a_draw_of_labels_is_refused_whichever_comes_first() -> None:
    bench = toy_bench()
    many, few = Fold("1", np.arange(9), np.arange(9, 12)), Fold("2", np.arange(9, 12), np.arange(9))
    cut = Cut(labels=3, draws=3)
    assert cut.can_be_had(many) and not cut.can_be_had(few) and Cut().can_be_had(few)
    assert bench.cell(parsed_row("mean"), 0, many, bench.speakers, cut).output.shape[0] == 3
    with pytest.raises(DataError, match="fold 2 has no more than 3 rows"):
        bench.cell(parsed_row("mean"), 0, few, bench.speakers, cut)


def rows_read(monkeypatch: pytest.MonkeyPatch, seed: int, cut: Cut) -> list[tuple[int, ...]]:
    """Rows that the readout of a fold was fitted on, draw by draw."""
    bench, read = toy_bench(40), list[tuple[int, ...]]()
    fitted = bench._fitted

    def watched(row: RowRequest, x: Any, rows: Any, *rest: Any) -> Any:
        read.append(tuple(rows.tolist()))
        return fitted(row, x, rows, *rest)

    monkeypatch.setattr(bench, "_fitted", watched)
    bench.cell(
        parsed_row("mean"), seed, Fold("1", np.arange(20), np.arange(30, 40), np.arange(20, 30)), bench.speakers, cut
    )
    return read


def test_labels_are_drawn_anew_for_every_draw_and_every_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    cut = Cut(labels=6, draws=4)
    draws = {seed: rows_read(monkeypatch, seed, cut) for seed in (0, 1, 2)}
    every = [rows for of_seed in draws.values() for rows in of_seed]
    assert len(every) == len(set(every)) == 3 * 4
    assert all(len(set(rows)) == 6 and max(rows) < 30 for rows in every)
    assert set(np.concatenate(every).tolist()) & set(range(20, 30))  # labels of validation rows are drawn too
    assert rows_read(monkeypatch, 1, cut) == draws[1]


def clusters_fitted_on(seed: int) -> set[int]:
    """Numbers of the clusters that a representation was fitted on, given half of twelve."""
    seen: list[int] = []

    class Watching(MeanPooling):
        def fit(self, X: Any, y: object = None) -> Self:
            seen.extend(np.unique(X.ids.astype(int) // 2).tolist())
            return super().fit(X)

    bench = toy_bench(40)
    bench.vectors.given = {"own": Watching()}
    fold = Fold("1", np.arange(24), np.arange(24, 40))
    bench.cell(parsed_row("own"), seed, fold, (np.arange(40) // 2).astype(str), Cut(unlabelled=0.5))
    return set(seen)


def test_unlabelled_clusters_are_drawn_anew_for_every_seed() -> None:
    kept = [clusters_fitted_on(seed) for seed in range(3)]
    assert [len(one) for one in kept] == [6, 6, 6]
    assert kept[0] != kept[1] != kept[2] != kept[0] and clusters_fitted_on(0) == kept[0]


def test_cuts_that_a_fold_cannot_give_are_left_out_and_told(data: Path) -> None:
    usable = {"draws": 3, "unlabelled": (0.5,)}
    division = replace(REAL.task("ict-mmmo").divisions[0], name="parts", folds="repeated", count=3)  # 42 or 43 learn
    task = replace(REAL.task("ict-mmmo"), divisions=(division,))
    suite = replace(REAL, floors=("majority", "mean"), rows=("statistics",), resamples=20, tasks=(task,))
    run = replace(asked(data, labels=(10, 42, 100), **usable), suite=suite)
    one = run.run().tasks[0]
    points = {(point.row, point.cut): point for point in one.ablations}
    assert {cut for _, cut in points} == {"10 labels", "50% unlabelled", "all"}
    assert points["mean", "10 labels"].count == 3
    assert one.facts["cuts_left_out"] == ["42 labels", "100 labels"]
    none = replace(run, labels=(100,), unlabelled=()).run().tasks[0]
    assert not none.ablations and none.facts["cuts_left_out"] == ["100 labels"]


def test_reads_of_the_test_rows_are_told_alike_when_everything_was_kept(data: Path) -> None:
    first, kept = (asked(data, kept=kept).run().tasks[0] for kept in (False, True))
    assert first.facts["test_reads"] == kept.facts["test_reads"] == 3 * 5


def test_an_option_that_no_part_has_is_refused_with_those_that_there_are(data: Path) -> None:
    with pytest.raises(SpecificationError, match=r"no part of the rows has an option 'nosuch'.*which"):
        asked(data, options={"nosuch": 3})
    with pytest.raises(SpecificationError, match="'max_epochs'"):
        asked(data, options={"max_epochs": 3})  # others have it, none that is asked for
    assert asked(data, rows=("masked-steps",), options={"max_epochs": 3}).options == {"max_epochs": 3}


def test_a_part_with_an_option_that_is_left_out_does_not_lend_it(data: Path) -> None:
    require_options({"max_epochs": 1}, ["mean", "masked-steps"], {}, {})
    with pytest.raises(SpecificationError, match="'max_epochs'"):
        require_options({"max_epochs": 1}, ["mean", "majority", "metadata"], {}, {})


@pytest.mark.parametrize("name", ["scaler", "voice__scaler"])
def test_scaling_by_the_tested_rows_is_refused(data: Path, name: str) -> None:
    with pytest.raises(SpecificationError, match=r"tested ones among them.*leave it out"):
        asked(data, options={name: "refit"}, rows=("masked-steps",))


def test_a_part_that_scales_by_the_tested_rows_is_refused_whoever_set_it() -> None:
    bench = toy_bench()
    bench.vectors.given = {"own": MaskedSteps(scaler="refit")}
    with pytest.raises(SpecificationError, match="scaler=refit"):
        bench.vectors.of(PartRequest("own"), 0, Learning(np.arange(8)))


def test_options_are_in_the_settings_and_what_they_change_is_not_declared(data: Path) -> None:
    suite = replace(REAL, floors=("majority", "mean"), rows=("statistics",), resamples=20)
    task = replace(REAL.task("ict-mmmo"), primary={"H": "statistics"})
    for options in ({}, {"which": "mean"}):
        run = asked(data, options=options, rows=())
        result = replace(run, suite=replace(suite, tasks=(task,)))._result([], [], 0.0)
        told = json.loads(json.dumps(result.to_json()))["settings"]
        assert told["declared"] is (not options)
        assert told["options"] == {name: repr(value) for name, value in options.items()}


@pytest.mark.parametrize(("measure", "ahead"), [("mae", True), ("r", True), ("mae", False)])
def test_a_contrast_is_above_zero_where_ours_is_better_even_if_less_is_better(measure: str, ahead: bool) -> None:
    random = np.random.default_rng(0)
    truth = random.uniform(-3, 3, 60)
    near, far = truth + random.normal(0, 0.2, 60), truth + random.normal(0, 2.0, 60)
    steps = array_to_aligned(np.zeros((60, 2, 1), np.float32))
    label = LabelSpecification("sentiment", "regression", range=(-3.0, 3.0))
    steps = replace(
        steps,
        specification=replace(steps.specification, labels=(label,)),
        table={"label.sentiment": truth},
    )
    target = target_of(steps, "sentiment").measured_by([measure])
    folds = np.full((1, 60), "1")
    ours, floor = (Predictions((0,), said[None, :, None], folds) for said in ((near, far) if ahead else (far, near)))
    found = contrast_of("ours", ours, floor, {}, target, np.arange(60), 50)
    assert (found.value > 0) is ahead and (found.by_seed[0] > 0) is ahead
    assert found.interval.low > 0 if ahead else found.interval.high < 0
    if measure == "mae":
        assert abs(found.value) == pytest.approx(abs(np.abs(near - truth).mean() - np.abs(far - truth).mean()))
