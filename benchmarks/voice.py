"""Trivium's voice columns beside openSMILE's eGeMAPS: agreement by frame, known answers, and use, on RAVDESS.

usage: TRIVIUM_DATA=FOLDER python benchmarks/voice.py --reference PYTHON [--work FOLDER] [--out FOLDER]

PYTHON is that of an environment with openSMILE and Praat (``pip install opensmile==2.6.0 praat-parselmouth==0.4.7
pandas``; openSMILE for non-commercial comparison only); it runs ``voice_reference.py`` once and its answers are kept in
the work folder. Writes docs/results/voice.json and voice.md.

Agreement is measured on 100 clips drawn with seed 0; what was chosen by looking (which definition of flux, when
openSMILE's jitter looks) was chosen on 100 others. Use: statistics of the columns, fixed before any score was seen,
and the project's readout (standardised logistic regression, C by inner folds of actors), six folds of four actors.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from results import PAGES, ROOT, circumstances
from sklearn.exceptions import ConvergenceWarning
from voice_agreement import (
    DESCRIPTOR,
    FOLLOWED,
    PAIRS,
    agreement,
    formants_beside_praat,
    known_answers,
    reached,
)
from voice_signals import RATE, signals

from trivium.errors import TriviumError
from trivium.evaluate import grouped_folds
from trivium.evaluate.bootstrap import cluster_bootstrap
from trivium.evaluate.readout import GRID, LinearReadout
from trivium.evaluate.suite.voice_functionals import Layout, flattened, layout_of_voice, statistics
from trivium.extract.audio.voice import voice_stream
from trivium.extract.source.media import open_clip
from trivium.files import atomic_file, sha256_bytes, sha256_file, write_json
from trivium.metrics import unweighted_average_recall

SEED, COMPARED, FOLDS = 0, 100, 6
WANTED = 0.514
BEGAN = 48
Values = NDArray[Any]


@dataclass(frozen=True)
class Clips:
    """The clips of RAVDESS in the order of their names: file, emotion and actor of each."""

    files: dict[str, Path]
    emotion: NDArray[np.str_]
    actor: NDArray[np.int64]

    @classmethod
    def read(cls) -> Clips:
        """From the folder of the real data."""
        folder = Path(os.environ.get("TRIVIUM_DATA", "")) / "ravdess"
        if not (folder / "meta.csv").is_file():
            raise TriviumError(f"{folder} holds no meta.csv", remedy="set TRIVIUM_DATA to the folder of the real data")
        with (folder / "meta.csv").open(encoding="utf-8") as file:
            rows = sorted(csv.DictReader(file), key=lambda row: row["stem"])
        return cls(
            {row["stem"]: folder / "clips" / f"{row['stem']}.flac" for row in rows},
            np.array([row["emotion_name"] for row in rows]),
            np.array([int(row["stem"].split("-")[-1]) for row in rows]),
        )

    def compared(self) -> list[str]:
        """Names of the clips that are compared by frame."""
        drawn = np.random.default_rng(SEED).permutation(len(self.files))[:COMPARED]
        return [list(self.files)[i] for i in sorted(drawn)]


def decoded(path: Path) -> Values:
    """Sound of a clip at 16 kHz."""
    sound = open_clip(path).sound()
    if sound is None:
        raise TriviumError(f"{path} has no sound")
    return sound


def reference(work: Path, python: str, sounds: Mapping[str, Values], asked: Mapping[str, Any]) -> dict[str, Values]:
    """What openSMILE and Praat say; measured once."""
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "versions.json").is_file():
        np.savez(str(work / "sounds.npz"), allow_pickle=False, **sounds)
        write_json(work / "asked.json", asked)
        subprocess.run([python, str(ROOT / "benchmarks" / "voice_reference.py"), str(work)], check=True)
        (work / "sounds.npz").unlink()
    with np.load(work / "reference.npz") as found:
        return {name: found[name] for name in found.files}


def part(found: Mapping[str, Values], kind: str, names: Sequence[str]) -> dict[str, Values]:
    """Answers of one kind by sound."""
    return {name: found[f"{kind}/{name}"] for name in names}


def layouts() -> tuple[Layout, Layout, Layout]:
    """Layouts of all columns, of those that the set began with, and of openSMILE's."""
    theirs = [i for i, pair in enumerate(PAIRS) if pair.voice]
    rest = [i for i, pair in enumerate(PAIRS) if not pair.voice]
    return (
        layout_of_voice(),
        layout_of_voice(BEGAN),
        Layout(theirs, rest, 10, 0),
    )


