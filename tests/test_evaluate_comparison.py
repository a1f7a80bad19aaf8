"""Two systems compared: paired intervals and permutation tests against brute force and constructed answers."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from trivium.cli import app
from trivium.errors import DataError
from trivium.evaluate import Answers, PredictionTable, answers_of, compare, named_protocol, write_predictions

NUMBERS = named_protocol("regression")


def system(said: NDArray[Any], truth: NDArray[Any], ids: list[str] | None = None, **more: Any) -> Answers:
    cells = {"id": ids or [f"u{k:03d}" for k in range(len(truth))], "prediction": said, "label": truth, **more}
    return answers_of(PredictionTable(cells, file="theirs" if "seed" in more else "ours"), NUMBERS)


def test_equal_systems_differ_by_nothing() -> None:
    y = np.arange(30.0)
    found = compare(system(y, y), system(y, y), NUMBERS, times=50)
    for difference in found.differences:
        assert (difference.value, difference.interval.low, difference.interval.high) == (0.0, 0.0, 0.0)
        assert difference.p == 1.0


def test_a_shifted_system_differs_by_its_shift_with_an_interval_around_it() -> None:
    rng = np.random.default_rng(0)
    y = rng.standard_normal(120)
    a, b = y + rng.normal(0, 0.1, 120), y + 1 + rng.normal(0, 0.1, 120)
    mae = compare(system(a, y), system(b, y), NUMBERS, times=200).differences[1]
    expected = np.abs(a - y).mean() - np.abs(b - y).mean()
    assert mae.measure.name == "mae"
    assert mae.value == pytest.approx(expected, abs=1e-5)
    assert mae.interval.low < expected < mae.interval.high < 0
    assert mae.p == pytest.approx(1 / 201)


def test_the_permutation_p_is_near_that_of_all_permutations() -> None:
    rng = np.random.default_rng(3)
    y = rng.standard_normal(24)
    a, b = y + rng.normal(0, 0.5, 24), y + rng.normal(0, 1.0, 24)
    group = np.repeat(np.arange(8), 3)
    wrong = np.abs(a - y) - np.abs(b - y)
    by_group = np.array([wrong[group == g].sum() for g in range(8)])
    all_signs = np.array(list(itertools.product([1, -1], repeat=8)))
    exact = np.mean(np.abs(all_signs @ by_group) >= abs(by_group.sum()) - 1e-9)
    found = compare(system(a, y, group=group), system(b, y), NUMBERS, times=3000).differences[1]
    assert found.p == pytest.approx(exact, abs=0.03)
    assert 0.005 < exact < 0.9


def test_under_no_difference_small_p_are_as_rare_as_they_should_be() -> None:
    rng = np.random.default_rng(1)
    found = []
    for _ in range(60):
        y = rng.standard_normal(30)
        a, b = y + rng.standard_normal((2, 30))
        found.append(compare(system(a, y), system(b, y), NUMBERS, times=60).differences[1].p)
    assert np.mean(np.array(found) < 0.1) < 0.25
    assert 0.3 < np.mean(found) < 0.7


def test_clusters_widen_the_interval_and_raise_p() -> None:
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(10), 12)
    y = np.zeros(120)
    a = np.abs(np.repeat(rng.normal(1.0, 0.4, 10), 12))
    b = np.abs(np.repeat(rng.normal(1.2, 0.4, 10), 12))
    b[0] += 1e-3  # no correlation is asked for here
    alone = compare(system(a, y), system(b, y), NUMBERS, times=300).differences[1]
    together = compare(system(a, y, group=group), system(b, y), NUMBERS, times=300).differences[1]
    assert together.interval.high - together.interval.low > 2 * (alone.interval.high - alone.interval.low)
    assert together.p > alone.p


def test_only_shared_ids_are_compared_and_the_others_counted() -> None:
    y = np.arange(5.0)
    ours = system(y, y, list("abcde"))
    theirs = system(np.array([9.0, 2, 1]), np.array([9.0, 2, 1]), ["z", "c", "b"])
    found = compare(ours, theirs, NUMBERS, times=10)
    assert (found.shared, found.only_ours, found.only_theirs) == (2, 3, 1)
    assert found.differences[1].value == 0.0
    assert "2 ids are shared, 3 are in ours only, 1 in theirs only" in found.notes()[0]


def test_nothing_shared_or_other_labels_is_an_error() -> None:
    y = np.arange(3.0)
    with pytest.raises(DataError, match="shares no id"):
        compare(system(y, y, list("abc")), system(y, y, list("xyz")), NUMBERS)
    with pytest.raises(DataError, match="another label than ours for 1 of 3 shared ids, such as 'u001'"):
        compare(system(y, y), system(y, np.array([0.0, 7, 2])), NUMBERS)


def test_seeds_are_averaged_and_without_equal_numbers_there_is_no_permutation() -> None:
    y = np.arange(6.0)
    two = {"seed": np.repeat([1, 2], 6)}
    ids = [f"u{k:03d}" for k in range(6)] * 2
    theirs = system(np.concatenate([y, y + 2]), np.tile(y, 2), ids, **two)
    found = compare(system(y, y), theirs, NUMBERS, times=20)
    assert found.differences[1].value == -1.0
    assert np.isnan(found.differences[1].p)
    assert "No permutation test" in found.notes()[-1]
    same = compare(theirs, theirs, NUMBERS, times=20)
    assert same.differences[1].p == 1.0


def test_partitions_of_each_seed_are_those_of_both_systems() -> None:
    y = np.array([0.0, 1, 2, 3])
    ids = [f"u{k:03d}" for k in range(4)] * 2
    said = np.array([0.0, 1, 12, 13, 0, 9, 9.5, 1])  # within its own folds a perfect correlation, elsewhere not
    told = {"seed": np.repeat([1, 2], 4), "fold": ["1.a", "1.a", "1.b", "1.b", "2.a", "2.b", "2.b", "2.a"]}
    ours, theirs = system(np.tile(y, 2), np.tile(y, 2), ids, **told), system(said, np.tile(y, 2), ids, **told)
    found = compare(ours, theirs, NUMBERS, times=0).differences[0]
    assert found.ours == pytest.approx(1.0) and found.theirs == pytest.approx(1.0)


def test_the_command_compares_two_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    y = np.round(rng.uniform(-1, 1, 80) * 5) / 5
    for name, noise in (("ours", 0.05), ("theirs", 0.8)):
        said = (y + rng.normal(0, noise, 80)).astype(np.float32)
        cells = {"id": [str(k) for k in range(80)], "prediction": said, "label": y, "video": np.arange(80) // 4}
        write_predictions(tmp_path / f"{name}.csv", PredictionTable(cells))
    words = ["score", str(tmp_path / "ours.csv"), "-p", "sims", "-g", "video", "--resamples", "100"]
    words += ["--against", str(tmp_path / "theirs.csv")]
    shown = CliRunner().invoke(app, words, catch_exceptions=False)
    assert "ours minus theirs" in shown.output and "80 ids are shared" in " ".join(shown.output.split())
    told = json.loads(CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False).output)
    accuracy = told["against"]["differences"]["sims_acc5"]
    assert accuracy["interval"][0] > 0 and accuracy["p"] < 0.05
    assert (told["against"]["clusters"], told["against"]["shared"]) == (20, 80)
    assert told["scores"]["sims_acc5"]["mean"] == accuracy["ours"]
