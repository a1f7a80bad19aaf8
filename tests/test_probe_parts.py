"""Protocols, readout and bootstrap, each against something that does not know them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.preprocessing import StandardScaler

from trivium.errors import DataError
from trivium.evaluate import LinearReadout, across, cluster_bootstrap, given_split, grouped_folds, repeated_folds
from trivium.evaluate.bootstrap import resamples
from trivium.evaluate.readout import _divisions as inner_divisions


@settings(max_examples=30)
@given(st.integers(2, 6), st.integers(0, 1000))
def test_every_utterance_is_tested_once_by_a_fold_that_never_trained_on_its_group(folds: int, seed: int) -> None:
    groups = np.random.default_rng(seed).integers(0, 9, 80)
    for protocol in (grouped_folds(groups, min(folds, len(np.unique(groups)))), repeated_folds(groups, folds, [seed])):
        tested = np.concatenate([fold.test for fold in protocol.of_seed(seed)])
        assert sorted(tested.tolist()) == list(range(80))
        for fold in protocol.of_seed(seed):
            assert not set(groups[fold.train]) & set(groups[fold.test])


def test_actors_are_taken_in_their_order() -> None:
    actors = np.array([f"{a:02d}" for a in range(1, 25)])
    protocol = grouped_folds(np.repeat(actors, 3), 6)
    assert [sorted(set(np.repeat(actors, 3)[f.test])) for f in protocol.folds][1] == ["05", "06", "07", "08"]


def test_partitions_differ_by_seed_and_repeat() -> None:
    first, again = (repeated_folds(np.arange(50), 5, [3, 4]) for _ in range(2))
    assert all(np.array_equal(a.test, b.test) for a, b in zip(first.folds, again.folds, strict=True))
    assert not np.array_equal(first.of_seed(3)[0].test, first.of_seed(4)[0].test)


def test_across_trains_on_the_other_value_and_same_on_the_same() -> None:
    groups, sentence = np.repeat(np.arange(4), 4), np.tile(["a", "b"], 8)
    other, same = (across(grouped_folds(groups, 2), sentence, same=kept) for kept in (False, True))
    for fold in other.folds:
        assert set(sentence[fold.train]) != set(sentence[fold.test]) and len(set(sentence[fold.train])) == 1
    for fold in same.folds:
        assert set(sentence[fold.train]) == set(sentence[fold.test])
    assert sorted(np.concatenate([f.test for f in other.folds]).tolist()) == list(range(16))


def test_a_given_split_chooses_on_its_valid_fold() -> None:
    fold = given_split(np.array(["train", "test", "valid", "", "train"]), np.arange(5)).folds[0]
    assert (fold.train.tolist(), fold.valid.tolist(), fold.test.tolist()) == ([0, 4], [2], [1])


@pytest.mark.parametrize("make", [lambda: grouped_folds(np.zeros(4), 2), lambda: repeated_folds(np.zeros(4), 2)])
def test_too_few_groups_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(DataError, match="fewer folds"):
        make()


def problem(seed: int = 0) -> tuple[NDArray[np.float64], NDArray[Any], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((90, 6))
    y = np.array(["calm", "angry", "sad"])[np.argmax(x[:, :3] + rng.standard_normal((90, 3)), axis=1)]
    return x, y, np.arange(90) // 3


def test_the_strength_is_that_of_a_grouped_grid_search() -> None:
    x, y, groups = problem()
    readout = LinearReadout("classes").fit(x, y, groups=groups)
    grid = {"C": [10.0**k for k in range(-5, 2)]}
    scaled = np.clip(StandardScaler().fit_transform(x), -5, 5)
    search = GridSearchCV(LogisticRegression(max_iter=5000), grid, scoring="balanced_accuracy", cv=GroupKFold(4))
    search.fit(scaled, y, groups=groups)
    assert readout.strength_ == search.best_params_["C"]
    assert readout.validation_score_ == pytest.approx(search.best_score_)
    np.testing.assert_allclose(readout.predict_proba(x), search.predict_proba(scaled), atol=1e-3)
    assert (readout.predict(x) == search.predict(scaled)).all()


def test_ridge_chooses_for_each_column_what_a_loop_chooses() -> None:
    x, _, groups = problem()
    rng = np.random.default_rng(1)
    y = np.stack([x[:, 0] + 0.1 * rng.standard_normal(90), rng.standard_normal(90)], axis=1)
    readout = LinearReadout("numbers").fit(x, y, groups=groups)
    scaled = np.clip(StandardScaler().fit_transform(x), -5, 5)
    for column in range(2):
        errors = {}
        for alpha in 10.0 ** np.arange(-1, 7):
            errors[alpha] = sum(
                ((Ridge(alpha=alpha).fit(scaled[a], y[a, column]).predict(scaled[b]) - y[b, column]) ** 2).sum()
                for a, b in GroupKFold(4).split(scaled, groups=groups)
            )
        best = min(errors, key=lambda a: errors[a])
        assert np.atleast_1d(readout.strength_)[column] == best
        expected = Ridge(alpha=best).fit(scaled, y[:, column]).predict(scaled)
        np.testing.assert_allclose(readout.predict(x)[:, column], expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("task", ["classes", "numbers"])
def test_rotating_into_the_space_of_the_rows_changes_no_prediction(task: str) -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((40, 100))
    y = (x[:, 0] > 0).astype(str) if task == "classes" else x[:, :1] + rng.standard_normal((40, 1))
    readout = LinearReadout(task).fit(x, y, groups=np.arange(40))
    assert readout.rotation_ is not None
    scaled = readout.scaler_.transform(x)
    if task == "classes":
        plain = LogisticRegression(C=readout.strength_, max_iter=5000, tol=1e-8).fit(scaled, y)
        np.testing.assert_allclose(readout.predict_proba(x), plain.predict_proba(scaled), atol=2e-2)
    else:
        plain = Ridge(alpha=np.atleast_1d(readout.strength_)[0]).fit(scaled, y[:, 0])
        np.testing.assert_allclose(readout.predict(x)[:, 0], plain.predict(scaled), atol=1e-6)


def test_strengths_that_are_given_are_the_ones_to_choose_from() -> None:
    x, y, groups = problem()
    assert LinearReadout("classes", strengths=[0.02]).fit(x, y, groups=groups).strength_ == 0.02
    ridge = LinearReadout("numbers", strengths=[3.0, 5.0]).fit(x, x[:, :1], groups=groups)
    assert ridge.strength_ == 3.0
    scaled = np.clip(StandardScaler().fit_transform(x), -5, 5)
    errors = [
        (Ridge(alpha=3.0).fit(scaled[a], x[a, 0]).predict(scaled[b]) - x[b, 0]) ** 2
        for a, b in GroupKFold(4).split(scaled, groups=groups)
    ]
    assert ridge.validation_score_ == pytest.approx(-np.concatenate(errors).mean())


def test_given_validation_rows_choose_the_strength() -> None:
    x, _, _ = problem()
    y = np.array(["a", "b"])[(x[:, 0] > 0).astype(int)]
    y[60:] = np.array(["b", "a"])[(x[60:, 0] > 0).astype(int)]  # validation contradicts training
    readout = LinearReadout("classes").fit(x, y, groups=np.arange(90), valid=np.arange(60, 90))
    assert readout.strength_ == 1e-5


@pytest.mark.parametrize("task", ["classes", "numbers"])
def test_a_value_twenty_deviations_out_counts_as_five(task: str) -> None:
    x, y, groups = problem()
    readout = LinearReadout(task).fit(x, y if task == "classes" else x[:, :1], groups=groups)
    answer = readout.predict_proba if task == "classes" else readout.predict
    rows = np.tile(x.mean(axis=0), (3, 1))
    rows[:, 0] += np.array([4.0, 5.0, 20.0]) * x[:, 0].std()
    four, five, twenty = answer(rows)
    np.testing.assert_allclose(twenty, five, rtol=1e-9)
    assert not np.allclose(four, five, rtol=1e-3)


def test_one_class_is_refused() -> None:
    with pytest.raises(DataError, match="only"):
        LinearReadout("classes").fit(np.ones((8, 2)), np.full(8, "a"), groups=np.arange(8))


def test_resamples_hold_whole_clusters() -> None:
    clusters = np.array([3, 3, 1, 2, 2, 2])
    for rows in resamples(clusters, 20, 0):
        counts = np.bincount(rows, minlength=6)
        assert counts[0] == counts[1] and counts[3] == counts[4] == counts[5]


def test_the_interval_of_a_mean_is_that_of_theory_and_clusters_widen_it() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(400)
    alone = cluster_bootstrap(lambda rows: float(x[rows].mean()), np.arange(400), times=2000)
    assert (alone.high - alone.low) / 2 == pytest.approx(1.96 * x.std() / 20, rel=0.1)
    copies = np.repeat(x[:100], 4)
    wide = cluster_bootstrap(lambda rows: float(copies[rows].mean()), np.repeat(np.arange(100), 4), times=2000)
    narrow = cluster_bootstrap(lambda rows: float(copies[rows].mean()), np.arange(400), times=2000)
    assert (wide.high - wide.low) == pytest.approx(2 * (narrow.high - narrow.low), rel=0.15)


def test_draws_without_a_score_are_left_out() -> None:
    interval = cluster_bootstrap(lambda rows: float("nan"), np.arange(3), times=5)
    assert np.isnan(interval.low) and not interval.excludes_zero


def test_inner_folds_never_cut_through_a_group() -> None:
    groups = np.repeat(np.arange(8), 5)[np.random.default_rng(0).permutation(40)]
    divisions = inner_divisions(40, groups, None)
    assert len(divisions) == 4
    assert all(not set(groups[train]) & set(groups[valid]) for train, valid in divisions)
