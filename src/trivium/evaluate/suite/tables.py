"""A suite's results for people: tables of a terminal within 100 columns, and a page of Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from trivium.evaluate.bootstrap import Interval
from trivium.evaluate.report import Row
from trivium.evaluate.suite.contrast import PICKED, PICKED_HARDER, Contrast
from trivium.evaluate.suite.results import DivisionResult, SuiteResult, TaskResult
from trivium.metrics import metric
from trivium.wording import counted

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["contrast_text", "markdown_page", "terminal_tables"]

_NAME_WIDTH = 36


def terminal_tables(result: SuiteResult) -> Iterator[Table | str]:
    """Tables and sentences, track by track.

    Parameters
    ----------
    result : SuiteResult
        What was found.

    Examples
    --------
    >>> list(terminal_tables(SuiteResult("toy", {"H": "by hand"}, ())))
    ['Track H: by hand.', 'Track H. Not reached: no task was measured.']
    """
    for track, about in result.tracks.items():
        yield f"Track {track}: {about}."
        for one in result.of_track(track):
            for division in one.divisions:
                yield _table(one, division)
            yield f"{one.task.name}: {contrast_text(one.contrast)}"
            if one.ablations:
                yield _ablation_table(one)
        for skipped in result.skipped:
            if skipped.track == track:
                yield f"{skipped.task} is skipped: {skipped.why}."
        yield f"Track {track}. {result.verdict(track).text}"
        if any(one.contrasts.harder for one in result.of_track(track)):
            yield f"Track {track}, beside harder floors. {result.verdict(track, harder=True).text}"


def contrast_text(found: Contrast) -> str:
    """One sentence: difference, interval, p, and which floors were picked.

    Parameters
    ----------
    found : Contrast
        Of one task.

    Examples
    --------
    >>> contrast_text(Contrast("mean", "r", 0.1, Interval(0.01, 0.2), 0.04, 0.08, (0.1,), {"flatten": 5}))
    'mean minus picked floor (flatten 5): +0.100 [+0.010, +0.200] r, p .040, Holm .080: undecided'
    """
    outcome = "better" if found.better else "worse" if found.worse else "undecided"
    picked = ", ".join(f"{name} {count}" for name, count in sorted(found.picked.items(), key=lambda one: -one[1]))
    p, corrected = (f"{value:.3f}".removeprefix("0") for value in (found.p, found.corrected))
    return (
        f"{found.ours} minus picked floor ({picked}): {_signed(found.value, found.interval)} {found.measure}, "
        f"p {p}, Holm {corrected}: {outcome}"
    )


def _signed(value: float, interval: Interval) -> str:
    if math.isnan(interval.low):
        return f"{value:+.3f}"
    return f"{value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"


def _plain(value: float, spread: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.3f}" if math.isnan(spread) else f"{value:.3f} ±{spread:.3f}"


def _heads(division: DivisionResult) -> list[str]:
    measures = [name if metric(name).higher_is_better else f"{name} (less)" for name in division.metrics]
    return ["row", "numbers", *measures, "95 %", "minus picked floor"]


def _cells(row: Row, division: DivisionResult) -> list[str]:
    scores = [_plain(row.mean(name), row.spread(name)) for name in division.metrics]
    interval = "" if math.isnan(row.interval.low) else f"{row.interval.low:.3f}-{row.interval.high:.3f}"
    minus = "" if row.floor else next((_signed(*one) for one in row.differences.values()), "")
    return [row.name, str(row.features) if row.name not in (PICKED, PICKED_HARDER) else "", *scores, interval, minus]


def _table(one: TaskResult, division: DivisionResult) -> Table:
    from rich.box import SIMPLE
    from rich.markup import escape
    from rich.table import Table

    title = f"{one.task.name} ({one.track}): {division.name}"
    table = Table(title=title, box=SIMPLE, pad_edge=False, title_justify="left", collapse_padding=True)
    # of many measures a terminal shows two; the page and the JSON have all
    shown = DivisionResult(division.name, division.protocol, division.metrics[:2], division.rows)
    for head in _heads(shown):
        left = head == "row"
        table.add_column(head, justify="left" if left else "right", max_width=_NAME_WIDTH if left else None,
                         overflow="fold", no_wrap=not left)  # fmt: skip
    for row in shown.rows:
        style = "dim" if row.floor else "bold" if row.name == one.contrast.ours else None
        table.add_row(*map(escape, _cells(row, shown)), style=style)  # brackets of modalities are no markup
    return table


def _ablation_table(one: TaskResult) -> Table:
    from rich.box import SIMPLE
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"{one.task.name} ({one.track}): {one.divisions[0].metrics[0]} by what took part",
                  box=SIMPLE, pad_edge=False, title_justify="left")  # fmt: skip
    cuts = list(dict.fromkeys(point.cut for point in one.ablations))
    table.add_column("row", max_width=_NAME_WIDTH, overflow="fold")
    for cut in cuts:
        table.add_column(cut, justify="right")
    for name, values in _by_row(one, cuts):
        table.add_row(escape(name), *map(escape, values))
    return table


def _by_row(one: TaskResult, cuts: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    known = {(point.row, point.cut): point for point in one.ablations}
    for name in dict.fromkeys(point.row for point in one.ablations):
        found = [known.get((name, cut)) for cut in cuts]
        yield (
            name,
            [
                "" if p is None else f"{p.mean:.3f}" + (f" [{p.low:.2f}, {p.high:.2f}]" if p.count > 1 else "")
                for p in found
            ],
        )


def markdown_page(result: SuiteResult, made: str = "") -> str:
    """The whole page; tracks apart.

    Parameters
    ----------
    result : SuiteResult
        What was found.
    made : str
        How and when, the last paragraph.

    Examples
    --------
    >>> markdown_page(SuiteResult("toy", {"H": "by hand"}, ())).splitlines()[0]
    '# toy'
    """
    settings = result.settings
    page = [f"# {result.title}", _method(settings), *([settings["choice"]] if settings.get("choice") else [])]
    for track, about in result.tracks.items():
        page.append(f"## Track {track}: {about}")
        page.append(f"**{result.verdict(track).text}**")
        page.append(_contrasts(result, track))
        page += [*_harder(result, track), *_learned_parts(result, track)]
        for one in result.of_track(track):
            page += list(_task(one))
        page += [f"`{s.task}` is not measured here: {s.why}." for s in result.skipped if s.track == track]
    measures = {name for one in result.tasks for division in one.divisions for name in division.metrics}
    page.append("## Measures\n\n" + "\n".join(f"- {name}: {metric(name).definition}" for name in sorted(measures)))
    return "\n\n".join([*page, *([made] if made else [])]) + "\n"


def _method(settings: Any) -> str:
    told = (
        "The tracks are never compared: what stands in one table has the same columns. Every representation is fitted "
        "without labels on the training rows of a fold; all rows of a task have the same folds, and all without a "
        f"word behind them the same readout ({_readout(settings)}); `@late` behind a row means that each part is made "
        "for each modality by itself, each such block has a regression of its own, and their answers are joined with "
        "one weight a block, none below zero, fitted to the rows that chose the strengths. The row "
        f"`{PICKED}` takes in every fold the floor that did best on the validation rows of its own training part. "
        "The contrast that counts is declared in the suite's file: a representation minus that row. Its floors are "
        f"read linearly; `{PICKED_HARDER}` picks among them, floors that are read late as ours is, and the "
        "representation itself without what is learned or with nothing trained. Intervals and p "
        f"resample whole clusters ({settings.get('resamples', '')} times) and hold trained models fixed; Holm's "
        "correction is over the tasks that count in a track. The bar: better on at least two tasks, worse on none. ± "
        "is the standard deviation over seeds. Measures are taken within each test fold and averaged. In the tables, "
        "`numbers` is the length of the vector; 95 % is the interval of the first measure, and the last column its "
        "difference to the picked floor."
    )
    if not settings.get("declared", True):
        told += " **Rows or options were chosen on the command line: these are not the declared contrasts.**"
    if settings.get("options"):
        told += f" Options: {', '.join(f'`{name}={value}`' for name, value in settings['options'].items())}."
    if settings.get("tasks_left_out"):
        told += f" Tasks that are not in this page: {', '.join(settings['tasks_left_out'])}."
    if settings.get("left_out"):
        told += f" Not measured in this run: {', '.join(f'`{name}`' for name in settings['left_out'])}."
    return told


def _readout(settings: Any) -> str:
    grid = str(settings.get("grid", ""))
    if settings.get("regression") == "ridge":
        return (
            f"ridge regression, of classes to a 1 for the true one and a 0 for the others; {grid.partition(', or ')[2]}"
        )
    return f"logistic or ridge regression, {grid}"


def _contrasts(result: SuiteResult, track: str) -> str:
    return _contrast_table([(one, one.contrast) for one in result.of_track(track)])


def _harder(result: SuiteResult, track: str) -> Iterator[str]:
    found = [(one, one.contrasts.harder) for one in result.of_track(track) if one.contrasts.harder is not None]
    if found:
        yield (
            f"Beside harder floors (`{PICKED_HARDER}`; added after the first run had been read, because they are "
            f"stricter): **{result.verdict(track, harder=True).text}**"
        )
        yield _contrast_table([(one, contrast) for one, contrast in found if contrast is not None])


def _contrast_table(contrasts: Sequence[tuple[TaskResult, Contrast]]) -> str:
    lines = [
        "| task | representation | picked floors (folds) | difference | p | Holm | |",
        "|---|---|---|---|---|---|---|",
    ]
    for one, found in contrasts:
        outcome = "better" if found.better else "worse" if found.worse else "undecided"
        picked = ", ".join(f"{name} {count}" for name, count in sorted(found.picked.items(), key=lambda p: -p[1]))
        beside = f" (beside {one.task.beside})" if one.task.beside else ""
        holm = "" if one.task.beside else f"{found.corrected:.3f}"
        difference = f"{_signed(found.value, found.interval)} {found.measure}"
        lines.append(
            f"| {one.task.name}{beside} | {found.ours} | {picked} | {difference} | {found.p:.3f} | {holm} | {outcome} |"
        )
    return "\n".join(lines)


def _learned_parts(result: SuiteResult, track: str) -> Iterator[str]:
    found = [(one.task.name, two) for one in result.of_track(track) for two in one.contrasts.learned.values()]
    if found:
        lines = [
            "What the learned part adds: the same representation minus itself without that part, and minus itself with "
            "a part that was drawn and not trained, read in the same way (not corrected, counts for nothing above).",
            "",
            "| task | representation | minus | difference | by seed | p |",
            "|---|---|---|---|---|---|",
        ]
        for name, one in found:
            difference = f"{_signed(one.value, one.interval)} {one.measure}"
            seeds = ", ".join(f"{value:+.3f}" for value in one.by_seed) if len(one.by_seed) > 1 else ""
            lines.append(f"| {name} | {one.ours} | {', '.join(one.picked)} | {difference} | {seeds} | {one.p:.3f} |")
        yield "\n".join(lines)


def _task(one: TaskResult) -> Iterator[str]:
    facts = one.facts
    columns = ", ".join(f"{name} {count}" for name, count in facts.get("columns", {}).items())
    yield f"### {one.task.title}"
    clusters = f"{counted(int(facts.get('clusters', 0)), 'cluster')} ({facts.get('cluster')})"
    steps = f"{facts.get('steps')} steps, at most {facts.get('frames')} frames"
    yield f"{one.task.about} {facts.get('utterances')} utterances, {clusters}; columns: {columns}; {steps}."
    for place, division in enumerate(one.divisions):
        heads = _heads(division)
        lines = [
            f"**{division.name.rstrip('.')}.** {division.protocol}.",
            "",
            f"| {' | '.join(heads)} |",
            "|---" * len(heads) + "|",
        ]
        for row in division.rows:
            name, *values = _cells(row, division)
            told = f"**{name}**" if name == one.contrast.ours else name
            lines.append(f"| {' | '.join([told, *values])} |")
        if division.not_run:
            lines += ["", f"Declared and not run yet: {', '.join(f'`{name}`' for name in division.not_run)}."]
        if place == 0 and len(one.contrast.by_seed) > 1:  # the contrast is that of the first division
            lines += ["", "Contrast by seed: " + ", ".join(f"{value:+.3f}" for value in one.contrast.by_seed) + "."]
        yield "\n".join(lines)
    if one.ablations:
        cuts = list(dict.fromkeys(point.cut for point in one.ablations))
        lines = [f"| row | {' | '.join(cuts)} |", "|---" * (len(cuts) + 1) + "|"]
        lines += [f"| {name} | {' | '.join(values)} |" for name, values in _by_row(one, cuts)]
        yield "\n".join(["**By what took part** (mean, and the range of 95 % of the draws).", "", *lines])
