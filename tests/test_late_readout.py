"""Late fusion of readouts against scikit-learn's stacking, a search by brute force, and labels that must not matter."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.preprocessing import StandardScaler

from trivium.corpus import Aligned, LabelSpecification, Specification, StreamSpecification
from trivium.errors import DataError, SpecificationError
from trivium.evaluate import LateReadout, LinearReadout, grouped_folds, probe
from trivium.evaluate.opinion_pool import pooled_probabilities, pooling_weights
from trivium.evaluate.readout import _ridge_path

Problem = tuple[NDArray[np.float64], NDArray[Any], NDArray[np.int64]]
BLOCKS = {"voice": 3, "face": 4}
_KINDS = ("logistic", "ridge")


def moods(n: int = 120) -> Problem:
    """Three moods; the voice tells much, the face a little; synthetic."""
    rng = np.random.default_rng(0)
    mood = rng.integers(3, size=n)
    x = rng.standard_normal((n, 7))
    x[np.arange(n), mood] += 2
    x[np.arange(n), 3 + mood] += 1
    return x, np.array(["calm", "happy", "sad"])[mood], np.arange(n) // 4


def numbers(n: int = 120) -> Problem:
    rng = np.random.default_rng(1)
    x = np.clip(StandardScaler().fit_transform(rng.standard_normal((n, 7))), -5, 5)
    return x, 2 + x[:, 0] - x[:, 4] + 0.5 * rng.standard_normal(n), np.arange(n) // 4


def held_out_by_scikit_learn(x: Any, y: Any, groups: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Answers of both blocks (N, 2) and the mean that each was trained on (N,), none of the package's code in them."""
    how = {"groups": groups, "cv": GroupKFold(4)}
    blocks = [cross_val_predict(Ridge(alpha=10.0), x[:, own], y, **how) for own in (slice(0, 3), slice(3, 7))]
    return np.stack(blocks, axis=1), cross_val_predict(DummyRegressor(), x, y, **how)


def test_numbers_are_those_of_stacked_ridge_regressions() -> None:
    x, y, groups = numbers()
    late = LateReadout(BLOCKS, "numbers", strengths=[10.0]).fit(x, y, groups=groups)
    said, mean = held_out_by_scikit_learn(x, y, groups)
    stacked = LinearRegression(positive=True).fit(said - mean[:, None], y - mean)
    np.testing.assert_allclose(late.weights_[:, 0], stacked.coef_, rtol=1e-6)
    parts = [Ridge(alpha=10.0).fit(x[:, own], y).predict(x[:, own]) for own in (slice(0, 3), slice(3, 7))]
    added = np.stack(parts, axis=1) - y.mean()
    np.testing.assert_allclose(late.predict(x)[:, 0], y.mean() + added @ stacked.coef_, rtol=1e-6)
    missed = stacked.predict(said - mean[:, None]) - (y - mean)
    assert late.validation_score_ == pytest.approx(-np.mean(missed**2))


def test_several_numbers_are_read_like_each_by_itself() -> None:
    x, y, groups = numbers()
    both = np.stack([y, 40 - 3 * x[:, 1] + x[:, 5]], axis=1)
    joint = LateReadout(BLOCKS, "numbers").fit(x, both, groups=groups)
    apart = [LateReadout(BLOCKS, "numbers").fit(x, both[:, k], groups=groups) for k in (0, 1)]
    np.testing.assert_allclose(joint.predict(x), np.concatenate([one.predict(x) for one in apart], axis=1))
    np.testing.assert_allclose(joint.weights_, np.concatenate([one.weights_ for one in apart], axis=1))
    np.testing.assert_allclose(joint.validation_score_, np.mean([one.validation_score_ for one in apart]))


def test_equal_weights_are_the_mean_of_the_blocks_and_scored_so() -> None:
    x, y, groups = numbers()
    late = LateReadout(BLOCKS, "numbers", strengths=[10.0], weighting="equal").fit(x, y, groups=groups)
    said, _ = held_out_by_scikit_learn(x, y, groups)
    assert late.validation_score_ == pytest.approx(-np.mean((said.mean(axis=1) - y) ** 2))
    parts = [Ridge(alpha=10.0).fit(x[:, own], y).predict(x[:, own]) for own in (slice(0, 3), slice(3, 7))]
    np.testing.assert_allclose(late.predict(x)[:, 0], np.mean(parts, axis=0))


