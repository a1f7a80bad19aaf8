"""What a batch weighs: accumulated batches, validation batches and processes add up to all their samples at once."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from trivium.corpus import Specification
from trivium.objectives import Classes, Multilabel, Ordinal, Regression, UnimodalLabels
from trivium.objectives.task import TaskLoss
from trivium.train import ArraySamples, Objective, TensorBatch, Trainer, TrainingRun

torch.set_num_threads(1)
FORKS = torch.multiprocessing.get_context("fork")
CLASSES = 3


class Scores(nn.Module):
    """A linear layer, and as many scores as an objective wants."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(4, outputs)

    def forward(self, batch: TensorBatch) -> dict[str, Tensor]:
        return {"prediction": self.layer(batch.values["x"]), "feature_text": batch.values["x"]}


def samples(n: int, missing: float, seed: int, *, several: bool = False) -> ArraySamples:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    y = rng.integers(0, CLASSES, (n, CLASSES) if several else n).astype(np.float32)
    y[rng.random(n) < missing] = np.nan
    return ArraySamples(Specification(()), {"x": x}, labels={"y": y})


def tasks() -> dict[str, tuple[TaskLoss, int]]:
    return {
        "weighted classes": (Classes("y", (0.2, 1.0, 7.0)), CLASSES),
        "classes": (Classes("y"), CLASSES),
        "regression": (Regression("y", "mse"), 1),
        "ordinal": (Ordinal("y"), CLASSES - 1),
        "several": (Multilabel("y", (0.5, 1.0, 4.0)), CLASSES),
    }


def fit(name: str, size: int, accumulate: int, missing: float, seed: int, n: int = 24) -> tuple[Scores, TrainingRun]:
    task, outputs = tasks()[name]
    network = Scores(outputs)
    trainer = Trainer([task], max_epochs=2, batch_size=size, accumulate=accumulate, seed=seed, show=False)
    several = name == "several"
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    run = trainer.fit(
        network, optimizer, samples(n, missing, seed, several=several), samples(11, missing, seed + 1, several=several)
    )
    return network, run


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(list(tasks())), st.sampled_from([1, 3, 5, 6, 8]), st.floats(0, 0.9), st.integers(0, 99))
def test_accumulated_batches_are_the_whole_batch_whatever_is_missing_or_weighs(
    name: str, size: int, missing: float, seed: int
) -> None:
    """Batches of SIZE make one step of 24, the last of them partial where 24 is no multiple of the size."""
    split, a = fit(name, size, -(-24 // size), missing, seed)
    whole, b = fit(name, 24, 1, missing, seed)
    for one, other in zip(split.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    for key in ("train_loss", "valid_loss"):
        assert [row[key] for row in a.curves] == pytest.approx([row[key] for row in b.curves], rel=1e-5, abs=1e-7), key


def test_a_batch_weighs_its_known_labels_by_their_class() -> None:
    label = torch.tensor([0.0, float("nan"), 2.0, 2.0])
    batch = TensorBatch(torch.arange(4), {}, {}, {"y": label})
    assert Classes("y", (0.5, 1.0, 4.0)).amount(batch) == 8.5
    assert [Classes("y").amount(batch), Regression("y").amount(batch), UnimodalLabels("y", limit=3).amount(batch)] == [
        3.0,
        3.0,
        3.0,
    ]


def one_of_two_processes(rank: int, port: int, folder: Path) -> None:
    where = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "GROUP_RANK": 0}
    rest = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "test"}
    os.environ.update({name: str(value) for name, value in {**where, **rest}.items()})
    torch.set_num_threads(1)
    network, run = fit("weighted classes", 7, 2, 0.6, 3)
    torch.save((network.state_dict(), run.curves), folder / f"{rank}.pt")


def test_two_processes_take_the_steps_of_one_where_labels_are_missing_and_classes_weigh(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    both = [FORKS.Process(target=one_of_two_processes, args=(rank, port, tmp_path)) for rank in (0, 1)]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0]
    network, run = fit("weighted classes", 7, 2, 0.6, 3)
    for rank in (0, 1):
        state, curves = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(state, dict(network.state_dict()), rtol=0, atol=1e-6)
        for key in ("train_loss", "valid_loss"):
            assert [row[key] for row in curves] == pytest.approx([row[key] for row in run.curves], rel=1e-5)


def test_objectives_without_labels_weigh_their_samples() -> None:
    assert Objective().amount(TensorBatch(torch.arange(5), {}, {}, {})) == 5.0
