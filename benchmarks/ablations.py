"""The page docs/results/ablations.md: what each idea, modality, corpus and amount of data is worth in the bench's rows.

usage: TRIVIUM_DATA=FOLDER python benchmarks/ablations.py [--task NAME ...] [--draws 50]

For every task and track of ``trivium probe --suite real`` the declared representation is taken apart: without each of
its parts, each part by itself, one regression in place of one a block, each modality alone and left out, a part of the
unlabelled data, few labels. Everything that learns without labels stands beside statistics and by itself, in one
regression. A last table lets the Fisher vectors of the voice learn from other corpora too, or only.
Cells that an earlier call has kept are not computed again, so the same command goes on after a kill.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ablations_page import write_page
from numpy.typing import NDArray
from results import PAGES, circumstances

from trivium.corpus import Aligned
from trivium.errors import TriviumError
from trivium.evaluate.late_readout import LateReadout
from trivium.evaluate.report import Predictions
from trivium.evaluate.scores import rows_of
from trivium.evaluate.suite.declared import SuiteDeclaration, TaskDeclaration, read_suite
from trivium.evaluate.suite.folds import protocol_of
from trivium.evaluate.suite.material import Material, Track
from trivium.evaluate.suite.places import data_folder
from trivium.evaluate.suite.requests import PartRequest, RowRequest, parsed_row
from trivium.evaluate.suite.results import DivisionResult, Point, TaskResult
from trivium.evaluate.suite.runs import SuiteRun
from trivium.evaluate.suite.sequences import padded, side_by_side
from trivium.evaluate.target import Target, target_of
from trivium.files import sha256_bytes, user_folder, write_json
from trivium.represent import FisherVectors

LABELS = (10, 30, 100)
SHARES = (0.1, 0.3)
MODALITIES: dict[str, dict[str, tuple[str, ...]]] = {
    "ict-mmmo": {"H": ("audio", "vision")},
    "pom": {"H": ("audio", "vision")},
    "ravdess": {},
    "ravdess-units": {"H": ("audio", "vision")},
    "mosi": {},
    "real-life": {"H": ("text", "audio", "vision"), "F": ("text", "audio", "vision", "speech")},
}
"""Tasks with more than one modality, by track; layers of an encoder are no modality."""
COMPARED = ("mean", "mean-std", "functionals")
"""Floors beside which curves are drawn."""
STATISTICS = "statistics"
LEARNED = ("fisher-vectors", "masked-steps", "contrastive", "cross-modal", "vicreg", "untrained", "minirocket")
"""What may stand beside statistics; the last two learn nothing from data but thresholds."""


@dataclass(frozen=True)
class Taken:
    """The declared row of a task, and what is left of it when something is taken away.

    Parameters
    ----------
    whole : RowRequest
        As declared.
    variants : mapping of str to RowRequest
        By what was done.
    """

    whole: RowRequest
    variants: Mapping[str, RowRequest]


def taken_apart(task: TaskDeclaration, track: str) -> Taken:
    """Every variant of the declared row of a task."""
    whole = parsed_row(task.primary[track])
    found: dict[str, RowRequest] = {}
    if len(whole.parts) > 1:
        for part in whole.parts:
            found[f"without {part.text}"] = replace(whole, parts=tuple(p for p in whole.parts if p != part))
        for part in whole.parts:
            found[f"{part.text} alone"] = replace(whole, parts=(part,))
    found["one regression for all blocks"] = replace(whole, readout="linear")
    for one in MODALITIES.get(task.name, {}).get(track, ()):
        others = tuple(name for name in MODALITIES[task.name][track] if name != one)
        found[f"only {one}"] = _of_modalities(whole, (one,))
        if len(others) > 1:
            found[f"without {one}"] = _of_modalities(whole, others)
    return Taken(whole, {name: row for name, row in dict(_different(found)).items() if row.parts})


def _of_modalities(row: RowRequest, kept: Sequence[str]) -> RowRequest:
    limited = []
    for part in row.parts:
        names = tuple(kept) if part.modalities is None else tuple(m for m in part.modalities if m in kept)
        if names:
            limited.append(PartRequest(part.name, names))
    return replace(row, parts=tuple(limited))


def _different(rows: Mapping[str, RowRequest]) -> Iterator[tuple[str, RowRequest]]:
    """Of two names for one row the first."""
    seen: set[RowRequest] = set()
    for name, row in rows.items():
        if row not in seen:
            seen.add(row)
            yield name, row


def ideas(suite: SuiteDeclaration, task: TaskDeclaration, track: Track, resamples: int) -> dict[str, Any]:
    """Difference of every variant to the whole, over all folds of the division that counts, first seed."""
    taken = taken_apart(task, track)
    # the whole row as the only floor: every difference is one to it
    only = replace(suite, floors=(taken.whole.text,))
    rows = tuple(row.text for row in taken.variants.values())
    run = SuiteRun(
        only, tasks=(task.name,), tracks=(track,), rows=rows, seeds=1, resamples=resamples, first_division=True
    )
    division = _only(run).divisions[0]
    lines = {row.text: _line(division, row.text) for row in (taken.whole, *taken.variants.values())}
    return {
        "measure": division.metrics[0],
        "whole": {"row": taken.whole.text, **lines[taken.whole.text]},
        "variants": [{"name": name, "row": row.text, **lines[row.text]} for name, row in taken.variants.items()],
    }


def _only(run: SuiteRun) -> TaskResult:
    result = run.run()
    if not result.tasks:
        raise TriviumError("; ".join(f"{one.task}: {one.why}" for one in result.skipped))
    return result.tasks[0]


def _line(division: DivisionResult, name: str) -> dict[str, Any]:
    found = _found(division, name)
    if found is None:
        raise TriviumError(f"{name} was not measured")
    return found


def _found(division: DivisionResult, name: str) -> dict[str, Any] | None:
    """Score and difference of a row; none where it does not fit the task, such as two modalities where there is one."""
    row = division.row(name)
    if row is None:
        return None
    difference = next(iter(row.differences.values()), None)
    told: dict[str, Any] = {"score": row.mean(division.metrics[0]), "numbers": row.features}
    if difference is not None:
        value, interval = difference
        told |= {"difference": value, "low": interval.low, "high": interval.high}
    return told


def learned(suite: SuiteDeclaration, task: TaskDeclaration, track: Track, resamples: int) -> dict[str, Any]:
    """What learns without labels (and what is random) beside statistics and by itself, in one regression; all seeds."""
    only = replace(suite, floors=(STATISTICS,))
    rows = tuple(text for name in LEARNED for text in (f"{STATISTICS}+{name}", name))
    run = SuiteRun(only, tasks=(task.name,), tracks=(track,), rows=rows, resamples=resamples, first_division=True)
    division = _only(run).divisions[0]
    lines = [(name, _found(division, f"{STATISTICS}+{name}"), _found(division, name)) for name in LEARNED]
    return {
        "measure": division.metrics[0],
        "statistics": _line(division, STATISTICS)["score"],
        "parts": [{"name": name, "beside": both, "alone": alone} for name, both, alone in lines if both and alone],
    }


def amounts(suite: SuiteDeclaration, task: TaskDeclaration, track: Track, draws: int) -> dict[str, Any]:
    """Scores with few labels (drawn anew) and with a part of the unlabelled rows; seed 0 only."""
    second = task.unlearned.get(track)
    floors = tuple(dict.fromkeys((*COMPARED, *([second] if second else []))))
    run = SuiteRun(
        replace(suite, floors=floors), tasks=(task.name,), tracks=(track,), rows=(task.primary[track],),
        labels=LABELS, draws=draws, unlabelled=SHARES, seeds=1, resamples=2, first_division=True,
    )  # fmt: skip
    found = _only(run)
    return {"measure": found.divisions[0].metrics[0], "points": [_point(point) for point in found.ablations]}


def _point(point: Point) -> dict[str, Any]:
    return {"row": point.row, "cut": point.cut, "mean": point.mean, "low": point.low, "high": point.high}


# --- other corpora to learn from ---


@dataclass(frozen=True, eq=False)
class Voices:
    """A task whose voice has the columns of another one's.

    Parameters
    ----------
    task : TaskDeclaration
        Which.
    material : Material
        Its utterances.
    frames : Aligned
        Voice in finer frames.
    target : Target
        Labels.
    """

    task: TaskDeclaration
    material: Material
    frames: Aligned
    target: Target


def voices_of(suite: SuiteDeclaration, name: str) -> Voices:
    """Voice of a task in track H."""
    task = suite.task(name)
    material = task.read(data_folder(None), user_folder("suite"), "H", show=True)
    target = target_of(material.steps, task.labels[0])
    return Voices(task, material, material.frames.select(["audio"]), target.measured_by(task.measures))


def corpora(suite: SuiteDeclaration, names: tuple[str, str], resamples: int) -> list[dict[str, Any]]:
    """Fisher vectors of the voice that learned from a task's own training rows, from another corpus, from both."""
    both = [voices_of(suite, name) for name in names]
    return [
        row for mine, other in (both, both[::-1]) for row in _by_source(suite, mine, other, resamples)
    ]  # fmt: skip