def vectors(ours: Mapping[str, Values], found: Mapping[str, Values]) -> dict[str, Values]:
    """Everything that is compared by use, one row a clip."""
    whole, began, smile = layouts()
    tables = [values.astype(np.float64) for values in ours.values()]
    theirs = [values.astype(np.float64) for values in part(found, "descriptors", list(ours)).values()]
    return {
        "length of the clip": np.array([[len(v)] for v in tables], np.float64),
        "mean": np.array([v.mean(axis=0) for v in tables]),
        "mean and spread": np.array([np.concatenate([v.mean(axis=0), v.std(axis=0)]) for v in tables]),
        "openSMILE: eGeMAPS functionals": np.array(list(part(found, "functionals", list(ours)).values())),
        "openSMILE: statistics of its 25 descriptors": np.array([statistics(v, smile) for v in theirs]),
        "statistics of the first 48 columns": np.array([statistics(v, began) for v in tables]),
        "statistics of all columns": np.array([statistics(v, whole) for v in tables]),
        "flattened, 20 parts": np.array([flattened(v) for v in tables]),
    }


def use(clips: Clips, tables: Mapping[str, Values], work: Path) -> list[dict[str, Any]]:
    """Recall of every table by fold, and beside openSMILE's functionals."""
    folds = [fold.test for fold in grouped_folds(clips.actor, FOLDS, name="actor").of_seed(0)]
    guesses = {"majority": majority(clips)}
    for name, table in tables.items():
        guesses[name] = read_out(clips, table, work)
        print(f"{name}: {unweighted_average_recall(clips.emotion, guesses[name]):.3f}", flush=True)
    against = guesses["openSMILE: eGeMAPS functionals"]
    return [
        {"name": name, "columns": tables[name].shape[1] if name in tables else 0} | scores(clips, guess, against, folds)
        for name, guess in guesses.items()
    ]


def majority(clips: Clips) -> NDArray[np.str_]:
    """The commonest emotion of the training actors."""
    guess = np.full(len(clips.actor), "", dtype="<U16")
    for fold in grouped_folds(clips.actor, FOLDS, name="actor").of_seed(0):
        names, counts = np.unique(clips.emotion[fold.train], return_counts=True)
        guess[fold.test] = names[counts.argmax()]
    return guess


def read_out(clips: Clips, data: Values, work: Path) -> NDArray[np.str_]:
    """What the readout says of every clip, learned from other actors; kept, for it takes a minute."""
    kept = work / f"said-{sha256_bytes(np.ascontiguousarray(data).tobytes())[:16]}.npy"
    if kept.is_file():
        return np.asarray(np.load(kept, allow_pickle=False), np.str_)
    guess = np.full(len(clips.actor), "", dtype="<U16")
    for fold in grouped_folds(clips.actor, FOLDS, name="actor").of_seed(0):
        rows = fold.train
        readout = LinearReadout("classes").fit(data[rows], clips.emotion[rows], groups=clips.actor[rows])
        guess[fold.test] = readout.predict(data[fold.test])
    np.save(kept, guess)
    return guess


