"""Objectives that look at labels: task losses against torch and by hand, the label memory against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trivium.corpus import Specification
from trivium.corpus.specification import LabelSpecification
from trivium.errors import SpecificationError
from trivium.objectives import Classes, Multilabel, Ordinal, Regression, UnimodalLabels
from trivium.train import ArraySamples, TensorBatch, Trainer, TrainingClock

START = TrainingClock(0, 0)
NAN = float("nan")
Array = NDArray[np.float64]


def batch_of(labels: Tensor, key: str = "y") -> TensorBatch:
    return TensorBatch(torch.arange(len(labels)), {}, {}, {key: labels})


@pytest.mark.parametrize(("distance", "expected"), [("l1", 2.25), ("mse", 8.125), ("huber", 1.8125)])
def test_regression_leaves_out_missing_labels(distance: str, expected: float) -> None:
    outputs = {"prediction": torch.tensor([[0.5], [7.0], [4.0]])}
    made = Regression("y", distance)  # type: ignore[arg-type]
    # errors .5 and 4: means 2.25, (.25 + 16) / 2, (.125 + 3.5) / 2
    assert made.loss(outputs, batch_of(torch.tensor([0.0, NAN, 0.0])), START).item() == pytest.approx(expected)


def test_no_known_label_is_no_loss_with_a_gradient() -> None:
    x = torch.zeros(2, 1, requires_grad=True)
    loss = Regression("y").loss({"prediction": x}, batch_of(torch.tensor([NAN, NAN])), START)
    torch.autograd.backward(loss)
    assert loss.item() == 0


def test_weighted_classes_are_those_of_torch() -> None:
    rng = torch.Generator().manual_seed(0)
    scores, labels = torch.randn(30, 3, generator=rng), torch.randint(0, 3, (30,), generator=rng)
    expected = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 5.0]))(scores, labels)
    made = Classes("y", (1.0, 2.0, 5.0)).loss({"prediction": scores}, batch_of(labels.float()), START)
    assert made.item() == pytest.approx(expected.item(), rel=1e-5)


def test_multilabel_and_ordinal_by_hand() -> None:
    scores = torch.tensor([[0.0, 1.0]])
    multilabel = Multilabel("y", (1.0, 3.0)).loss({"prediction": scores}, batch_of(torch.tensor([[0.0, 2.5]])), START)
    assert multilabel.item() == pytest.approx((soft(0.0) + 3 * soft(-1.0)) / 2, rel=1e-5)
    # class 1 of 3: above 0 yes, above 1 no
    ordinal = Ordinal("y").loss({"prediction": scores}, batch_of(torch.tensor([1.0])), START)
    assert ordinal.item() == pytest.approx((soft(-0.0) + soft(1.0)) / 2, rel=1e-5)


def soft(z: float) -> float:
    """Softplus: the binary cross entropy of a score against a no."""
    return float(np.log1p(np.exp(z)))


class _Loops:
    """The label memory of one modality as plain loops over samples, after the formulas of Self-MM's public code."""

    def __init__(self, given: Array, limit: float) -> None:
        self.given, self.limit = given, limit
        self.own = given.copy()
        self.stored: dict[str, dict[int, Array]] = {"s": {}, "m": {}}
        self.centres: dict[tuple[str, str], Array | None] = {}

    def step(self, rows: list[int], s: Array, m: Array, epoch: int) -> None:
        for place, row in enumerate(rows):
            if epoch > 1 and all(self.centres[key] is not None for key in self.centres):
                self._move(row, s[place], m[place], epoch)
        for place, row in enumerate(rows):
            self.stored["s"][row], self.stored["m"][row] = s[place], m[place]
        for name, labels in (("s", self.own), ("m", self.given)):
            for side in ("p", "n"):
                chosen = [x for r, x in self.stored[name].items() if (labels[r] > 0 if side == "p" else labels[r] < 0)]
                self.centres[name, side] = np.mean(chosen, axis=0) if chosen else None

    def _move(self, row: int, s: Array, m: Array, epoch: int) -> None:
        lean = {}
        for name, x in (("s", s), ("m", m)):
            near, far = (np.linalg.norm(x - self.centres[name, side]) for side in ("p", "n"))  # type: ignore[operator]
            lean[name] = (far - near) / (near + 1e-8)
        y = self.given[row]
        new = 0.5 * lean["s"] / (lean["m"] + 1e-8) * y + 0.5 * (y + lean["s"] - lean["m"])
        new = float(np.clip(new, -self.limit, self.limit))
        self.own[row] = (epoch - 1) / (epoch + 1) * self.own[row] + 2 / (epoch + 1) * new


