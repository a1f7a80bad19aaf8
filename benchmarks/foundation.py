"""The tables of docs/results/foundation.md: frozen columns of models others trained, read by linear models joined late.

usage: TRIVIUM_DATA=FOLDER python benchmarks/foundation.py [--tables acted published sentences] [--work DIR] [--again]

Every table sets the declared system beside its floors and its parts on the same folds. Strengths and weights are chosen
on inner folds of the training groups; a test fold is opened once by system, and the read is recorded. Columns,
predictions and the record lie in the work folder (default ``~/.cache/trivium/foundation``): the same command goes on
where it was stopped. It writes docs/results/foundation.json and .md, of the tables that are asked for (all where none
is named). Needs ``trivium upstream fetch``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundation_data import LAYERS, acted_speech
from foundation_systems import Fused
from results import PAGES
from supervised import AGAIN, as_published, by_actor, slug
from supervised_page import Part, write_page
from supervised_systems import Floor

from trivium.corpus import Aligned
from trivium.errors import TriviumError
from trivium.evaluate import Protocol, ReadLedger, across, grouped_folds, named_protocol, plan_evaluation
from trivium.evaluate.experiment import Experiment, train_and_score
from trivium.evaluate.named_protocols import NamedProtocol
from trivium.files import user_folder

SEEDS = (1111,)  # nothing here is drawn at random
STATES = tuple(f"layer{layer}" for layer in LAYERS)
VOICE = (*STATES, "voice")
BOTH = (*VOICE, "face")
OURS = "late fusion (declared)"


@dataclass(frozen=True)
class Table:
    """One set on one partition.

    Parameters
    ----------
    title, text : str
        For the page.
    data : callable
        Makes the utterances from the work folder.
    protocol : NamedProtocol
        Numbers and selection.
    folds : callable
        Makes the folds.
    systems : mapping of str to estimator
        Floors first.
    floors : tuple of str
        Which of them are floors.
    same : str
        Floor of the declared system's own columns.
    """

    title: str
    text: str
    data: Callable[[Path], Aligned]
    protocol: NamedProtocol
    folds: Callable[[Aligned], Protocol]
    systems: Mapping[str, Any]
    floors: tuple[str, ...]
    same: str


def acted(blocks: tuple[str, ...]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Systems for acted emotions that are given `blocks`, and which of them are floors."""
    rest = tuple(name for name in blocks if name not in STATES)
    floors: dict[str, Any] = {
        "majority": Floor("majority"),
        "last states, mean": Fused(["lastmean"], "together"),
        "last states, mean and spread": Fused(["last"], "together"),
        **{f"{name} alone": Fused([name], "together") for name in rest},
        "last states and the rest, one linear model": Fused(["last", *rest], "together"),
        "last states and the rest, one each, multiplied": Fused(["last", *rest], "multiplied"),
        "all columns, one linear model": Fused(blocks, "together"),
        "all columns, one each, multiplied": Fused(blocks, "multiplied"),
    }
    ours: dict[str, Any] = {OURS: Fused(blocks), "last states and the rest, late fusion": Fused(["last", *rest])}
    ours["without layers"] = Fused(rest)
    ours |= {f"without {name}": Fused([one for one in blocks if one != name]) for name in blocks}
    ours |= {f"{name} alone": Fused([name], "together") for name in STATES}
    return {**floors, **ours}, tuple(floors)


def six(data: Aligned) -> Protocol:
    """Six folds of four actors in their order."""
    return by_actor(data, SEEDS)


def five(data: Aligned) -> Protocol:
    """The published folds."""
    return as_published(data, SEEDS)


def across_sentences(data: Aligned) -> Protocol:
    """Six folds of actors, learned from one sentence and tested on the other, both ways."""
    return across(grouped_folds(data.group("speaker"), 6, name="actor"), data.group("sentence"), name="sentence")


def tables() -> dict[str, list[Table]]:
    """All tables by the name that ``--tables`` takes."""
    classes = named_protocol("classification")
    heard, seen = acted(VOICE), acted(BOTH)
    same, each = "all columns, one linear model", "Blocks: layers 1 to 4 (mean and spread of 384 states each), "
    voice = f"{each}voice (statistics of 61 columns)."
    face = f"{each}voice (statistics of 61 columns), face (35 action units)."
    return {
        "acted": [
            Table("Voice and face, six folds of four actors", face, acted_speech, classes, six, *seen, same),
            Table("Voice, six folds of four actors", voice, acted_speech, classes, six, *heard, same),
        ],
        "published": [Table("Voice and face, the published folds", face, acted_speech, classes, five, *seen, same)],
        "sentences": [
            Table(
                "Voice, from one sentence to the other", voice, acted_speech, classes, across_sentences, *heard, same
            ),
        ],
    }


def run(name: str, table: Table, work: Path) -> Part:
    """Fit and score every system of a table; what an earlier call finished is read back."""
    data = table.data(work)
    label, folds = data.specification.labels[0].key, table.folds(data)
    plan = plan_evaluation(data, table.protocol, label, folds=folds, ledger=ReadLedger(work / "reads.jsonl"))
    found: dict[str, Experiment] = {}
    for system, predictor in table.systems.items():
        began = time.process_time()
        where = work / name / slug(table.title) / slug(system)
        found[system] = train_and_score(plan, predictor, seeds=SEEDS, folder=where, show=False)
        scores = ", ".join(f"{line.measure.name} {line.mean:.3f}" for line in found[system].card.lines[:2])
        print(f"{table.title}: {system}: {scores} ({time.process_time() - began:.0f} s)", flush=True)
    return Part(table.title, table.text, table.protocol, plan.folds.description, found, table.floors, table.same)


def main() -> int:
    """Make the tables that are asked for, and their page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made = tables()
    parser.add_argument("--tables", nargs="+", choices=tuple(made), default=tuple(made), help="these alone")
    parser.add_argument("--work", type=Path, default=user_folder("foundation"), help="outside the repository")
    parser.add_argument("--out", type=Path, default=PAGES, help="folder of the page")
    parser.add_argument("--again", action="store_true", help=AGAIN)
    asked = parser.parse_args()
    try:
        parts = [run(name, table, asked.work) for name in asked.tables for table in made[name]]
        write_page("foundation", parts, asked.out, seeds=len(SEEDS), again=asked.again)
    except TriviumError as error:
        print(f"foundation: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
