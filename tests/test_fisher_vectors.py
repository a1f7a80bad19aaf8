"""Fisher vectors against their definition, frame by frame, and against the slope of the likelihood itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import norm
from sklearn.utils.estimator_checks import parametrize_with_checks

from trivium.corpus import Aligned, Specification, StreamSpecification
from trivium.errors import SpecificationError
from trivium.represent import FisherVectors
from trivium.represent.fisher import fisher_vector

Numbers = NDArray[np.float64]
SPEC = Specification(
    (StreamSpecification("audio", ("a0", "a1"), clock="words"), StreamSpecification("vision", ("v0",), clock="words"))
)


def mixture(seed: int, gaussians: int = 3, width: int = 2) -> tuple[Numbers, Numbers, Numbers]:
    rng = np.random.default_rng(seed)
    return (
        rng.dirichlet(np.ones(gaussians)),
        rng.normal(size=(gaussians, width)),
        rng.uniform(0.5, 2, (gaussians, width)),
    )


def log_likelihood(frames: Numbers, weights: Numbers, means: Numbers, deviations: Numbers) -> Numbers:
    """Of every frame under every Gaussian, with its weight: (T, C)."""
    each = [norm(m, s).logpdf(frames).sum(axis=1) for m, s in zip(means, deviations, strict=True)]
    found: Numbers = np.log(weights) + np.stack(each, axis=1)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_the_vector_is_the_sum_over_frames_that_its_authors_write(seed: int) -> None:
    weights, means, deviations = mixture(seed)
    frames = np.random.default_rng(seed).normal(size=(11, 2))
    log = log_likelihood(frames, weights, means, deviations)
    by_mean, by_deviation = np.zeros((3, 2)), np.zeros((3, 2))
    for t, frame in enumerate(frames):
        for k in range(3):
            share = np.exp(log[t, k] - logsumexp(log[t]))
            for d in range(2):
                apart = (frame[d] - means[k, d]) / deviations[k, d]
                by_mean[k, d] += share * apart / (11 * np.sqrt(weights[k]))
                by_deviation[k, d] += share * (apart**2 - 1) / (11 * np.sqrt(2 * weights[k]))
    expected = np.concatenate([by_mean.ravel(), by_deviation.ravel()])
    np.testing.assert_allclose(fisher_vector(frames, weights, means, deviations), expected, atol=1e-12)


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_it_is_the_slope_of_the_mean_log_likelihood_on_the_scale_of_the_information(seed: int) -> None:
    weights, means, deviations = mixture(seed)
    frames = np.random.default_rng(seed).normal(size=(7, 2))
    found = fisher_vector(frames, weights, means, deviations).reshape(2, 3, 2)
    step = 1e-5

    def slope(which: int, k: int, d: int) -> float:
        sides = []
        for sign in (1, -1):
            moved = [means.copy(), deviations.copy()]
            moved[which][k, d] += sign * step
            sides.append(logsumexp(log_likelihood(frames, weights, *moved), axis=1).mean())
        return float((sides[0] - sides[1]) / (2 * step))

    for k in range(3):
        for d in range(2):
            information = weights[k] / deviations[k, d] ** 2  # of a mean; twice that of a deviation
            assert found[0, k, d] == pytest.approx(slope(0, k, d) / np.sqrt(information), abs=1e-4)
            assert found[1, k, d] == pytest.approx(slope(1, k, d) / np.sqrt(2 * information), abs=1e-4)


def aligned(n: int = 12, steps: int = 9) -> Aligned:
    rng = np.random.default_rng(1)
    cells = rng.random((n, steps, 2)) < 0.8
    cells[0, :, 1] = False
    values = np.where(np.repeat(cells, (2, 1), axis=2), rng.normal(4, 3, (n, steps, 3)), 99).astype(np.float32)
    return Aligned.from_arrays(values, SPEC, mask=np.asarray(cells.any(axis=2)), cell_mask=cells)


def test_an_utterance_s_vector_is_that_of_its_seen_standardised_frames() -> None:
    x = aligned()
    fitted = FisherVectors(n_components=2).fit(x)
    found = fitted.transform(x)
    assert found.shape == (12, 2 * 2 * 3) == (12, len(fitted.get_feature_names_out()))
    learned = fitted.mixtures_["audio"]
    assert learned is not None
    every = x.values[:, :, :2][x.cell_mask[:, :, 0]].astype(np.float64)
    np.testing.assert_allclose((learned.centre, learned.spread), (every.mean(axis=0), every.std(axis=0)), rtol=1e-6)
    model = learned.mixture
    frames = (x.values[4, x.cell_mask[4, :, 0], :2] - every.mean(axis=0)) / every.std(axis=0)
    raw = fisher_vector(frames, model.weights_, model.means_, np.sqrt(model.covariances_))
    rooted = np.sign(raw) * np.sqrt(np.abs(raw))
    np.testing.assert_allclose(found[4, :8], rooted / np.linalg.norm(rooted), atol=1e-5)
    assert not found[0, 8:].any() and np.allclose(np.linalg.norm(found[1:, 8:], axis=1), 1, atol=1e-5)


def test_a_sample_of_frames_is_drawn_evenly_whatever_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.repeat(np.arange(600, dtype=np.float32), 10).reshape(600, 10, 1)
    monkeypatch.setattr("trivium.represent.by_modality._ROWS_AT_ONCE", 50)
    fitted = FisherVectors(n_components=1, n_frames=400).fit(values)
    learned = fitted.mixtures_["matrix"]
    assert learned is not None
    assert learned.centre[0] == pytest.approx(300, abs=30) and learned.spread[0] == pytest.approx(173, abs=15)


def test_an_untrained_mixture_is_frames_of_training_with_all_else_alike() -> None:
    x = aligned()
    fitted = FisherVectors(n_components=3, trained=False).fit(x)
    learned = fitted.mixtures_["audio"]
    assert learned is not None
    every = x.values[:, :, :2][x.cell_mask[:, :, 0]].astype(np.float64)
    frames = (every - every.mean(axis=0)) / every.std(axis=0)
    weights, means, deviations = learned.parameters
    assert weights.tolist() == [1 / 3] * 3 and (deviations == 1).all()
    assert all(np.abs(frames - mean).max(axis=1).min() < 1e-5 for mean in means) and len(np.unique(means, axis=0)) == 3
    trained = FisherVectors(n_components=3).fit(x)
    assert not np.allclose(trained.transform(x), fitted.transform(x), atol=1e-2)


def test_steps_in_another_order_padding_and_company_change_nothing() -> None:
    x = aligned()
    fitted = FisherVectors(n_components=2).fit(x)
    turned = Aligned.from_arrays(x.values[:, ::-1].copy(), SPEC, cell_mask=x.cell_mask[:, ::-1])
    np.testing.assert_allclose(fitted.transform(turned), fitted.transform(x), atol=1e-5)
    np.testing.assert_allclose(fitted.transform(x[np.array([5, 2])]), fitted.transform(x)[[5, 2]], atol=1e-6)


def test_a_modality_that_training_never_saw_is_zeros() -> None:
    x = aligned().only(["audio"])
    fitted = FisherVectors(n_components=2).fit(x)
    assert fitted.mixtures_["vision"] is None
    assert not fitted.transform(aligned())[:, 8:].any()


def test_no_gaussian_is_no_mixture() -> None:
    with pytest.raises(SpecificationError, match="0 Gaussians"):
        FisherVectors(n_components=0).fit(aligned())


@parametrize_with_checks([FisherVectors(n_components=2)])  # type: ignore[untyped-decorator]
def test_scikit_learn_s_own_checks_without_a_single_expected_failure(estimator: FisherVectors, check: Any) -> None:
    check(estimator)
