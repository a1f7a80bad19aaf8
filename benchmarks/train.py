"""Training beside MMSA 2.2.1: same network, data, batch size and optimiser; CPU seconds, peak memory, equal losses.

Usage: ``OMP_NUM_THREADS=1 python benchmarks/train.py [--out docs/results]``, where MMSA can be imported (it is no
dependency of trivium; ``benchmarks/mmsa_networks.py`` says how it is installed). MMSA calls a GPU that is not there and
passes an argument that torch no longer takes: both are patched, and nothing else of what is timed.

The data are synthetic: an MMSA pickle with the sizes of MOSI's aligned one, 1284, 229 and 686 utterances of up to 50
steps, text 768, voice 5 and face 20 columns of random numbers. In ``full`` every utterance has 50 steps; in ``ragged``
their number is drawn (geometric, at least 3, about 12 on average, at most 50) and zeros follow, which MMSA computes and
trivium does not. Sizes, batch size, learning rate, decay, accumulation and clipping are MMSA's own for MOSI, its
averaging of MFN's voice and face before alignment is off; dropout is on. The language model of MISA and Self-MM is
replaced by its output, the random columns, on both sides.

Both sides go their own way from the pickle on (MMSA ``MMSA_run``; trivium its reader, samples and loop), each in a
process of its own, in turns. An epoch is timed as training and as validation; in MMSA's are the metrics that it
computes of both, in trivium's the loss curves. Peak memory is that of the whole process. Every run is appended to a
file; the page is written from all of them.

Equal losses: the same weights on both sides, dropout off, the same batches in the same order, 384 training utterances
(whole groups of batches: MMSA loses a partial one); then the mean absolute error on the validation fold. Ours is
trained a second time by other formulas with equal results but for rounding (those that are exported), which tells
what rounding alone does; MISA's also with the gradient of the difference loss that its authors' code does not take.

Bound: what the matrix products of MFN would take if they all ran as fast as the fastest of them alone.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import os
import pickle
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mmsa_networks as sides
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Adam, lr_scheduler
from torch.utils.flop_counter import FlopCounterMode

from trivium import registry
from trivium.formats.mmsa import MmsaFormat
from trivium.fuse import Network, attention, mfn, mult, recurrence, tensor_product
from trivium.objectives import objective
from trivium.objectives.task import Regression
from trivium.predict.inputs import SequenceSamples
from trivium.scale import StreamScaler
from trivium.train import Objective, Outputs, TensorBatch, Trainer, TrainingClock

FOLDS, WHOLE_GROUPS = {"train": 1284, "valid": 229, "test": 686}, 384
STEPS, WORDS, FEWEST, SEED = 50, 12, 3, 7
NETWORKS = ("tfn", "mult", "mfn", "lmf", "lf-dnn", "ef-lstm", "misa", "self-mm")
KINDS = ("full", "ragged")
# What MMSA's trainers have beside the task.
OBJECTIVES = {
    "misa": (
        "difference:weight=0.1",
        "central_moments:weight=0.3",
        "feature_reconstruction:weight=1.0",
    ),
    "self-mm": ("unimodal_labels:limit=3",),
}


# ---------------------------------------------------------------------------------------------------------- the pickle


def fold(count: int, kind: str, first: int, random: np.random.Generator) -> dict[str, Any]:
    """Random utterances with a label that their words tell in part."""
    lengths = np.full(count, STEPS)
    if kind == "ragged":
        lengths = np.clip(FEWEST + random.geometric(1 / (WORDS - FEWEST), count) - 1, FEWEST, STEPS)
    seen = (np.arange(STEPS) < lengths[:, None])[:, :, None]
    found: dict[str, Any] = {
        name: np.where(seen, random.standard_normal((count, STEPS, width), dtype=np.float32), np.float32(0))
        for name, width in sides.WIDTHS.items()
    }
    told = found["text"][:, :, :8].sum(axis=(1, 2)) / np.sqrt(8 * lengths)
    label = np.clip(told + random.standard_normal(count), -3, 3).astype(np.float32)
    tokens = np.zeros((count, 3, STEPS), np.float32)
    tokens[:, 0], tokens[:, 1] = np.arange(first, first + count)[:, None], seen[:, :, 0]
    names = [f"{first + row}$_$0" for row in range(count)]
    steps = lengths.tolist()
    return found | {
        "id": names,
        "raw_text": names,
        "annotations": ["Neutral"] * count,
        "text_bert": tokens,
        "regression_labels": label,
        "classification_labels": np.zeros(count, np.float32),
        "audio_lengths": steps,
        "vision_lengths": steps,
    }


def write_pickle(path: Path, kind: str, folds: dict[str, int]) -> None:
    """An MMSA pickle, numbered through all folds."""
    random, first, whole = np.random.default_rng(SEED), 0, {}
    for name, count in folds.items():
        whole[name] = fold(count, kind, first, random)
        first += count
    path.write_bytes(pickle.dumps(whole, protocol=4))


# ---------------------------------------------------------------------------------------------------------- MMSA's side


class Enough(Exception):
    """As many epochs as wanted have been run."""


class Columns(nn.Module):
    """Stands for MMSA's language model: the columns of the utterance whose number the tokens hold."""

    table: Tensor

    def __init__(self, **_: object) -> None:
        super().__init__()

    def forward(self, tokens: Tensor) -> Tensor:
        """Columns (B, T, 768)."""
        return self.table[tokens[:, 0, 0].long()]


