"""What the parts of spec "shared and private" (arXiv 2305.08473) are worth on real data, and whether pairing matters.

usage: TRIVIUM_DATA=FOLDER python benchmarks/shared_private.py [--seeds 5] [--work FOLDER] [--out FOLDER] [--again]

ICT-MMMO, voice and face, the folds of ``supervised.py``: one network with and without alignment and labels of its own
for each modality, alignment at other layers and weights, with the pairing broken, objectives that see the pairing in
its place, and alignment added to other networks. RAVDESS has three modalities and classes, for which there are no
unimodal labels: each pair of modalities alone, and all. Every table has its floors: linear models of the same columns
on the same folds. It writes docs/results/supervised-shared-private.json and .md, and goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from results import PAGES
from supervised import AGAIN, CLASSES, Table, at_random, by_actor, run, slug
from supervised_data import ict_mmmo, ravdess
from supervised_page import Part, write_page
from supervised_systems import Averaged, Floor

from trivium.corpus import Aligned
from trivium.errors import TriviumError
from trivium.evaluate import named_protocol
from trivium.files import read_json, user_folder

NAME = "shared-private"
TOLD = ("audio", "vision")
WEIGHTS = (1, 3, 10, 30, 100)
WEIGHT = 10
TRACE_WEIGHT, RAW_WEIGHT = 1000, 100
COMPARED = ("canonical_correlation", "barlow_twins", "kernel_alignment", "pair_contrast", "central_moments")
COMPARED_WEIGHT = 0.1  # their losses are of the order of 1, as the task's
SETTINGS: dict[str, Any] = {
    "learning_rate": 2e-3,
    "weight_decay": 1e-2,
    "batch_size": 64,
    "validation_fraction": 0.15,
}
SELF_MM: dict[str, Any] = {
    "network": "self-mm",
    "network_options": {
        **{"pooled": (), "hidden": 16, "size": 16, "features": 16, "fusion": 16},
        **{"dropout": 0.5, "fusion_dropout": 0.5},
    },
    **SETTINGS,
}
LATE_16 = {"hidden": 16, "recurrent": (), "fusion": 16, "dropout": 0.5, "fusion_dropout": 0.5}
OTHERS: dict[str, dict[str, Any]] = {
    "lf-dnn": {"network": "lf-dnn", "network_options": LATE_16, **SETTINGS},
    "tfn": {"network": "tfn", "network_options": {**LATE_16, "fusion": 32}, **SETTINGS},
    "lmf": {"network": "lmf", "network_options": {"hidden": 16, "recurrent": (), "dropout": 0.5}, **SETTINGS},
}
UNIMODAL = "unimodal_labels"
TASKS = ("train_regression", "train_classes")


def number(settings: dict[str, Any], *objectives: str) -> Averaged:
    """A network for a number with objectives beside its task."""
    return Averaged({**settings, "objectives": list(objectives)}, is_number=True, modalities=TOLD)


def alignment(weight: float = WEIGHT, options: str = "width=16", scale: str = "standard") -> str:
    """Modal alignment of all pairs, of standardised columns unless said otherwise."""
    return f"modal_alignment:{options}:scale={scale}:weight={weight}"


def floors(joined: str, modalities: Sequence[str] = ()) -> dict[str, Any]:
    """A constant and linear models of the columns that the networks get; those of one each are `joined`."""
    return {
        "majority": Floor("majority"),
        "one linear model": Floor("columns", modalities),
        f"a linear model each, {joined}": Floor("late", modalities),
    }


def parts_of_the_paper(data: Aligned) -> dict[str, Any]:
    """Each part left out, the sweep of the weight, the layers, and the broken pairing."""
    found = floors("averaged", TOLD)
    found["self-mm, task alone"] = number(SELF_MM)
    found["unimodal labels"] = number(SELF_MM, UNIMODAL)
    found |= {f"alignment x {w}": number(SELF_MM, alignment(w)) for w in WEIGHTS}
    found[f"alignment divided by the trace x {TRACE_WEIGHT}"] = number(SELF_MM, alignment(TRACE_WEIGHT, scale="trace"))
    found[f"alignment as it is x {RAW_WEIGHT}"] = number(SELF_MM, alignment(RAW_WEIGHT, scale="none"))
    found[f"both, alignment x {WEIGHT}"] = number(SELF_MM, UNIMODAL, alignment())
    changed = {
        "on raw features, projected": "layer=raw:width=16",
        "on features as they are": "width=0",
        "pairing broken": "width=16:shuffled=true",
    }
    for name, options in changed.items():
        found[f"both, alignment x {WEIGHT}, {name}"] = number(SELF_MM, UNIMODAL, alignment(WEIGHT, options))
    return found


def comparators(data: Aligned) -> dict[str, Any]:
    """Objectives that see which voice belongs to which face, and MISA's moments, which do not."""
    found = floors("averaged", TOLD)
    found["self-mm, unimodal labels"] = number(SELF_MM, UNIMODAL)
    for name in COMPARED:
        layer = "" if name != "central_moments" else ":layer=feature:squash=true"
        found[f"{name} x {COMPARED_WEIGHT:g}"] = number(SELF_MM, UNIMODAL, f"{name}{layer}:weight={COMPARED_WEIGHT}")
    return found