def test_means_of_folds_do_not_take_the_weight_of_a_block_that_tells_something() -> None:
    """Where little may be learned, what is left of the rows is low where those left out are high."""
    x, y, groups = numbers()
    late = LateReadout(BLOCKS, "numbers", strengths=[1e6]).fit(x, y, groups=groups)
    assert (late.weights_ > 0).all()
    assert np.corrcoef(late.predict(x)[:, 0], y)[0, 1] > 0.8


def test_a_block_with_a_large_weight_does_not_carry_the_distance_between_two_means_into_the_answer() -> None:
    """Training and validation rows lie two apart, and every block was told to say next to nothing."""
    x, y, groups = numbers()
    valid = np.arange(90, len(y))
    y[valid] += 2
    late = LateReadout(BLOCKS, "numbers", strengths=[1e6]).fit(x, y, groups=groups, valid=valid)
    assert late.weights_.max() > 1000
    assert late.predict(x).mean() == pytest.approx(y.mean())
    assert np.abs(late.predict(x)[:, 0] - y).mean() < np.abs(y - y.mean()).mean()


def test_held_out_answers_are_those_of_a_grouped_cross_validation() -> None:
    x, y, groups = moods()
    x = np.clip(StandardScaler().fit_transform(x), -5, 5)
    found = LinearReadout("classes", strengths=[0.1]).fit(x, y, groups=groups).held_out_
    model = LogisticRegression(C=0.1, max_iter=5000)
    wanted = cross_val_predict(model, x, y, groups=groups, cv=GroupKFold(4), method="predict_proba")
    np.testing.assert_allclose(found, wanted, atol=1e-3)


def test_held_out_answers_belong_to_the_strength_that_was_chosen() -> None:
    x, y, groups = numbers()
    free = LinearReadout("numbers").fit(x, y, groups=groups)
    alone = LinearReadout("numbers", strengths=np.ravel(free.strength_).tolist()).fit(x, y, groups=groups)
    np.testing.assert_allclose(free.held_out_, alone.held_out_)
    assert free.validation_score_ == pytest.approx(-np.mean((free.held_out_[:, 0] - y) ** 2))


def test_weights_of_classes_are_the_best_of_a_grid() -> None:
    x, y, groups = moods()
    late = LateReadout(BLOCKS, strengths=[0.1]).fit(x, y, groups=groups)
    shares = np.stack([readout.held_out_ for readout in late.readouts_.values()])
    truth = np.searchsorted(late.classes_, y)

    def entropy(weights: NDArray[np.float64]) -> float:
        return float(-np.log(pooled_probabilities(shares, weights)[np.arange(len(y)), truth]).mean())

    grid = [np.array([a, b]) for a in np.arange(0, 4, 0.05) for b in np.arange(0, 4, 0.05)]
    best = min(grid, key=entropy)
    np.testing.assert_allclose(late.weights_, best, atol=0.05)
    assert entropy(late.weights_) <= entropy(best)


def test_one_block_changes_no_class() -> None:
    x, y, groups = moods()
    late = LateReadout({"all": 7}).fit(x, y, groups=groups)
    assert (late.predict(x) == LinearReadout("classes").fit(x, y, groups=groups).predict(x)).all()


def test_a_block_of_noise_gets_no_weight_and_costs_nothing() -> None:
    x, y, groups = moods(400)
    noisy = np.concatenate([x[:, :3], np.random.default_rng(5).standard_normal((400, 60))], axis=1)
    late = LateReadout({"voice": 3, "noise": 60}, strengths=[0.1]).fit(noisy, y, groups=groups)
    assert late.weights_[1] < 0.2 * late.weights_[0]
    assert (
        late.validation_score_
        > LinearReadout("classes", strengths=[0.1]).fit(noisy, y, groups=groups).validation_score_ - 0.01
    )


