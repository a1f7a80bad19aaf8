"""The page docs/results/ablations.md: what each idea, modality, corpus and amount of data is worth in the bench's rows.

usage: TRIVIUM_DATA=FOLDER python benchmarks/ablations.py [--task NAME ...] [--draws 50]

For every task and track of ``trivium probe --suite real`` the declared representation is taken apart: without each of
its parts, each part by itself, one regression in place of one a block, each modality alone and left out, a part of the
unlabelled data, few labels. Everything that learns without labels stands beside statistics and by itself, in one
regression. A last table lets the Fisher vectors of the voice learn from other corpora too, or only. A task that stands
beside another one is taken apart only. Every read of a test fold is recorded in ``suite/ablations`` of the user's
folder. Cells that an earlier call has kept are not computed again, so the same command goes on after a kill.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from ablations_corpora import PAIR, corpora
from ablations_page import write_page
from results import PAGES, circumstances

from trivium.errors import TriviumError
from trivium.evaluate.report import TestReads
from trivium.evaluate.suite.declared import SuiteDeclaration, TaskDeclaration, read_suite
from trivium.evaluate.suite.material import Track
from trivium.evaluate.suite.requests import PartRequest, RowRequest, parsed_row
from trivium.evaluate.suite.results import DivisionResult, Point, TaskResult
from trivium.evaluate.suite.runs import SuiteRun
from trivium.evaluate.suite.sound_columns import LAYERS
from trivium.files import read_json, sha256_bytes, user_folder, write_json

LABELS = (10, 30, 100)
SHARES = (0.1, 0.3)
WHISPER = "layers of Whisper"
MODALITIES: dict[str, dict[str, tuple[str, ...]]] = {
    "ict-mmmo": {"H": ("audio", "vision")},
    "pom": {"H": ("audio", "vision")},
    "ravdess": {"F": ("audio", WHISPER)},
    "ravdess-units": {"H": ("audio", "vision"), "F": ("audio", "vision", WHISPER)},
    "real-life": {"H": ("text", "audio", "vision"), "F": ("text", "audio", "vision", "speech")},
}
"""What can be left out of tasks with more than one source, by track."""
TOGETHER = {WHISPER: tuple(f"layer{number}" for number in LAYERS)}
"""Names that stand for several."""
COMPARED = ("mean", "mean-std", "functionals")
"""Floors beside which curves are drawn."""
STATISTICS = "statistics"
FISHER, UNTRAINED = "fisher-vectors", "untrained-fisher"
LEARNED = (FISHER, UNTRAINED, "masked-steps", "contrastive", "cross-modal", "vicreg", "untrained", "minirocket")
"""What may stand beside statistics; what is untrained takes scales, frames or thresholds from data and no more."""
NUMBERS = PAGES / "ablations.json"
READS = user_folder("suite") / "ablations"
"""Where reads of test folds are recorded."""


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
    found["an untrained mixture"] = _untrained(whole)
    found["one regression for all blocks"] = replace(whole, readout="linear")
    found |= _by_modality(whole, MODALITIES.get(task.name, {}).get(track, ()))
    return Taken(whole, {name: row for name, row in _different(found) if row.parts and row != whole})


def _untrained(row: RowRequest) -> RowRequest:
    """The row with mixtures that were drawn and not learned."""
    parts = tuple(replace(part, name=UNTRAINED) if part.name == FISHER else part for part in row.parts)
    return replace(row, parts=parts)


def _by_modality(row: RowRequest, names: Sequence[str]) -> dict[str, RowRequest]:
    """Each modality alone, and each left out; of two, one alone is the other left out."""
    found: dict[str, RowRequest] = {}
    for one in names:
        found[f"only {one}"] = _of_modalities(row, (one,))
        if len(names) > 2:
            found[f"without {one}"] = _of_modalities(row, [name for name in names if name != one])
    return found


def _of_modalities(row: RowRequest, names: Sequence[str]) -> RowRequest:
    kept = tuple(column for name in names for column in TOGETHER.get(name, (name,)))
    limited = []
    for part in row.parts:
        those = kept if part.modalities is None else tuple(m for m in part.modalities if m in kept)
        if those:
            limited.append(PartRequest(part.name, those))
    return replace(row, parts=tuple(limited))


def _different(rows: Mapping[str, RowRequest]) -> Iterator[tuple[str, RowRequest]]:
    """Of two names for one row the first."""
    seen: set[RowRequest] = set()
    for name, row in rows.items():
        if row not in seen:
            seen.add(row)
            yield name, row


def ideas(suite: SuiteDeclaration, task: TaskDeclaration, track: Track, resamples: int) -> dict[str, Any]:
    """Difference of every variant to the whole, over all folds of the division that counts; all seeds."""
    taken = taken_apart(task, track)
    # the whole row as the only floor: every difference is one to it
    only = replace(suite, floors=(taken.whole.text,))
    rows = tuple(row.text for row in taken.variants.values())
    run = SuiteRun(
        only, out=READS, tasks=(task.name,), tracks=(track,), rows=rows, seeds=task.seeds, resamples=resamples,
        first_division=True,
    )  # fmt: skip
    result = _only(run)
    division = result.divisions[0]
    lines = {row.text: _line(division, row.text) for row in (taken.whole, *taken.variants.values())}
    return {
        "measure": division.metrics[0],
        "seeds": len(result.facts["seeds"]),
        "data_sha256": result.facts["data_sha256"],
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
    """What learns without labels (and what is random) beside statistics and by itself, in one regression."""
    only = replace(suite, floors=(STATISTICS,))
    rows = tuple(text for name in LEARNED for text in (f"{STATISTICS}+{name}", name))
    seeds = task.seeds if task.divisions[0].folds == "repeated" else 1  # folds made anew, or hours of training
    run = SuiteRun(
        only, out=READS, tasks=(task.name,), tracks=(track,), rows=rows, seeds=seeds, resamples=resamples,
        first_division=True,
    )  # fmt: skip
    division = _only(run).divisions[0]
    lines = [(name, _found(division, f"{STATISTICS}+{name}"), _found(division, name)) for name in LEARNED]
    return {
        "measure": division.metrics[0],
        "statistics": _line(division, STATISTICS)["score"],
        "parts": [{"name": name, "beside": both, "alone": alone} for name, both, alone in lines if both and alone],
    }


def amounts(suite: SuiteDeclaration, task: TaskDeclaration, track: Track, draws: int) -> dict[str, Any]:
    """Scores with few labels (drawn anew) and with a part of the unlabelled rows; seed 0 only.

    The declared parts stand there in one regression too, so that readout and columns can be told apart.
    """
    whole = parsed_row(task.primary[track])
    second = task.twins.get(track, {}).get("unlearned")
    floors = tuple(dict.fromkeys((*COMPARED, *([second] if second else []), replace(whole, readout="linear").text)))
    run = SuiteRun(
        replace(suite, floors=floors), out=READS, tasks=(task.name,), tracks=(track,), rows=(whole.text,),
        labels=LABELS, draws=draws, unlabelled=SHARES, seeds=1, resamples=2, first_division=True,
    )  # fmt: skip
    found = _only(run)
    return {"measure": found.divisions[0].metrics[0], "points": [_point(point) for point in found.ablations]}


def _point(point: Point) -> dict[str, Any]:
    return {"row": point.row, "cut": point.cut, "mean": point.mean, "low": point.low, "high": point.high}


def tables(suite: SuiteDeclaration, task: TaskDeclaration, track: Track, asked: argparse.Namespace) -> dict[str, Any]:
    """All that is asked of a task in a track; one that stands beside another is taken apart only."""
    found = {"ideas": ideas(suite, task, track, asked.resamples)}
    if not task.beside:
        found["learned"] = learned(suite, task, track, asked.resamples)
        found["amounts"] = amounts(suite, task, track, asked.draws)
    return found


def joined(suite: SuiteDeclaration, now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What was asked for now, and of other tasks what the page held before, in the suite's order."""
    found: dict[str, dict[str, Any]] = {}
    for track in get_args(Track):
        known = {**before.get(track, {}), **now.get(track, {})}
        there = {task.name: known[task.name] for task in suite.tasks if task.name in known}
        if there:
            found[track] = there
    return found


