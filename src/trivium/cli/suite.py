"""``trivium probe --suite``: tasks on real sets, floors and contrasts that were declared."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from trivium.cli.options import parsed_options

if TYPE_CHECKING:
    from trivium.evaluate.suite.declared import SuiteDeclaration
    from trivium.evaluate.suite.results import SuiteResult

__all__ = ["run_suite"]

_Number = TypeVar("_Number", int, float)


def run_suite(
    name: str,
    *,
    sources: list[Path] | None,
    label: list[str] | None,
    group: str | None,
    split: str | None,
    combinations: str | None,
    rows: list[str] | None,
    options: list[str] | None,
    modalities: str | None,
    seeds: int | None,
    resamples: int,
    out: Path | None,
    as_json: bool,
    data: Path | None,
    work: Path | None,
    tasks: list[str] | None,
    track: str,
    leave_out: list[str] | None,
    labels: str | None,
    draws: int,
    unlabelled: str | None,
    quick: bool,
    kept: bool,
    html: Path | None,
) -> None:
    """Measure a suite and show it; the options are those of the command."""
    from trivium.evaluate.suite.declared import read_suite
    from trivium.evaluate.suite.runs import SuiteRun

    _refuse({"sources": sources, "--label": label, "--group": group, "--split": split, "--combinations": combinations})
    declared = read_suite(name)
    if quick:
        declared = _quick(declared)
    run = SuiteRun(
        declared,
        data=data,
        work=work,
        out=out,
        tracks=tuple(part.strip() for part in ("H" if quick else track).split(",")),
        tasks=tuple(tasks or (declared.quick.get("tasks", ()) if quick else ())),
        rows=tuple(rows or ()),
        leave_out=tuple(leave_out or ()),
        options=parsed_options(options or []),
        modalities=tuple(part.strip() for part in modalities.split(",")) if modalities else (),
        seeds=1 if quick else seeds or 0,
        resamples=200 if quick else resamples,
        first_division=quick,
        labels=_numbers("--labels", labels, int),
        draws=draws,
        unlabelled=_numbers("--unlabelled", unlabelled, float),
        kept=kept,
        progress=not as_json,
    )
    result = run.run(lambda found: _write(found, out, html))
    _write(result, out, html)
    if as_json:
        typer.echo(json.dumps(result.to_json(), indent=1))
    else:
        _show(result, out, html)
    if not result.tasks:
        typer.echo("nothing was measured", err=True)
        raise typer.Exit(1)


def _refuse(given: dict[str, Any]) -> None:
    """A suite brings its own data, labels and folds."""
    wrong = [name for name, value in given.items() if value]
    if wrong:
        raise typer.BadParameter(f"a suite brings its own data and folds: leave out {', '.join(wrong)}")


def _quick(declared: SuiteDeclaration) -> SuiteDeclaration:
    from dataclasses import replace

    rows = declared.quick.get("rows", declared.rows)
    tasks = tuple(replace(task, primary=dict.fromkeys(task.primary, rows[0]), twins={}) for task in declared.tasks)
    return replace(declared, floors=declared.quick.get("floors", declared.floors), rows=rows, tasks=tasks, harder=())


def _numbers(option: str, text: str | None, kind: Callable[[str], _Number]) -> tuple[_Number, ...]:
    try:
        return tuple(kind(part) for part in (text or "").split(",") if part.strip())
    except ValueError as cause:
        raise typer.BadParameter(f"{option} {text}: give numbers with commas between") from cause


def _write(result: SuiteResult, out: Path | None, html: Path | None) -> None:
    """What there is so far; a run that is killed leaves its finished tasks behind."""
    if out is not None:
        from trivium.evaluate.suite.tables import markdown_page
        from trivium.files import atomic_file, write_json

        write_json(out / "suite.json", result.to_json())
        with atomic_file(out / "suite.md") as draft:
            draft.write_text(markdown_page(result), encoding="utf-8")
    if html is not None:
        from trivium.report.suite_page import write_suite_page

        write_suite_page(html, result)


def _show(result: SuiteResult, out: Path | None, html: Path | None) -> None:
    from rich.console import Console

    from trivium.evaluate.suite.tables import terminal_tables

    console = Console(highlight=False)
    for one in terminal_tables(result):
        console.print(one, markup=False) if isinstance(one, str) else console.print(one)
    places: Sequence[Path] = [place for place in (out, html) if place is not None]
    for place in places:
        console.print(f"written to {place}", markup=False)