def test_no_model_answers_for_a_group_it_learned_from() -> None:
    x, y, groups = moods()
    told = LinearReadout("classes", strengths=[0.1]).fit(x, y, groups=groups).held_out_
    own = groups == 7
    other = y.copy()
    other[own] = np.where(y[own] == "sad", "calm", "sad")
    again = LinearReadout("classes", strengths=[0.1]).fit(x, other, groups=groups).held_out_
    np.testing.assert_array_equal(told[own], again[own])
    assert not np.allclose(told[~own], again[~own])


def test_validation_rows_choose_the_weights_and_training_rows_do_not() -> None:
    x, y, groups = moods()
    valid = np.arange(80, 120)
    late = LateReadout(BLOCKS, strengths=[0.1]).fit(x, y, groups=groups, valid=valid)
    held_out = [readout.held_out_ for readout in late.readouts_.values()]
    assert all(np.isnan(part[:80]).all() and np.isfinite(part[80:]).all() for part in held_out)
    wanted = pooling_weights(np.stack(held_out)[:, 80:], np.searchsorted(late.classes_, y[80:]))
    np.testing.assert_allclose(late.weights_, wanted)


@settings(max_examples=20)
@given(st.integers(1, 4), st.integers(2, 5), st.integers(0, 1000))
def test_pooled_probabilities_sum_to_one_and_do_not_depend_on_the_order_of_blocks(b: int, c: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shares, weights = rng.dirichlet(np.ones(c), (b, 6)), rng.uniform(0, 3, b)
    pooled = pooled_probabilities(shares, weights)
    np.testing.assert_allclose(pooled.sum(axis=1), 1)
    np.testing.assert_allclose(pooled, pooled_probabilities(shares[::-1], weights[::-1]))


def test_useless_blocks_are_weighed_alike() -> None:
    shares = np.stack([[[0.9, 0.1], [0.1, 0.9]]] * 2)
    assert pooling_weights(shares, np.array([1, 0])).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("widths", [{}, {"voice": 3}, {"voice": 7, "face": 0}])
def test_blocks_that_do_not_make_up_the_columns_are_refused(widths: dict[str, int]) -> None:
    x, y, groups = moods()
    with pytest.raises(DataError, match="do not make up the 7"):
        LateReadout(widths).fit(x, y, groups=groups)


def test_ridge_regression_of_classes_is_that_of_indicators() -> None:
    x, y, groups = moods()
    x = np.clip(StandardScaler().fit_transform(x), -5, 5)
    readout = LinearReadout("classes", strengths=[3.0, 30.0], regression="ridge").fit(x, y, groups=groups)
    shares = (y[:, None] == np.unique(y)).astype(float)
    wanted = Ridge(alpha=readout.strength_).fit(x, shares).predict(x)
    assert (readout.predict(x) == np.unique(y)[wanted.argmax(axis=1)]).all()
    powers = np.exp(readout.sharpness_ * wanted)
    np.testing.assert_allclose(readout.predict_proba(x), powers / powers.sum(axis=1, keepdims=True))
    apart = cross_val_predict(Ridge(alpha=readout.strength_), x, shares, groups=groups, cv=GroupKFold(4))
    powers = np.exp(readout.sharpness_ * apart)
    np.testing.assert_allclose(readout.held_out_, powers / powers.sum(axis=1, keepdims=True))


def test_the_sharpness_of_ridge_has_the_least_cross_entropy() -> None:
    x, y, groups = moods()
    readout = LinearReadout("classes", strengths=[3.0], regression="ridge").fit(x, y, groups=groups)
    truth, rows = np.searchsorted(readout.classes_, y), np.arange(len(y))

    def entropy(power: float) -> float:
        found = readout.held_out_**power
        return float(-np.log(found[rows, truth] / found.sum(axis=1)).mean())

    assert entropy(1.0) <= min(entropy(0.9), entropy(1.1))


def test_late_ridge_regressions_do_as_well_as_logistic_ones() -> None:
    x, y, groups = moods(400)
    scores = [LateReadout(BLOCKS, regression=kind).fit(x, y, groups=groups).validation_score_ for kind in _KINDS]
    assert min(scores) > 0.8
    assert abs(scores[0] - scores[1]) < 0.03


@pytest.mark.parametrize("options", [{"task": "moods"}, {"regression": "lasso"}, {"weighting": "wise"}])
def test_what_is_unknown_is_refused(options: dict[str, Any]) -> None:
    x, y, groups = moods()
    with pytest.raises(DataError, match="is neither"):
        LateReadout(BLOCKS, **options).fit(x, y, groups=groups)


def test_equal_weights_multiply_probabilities_and_average_numbers() -> None:
    x, y, groups = moods()
    late = LateReadout(BLOCKS, strengths=[0.1], weighting="equal").fit(x, y, groups=groups)
    product = late.readouts_["voice"].predict_proba(x[:, :3]) * late.readouts_["face"].predict_proba(x[:, 3:])
    np.testing.assert_allclose(late.predict_proba(x), product / product.sum(axis=1, keepdims=True))
    x, y, groups = numbers()
    late = LateReadout(BLOCKS, "numbers", weighting="equal").fit(x, y, groups=groups)
    both = [late.readouts_["voice"].predict(x[:, :3]), late.readouts_["face"].predict(x[:, 3:])]
    np.testing.assert_allclose(late.predict(x), np.mean(both, axis=0))


def test_the_decomposition_of_ridge_is_that_of_scikit_learn_for_wide_and_tall_tables() -> None:
    rng = np.random.default_rng(3)
    for rows, columns in ((40, 9), (20, 50)):
        x, y, other = (
            rng.standard_normal((rows, columns)),
            rng.standard_normal((rows, 2)),
            rng.standard_normal((5, columns)),
        )
        for alpha, found in zip((0.1, 10.0), _ridge_path(x, y, other, (0.1, 10.0)), strict=True):
            np.testing.assert_allclose(found, Ridge(alpha=alpha).fit(x, y).predict(other), rtol=1e-6, atol=1e-9)


def spoken() -> Aligned:
    """Voice and face of one step, nine speakers; synthetic."""
    x, y, groups = moods(108)
    streams = (StreamSpecification("audio", ("a", "b", "c")), StreamSpecification("vision", ("d", "e", "f", "g")))
    label = LabelSpecification("mood", "multiclass", ("calm", "happy", "sad"))
    table = {"label.mood": y, "group.speaker": (groups % 9).astype(str)}
    return Aligned.from_arrays(x[:, None].astype(np.float32), Specification(streams, (label,)), table=table)


@pytest.mark.usefixtures("few_strengths")
def test_a_probe_reads_each_modality_by_itself_and_joins_late() -> None:
    data = spoken()
    found = probe(None, data, "mood", group="speaker", folds=3, floors=["mean"], readout="late", progress=False)
    groups, y, x = data.group("speaker"), data.label("mood"), data.values[:, 0]
    scores = []
    for fold in grouped_folds(groups, 3).folds:
        learned, tested = np.concatenate([fold.train, fold.valid]), fold.test
        late = LateReadout(BLOCKS).fit(x[learned], y[learned], groups=groups[learned])
        said = late.predict(x[tested])
        scores.append(np.mean([np.mean(said[y[tested] == c] == c) for c in np.unique(y[tested])]))
    assert found.row("mean").mean("uar") == pytest.approx(np.mean(scores))
    assert "joined with one weight each" in found.settings["grid"]


def test_a_probe_refuses_a_readout_that_does_not_exist_and_stored_weights_read_late() -> None:
    data = spoken()
    with pytest.raises(SpecificationError, match=r"no readout 'later'.*linear, late"):
        probe(None, data, "mood", group="speaker", readout="later", progress=False)
    stored = SimpleNamespace(transform=lambda x: x)  # without a fit of its own, as weights are
    with pytest.raises(SpecificationError, match="reads all modalities at once"):
        probe({"stored": stored}, data, "mood", group="speaker", readout="late", progress=False)