def test_the_label_memory_is_that_of_plain_loops() -> None:
    rng = np.random.default_rng(0)
    n, given = 12, rng.uniform(-3, 3, 12).round(1)
    loops, memory = _Loops(given, 3.0), UnimodalLabels("y", limit=3.0)
    memory.setup(Specification(()), n)
    for epoch in range(4):
        for rows in np.array_split(rng.permutation(n), 3):
            s, m = rng.standard_normal((len(rows), 2)), rng.standard_normal((len(rows), 3))
            outputs = {
                "prediction_text": torch.zeros(len(rows), 1),
                "feature_text": torch.tensor(s, dtype=torch.float32),
                "fused": torch.tensor(m, dtype=torch.float32),
            }
            labels = torch.tensor(given[rows], dtype=torch.float32)
            batch = TensorBatch(torch.tensor(rows), {}, {}, {"y": labels})
            clock = TrainingClock(epoch, 0)
            weights = np.tanh(np.abs(loops.own[rows] - given[rows]))
            expected = float(np.mean(weights * np.abs(loops.own[rows])))  # the heads predict 0
            assert memory.loss(outputs, batch, clock).item() == pytest.approx(expected, rel=1e-3, abs=1e-5)
            memory.after_step(outputs, batch, clock)
            loops.step(rows.tolist(), s, m, epoch + 1)
    np.testing.assert_allclose(memory.labels("text").numpy(), loops.own, rtol=1e-3, atol=1e-4)
    assert np.abs(loops.own - given).max() > 0.5
    assert memory.measures()["largest_shift"] == pytest.approx(np.abs(loops.own - given).max(), rel=0.5)


def moved(memory: UnimodalLabels, labels: list[float], stored: list[Tensor], now: tuple[list[float], float]) -> float:
    """Label of the text of sample 1 after a second epoch; `stored` is text (n, D) and fused (n, 1) of the first."""
    given = torch.tensor(labels)
    memory.setup(Specification(()), len(labels))
    text, fused = stored
    first = {"prediction_text": fused, "feature_text": text, "fused": fused}
    memory.after_step(first, batch_of(given), START)
    second = {"feature_text": torch.tensor([now[0]]), "fused": torch.tensor([[now[1]]])}
    second["prediction_text"] = second["fused"]
    memory.after_step(second, TensorBatch(torch.tensor([1]), {}, {}, {"y": given[1:2]}), TrainingClock(1, 1))
    return float(memory.labels("text")[1])


def test_the_papers_formula_by_hand() -> None:
    """Centres of the text at (2, 0, 0, 0) and 0, of the fused at 3 and 0; distances are squares over the root of D.

    The fused 2 has D+ = 1 and D- = 4, so leans by (4 - 1) / 1 = 3.
    """
    text = torch.tensor([[0.0, 0, 0, 0], [2.0, 0, 0, 0]])
    stored = [text, torch.tensor([[0.0], [3.0]])]
    # text (1, 1, 0, 0): D+ = D- = 2 / 2, leans by 0; 1 + (0 - 3) / 2 * (1 + 3) / 3 = -1, and 1 / 3 + 2 / 3 * -1
    middle = moved(UnimodalLabels("y", "paper", limit=9), [-1.0, 1.0], stored, ([1.0, 1.0, 0, 0], 2.0))
    assert middle == pytest.approx(-1 / 3, rel=1e-5)
    # at the centre of the positive ones D+ = 0 and D- = 4 / 2, so it leans by 2 / 1e-8: there the root of D shows
    centre = moved(UnimodalLabels("y", "paper", limit=1e12), [-1.0, 1.0], stored, ([2.0, 0, 0, 0], 2.0))
    assert centre == pytest.approx(1 / 3 + 2 / 3 * (1 + (2e8 - 3) / 2 * 4 / 3), rel=1e-4)


