"""``trivium evaluate``: stored predictors on the test folds of a protocol, whole and with parts missing."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trivium.cli.plans import Group, Split, open_data, plan_of

if TYPE_CHECKING:
    from trivium.evaluate import MissingCurve
    from trivium.evaluate.stored import StoredEvaluation
    from trivium.weights import PredictorWeights

__all__ = ["command"]

_SHOWN = ("acc2_non0", "acc7", "mae", "r")  # of those that a protocol has; else its first four
_PANELS = 4


def command(
    source: Annotated[Path, typer.Argument(help="A corpus, a file of `trivium align`, or what `trivium read` knows.")],
    weights: Annotated[
        list[Path],
        typer.Option("--weights", "-w", help="Of `trivium train`: a weights folder, or a folder of several."),
    ],
    protocol: Annotated[
        str | None, typer.Option("--protocol", "-p", help="Default: the one that the weights were trained by.")
    ] = None,
    split: Split = None,
    group: Group = None,
    folds: Annotated[int | None, typer.Option("--folds", min=2, help="With --group: how many folds.")] = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="Also with a rising share of the input missing, and every subset.")
    ] = False,
    drop: Annotated[str, typer.Option("--drop", help="With --missing: whole `modalities`, or `steps`.")] = "modalities",
    rates: Annotated[
        str | None,
        typer.Option("--rates", help="With --missing: which shares. [default: 0,0.1 ... 1]", metavar="0,0.5,..."),
    ] = None,
    draws: Annotated[int, typer.Option("--draws", min=1, help="With --missing: draws for every share.")] = 3,
    measures: Annotated[
        str | None, typer.Option("--measures", help="With --missing: which numbers are shown and drawn.", metavar="A,B")
    ] = None,
    resamples: Annotated[int, typer.Option("--resamples", min=0, help="Of the bootstrap; 0: no intervals.")] = 1000,
    predictions: Annotated[
        Path | None, typer.Option("--predictions", help="Write the predictions, as `trivium score` reads them.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for scores.json, missing.csv, subsets.csv, missing.png.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Score predictors on the test fold that their training left out, by the protocol's numbers.

    Weights say by which protocol, split or groups they were trained; only what differs has to be named. Each predictor
    is measured on its own test fold, several seeds give mean and spread, and every read of a test fold is recorded in
    your folder of trivium and counted in what is printed. `--missing` drops whole modalities (or steps) of the same
    rows at shares 0, 0.1 ... 1, with several draws, and gives the curve, the area under it, and every subset of the
    modalities. Where a number is not defined at the last shares (a correlation of answers that are all the same), its
    area ends before, and says where. What is missing at one share is missing at every higher one.

    **Examples**

    `trivium evaluate mosi --weights w/mm`

    `trivium evaluate mosi --weights w/mm --missing --out robustness --predictions predictions.csv`
    """
    from trivium.evaluate.predictions import write_predictions
    from trivium.evaluate.stored import evaluate_weights

    shares = _shares(rates)
    opened = _opened(weights)
    learned = opened[0].config.learned
    if split is None and group is None:
        split, group = learned.get("split"), learned.get("group")
    name, count = protocol or learned.get("protocol"), folds or int(learned.get("folds", 5))
    if not name:
        raise typer.BadParameter("the weights do not say by which protocol they were trained: name it")
    plan = plan_of(open_data(source), name, opened[0].config.label.key, split, group, count)
    done = evaluate_weights(plan, opened, resamples=resamples)
    if predictions is not None:
        write_predictions(predictions, done.table)
    robust = _robustness(done, drop, draws, shares, measures) if missing else None
    if out is not None:
        _write(out, done, robust)
    if as_json:
        shown = done.card.to_json() | {"floor": done.floor.to_json()["scores"], "remarks": list(done.notes)}
        if robust is not None:
            shown["missing"] = _without_nan(robust | {"curve": robust["curve"].to_json()})
        typer.echo(json.dumps(shown, indent=1))
        return
    _show(done, robust)


def _opened(given: Sequence[Path]) -> list[PredictorWeights]:
    """Every predictor in the folders, those of several in one folder by name."""
    from trivium.errors import WeightsError
    from trivium.weights import load_predictor

    found = []
    for one in given:
        several = sorted(file.parent for file in one.glob("*/config.json")) if one.is_dir() else []
        alone = (one / "config.json").is_file() or not one.is_dir()
        found += [load_predictor(folder) for folder in ([one] if alone else several)]
    if not found:
        raise WeightsError("holds no weights", file=given[0], remedy="name what trivium train wrote")
    return found


