"""The encoder of steps: what it must not see, what hiding does, that it learns, and the contract of estimators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import Tensor

from trivium.corpus import Aligned, Specification, StreamSpecification
from trivium.errors import DataError, SpecificationError, WeightsError
from trivium.represent import MaskedSteps, StepEncoder
from trivium.represent.views import ShownSteps, hide_spans, stretch_of
from trivium.train import CHECKPOINT, TensorBatch
from trivium.weights import check_weights, load_weights

torch.set_num_threads(1)

SPEC = Specification(
    (
        StreamSpecification("audio", ("a0", "a1", "a2"), clock="words"),
        StreamSpecification("vision", ("v0", "v1"), clock="words"),
    )
)
EVERY = ("masked", "contrastive", "cross-modal", "vicreg")


def quick(**options: Any) -> MaskedSteps:
    return MaskedSteps(**{"max_epochs": 2, "channels": 8, "layers": 2, "progress": False, **options})


def aligned(n: int = 24, *, steps: int = 7, seed: int = 0, **table: NDArray[Any]) -> Aligned:
    rng = np.random.default_rng(seed)
    mask = np.arange(steps) >= rng.integers(0, steps - 1, n)[:, None]
    cells = mask[:, :, None] & (rng.random((n, steps, 2)) < 0.8)
    cells[0, :, 1] = False  # an utterance without a face
    drift = np.cumsum(rng.normal(size=(n, steps, 5)), axis=1)
    values = np.where(np.repeat(cells, (3, 2), axis=2), drift, 0).astype(np.float32)
    return Aligned.from_arrays(
        values, SPEC, mask=mask, cell_mask=cells, table={f"group.{k}": v for k, v in table.items()}
    )


def holes(x: Aligned) -> Tensor:
    return torch.from_numpy(np.where(x.column_mask(), x.values, np.nan)[:, None])


@parametrize_with_checks([MaskedSteps(max_epochs=1, channels=4, layers=1, progress=False)])  # type: ignore[untyped-decorator]
def test_scikit_learn_s_own_checks_without_a_single_expected_failure(estimator: MaskedSteps, check: Any) -> None:
    check(estimator)


@settings(max_examples=20)
@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 1000))
def test_padding_and_company_change_nothing(before: int, behind: int, seed: int) -> None:
    torch.manual_seed(seed)
    encoder = StepEncoder({"audio": 3, "vision": 2}, channels=6, layers=3).eval()
    x = holes(aligned(5, seed=seed))
    with torch.no_grad():
        expected = encoder(x)
        padded = torch.nn.functional.pad(x, (0, 0, before, behind), value=torch.nan)
        torch.testing.assert_close(encoder(padded), expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(encoder(x[[3, 1]]), expected[[3, 1]], atol=1e-5, rtol=1e-5)


def test_a_missing_modality_gives_zeros_and_leaves_the_others_alone() -> None:
    x = aligned()
    fitted = quick().fit(x)
    whole, without = fitted.transform(x), fitted.transform(x.only(["audio"]))
    assert fitted.n_features_out_ == 32
    assert not without[:, 16:].any() and not whole[0, 16:].any() and whole[1:, 16:].any()
    np.testing.assert_allclose(without[:, :16], whole[:, :16], atol=1e-6)
    np.testing.assert_allclose(fitted.transform(x.select(["audio"])), without, atol=1e-6)


def test_what_stands_in_unseen_cells_matters_neither_in_training_nor_afterwards() -> None:
    x = aligned()
    noise = np.where(x.column_mask(), x.values, 99).astype(np.float32)
    other = Aligned.from_arrays(noise, SPEC, mask=x.mask, cell_mask=x.cell_mask)
    for objective in EVERY:
        first, second = (quick(objective=objective).fit(data).transform(data) for data in (x, other))
        np.testing.assert_array_equal(first, second)


def test_any_number_of_steps_goes_in_and_the_order_within_counts() -> None:
    fitted = quick().fit(aligned())
    longer = aligned(steps=30, seed=2)
    assert fitted.transform(longer).shape == (24, 32)
    turned = Aligned.from_arrays(longer.values[:, ::-1].copy(), SPEC, cell_mask=longer.cell_mask[:, ::-1])
    assert not np.allclose(fitted.transform(turned), fitted.transform(longer), atol=1e-3)


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.floats(0.05, 0.9), st.integers(1, 4))
def test_hidden_steps_were_seen_and_something_is_left(seed: int, share: float, span: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    steps = torch.rand(9, 12, generator=generator) < 0.6
    hidden = hide_spans(steps, share, span, generator)
    assert not (hidden & ~steps).any()
    assert ((steps & ~hidden).any(dim=1) == steps.any(dim=1)).all()
    assert (hidden.any(dim=1) == (steps.sum(dim=1) > 1)).all()


def test_about_the_share_asked_for_is_hidden() -> None:
    steps = torch.ones(400, 60, dtype=torch.bool)
    for share, span in ((0.15, 1), (0.3, 2), (0.5, 4)):
        found = hide_spans(steps, share, span, torch.Generator().manual_seed(0)).float().mean().item()
        assert found == pytest.approx(share, abs=0.04)


def test_a_stretch_lies_within_the_seen_steps_and_has_its_length() -> None:
    generator = torch.Generator().manual_seed(0)
    found = stretch_of(torch.ones(200, 10, dtype=torch.bool), torch.full((200,), 0.3), generator=generator)
    assert (found.sum(dim=1) == 3).all()
    assert ((found[:, 1:] & ~found[:, :-1]).sum(dim=1) + found[:, 0] == 1).all()
    assert set(found.int().argmax(dim=1).tolist()) == set(range(8))
    seen = torch.tensor([[False, True, False, True, True, False]]).repeat(50, 1)
    holey = stretch_of(seen, torch.full((50,), 0.7), generator=generator)
    assert not (holey & ~seen).any() and (holey.sum(dim=1) == 2).all() and len(torch.unique(holey, dim=0)) == 2
    assert not stretch_of(seen, torch.full((50,), 0.2)).any() and stretch_of(seen, torch.zeros(50), 1).sum() == 50


def shown(kind: Any, x: Aligned, *, training: bool = False) -> dict[str, Tensor]:
    torch.manual_seed(0)
    network = ShownSteps(StepEncoder({"audio": 3, "vision": 2}, channels=4, layers=1), kind).train(training)
    batch = TensorBatch(
        torch.arange(len(x)),
        {"aligned": torch.from_numpy(x.values)},
        {"aligned": torch.from_numpy(x.column_mask())},
        {},
    )
    with torch.no_grad():
        found: dict[str, Tensor] = network(batch)
    return found


def test_hidden_cells_do_not_reach_the_states() -> None:
    x = aligned()
    outputs = shown("hidden", x)
    hidden = np.concatenate([outputs[f"hidden_{m}"].numpy() for m in ("audio", "vision")], axis=2)
    assert hidden.any() and not (hidden & ~x.column_mask()).any()
    changed = np.where(hidden, 77, x.values).astype(np.float32)
    again = shown("hidden", Aligned.from_arrays(changed, SPEC, mask=x.mask, cell_mask=x.cell_mask))
    for name in ("states_audio", "states_vision"):
        torch.testing.assert_close(again[name], outputs[name])
    assert not torch.equal(again["target_audio"], outputs["target_audio"])


@pytest.mark.parametrize("kind", ["hidden", "stretches", "cutoffs"])
def test_in_evaluation_the_same_is_shown_again_and_in_training_something_else(kind: str) -> None:
    x = aligned()
    first, second = shown(kind, x), shown(kind, x)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], tensor) for name, tensor in shown(kind, x, training=True).items())


def test_two_views_differ_and_lack_what_the_utterance_lacks() -> None:
    for kind in ("stretches", "cutoffs"):
        outputs = shown(kind, aligned())
        assert not torch.equal(outputs["first_audio"], outputs["second_audio"])
        assert not outputs["first_vision"][0].any() and outputs["first_vision"][1:].any()


def waves(n: int, seed: int = 0) -> NDArray[np.float32]:
    """Sines of random frequency and phase in three columns: hidden steps follow from their neighbours."""
    rng = np.random.default_rng(seed)
    when = np.arange(24)[:, None]
    return np.stack([np.sin(rng.uniform(0.2, 0.5) * when + rng.uniform(0, 6, 3)) for _ in range(n)]).astype(np.float32)


def test_hidden_steps_that_follow_from_the_others_are_learned() -> None:
    x = waves(32)
    options: Any = {"channels": 24, "validation_fraction": 0.0, "learning_rate": 5e-3, "batch_size": 16}
    fitted = MaskedSteps(max_epochs=60, progress=False, **options).fit(x)
    losses = [row["train_loss"] for row in fitted.loss_curves_]
    assert losses[0] > 0.6 and min(losses[-5:]) < 0.12, "1 is the error of the mean"


@pytest.mark.parametrize(("objective", "falls"), [("contrastive", 0.6), ("cross-modal", 0.6), ("vicreg", 0.8)])
def test_the_other_objectives_fall_on_a_corpus_they_can_learn_by_heart(objective: Any, falls: float) -> None:
    rng = np.random.default_rng(0)
    place = rng.normal(size=(16, 1, 5)) * 2  # what tells an utterance from another, in both modalities
    x = Aligned.from_arrays((place + rng.normal(0, 0.2, (16, 8, 5))).astype(np.float32), SPEC)
    options: Any = {"max_epochs": 40, "validation_fraction": 0.0, "learning_rate": 5e-3, "batch_size": 16}
    fitted = quick(objective=objective, **options).fit(x)
    losses = [row["train_loss"] for row in fitted.loss_curves_]
    assert losses[-1] < falls * losses[0]


def test_training_goes_on_where_it_stopped(tmp_path: Path) -> None:
    x = aligned()
    straight = quick(max_epochs=4).fit(x)
    quick(max_epochs=2, folder=tmp_path).fit(x)
    resumed = quick(max_epochs=4, folder=tmp_path, resume=True).fit(x)
    assert resumed.transform(x).tobytes() == straight.transform(x).tobytes()
    assert resumed.loss_curves_ == straight.loss_curves_
    assert sorted(p.name for p in tmp_path.iterdir()) == [CHECKPOINT, "losses.csv"]
    with pytest.raises(WeightsError, match="other settings: network"):
        quick(max_epochs=4, share=0.5, folder=tmp_path, resume=True).fit(x)


def test_same_seed_same_bytes_and_another_seed_another_network() -> None:
    x = aligned()
    first, second, third = (quick(random_state=s).fit(x).transform(x).tobytes() for s in (1, 1, 2))
    assert first == second != third


def test_nothing_trained_gives_the_untrained_encoder_on_scaled_columns() -> None:
    x = aligned()
    untrained = quick(max_epochs=0).fit(x)
    assert (untrained.n_iter_, untrained.loss_curves_) == (0, [])
    assert not np.allclose(untrained.transform(x), quick().fit(x).transform(x))
    far = Aligned.from_arrays(1000 + 50 * x.values, SPEC, mask=x.mask, cell_mask=x.cell_mask)
    np.testing.assert_allclose(quick(max_epochs=0).fit(far).transform(far), untrained.transform(x), atol=1e-3)


def test_the_fold_that_stops_it_keeps_groups_together() -> None:
    x = aligned(24, speaker=np.repeat(list("abcdefgh"), 3))
    fitted = quick(validation_groups="speaker", validation_fraction=0.25)
    held = fitted._hold_out(x, None, 42)
    assert 0 < held.sum() < 24 and not set(x.group("speaker")[held]) & set(x.group("speaker")[~held])


def test_the_default_is_below_a_million_parameters_even_with_all_foundation_columns() -> None:
    wide = StepEncoder({"text": 384, "audio": 61 + 384, "vision": 66})
    assert sum(p.numel() for p in wide.parameters()) < 1_000_000


def test_options_that_cannot_be_are_named() -> None:
    x = aligned()
    with pytest.raises(SpecificationError, match="masked, contrastive"):
        quick(objective="guess").fit(x)
    with pytest.raises(SpecificationError, match="cutoffs, stretches"):
        quick(objective="vicreg", views="both").fit(x)
    with pytest.raises(SpecificationError, match="odd kernel"):
        quick(kernel=4).fit(x)
    with pytest.raises(SpecificationError, match="share of 1"):
        quick(share=1.0).fit(x)
    with pytest.raises(SpecificationError, match="two modalities"):
        quick(objective="cross-modal").fit(x.select(["audio"]))
    with pytest.raises(SpecificationError, match=r"lacks columns|the data have"):
        quick().fit(x).transform(np.zeros((2, 3, 5), np.float32))


def test_saved_and_opened_it_gives_the_same_vectors_without_torch_too(tmp_path: Path) -> None:
    x = aligned()
    fitted = quick(max_epochs=1, layers=1, random_state=None).fit(x)
    fitted.save(tmp_path / "weights")
    again = MaskedSteps.from_pretrained(tmp_path / "weights")
    np.testing.assert_array_equal(again.transform(x), fitted.transform(x))
    weights = load_weights(tmp_path / "weights")
    np.testing.assert_allclose(weights.transform(x), fitted.transform(x), atol=1e-5)
    np.testing.assert_allclose(weights.transform(x.select(["audio"])), fitted.transform(x.only(["audio"])), atol=1e-5)
    assert check_weights(tmp_path / "weights").ok
    with pytest.raises(DataError, match="exists already"):
        fitted.save(tmp_path / "weights")