class MmsaRun:
    """MMSA's own run of a model, stopped after so many epochs."""

    def __init__(self, name: str, path: Path, epochs: int) -> None:
        torch.cuda.set_device = lambda device: None
        plateau = lr_scheduler.ReduceLROnPlateau
        lr_scheduler.ReduceLROnPlateau = lambda *a, verbose=None, **k: plateau(*a, **k)  # type: ignore[assignment,misc]
        self.package: Any = import_module("MMSA")
        self.key, self.path, self.epochs = name.replace("-", "_"), path, epochs
        self.trains: list[float] = []
        self.valids: list[float] = []
        self.network: Any = None
        self.amio: Any = import_module("MMSA.models").AMIO
        self.trainer: Any = import_module("MMSA.trains").ATIO().TRAIN_MAP[self.key]
        if name in OBJECTIVES:
            self._give_columns(name)

    def _give_columns(self, name: str) -> None:
        module = sys.modules[f"MMSA.models.{sides.PAIRS[name].module.partition(':')[0]}"]
        module.BertTextEncoder = Columns  # type: ignore[attr-defined]
        whole = pickle.loads(self.path.read_bytes())
        Columns.table = torch.from_numpy(np.concatenate([part["text"] for part in whole.values()]))

    def configuration(self, folder: Path) -> Path:
        """MMSA's own, with our file in place of MOSI's."""
        config = json.loads(
            Path(self.package.__file__).with_name("config").joinpath("config_regression.json").read_text()
        )
        for part in config["datasetCommonParams"]["mosi"].values():
            part |= {"featurePath": str(self.path), "seq_lens": [STEPS] * 3, "train_samples": FOLDS["train"]}
        path = folder / "config.json"
        path.write_text(json.dumps(config))
        return path

    def run(self, prepare: Any = None) -> None:
        """Run; `prepare` is given the new network."""
        test, train, trainer = self.trainer.do_test, self.trainer.do_train, self.trainer
        amio, last = self.amio, [0.0]

        def timed_train(*a: Any, **k: Any) -> Any:
            last[0] = time.process_time()
            return train(*a, **k)

        def timed_test(*a: Any, **k: Any) -> Any:
            begun = time.process_time()
            found = test(*a, **k)
            self.trains.append(begun - last[0])
            last[0] = time.process_time()
            self.valids.append(last[0] - begun)
            if len(self.trains) == self.epochs:
                raise Enough
            return found

        def made(args: Any) -> Any:
            self.network = amio(args)
            if prepare is not None:
                prepare(self.network.Model)
            return self.network

        trainer.do_train, trainer.do_test = timed_train, timed_test
        sys.modules["MMSA.run"].AMIO = made  # type: ignore[attr-defined]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            own = {"need_normalized": False} if self.key == "mfn" else {}
            with contextlib.suppress(Enough):
                self.package.MMSA_run(
                    self.key, "mosi", config_file=self.configuration(folder), config=own, seeds=[SEED], gpu_ids=[],
                    num_workers=0, verbose_level=0, model_save_dir=folder, res_save_dir=folder, log_dir=folder,
                )  # fmt: skip


