"""``trivium list``: everything trivium knows by name."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def command(
    kind: Annotated[str | None, typer.Argument(help="Only this kind, such as `format` or `representation`.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List what can be named: formats, extractors, models of others, networks, representations, objectives.

    Nothing is imported for it, so it is quick. Other packages add entries through the entry-point group `trivium`.

        trivium list

        trivium list format --json
    """
    from rich.console import Console
    from rich.table import Table

    from trivium import registry
    from trivium.errors import TriviumError

    if kind is not None and kind not in registry.kinds():
        raise TriviumError(f"there is no kind {kind!r}", remedy=f"choose one of: {', '.join(registry.kinds())}")
    found = registry.entries(kind)
    if as_json:
        typer.echo(json.dumps([vars(entry) for entry in found], indent=1))
        return
    table = Table("kind", "name", "what it is")
    for entry in found:
        table.add_row(entry.kind, entry.name, entry.summary)
    Console().print(table)