def _by_source(suite: SuiteDeclaration, mine: Voices, other: Voices, resamples: int) -> Iterator[dict[str, Any]]:
    protocol = protocol_of(mine.task.divisions[0], mine.material.steps, mine.task.cluster, (0,))
    sources = {"its own training rows": (True, False), "the other corpus": (False, True), "both": (True, True)}
    shape = (1, len(mine.frames), mine.target.width)
    answers = {name: np.full(shape, np.nan) for name in sources}
    folds = np.full((1, len(mine.frames)), "", dtype="<U40")
    for fold in protocol.of_seed(0):
        folds[0, fold.test] = fold.name
        for name, (own, others) in sources.items():
            parts = [mine.frames[fold.train]] if own else []
            vectors = _learned(mine.frames, [*parts, *([other.frames] if others else [])])
            answers[name][0, fold.test] = _answered(suite, mine, vectors, fold.train, fold.test, protocol.clusters)
    predictions = {name: Predictions((0,), said, folds) for name, said in answers.items()}
    first, measure = next(iter(sources)), mine.target.metrics[0]
    lines = rows_of(
        predictions, dict.fromkeys(sources, 0), mine.target, protocol.clusters, (first,), resamples
    )  # fmt: skip
    for line in lines:
        told: dict[str, Any] = {
            "task": mine.task.name,
            "other": other.task.name,
            "learned_from": line.name,
            "measure": measure,
        }
        told["score"] = line.mean(measure)
        for value, interval in line.differences.values() if line.name != first else ():
            told |= {"difference": value, "low": interval.low, "high": interval.high}
        yield told