def main() -> int:
    """Run what was asked for and write page, numbers and figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", action="append", help="only these, the others as the page has them; default: all")
    parser.add_argument("--draws", type=int, default=50, help="how often labels are drawn")
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap")
    asked = parser.parse_args()
    suite, began = read_suite("real"), time.process_time()
    wanted = [task for task in suite.tasks if not asked.task or task.name in asked.task]
    tracks: dict[str, dict[str, Any]] = {}
    for track in get_args(Track):
        for task in wanted:
            if track in task.primary:
                tracks.setdefault(track, {})[task.name] = tables(suite, task, track, asked)
    shared = set(PAIR) <= {task.name for task in wanted}
    rows = corpora(suite, PAIR, asked.resamples, READS) if shared else []
    before = read_json(NUMBERS) if asked.task and NUMBERS.is_file() else {"tracks": {}, "corpora": []}
    tracks = joined(suite, tracks, before["tracks"])
    rows = rows or before["corpora"]
    found = {"draws": asked.draws, "tracks": tracks, "corpora": rows, "test_reads": TestReads(READS).total}
    digests = [one["ideas"]["data_sha256"] for tasks in tracks.values() for one in tasks.values()]
    digests += [row["data_sha256"] for row in rows]
    facts = circumstances(sha256_bytes("".join(dict.fromkeys(digests)).encode()))
    minutes = (time.process_time() - began) / 60
    made = (
        f"Made on {facts['date']} with `{facts['command']}` ({minutes:.0f} processor minutes in the last call; data "
        f"SHA-256 {facts['data_sha256'][:16]}; source SHA-256 {facts['source_sha256'][:16]})."
    )
    write_json(NUMBERS, {**facts, **found, "cpu_minutes": round(minutes, 1)})
    write_page(found, made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
