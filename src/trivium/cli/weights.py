"""``trivium weights``: look at weights, and prove that they work as saved."""

from __future__ import annotations

import json
import math
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    help="""Look at weights folders, and prove that they work as they were saved.

    trivium weights check weights/talking-clips

    trivium weights show weights/talking-clips
    """,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.command("check")
def check(
    folders: Annotated[list[str], typer.Argument(metavar="FOLDER...", help="Folders or names of weights.")],
    as_json: AsJson = False,
) -> None:
    """Compare every file with its hash and replay the proof; exit code 1 if anything differs.

    trivium weights check weights/talking-clips

    trivium weights check weights/* --json
    """
    from trivium.weights import check_weights

    found = [check_weights(folder) for folder in folders]
    if as_json:
        rows = [{"folder": str(c.folder), "ok": c.ok, "problems": list(c.problems)} for c in found]
        typer.echo(json.dumps([row | _difference(c.difference) for row, c in zip(rows, found, strict=True)], indent=1))
    else:
        for c in found:
            how = f"ok, the proof differs by {c.difference:.1e}" if c.ok else "; ".join(c.problems)
            typer.echo(f"{c.folder}: {how}")
    if not all(c.ok for c in found):
        raise typer.Exit(1)


def _difference(value: float) -> dict[str, float | None]:
    return {"difference": None if math.isnan(value) else value}


@app.command("show")
def show(
    folder: Annotated[str, typer.Argument(help="Folder of the weights, or OWNER/NAME of a model hub.")],
    as_json: AsJson = False,
) -> None:
    """Show the card: what the weights learned from, their licence, columns, scores and limits.

    trivium weights show weights/talking-clips

    trivium weights show weights/talking-clips --json
    """
    from trivium.weights import open_weights

    weights = open_weights(folder)
    if as_json:
        typer.echo(json.dumps(weights.facts(), indent=1, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.markdown import Markdown

    text = weights.read("README.md").decode("utf-8", "replace")
    Console().print(Markdown(text.split("---\n", 2)[-1]))