def scores(
    clips: Clips, guess: NDArray[np.str_], against: NDArray[np.str_], folds: Sequence[NDArray[np.int64]]
) -> dict[str, Any]:
    """Recall by fold, over all, and beside openSMILE's functionals, with intervals that resample actors."""

    def recall(rows: NDArray[np.int64], said: NDArray[np.str_] = guess) -> float:
        return unweighted_average_recall(clips.emotion[rows], said[rows])

    by_fold = [recall(rows) for rows in folds]
    whole = cluster_bootstrap(recall, clips.actor, seed=SEED)
    ahead = cluster_bootstrap(lambda rows: recall(rows) - recall(rows, against), clips.actor, seed=SEED)
    rows = np.arange(len(guess))
    return {
        "recall": round(float(np.mean(by_fold)), 3),
        "spread": round(float(np.std(by_fold, ddof=1)), 3),
        "folds": [round(score, 3) for score in by_fold],
        "interval": [round(whole.low, 3), round(whole.high, 3)],
        "ahead_of_functionals": round(recall(rows) - recall(rows, against), 3),
        "ahead_interval": [round(ahead.low, 3), round(ahead.high, 3)],
    }


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Everything, as one report."""
    clips, made = Clips.read(), signals()
    sounds = {name: decoded(path) for name, path in clips.files.items()} | made
    compared, names = clips.compared(), list(clips.files)
    wanted = {"functionals": names, "formants": [*compared, *made]}
    data = sha256_bytes("".join(sha256_file(path) for path in clips.files.values()).encode())
    key = sha256_bytes(data.encode() + b"".join(sound.tobytes() for sound in made.values()))
    work = asked.work / key[:16]
    found = reference(work, asked.reference, sounds, wanted)
    began = time.process_time()
    ours = {name: voice_stream(sounds[name]).values for name in names}
    cpu = time.process_time() - began
    minutes = sum(sounds[name].size for name in names) / RATE / 60
    ours_here = {name: ours[name] for name in compared}
    theirs = part(found, "descriptors", compared)
    synthetic = {name: voice_stream(sound).values for name, sound in made.items()}
    rows = [agreement(i, ours_here, theirs, pair.ours) for i, pair in enumerate(PAIRS)]
    followed = [agreement(DESCRIPTOR[its], ours_here, theirs, name) for its, name in FOLLOWED.items()]
    best = [next((f for f in followed if f["descriptor"] == row["descriptor"]), row) for row in rows]
    return {
        **circumstances(data),
        "command": "python benchmarks/voice.py --reference PYTHON",  # whose folders say nothing to others
        "references": json.loads((work / "versions.json").read_text(encoding="utf-8")),
        "seed": SEED,
        "clips": {"compared": len(compared), "used": len(names), "minutes": round(minutes, 1)},
        "cpu_seconds_per_minute": round(cpu / minutes, 2),
        "agreement": rows,
        "followed": followed,
        "reached": reached(rows),
        "reached_with_what_it_follows": reached(best),
        "formants": formants_beside_praat(ours_here, theirs, part(found, "formants", compared)),
        "known": known_answers(synthetic, part(found, "descriptors", list(made)), part(found, "formants", list(made))),
        "grid": GRID,
        "wanted": WANTED,
        "use": use(clips, vectors(ours, found), work),
    }


def page(report: Mapping[str, Any]) -> str:
    """The tables; the text around them is in ``voice_page.md``."""
    parts = {
        "agreement": table(report["agreement"], "descriptor column median quarter median_of_ranks pooled clips"),
        "followed": table(report["followed"], "descriptor column median quarter median_of_ranks pooled clips"),
        "formants": table(report["formants"], "formant of median_r median_off_hz"),
        "known": table(report["known"], "what truth trivium openSMILE Praat"),
        "use": table(report["use"], "name columns recall spread interval ahead_of_functionals ahead_interval folds"),
    }
    told = ", ".join(f"{name} {number}" for name, number in {**report["versions"], **report["references"]}.items())
    facts = {
        "made": f"{report['date']} with `{report['command']}` ({report['machine']}; {told}; data SHA-256 "
        f"{report['data_sha256'][:16]}; source SHA-256 {report['source_sha256'][:16]}; seed {report['seed']})",
        **{f"reached {least}": str(count) for least, count in report["reached"].items()},
        **{f"follows {least}": str(count) for least, count in report["reached_with_what_it_follows"].items()},
        "cpu": str(report["cpu_seconds_per_minute"]),
        "minutes": str(report["clips"]["minutes"]),
        "grid": report["grid"],
    }
    text = Path(__file__).with_name("voice_page.md").read_text(encoding="utf-8")
    for name, value in {**parts, **facts}.items():
        text = text.replace("{" + name + "}", value)
    return text


def table(rows: Sequence[Mapping[str, Any]], columns: str) -> str:
    """Rows as a Markdown table."""
    names = columns.split()
    lines = ["| " + " | ".join(name.replace("_", " ") for name in names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(cell(row[name]) for name in names) + " |" for row in rows]
    return "\n".join(lines)


def cell(value: object) -> str:
    """A value as it is shown."""
    if isinstance(value, list):
        return " ".join(f"{number:.3f}" for number in value)
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> int:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", required=True, metavar="PYTHON", help="has openSMILE and Praat")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "voice", help="folder of the references' answers")
    parser.add_argument("--out", type=Path, default=PAGES, help="folder of the pages")
    asked = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    try:
        report = measure(asked)
    except TriviumError as error:
        print(f"voice: {error}", file=sys.stderr)
        return 2
    write_json(asked.out / "voice.json", report)
    with atomic_file(asked.out / "voice.md") as draft:
        draft.write_text(page(report), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