# ---------------------------------------------------------------------------------------------------------- our side


class Timed(Regression):
    """The task, with the CPU seconds of every epoch."""

    def __init__(self, **options: Any) -> None:
        super().__init__("sentiment", **options)
        self.trains: list[float] = []
        self.valids: list[float] = []
        self._last = self._trained = 0.0

    def start(self) -> None:
        """Training begins."""
        self._last = time.process_time()

    def validation_starts(self) -> None:
        """Training of an epoch has ended."""
        self._trained = time.process_time()

    def epoch_end(self, network: nn.Module, clock: TrainingClock) -> None:
        """Validation has ended."""
        now = time.process_time()
        self.trains.append(self._trained - self._last)
        self.valids.append(now - self._trained)
        self._last = now


class Validation(SequenceSamples):
    """Samples that tell when they are first asked for."""

    clock: Timed

    def batch(self, rows: NDArray[np.int64]) -> TensorBatch:
        """Batch."""
        if rows[0] == 0:
            self.clock.validation_starts()
        return super().batch(rows)


class Clip(Objective):
    """MMSA's clipping of single gradients, after every batch; which they are is looked up once."""

    name = "clip"

    def __init__(self, limit: float, network: nn.Module) -> None:
        self.limit, self._parameters = limit, list(network.parameters())

    def loss(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> Tensor:
        """Nothing is asked for."""
        return outputs["prediction"].new_zeros(())

    def after_backward(self, network: nn.Module, batch: TensorBatch, clock: TrainingClock) -> None:
        """Cut."""
        nn.utils.clip_grad_value_(self._parameters, self.limit)


def mmsa_sizes(name: str) -> SimpleNamespace:
    """MMSA's configuration for MOSI."""
    config = json.loads(files("MMSA").joinpath("config/config_regression.json").read_text())[name.replace("-", "_")]
    return SimpleNamespace(**{"weight_decay": 0.0, **config["commonParams"], **config["datasetParams"]["mosi"]})


def optimizer_of(name: str, network: Network, sizes: SimpleNamespace) -> Adam:
    """What MMSA trains, with its learning rates and decays."""
    named = dict(network.named_parameters())
    if name == "lmf":  # MMSA leaves these two at their first values
        named = {key: p for key, p in named.items() if key not in ("rank_weights", "bias")}
    if name == "self-mm":
        towers = [p for key, p in named.items() if key.startswith("encoders.")]
        others = [p for key, p in named.items() if not key.startswith("encoders.")]
        return Adam(
            [
                {"params": towers, "lr": sizes.learning_rate_audio, "weight_decay": sizes.weight_decay_audio},
                {"params": others, "lr": sizes.learning_rate_other, "weight_decay": sizes.weight_decay_other},
            ],
            fused=True,
        )
    decay = 0.0 if name in ("tfn", "mult", "misa") else sizes.weight_decay
    return Adam(list(named.values()), lr=sizes.learning_rate, weight_decay=decay, fused=True)


def network_of(name: str) -> Network:
    """Ours, of MMSA's sizes."""
    pair = sides.PAIRS[name]
    network: Network = registry.load("network", name)({m: sides.WIDTHS[m] for m in pair.order}, 1, **pair.ours)
    return network


def train_ours(
    name: str, network: Network, path: Path, epochs: int, requests: Sequence[str] | None = None
) -> tuple[Timed, list[float]]:
    """Our own run from the pickle on, with MMSA's objectives or others."""
    sizes = mmsa_sizes(name)
    corpus = MmsaFormat().read(path, aligned=True).select(sides.WIDTHS)
    raw = StreamScaler(
        {m: np.zeros(d) for m, d in sides.WIDTHS.items()}, {m: np.ones(d) for m, d in sides.WIDTHS.items()}
    )
    train, valid = (
        kind(part, raw, {"sentiment": part.label("sentiment")})
        for kind, part in ((SequenceSamples, corpus.fold("train")), (Validation, corpus.fold("valid")))
    )
    groups = getattr(sizes, "update_epochs", 1)
    # MMSA sums the gradients of a group, our loop takes their mean
    task = Timed(distance="mse" if name == "misa" else "l1", weight=groups)
    assert isinstance(valid, Validation)
    valid.clock = task
    more = [
        objective(request, label="sentiment")
        for request in (OBJECTIVES.get(name, ()) if requests is None else requests)
    ]
    for one in more:
        one.weight *= groups
    clip = [Clip(sizes.grad_clip, network)] if hasattr(sizes, "grad_clip") else []
    trainer = Trainer(
        [task, *more, *clip], max_epochs=epochs, batch_size=sizes.batch_size, accumulate=groups, seed=SEED, show=False
    )
    optimizer = optimizer_of(name, network, sizes)
    task.start()
    run = trainer.fit(network, optimizer, train, valid)
    return task, [row.get("valid_regression", row["valid_loss"] / task.weight) for row in run.curves]


# ---------------------------------------------------------------------------------------------------------- one process


def peak_megabytes() -> float:
    """Largest resident memory of this process."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def measure(side: str, name: str, path: Path, epochs: int) -> dict[str, Any]:
    """Epochs of one network on one side, in this process."""
    torch.set_num_threads(1)
    if side == "mmsa":
        run = MmsaRun(name, path, epochs)
        run.run()
        trains, valids = run.trains, run.valids
    else:
        torch.manual_seed(SEED)
        task, _ = train_ours(name, network_of(name), path, epochs)
        trains, valids = task.trains, task.valids
    return {"train": trains, "valid": valids, "peak_mb": peak_megabytes(), "load": os.getloadavg()[0]}


class SameOrder:
    """The order of samples that our loop takes, epoch by epoch."""

    def __init__(self, count: int, epoch: int) -> None:
        self.count, self.epoch = count, epoch

    def __iter__(self) -> Iterator[int]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        if epoch < 0:
            return iter(range(self.count))
        return iter(np.random.default_rng([SEED, epoch]).permutation(self.count).tolist())

    def __len__(self) -> int:
        return self.count


def mmsa_error(name: str, model: nn.Module, loader: Any) -> float:
    """Mean error of a fold: absolute, for MISA squared, which is what its trainer asks for."""
    found = []
    with torch.no_grad():
        model.eval()
        for batch in loader:
            text, audio, vision = (batch["text"], batch["audio"], batch["vision"])
            if name == "self-mm":
                audio, vision = (audio, batch["audio_lengths"]), (vision, batch["vision_lengths"])
            error = model(text, audio, vision)["M"].view(-1) - batch["labels"]["M"].view(-1)
            found.append(error.square() if name == "misa" else error.abs())
    return float(torch.cat(found).double().mean())


def compare_losses(name: str, path: Path, epochs: int) -> dict[str, Any]:
    """Validation error of both sides after equal epochs from equal weights."""
    torch.set_num_threads(1)
    pair, ours = sides.PAIRS[name], network_of(name)
    run = MmsaRun(name, path, epochs)
    loader, test = sys.modules["MMSA.data_loader"], run.trainer.do_test
    mmsa: list[float] = []

    def same_order(dataset: Any, *, shuffle: bool, **options: Any) -> Any:
        epoch = -1 if name == "self-mm" else 0  # MMSA goes through the labels once before it trains
        own = {"sampler": SameOrder(len(dataset), epoch)} if dataset.mode == "train" else {"shuffle": False}
        return torch.utils.data.DataLoader(dataset, **own, **options)

    def prepare(network: nn.Module) -> None:
        sides.silence(network)
        for module in network.modules():
            for option in [key for key, value in vars(module).items() if "dropout" in key and isinstance(value, float)]:
                setattr(module, option, 0.0)
        sides.copy_weights(ours, network, pair)

    def read_error(trainer: Any, model: Any, data: Any, *a: Any, **k: Any) -> Any:
        mmsa.append(mmsa_error(name, model, data))
        return test(trainer, model, data, *a, **k)

    loader.DataLoader = same_order  # type: ignore[attr-defined]
    run.trainer.do_test = read_error
    run.run(prepare)
    sides.silence(ours)
    first = copy.deepcopy(ours.state_dict())
    found = {"mmsa": mmsa, "trivium": train_ours(name, ours, path, epochs)[1]}
    if name == "misa":
        ours.load_state_dict(first)
        requests = [request.replace("difference:", "difference:detach=false:") for request in OBJECTIVES["misa"]]
        found["formula"] = train_ours(name, ours, path, epochs, requests)[1]
    for module in (attention, mfn, mult, recurrence, tensor_product):
        module.is_eager = lambda x: False  # type: ignore[attr-defined]
    ours.load_state_dict(first)
    return found | {"reordered": train_ours(name, ours, path, epochs)[1]}


def products_alone() -> dict[str, float]:
    """Operations of MFN's matrix products in a batch of training, and how many a second the fastest of them does."""
    torch.set_num_threads(1)
    network, rows = sides.theirs_of("mfn"), int(mmsa_sizes("mfn").batch_size)
    with FlopCounterMode(display=False) as counter:
        network(*(torch.randn(rows, STEPS, width) for width in sides.WIDTHS.values()))["M"].sum().backward()
    rates = []
    for count, width, out in ((rows * STEPS, sides.WIDTHS["text"], 1024), (rows, 256, 1024), (2048, 2048, 2048)):
        a, b, c = torch.randn(count, width), torch.randn(width, out), torch.empty(count, out)
        for _ in range(30):
            begun = time.process_time()
            for _ in range(calls := max(2 * 10**9 // (count * width * out), 1)):
                torch.mm(a, b, out=c)
            rates.append(2.0 * count * width * out * calls / (time.process_time() - begun))
    return {"operations": float(counter.get_total_flops()), "rate": max(rates), "batches": FOLDS["train"] / rows}


# ------------------------------------------------------------------------------------------------------ all of them


def in_a_process(*arguments: object) -> dict[str, Any]:
    """Result of one worker."""
    command = [sys.executable, __file__, "--worker", *map(str, arguments)]
    found = subprocess.run(
        command, check=False, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    if found.returncode:
        raise SystemExit(f"{arguments}: {found.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return result


def worker(side: str, name: str, path: str, epochs: str) -> None:
    """What one process does."""
    if side == "bound":
        found: dict[str, Any] = products_alone()
    elif side == "equal":
        found = compare_losses(name, Path(path), int(epochs))
    else:
        found = measure(side, name, Path(path), int(epochs))
    print(json.dumps(found))


Runs = list[dict[str, Any]]


def summary(runs: Runs) -> dict[str, float]:
    """Medians over the epochs of all repetitions; the largest memory."""
    both = [sum(run["train"] + run["valid"]) / len(run["train"]) for run in runs]
    return {
        "train": statistics.median(t for run in runs for t in run["train"]),
        "both": statistics.median(both),
        "fastest": min(both),
        "slowest": max(both),
        "peak_mb": max(run["peak_mb"] for run in runs),
        "load": statistics.median(run["load"] for run in runs),
        "runs": len(runs),
    }


def race(kind: str, name: str, path: Path, number: int, epochs: int) -> Iterator[dict[str, Any]]:
    """One run of both sides, which take turns in going first."""
    for side in ("mmsa", "trivium") if number % 2 == 0 else ("trivium", "mmsa"):
        found = in_a_process(side, name, path, epochs)
        yield {"kind": kind, "network": name, "side": side, "number": number, **found}


def compared(runs: Runs, kind: str, name: str) -> dict[str, Any]:
    """Both sides of one network; `ratios` are those of runs that followed one another."""
    of_side: dict[str, Runs] = {"mmsa": [], "trivium": []}
    waiting: dict[str, Any] = {}
    for run in [run for run in runs if (run["kind"], run["network"]) == (kind, name)]:
        waiting[run["side"]] = run
        if len(waiting) == len(of_side):  # a run that was never followed by one of the other side counts nowhere
            for side, one in waiting.items():
                of_side[side].append(one)
            waiting = {}
    row: dict[str, Any] = {side: summary(found) for side, found in of_side.items()}
    times = {part: row["mmsa"][part] / row["trivium"][part] for part in ("train", "both", "peak_mb")}
    pairs = zip(*of_side.values(), strict=True)
    ratios = sorted(sum(a["train"] + a["valid"]) / sum(b["train"] + b["valid"]) for a, b in pairs)
    return {"network": name, **row, "times": times, "ratios": ratios}


def measured(options: argparse.Namespace, log: Path) -> None:
    """Append every run to a file of JSON lines, so that a table can be continued."""
    with tempfile.TemporaryDirectory() as folder, log.open("a", encoding="utf-8") as file:
        paths = {kind: Path(folder) / f"{kind}.pkl" for kind in (*options.kinds, "equal")}
        for kind, path in paths.items():
            write_pickle(path, kind, FOLDS | ({"train": WHOLE_GROUPS} if kind == "equal" else {}))
        if "mfn" in options.networks:
            found = in_a_process("bound", "mfn", "", 0)
            print(json.dumps({"kind": "bound", "network": "mfn", "side": "both", **found}), file=file, flush=True)
        for name in options.networks if options.equal_epochs else ():
            if not sides.PAIRS[name].copied:
                continue
            found = in_a_process("equal", name, paths["equal"], options.equal_epochs)
            print(json.dumps({"kind": "equal", "network": name, "side": "both", **found}), file=file, flush=True)
        for number in range(options.repeats):
            for kind in options.kinds:
                for name in options.networks:
                    for run in race(kind, name, paths[kind], number, options.epochs):
                        print(json.dumps(run), file=file, flush=True)


# ------------------------------------------------------------------------------------------------------------- the page


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Rows of one kind of data."""
    lines = [
        "| network | runs | MMSA: training | and validation | trivium: training | and validation "
        "| times faster | pairs | MB: MMSA | trivium | load |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        sides_of_row = [
            f"{part['train']:.1f} | {part['both']:.1f} ({part['fastest']:.1f} to {part['slowest']:.1f})"
            for part in (row["mmsa"], row["trivium"])
        ]
        a, b, ratios = row["mmsa"], row["trivium"], row["ratios"]
        lines.append(
            f"| {row['network']} | {a['runs']} | {' | '.join(sides_of_row)} | **{row['times']['both']:.2f}** "
            f"| {ratios[0]:.2f} to {ratios[-1]:.2f} | {a['peak_mb']:,.0f} | {b['peak_mb']:,.0f} "
            f"| {a['load']:.0f} and {b['load']:.0f} |"
        )
    return lines


def aims(rows: list[dict[str, Any]]) -> list[str]:
    """What was wanted of every network, and whether it was reached by the medians and by every pair."""
    lines = ["| aim | median | slowest pair | reached |", "|---|---|---|---|"]
    for row in rows:
        least = 2.0 if row["network"] in ("tfn", "mult", "mfn") else 1.0
        wanted = f"at least {least:.0f} times faster" if least > 1 else "never slower"
        reached = "yes" if row["ratios"][0] >= least else "by the median" if row["times"]["both"] >= least else "no"
        lines.append(
            f"| {row['network']}: {wanted} | {row['times']['both']:.2f} | {row['ratios'][0]:.2f} | {reached} |"
        )
        if row["network"] == "mult":
            share = row["trivium"]["peak_mb"] / row["mmsa"]["peak_mb"]
            shown = f"{row['trivium']['peak_mb']:,.0f} of {row['mmsa']['peak_mb']:,.0f} MB, {share:.3f}"
            lines.append(f"| mult: peak memory at most a quarter | {shown} | | {'yes' if share <= 0.25 else 'no'} |")
    return lines


def losses(runs: Runs) -> list[str]:
    """Errors on the validation fold after the last epoch."""
    lines = [
        "| network | epochs | MMSA | trivium | difference | trivium by other formulas | what rounding alone does |",
        "|---|---|---|---|---|---|---|",
    ]
    for run in [run for run in runs if run["kind"] == "equal"]:
        a, b, c = (run[key][-1] for key in ("mmsa", "trivium", "reordered"))
        name = run["network"]
        lines.append(f"| {name} | {len(run['mmsa'])} | {a:.8f} | {b:.8f} | {b - a:+.1e} | {c:.8f} | {c - b:+.1e} |")
        if "formula" in run:
            d = run["formula"][-1]
            lines.append(
                f"| {name}, gradient through lengths | {len(run['mmsa'])} | {a:.8f} | {d:.8f} | {d - a:+.1e} | | |"
            )
    return lines


def bound(runs: Runs, rows: list[dict[str, Any]]) -> list[str]:
    """What matrix products leave to be gained for MFN."""
    found = [run for run in runs if run["kind"] == "bound"]
    mine = [row for row in rows if row["network"] == "mfn"]
    if not found or not mine:
        return []
    one, row = found[-1], mine[0]
    rate = max(run["rate"] for run in found)
    seconds, given = one["operations"] * one["batches"] / rate, row["mmsa"]["train"]
    return [
        "",
        "## What bounds MFN",
        "",
        f"The matrix products of MMSA's network, forwards and backwards, are {one['operations'] / 1e9:.1f} billion",
        f"operations a batch of 128 (counted by torch's counter), {one['batches']:.1f} batches an epoch. The fastest",
        f"product measured alone on this machine reached {rate / 1e9:.0f} billion a second: {seconds:.1f} seconds an",
        f"epoch for the products of training alone, while all of MMSA's training took {given:.1f} and ours",
        f"{row['trivium']['train']:.1f}. Half of MMSA's is {given / 2:.1f}, so that {given / 2 - seconds:+.1f} seconds",
        "would be left for everything else, were every product as fast as that one, which those of 32 columns are not",
        "(half as fast). No product was found that could be left out: every cell meets both halves of the attention's",
        "first layer, as the new and as the earlier one.",
    ]


PROSE = """
## Where the time goes

- **Dropout.** torch draws a number per cell; here eight or sixteen random bits (`trivium.fuse.dropout`), compared by
  NumPy, turned into numbers as bytes: a conversion from bool takes torch six times as long.
- **Attention** of MulT: keys that no query of a piece may look at are left out (half of them, nearly, in a causal
  mask); rows have a multiple of eight numbers; columns stand before steps, so that nothing is transposed; powers of two
  in place of a softmax; one tensor of all pairs of steps is kept, whose signs tell what dropout left.
  Of the last layer of self-attention only the last step is computed, since nothing asks for the others; all stacks are
  computed side by side, whatever their dropout; the second half of a layer goes through stack by stack and stays in the
  cache; the convolution is a product over all steps.
- **Memory** that is freed stays with the process while it trains (`trivium.train.memory`), and is not cleared by the
  system for every batch.
- **The product** of tensor fusion goes through dropout, layer and backward pass in pieces that stay in the cache; a
  piece of one number multiplies sums, not cells.
- **Recurrent networks** read only seen steps; gradients of weights are one product over all of them. Where every step
  was seen, torch's own LSTM is quicker unless its input is wide: it takes a gradient of the input too, which data have
  no use for. MFN needs the cells of every step and never takes it.
- **Adam** is fused. Batches in which every step was seen are not moved. In one process the network is called without
  the wrapper of the library that spreads it over several. Scaling is done in single precision, the mean in two parts.

## Equal weights, equal losses

MISA: the authors' code divides rows by their lengths without a gradient through them, and so does `difference` unless
`detach=false`. So the difference vanishes; with the formula's own gradient it is the row below.

Where the difference is above rounding (1e-7), the last column tells what another order of summation does to our own
result: Adam makes steps of equal size of gradients that are nothing but rounding.

EF-LSTM normalises its input in another way and cannot be compared. MMSA never trains LMF's last two parameters (its
optimiser is given the others only) and loses the last, partial group of accumulated batches of every epoch of MulT,
MISA and Self-MM; the comparison leaves both as MMSA has them.
"""


def processor() -> str:
    """Name of the processor, and how many there are."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} of {names[0] if names else platform.machine()}"


def page(runs: Runs, rows: dict[str, list[dict[str, Any]]], note: str) -> str:
    """The page for people."""
    loads = [run["load"] for run in runs if "load" in run]
    lines = [
        "# Training beside MMSA 2.2.1",
        "",
        "Made by `OMP_NUM_THREADS=1 python benchmarks/train.py`, whose header says what is compared and how. All data",
        "are **synthetic**, of MOSI's sizes: 1284, 229 and 686 utterances, up to 50 steps, text 768, voice 5, face 20",
        "columns.",
        f"One thread; processors: {processor()}; Python {platform.python_version()}, torch {torch.__version__}.",
        "",
        f"Other processes shared the machine: its load was {min(loads):.0f} to {max(loads):.0f}. They lengthen CPU",
        "seconds through caches and memory, of both sides, which took turns. A single pair of runs shows little.",
        *([note] if note else []),
    ]
    titles = {"full": "every utterance has 50 steps", "ragged": "12 steps on average, zeros up to 50"}
    for kind, found in rows.items():
        lines += ["", f"## CPU seconds of one epoch, peak memory: {titles[kind]}", ""]
        lines += ["Medians; in brackets the range; *pairs*: the ratios of runs that followed one another.", ""]
        lines += [*table(found), "", *aims(found)]
    lines += [*bound(runs, rows.get("full", [])), *PROSE.splitlines(), "", *losses(runs)]
    return "\n".join(lines) + "\n"


def write(runs: Runs, out: Path, note: str = "") -> None:
    """Everything as JSON, and the page."""
    rows = {}
    for kind in KINDS:
        raced = {(run["kind"], run["network"], run["side"]) for run in runs}
        names = [n for n in NETWORKS if {(kind, n, "mmsa"), (kind, n, "trivium")} <= raced]
        if names:
            rows[kind] = [compared(runs, kind, name) for name in names]
    versions = {"torch": torch.__version__, "python": platform.python_version(), "mmsa": "2.2.1"}
    (out / "training-speed.json").write_text(
        json.dumps({**versions, **rows, "runs": runs}, indent=1) + "\n", encoding="utf-8"
    )
    (out / "training-speed.md").write_text(page(runs, rows, note), encoding="utf-8")
    print(page(runs, rows, note))


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/results"), help="folder for training-speed.json and .md")
    parser.add_argument("--log", type=Path, default=Path("training-runs.jsonl"), help="all runs so far; is continued")
    parser.add_argument("--note", default="", help="a sentence about the runs, for the page")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=1, help="of every timed run")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=KINDS)
    parser.add_argument("--equal-epochs", type=int, default=1, help="0 leaves the comparison of losses out")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("networks", nargs="*", default=list(NETWORKS))
    options = parser.parse_args()
    if options.worker:
        worker(*options.worker)
        return
    measured(options, options.log)
    write(
        [json.loads(line) for line in options.log.read_text(encoding="utf-8").splitlines()], options.out, options.note
    )


if __name__ == "__main__":
    main()
