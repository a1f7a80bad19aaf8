"""``trivium score``: the numbers of a named protocol from anybody's table of predictions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from trivium.evaluate import Comparison, Scorecard

__all__ = ["command"]


def command(
    predictions: Annotated[
        Path, typer.Argument(help="CSV, TSV, JSON lines or Parquet, one row per utterance (and seed).")
    ],
    protocol: Annotated[
        str,
        typer.Option(
            "--protocol",
            "-p",
            help="mosi, mosei, mosei-emotions, sims, simsv2, iemocap, merbench-sentiment, merbench-emotion, ur-funny, "
            "mustard, regression, or classification.",
        ),
    ],
    group: Annotated[
        str | None,
        typer.Option(
            "--group", "-g", help="Column that says what belongs together (speaker, video); default: `group`."
        ),
    ] = None,
    against: Annotated[
        Path | None, typer.Option("--against", "-a", help="Other predictions of the same utterances to compare with.")
    ] = None,
    row: Annotated[
        str | None, typer.Option("--row", help="Which system, in a table of several such as that of `trivium probe`.")
    ] = None,
    against_row: Annotated[
        str | None, typer.Option("--against-row", help="Which system of the other table; default: that of --row.")
    ] = None,
    resamples: Annotated[
        int, typer.Option("--resamples", min=0, help="Of the bootstrap and the paired test; 0: no intervals.")
    ] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Score a table of predictions by a named protocol, whoever made them; every number with its definition.

    Columns: `id`; `prediction`, or one `prediction_<class>` for each class (the largest wins); `label`; and where known
    `group`, `fold` and `seed`. Of `iemocap` and `mosei-emotions` there is one `prediction_<emotion>` and one
    `label_<emotion>` each. Several seeds give mean and spread; intervals are a bootstrap over groups. With `--against`:
    the difference of the two systems on the ids they share, with a paired interval and a paired permutation test.
    The protocols are described in `docs/protocols.md`.

    **Examples**

    `trivium score predictions.csv --protocol mosi`

    `trivium score theirs.csv --protocol mosi --group video`

    `trivium score ours.parquet --protocol sims --against theirs.csv --json`

    `trivium score run/predictions.csv --protocol classification --row conv-autoencoder --against-row mean --against
    run/predictions.csv`
    """
    from trivium.evaluate.answers import answers_of
    from trivium.evaluate.named_protocols import named_protocol
    from trivium.evaluate.predictions import read_predictions
    from trivium.evaluate.scorecard import score_answers

    wanted = named_protocol(protocol)
    table = read_predictions(predictions)
    answers = answers_of(table, wanted, group=group, row=row)
    card = score_answers(answers, wanted, times=resamples, provenance=table.provenance)
    compared = None
    if against is not None:
        from trivium.evaluate.comparison import compare

        others = read_predictions(against)
        theirs = answers_of(others, wanted, group=group if group and group in others else None, row=against_row or row)
        compared = compare(answers, theirs, wanted, times=resamples)
    if as_json:
        shown: dict[str, Any] = card.to_json()
        typer.echo(json.dumps(shown | ({"against": compared.to_json()} if compared else {}), indent=1))
        return
    _show(card, compared)


def _show(card: Scorecard, compared: Comparison | None) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    console.print(card.table())
    for note in [*card.definition_lines(), *card.notes()]:
        console.print(note, style="dim", markup=False)
    if compared is not None:
        console.print(compared.table())
        for note in compared.notes():
            console.print(note, style="dim", markup=False)
