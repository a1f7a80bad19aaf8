"""Objectives without labels against NumPy: hidden steps, contrast of views, cross-modal prediction, VICReg."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from trivium.errors import SpecificationError
from trivium.objectives import CrossModalPrediction, HiddenSteps, Vicreg, ViewContrast
from trivium.objectives.distances import contrast, info_nce, nt_xent, vicreg
from trivium.train import TensorBatch, TrainingClock, WithHeads

START = TrainingClock(0, 0)
BATCH = TensorBatch(torch.arange(6), {}, {}, {})


def pair(seed: int, n: int = 6, width: int = 4) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, width))
    return torch.tensor(x), torch.tensor(x + 0.3 * rng.normal(size=(n, width)))


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@settings(max_examples=20)
@given(st.integers(0, 1000), st.floats(0.05, 2.0))
def test_contrasts_are_the_sums_over_pairs(seed: int, temperature: float) -> None:
    x, y = pair(seed)
    a, b = x.numpy(), y.numpy()
    one_way = [
        -cosine(a[i], b[i]) / temperature + np.log(sum(np.exp(cosine(a[i], b[k]) / temperature) for k in range(6)))
        for i in range(6)
    ]
    assert contrast(x, y, temperature).item() == pytest.approx(np.mean(one_way), rel=1e-9)
    views = np.concatenate([a, b])
    both = []
    for i in range(12):
        others = sum(np.exp(cosine(views[i], views[k]) / temperature) for k in range(12) if k != i)
        both.append(-cosine(views[i], views[(i + 6) % 12]) / temperature + np.log(others))
    assert nt_xent(x, y, temperature).item() == pytest.approx(np.mean(both), rel=1e-9)
    symmetric = (contrast(x, y, temperature) + contrast(y, x, temperature)) / 2
    assert info_nce(x, y, temperature).item() == pytest.approx(symmetric.item())


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_vicreg_is_its_three_terms(seed: int) -> None:
    x, y = pair(seed)
    a, b = x.numpy(), y.numpy()
    low = np.mean([np.maximum(0, 1 - np.sqrt(v.var(axis=0, ddof=1) + 1e-4)).mean() for v in (a, b)])
    off = 0.0
    for v in (a, b):
        c = np.cov(v, rowvar=False)
        off += sum(c[i, j] ** 2 for i in range(4) for j in range(4) if i != j) / 4
    expected = 25 * ((a - b) ** 2).mean() + 25 * low + off
    assert vicreg(x, y).item() == pytest.approx(expected, rel=1e-9)


@settings(max_examples=20)
@given(st.permutations(range(6)))
def test_the_order_of_a_batch_does_not_matter(order: list[int]) -> None:
    x, y = pair(3)
    for loss in (contrast, nt_xent, vicreg):
        assert loss(x[order], y[order]).item() == pytest.approx(loss(x, y).item(), rel=1e-9)


def test_hidden_cells_alone_count_and_modalities_weigh_the_same() -> None:
    rng = np.random.default_rng(0)
    outputs: dict[str, Tensor] = {}
    expected = []
    for name, width in (("audio", 3), ("vision", 2), ("text", 4)):
        target, said = rng.normal(size=(2, 5, width)), rng.normal(size=(2, 5, width))
        hidden = rng.random((2, 5, width)) < (0.0 if name == "text" else 0.4)
        outputs |= {f"target_{name}": torch.tensor(target), f"predicted_{name}": torch.tensor(said)}
        outputs[f"hidden_{name}"] = torch.tensor(hidden)
        if hidden.any():
            expected.append(((said - target) ** 2)[hidden].mean())
    assert HiddenSteps().loss(outputs, BATCH, START).item() == pytest.approx(np.mean(expected))
    nothing = {name: torch.zeros_like(part) for name, part in outputs.items()}
    assert HiddenSteps().loss(nothing, BATCH, START).item() == 0


class Given(torch.nn.Module):
    """A network that gives what it was given."""

    def __init__(self, outputs: dict[str, Tensor]) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, batch: TensorBatch) -> dict[str, Tensor]:
        return self.outputs


def with_heads(
    objective: ViewContrast | Vicreg | CrossModalPrediction, outputs: dict[str, Tensor]
) -> dict[str, Tensor]:
    head = objective.heads(outputs)
    assert head is not None
    return dict(WithHeads(Given(outputs), [head.double()])(BATCH))


@pytest.mark.parametrize("objective", [ViewContrast(width=3), Vicreg(width=3)])
def test_views_share_a_projection_and_unseen_modalities_stay_out(objective: ViewContrast | Vicreg) -> None:
    torch.manual_seed(0)
    x, y = pair(1)
    y[2] = 0  # the second view lacks the voice of this one
    found = with_heads(objective, {"first_audio": x, "second_audio": y})
    first, second = (found[f"{objective.name}.{view}_audio"] for view in ("first", "second"))
    seen = [0, 1, 3, 4, 5]
    assert objective.loss(found, BATCH, START).item() == pytest.approx(
        objective.apart(first[seen], second[seen]).item()
    )
    same = with_heads(objective, {"first_audio": x, "second_audio": x})
    torch.testing.assert_close(*(same[f"{objective.name}.{view}_audio"] for view in ("first", "second")))


def test_each_modality_predicts_each_other_one_where_both_were_seen() -> None:
    torch.manual_seed(0)
    features = {f"feature_{name}": pair(seed)[0] for seed, name in enumerate(("text", "audio", "vision"))}
    features["feature_vision"][:2] = 0
    objective = CrossModalPrediction(width=3, temperature=0.5)
    found = with_heads(objective, features)
    terms = []
    for one in ("text", "audio", "vision"):
        for other in ("text", "audio", "vision"):
            if one != other:
                rows = slice(2, None) if "vision" in (one, other) else slice(None)
                said, wanted = found[f"{objective.name}.{one}>{other}"], found[f"{objective.name}.{other}"]
                terms.append(contrast(said[rows], wanted[rows], 0.5).item())
    assert objective.loss(found, BATCH, START).item() == pytest.approx(np.mean(terms))


def test_a_batch_of_one_adds_nothing_and_has_a_gradient() -> None:
    x = torch.ones(1, 4, dtype=torch.double, requires_grad=True)
    for objective in (ViewContrast(width=3), Vicreg(width=3)):
        loss = objective.loss(with_heads(objective, {"first_audio": x, "second_audio": x}), BATCH, START)
        loss.backward()  # type: ignore[no-untyped-call]
        assert loss.item() == 0


def test_networks_and_options_that_do_not_fit_are_told() -> None:
    with pytest.raises(SpecificationError, match="hides no steps"):
        HiddenSteps().heads({"feature_text": torch.ones(1, 2)})
    with pytest.raises(SpecificationError, match="no two views"):
        Vicreg().heads({"feature_text": torch.ones(1, 2)})
    with pytest.raises(SpecificationError, match="no second modality"):
        CrossModalPrediction().heads({"feature_text": torch.ones(1, 2)})
    with pytest.raises(SpecificationError, match="temperature cannot be 0"):
        ViewContrast(temperature=0)
    with pytest.raises(SpecificationError, match="width cannot be 0"):
        CrossModalPrediction(width=0)
