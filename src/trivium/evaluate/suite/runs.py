"""A suite at work: task by task, row by row, fold by fold, every cell kept."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np

from trivium.errors import DataError, FormatError, SpecificationError
from trivium.evaluate.protocols import Protocol
from trivium.evaluate.readout import GRID
from trivium.evaluate.report import TestReads
from trivium.evaluate.suite.cells import EVERYTHING, Bench, Cut
from trivium.evaluate.suite.compared import Roles, compared
from trivium.evaluate.suite.contrast import Contrasts
from trivium.evaluate.suite.declared import Division, SuiteDeclaration, TaskDeclaration
from trivium.evaluate.suite.folds import protocol_of
from trivium.evaluate.suite.material import Material, Track
from trivium.evaluate.suite.measured import Measured
from trivium.evaluate.suite.parts import OF_THE_RECORDING, PartVectors, require_options
from trivium.evaluate.suite.places import absent_files, data_folder, missing_models
from trivium.evaluate.suite.requests import RowRequest, parsed_row
from trivium.evaluate.suite.results import (
    DivisionResult,
    Point,
    Skipped,
    SuiteResult,
    TaskResult,
    corrected_tasks,
)
from trivium.evaluate.target import Target, target_of
from trivium.files import user_folder
from trivium.progress import Bar, progress_bar

__all__ = ["SuiteRun"]


@dataclass(frozen=True, eq=False)
class SuiteRun:
    """What is asked of a suite.

    Parameters
    ----------
    suite : SuiteDeclaration
        Tasks, floors and rows.
    data : path, optional
        Folder of the real sets; else what ``TRIVIUM_DATA`` names.
    work : path, optional
        Where columns, vectors and cells are kept; else in the user's folder.
    out : path, optional
        Where reads of test folds are recorded.
    tracks : tuple of str
        H, F or both.
    tasks : tuple of str
        Which; empty: all.
    rows : tuple of str
        Representations instead of the declared ones; the first one takes the place of the declared contrast.
    leave_out : tuple of str
        Floors and rows that are not measured.
    given : mapping of str to estimator
        Representations by name that are in no registry.
    options : mapping
        Of all representations that have them.
    modalities : tuple of str
        Only these; empty: all.
    seeds : int
        How many, for all rows; 0: as declared, but of rows outside the contrasts one where folds do not change.
    resamples : int
        Of the bootstrap; 0: as declared.
    first_division : bool
        Only the division that counts.
    labels : tuple of int
        Ablation: that many labels, drawn `draws` times.
    draws : int
        How often labels are drawn.
    unlabelled : tuple of float
        Ablation: shares of the training clusters that representations are fitted on.
    kept : bool
        Compute nothing: tables of rows whose cells earlier runs kept, the others being named. What earlier runs had
        to extract is taken to be there.
    progress : bool
        Show progress.

    Raises
    ------
    SpecificationError
        A track, task, row or share does not exist.

    Examples
    --------
    >>> from trivium.evaluate.suite.declared import read_suite
    >>> run = SuiteRun(read_suite("real"), tasks=("mosi",), tracks=("F",))
    >>> [task.name for task in run.chosen]
    ['mosi']
    """

    suite: SuiteDeclaration
    data: str | os.PathLike[str] | None = None
    work: str | os.PathLike[str] | None = None
    out: str | os.PathLike[str] | None = None
    tracks: tuple[str, ...] = ("H", "F")
    tasks: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    modalities: tuple[str, ...] = ()
    seeds: int = 0
    resamples: int = 0
    first_division: bool = False
    labels: tuple[int, ...] = ()
    draws: int = 50
    unlabelled: tuple[float, ...] = ()
    kept: bool = False
    progress: bool = True

    def __post_init__(self) -> None:
        unknown = [track for track in self.tracks if track not in get_args(Track)]
        if unknown or not self.tracks:
            raise SpecificationError(f"there is no track {', '.join(unknown)}", remedy="choose H, F or both")
        if any(count < 2 for count in self.labels) or any(not 0 < share <= 1 for share in self.unlabelled):
            raise SpecificationError("labels are at least 2, shares of unlabelled data between 0 and 1")
        for task in self.tasks:
            self.suite.task(task)
        ours = [row for task in self.suite.tasks for track in task.primary for row in self._declared(task, track)]
        known = {parsed_row(row).text for row in (*self.rows, *self.suite.floors, *ours)}
        if self.options or self.rows:  # a name that nothing has is told before the data are read
            asked = {parsed_row(row) for row in (*self.suite.floors, *(self.rows or known))}
            names = [part.name for row in asked if row.text not in self.leave_out for part in row.parts]
            require_options(self.options, sorted(names), self.suite.parts, self.given)
        for asked_for in self.chosen if not self.rows else ():
            for track in self.tracks:
                if track in asked_for.primary and parsed_row(asked_for.primary[track]).text in self.leave_out:
                    raise _without_primary(asked_for, track)
        strange = [row for row in self.leave_out if row not in known]
        if strange:
            raise SpecificationError(
                f"there is no row {strange[0]!r}", remedy=f"choose from {', '.join(sorted(known))}"
            )

    @property
    def chosen(self) -> tuple[TaskDeclaration, ...]:
        """Tasks that are asked for, in the suite's order."""
        return tuple(task for task in self.suite.tasks if not self.tasks or task.name in self.tasks)

    def run(self, finished: Callable[[SuiteResult], None] | None = None) -> SuiteResult:
        """Measure everything that can be measured.

        Parameters
        ----------
        finished : callable, optional
            Given what there is after every task, so that a run that is killed leaves its tables behind.

        Raises
        ------
        DataError
            There is no folder of data.
        """
        folder = data_folder(self.data)
        done: list[TaskResult] = []
        skipped: list[Skipped] = []
        began = time.process_time()
        for track in self.tracks:
            for task in self.chosen:
                why = self._hindrance(task, track, folder)
                if why:
                    skipped.append(Skipped(task.name, track, why))
                    continue
                try:
                    material = task.read(folder, self._work, track, show=self.progress)  # type: ignore[arg-type]
                except (DataError, FormatError) as fault:  # what is wrong with one set must not cost the others
                    skipped.append(Skipped(task.name, track, str(fault).rstrip(".")))
                    continue
                try:
                    done.append(self._task(task, track, material))
                except _NotRun as fault:
                    skipped.append(Skipped(task.name, track, str(fault)))
                    continue
                if finished is not None:
                    finished(self._result(done, skipped, began))
        return self._result(done, skipped, began)

    def _hindrance(self, task: TaskDeclaration, track: str, folder: Path) -> str:
        """Why a task cannot be measured in a track; empty where it can."""
        if track in task.without:
            return task.without[track]
        absent = absent_files(folder, task.needs)
        if absent:
            return f"{', '.join(absent)} is not in {folder}; it comes with {task.comes_from}"
        models = missing_models(task.models.get(track, ()))
        return f"models are missing: `trivium upstream fetch {' '.join(models)}`" if models else ""

    def _result(self, done: Sequence[TaskResult], skipped: Sequence[Skipped], began: float) -> SuiteResult:
        tasks: list[TaskResult] = []
        for track in self.tracks:
            tasks += corrected_tasks([one for one in done if one.track == track])
        settings = {
            "grid": GRID,
            "regression": self.suite.regression,
            "choice": self.suite.choice,
            "resamples": self._resamples,
            "options": {name: repr(value) for name, value in self.options.items()},
            "parts": {
                name: {"of": part.of, "view": part.view, **part.options} for name, part in self.suite.parts.items()
            },
            "declared": not self.rows and not self.options,
            "tasks_left_out": [task.name for task in self.suite.tasks if task not in self.chosen],
            "not_measured": {track: self._absent(track, tasks) for track in self.tracks},
            "modalities": list(self.modalities),
            "left_out": list(self.leave_out),
            "draws": self.draws if self.labels else 0,
            "cpu_minutes": round((time.process_time() - began) / 60, 1),
        }
        tracks = {track: self.suite.tracks[track] for track in self.tracks}
        return SuiteResult(self.suite.title, tracks, tuple(tasks), tuple(skipped), settings)

    def _absent(self, track: str, measured: Sequence[TaskResult]) -> list[str]:
        """Tasks that count in a track and have no result."""
        there = {one.task.name for one in measured if one.track == track}
        counting = [task for task in self.suite.tasks if track in task.primary and not task.beside]
        return [task.name for task in counting if task.name not in there]

    @property
    def _resamples(self) -> int:
        return self.resamples or self.suite.resamples

    @property
    def _work(self) -> Path:
        return Path(self.work) if self.work is not None else user_folder("suite")

    def _task(self, task: TaskDeclaration, track: str, material: Material) -> TaskResult:
        if self.modalities:
            kept = [name for name in material.modalities if name in self.modalities]
            if not kept:
                raise SpecificationError(
                    f"{task.name} has none of the modalities {', '.join(self.modalities)}",
                    remedy=f"choose from {', '.join(material.modalities)}",
                )
            material = material.select(kept)
        target = _target(task, material)
        bench = self._bench(task, material, target)
        seeds = tuple(range(self.seeds or task.seeds))
        roles = self._roles(task, track, material)
        bench.contrasted = None if self.seeds else frozenset((roles.rows[0], *roles.twins.values()))
        found: list[tuple[DivisionResult, Contrasts, dict[str, float]]] = []
        for division in task.divisions[:1] if self.first_division else task.divisions:
            try:
                found.append(self._division(task, division, bench, material, roles, seeds))
            except _NotRun:  # the division that counts must be there; the others stand beside it
                if not found:
                    raise
        clusters = protocol_of(task.divisions[0], material.steps, task.cluster, seeds).clusters
        facts = {
            "utterances": len(material),
            "clusters": len(np.unique(clusters)),
            "cluster": task.cluster or "utterance",
            "columns": {s.modality: s.dim for s in material.steps.specification.streams},
            "steps": material.steps.shape[1],
            "frames": material.frames.shape[1],
            "seeds": list(seeds),
            "data_sha256": material.digest,
            "seconds": {name: round(value, 1) for name, value in found[0][2].items()},
        }
        points = self._ablations(task, bench, material, roles, seeds)
        facts |= {"test_reads": len(bench.used), "cuts_left_out": self._cuts_left_out(task, material, seeds)}
        return TaskResult(task, track, tuple(one[0] for one in found), found[0][1], facts, points)

    def _bench(self, task: TaskDeclaration, material: Material, target: Target) -> Bench:
        vectors = PartVectors(
            material, self.suite.parts, self.options, self.given, task.cluster, self._work / "vectors"
        )
        speakers = material.steps.group(task.cluster) if task.cluster else material.steps.ids
        return Bench(vectors, target, speakers, self._work / "cells", TestReads(self.out), self.suite.regression)

    def _roles(self, task: TaskDeclaration, track: str, material: Material) -> Roles:
        """Floors and representations of a task; the first representation is that of the contrast."""
        own = [parsed_row(row) for row in (self.rows or self._declared(task, track))]
        floors = tuple(row for row in map(parsed_row, self.suite.floors) if self._fits(row, material))
        rows = tuple(row for row in dict.fromkeys(own) if row not in floors and self._fits(row, material))
        if not floors or not rows:
            what = "representation beside its floors" if floors else "floor"
            raise SpecificationError(f"{task.name} is left without a {what}", remedy="ask for one more row")
        if self.rows:
            return Roles(floors, rows)
        if rows[0] != parsed_row(task.primary[track]):
            raise _without_primary(task, track)
        twins = {name: parsed_row(row) for name, row in task.twins.get(track, {}).items()}
        harder = frozenset((*map(parsed_row, self.suite.harder), *twins.values()))
        return Roles(floors, rows, twins, harder).only((*floors, *rows))

    def _declared(self, task: TaskDeclaration, track: str) -> tuple[str, ...]:
        return (task.primary[track], *task.twins.get(track, {}).values(), *self.suite.harder, *self.suite.rows)

    def _fits(self, row: RowRequest, material: Material) -> bool:
        if row.text in self.leave_out:
            return False
        least = max((self.suite.parts[p.name].least_modalities for p in row.parts if p.name in self.suite.parts),
                    default=1)  # fmt: skip
        lacking = any(part.name in OF_THE_RECORDING and not material.has(part.name) for part in row.parts)
        return len(material.modalities) >= least and not lacking

    def _division(
        self,
        task: TaskDeclaration,
        division: Division,
        bench: Bench,
        material: Material,
        roles: Roles,
        seeds: tuple[int, ...],
    ) -> tuple[DivisionResult, Contrasts, dict[str, float]]:
        target = bench.target.measured_by(division.measures) if division.measures else bench.target
        protocol = protocol_of(division, material.steps, task.cluster, seeds)
        ours, every = roles.rows[0], (*roles.floors, *roles.rows)
        wanted = [row for row in every if not division.rows or row.text in division.rows or row is ours]
        lacking = [row for row in wanted if self.kept and not bench.has(row, protocol, seeds)]
        roles = roles.only([row for row in wanted if row not in lacking])
        if ours in lacking or not roles.floors:
            raise _NotRun(f"{ours.text} or its floors have not been run")
        both = (*roles.floors, *roles.rows)
        measured = self._measured(f"{task.name}: {division.name}", bench, both, protocol, seeds)
        lines, contrasts = compared(measured, roles, target, protocol, seeds, self._resamples)
        absent = tuple(row.text for row in lacking)
        found = DivisionResult(division.name, protocol.description, target.metrics, lines, absent)
        return found, contrasts, {name: one.seconds for name, one in measured.items()}

    def _measured(
        self,
        title: str,
        bench: Bench,
        rows: tuple[RowRequest, ...],
        protocol: Protocol,
        seeds: tuple[int, ...],
        cut: Cut = EVERYTHING,
    ) -> dict[str, Measured]:
        """Answers of all rows, one row after another: whole rows are there early."""
        order = [
            (seed, fold, row)
            for row in rows
            for seed in bench.seeds_of(row, protocol, seeds)
            for fold in protocol.of_seed(seed)
        ]
        found = {row.text: Measured.empty(bench, row, protocol, seeds) for row in rows}
        with progress_bar(title, len(order), show=self.progress) as bar:
            for seed, fold, row in order:
                bar.note(f"{row.text}, seed {seed}, fold {fold.name}")
                began = bench.reads.total
                cell = bench.cell(row, seed, fold, protocol.clusters, cut)
                found[row.text].take(cell, seed, fold)
                _advance(bar, worked=bench.reads.total > began)
        return found

    def _ablations(
        self,
        task: TaskDeclaration,
        bench: Bench,
        material: Material,
        roles: Roles,
        seeds: tuple[int, ...],
    ) -> tuple[Point, ...]:
        protocol = protocol_of(task.divisions[0], material.steps, task.cluster, seeds)
        cuts = [cut for cut in self._cuts if _can_be_had(cut, protocol)]
        if not cuts:
            return ()
        both, points = (*roles.floors, *roles.rows), []
        for cut in (*cuts, EVERYTHING):
            title = f"{task.name}: {cut.text}"
            points += list(self._points(title, bench, both, protocol, seeds, cut))
        return tuple(points)

    @property
    def _cuts(self) -> list[Cut]:
        cuts = [Cut(labels=count, draws=self.draws) for count in self.labels]
        return [*cuts, *(Cut(unlabelled=share) for share in self.unlabelled)]

    def _cuts_left_out(self, task: TaskDeclaration, material: Material, seeds: tuple[int, ...]) -> list[str]:
        """Cuts that some fold of a task has too few rows for."""
        protocol = protocol_of(task.divisions[0], material.steps, task.cluster, seeds)
        return [cut.text for cut in self._cuts if not _can_be_had(cut, protocol)]

    def _points(
        self,
        title: str,
        bench: Bench,
        rows: tuple[RowRequest, ...],
        protocol: Protocol,
        seeds: tuple[int, ...],
        cut: Cut,
    ) -> Iterator[Point]:
        measured = self._measured(title, bench, rows, protocol, seeds, cut)
        for row in rows:
            values = measured[row.text].scores(bench.target)
            low, high = np.percentile(values, [2.5, 97.5])
            yield Point(row.text, cut.text, float(np.mean(values)), float(low), float(high), len(values))


class _NotRun(Exception):
    """Nothing was kept of what counts."""


def _without_primary(task: TaskDeclaration, track: str) -> SpecificationError:
    return SpecificationError(
        f"{task.name} is left without the row that its contrast was declared for, {task.primary[track]}",
        remedy="keep that row, or name rows of your own, of which the first one is compared",
    )


def _can_be_had(cut: Cut, protocol: Protocol) -> bool:
    return all(cut.can_be_had(fold) for fold in protocol.folds)


def _target(task: TaskDeclaration, material: Material) -> Target:
    every = [label.key for label in material.steps.specification.labels]
    keys = every if task.labels == ("*",) else list(task.labels)
    found = target_of(material.steps, keys if len(keys) > 1 else keys[0])
    return found.measured_by(task.measures) if task.measures else found


def _advance(bar: Bar, *, worked: bool) -> None:
    bar.advance(worked=worked)
