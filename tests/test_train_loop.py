"""The training loop against loops written by hand, and its promises: resuming, partial groups, order of hooks."""

from __future__ import annotations

import csv
import math
import os
import resource
import signal
import socket
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from trivium.corpus import Corpus, Specification, Stream, StreamSpecification, Utterance
from trivium.errors import DataError, DiskError, SpecificationError, WeightsError
from trivium.train import (
    CHECKPOINT,
    SCHEDULES,
    ArraySamples,
    CorpusSamples,
    Objective,
    Outputs,
    TensorBatch,
    Trainer,
    TrainingClock,
    TrainingRun,
)

torch.set_num_threads(1)
FORKS = torch.multiprocessing.get_context("fork")


class Line(nn.Module):
    """A linear layer with dropout, so that torch's random numbers matter."""

    def __init__(self, drop: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Sequential(nn.Linear(3, 4), nn.Dropout(drop), nn.Linear(4, 1))

    def forward(self, batch: TensorBatch) -> dict[str, Tensor]:
        return {"prediction": self.layer(batch.values["x"]).reshape(len(batch))}


class Squared(Objective):
    name: ClassVar[str] = "squared"

    def loss(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> Tensor:
        return (outputs["prediction"] - batch.labels["y"]).square().mean()


def samples(n: int = 22, seed: int = 0) -> ArraySamples:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 1, 3)).astype(np.float32)
    y = (x.sum(axis=(1, 2)) + rng.normal(size=n)).astype(np.float32)
    return ArraySamples(Specification(()), {"x": x}, labels={"y": y})


def adam(network: nn.Module, rate: float = 0.05) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), lr=rate, weight_decay=1e-3)


def fit(
    network: Line, objectives: list[Objective] | None = None, *, epochs: int = 6, size: int = 4, **rest: object
) -> TrainingRun:
    options = {"max_epochs": epochs, "batch_size": size, "show": False, "seed": 3, **rest}
    trainer = Trainer(objectives or [Squared()], **options)  # type: ignore[arg-type]
    return trainer.fit(network, adam(network), samples(), samples(9, seed=1))


def weights(network: nn.Module) -> list[bytes]:
    return [tensor.numpy().tobytes() for tensor in network.state_dict().values()]


def test_the_loop_does_what_a_loop_written_by_hand_does() -> None:
    network, other = Line(), Line()
    run = fit(network, epochs=3)
    train, valid = samples(), samples(9, seed=1)
    optimizer = adam(other)
    curve = []
    for epoch in range(3):
        order = np.random.default_rng([3, epoch]).permutation(22)
        seen = 0.0
        for start in range(0, 22, 4):
            batch = train.batch(order[start : start + 4])
            optimizer.zero_grad()
            loss = (other(batch)["prediction"] - batch.labels["y"]).square().mean()
            loss.backward()
            optimizer.step()
            seen += loss.item() * len(batch)
        whole = valid.batch(np.arange(9))
        with torch.no_grad():
            curve.append((seen / 22, (other(whole)["prediction"] - whole.labels["y"]).square().mean().item()))
    assert [(row["train_loss"], row["valid_loss"]) for row in run.curves] == [pytest.approx(c, rel=1e-6) for c in curve]
    assert run.best_epoch == int(np.argmin([c[1] for c in curve]))


