"""What a suite found: tables by task and track, contrasts, verdicts, what was skipped and why."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from trivium.evaluate.report import Row
from trivium.evaluate.suite.contrast import Contrast, Contrasts, Verdict, corrected, verdict_of
from trivium.evaluate.suite.declared import TaskDeclaration
from trivium.metrics import metric

__all__ = ["DivisionResult", "Point", "Skipped", "SuiteResult", "TaskResult", "corrected_tasks", "number"]


@dataclass(frozen=True)
class Skipped:
    """A task that was not measured in a track.

    Parameters
    ----------
    task, track, why : str
        Which, and what is missing.
    """

    task: str
    track: str
    why: str


@dataclass(frozen=True)
class Point:
    """One row under an ablation.

    Parameters
    ----------
    row, cut : str
        Which row; how much of the training rows took part.
    mean, low, high : float
        Over draws and seeds: mean, and the range of 95 % of them.
    count : int
        How many.
    """

    row: str
    cut: str
    mean: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, eq=False)
class DivisionResult:
    """One way of dividing a task.

    Parameters
    ----------
    name, protocol : str
        What it is called, and one sentence.
    metrics : tuple of str
        The first one decides.
    rows : tuple of Row
        Floors first, then the picked floor, then representations.
    not_run : tuple of str
        Rows that are declared and were not run here.
    """

    name: str
    protocol: str
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    not_run: tuple[str, ...] = ()

    def row(self, name: str) -> Row | None:
        """Give a line by name, None where there is none."""
        return next((row for row in self.rows if row.name == name), None)

    def to_json(self) -> dict[str, Any]:
        """Plain builtins; null where a number is not defined."""
        return {
            "name": self.name,
            "protocol": self.protocol,
            "metrics": list(self.metrics),
            "rows": [_row(row, self.metrics) for row in self.rows],
            "not_run": list(self.not_run),
        }


@dataclass(frozen=True, eq=False)
class TaskResult:
    """One task in one track.

    Parameters
    ----------
    task : TaskDeclaration
        What was asked.
    track : str
        H or F.
    divisions : tuple of DivisionResult
        The first one counts.
    contrasts : Contrasts
        Of the first one.
    facts : mapping
        Utterances, clusters, modalities with their columns, hash of the data, seconds by row.
    ablations : tuple of Point
        By row and cut, in the first division's first measure.
    """

    task: TaskDeclaration
    track: str
    divisions: tuple[DivisionResult, ...]
    contrasts: Contrasts
    facts: Mapping[str, Any]
    ablations: tuple[Point, ...] = ()

    @property
    def contrast(self) -> Contrast:
        """The declared one."""
        return self.contrasts.declared

    def to_json(self) -> dict[str, Any]:
        """Plain builtins."""
        return {
            "title": self.task.title,
            "about": self.task.about,
            "beside": self.task.beside or None,
            "divisions": [one.to_json() for one in self.divisions],
            "contrast": _contrast(self.contrast),
            "harder": _contrast(self.contrasts.harder) if self.contrasts.harder is not None else None,
            "learned": {name: _contrast(one) for name, one in self.contrasts.learned.items()},
            "facts": dict(self.facts),
            "ablations": [
                {"row": p.row, "cut": p.cut, "mean": number(p.mean), "low": number(p.low), "high": number(p.high),
                 "count": p.count}
                for p in self.ablations
            ],
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class SuiteResult:
    """Everything that a suite found so far.

    Parameters
    ----------
    title : str
        Of the suite.
    tracks : mapping of str to str
        What each track's columns are.
    tasks : tuple of TaskResult
        In order.
    skipped : tuple of Skipped
        What was not measured.
    settings : mapping
        Everything else that decides the numbers.
    """

    title: str
    tracks: Mapping[str, str]
    tasks: tuple[TaskResult, ...]
    skipped: tuple[Skipped, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def of_track(self, track: str) -> tuple[TaskResult, ...]:
        """Tasks of one track: two tracks are never compared."""
        return tuple(task for task in self.tasks if task.track == track)

    def verdict(self, track: str, *, harder: bool = False) -> Verdict:
        """Whether the bar is reached in a track, by the tasks that count.

        Parameters
        ----------
        track : str
            Which.
        harder : bool
            By the second contrast, whose floors are harder.
        """
        absent = self.settings.get("not_measured", {}).get(track, ())
        counting = [one for one in self.of_track(track) if not one.task.beside]
        found = {one.task.name: one.contrasts.harder if harder else one.contrast for one in counting}
        return verdict_of({name: one for name, one in found.items() if one is not None}, absent)

    def to_json(self) -> dict[str, Any]:
        """Everything but the predictions."""
        measures = {name for one in self.tasks for division in one.divisions for name in division.metrics}
        return {
            "title": self.title,
            "settings": dict(self.settings),
            "metrics": {name: metric(name).definition for name in sorted(measures)},
            "tracks": {
                track: {
                    "columns": about,
                    "verdict": self.verdict(track).text,
                    "verdict_harder": self.verdict(track, harder=True).text,
                    "tasks": {one.task.name: one.to_json() for one in self.of_track(track)},
                    "skipped": {one.task: one.why for one in self.skipped if one.track == track},
                }
                for track, about in self.tracks.items()
            },
        }


def corrected_tasks(tasks: Sequence[TaskResult]) -> tuple[TaskResult, ...]:
    """Holm's correction of both contrasts over the tasks of a track that count.

    Parameters
    ----------
    tasks : sequence of TaskResult
        Of one track.
    """
    counted = [one.task.name for one in tasks if not one.task.beside]
    declared = corrected({one.task.name: one.contrast for one in tasks}, counted)
    given = {one.task.name: one.contrasts.harder for one in tasks}
    harder = corrected({name: one for name, one in given.items() if one is not None}, counted)
    return tuple(
        replace(one, contrasts=replace(one.contrasts, declared=declared[name], harder=harder.get(name)))
        for name, one in ((one.task.name, one) for one in tasks)
    )


def number(value: float) -> float | None:
    """A number for JSON: null where it is not defined.

    Parameters
    ----------
    value : float
        Any.

    Examples
    --------
    >>> number(float("nan")), number(0.12345678)
    (None, 0.123457)
    """
    return None if math.isnan(value) else round(float(value), 6)


def _contrast(found: Contrast) -> dict[str, Any]:
    return {
        "ours": found.ours,
        "measure": found.measure,
        "difference": number(found.value),
        "interval": [number(found.interval.low), number(found.interval.high)],
        "p": number(found.p),
        "p_holm": number(found.corrected),
        "by_seed": [number(value) for value in found.by_seed],
        "picked": dict(found.picked),
        "outcome": "better" if found.better else "worse" if found.worse else "undecided",
    }


def _row(row: Row, names: tuple[str, ...]) -> dict[str, Any]:
    return {
        "name": row.name,
        "floor": row.floor,
        "features": row.features,
        "scores": {
            name: {
                "mean": number(row.mean(name)),
                "std": number(row.spread(name)),
                "by_seed": [number(value) for value in row.scores[name]],
            }
            for name in names
        },
        "interval": [number(row.interval.low), number(row.interval.high)],
        "minus_picked_floor": [
            {"difference": number(value), "interval": [number(interval.low), number(interval.high)]}
            for value, interval in row.differences.values()
        ],
    }