@pytest.mark.parametrize(("exclude_zero", "expected"), [(True, -0.875), (False, 11.125)])
def test_a_sample_of_label_zero_is_positive_or_nothing(exclude_zero: bool, expected: float) -> None:
    """Text: 4 of label 0, 0 of label 1, -3 of label -1; the fused are 1, 1, -1, so 2 leans by (9 - 1) / 1 = 8.

    Without the 0 the positive centre is 0, and 3 leans by (36 - 9) / 9 = 3; with it the centre is 2, and 3 leans by 35.
    1 + (3 - 8) / 2 * 9 / 8 = -1.8125, and 1 + (35 - 8) / 2 * 9 / 8 = 16.1875; a third of 1 and two of these.
    """
    stored = [torch.tensor([[4.0], [0.0], [-3.0]]), torch.tensor([[1.0], [1.0], [-1.0]])]
    memory = UnimodalLabels("y", "paper", exclude_zero=exclude_zero, limit=100)
    assert moved(memory, [0.0, 1.0, -1.0], stored, ([3.0], 2.0)) == pytest.approx(expected, rel=1e-5)


def test_a_sample_without_a_label_is_on_no_side() -> None:
    """As above without the 0, whose features lie elsewhere now and count for no centre."""
    stored = [torch.tensor([[4.0], [0.0], [-3.0]]), torch.tensor([[9.0], [1.0], [-1.0]])]
    memory = UnimodalLabels("y", "paper", exclude_zero=False, limit=100)
    assert moved(memory, [math.nan, 1.0, -1.0], stored, ([3.0], 2.0)) == pytest.approx(-0.875, rel=1e-5)


def test_remembered_features_are_part_of_the_state() -> None:
    """The second epoch moves labels by features of the first, those of all samples."""
    given, rng = torch.tensor([1.0, -1.0, 2.0]), torch.Generator().manual_seed(0)
    steps = [{"prediction_text": torch.zeros(3, 1), "feature_text": torch.randn(3, 2, generator=rng)} for _ in range(2)]
    for outputs in steps:
        outputs["fused"] = torch.randn(3, 2, generator=rng)
    memory, restored = UnimodalLabels("y", limit=3.0), UnimodalLabels("y", limit=3.0)
    for one in (memory, restored):
        one.setup(Specification(()), 3)
    memory.after_step(steps[0], batch_of(given), START)
    restored.load_state_dict(memory.state_dict())
    for one in (memory, restored):
        part = {name: tensor[:1] for name, tensor in steps[1].items()}
        one.after_step(part, batch_of(given[:1]), TrainingClock(1, 1))
    assert memory.labels("text")[0] != given[0], "it was moved"
    assert restored.labels("text").tolist() == memory.labels("text").tolist()


def outputs_of(x: Tensor) -> dict[str, Tensor]:
    return {"prediction_text": x, "feature_text": x, "fused": x}


def test_one_sided_labels_are_never_moved_and_nothing_is_nan() -> None:
    memory, x = UnimodalLabels("y", limit=3.0), torch.randn(4, 1, generator=torch.Generator().manual_seed(0))
    memory.setup(Specification(()), 4)
    batch = batch_of(torch.tensor([1.0, 2.0, 0.0, NAN]))
    for epoch in range(3):
        loss = memory.loss(outputs_of(x), batch, TrainingClock(epoch, 0))
        assert loss.item() == 0
        memory.after_step(outputs_of(x), batch, TrainingClock(epoch, 0))
    assert memory.labels("text")[:3].tolist() == [1.0, 2.0, 0.0]
    assert np.isnan(memory.labels("text")[3].item())


