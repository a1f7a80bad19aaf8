"""The kernel of alignment against a double loop straight from the definition."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from trivium.align import COLLAPSE, SHORTEST_OVERLAP, collapse_rows, overlapping_rows
from trivium.errors import AlignmentError

Floats = NDArray[np.float64]


def by_definition(reference: Floats, times: Floats) -> list[list[int]]:
    found = []
    for begin, end in reference:
        rows = []
        for row, (start, stop) in enumerate(times):
            if min(end, stop) - max(begin, start) > SHORTEST_OVERLAP:
                rows.append(row)
        found.append(rows)
    return found


def found_rows(reference: Floats, times: Floats) -> list[list[int]]:
    overlap = overlapping_rows(reference, times)
    everything = np.arange(len(times))
    return [everything[overlap.rows(step)].tolist() for step in range(len(reference))]


# Multiples of 0.5e-5 s make ends touch, and overlaps of exactly the smallest length, all the time.
COARSE = st.integers(0, 12).map(lambda k: k * 0.5e-5)
FINE = st.floats(0, 3, allow_nan=False, width=32)


def intervals(most: int) -> st.SearchStrategy[Floats]:
    bound = st.one_of(COARSE, FINE)
    return st.lists(st.tuples(bound, bound), max_size=most).map(
        lambda pairs: np.sort(np.array(pairs, dtype=np.float64).reshape(-1, 2), axis=1)
    )


@settings(max_examples=300)
@given(intervals(6), intervals(12))
def test_rows_in_any_order_are_those_of_the_definition(reference: Floats, times: Floats) -> None:
    assert found_rows(reference, times) == by_definition(reference, times)


@settings(max_examples=300)
@given(intervals(6), intervals(12))
def test_sorted_rows_are_those_of_the_definition(reference: Floats, times: Floats) -> None:
    in_order = np.stack([np.sort(times[:, 0]), np.sort(times[:, 1])], axis=1)
    assert found_rows(reference, in_order) == by_definition(reference, in_order)


def test_regular_frames_with_accumulated_rounding_are_those_of_the_definition() -> None:
    edges = np.arange(601) / 100
    frames = np.stack([edges[:-1], edges[1:]], axis=1)
    cuts = np.cumsum(np.full(60, 0.1))
    words = np.stack([cuts[:-1], cuts[1:]], axis=1)
    assert found_rows(words, frames) == by_definition(words, frames)


def test_ends_that_touch_do_not_overlap() -> None:
    assert found_rows(np.array([[1.0, 2.0]]), np.array([[0.0, 1.0], [2.0, 3.0]])) == [[]]


def test_a_long_row_that_encloses_later_ones_is_not_lost() -> None:
    nested = np.array([[0.0, 10.0], [1.0, 2.0], [3.0, 4.0], [8.0, 9.0]])
    assert found_rows(np.array([[3.5, 5.0], [9.5, 9.9]]), nested) == [[0, 2], [0]]


def test_a_row_without_a_time_is_named() -> None:
    with pytest.raises(AlignmentError, match="row 1"):
        overlapping_rows(np.array([[0.0, 1.0]]), np.array([[0.0, 1.0], [1.0, np.nan]]))


PLAIN: dict[str, Callable[[NDArray[np.float32]], Floats]] = {
    "mean": lambda x: x.astype(np.float64).mean(axis=0),
    "sum": lambda x: x.astype(np.float64).sum(axis=0),
    "max": lambda x: x.max(axis=0),
    "min": lambda x: x.min(axis=0),
    "median": lambda x: np.median(x, axis=0),
    "first": lambda x: x[0],
    "last": lambda x: x[-1],
}


def test_every_collapse_function_has_a_plain_counterpart() -> None:
    assert set(PLAIN) == set(COLLAPSE)


@settings(max_examples=30)
@given(name=st.sampled_from(sorted(PLAIN)), seed=st.integers(0, 2**32 - 1), shuffle=st.booleans())
def test_collapsed_values_equal_a_double_loop(name: str, seed: int, shuffle: bool) -> None:
    rng = np.random.default_rng(seed)
    edges = np.cumsum(rng.uniform(0.005, 0.05, 700))
    times = np.stack([edges[:-1], edges[1:]], axis=1)
    times = rng.permutation(times) if shuffle else times
    values = rng.standard_normal((len(times), 3)).astype(np.float32)
    begin = rng.uniform(0, 20, 9)
    reference = np.stack([begin, begin + rng.uniform(0, [0.01] * 3 + [0.3] * 3 + [15] * 3)], axis=1)
    got, seen = collapse_rows(values, times, reference, overlapping_rows(reference, times), name)
    for step, rows in enumerate(by_definition(reference, times)):
        assert seen[step] == bool(rows)
        expected = PLAIN[name](values[rows]) if rows else np.zeros(3)
        np.testing.assert_allclose(got[step], expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_bad_number_stays_in_its_step(bad: float) -> None:
    edges = np.arange(11.0)
    times = np.stack([edges[:-1], edges[1:]], axis=1)
    values = np.ones((10, 2), np.float32)
    values[4, 1] = bad
    words = np.array([[0.0, 4.0], [4.0, 7.0], [7.0, 10.0]])
    got, seen = collapse_rows(values, times, words, overlapping_rows(words, times))
    np.testing.assert_array_equal(got, [[1, 1], [1, bad], [1, 1]])
    assert seen.all()


def test_a_function_gets_intervals_cut_to_the_step() -> None:
    def by_duration(spans: Floats, features: NDArray[np.float32]) -> Floats:
        weights = spans[:, 1] - spans[:, 0]
        return np.asarray((features * weights[:, None]).sum(axis=0) / weights.sum())

    times = np.array([[0.0, 1.0], [1.0, 3.0]])
    words = np.array([[0.5, 2.5]])
    values = np.array([[4.0], [8.0]], np.float32)
    got, _ = collapse_rows(values, times, words, overlapping_rows(words, times), by_duration)
    assert got.tolist() == [[7.0]]


def test_a_function_that_gives_another_shape_is_refused() -> None:
    times = np.array([[0.0, 1.0], [1.0, 3.0]])
    overlap = overlapping_rows(times, times)
    with pytest.raises(AlignmentError, match="expected \\(2,\\)"):
        collapse_rows(np.ones((2, 2), np.float32), times, times, overlap, lambda spans, x: x.mean())


def test_an_unknown_collapse_function_lists_those_that_exist() -> None:
    times = np.array([[0.0, 1.0]])
    with pytest.raises(AlignmentError, match="mean"):
        collapse_rows(np.ones((1, 1), np.float32), times, times, overlapping_rows(times, times), "mode")


@given(arrays(np.float32, (5, 2), elements=st.floats(-1e6, 1e6, width=32)))
def test_one_row_per_step_comes_back_unchanged(values: NDArray[np.float32]) -> None:
    edges = np.arange(6.0)
    times = np.stack([edges[:-1], edges[1:]], axis=1)
    for name in COLLAPSE:
        got, _ = collapse_rows(values, times, times, overlapping_rows(times, times), name)
        np.testing.assert_array_equal(got, values)


@pytest.mark.parametrize("count", [255, 256, 257])
def test_means_at_the_border_between_two_ways_of_adding(count: int) -> None:
    values = np.random.default_rng(count).standard_normal((count, 3)).astype(np.float32)
    edges = np.arange(count + 1) / 100
    times = np.stack([edges[:-1], edges[1:]], axis=1)
    word = np.array([[0.0, count / 100]])
    mean, seen = collapse_rows(values, times, word, overlapping_rows(word, times))
    assert seen.all()
    np.testing.assert_allclose(mean[0], values.astype(np.float64).mean(axis=0), atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 256), st.integers(0, 2**31), st.sampled_from([0.0, 1e4, -3e30]), st.sampled_from([1.0, 1e-3]))
def test_means_are_within_the_stated_bound_also_far_from_zero(
    count: int, seed: int, offset: float, spread: float
) -> None:
    values = (offset + spread * np.random.default_rng(seed).standard_normal((count, 2))).astype(np.float32)
    times = np.stack([np.arange(count), np.arange(1, count + 1)], axis=1) / 100
    word = np.array([[0.0, count / 100]])
    mean, _ = collapse_rows(values, times, word, overlapping_rows(word, times))
    exact, magnitude = values.astype(np.float64).mean(axis=0), np.abs(values.astype(np.float64)).mean(axis=0)
    assert (np.abs(mean[0] - exact) <= count * 6e-8 * magnitude).all()


def test_a_mean_that_float32_holds_is_given_where_its_sum_is_too_large() -> None:
    values = np.full((4, 1), 2e38, np.float32)
    times = np.stack([np.arange(4.0), np.arange(1.0, 5.0)], axis=1)
    word = np.array([[0.0, 4.0]])
    mean, _ = collapse_rows(values, times, word, overlapping_rows(word, times))
    assert mean[0, 0] == np.float32(2e38)
