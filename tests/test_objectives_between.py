"""Objectives between modalities: formulas against NumPy, what sees the pairing and what does not, masks, requests."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from trivium.errors import SpecificationError, TriviumError
from trivium.objectives import (
    CentralMoments,
    Difference,
    FeatureReconstruction,
    ModalAlignment,
    PairContrast,
    PairObjective,
    objective,
)
from trivium.objectives.distances import (
    barlow_twins,
    canonical_distance,
    cka_distance,
    covariance,
    covariance_distance,
    info_nce,
    moment_distance,
    standardised,
)
from trivium.objectives.pairs import parsed_pairs
from trivium.train import Objective, TensorBatch, TrainingClock, WithHeads

START = TrainingClock(0, 0)
Array = NDArray[np.float64]


def features(seed: int = 0, n: int = 40, widths: tuple[int, int] = (5, 5)) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, widths[0]))
    y = x[:, :1] + 0.5 * rng.standard_normal((n, widths[1]))
    return torch.tensor(x), torch.tensor(y)


def batch_of(n: int, **mask: Tensor) -> TensorBatch:
    return TensorBatch(torch.arange(n), {}, dict(mask), {})


def both_numpy(x: Tensor, y: Tensor) -> tuple[Array, Array]:
    return x.numpy().astype(np.float64), y.numpy().astype(np.float64)


def test_covariance_distance_is_that_of_numpys_covariances() -> None:
    x, y = features()
    a, b = both_numpy(x, y)
    expected = np.square(np.cov(a, rowvar=False) - np.cov(b, rowvar=False)).sum() / (4 * 5**2)
    assert covariance_distance(covariance(x), covariance(y)).item() == pytest.approx(expected, rel=1e-12)


def test_moment_distance_by_hand() -> None:
    x, y = torch.tensor([[0.0], [0.0], [0.9]]), torch.tensor([[0.3], [0.3], [0.3]])
    # equal means; central moments of x: (2 * .09 + .36) / 3 = .18 and (2 * -.027 + .216) / 3 = .054
    assert moment_distance(x, y, moments=3).item() == pytest.approx(0.18 + 0.054, rel=1e-6)


@pytest.mark.parametrize("kernel", ["linear", "gaussian"])
def test_kernel_alignment_is_that_of_centring_matrices(kernel: str) -> None:
    x, y = features(widths=(4, 3))

    def gram(z: Array) -> Array:
        if kernel == "linear":
            return np.asarray(z @ z.T)
        squared = np.array([[((a - b) ** 2).sum() for b in z] for a in z])
        off = np.sort(squared[~np.eye(len(z), dtype=bool)])
        return np.asarray(np.exp(-squared / (2 * off[(len(off) - 1) // 2])))  # torch takes the lower median

    h = np.eye(40) - 1 / 40
    k, m = (h @ gram(z) @ h for z in both_numpy(x, y))
    expected = 1 - np.trace(k @ m) / np.sqrt(np.trace(k @ k) * np.trace(m @ m))
    assert cka_distance(x, y, kernel).item() == pytest.approx(expected, rel=1e-9)


def test_canonical_distance_is_that_of_the_eigenvalue_problem() -> None:
    x, y = features(widths=(4, 3))
    a, b = (z - z.mean(axis=0) for z in both_numpy(x, y))
    ridge = 1e-2
    cxx, cyy, cxy = a.T @ a / 39, b.T @ b / 39, a.T @ b / 39
    cxx += np.eye(4) * np.trace(cxx) / 4 * ridge
    cyy += np.eye(3) * np.trace(cyy) / 3 * ridge
    squared = np.linalg.eigvals(np.linalg.inv(cyy) @ cxy.T @ np.linalg.inv(cxx) @ cxy)
    expected = 1 - np.sqrt(np.clip(squared.real, 0, None)).sum() / 3
    assert canonical_distance(x, y, ridge).item() == pytest.approx(expected, rel=1e-9)


def test_canonical_distance_agrees_with_scikit_learn_without_a_ridge() -> None:
    from sklearn.cross_decomposition import CCA

    x, y = features(n=200, widths=(3, 3))
    u, v = CCA(n_components=3, max_iter=5000, tol=1e-10).fit_transform(*both_numpy(x, y))
    expected = 1 - np.mean([np.corrcoef(u[:, i], v[:, i])[0, 1] for i in range(3)])
    assert canonical_distance(x, y, 1e-9).item() == pytest.approx(expected, abs=1e-4)


def test_barlow_twins_is_that_of_numpys_correlations() -> None:
    x, y = features()
    a, b = both_numpy(x, y)
    c = np.corrcoef(a, b, rowvar=False)[:5, 5:]
    off = np.square(c[~np.eye(5, dtype=bool)]).sum()
    expected = (np.square(np.diag(c) - 1).sum() + 0.005 * off) / 5
    assert barlow_twins(x, y).item() == pytest.approx(expected, rel=1e-6)


def test_info_nce_by_a_double_loop() -> None:
    x, y = features(n=6)
    a, b = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in both_numpy(x, y))
    losses = []
    for p, q in ((a, b), (b, a)):
        for i in range(6):
            scores = [np.exp(p[i] @ q[j] / 0.1) for j in range(6)]
            losses.append(-np.log(scores[i] / sum(scores)))
    assert info_nce(x, y, 0.1).item() == pytest.approx(np.mean(losses), rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 12), st.integers(1, 4))
def test_distances_are_symmetric_and_not_negative(seed: int, n: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = (torch.tensor(rng.uniform(size=(n, width))) for _ in range(2))
    for distance in (moment_distance, cka_distance, canonical_distance, barlow_twins, info_nce):
        there, back = distance(x, y).item(), distance(y, x).item()
        assert there == pytest.approx(back, abs=1e-6)
        assert there >= -1e-9
    assert covariance_distance(covariance(x), covariance(y)).item() >= 0


def test_equal_features_are_no_distance_apart() -> None:
    x, _ = features()
    assert covariance_distance(covariance(x), covariance(x)).item() == 0
    assert moment_distance(x.sigmoid(), x.sigmoid()).item() == 0
    assert cka_distance(x, x).item() == pytest.approx(0, abs=1e-12)


def test_gradients_are_finite_where_features_are_equal_or_constant() -> None:
    for distance in (moment_distance, cka_distance, canonical_distance, barlow_twins, info_nce):
        for start in (torch.full((6, 3), 0.5), torch.rand(6, 3, generator=torch.Generator().manual_seed(0))):
            x = start.clone().requires_grad_()
            torch.autograd.backward(distance(x, start))
            assert x.grad is not None
            assert torch.isfinite(x.grad).all(), distance.__name__


@pytest.mark.parametrize("distance", [cka_distance, canonical_distance, barlow_twins, info_nce])
def test_a_modality_without_any_spread_asks_for_nothing(distance: Callable[..., Tensor]) -> None:
    for start in (torch.zeros(6, 3), torch.full((6, 3), 0.5)):
        x, y = start.clone().requires_grad_(), features(n=6, widths=(3, 3))[1].float().requires_grad_()
        torch.autograd.backward(distance(x, y))
        for one in (x, y):
            assert one.grad is not None
            assert one.grad.abs().max() < 10, "finite, and of the size of any other"


def test_features_too_large_for_a_covariance_are_a_loss_that_is_not_finite() -> None:
    assert math.isnan(canonical_distance(torch.full((4, 2), math.inf), torch.ones(4, 2)).item())
    alike = torch.arange(6.0).unsqueeze(1).expand(6, 3)  # no root without a ridge
    assert math.isnan(canonical_distance(alike, features(n=6, widths=(3, 3))[1].float(), ridge=0).item())
    assert canonical_distance(alike, alike, ridge=1e-5).item() == pytest.approx(2 / 3, abs=1e-3)


@pytest.mark.parametrize(
    ("request_", "sees"),
    [
        ("modal_alignment:width=0", False),
        ("central_moments:layer=feature:squash=true", False),
        ("canonical_correlation:width=0", True),
        ("kernel_alignment", True),
        ("kernel_alignment:kernel=gaussian", True),
        ("barlow_twins:width=0", True),
        ("pair_contrast:width=0", True),
    ],
)
def test_only_some_objectives_see_which_rows_belong_together(request_: str, sees: bool) -> None:
    x, y = features()
    outputs = {"feature_text": x, "feature_audio": y}
    torch.manual_seed(0)
    right = objective(request_).loss(outputs, batch_of(40), START).item()
    shuffled = objective(f"{request_}:shuffled=true").loss(outputs, batch_of(40), START).item()
    assert (abs(shuffled - right) > 0.01 * right) is sees
    if not sees:
        assert shuffled == pytest.approx(right, rel=1e-9)


def test_pairs_have_factors_and_missing_modalities_are_left_out() -> None:
    x, y = features(n=4)
    outputs = {"feature_text": x, "feature_audio": y, "feature_vision": x * 0}
    seen = torch.tensor([[True, True], [True, False], [True, True], [False, False]])  # short ones count, missing do not
    batch = batch_of(4, audio=seen)
    alone = ModalAlignment("text+audio", width=0, scale="none").loss(outputs, batch, START)
    expected = covariance_distance(covariance(x[:3]), covariance(y[:3]))
    assert alone.item() == pytest.approx(expected.item())
    twice = ModalAlignment("text+audio*2,text+vision*0", width=0, scale="none").loss(outputs, batch, START)
    assert twice.item() == pytest.approx(2 * expected.item())
    everything = ModalAlignment(width=0, scale="none").loss(outputs, batch_of(4), START)
    pairs = [(x, y), (x, x * 0), (y, x * 0)]
    assert everything.item() == pytest.approx(
        sum(covariance_distance(covariance(a), covariance(b)).item() for a, b in pairs)
    )


def test_a_pair_with_one_sample_adds_nothing_and_gives_a_gradient() -> None:
    x = torch.ones(1, 3, requires_grad=True)
    loss = ModalAlignment(width=0).loss({"feature_text": x, "feature_audio": x}, batch_of(1), START)
    torch.autograd.backward(loss)
    assert loss.item() == 0
    assert x.grad is not None
    assert not x.grad.any()


def test_heads_bring_features_to_one_width_and_are_trained() -> None:
    outputs = {"feature_text": torch.randn(8, 6), "feature_audio": torch.randn(8, 3)}

    class Given(torch.nn.Module):
        def forward(self, batch: TensorBatch) -> dict[str, Tensor]:
            return outputs

    alignment = ModalAlignment(width=4)
    head = alignment.heads(outputs)
    assert head is not None
    joined = WithHeads(Given(), [head])
    loss = alignment.loss(joined(batch_of(8)), batch_of(8), START)
    torch.autograd.backward(loss)
    assert all(p.grad is not None for p in joined.parameters() if p.ndim == 2)
    with pytest.raises(SpecificationError, match="6 features and audio 3"):
        ModalAlignment(width=0).loss(outputs, batch_of(8), START)


SCALE_FREE = [
    "modal_alignment:width=0",
    "modal_alignment:width=0:scale=trace",
    "canonical_correlation:width=0",
    "kernel_alignment",
    "kernel_alignment:kernel=gaussian",
    "barlow_twins:width=0",
    "pair_contrast:width=0",
]


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(SCALE_FREE), st.floats(-6, 6), st.floats(-6, 6), st.integers(0, 99))
def test_distances_do_not_change_with_the_scale_of_the_features(
    request_: str, power: float, other: float, seed: int
) -> None:
    """From 1e-6 to 1e6, each modality by a factor of its own, in single precision as networks give them."""
    x, y = (part.float() for part in features(seed))
    one = objective(request_)
    found = [
        one.loss({"feature_text": f * x, "feature_audio": g * y}, batch_of(40), START).item()
        for f, g in ((1.0, 1.0), (10**power, 10**other))
    ]
    assert found[1] == pytest.approx(found[0], rel=1e-3, abs=1e-5)


def test_nothing_is_gained_by_collapsing_and_constant_columns_are_no_noise() -> None:
    x, y = (part.float() for part in features())
    for request_ in (one for one in SCALE_FREE if "gaussian" not in one):  # its width, the median, is held fixed
        start = (1e-7 * x).requires_grad_()
        loss = objective(request_).loss({"feature_text": start, "feature_audio": y}, batch_of(40), START)
        (slope,) = torch.autograd.grad(loss, start)
        along = (slope * start).sum().item()  # the derivative by the logarithm of the scale
        assert abs(along) < 1e-3, request_
    constant = torch.cat([x[:, :1] * 0 + 0.1, x[:, 1:]], dim=1)
    assert not standardised(constant)[:, 0].abs().gt(1e-2).any()
    assert standardised(x * 0 + 0.1).abs().max() < 0.2


def test_the_scale_that_is_told_is_that_of_numpy() -> None:
    """Two samples of one population, 32 rows of 32 independent columns; and of two populations in 8 dimensions."""
    rng = np.random.default_rng(0)

    def mean_of(scale: str, rank: int | None, spread: float = 1.0) -> float:
        found = []
        for _ in range(60):
            maps = [np.eye(32) if rank is None else rng.normal(size=(rank, 32)) / rank**0.5 for _ in range(2)]
            x, y = (torch.tensor(spread * rng.normal(size=(32, len(one))) @ one) for one in maps)
            made = ModalAlignment(width=0, scale=scale)  # type: ignore[arg-type]
            found.append(made.loss({"feature_text": x, "feature_audio": y}, batch_of(32), START).item())
        return float(np.mean(found))

    assert mean_of("standard", None) == pytest.approx(0.016, abs=0.001)
    assert mean_of("none", None) == pytest.approx(0.017, abs=0.001)
    assert mean_of("standard", 8) == pytest.approx(0.07, abs=0.01)
    assert mean_of("none", 8) == pytest.approx(0.08, abs=0.015)
    assert mean_of("none", 8, 0.1) < 1e-5


def test_by_default_columns_are_standardised() -> None:
    x, y = features()
    outputs = {"feature_text": 1e-3 * x, "feature_audio": y}
    expected = np.square(np.corrcoef(x.numpy().T) - np.corrcoef(y.numpy().T)).sum() / (4 * x.shape[1] ** 2)
    assert ModalAlignment(width=0).loss(outputs, batch_of(40), START).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("pairs", "weight", "counted"),
    [("text+audio*-1", 1.0, -2.0), ("text+audio", -1.0, -2.0), ("text+audio", -1000.0, -2000.0)],
)
def test_a_pair_that_is_pushed_apart_counts_up_to_the_cap_only(pairs: str, weight: float, counted: float) -> None:
    x, _ = features()
    apart = {"feature_text": (100 * x).requires_grad_(), "feature_audio": 0 * x}
    one = ModalAlignment(pairs, width=0, scale="none", cap=2.0, weight=weight)
    loss = one.weight * one.loss(apart, batch_of(40), START)
    assert loss.item() == counted
    assert not torch.autograd.grad(loss, apart["feature_text"])[0].any()


def test_two_minuses_draw_a_pair_together_without_a_cap() -> None:
    x, _ = features()
    one = ModalAlignment("text+audio*-1", width=0, scale="none", cap=2.0, weight=-1.0)
    assert one.weight * one.loss({"feature_text": 100 * x, "feature_audio": 0 * x}, batch_of(40), START).item() > 1e4


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda: ModalAlignment(weight=math.nan), "weight cannot be nan"),
        (lambda: ModalAlignment(weight=math.inf), "weight cannot be inf"),
        (lambda: ModalAlignment(cap=math.nan), "cap"),
        (lambda: ModalAlignment(cap=math.inf), "cap"),
        (lambda: ModalAlignment("text+audio*inf"), "pair"),
        (lambda: ModalAlignment("text+audio*nan"), "pair"),
        (lambda: ModalAlignment(width=-3), "width cannot be -3"),
        (lambda: PairContrast(weight=-1), "weight cannot be -1"),
        (lambda: CentralMoments("text+audio*-1"), "below 0"),
        (lambda: Difference(weight=-0.1), "difference: weight"),
        (lambda: objective("modal_alignment:weight=NaN"), "weight cannot be 'NaN'"),
    ],
)
def test_weights_that_would_run_away_are_refused(made: Callable[[], Objective], says: str) -> None:
    with pytest.raises(SpecificationError, match=says):
        made()


@pytest.mark.parametrize("request_", ["central_moments:layer=feature", "pair_contrast:width=0", "barlow_twins:width=0"])
def test_features_of_different_widths_are_refused_before_the_training(request_: str) -> None:
    outputs = {"feature_text": torch.randn(8, 6), "feature_audio": torch.randn(8, 3)}
    with pytest.raises(SpecificationError, match="text has 6 features and audio 3"):
        objective(request_).heads(outputs)
    assert objective("kernel_alignment").heads(outputs) is None


def test_traces_are_measured_in_training_only() -> None:
    x, y = features()
    one = ModalAlignment(width=0)
    outputs = {"feature_text": x, "feature_audio": y}
    one.loss(outputs, batch_of(40), START)
    one.loss({name: 9 * value for name, value in outputs.items()}, batch_of(40), TrainingClock(0, 0, training=False))
    expected = {f"trace_{n}": covariance(v).trace().item() for n, v in (("audio", y), ("text", x))}
    assert one.measures() == pytest.approx(expected)
    assert one.measures() == {}


def test_remembered_covariances_are_a_moving_mean_and_part_of_the_state() -> None:
    x, y = features()
    one, outputs = ModalAlignment(width=0, scale="none", memory=0.75), {"feature_text": x, "feature_audio": y}
    one.loss({"feature_text": 2 * x, "feature_audio": y}, batch_of(40), START)
    one.after_backward(torch.nn.Identity(), batch_of(40), START)
    restored = ModalAlignment(width=0, scale="none", memory=0.75)
    restored.load_state_dict(one.state_dict())
    text = 0.25 * covariance(x) + 0.75 * covariance(2 * x)
    expected = covariance_distance(text, covariance(y)).item()
    for objective_ in (one, restored):
        assert objective_.loss(outputs, batch_of(40), START).item() == pytest.approx(expected)


def test_misas_difference_by_loops() -> None:
    x, y = features(n=6, widths=(2, 2))
    outputs = {"shared_text": x, "private_text": y, "shared_audio": y, "private_audio": x}

    def rows(z: Tensor) -> Array:
        a = z.numpy() - z.numpy().mean(axis=0)
        return np.asarray(a / (np.linalg.norm(a, axis=1, keepdims=True) + 1e-6))  # as the authors' code

    products = [rows(x).T @ rows(y), rows(y).T @ rows(x), rows(y).T @ rows(x)]
    for scale, reduce in (("mean", np.mean), ("sum", np.sum)):
        expected = sum(float(reduce(np.square(p))) for p in products)
        got = Difference(scale).loss(outputs, batch_of(6), START).item()  # type: ignore[arg-type]
        assert got == pytest.approx(expected, rel=1e-6)


def test_misas_difference_does_not_change_with_the_scale_unless_lengths_are_held() -> None:
    x, y = features(n=6, widths=(2, 2))
    for held, degree in ((False, 0), (True, 4)):  # two factors, both squared
        scale = torch.ones((), dtype=x.dtype, requires_grad=True)
        outputs = {"shared_text": scale * x, "private_text": scale * y}
        found = objective(f"difference:detach={str(held).lower()}").loss(outputs, batch_of(6), START)
        assert found.item() == pytest.approx(Difference().loss(outputs, batch_of(6), START).item(), rel=1e-5)
        (slope,) = torch.autograd.grad(found, scale)
        assert slope.item() == pytest.approx(degree * found.item(), rel=1e-4, abs=1e-6)


def test_no_gradient_flows_through_the_length_of_a_row_unless_asked_for() -> None:
    """Of one pair of rows of width 1 that are centred already: normalised they are 1 and -1, whatever their length."""
    given = torch.tensor([[2.0], [-2.0]])

    def slope(detach: bool) -> Tensor:
        x, y = given.clone().requires_grad_(), given.clone()
        loss = Difference(detach=detach).loss({"private_text": x, "shared_text": y}, batch_of(2), START)
        assert loss.item() == pytest.approx(4.0, rel=1e-5)
        (found,) = torch.autograd.grad(loss, x)
        return found

    assert not slope(detach=False).any()  # longer rows are the same rows
    # (sum of a b)^2 with a = x / 2: 2 * 2 * b / 2 = 2 for the first row and -2 for the second; centring keeps both
    torch.testing.assert_close(slope(detach=True), torch.tensor([[2.0], [-2.0]]))


def test_misas_other_losses_by_hand() -> None:
    x = torch.tensor([[0.0], [1.0]])
    outputs: dict[str, Any] = {"shared_text": x, "shared_audio": x, "shared_vision": x + 0.5}
    # two of three pairs are .5 apart in the mean and equal otherwise
    assert CentralMoments().loss(outputs, batch_of(2), START).item() == pytest.approx(1 / 3)
    outputs = {"raw_text": x, "reconstruction_text": x + 1, "raw_audio": x, "reconstruction_audio": x}
    assert FeatureReconstruction().loss(outputs, batch_of(2), START).item() == pytest.approx(0.5)


@pytest.mark.parametrize("made", [ModalAlignment(), PairContrast(), Difference(), FeatureReconstruction()])
def test_a_network_without_the_outputs_is_told_what_it_lacks(made: Any) -> None:
    with pytest.raises(SpecificationError, match="does not give"):
        made.loss({"prediction": torch.zeros(2, 1)}, batch_of(2), START)


@pytest.mark.parametrize("text", ["text", "text+text", "a+b+c", "text+audio*much", "text+audio,audio+text"])
def test_pairs_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(SpecificationError, match=r"pair|twice"):
        parsed_pairs(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("modal_alignment:weight=much", "weight cannot be"),
        ("modal_alignment:width=2.5", "width cannot be"),
        ("modal_alignment:shuffled=1", "shuffled cannot be"),
        ("modal_alignment:colour=red", "no option"),
        ("modal_alignment:weight", "no option"),
        ("modal_alignment:scale=huge", "scale cannot be"),
        ("pair_contrast:temperature=0", "temperature cannot be"),
        ("canonical_correlation:ridge=1e-30", "ridge cannot be 1e-30.*at least 1e-05"),
        ("barlow_twins:redundancy=-5", "redundancy cannot be"),
        ("regression", "must know the label"),
        ("no_such", "there is no objective"),
    ],
)
def test_requests_that_make_no_sense_are_refused(text: str, says: str) -> None:
    with pytest.raises(TriviumError, match=says):
        objective(text)


def test_requests_become_objectives_with_their_options() -> None:
    made = objective("classes:class_weights=[1, 2.5]:weight=0.5", label="mood")
    assert (made.name, made.weight, vars(made)["label"], vars(made)["class_weights"]) == (
        "classes",
        0.5,
        "mood",
        (1, 2.5),
    )
    pair = objective("barlow_twins:pairs=text+audio:shuffled=true")
    assert isinstance(pair, PairObjective)
    assert (pair.pairs, pair.shuffled) == ("text+audio", True)