def test_missing_labels_put_no_nan_into_the_gradient() -> None:
    memory, x = UnimodalLabels("y", limit=3.0), torch.tensor([[1.0], [-2.0], [0.5]], requires_grad=True)
    memory.setup(Specification(()), 3)
    batch = batch_of(torch.tensor([1.0, -1.0, NAN]))
    memory.after_step(outputs_of(x), batch, START)
    memory.after_step(outputs_of(2 * x), batch, TrainingClock(1, 1))
    torch.autograd.backward(memory.loss(outputs_of(x), batch, TrainingClock(1, 1)))
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert x.grad[2].item() == 0


def test_labels_stay_in_the_range_of_the_label() -> None:
    memory, rng = UnimodalLabels("y"), torch.Generator().manual_seed(0)
    memory.setup(Specification((), (LabelSpecification("y", "regression", range=(-1.0, 1.0)),)), 8)
    batch = batch_of(torch.linspace(-1, 1, 8))
    for epoch in range(6):
        memory.after_step(outputs_of(torch.randn(8, 1, generator=rng)), batch, TrainingClock(epoch, 0))
    assert memory.labels("text").abs().max() <= 1


def test_validation_sees_no_unimodal_labels() -> None:
    memory = UnimodalLabels("y", limit=3.0)
    memory.setup(Specification(()), 2)
    x, batch = torch.tensor([[1.0], [-2.0]]), batch_of(torch.tensor([1.0, -1.0]))
    for epoch in range(2):
        memory.after_step(outputs_of(x), batch, TrainingClock(epoch, 0))
    assert memory.loss(outputs_of(x), batch, TrainingClock(2, 0, training=False)).item() == 0


def test_the_memory_is_part_of_the_state() -> None:
    memory, x = UnimodalLabels("y", limit=3.0), torch.tensor([[1.0], [-2.0], [0.5]])
    memory.setup(Specification(()), 3)
    batch = batch_of(torch.tensor([1.0, -1.0, 2.0]))
    memory.after_step(outputs_of(x), batch, START)
    restored = UnimodalLabels("y", limit=3.0)
    restored.setup(Specification(()), 3)
    restored.load_state_dict(memory.state_dict())
    for one in (memory, restored):
        one.after_step(outputs_of(2 * x), batch, TrainingClock(1, 1))
    assert restored.labels("text").tolist() == memory.labels("text").tolist()


def test_what_cannot_be_used_is_refused() -> None:
    with pytest.raises(SpecificationError, match="no range"):
        UnimodalLabels("y").setup(Specification(()), 2)
    with pytest.raises(SpecificationError, match="no unimodal heads"):
        UnimodalLabels("y", limit=1.0).loss({"prediction": torch.zeros(1, 1)}, batch_of(torch.zeros(1)), START)
    with pytest.raises(SpecificationError, match="does not give"):
        Regression("y").loss({}, batch_of(torch.zeros(1)), START)


class _TwoHeads(nn.Module):
    """A linear map as fused features, one as the text's, and a prediction from each."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.all = nn.Linear(3, 4), nn.Linear(3, 4)
        self.head_text, self.head_all = nn.Linear(4, 1), nn.Linear(4, 1)

    def forward(self, batch: TensorBatch) -> dict[str, Tensor]:
        x = batch.values["text"][:, 0]
        text, fused = torch.relu(self.text(x)), torch.relu(self.all(x))
        return {
            "prediction": self.head_all(fused),
            "prediction_text": self.head_text(text),
            "feature_text": text,
            "fused": fused,
        }


def test_both_losses_train_together_and_their_measures_are_logged() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((32, 1, 3)).astype(np.float32)
    samples = ArraySamples(Specification(()), {"text": x}, {}, {"y": x[:, 0, 0].clip(-3, 3)})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = _TwoHeads()
    trainer = Trainer(
        [Regression("y"), UnimodalLabels("y", limit=3.0)], max_epochs=60, batch_size=8, accumulate=2, show=False
    )
    run = trainer.fit(network, torch.optim.Adam(network.parameters(), lr=0.02), samples)
    assert run.curves[-1]["train_regression"] < 0.2 * run.curves[0]["train_regression"]
    assert run.curves[0]["unimodal_labels_largest_shift"] == 0
    assert run.curves[5]["unimodal_labels_largest_shift"] > 0
