"""Measures against scikit-learn, SciPy and values worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics as sk

from trivium import metrics as m
from trivium.errors import DataError, TriviumError

SENTIMENT = st.floats(-4, 4, width=32)
PAIRS = st.lists(st.tuples(SENTIMENT, SENTIMENT), min_size=1, max_size=40)
CLASSES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40)


def two(pairs: list[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    y, p = zip(*pairs, strict=True)
    return np.array(y), np.array(p)


@settings(max_examples=40)
@given(CLASSES)
def test_class_measures_equal_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    y, p = two(pairs)
    assert m.accuracy(y, p) == pytest.approx(sk.accuracy_score(y, p))
    assert m.weighted_f1(y, p) == pytest.approx(sk.f1_score(y, p, average="weighted", zero_division=0))
    assert m.weighted_f1_by_prediction(y, p) == pytest.approx(sk.f1_score(p, y, average="weighted", zero_division=0))
    recall = sk.recall_score(y, p, average="macro", labels=np.unique(y), zero_division=0)
    assert m.unweighted_average_recall(y, p) == pytest.approx(recall)


@settings(max_examples=40)
@given(PAIRS)
def test_number_measures_equal_those_of_scikit_learn(pairs: list[tuple[float, float]]) -> None:
    y, p = two(pairs)
    assert m.mean_absolute_error(y, p) == pytest.approx(sk.mean_absolute_error(y, p))
    assert m.accuracy_2_has0(y, p) == sk.accuracy_score(y >= 0, p >= 0)
    assert m.accuracy_2_zero_negative(y, p) == sk.accuracy_score(y > 0, p > 0)
    kept = y != 0
    if kept.any():
        assert m.accuracy_2_non0(y, p) == sk.accuracy_score(y[kept] > 0, p[kept] > 0)
        expected = sk.f1_score(y[kept] > 0, p[kept] > 0, average="weighted", zero_division=0)
        assert m.f1_2_non0(y, p) == pytest.approx(expected)


def test_pearson_equals_scipy_and_is_nan_for_a_constant() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.standard_normal((2, 50))
    assert m.pearson(y, p) == pytest.approx(stats.pearsonr(y, p).statistic, abs=1e-12)
    assert np.isnan(m.pearson(y, np.full(50, 0.3)))


def test_mean_pearson_is_the_mean_over_columns() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.standard_normal((2, 30, 3))
    expected = np.mean([stats.pearsonr(y[:, k], p[:, k]).statistic for k in range(3)])
    assert m.mean_pearson(y, p) == pytest.approx(expected)
    p[:, 1] = 2.0
    assert m.mean_pearson(y, p) == pytest.approx((m.pearson(y[:, 0], p[:, 0]) + m.pearson(y[:, 2], p[:, 2])) / 3)


def test_labels_are_rounded_half_to_even_like_predictions() -> None:
    assert m.accuracy_7([0.5, 1.5, 2.5, -0.5], [0.0, 2.0, 2.0, 0.0]) == 1.0
    assert m.accuracy_7([1.6], [1.0]) == 0.0
    assert m.accuracy_7([3.0], [17.0]) == 1.0
    assert m.accuracy_5([3.0], [1.6]) == 1.0
    assert m.accuracy_3([-2.0], [-0.6]) == 1.0


def test_the_two_rules_for_seven_classes_disagree() -> None:
    y, p = [0.3], [0.0]
    assert m.accuracy_7(y, p) == 1.0
    assert m.accuracy_7_sdk(y, p) == 0.0
    assert m.accuracy_7_sdk([2.01, -0.2, 3.0], [3.0, -1.0, 2.5]) == 1.0


def test_three_kinds_of_two_class_accuracy_differ_on_zero() -> None:
    y, p = [0.0, 1.0, -1.0, 0.0], [0.5, 1.0, -1.0, -0.5]
    assert m.accuracy_2_has0(y, p) == 0.75
    assert m.accuracy_2_zero_negative(y, p) == 0.75
    assert m.accuracy_2_non0(y, p) == 1.0
    assert m.accuracy_2_has0([0.0], [0.0]) == m.accuracy_2_zero_negative([0.0], [0.0]) == 1.0
    assert (m.accuracy_2_has0([0.0], [1.0]), m.accuracy_2_zero_negative([0.0], [1.0])) == (1.0, 0.0)


def test_f1_with_zeros_kept_by_hand() -> None:
    # classes non-negative: truth TTF, prediction TFF; F1 of true 2/3, of false 2/3
    assert m.f1_2_has0([0.0, 1.0, -1.0], [2.0, -1.0, -1.0]) == pytest.approx(2 / 3)


def test_sims_edges_are_compared_in_float32() -> None:
    edge = np.float32(0.1)
    assert m.sims_accuracy_3([0.0], [edge]) == 1.0
    assert m.sims_accuracy_3(np.array([0.0]), np.array([float(edge)])) == 1.0  # as float64 it would lie above 0.1
    assert m.sims_accuracy_3([-1.0], [np.float32(-0.1)]) == 1.0
    assert m.sims_accuracy_3([0.4], [edge]) == 0.0


def test_sims_bins_by_hand() -> None:
    assert m.sims_accuracy_2([0.0, 0.2, -1.0], [-0.4, 5.0, 0.0]) == 1.0
    assert m.sims_accuracy_5([-0.8, -0.4, 0.0, 0.6, 0.8], [-0.7, -0.1, 0.1, 0.7, 1.0]) == 1.0
    assert m.sims_f1_2([0.0, 1.0], [0.0, 0.0]) == pytest.approx(1 / 3)
    assert m.sims_mean_absolute_error([1.0], [3.0]) == 0.0
    y, p = np.array([-0.6, 0.2, 1.0]), np.array([-5.0, 0.1, 0.4])
    assert m.sims_pearson(y, p) == pytest.approx(stats.pearsonr(y, [-1.0, 0.1, 0.4]).statistic)


def test_weighted_accuracy_is_the_mean_of_both_recalls() -> None:
    y, p = np.array([1, 2, 0, 0, 0.3]), np.array([1, 0, 0, 1, 1])
    assert m.weighted_accuracy(y, p) == pytest.approx(sk.balanced_accuracy_score(y > 0, p > 0))
    with pytest.raises(DataError, match="with and without"):
        m.weighted_accuracy([1.0], [1.0])


@pytest.mark.parametrize("pair", [([1.0], [1.0, 2.0]), ([], []), ([np.nan], [1.0]), ([1.0], [np.nan])])
def test_what_cannot_be_measured_is_refused(pair: tuple[list[float], list[float]]) -> None:
    with pytest.raises(DataError):
        m.mean_absolute_error(*pair)


def test_a_single_number_is_no_set_of_predictions() -> None:
    with pytest.raises(DataError, match="one prediction per label"):
        m.accuracy(1.0, 1.0)


def test_labels_of_zero_only_have_no_sign() -> None:
    with pytest.raises(DataError, match="every label is 0"):
        m.accuracy_2_non0([0.0], [1.0])


def test_every_metric_has_a_definition_and_a_perfect_score() -> None:
    rng = np.random.default_rng(0)
    y = np.round(rng.uniform(-1, 1, (30, 2)), 1)
    for name, found in m.METRICS.items():
        assert found.definition.endswith(".")
        truth = y if name == "mean_r" else y[:, 0]
        assert found.function(truth, truth) == pytest.approx(1.0 if found.higher_is_better else 0.0)
    with pytest.raises(TriviumError, match="accuracy"):
        m.metric("precision")


def test_tiny_numbers_correlate_like_their_multiples() -> None:
    y, p = [1.0, 2.0, 4.0], np.array([1.0, 3.0, 2.0])
    assert m.pearson(y, 1e-200 * p) == pytest.approx(m.pearson(y, p), rel=1e-12)
    assert m.mean_pearson(np.array(y)[:, None], 1e-200 * p[:, None]) == pytest.approx(m.pearson(y, p), rel=1e-12)


@pytest.mark.parametrize("name", ["weighted_f1", "weighted_f1_by_prediction", "unweighted_average_recall", "pearson"])
def test_a_table_of_labels_is_refused_where_one_label_is_measured(name: str) -> None:
    with pytest.raises(DataError, match="column by column"):
        getattr(m, name)([[0, 1], [1, 0]], [[0, 1], [1, 0]])


@pytest.mark.parametrize("name", ["mean_absolute_error", "pearson", "accuracy_7", "mean_pearson"])
def test_classes_are_refused_where_numbers_are_measured(name: str) -> None:
    with pytest.raises(DataError, match="label of classes"):
        getattr(m, name)(["a", "b"], ["b", "a"])


def test_an_infinite_prediction_has_no_correlation() -> None:
    with pytest.raises(DataError, match="finite"):
        m.pearson([1.0, 2.0, 3.0], [1.0, np.inf, 2.0])


MMSA = json.loads((Path(__file__).parents[1] / "docs" / "results" / "mmsa-metrics.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", ["MOSI", "SIMS"])
def test_measures_equal_what_mmsa_printed(kind: str) -> None:
    """Recorded by benchmarks/mmsa_metrics.py: small cases on edges, half classes, constant and beyond the range."""
    for case in MMSA["recorded"][kind]:
        y, p = (np.array(case[name].split(), dtype=np.float32) for name in ("truth", "prediction"))
        for name, printed in case["printed"].items():
            value = m.metric(name).function(y, p)
            if printed is None:
                assert np.isnan(value), name
            else:
                assert value == pytest.approx(printed, abs=5.0001e-5), name


def test_the_run_beside_mmsa_left_no_printed_digit_different() -> None:
    for rows in MMSA["measures"].values():
        assert {row["digits"] for row in rows.values()} == {MMSA["cases"]} == {1000}


SIMS = st.one_of(
    st.floats(-1.5, 1.5, width=32), st.sampled_from([float(np.float32(v)) for v in (-0.7, -0.1, 0.1, 0.7)])
)


@settings(max_examples=60)
@given(st.lists(st.tuples(SIMS, SIMS), min_size=1, max_size=25))
def test_sims_equals_loops_over_its_bins(pairs: list[tuple[float, float]]) -> None:
    y, p = (np.array(v, np.float32) for v in zip(*pairs, strict=True))

    def binned(values: NDArray[np.float32], edges: list[float]) -> list[int]:
        found = []
        for value in values:
            clipped = min(max(value, np.float32(-1)), np.float32(1))
            inside = [k for k in range(len(edges) - 1) if np.float32(edges[k]) < clipped <= np.float32(edges[k + 1])]
            assert len(inside) == 1
            found += inside
        return found

    for name, edges in (
        ("sims_acc2", [-1.01, 0, 1.01]),
        ("sims_acc3", [-1.01, -0.1, 0.1, 1.01]),
        ("sims_acc5", [-1.01, -0.7, -0.1, 0.1, 0.7, 1.01]),
    ):
        assert m.metric(name).function(y, p) == sk.accuracy_score(binned(y, edges), binned(p, edges))
    two = [-1.01, 0, 1.01]
    expected = sk.f1_score(binned(y, two), binned(p, two), average="weighted", zero_division=0)
    assert m.sims_f1_2(y, p) == expected
    assert m.sims_mean_absolute_error(y, p) == np.mean(np.abs(np.clip(p, -1, 1) - np.clip(y, -1, 1)))


@settings(max_examples=40)
@given(CLASSES)
def test_weighted_f1_equals_that_of_scikit_learn_to_the_last_bit(pairs: list[tuple[int, int]]) -> None:
    y, p = two(pairs)
    assert m.weighted_f1(y, p) == sk.f1_score(y, p, average="weighted", zero_division=0)


def test_float32_answers_are_averaged_in_float32_and_others_are_not() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.standard_normal((2, 686)).astype(np.float32)
    assert m.mean_absolute_error(y, p) == float(np.mean(np.abs(p - y)))
    assert m.mean_absolute_error(y, p.astype(np.float64)) == np.mean(np.abs(p.astype(np.float64) - y))
    assert m.mean_absolute_error([1], [3]) == 2.0


def test_f1_weighted_by_the_predictions_swaps_the_weights_only() -> None:
    y, p = np.array([-1.0, 2, 0, 1, -3]), np.array([0.5, 1, -1, -1, -2])
    assert m.f1_2_has0_by_prediction(y, p) == pytest.approx(sk.f1_score(p >= 0, y >= 0, average="weighted"))
    kept = y != 0
    expected = sk.f1_score(p[kept] > 0, y[kept] > 0, average="weighted")
    assert m.f1_2_non0_by_prediction(y, p) == pytest.approx(expected)