@pytest.mark.parametrize("size", [4, 5])
def test_accumulated_gradients_are_the_gradient_of_the_whole_group_and_the_last_group_counts(size: int) -> None:
    """22 samples in groups of 2 batches: the last group is partial, and so is its last batch."""
    split, whole = Line(), Line()
    a = fit(split, epochs=2, size=size, accumulate=2)
    b = fit(whole, epochs=2, size=2 * size)
    assert a.step == b.step == 2 * math.ceil(22 / (2 * size))
    for one, other in zip(split.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


class Remembering(Squared):
    """An objective with a state of its own, which changes the loss."""

    name: ClassVar[str] = "remembering"

    def __init__(self) -> None:
        self.memory = torch.zeros(())

    def loss(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> Tensor:
        return super().loss(outputs, batch, clock) * (1 + self.memory)

    def after_step(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> None:
        self.memory = 0.9 * self.memory + 0.1 * outputs["prediction"].mean().abs()

    def state_dict(self) -> dict[str, Tensor]:
        return {"memory": self.memory}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self.memory = state["memory"]


class Breaking(Remembering):
    """Stops the process of training in the middle of an epoch."""

    def after_step(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> None:
        super().after_step(outputs, batch, clock)
        if (clock.epoch, clock.step) == (3, 20):
            raise KeyboardInterrupt


def test_a_run_that_was_interrupted_goes_on_bit_for_bit(tmp_path: Path) -> None:
    straight = Line(drop=0.5)
    run = fit(straight, [Remembering()], folder=tmp_path / "a")
    with pytest.raises(KeyboardInterrupt):
        fit(Line(drop=0.5), [Breaking()], folder=tmp_path / "b")
    torch.manual_seed(999)  # the caller's own random state must not matter
    resumed = Line(drop=0.5)
    with torch.no_grad():
        next(resumed.parameters()).zero_()  # nor the weights it begins with
    again = fit(resumed, [Remembering()], folder=tmp_path / "b", resume=True)
    assert vars(again) == vars(run)
    assert weights(resumed) == weights(straight)
    for file in (CHECKPOINT, "losses.csv"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


class Killing(Remembering):
    """Kills its process in the middle of an epoch, without a chance to clean up."""

    def after_step(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> None:
        super().after_step(outputs, batch, clock)
        if (clock.epoch, clock.step) == (3, 19):
            os.kill(os.getpid(), signal.SIGKILL)


def train_until_killed(folder: Path) -> None:
    torch.set_num_threads(1)  # a pool of threads does not survive the fork
    fit(Line(drop=0.5), [Killing()], folder=folder)


def test_a_process_that_was_killed_goes_on_bit_for_bit(tmp_path: Path) -> None:
    process = FORKS.Process(target=train_until_killed, args=(tmp_path / "run",))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    straight, resumed = Line(drop=0.5), Line(drop=0.5)
    run = fit(straight, [Remembering()])
    assert vars(fit(resumed, [Remembering()], folder=tmp_path / "run", resume=True)) == vars(run)
    assert weights(resumed) == weights(straight)


def test_more_epochs_may_be_asked_for_when_a_run_goes_on(tmp_path: Path) -> None:
    straight, resumed = Line(drop=0.5), Line(drop=0.5)
    fit(straight, epochs=5)
    fit(resumed, epochs=2, folder=tmp_path)
    resumed = Line(drop=0.5)
    assert fit(resumed, epochs=5, folder=tmp_path, resume=True).epoch == 5
    assert weights(resumed) == weights(straight)


@pytest.mark.parametrize(("name", "value"), [("batch_size", 8), ("clip_norm", 0.5), ("accumulate", 2)])
def test_a_checkpoint_of_other_settings_is_refused_and_named(tmp_path: Path, name: str, value: float) -> None:
    fit(Line(), epochs=1, folder=tmp_path)
    with pytest.raises(WeightsError, match=name):
        fit(Line(), folder=tmp_path, resume=True, **{name: value})  # type: ignore[arg-type]


def test_a_run_does_not_go_on_with_other_labels(tmp_path: Path) -> None:
    def labelled(y: float) -> ArraySamples:
        return ArraySamples(
            Specification(()), {"x": np.ones((8, 1, 3), np.float32)}, labels={"y": np.full(8, y, np.float32)}
        )

    trainer = Trainer([Squared()], max_epochs=1, batch_size=4, folder=tmp_path, resume=True, show=False)
    network = Line()
    trainer.fit(network, adam(network), labelled(1))
    with pytest.raises(WeightsError, match="other settings: data"):
        trainer.fit(network, adam(network), labelled(2))


def test_a_run_does_not_go_on_from_other_samples_of_the_same_number(tmp_path: Path) -> None:
    trainer = Trainer([Squared()], max_epochs=2, batch_size=4, folder=tmp_path, resume=True, show=False)
    network = Line()
    trainer.fit(network, adam(network), samples(), samples(9, seed=1))
    for train, valid in ((samples(seed=2), samples(9, seed=1)), (samples(), samples(9, seed=2))):
        with pytest.raises(WeightsError, match="other settings: data"):
            trainer.fit(network, adam(network), train, valid)


def test_a_run_does_not_go_on_with_another_optimiser_or_schedule(tmp_path: Path) -> None:
    network = Line()
    Trainer([Squared()], max_epochs=1, batch_size=4, folder=tmp_path, show=False).fit(network, adam(network), samples())
    for rate, rule, named in (
        (0.5, "constant", r"optimizer 1 initial_lr \(was 0.05, is 0.5\)"),
        (0.05, "plateau", r"schedule \(was constant, is Plateau\(patience=10, factor=0.1\)\)"),
    ):
        trainer = Trainer(
            [Squared()],
            max_epochs=2,
            batch_size=4,
            schedule=SCHEDULES[rule],
            folder=tmp_path,
            resume=True,
            show=False,
        )
        with pytest.raises(WeightsError, match=f"other settings: {named}[.;]"):
            trainer.fit(network, adam(network, rate), samples())


class Margin(Squared):
    """An objective with an option."""

    name: ClassVar[str] = "margin"

    def __init__(self, margin: float) -> None:
        self.margin = margin


def test_a_run_does_not_go_on_with_other_objectives_or_options_of_them(tmp_path: Path) -> None:
    fit(Line(), [Margin(0.5)], epochs=1, folder=tmp_path)
    others: list[tuple[list[Objective], str]] = [
        ([Margin(0.6)], r"objectives margin margin \(was 0.5, is 0.6\)"),
        ([Squared()], r"objectives margin \(was there, is not\), objectives squared \(was not there, is\)"),
        ([Margin(0.5), Squared()], r"objectives squared \(was not there, is\)"),
    ]
    for objectives, named in others:
        with pytest.raises(WeightsError, match=f"other settings: {named}[.;]"):
            fit(Line(), objectives, epochs=2, folder=tmp_path, resume=True)
    assert fit(Line(), [Margin(0.5)], epochs=2, folder=tmp_path, resume=True).epoch == 2


def test_two_objectives_of_one_name_are_refused() -> None:
    with pytest.raises(SpecificationError, match=r"margin is asked for twice.*one of each name"):
        fit(Line(), [Margin(0.5), Squared(), Margin(0.6)])


class Faint(Squared):
    name: ClassVar[str] = "faint"

    def __init__(self, weight: float, from_epoch: int = 0) -> None:
        self.weight, self.from_epoch = weight, from_epoch

    def loss(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> Tensor:
        return super().loss(outputs, batch, clock) * (clock.epoch >= self.from_epoch)


def test_an_objective_too_small_to_be_seen_beside_the_task_is_told_once() -> None:
    with pytest.warns(UserWarning, match="faint adds .* changes nothing that can be seen; raise its weight") as told:
        fit(Line(), [Squared(), Faint(0.9e-3)], epochs=3)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(Line(), [Squared(), Faint(1.1e-3)], epochs=2)
        fit(Line(), [Faint(1e-9), Margin(0.5)], epochs=2)  # the first is the task
        fit(Line(), [Squared(), Faint(0.0)], epochs=2)
        fit(Line(), [Squared(), Faint(1e-9, from_epoch=1)], epochs=2)  # such as begin later


def test_an_objective_that_was_0_throughout_is_told_at_the_end() -> None:
    with pytest.warns(UserWarning, match="faint was 0 in every epoch and changed nothing") as told:
        fit(Line(), [Squared(), Faint(1.0, from_epoch=9)], epochs=3)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(Line(), [Squared(), Faint(1.0, from_epoch=2)], epochs=3)
        fit(Line(), [Squared(), Faint(1.0, from_epoch=2)], epochs=2)  # may still begin


def test_a_checkpoint_cut_off_is_one_clear_error(tmp_path: Path) -> None:
    fit(Line(), epochs=1, folder=tmp_path)
    file = tmp_path / CHECKPOINT
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(WeightsError, match=CHECKPOINT):
        fit(Line(), folder=tmp_path, resume=True)


def test_same_seed_same_bytes_and_the_random_state_of_the_caller_is_left_alone() -> None:
    first, second, third = Line(0.5), Line(0.5), Line(0.5)
    before = torch.get_rng_state()
    fit(first)
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(5)
    fit(second)
    assert weights(first) == weights(second)
    fit(third, seed=4)
    assert weights(first) != weights(third)


class Scripted(Objective):
    """Validation losses as written, whatever the network."""

    name: ClassVar[str] = "scripted"

    def __init__(self, losses: list[float]) -> None:
        self.losses = losses

    def loss(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> Tensor:
        zero = outputs["prediction"].sum() * 0
        return zero if clock.training else zero + self.losses[clock.epoch]


def test_training_stops_after_more_than_patience_epochs_without_a_better_loss() -> None:
    losses = [5.0, 3.0, 4.0, 3.0, 3.5, 9.0, 1.0]
    run = fit(Line(), [Scripted(losses)], epochs=7, patience=2)
    assert (run.epoch, run.best_epoch, run.best_loss) == (5, 1, 3.0)
    assert fit(Line(), [Scripted(losses)], epochs=7, patience=3).epoch == 6
    assert fit(Line(), [Scripted(losses)], epochs=7, patience=4).best_epoch == 6


class Watching(Scripted):
    """Keeps the weights of every epoch."""

    def __init__(self, losses: list[float]) -> None:
        super().__init__(losses)
        self.weights: list[list[bytes]] = []

    def loss(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> Tensor:
        return super().loss(outputs, batch, clock) + (outputs["prediction"].square().mean() if clock.training else 0)

    def epoch_end(self, network: nn.Module, clock: TrainingClock) -> None:
        self.weights.append(weights(network))


def test_the_best_weights_are_kept_not_the_last() -> None:
    objective, network = Watching([4.0, 2.0, 3.0, 3.0]), Line()
    fit(network, [objective], epochs=4)
    assert weights(network) == objective.weights[1]
    assert weights(network) != objective.weights[3]
    assert not network.training


class Noting(Squared):
    """Writes down every call."""

    def __init__(self, name: str, calls: list[str]) -> None:
        self.name = name  # type: ignore[misc]
        self.calls = calls

    def setup(self, specification: Specification, n: int) -> None:
        self.calls.append(f"{self.name} setup {n}")

    def loss(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> Tensor:
        self.calls.append(f"{self.name} loss {'' if clock.training else 'valid'}".strip())
        return super().loss(outputs, batch, clock)

    def after_backward(self, network: nn.Module, batch: TensorBatch, clock: TrainingClock) -> None:
        assert all(p.grad is not None for p in network.parameters())
        self.calls.append(f"{self.name} after_backward")

    def before_step(self, network: nn.Module, clock: TrainingClock) -> None:
        self.calls.append(f"{self.name} before_step")

    def after_step(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> None:
        assert not any(tensor.requires_grad for tensor in outputs.values()), "no graph may be kept"
        self.calls.append(f"{self.name} after_step")

    def epoch_end(self, network: nn.Module, clock: TrainingClock) -> None:
        self.calls.append(f"{self.name} epoch_end")

    def task_end(self, network: nn.Module, clock: TrainingClock) -> None:
        self.calls.append(f"{self.name} task_end")


def test_hooks_are_called_in_the_documented_order() -> None:
    calls: list[str] = []
    network = Line()
    trainer = Trainer([Noting("a", calls), Noting("b", calls)], max_epochs=1, batch_size=2, accumulate=2, show=False)
    trainer.fit(network, adam(network), samples(4), samples(2, seed=1))
    batch = ["a loss", "b loss", "a after_backward", "b after_backward"]
    assert calls == [
        *("a setup 4", "b setup 4"),
        *batch,
        *batch,
        *("a before_step", "b before_step"),
        *("a after_step", "b after_step", "a after_step", "b after_step"),
        *("a loss valid", "b loss valid"),
        *("a epoch_end", "b epoch_end", "a task_end", "b task_end"),
    ]


def test_what_remembers_a_batch_is_called_after_the_step_of_the_optimiser() -> None:
    class Holding(Squared):
        before: list[bytes]
        changed: ClassVar[list[bool]] = []

        def before_step(self, network: nn.Module, clock: TrainingClock) -> None:
            self.before = weights(network)

        def after_step(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> None:
            self.changed.append(weights(network) != self.before)

    network = Line()
    fit(network, [Holding()], epochs=1)
    assert Holding.changed == [True] * math.ceil(22 / 4)


def train_on_a_full_disk(folder: Path) -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, resource.RLIM_INFINITY))
    try:
        fit(Line(), epochs=2, folder=folder)
    except DiskError as error:
        os._exit(3 if f"{folder.name}/{CHECKPOINT}: cannot be written" in str(error) else 4)


def test_a_disk_that_is_full_is_one_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    process = FORKS.Process(target=train_on_a_full_disk, args=(tmp_path,))
    process.start()
    process.join(60)
    assert process.exitcode == 3
    assert list(tmp_path.iterdir()) == []


def test_losses_of_several_objectives_are_summed_with_their_weights() -> None:
    half, double = Squared(), Remembering()
    half.weight, double.weight = 0.5, 2.0
    double.memory = torch.tensor(1.0)
    network = Line()
    row = Trainer([half, double], max_epochs=1, batch_size=22, show=False).fit(network, adam(network), samples())
    found = row.curves[0]
    assert found["train_remembering"] == pytest.approx(2 * found["train_squared"])
    assert found["train_loss"] == pytest.approx(0.5 * found["train_squared"] + 2 * found["train_remembering"])


class Alternating(Squared):
    """Owns the steps: two for every batch."""

    name: ClassVar[str] = "alternating"

    def steps(self, batch: TensorBatch) -> Iterable[TensorBatch]:
        return (batch, batch)


def test_one_objective_may_own_the_steps_and_a_second_is_refused() -> None:
    assert fit(Line(), [Alternating()], epochs=2).step == 2 * 2 * math.ceil(22 / 4)
    with pytest.raises(SpecificationError, match="own the steps"):
        fit(Line(), [Alternating(), Alternating()])
    with pytest.raises(SpecificationError, match="own the steps"):
        fit(Line(), [Alternating()], accumulate=2)


def test_a_loss_that_is_not_finite_names_epoch_step_objective_and_samples() -> None:
    x = np.ones((6, 1, 3), np.float32)
    x[4, 0, 1] = np.nan
    broken = ArraySamples(Specification(()), {"x": x}, labels={"y": np.ones(6, np.float32)})
    network = Line()
    with pytest.raises(DataError, match=r"epoch 1, step 1.*squared is nan.*x is not finite in samples 4"):
        Trainer([Squared()], max_epochs=2, batch_size=6, show=False).fit(network, adam(network), broken)


class Exploding(Squared):
    """From some epoch on, one sample gives a gradient that is not finite, while the loss of its batch still is."""

    name: ClassVar[str] = "exploding"

    def __init__(self, epoch: int, row: int = 13) -> None:
        self.epoch, self.row = epoch, row

    def after_backward(self, network: nn.Module, batch: TensorBatch, clock: TrainingClock) -> None:
        if clock.epoch == self.epoch and self.row in batch.rows.tolist():
            for parameter in network.parameters():
                assert parameter.grad is not None
                parameter.grad.fill_(float("inf"))


@pytest.mark.parametrize("epoch", [0, 2])
@pytest.mark.parametrize("with_valid", [True, False])
def test_a_run_that_explodes_in_the_middle_of_an_epoch_names_the_step_and_gives_the_good_weights_back(
    epoch: int, with_valid: bool
) -> None:
    """Squared itself keeps the best of the epochs before; in the first epoch those are the initial weights."""
    network, other = Line(), Line()
    valid = samples(9, seed=1) if with_valid else None
    options = {"batch_size": 4, "show": False, "seed": 3}
    Trainer([Squared()], max_epochs=epoch, **options).fit(other, adam(other), samples(), valid)  # type: ignore[arg-type]
    order = np.random.default_rng([3, epoch]).permutation(22)
    number = int(np.flatnonzero(order == 13)[0]) // 4
    assert 0 < number < 5, "in the middle of the epoch"
    names = ", ".join(map(str, order[4 * number : 4 * number + 4]))
    step = epoch * 6 + number + 1
    with pytest.raises(
        DataError, match=rf"epoch {epoch + 1}, step {step}: the weights are not finite .* holds {names}"
    ):
        Trainer([Exploding(epoch)], max_epochs=5, **options).fit(network, adam(network), samples(), valid)  # type: ignore[arg-type]
    assert weights(network) == weights(other)


def test_a_gradient_that_cannot_be_clipped_stops_the_run_before_the_step() -> None:
    network, other = Line(), Line()
    options = {"batch_size": 4, "show": False, "seed": 3}
    Trainer([Squared()], max_epochs=2, clip_norm=1.0, **options).fit(other, adam(other), samples())  # type: ignore[arg-type]
    trainer = Trainer([Exploding(2)], max_epochs=5, clip_norm=1.0, **options)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"epoch 3, step 1\d: the norm of the gradients is not finite .* lower the"):
        trainer.fit(network, adam(network), samples())
    assert weights(network) == weights(other)


class Stopping(Squared):
    """The third batch of the second epoch is stopped from outside."""

    name: ClassVar[str] = "stopping"

    def after_backward(self, network: nn.Module, batch: TensorBatch, clock: TrainingClock) -> None:
        if clock.epoch == 1 and clock.step == 8:
            raise KeyboardInterrupt


def test_a_run_that_is_stopped_in_an_epoch_leaves_the_weights_of_the_last_whole_one() -> None:
    network, other = Line(), Line()
    with pytest.raises(KeyboardInterrupt):
        fit(network, [Stopping()])
    fit(other, epochs=1)
    assert weights(network) == weights(other)


@pytest.mark.parametrize("rate", [1e30, 3e37, math.inf])
def test_weights_of_no_use_after_the_last_step_are_an_error_though_nothing_validates(rate: float) -> None:
    """One step, after which no loss is computed; at 1e30 the weights are finite and what they answer is not."""
    network = Line()
    before = weights(network)
    trainer = Trainer([Squared()], max_epochs=1, batch_size=22, show=False)
    with pytest.raises(DataError, match=r"epoch 1, step 1: .* not finite after this step; its batch holds "):
        trainer.fit(network, adam(network, rate), samples())
    assert weights(network) == before


def test_loss_curves_are_a_table_that_pandas_and_people_read(tmp_path: Path) -> None:
    run = fit(Line(), epochs=3, folder=tmp_path)
    with (tmp_path / "losses.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [0, 1, 2]
    assert [float(row["valid_loss"]) for row in rows] == [row["valid_loss"] for row in run.curves]


def test_tensorboard_events_on_request(tmp_path: Path) -> None:
    fit(Line(), epochs=1, folder=tmp_path, tensorboard=True)
    assert list((tmp_path / "tensorboard").iterdir())


def test_clipping_bounds_the_norm_of_a_step() -> None:
    class Measuring(Squared):
        norms: ClassVar[list[float]] = []

        def after_step(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> None:
            gradients = [p.grad for p in network.parameters() if p.grad is not None]
            self.norms.append(torch.linalg.vector_norm(torch.cat([g.flatten() for g in gradients])).item())

    network = Line()
    fit(network, [Measuring()], epochs=1, clip_norm=0.1)
    assert max(Measuring.norms) <= 0.1 + 1e-4


def test_the_loop_trains_from_a_corpus_whose_utterances_differ_in_length() -> None:
    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 1)

        def forward(self, batch: TensorBatch) -> dict[str, Tensor]:
            x, mask = batch.values["audio"], batch.mask["audio"].unsqueeze(-1)
            return {"prediction": self.layer((x * mask).sum(1) / mask.sum(1)).squeeze(-1)}

    class Small(Objective):
        name: ClassVar[str] = "small"

        def loss(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> Tensor:
            return outputs["prediction"].square().mean()

    voice = StreamSpecification("audio", ("a", "b"))
    clips = [Utterance(str(i), {"audio": Stream(np.ones((i + 1, 2), np.float32), voice)}) for i in range(7)]
    network = Mean()
    corpus = CorpusSamples(Corpus.from_utterances(clips, Specification((voice,))))
    run = Trainer([Small()], max_epochs=30, batch_size=3, show=False).fit(network, adam(network), corpus)
    assert run.curves[-1]["train_loss"] < 0.01 * run.curves[0]["train_loss"]


def test_nothing_to_train_on_is_one_clear_error() -> None:
    network = Line()
    with pytest.raises(DataError, match="nothing to train on"):
        Trainer([Squared()], max_epochs=1, batch_size=2).fit(network, adam(network), samples(0))


def test_an_unknown_device_is_one_clear_error() -> None:
    network = Line()
    with pytest.raises(SpecificationError, match="quantum"):
        Trainer([Squared()], max_epochs=1, batch_size=2, device="quantum").fit(network, adam(network), samples())


class Safe(Squared):
    name: ClassVar[str] = "safe"
    data_parallel: ClassVar[bool] = True


def one_of_two_processes(rank: int, port: int, folder: Path) -> None:
    where = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "GROUP_RANK": 0}
    rest = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "test"}
    os.environ.update({name: str(value) for name, value in {**where, **rest}.items()})
    torch.set_num_threads(1)  # a pool of threads does not survive the fork
    network = Line()
    run = fit(network, [Safe()], size=7, accumulate=2, folder=folder)
    torch.save((network.state_dict(), run.curves), folder / f"{rank}.pt")


def test_two_processes_take_the_steps_of_one(tmp_path: Path) -> None:
    """22 samples in batches of 7: the last batch is a single sample, and the second process has none."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    both = [FORKS.Process(target=one_of_two_processes, args=(rank, port, tmp_path)) for rank in (0, 1)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    network = Line()
    run = fit(network, [Safe()], size=7, accumulate=2)
    for rank in (0, 1):
        state, curves = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(state, dict(network.state_dict()), rtol=1e-4, atol=1e-6)
        assert [row["valid_loss"] for row in curves] == pytest.approx([row["valid_loss"] for row in run.curves])
        assert [row["train_loss"] for row in curves] == pytest.approx([row["train_loss"] for row in run.curves])


def test_several_processes_are_refused_by_an_objective_that_is_not_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SpecificationError, match="squared cannot be trained in several processes"):
        fit(Line())
