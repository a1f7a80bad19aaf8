"""The supervised tables of docs/results.md, one command each, from real data that TRIVIUM_DATA names.

usage: TRIVIUM_DATA=FOLDER python benchmarks/supervised.py ravdess|ravdess-transductive|ict-mmmo|mosi-words|
       real-life|mosi-contaminated [--seeds 5] [--work FOLDER] [--real-life CORPUS] [--again]

Each table sets networks beside their floors on the same folds: a constant, which columns are there, linear models of
the same columns, the network before training. Everything is chosen on validation rows of the training part; a test fold
is opened once by system and seed, and the read is recorded. Predictions, loss curves and the record lie in the work
folder (default ``~/.cache/trivium/supervised``): the same command goes on where it was stopped, and with ``--again`` it
lays the page out from what is stored there without training a network. It writes
docs/results/supervised-NAME.json and .md. ``real-life`` wants the corpus that
``real_clips.py real-life-trial --work CORPUS`` made.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from results import PAGES
from supervised_data import ict_mmmo, mosi_contaminated, mosi_words, ravdess, real_life, speaker_centred
from supervised_page import Part, averaged_over_seeds, write_page
from supervised_systems import Averaged, Floor

from trivium.corpus import Aligned
from trivium.errors import SpecificationError, TriviumError
from trivium.evaluate import (
    EvaluationPlan,
    Protocol,
    ReadLedger,
    grouped_folds,
    named_protocol,
    plan_evaluation,
    repeated_folds,
)
from trivium.evaluate.experiment import Experiment, train_and_score
from trivium.evaluate.named_protocols import NamedProtocol
from trivium.files import user_folder

FIRST_SEED = 1111
AGAIN = "lay the page out again from stored predictions: no network is trained, and the page keeps the training's facts"
WEIGHTS = (1, 10, 100)
Systems = Mapping[str, Any]

POOLED = {"network": "concat", "network_options": {"pooling": "mean", "hidden": 256, "dropout": 0.5, "balanced": True}}
CLASSES = {
    **POOLED,
    **{"learning_rate": 2e-3, "weight_decay": 1e-3, "batch_size": 64, "max_epochs": 15, "validation_fraction": 0.0},
}
LATE = {
    "network": "lf-dnn",
    "network_options": {"hidden": 16, "recurrent": (), "fusion": 16, "dropout": 0.5, "fusion_dropout": 0.5},
    **{"learning_rate": 2e-3, "weight_decay": 1e-2, "batch_size": 64, "validation_fraction": 0.15},
}
WORDS = {
    "network": "concat",
    "network_options": {"pooling": "mean", "hidden": 128, "dropout": 0.5},
    **{"learning_rate": 1e-3, "weight_decay": 1e-3, "batch_size": 64},
}


@dataclass(frozen=True)
class Table:
    """One set on one partition, and what is set side by side there.

    Parameters
    ----------
    title, text : str
        For the page.
    data : callable
        Makes the utterances.
    protocol : NamedProtocol
        Numbers and selection.
    folds : callable or None
        Makes the folds from data and seeds; None takes the split of the data.
    systems : callable
        Floors first, by name, from the data.
    same : str
        The floor that a network's difference is also taken from: the linear model of the same columns.
    averages : tuple of str
        Systems whose probabilities are averaged over the seeds, for a row of its own.
    """

    title: str
    text: str
    data: Callable[[], Aligned]
    protocol: NamedProtocol
    folds: Callable[[Aligned, Sequence[int]], Protocol] | None
    systems: Callable[[Aligned], Systems]
    same: str
    averages: tuple[str, ...] = ()


def by_actor(data: Aligned, seeds: Sequence[int]) -> Protocol:
    """Six folds of four actors in their order."""
    return grouped_folds(data.group("speaker"), 6, name="actor")


def as_published(data: Aligned, seeds: Sequence[int]) -> Protocol:
    """The five folds of actors of Luna-Jimenez et al."""
    folds = grouped_folds(data.group("published"), 5, name="published fold")
    text = "5 folds of actors as published by Luna-Jimenez et al. (2021); inner folds by actor"
    return replace(folds, description=text, clusters=data.group("speaker"))


def by_speaker(data: Aligned, seeds: Sequence[int]) -> Protocol:
    """Five folds of whole speakers, anew for every seed: they are numbered by verdict, so not in their order."""
    return repeated_folds(data.group("speaker"), 5, seeds)


def at_random(data: Aligned, seeds: Sequence[int]) -> Protocol:
    """Five folds over all utterances, anew for every seed."""
    return repeated_folds(data.ids, 5, seeds)


def acted(data: Aligned) -> dict[str, Any]:
    """Floors and networks for acted emotions."""
    floors = {"majority": Floor("majority"), "action units alone": Floor("columns", ["vision"])}
    floors |= {"one linear model": Floor("columns"), "a linear model each, multiplied": Floor("late")}
    floors["untrained network"] = Floor("untrained", network=CLASSES)
    return floors | {"concat, balanced": Averaged(CLASSES)}


def reviews(data: Aligned) -> dict[str, Any]:
    """Floors and networks for the sentiment of reviews."""
    told = ["audio", "vision"]
    floors = {"majority": Floor("majority"), "which steps are there": Floor("columns", ["seen"])}
    floors |= {f"{name} alone": Floor("columns", [name]) for name in told}
    floors |= {"one linear model": Floor("columns", told), "a linear model each, averaged": Floor("late", told)}
    floors["untrained network"] = Floor("untrained", told, network=LATE)
    return floors | {
        "lf-dnn": Averaged(LATE, is_number=True, modalities=told),
        "lf-dnn, average of 3": Averaged(LATE, members=3, is_number=True, modalities=told),
    }


def opinions(data: Aligned) -> dict[str, Any]:
    """Floors and networks for opinions in words."""
    floors = {"majority": Floor("majority"), "one linear model": Floor("columns")}
    floors["untrained network"] = Floor("untrained", network=WORDS)
    return floors | {
        "concat": Averaged(WORDS, is_number=True),
        "concat, average of 3": Averaged(WORDS, members=3, is_number=True),
    }


def verdicts(data: Aligned) -> dict[str, Any]:
    """Floors and a network for clips of court rooms; what the recording alone tells is the floor that matters."""
    told = [name for name in data.specification.modalities if name != "recording"]
    floors = {"majority": Floor("majority"), "the recording's facts": Floor("columns", ["recording"])}
    floors |= {f"{name} alone": Floor("columns", [name]) for name in told}
    floors["one linear model"] = Floor("columns", told)
    few = {**CLASSES, "batch_size": 32, "learning_rate": 1e-3}  # fifteen epochs, as for acted speech
    return floors | {"concat, balanced": Averaged(few, modalities=told)}


def contaminated(data: Aligned) -> dict[str, Any]:
    """One floor for each modality, one for all, one network: no validation fold exists, so everything is fixed."""
    floors = {"majority": Floor("majority")}
    floors |= {f"{name} alone": Floor("columns", [name], strengths=[1e-2]) for name in data.specification.modalities}
    floors["one linear model"] = Floor("columns", strengths=[1e-2])
    return floors | {"concat, balanced": Averaged(CLASSES)}


def tables(asked: argparse.Namespace) -> list[Table]:
    """What a command makes."""
    classes, work = named_protocol("classification"), asked.work
    number = replace(named_protocol("regression"), group="clip")
    mosi = named_protocol("mosi")
    states = "with the recogniser's states"
    hand = "Voice (statistics and twenty parts of 61 columns) and 35 action units averaged over the clip."
    more = "Voice (statistics of 61 columns), 35 action units, mean and spread of the states of Whisper tiny.en."
    before = (
        "Speaker-centred, and so transductive: the mean of every column over a tested actor's own clips is taken out "
        "before, without labels. Not comparable with the tables above."
    )

    def acts(title: str, text: str, data: Callable[[], Aligned], folds: Any) -> Table:
        return Table(title, text, data, classes, folds, acted, "one linear model", ("concat, balanced",))

    def whole() -> Aligned:
        return ravdess(work, whisper=True)

    made = {
        "ravdess": [
            acts("Six folds of four actors, hand-made columns", hand, lambda: ravdess(work, whisper=False), by_actor),
            acts(f"Six folds of four actors, {states}", more, whole, by_actor),
            acts(f"The published folds, {states}", more, whole, as_published),
        ],
        "ravdess-transductive": [
            acts(
                f"Transductive: the published folds, {states}, actors centred",
                before,
                lambda: speaker_centred(whole()),
                as_published,
            ),
        ],
        "ict-mmmo": [
            Table(
                "Five folds over all 340 clips, anew for every seed",
                "Mean and spread of the seen cells of 74 voice and 36 face columns; sentinels count as not seen.",
                ict_mmmo,
                number,
                at_random,
                reviews,
                "one linear model",
            )
        ],
        "mosi-words": [
            Table(
                "The split of MMSA, words alone",
                "Mean of the word vectors of MiniLM-L6 over the transcript.",
                lambda: mosi_words(work),
                replace(mosi, metrics=("r", *(name for name in mosi.metrics if name != "r"))),
                None,
                opinions,
                "one linear model",
            )
        ],
        "real-life": [
            Table(
                "Five folds of whole speakers, anew for every seed",
                "102 clips, 40 speakers, 4 of them with both verdicts.",
                lambda: real_life(asked.real_life),
                classes,
                by_speaker,
                verdicts,
                "one linear model",
            )
        ],
        "mosi-contaminated": [
            Table(
                "Contaminated features: the split of bc-LSTM, once",
                "Words and faces of this release were trained with the labels of its train fold.",
                mosi_contaminated,
                replace(classes, group="video", metrics=("accuracy", "weighted_f1", "uar")),
                None,
                contaminated,
                "one linear model",
            )
        ],
    }
    return made[asked.table]


def run(table: Table, name: str, asked: argparse.Namespace) -> Part:
    """Train and score every system of a table; what an earlier call finished is read back."""
    data, seeds = table.data(), range(FIRST_SEED, FIRST_SEED + asked.seeds)
    folds = 5 if table.folds is None else table.folds(data, seeds)
    label = data.specification.labels[0].key
    plan = plan_evaluation(data, table.protocol, label, folds=folds, ledger=ReadLedger(asked.work / "reads.jsonl"))
    found: dict[str, Experiment] = {}
    systems = table.systems(data)
    for system, predictor in systems.items():
        began = time.process_time()
        folder = asked.work / name / slug(table.title) / slug(system)
        if asked.again and not isinstance(predictor, Floor) and not (folder / "predictions.csv").is_file():
            raise SpecificationError(f"{system} of {table.title} is not stored", remedy="run it without --again")
        found[system] = experiment(plan, predictor, seeds, folder)
        line = found[system].card.lines[0]
        spent = time.process_time() - began
        print(f"{table.title}: {system}: {line.measure.name} {line.mean:.3f} ({spent:.0f} s)", flush=True)
    floors = [system for system, predictor in systems.items() if isinstance(predictor, Floor)]
    found |= {f"{one}, seeds averaged": averaged_over_seeds(found[one], table.protocol) for one in table.averages}
    return Part(table.title, table.text, table.protocol, plan.folds.description, found, floors, table.same)


def experiment(plan: EvaluationPlan[Aligned], predictor: Any, seeds: Sequence[int], folder: Path) -> Experiment:
    """A system on all folds; a floor runs once where the folds do not change."""
    fixed = isinstance(predictor, Floor) and plan.folds.same_for_all_seeds
    return train_and_score(plan, predictor, seeds=seeds[:1] if fixed else seeds, folder=folder, show=False)


def slug(title: str) -> str:
    """Name of a folder."""
    return "".join(sign if sign.isalnum() else "-" for sign in title.lower())


def main() -> int:
    """Make one table's page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ("ravdess", "ravdess-transductive", "ict-mmmo", "mosi-words", "real-life", "mosi-contaminated")
    parser.add_argument("table", choices=names)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--work", type=Path, default=user_folder("supervised"), help="outside the repository")
    parser.add_argument("--out", type=Path, default=PAGES, help="folder of the pages")
    parser.add_argument("--real-life", type=Path, help="extracted corpus of the real-life clips")
    parser.add_argument("--again", action="store_true", help=AGAIN)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    try:
        parts = [run(table, asked.table, asked) for table in tables(asked)]
        write_page(asked.table, parts, asked.out, seeds=asked.seeds, again=asked.again)
    except TriviumError as error:
        print(f"supervised: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
