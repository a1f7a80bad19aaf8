"""A reproduction as people read it: tables for the terminal, a page of Markdown; definitions stand with the numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from trivium.evaluate.named_protocols import Measure
from trivium.evaluate.reproduction.published import PublishedRow, published_rows
from trivium.evaluate.reproduction.runs import Reproduced, Reproduction
from trivium.evaluate.scorecard import Line
from trivium.metrics import metric

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["markdown_page", "network_table", "references"]

_NO_SHARES = ("mae", "r", "sims_mae", "sims_r")


def network_table(result: Reproduced, *, synthetic: bool) -> Table:
    """Rich table of one network: our mean and spread over seeds, our interval, and a column for each published row.

    Parameters
    ----------
    result : Reproduced
        One network.
    synthetic : bool
        Whether the title has to say that the data are made up.
    """
    from rich.table import Table

    heads, rows = _grid(result)
    table = Table(title=_title(result, synthetic=synthetic))
    for number, head in enumerate(heads):
        table.add_column(head, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def _title(result: Reproduced, *, synthetic: bool) -> str:
    mark = "SYNTHETIC DATA, " if synthetic else ""
    count = len(result.experiment.card.answers.seeds)
    return f"{mark}{result.settings.dataset}: {result.network}, {count} seed{'s' if count > 1 else ''}"


def _grid(result: Reproduced) -> tuple[list[str], list[list[str]]]:
    """Heads and rows: measure, ours, interval, published."""
    published, drawn = result.published, bool(result.experiment.card.resamples)
    between = ["95 % interval"] if drawn else []
    heads = ["measure", "ours, mean ± std", *between, *(f"[{k + 1}]" for k in range(len(published)))]
    rows = []
    for line in result.experiment.card.lines:
        others = [_shown(row.values.get(line.measure.name, math.nan), line.measure) for row in published]
        rows.append([_named(line.measure), _ours(line), *([_interval(line)] if drawn else []), *others])
    return heads, rows


def _named(measure: Measure) -> str:
    percent = "" if measure.metric in _NO_SHARES else ", %"
    less = "" if metric(measure.metric).higher_is_better else " (less is better)"
    return f"{measure.name}{percent}{less}"


def _shown(value: float, measure: Measure) -> str:
    if math.isnan(value):
        return ""
    return f"{value:.4f}" if measure.metric in _NO_SHARES else f"{100 * value:.2f}"


def _ours(line: Line) -> str:
    if math.isnan(line.mean):
        return "not defined"
    spread = "" if math.isnan(line.spread) else f" ± {_shown(line.spread, line.measure)}"
    return _shown(line.mean, line.measure) + spread


def _interval(line: Line) -> str:
    low, high = (_shown(edge, line.measure) for edge in (line.interval.low, line.interval.high))
    return f"[{low}, {high}]" if low else ""


def references(rows: Sequence[PublishedRow]) -> list[str]:
    """A sentence for each published row: where it stands, what chose it, how sure we are of it.

    Parameters
    ----------
    rows : sequence of PublishedRow
        In the order of their columns.

    Examples
    --------
    >>> print(references(published_rows("mosi", "self-mm"))[0])
    [1] self-mm, unaligned. MMSA, results/result-stat.md at a94e65d (read in source). Chosen by: lowest validation \
loss, patience 8; 5 seeds; its tuner ranks settings by test results. No spread is stated.
    """
    found = []
    for number, row in enumerate(rows, 1):
        data = f", {row.data}" if row.data else ""
        note = f" {row.note[0].upper()}{row.note[1:]}." if row.note else ""
        found.append(
            f"[{number}] {row.model}{data}. {row.source} ({row.confidence}). Chosen by: {row.selection}.{note}"
        )
    return found


def markdown_page(found: Reproduction) -> str:
    """Everything as a page of Markdown.

    Parameters
    ----------
    found : Reproduction
        With its networks.
    """
    mark = "SYNTHETIC DATA: " if found.is_synthetic else ""
    parts = [f"# {mark}{found.dataset.name}, our networks beside published rows", _bullets(found.notes())]
    for result in found.results:
        heads, rows = _grid(result)
        parts += [
            f"## {_title(result, synthetic=found.is_synthetic)}",
            _markdown_table(heads, rows),
            _bullets([*references(result.published), *result.notes(), *result.experiment.card.notes()]),
        ]
    others = published_rows(found.dataset.name, "")
    if others:
        parts += ["## Published systems that are not among these networks", _others(found, others)]
    parts += ["## What the numbers are", _bullets(_definitions(found))]
    return "\n\n".join(parts) + "\n"


def _others(found: Reproduction, rows: Sequence[PublishedRow]) -> str:
    measures = [m for m in found.protocol.measures if any(m.name in row.values for row in rows)]
    heads = ["system", *(_named(measure) for measure in measures)]
    cells = [
        [f"[{k}] {row.model}", *(_shown(row.values.get(m.name, math.nan), m) for m in measures)]
        for k, row in enumerate(rows, 1)
    ]
    return f"{_markdown_table(heads, cells)}\n\n{_bullets(references(rows))}"


def _definitions(found: Reproduction) -> list[str]:
    told: Mapping[str, str] = {name: metric(name).definition for name in found.protocol.metrics}
    return [f"`{name}`: {text}" for name, text in told.items()]


def _markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _bullets(notes: Sequence[str]) -> str:
    return "\n".join(f"- {note}" for note in notes)
