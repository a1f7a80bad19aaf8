"""Statistics, masked-step prediction, both together, and neither trained: the page docs/results/representations.md.

usage: TRIVIUM_DATA=FOLDER python benchmarks/representations.py ict-mmmo|learning|ravdess|speed [--seeds 3]

Every call makes one table and writes its numbers into docs/results/representations.json and the page from all that are
there. Representations are fitted inside every fold with their defaults, for at most 30 epochs, stopped by their own
objective on utterances of the training part that they hold out; nothing was chosen by a label but the strength of the
readout, and that on training rows. The contrast of each table was declared in this file before its first run.

    ict-mmmo   voice and face, five folds at random anew for every seed
    learning   the same, first seed: what the encoder learns by, beside statistics
    ravdess    voice by word (the corpus of the demo), six folds of four actors
    speed      utterances per second of one core's CPU time through ONNX Runtime, on random matrices
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from results import PAGES, ROOT, at_random, by_actor, circumstances, ict_mmmo, only_label, ravdess
from torch import nn

from trivium.corpus import Aligned, Specification, StreamSpecification
from trivium.errors import TriviumError
from trivium.evaluate import Protocol, probe
from trivium.evaluate.scores import rows_of
from trivium.evaluate.study import data_hash
from trivium.evaluate.target import target_of
from trivium.files import atomic_file, read_json, write_json
from trivium.represent import Beside
from trivium.represent.request import representation
from trivium.weights import load_weights
from trivium.weights.encoder import OnnxEncoder

EPOCHS, PATIENCE = 30, 10


@dataclass(frozen=True)
class Table:
    """One table of the page.

    Parameters
    ----------
    title, text : str
        What it shows, and what the reader must know.
    data : callable
        Makes the aligned set.
    label : callable
        Label to predict, from the set.
    group : str or None
        What folds and intervals keep together.
    protocol : callable
        Folds, from the set and the seeds.
    rows : mapping of str to mapping
        Options of each representation by its request; ``NAME, WORDS`` gives one request twice.
    contrast : pair of str
        The rows whose difference was declared, the first minus the second.
    floors : tuple of str
        Floors beside them.
    """

    title: str
    text: str
    data: Callable[[], Aligned]
    label: Callable[[Aligned], str]
    group: str | None
    protocol: Callable[[Aligned, range], Protocol]
    rows: Mapping[str, Mapping[str, Any]]
    contrast: tuple[str, str]
    floors: tuple[str, ...] = ("mean", "mean-std", "flatten")


_LEARNED: dict[str, dict[str, Any]] = {"statistics": {}, "masked-steps": {}, "statistics+masked-steps": {}}
TABLES = {
    "ict-mmmo": Table(
        "ICT-MMMO: sentiment of film reviews from voice and face",
        "340 clips of 20 steps, which are averaged segments, not words; sentinels of the voice count as not seen.",
        ict_mmmo,
        only_label,
        None,
        at_random,
        {**_LEARNED, "statistics+masked-steps, untrained": {"max_epochs": 0}, "fisher-vectors": {}},
        ("statistics+masked-steps", "statistics"),
        ("mean", "mean-std", "flatten", "untrained"),
    ),
    "learning": Table(
        "ICT-MMMO: what the encoder learns by",
        "First seed only; each objective beside statistics. The row mean-std+masked-steps was added after the table "
        "above had been seen, where mean-std reads better than statistics with slopes.",
        ict_mmmo,
        only_label,
        None,
        at_random,
        {
            "statistics": {},
            "mean-std+masked-steps": {},
            "statistics+masked-steps, contrastive": {"objective": "contrastive"},
            "statistics+masked-steps, contrastive in time": {"objective": "contrastive", "views": "stretches"},
            "statistics+masked-steps, cross-modal": {"objective": "cross-modal"},
            "statistics+masked-steps, vicreg": {"objective": "vicreg"},
        },
        ("statistics+masked-steps, cross-modal", "statistics"),
        ("mean-std",),
    ),
    "ravdess": Table(
        "RAVDESS: eight acted emotions from the voice, word by word",
        "1,440 utterances, 48 voice columns averaged over each of six words; chance is .125.",
        ravdess,
        lambda data: "emotion",
        "actor",
        by_actor,
        {**_LEARNED, "statistics+masked-steps, untrained": {"max_epochs": 0}, "fisher-vectors": {}},
        ("statistics+masked-steps", "statistics"),
        ("mean", "mean-std", "flatten", "untrained"),
    ),
}


def made(request: str, options: Mapping[str, Any], group: str | None) -> Any:
    """Representation of a row, with what all rows share where it has such an option."""
    estimator = representation(request.partition(",")[0])
    shared = {"max_epochs": EPOCHS, "patience": PATIENCE, "progress": False, "validation_groups": group}
    known = estimator.get_params()
    return estimator.set_params(**{key: value for key, value in (shared | dict(options)).items() if key in known})


def speed(asked: argparse.Namespace) -> None:
    """Utterances per CPU second of exported encoders: 20 words of MiniLM, voice and face columns, random values."""
    columns = {"text": 384, "audio": 61, "vision": 66}
    streams = [StreamSpecification.positional(name, name, width, clock="words") for name, width in columns.items()]
    values = np.random.default_rng(0).standard_normal((64, 20, sum(columns.values()))).astype(np.float32)
    data = Aligned.from_arrays(values, Specification(tuple(streams)))
    found = {}
    for request in ("statistics", "masked-steps", "statistics+masked-steps"):
        estimator = made(request, {"max_epochs": 0}, None)
        fitted = (estimator if hasattr(estimator, "save") else Beside(((request, estimator),))).fit(data)
        with TemporaryDirectory() as folder:
            fitted.save(f"{folder}/weights")
            model = load_weights(f"{folder}/weights").read("encoder.onnx")
        encoder, matrices = OnnxEncoder(model, threads=1), np.tile(fitted.scalers_.transform(data), (32, 1, 1))
        encoder(matrices[:64])
        times = []
        for _ in range(3):
            began = time.process_time()
            encoder(matrices)
            times.append(time.process_time() - began)
        found[request] = {
            "parameters": sum(p.numel() for p in getattr(fitted, "network_", nn.Module()).parameters()),
            "features": encoder.n_features,
            "megabytes": round(len(model) / 1e6, 2),
            "utterances_per_cpu_second": round(len(matrices) / float(np.median(times))),
        }
    keep("speed", circumstances(data_hash(data)) | {"encoders": found}, asked.out)


def keep(name: str, facts: Mapping[str, Any], folder: Path) -> None:
    """Numbers of one table beside those of the others, and the page anew."""
    path = folder / "representations.json"
    every = {**(read_json(path) if path.is_file() else {}), name: facts}
    write_json(path, every)
    write_page(folder, every)


def run(name: str, asked: argparse.Namespace) -> None:
    """Make one table, keep its numbers, and write the page anew."""
    table, seeds = TABLES[name], range(1 if name == "learning" else asked.seeds)
    data, began = table.data(), time.process_time()
    protocol = table.protocol(data, seeds)
    # trained first, so that the floor of the untrained encoder is that of masked steps
    order = sorted(table.rows, key=lambda row: row != "masked-steps")
    rows = {row: made(row, table.rows[row], table.group) for row in order}
    result = probe(
        rows, data, table.label(data), group=table.group, seeds=seeds, floors=table.floors, protocol=protocol,
        out=asked.runs / name,
    )  # fmt: skip
    ours, theirs = table.contrast
    pair = {row: result.row(row) for row in table.contrast}
    contrast = rows_of(
        {row: found.predictions for row, found in pair.items()},
        {row: found.features for row, found in pair.items()},
        target_of(data, table.label(data)),
        protocol.clusters,
        (theirs,),
        1000,
    )[-1 if list(pair)[-1] == ours else 0]
    value, interval = contrast.differences[theirs]
    facts = circumstances(result.settings["data"]) | {
        "seeds": list(seeds),
        "max_epochs": EPOCHS,
        "cpu_minutes": round((time.process_time() - began) / 60, 1),
        "contrast": {"rows": [ours, theirs], "difference": value, "low": interval.low, "high": interval.high},
        "markdown": result.markdown(),
        "table": result.to_json(),
    }
    keep(name, facts, asked.out)


def write_page(folder: Path, found: Mapping[str, Any]) -> None:
    """All tables that were made, in the order of this file."""
    page = [
        "# Representations: statistics, masked steps, and both",
        "Made by `benchmarks/representations.py`; the readout, its grid and the folds are the same for all rows of a "
        f"table. What is trained is trained inside every fold, without labels, for at most {EPOCHS} epochs with its "
        "default options, and stopped by its own objective on held-out training utterances. Nothing was tuned on these "
        "corpora. The contrast under each table was declared before the first run; its interval resamples whole "
        "clusters, holds the trained models fixed and is not corrected for there being several tables.",
    ]
    for name, table in TABLES.items():
        if name not in found:
            continue
        facts = found[name]
        told = facts["contrast"]
        page += [
            f"## {table.title}",
            table.text,
            facts["markdown"],
            f"**Declared contrast**: {told['rows'][0]} minus {told['rows'][1]}: {told['difference']:+.3f} "
            f"[{told['low']:+.3f}, {told['high']:+.3f}].",
            f"Made on {facts['date']} with `{facts['command']}`, seeds {', '.join(map(str, facts['seeds']))}, in "
            f"{facts['cpu_minutes']} CPU minutes on one core (data SHA-256 {facts['data_sha256'][:16]}, source SHA-256 "
            f"{facts['source_sha256'][:16]}; {', '.join(f'{k} {v}' for k, v in facts['versions'].items())}).",
        ]
    if "speed" in found:
        page += [
            "## Speed",
            "Exported encoders in ONNX Runtime, one thread, 20 words, 511 columns of three modalities, random values; "
            "CPU seconds, not seconds of the clock.",
            "| representation | parameters | numbers | MB | utterances per CPU second |\n|---|---|---|---|---|\n"
            + "\n".join(
                f"| {name} | {f['parameters']:,} | {f['features']:,} | {f['megabytes']} | "
                f"{f['utterances_per_cpu_second']:,} |"
                for name, f in found["speed"]["encoders"].items()
            ),
            f"Made on {found['speed']['date']} with `{found['speed']['command']}` ({found['speed']['machine']}).",
        ]
    with atomic_file(folder / "representations.md") as draft:
        draft.write_text("\n\n".join(page) + "\n", encoding="utf-8")


def main() -> int:
    """Make what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=[*TABLES, "speed"])
    parser.add_argument("--seeds", type=int, default=1, help="partitions (ict-mmmo) or fits (ravdess)")
    parser.add_argument("--out", type=Path, default=PAGES, help="folder of the page")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "representations", help="folder of the records")
    asked = parser.parse_args()
    try:
        speed(asked) if asked.table == "speed" else run(asked.table, asked)
    except TriviumError as error:
        print(f"representations: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