def _learned(frames: Aligned, sources: Sequence[Aligned]) -> NDArray[np.float32]:
    """Vectors (N, K) of a mixture that was fitted to the frames of all sources."""
    # one set, so that the columns have the same names whichever corpus they come from
    every = [*sources, frames]
    steps = [v[seen[:, 0]] for source in every for v, seen in zip(source.values, source.cell_mask, strict=True)]
    joint = side_by_side({"audio": padded(steps)}, "voices", [f"{number:05d}" for number in range(len(steps))], (), {})
    learned = len(joint) - len(frames)
    return np.asarray(FisherVectors(random_state=0).fit(joint[:learned]).transform(joint[learned:]), np.float32)


def _answered(
    suite: SuiteDeclaration,
    mine: Voices,
    vectors: NDArray[np.float32],
    train: NDArray[np.int64],
    test: NDArray[np.int64],
    clusters: NDArray[Any],
) -> NDArray[np.float64]:
    functionals = mine.material.vectors("functionals", ("audio",))
    widths = {"functionals": functionals.shape[1], "fisher": vectors.shape[1]}
    x = np.concatenate([functionals, vectors], axis=1)
    readout = LateReadout(widths, regression=suite.regression)
    readout.fit(x[train], mine.target.values[train], groups=clusters[train])
    return np.asarray(readout.predict_proba(x[test]), np.float64)


def main() -> int:
    """Run what was asked for and write page, numbers and figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", action="append", help="only these; default: all")
    parser.add_argument("--draws", type=int, default=50, help="how often labels are drawn")
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap")
    asked = parser.parse_args()
    suite, began = read_suite("real"), time.process_time()
    wanted = [task for task in suite.tasks if not asked.task or task.name in asked.task]
    tracks: dict[str, dict[str, Any]] = {}
    for track in ("H", "F"):
        for task in wanted:
            if track in task.primary and not task.beside:
                tracks.setdefault(track, {})[task.name] = {
                    "ideas": ideas(suite, task, track, asked.resamples),
                    "learned": learned(suite, task, track, asked.resamples),
                    "amounts": amounts(suite, task, track, asked.draws),
                }
    shared = {"ravdess", "real-life"} <= {task.name for task in wanted}
    found = {
        "draws": asked.draws,
        "tracks": tracks,
        "corpora": corpora(suite, ("ravdess", "real-life"), asked.resamples) if shared else [],
    }
    facts = circumstances(sha256_bytes("".join(sorted(task.name for task in wanted)).encode()))
    minutes = (time.process_time() - began) / 60
    made = f"Made on {facts['date']} with `{facts['command']}` ({minutes:.0f} processor minutes in the last call)."
    write_json(PAGES / "ablations.json", {**facts, **found, "cpu_minutes": round(minutes, 1)})
    write_page(found, made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
