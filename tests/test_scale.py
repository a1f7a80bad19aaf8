"""Scaling against the public code's steps written out in NumPy, and its laws."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from trivium.corpus import Aligned, Specification, StreamSpecification
from trivium.errors import DataError, SpecificationError, WeightsError
from trivium.scale import ColumnScaler, ScalerSet, match_columns

NAMES = ("f0", "energy", "jitter")


def steps_of_the_public_code(train: NDArray[np.float32], new: NDArray[np.float32]) -> NDArray[np.float64]:
    """The three steps of spec and paper, one column at a time, padding counted."""
    out = np.empty(new.shape)
    for column in range(train.shape[2]):
        a, b = train[:, :, column].astype(float), new[:, :, column].astype(float)
        zeroed = a.copy()
        zeroed[~np.isfinite(zeroed)] = 0
        minimum = zeroed.min()
        a[~np.isfinite(a)] = minimum
        b[~np.isfinite(b)] = minimum
        mean, std = np.mean(a), np.std(a)
        a, b = (a - mean) / (std + 1e-10), (b - mean) / (std + 1e-10)
        out[:, :, column] = (b - a.min()) / (a.max() - a.min() + 1e-10)
    return out


def example(rng: np.random.Generator, n: int = 9) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    values = rng.normal(3, 2, (n, 5, 3)).astype(np.float32)
    seen = np.broadcast_to(np.arange(5) >= rng.integers(0, 4, n)[:, None], (n, 5))[:, :, None].repeat(3, axis=2)
    return np.where(seen, values, 0).astype(np.float32), seen


def aligned(values: NDArray[np.float32], names: tuple[str, ...] = NAMES) -> Aligned:
    return Aligned.from_arrays(values, Specification((StreamSpecification("audio", names, clock="words"),)))


def test_padding_counted_is_the_public_code() -> None:
    rng = np.random.default_rng(0)
    train, seen = example(rng)
    train[2, 3, 0] = -np.inf
    new, new_seen = example(rng, 4)
    new[1, 4, 2] = -np.inf
    scaler = ColumnScaler.fit(train, seen, NAMES, count_padding=True)
    np.testing.assert_allclose(scaler.transform(new, new_seen), steps_of_the_public_code(train, new), rtol=1e-5)


def test_cells_that_are_not_finite_enter_mean_and_spread_as_the_minimum() -> None:
    x = np.array([[[2.0], [4.0]], [[6.0], [-np.inf]]], np.float32)
    seen = np.ones(x.shape, bool)
    for count_padding, minimum in ((True, 0.0), (False, 2.0)):  # the public code takes the minimum with 0 in its place
        scaler = ColumnScaler.fit(x, seen, ("audio.f0",), count_padding=count_padding)
        filled = np.array([2.0, 4.0, 6.0, minimum])
        assert (scaler.floor[0], scaler.mean[0]) == (minimum, filled.mean())
        assert scaler.std[0] == pytest.approx(filled.std())


def test_new_values_may_leave_the_range_unless_clipped() -> None:
    train, seen = example(np.random.default_rng(1))
    plain = ColumnScaler.fit(train, seen, NAMES).transform(train * 3, seen)
    clipped = ColumnScaler.fit(train, seen, NAMES, clip=True).transform(train * 3, seen)
    assert plain.max() > 1
    np.testing.assert_array_equal(clipped, np.clip(plain, 0, 1))


def test_more_rows_than_one_block_change_nothing() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(1e4, 1, (4100, 1, 1)).astype(np.float32)
    scaler = ColumnScaler.fit(values, np.ones(values.shape, bool), ("x",))
    np.testing.assert_allclose(scaler.mean, values.astype(float).mean(), rtol=1e-12)
    np.testing.assert_allclose(scaler.std, values.astype(float).std(), rtol=1e-9)


def test_padding_ignored_does_not_depend_on_the_amount_of_padding() -> None:
    values, seen = example(np.random.default_rng(3))
    wider = np.concatenate([np.zeros((9, 7, 3), np.float32), values], axis=1)
    wider_seen = np.concatenate([np.zeros((9, 7, 3), bool), seen], axis=1)
    short = ColumnScaler.fit(values, seen, NAMES, count_padding=False)
    long = ColumnScaler.fit(wider, wider_seen, NAMES, count_padding=False)
    np.testing.assert_allclose(short.transform(values, seen), long.transform(wider, wider_seen)[:, 7:], atol=1e-6)
    assert not long.transform(wider, wider_seen)[~wider_seen].any()
    counted = ColumnScaler.fit(wider, wider_seen, NAMES, count_padding=True)
    assert counted.transform(wider, wider_seen)[~wider_seen].any(), "the paper's form scales padding like data"


def test_the_zeros_of_unseen_cells_are_no_highest_value_of_a_negative_column() -> None:
    x = np.array([[[-4.0], [-2.0]], [[0.0], [0.0]]], np.float32)
    seen = np.array([[[True], [True]], [[False], [False]]])
    scaler = ColumnScaler.fit(x, seen, ("audio.f0",), count_padding=False)
    np.testing.assert_allclose(scaler.transform(x, seen).ravel(), [0, 1, 0, 0], atol=1e-6)


@pytest.mark.parametrize("count_padding", [True, False])
def test_a_column_that_never_varied_cannot_explode(count_padding: bool) -> None:
    x = np.full((3, 2, 1), 0.7, np.float32)
    scaler = ColumnScaler.fit(x, np.ones(x.shape, bool), ("audio.f0",), count_padding=count_padding)
    new = np.array([[[0.7], [0.7025]]], np.float32)
    assert np.all(scaler.transform(new, np.ones(new.shape, bool)) == 0)
    assert np.abs(steps_of_the_public_code(x, new)).max() > 1e15  # what its formula makes of the second cell


def test_a_column_without_any_finite_cell_becomes_zero() -> None:
    values = np.full((3, 2, 1), -np.inf, np.float32)
    seen = np.ones(values.shape, bool)
    for count in (True, False):
        assert not ColumnScaler.fit(values, seen, ("x",), count_padding=count).transform(values, seen).any()


@settings(max_examples=60)
@given(
    arrays(
        np.float32,
        (4, 3, 2),
        elements=st.one_of(st.floats(-1e4, 1e4, width=32), st.sampled_from([np.nan, np.inf, -np.inf])),
    ),
    arrays(np.bool_, (4, 3, 2)),
    st.booleans(),
)
def test_training_values_land_between_zero_and_one(
    values: NDArray[np.float32], seen: NDArray[np.bool_], count: bool
) -> None:
    scaled = ColumnScaler.fit(values, seen, ("x", "y"), count_padding=count).transform(values, seen)
    assert scaled.dtype == np.float32
    assert np.isfinite(scaled).all()
    assert scaled.min() >= 0 and scaled.max() <= 1 + 1e-6


def test_nothing_to_scale_is_one_clear_error() -> None:
    with pytest.raises(DataError, match="nothing to take statistics of"):
        ColumnScaler.fit(np.zeros((0, 2, 1), np.float32), np.zeros((0, 2, 1), bool), ("x",))


def test_each_corpus_gets_its_own_statistics_and_pooled_gets_all() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(0, 1, (6, 4, 3)).astype(np.float32), rng.normal(50, 9, (8, 4, 3)).astype(np.float32)
    both, corpora = aligned(np.concatenate([x, y])), np.repeat(["a", "b"], [6, 8])
    scalers = ScalerSet.fit(both, corpora)
    assert scalers.names == ("pooled", "a", "b")
    np.testing.assert_allclose(scalers.transform(both[:6], "a"), steps_of_the_public_code(x, x), atol=1e-6)
    np.testing.assert_allclose(scalers.transform(both[6:], "b"), steps_of_the_public_code(y, y), atol=1e-6)
    np.testing.assert_allclose(scalers.transform(both), steps_of_the_public_code(both.values, both.values), atol=1e-6)
    each = scalers.transform_each(both, corpora)
    np.testing.assert_array_equal(each[6:], scalers.transform(both[6:], "b"))
    np.testing.assert_array_equal(scalers.transform(both[6:], "refit"), scalers.transform(both[6:], "b"))


def test_columns_are_matched_by_name_not_by_place() -> None:
    rng = np.random.default_rng(5)
    x = aligned(rng.normal(0, 1, (6, 4, 3)).astype(np.float32))
    moved = aligned(np.ascontiguousarray(x.values[:, :, [2, 0, 1]]), ("jitter", "f0", "energy"))
    scalers = ScalerSet.fit(x)
    np.testing.assert_array_equal(scalers.transform(moved), scalers.transform(x))


def test_missing_columns_are_named() -> None:
    x = aligned(np.zeros((2, 2, 3), np.float32))
    other = aligned(np.zeros((2, 2, 3), np.float32), ("f0", "energy", "shimmer"))
    with pytest.raises(SpecificationError, match=r"audio\.jitter.*audio\.shimmer"):
        ScalerSet.fit(x).transform(other)
    with pytest.raises(SpecificationError, match=r"choose from pooled, refit"):
        ScalerSet.fit(x).transform(x, "mosi")


def test_columns_beside_the_wanted_ones_are_left_out() -> None:
    x = aligned(np.arange(12, dtype=np.float32).reshape(2, 2, 3))
    values, seen = match_columns(x, ("audio.energy",))
    np.testing.assert_array_equal(values, x.values[:, :, 1:2])
    assert seen.shape == (2, 2, 1)


@pytest.mark.parametrize("name", ["pooled", "refit"])
def test_a_corpus_cannot_take_a_name_that_means_something(name: str) -> None:
    with pytest.raises(SpecificationError, match=name):
        ScalerSet.fit(aligned(np.ones((2, 2, 3), np.float32)), np.array([name, name]))


def test_scalers_survive_being_stored_to_the_bit() -> None:
    rng = np.random.default_rng(6)
    x = aligned(rng.normal(0, 1, (6, 4, 3)).astype(np.float32), ("f0", "énergie", "a/b\n"))
    scalers = ScalerSet.fit(x, np.array(["a/x"] * 3 + ["b"] * 3), count_padding=False, clip=True)
    again = ScalerSet.from_arrays(scalers.to_arrays())
    assert again.names == scalers.names and again.columns == scalers.columns
    for name in scalers.names:
        np.testing.assert_array_equal(again.transform(x, name), scalers.transform(x, name))


def holey(seed: int = 7) -> Aligned:
    rng = np.random.default_rng(seed)
    x = aligned(rng.normal(50, 9, (6, 4, 3)).astype(np.float32))
    seen = rng.random((6, 4)) < 0.7
    x.values[2, 1, 0] = np.inf
    return Aligned.from_arrays(x.values, x.specification, mask=seen)


def test_marked_scalers_make_holes_of_what_was_not_seen_and_learn_nothing_from_it() -> None:
    x = holey()
    scalers = ScalerSet.fit(x, np.array(["a"] * 3 + ["b"] * 3), count_padding=False, mark_unseen=True)
    known = x.column_mask() & np.isfinite(x.values)
    for name in ("pooled", "a", "refit"):
        np.testing.assert_array_equal(np.isfinite(scalers.transform(x, name)), known)
    found = scalers.transform(x)
    for column in range(3):
        cells = x.values[..., column][known[..., column]].astype(float)
        expected = (cells - cells.min()) / (cells.max() - cells.min())
        np.testing.assert_allclose(found[..., column][known[..., column]], expected, atol=1e-5)
    factor, offset = scalers.scalers["pooled"].affine()
    np.testing.assert_allclose((x.values * factor + offset)[known], found[known], atol=1e-5)


def test_marked_scalers_survive_being_stored_and_others_are_stored_as_ever() -> None:
    x = holey()
    for marks in (False, True):
        scalers = ScalerSet.fit(x, count_padding=False, mark_unseen=marks)
        stored = scalers.to_arrays()
        assert len(stored["pooled/options"]) == 2 + marks
        np.testing.assert_array_equal(ScalerSet.from_arrays(stored).transform(x), scalers.transform(x))


def test_damaged_scalers_are_one_clear_error() -> None:
    arrays_ = ScalerSet.fit(aligned(np.ones((2, 2, 3), np.float32))).to_arrays()
    del arrays_["pooled/mean"]
    with pytest.raises(WeightsError, match="pooled/mean"):
        ScalerSet.from_arrays(arrays_)


def test_scaling_needs_neither_torch_nor_scikit_learn() -> None:
    code = "import sys, trivium.scale; print({'torch', 'sklearn'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