def with_alignment(name: str) -> str:
    """Name of the row of a network with alignment added."""
    return f"{name}, alignment x {WEIGHT}"


def plugged_in(data: Aligned) -> dict[str, Any]:
    """Alignment added to other networks."""
    found = floors("averaged", TOLD)
    for name, settings in OTHERS.items():
        found[name] = number(settings)
        found[with_alignment(name)] = number(settings, alignment())
    return found


def pairs(data: Aligned) -> dict[str, Any]:
    """Each pair of three modalities alone, and all."""
    options = {"hidden": 64, "recurrent": (), "fusion": 64, "dropout": 0.5, "fusion_dropout": 0.3}
    settings = {**CLASSES, "network": "lf-dnn", "network_options": options, "max_epochs": 25}
    chosen = {"no pair": "", "all pairs": "audio+vision,audio+speech,vision+speech"}
    chosen |= {name: name for name in ("audio+vision", "audio+speech", "vision+speech")}
    return floors("multiplied") | {
        name: Averaged({**settings, "objectives": [alignment(WEIGHT, f"pairs={one}:width=32")] if one else []})
        for name, one in chosen.items()
    }


def with_sizes(part: Part, folder: Path) -> Part:
    """The part with what each added objective weighs beside the task, in the first and in the kept epoch."""
    lines = [
        "| added objective | its weighted loss: first epoch | kept epoch | the task's: kept epoch |",
        "|---|---|---|---|",
    ]
    for system, one in part.found.items():
        requests = (one.table.provenance["configuration"]["parameters"].get("network") or {}).get("objectives", [])
        added = [request for request in requests if "weight=" in request]
        runs = [run for file in sorted((folder / slug(system)).rglob("losses.json")) for run in read_json(file)]
        if not added or not runs:
            continue
        name, weight = added[0].split(":")[0], float(added[0].rsplit("weight=", 1)[1])
        sizes = [weight * float(np.mean([run[epoch][f"train_{name}"] for run in runs])) for epoch in ("first", "kept")]
        task = float(np.mean([next(run["kept"][key] for key in TASKS if key in run["kept"]) for run in runs]))
        lines.append(f"| {system} | {sizes[0]:.2g} | {sizes[1]:.2g} | {task:.2g} |")
    return replace(part, text="\n\n".join([part.text, "\n".join(lines)])) if len(lines) > 2 else part


def tables(work: Path) -> list[Table]:
    """All tables of the page."""
    measured = replace(named_protocol("regression"), group="clip", selection="mae")
    reviews = (
        "ICT-MMMO, five folds over all 340 clips, anew for every seed; the kept epoch has the lowest validation MAE."
    )
    return [
        Table("Parts, weights, layers", reviews, ict_mmmo, measured, at_random, parts_of_the_paper, BASE[0]),
        Table("Objectives in place of the alignment", reviews, ict_mmmo, measured, at_random, comparators, BASE[1]),
        Table("Alignment added to other networks", reviews, ict_mmmo, measured, at_random, plugged_in, BASE[2]),
        Table(
            "Each pair alone",
            "RAVDESS, six folds of four actors: hand-made voice columns, action units, Whisper's states. `lf-dnn` with "
            "layers of 64, dropout .5 (.3 in the fusion), cross entropy, 25 epochs, nothing held out; alignment is "
            "projected to 32 columns. The floors are those of the page of RAVDESS, read back: fitted once more, the "
            "same one linear model answered 4 of the 1,440 clips otherwise (.811 for .814).",
            lambda: ravdess(work, whisper=True),
            named_protocol("classification"),
            by_actor,
            pairs,
            BASE[3],
        ),
    ]


BESIDE = {with_alignment(name): name for name in OTHERS}
"""Rows whose difference is taken from their own network, too."""
BASE: Sequence[str] = ("self-mm, task alone", "self-mm, unimodal labels", "lf-dnn", "no pair")
"""What differences are taken from, by table."""


def main() -> int:
    """Make the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--work", type=Path, default=user_folder("supervised"), help="outside the repository")
    parser.add_argument("--out", type=Path, default=PAGES, help="folder of the page")
    parser.add_argument("--again", action="store_true", help=AGAIN)
    parser.add_argument("--tables", type=int, default=4, help="how many of the tables, in order")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    try:
        parts = []
        for table in tables(asked.work)[: asked.tables]:
            part = with_sizes(run(table, NAME, asked), asked.work / NAME / slug(table.title))
            parts.append(replace(part, beside={row: own for row, own in BESIDE.items() if row in part.found}))
        write_page(NAME, parts, asked.out, seeds=asked.seeds, again=asked.again)
    except TriviumError as error:
        print(f"shared_private: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
