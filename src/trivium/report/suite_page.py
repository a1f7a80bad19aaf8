"""A suite's results as one page: a panel of bars with intervals for every task, tracks apart."""

from __future__ import annotations

import math
import os

from trivium.evaluate.report import Row
from trivium.evaluate.suite.contrast import PICKED
from trivium.evaluate.suite.results import SuiteResult, TaskResult
from trivium.evaluate.suite.tables import contrast_text
from trivium.report.page import write_report
from trivium.report.tables import Note, Notes, Score, ScoreTable

__all__ = ["suite_sections", "write_suite_page"]


def suite_sections(result: SuiteResult) -> list[ScoreTable | Notes]:
    """Panels of a page, in the order of the tracks.

    Parameters
    ----------
    result : SuiteResult
        What was found.

    Examples
    --------
    >>> [section.heading for section in suite_sections(SuiteResult("toy", {"H": "by hand"}, ()))]
    ['Track H: by hand']
    """
    sections: list[ScoreTable | Notes] = []
    for track, about in result.tracks.items():
        told = [Note("Verdict", result.verdict(track).text)]
        told += [Note(one.task.name, contrast_text(one.contrast)) for one in result.of_track(track)]
        told += [Note(s.task, f"not measured: {s.why}") for s in result.skipped if s.track == track]
        sections.append(Notes(tuple(told), heading=f"Track {track}: {about}"))
        sections += [_panel(one) for one in result.of_track(track)]
    return sections


def _panel(one: TaskResult) -> ScoreTable:
    division = one.divisions[0]
    rows = tuple(_score(row, division.metrics[0], one.contrast.ours) for row in division.rows)
    return ScoreTable(
        tuple(row for row in rows if not math.isnan(row.value)),
        division.metrics[0],
        f"{division.protocol}. Intervals resample whole clusters ({one.facts.get('cluster')}).",
        heading=f"{one.task.title} (track {one.track})",
        lead=one.task.about.replace("**", ""),
    )


def _score(row: Row, measure: str, ours: str) -> Score:
    known = not math.isnan(row.interval.low)
    spread = row.spread(measure)
    about = "takes in every fold the best of the floors" if row.name == PICKED else ""
    return Score(
        row.name,
        row.mean(measure),
        row.interval.low if known else None,
        row.interval.high if known else None,
        None if math.isnan(spread) else spread,
        floor=row.floor,
        about="the declared representation" if row.name == ours else about,
    )


def write_suite_page(path: str | os.PathLike[str], result: SuiteResult) -> None:
    """Write a self-contained page.

    Parameters
    ----------
    path : path
        The HTML file.
    result : SuiteResult
        What was found.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = pathlib.Path(folder) / "suite.html"
    ...     write_suite_page(page, SuiteResult("toy", {"H": "by hand"}, ()))
    ...     "by hand" in page.read_text(encoding="utf-8")
    True
    """
    lead = "What a linear model reads from each representation, beside floors that learn less."
    notice = "The two tracks have other columns and are never compared." if len(result.tracks) > 1 else ""
    write_report(path, suite_sections(result), title=result.title, lead=lead, notice=notice)