def _shares(rates: str | None) -> tuple[float, ...]:
    from trivium.evaluate.missing import RATES

    if rates is None:
        return RATES
    try:
        found = tuple(float(text) for text in rates.split(","))
    except ValueError:
        found = ()
    if len(found) < 2 or not all(0 <= one <= 1 for one in found) or list(found) != sorted(set(found)):
        raise typer.BadParameter("give rising shares from 0 to 1, such as 0,0.25,0.5", param_hint="--rates")
    return found


def _robustness(
    done: StoredEvaluation, drop: str, draws: int, rates: Sequence[float], measures: str | None
) -> dict[str, Any]:
    """Curve and subsets as plain builtins, NaN where a number is not defined."""
    from trivium.evaluate.stored import missing_scores, subset_scores

    known = [line.measure.name for line in done.card.lines]
    usual = [name for name in _SHOWN if name in known] if set(_SHOWN) <= set(known) else known[:_PANELS]
    wanted = usual if measures is None else [name.strip() for name in measures.split(",")]
    wrong = [name for name in wanted if name not in known]
    if wrong:
        raise typer.BadParameter(f"there is no number {wrong[0]}: choose from {', '.join(known)}")
    curve = missing_scores(done, drop=drop, rates=rates, seeds=range(draws))
    return {"drop": drop, "measures": wanted, "curve": curve, "subsets": subset_scores(done)}


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_nan(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _write(out: Path, done: StoredEvaluation, robust: Mapping[str, Any] | None) -> None:
    from trivium.files import write_json

    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "scores.json", done.card.to_json())
    if robust is None:
        return
    from trivium.report.missing_plot import plot_missing_curves

    curve = robust["curve"]
    rows = [
        [rate, draw, *(curve.scores[name][k][draw] for name in curve.scores)]
        for k, rate in enumerate(curve.rates)
        for draw in range(len(next(iter(curve.scores.values()))[0]))
    ]
    _write_csv(out / "missing.csv", [f"share_of_{robust['drop']}_missing", "draw", *curve.scores], rows)
    _write_csv(
        out / "subsets.csv",
        ["modalities", *curve.scores],
        [[kept, *(found[name] for name in curve.scores)] for kept, found in robust["subsets"].items()],
    )
    plot_missing_curves(out / "missing.png", curve, robust["measures"], robust["drop"])


def _write_csv(path: Path, heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    from trivium.files import atomic_file

    with atomic_file(path) as draft, draft.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        writer.writerow(heads)
        cells = [["" if isinstance(c, float) and math.isnan(c) else c for c in row] for row in rows]
        writer.writerows(cells)


def _show(done: StoredEvaluation, robust: Mapping[str, Any] | None) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    console.print(done.card.table(done.floor))
    floor = "Floor: one answer for everybody, the most frequent class or the median of the training fold."
    for note in [floor, *done.card.definition_lines(), *done.card.notes(), *done.notes]:
        console.print(note, style="dim", markup=False)
    if robust is not None:
        console.print(_curve_table(robust["curve"], robust["measures"], robust["drop"]))
        console.print(_subset_table(robust["subsets"], robust["measures"]))
        console.print(
            "Shares are drawn by utterance and modality, nested from share to share; means over draws. Area: under the "
            "means by the trapezoid rule (AUILC of Yuan et al., 2021).",
            style="dim",
        )


def _curve_table(curve: MissingCurve, measures: Sequence[str], drop: str) -> Any:
    from rich.table import Table

    table = Table(f"{drop} missing", *measures, title=f"a share of {drop} missing")
    means = {name: curve.means(name) for name in measures}
    for k, rate in enumerate(curve.rates):
        table.add_row(f"{rate:g}", *(_number(means[name][k]) for name in measures))
    table.add_section()
    ends = sorted({end for name in measures if not math.isnan(end := curve.defined_to(name))})
    for end in ends:
        areas = [_number(curve.area(name)) if curve.defined_to(name) == end else "" for name in measures]
        table.add_row(f"area to {end:g}", *areas)
    return table


def _subset_table(subsets: Mapping[str, Mapping[str, float]], measures: Sequence[str]) -> Any:
    from rich.table import Table

    table = Table("only", *measures, title="subsets of the modalities")
    for kept, found in subsets.items():
        table.add_row(kept, *(_number(found[name]) for name in measures))
    return table


def _number(value: float) -> str:
    return "not defined" if math.isnan(value) else f"{value:.4f}"
