"""Which rows are floors of which contrast, and what a representation is minus them. Numbers by hand, data synthetic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trivium.errors import SpecificationError
from trivium.evaluate.protocols import Fold, Protocol
from trivium.evaluate.report import Row
from trivium.evaluate.suite.compared import Roles, compared
from trivium.evaluate.suite.contrast import PICKED, PICKED_HARDER, Contrasts
from trivium.evaluate.suite.declared import PartDeclaration, SuiteDeclaration, read_suite
from trivium.evaluate.suite.material import Material
from trivium.evaluate.suite.measured import Measured
from trivium.evaluate.suite.parts import Learning, PartVectors
from trivium.evaluate.suite.requests import PartRequest, parsed_row
from trivium.evaluate.suite.results import SuiteResult
from trivium.evaluate.suite.runs import SuiteRun
from trivium.evaluate.target import Target
from trivium.represent.inputs import array_to_aligned

REAL = read_suite("real")
OURS, TWIN, LATE, OTHER = "mean+fisher-vectors@late", "mean@late", "flatten@late", "statistics"
FLOORS = ("mean", "flatten")
ERRORS = {"mean": 2.0, "flatten": 3.0, OURS: 1.0, TWIN: 1.5, LATE: 1.25, OTHER: 0.5}
"""How far every answer of a row lies above the truth."""
VALIDATION = {
    "mean": (0.3, 0.1, 0.8),
    "flatten": (0.2, 0.4, 0.0),
    OURS: (0.95, 0.95, 0.95),
    TWIN: (0.6, 0.3, 0.1),
    LATE: (0.5, 0.7, 0.2),
    OTHER: (0.9, 0.9, 0.9),
}
"""By row and fold: of floors, mean wins twice; of the harder ones the twin, the late floor and mean win once each."""


def hand_made_rows() -> tuple[dict[str, Measured], Target, Protocol]:
    truth = np.arange(12.0)
    tested = np.split(np.arange(12), 3)
    folds = tuple(Fold(str(k + 1), np.setdiff1d(np.arange(12), rows), rows) for k, rows in enumerate(tested))
    names = np.repeat(["1", "2", "3"], 4)[None]
    measured = {
        row: Measured(
            (0,),
            [(truth + error)[None, :, None]],
            names,
            {(0, fold.name): score for fold, score in zip(folds, VALIDATION[row], strict=True)},
        )
        for row, error in ERRORS.items()
    }
    target = Target(("sentiment",), "numbers", truth[:, None], np.ones(12, bool), ("mae",))
    return measured, target, Protocol("three folds", folds, np.arange(12).astype(str))


def roles_of(harder: tuple[str, ...]) -> Roles:
    rows = tuple(map(parsed_row, (OURS, TWIN, LATE, OTHER)))
    floors = tuple(map(parsed_row, FLOORS))
    return Roles(floors, rows, {"unlearned": parsed_row(TWIN)}, frozenset(map(parsed_row, harder)))


def compared_by_hand(*harder: str) -> tuple[tuple[Row, ...], Contrasts]:
    measured, target, protocol = hand_made_rows()
    return compared(measured, roles_of(harder), target, protocol, (0,), 20)


def test_declared_floors_alone_are_picked_from_for_the_contrast_that_counts() -> None:
    declared = compared_by_hand(TWIN, LATE)[1].declared
    assert declared.picked == {"mean": 2, "flatten": 1}
    assert declared.value == pytest.approx((2 + 3 + 2) / 3 - 1)


def test_a_twin_a_late_floor_and_a_declared_one_win_a_fold_each_of_the_harder_contrast() -> None:
    harder = compared_by_hand(TWIN, LATE)[1].harder
    assert harder is not None and harder.picked == {TWIN: 1, LATE: 1, "mean": 1}
    assert harder.value == pytest.approx((1.5 + 1.25 + 2) / 3 - 1)


def test_a_row_that_is_not_among_the_harder_ones_is_never_picked() -> None:
    harder = compared_by_hand(LATE)[1].harder
    assert harder is not None and harder.picked == {LATE: 2, "mean": 1}
    assert compared_by_hand()[1].harder is None


def test_ours_is_compared_with_its_twin_whether_validation_picks_it_or_not() -> None:
    learned = compared_by_hand(LATE)[1].learned
    assert list(learned) == ["unlearned"] and learned["unlearned"].picked == {TWIN: 0}
    assert learned["unlearned"].value == pytest.approx(1.5 - 1)


def test_lines_of_floors_come_first_and_picked_ones_are_floors() -> None:
    lines = compared_by_hand(TWIN, LATE)[0]
    assert [line.name for line in lines if line.floor] == [*FLOORS, PICKED, PICKED_HARDER]
    assert [line.name for line in lines] == [*FLOORS, PICKED, PICKED_HARDER, OURS, TWIN, LATE, OTHER]
    assert {line.name: line.mean("mae") for line in lines} == pytest.approx(
        {**ERRORS, PICKED: (2 + 3 + 2) / 3, PICKED_HARDER: (1.5 + 1.25 + 2) / 3}
    )


def test_rows_that_are_not_wanted_play_no_role() -> None:
    kept = roles_of((TWIN, LATE)).only(list(map(parsed_row, ("mean", OURS, LATE, OTHER))))
    assert kept == Roles(
        (parsed_row("mean"),), tuple(map(parsed_row, (OURS, LATE, OTHER))), {}, frozenset((parsed_row(LATE),))
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """64 clips in the layout of ICT-MMMO whose voice tells the label in its mean."""
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for fold, count in (("train", 40), ("valid", 8), ("test", 16)):
        y = rng.uniform(1, 5, count)
        voice = rng.standard_normal((count, 20, 9)) + y[:, None, None]
        arrays |= {f"audio_{fold}": voice, f"video_{fold}": rng.standard_normal((count, 20, 5)), f"label_{fold}": y}
    (tmp_path / "word-level").mkdir()
    np.savez(tmp_path / "word-level" / "mmmo.npz", **{name: v.astype(np.float32) for name, v in arrays.items()})
    return tmp_path


TWINS = {"unlearned": "mean", "untrained": "untrained-fisher"}


def with_fixed_folds(twins: Mapping[str, str] = TWINS, harder: str = "missingness@late") -> SuiteDeclaration:
    """One task with three seeds, whose label is best told by means of the voice."""
    told = REAL.task("ict-mmmo")
    given = next(division for division in told.divisions if division.folds == "given")
    task = replace(
        told,
        divisions=(replace(given, rows=()),),
        primary={"H": "mean+fisher-vectors"},
        twins={"H": twins},
        seeds=3,
    )
    return replace(REAL, tasks=(task,), floors=("majority",), rows=("fisher-vectors",), harder=(harder,), resamples=20)


def run_of(data: Path, seeds: int, suite: SuiteDeclaration | None = None) -> SuiteResult:
    suite = suite or with_fixed_folds()
    return SuiteRun(suite, data=data, work=data, tracks=("H",), seeds=seeds, progress=False).run()


def seeds_of(result: SuiteResult) -> Mapping[str, tuple[int, ...]]:
    rows = result.tasks[0].divisions[0].rows
    return {row.name: row.predictions.seeds for row in rows if row.name not in (PICKED, PICKED_HARDER)}


@pytest.mark.parametrize(
    "suite", [with_fixed_folds(), with_fixed_folds({"untrained": "untrained-fisher"}, "mean")], ids=["twin", "declared"]
)
def test_twins_and_declared_harder_floors_of_a_run_are_picked_for_the_harder_contrast_alone(
    data: Path, suite: SuiteDeclaration
) -> None:
    contrasts = run_of(data, 1, suite).tasks[0].contrasts
    assert contrasts.declared.picked == {"majority": 1}
    assert contrasts.harder is not None and contrasts.harder.picked == {"mean": 1}


def test_a_twin_never_takes_the_place_of_the_declared_row(data: Path) -> None:
    with pytest.raises(SpecificationError, match="left without the row that its contrast was declared for"):
        SuiteRun(with_fixed_folds(), data=data, tracks=("H",), leave_out=("mean+fisher-vectors",))
    suite = with_fixed_folds()
    fits_nothing = replace(
        suite, parts={**suite.parts, "fisher-vectors": PartDeclaration("fisher-vectors", least_modalities=3)}
    )
    with pytest.raises(SpecificationError, match="left without the row that its contrast was declared for"):
        run_of(data, 1, fits_nothing)


def test_ours_and_its_twins_are_read_with_every_seed_where_folds_are_fixed(data: Path) -> None:
    result = run_of(data, 0)
    once = {"majority": (0,), "mean": (0,), "missingness@late": (0,), "fisher-vectors": (0,)}
    every = {"mean+fisher-vectors": (0, 1, 2), "untrained-fisher": (0, 1, 2)}
    assert seeds_of(result) == once | every
    assert len(set(result.tasks[0].contrasts.learned["untrained"].by_seed)) == 3


def test_every_row_that_has_seeds_is_read_with_all_that_are_asked_for(data: Path) -> None:
    seeds = seeds_of(run_of(data, 2))
    assert seeds["fisher-vectors"] == seeds["untrained-fisher"] == (0, 1) and seeds["mean"] == (0,)


def small_voice() -> Material:
    steps = array_to_aligned(np.random.default_rng(0).standard_normal((24, 12, 3)).astype(np.float32))
    return Material(steps, steps)


TRAINED = {"max_epochs": 30, "trained": True}


@pytest.mark.parametrize(("name", "told"), [("untrained", ("max_epochs", 0)), ("untrained-fisher", ("trained", False))])
def test_options_of_the_user_train_no_untrained_twin(name: str, told: tuple[str, Any]) -> None:
    plain, asked = (PartVectors(small_voice(), REAL.parts, options) for options in ({}, TRAINED))
    part, learning = PartRequest(name), Learning(np.arange(16))
    view, estimator = asked.made(name)
    assert asked._set_up(estimator, 0, view).get_params()[told[0]] == told[1]
    np.testing.assert_array_equal(asked.of(part, 0, learning), plain.of(part, 0, learning))


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [("masked-steps", "max_epochs", 7), ("fisher-vectors", "trained", False), ("untrained-fisher", "n_components", 3)],
)
def test_other_options_of_the_user_reach_the_parts_that_have_them(name: str, option: str, value: Any) -> None:
    vectors = PartVectors(small_voice(), REAL.parts, {option: value})
    view, estimator = vectors.made(name)
    assert estimator.get_params()[option] != value
    assert vectors._set_up(estimator, 0, view).get_params()[option] == value
