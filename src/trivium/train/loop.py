"""The training loop, the only one of the project: any network, any objectives.

It stops early on a validation loss and keeps the best weights, writes a checkpoint after every epoch and goes on from
it with the same bytes as if it had never stopped, accumulates gradients without losing the last partial group, runs on
one process or on several (Lightning Fabric, DDP), and shows a bar with time left and losses.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from trivium.errors import DataError, SpecificationError
from trivium.progress import Bar, progress_bar
from trivium.train.divergence import DivergenceWatch
from trivium.train.hooks import Objective, Outputs, TrainingClock
from trivium.train.idle import tell_faint, tell_silent
from trivium.train.losses import LossCurves
from trivium.train.memory import kept_memory
from trivium.train.processes import Precision, open_fabric
from trivium.train.run import TrainingRun
from trivium.train.run_checkpoint import CHECKPOINT, RunCheckpoint
from trivium.train.samples import Samples, TensorBatch, fingerprint
from trivium.train.schedules import Schedule, constant
from trivium.train.selection import Selection

__all__ = ["Trainer", "TrainingRun"]

Rows = NDArray[np.int64]
_TINY = float(np.finfo(np.float64).tiny)


class Trainer:
    """Trains a network on samples until a validation loss stops falling.

    Parameters
    ----------
    objectives : sequence of Objective
        Their weighted losses are summed. One at most may own the steps.
    max_epochs : int
        Passes over the samples.
    batch_size : int
        Samples per batch, over all processes.
    accumulate : int
        Batches whose gradients make one step. Every objective says what a batch weighs in its mean
        (:meth:`Objective.amount`), so a step is that of all its batches at once, and the last group may be smaller.
    patience : int, optional
        Stop when the validation loss has not fallen for more than this many epochs; None never stops early.
    schedule : Schedule
        Learning rate by epoch.
    clip_norm : float, optional
        Largest norm of the gradients of one step.
    seed : int
        Decides the order of samples and every random number that network and objectives draw from torch.
    device : str
        ``cpu``, ``cuda`` or ``auto``.
    precision : {"fp32", "bf16"}
        ``bf16``: the network computes in bfloat16 where torch holds that to be safe; weights, losses and the optimiser
        stay float32.
    selection : Selection, optional
        Score of the validation samples that chooses the kept epoch in place of the loss; for one process.
    folder : path, optional
        Gets the checkpoint and ``losses.csv`` after every epoch; None keeps the disk clean.
    resume : bool
        Go on from the checkpoint in `folder`, if there is one.
    tensorboard : bool
        Also write the losses as TensorBoard events into `folder`.
    show : bool
        Show progress.

    Notes
    -----
    Same seed, samples, machine and number of threads: same bytes. The random state of the caller is left alone. In
    several processes every one takes its share of each batch; batch normalisation sees that share only.

    Examples
    --------
    >>> from trivium.corpus import Specification
    >>> from trivium.train.samples import ArraySamples
    >>> class Mean(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.guess = nn.Parameter(torch.zeros(()))
    ...     def forward(self, batch):
    ...         return {"error": batch.values["aligned"] - self.guess}
    >>> class Squared(Objective):
    ...     name = "squared"
    ...     def loss(self, outputs, batch, clock):
    ...         return outputs["error"].square().mean()
    >>> network = Mean()
    >>> samples = ArraySamples(Specification(()), {"aligned": np.full((8, 1, 1), 3, np.float32)})
    >>> optimizer = torch.optim.SGD(network.parameters(), lr=0.2)
    >>> run = Trainer([Squared()], max_epochs=20, batch_size=4, show=False).fit(network, optimizer, samples)
    >>> run.epoch, round(network.guess.item(), 2)
    (20, 3.0)
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        *,
        max_epochs: int,
        batch_size: int,
        accumulate: int = 1,
        patience: int | None = None,
        schedule: Schedule = constant,
        clip_norm: float | None = None,
        seed: int = 0,
        device: str = "cpu",
        precision: Precision = "fp32",
        selection: Selection | None = None,
        folder: Path | None = None,
        resume: bool = False,
        tensorboard: bool = False,
        show: bool = True,
    ) -> None:
        self.objectives = list(objectives)
        self.max_epochs, self.batch_size, self.accumulate = max_epochs, batch_size, accumulate
        self.patience, self.schedule, self.clip_norm = patience, schedule, clip_norm
        self.seed, self.device, self.precision, self.selection = seed, device, precision, selection
        self.folder, self.resume, self.tensorboard, self.show = folder, resume, tensorboard, show
        self._owner = self._step_owner()
        self._require_names()

    def _step_owner(self) -> Objective | None:
        owners = [o for o in self.objectives if o.owns_steps]
        if len(owners) > 1 or (owners and self.accumulate > 1):
            raise SpecificationError(
                f"{', '.join(o.name for o in owners)}: one objective at most may own the steps, without accumulation"
            )
        return owners[0] if owners else None

    def _require_names(self) -> None:
        """Names are columns of the loss curves and names of heads' outputs: two of one name would overwrite them."""
        names = [objective.name for objective in self.objectives]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise SpecificationError(
                f"the objective {', '.join(twice)} is asked for twice",
                remedy="give one of each name; several pairs of modalities fit into one (pairs=text+audio,text+vision)",
            )

    def fit(
        self, network: nn.Module, optimizer: Optimizer, train: Samples, valid: Samples | None = None
    ) -> TrainingRun:
        """Train `network` in place; it ends with the best weights, in evaluation mode.

        Parameters
        ----------
        network : nn.Module
            Takes a :class:`TensorBatch`, gives a mapping of named tensors.
        optimizer : Optimizer
            Of its parameters; its learning rates are those of the first epoch.
        train, valid : Samples
            Without `valid` there is no early stop and the last weights stay.

        Raises
        ------
        DataError
            There are no samples, or losses or weights are not finite: epoch, step, objective and the samples are
            named, and the network is left with its best weights so far, or those of the last epoch that ended, or those
            it began with.
        WeightsError
            The checkpoint to go on from was made with other settings or is damaged.
        """
        if not len(train) or (valid is not None and not len(valid)):
            raise DataError("there is nothing to train on or to validate with", remedy="give at least one utterance")
        self.fabric = open_fabric(self.device, self.objectives, self.precision)
        if self.selection is not None and self.fabric.world_size > 1:
            raise SpecificationError(
                f"{self.selection.name} is measured on all validation samples at once", remedy="start one process"
            )
        device = self.fabric.device
        with kept_memory(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(self.seed + self.fabric.global_rank)
            for objective in self.objectives:
                objective.setup(train.specification, len(train))
            return self._run(network, optimizer, train, valid)

    def _run(self, network: nn.Module, optimizer: Optimizer, train: Samples, valid: Samples | None) -> TrainingRun:
        module, stepper = self.fabric.setup(network, optimizer)
        # Fabric's hooks take a tenth of the time of a small network and are needed where it changes what is computed
        plain = self.fabric.world_size == 1 and self.precision == "fp32"
        self._called: nn.Module = network if plain else module
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        kept = self._keeping(network, optimizer, train, valid)
        run, best = kept.opened(resume=self.resume)
        epochs_left = self.max_epochs - run.epoch
        losses = LossCurves(self.folder if self.fabric.is_global_zero else None, events=self.tensorboard)
        steps = math.ceil(len(train) / (self.batch_size * self.accumulate))
        self._watch = DivergenceWatch(network, self.objectives, train)
        good = best or _copied(network)
        with progress_bar("training", max(epochs_left, 0) * steps, show=self._shows()) as bar, losses:
            while run.epoch < self.max_epochs and not self._is_exhausted(run):
                for group in optimizer.param_groups:
                    group["lr"] = self.schedule(group["initial_lr"], run.watched)
                try:
                    row = self._epoch(module, stepper, train, valid, run, bar)
                except BaseException:  # whatever stops an epoch, the network does not stay where it was in it
                    network.load_state_dict(good)
                    raise
                cost = row.get("valid_loss", math.inf) if self.selection is None else self.selection.cost(row)
                if not run.epoch:
                    tell_faint(self.objectives, row)
                if run.close_epoch(row, cost):
                    best = _copied(network)
                good = best or _copied(network)
                for objective in self.objectives:
                    objective.epoch_end(network, run.clock())
                kept.save(run, best)
                losses.write(run.curves)
                bar.note(_summary(run))
        tell_silent(self.objectives, run.curves)
        if best:
            network.load_state_dict(best)
        network.eval()
        for objective in self.objectives:
            objective.task_end(network, run.clock())
        return run

    def _keeping(
        self, network: nn.Module, optimizer: Optimizer, train: Samples, valid: Samples | None
    ) -> RunCheckpoint:
        """The checkpoint of this run, which only the first of several processes writes."""
        settings = {
            "accumulate": self.accumulate,
            "batch_size": self.batch_size,
            "clip_norm": self.clip_norm,
            "data": [fingerprint(samples) for samples in (train, valid) if samples is not None],
            "precision": self.precision,
            "samples": [len(train), 0 if valid is None else len(valid)],
            "schedule": getattr(self.schedule, "__name__", repr(self.schedule)),
            "seed": self.seed,
            "selection": None if self.selection is None else self.selection.name,
        }
        path = None if self.folder is None else self.folder / CHECKPOINT
        writes = bool(self.fabric.is_global_zero)
        return RunCheckpoint(path, network, optimizer, self.objectives, settings, self.fabric.device, writes=writes)

    def _epoch(
        self, module: nn.Module, stepper: Any, train: Samples, valid: Samples | None, run: TrainingRun, bar: Bar
    ) -> dict[str, float]:
        """Train and validate once; the epoch's row of the loss curves."""
        row = {"epoch": float(run.epoch), "learning_rate": float(stepper.param_groups[0]["lr"])}
        row |= self._train_epoch(module, stepper, train, run, bar)
        if valid is None:
            self._watch.answers(self._called)
        else:
            row |= self._validate(module, valid, run)
        return row | {f"{o.name}_{name}": number for o in self.objectives for name, number in o.measures().items()}

    def _shows(self) -> bool:
        return self.show and bool(self.fabric.is_global_zero)

    def _is_exhausted(self, run: TrainingRun) -> bool:
        return self.patience is not None and run.best_epoch >= 0 and run.epoch - 1 - run.best_epoch > self.patience

    def _train_epoch(
        self, module: nn.Module, stepper: Any, train: Samples, run: TrainingRun, bar: Bar
    ) -> dict[str, float]:
        module.train()
        order = np.random.default_rng([self.seed, run.epoch]).permutation(len(train))
        sums = self._nothing()
        for rows in _pieces(order, self.batch_size * self.accumulate):
            for group in self._groups(train, rows):
                sums += self._step(module, stepper, group, run, train)
            bar.advance()
        self._watch.weights()
        return self._named("train", sums)

    def _groups(self, train: Samples, rows: Rows) -> Iterator[list[tuple[TensorBatch, bool]]]:
        """Batches that make one step, each with whether this process has samples of it."""
        batches = [self._load(train, part) for part in _pieces(rows, self.batch_size)]
        if self._owner is None:
            yield batches
            return
        for batch, is_own in batches:
            for own in self._owner.steps(batch):
                yield [(own, is_own)]

    def _load(self, samples: Samples, rows: Rows) -> tuple[TensorBatch, bool]:
        """Part of a batch for one process.

        A process whose part is empty takes the first sample, which then weighs nothing, so that all take part in the
        exchange.
        """
        own = rows[self.fabric.global_rank :: self.fabric.world_size]
        batch = samples.batch(own if len(own) else rows[:1]).to(self.fabric.device)
        return batch, bool(len(own))

    def _nothing(self) -> Tensor:
        """For every objective, the sum of its losses times what they weigh, and the sum of what they weigh."""
        return torch.zeros(2, len(self.objectives), dtype=torch.float64)

    def _amounts(self, group: Sequence[tuple[TensorBatch, bool]]) -> Tensor:
        """What each batch weighs in the mean of each objective, (batches, objectives)."""
        return torch.tensor(
            [[objective.amount(batch) * is_own for objective in self.objectives] for batch, is_own in group],
            dtype=torch.float64,
        )

    def _step(
        self, module: Any, stepper: Any, group: list[tuple[TensorBatch, bool]], run: TrainingRun, train: Samples
    ) -> Tensor:
        clock, network = run.clock(), module.module
        sums, amounts = self._nothing(), self._amounts(group)
        whole = self._sum_over_processes(amounts.sum(dim=0))
        shares = self.fabric.world_size * amounts / whole.clamp(min=_TINY)  # the exchange takes the mean of processes
        used: list[tuple[Outputs, TensorBatch]] = []
        stepper.zero_grad()
        for number, (batch, _) in enumerate(group):
            with self.fabric.no_backward_sync(module, enabled=number + 1 < len(group)):
                outputs = self._called(batch)
                total, parts = self._losses(outputs, batch, clock, train, shares[number].tolist())
                self.fabric.backward(total)
            sums += torch.stack([parts * amounts[number], amounts[number]])
            for objective in self.objectives:
                objective.after_backward(network, batch, clock)
            used.append(({name: tensor.detach() for name, tensor in outputs.items()}, batch))
        for objective in self.objectives:
            objective.before_step(network, clock)
        if self.clip_norm is not None:
            norm = self.fabric.clip_gradients(module, stepper, max_norm=self.clip_norm, error_if_nonfinite=False)
            self._watch.gradients(norm, [batch for batch, _ in group], clock)
        stepper.step()
        self._watch.stepped([batch for batch, _ in group], clock)
        for outputs, batch in used:
            for objective in self.objectives:
                objective.after_step(outputs, batch, clock)
        run.step += 1
        return self._sum_over_processes(sums)

    def _losses(
        self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock, samples: Samples, shares: Sequence[float]
    ) -> tuple[Tensor, Tensor]:
        """Sum of the weighted shares with its graph, and every objective's own loss as a plain number."""
        losses = [objective.loss(outputs, batch, clock) for objective in self.objectives]
        weighted = [o.weight * share * loss for o, share, loss in zip(self.objectives, shares, losses, strict=True)]
        total = torch.stack(weighted).sum()
        numbers = torch.stack([total, *losses]).detach().to("cpu", torch.float64)
        self._watch.losses(numbers[0], numbers[1:], batch, clock, samples)
        return total, numbers[1:]

    @torch.no_grad()
    def _validate(self, module: nn.Module, valid: Samples, run: TrainingRun) -> dict[str, float]:
        module.eval()
        sums = self._nothing()
        seen: list[tuple[Tensor, Tensor]] = []
        for rows in _pieces(np.arange(len(valid)), self.batch_size):
            batch, is_own = self._load(valid, rows)
            outputs = self._called(batch)
            amounts = self._amounts([(batch, is_own)])[0]
            _, parts = self._losses(outputs, batch, run.clock(training=False), valid, [1.0] * len(amounts))
            sums += torch.stack([parts * amounts, amounts])
            if self.selection is not None:
                seen.append(self.selection.seen(outputs, batch.labels))
        row = self._named("valid", self._sum_over_processes(sums))
        return row if self.selection is None else row | {self.selection.column: self.selection.of(seen)}

    def _sum_over_processes(self, sums: Tensor) -> Tensor:
        if self.fabric.world_size == 1:
            return sums
        total = self.fabric.all_reduce(sums.to(self.fabric.device), reduce_op="sum")
        return torch.as_tensor(total).cpu()

    def _named(self, fold: str, sums: Tensor) -> dict[str, float]:
        parts = (sums[0] / sums[1].clamp(min=_TINY)).tolist()
        total = sum(o.weight * part for o, part in zip(self.objectives, parts, strict=True))
        by_objective = {f"{fold}_{o.name}": part for o, part in zip(self.objectives, parts, strict=True)}
        return {f"{fold}_loss": total} | (by_objective if len(parts) > 1 else {})


def _pieces(rows: Rows, size: int) -> Iterator[Rows]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def _summary(run: TrainingRun) -> str:
    last = run.curves[-1]
    valid = f", valid {last['valid_loss']:.6g}" if "valid_loss" in last else ""
    return f"epoch {run.epoch}: train {last['train_loss']:.6g}{valid}"
