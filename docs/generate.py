"""Make the pages that are made from the code: papers.md from file headers, commands.md from the help, protocols.md.

usage: python docs/generate.py [--check]
"""

from __future__ import annotations

import argparse
import ast
import os
import sys
from pathlib import Path

DOCS = Path(__file__).parent
SOURCE = DOCS.parent / "src" / "trivium"
ROOMS_WITH_PAPERS = ("represent", "fuse", "objectives")


def papers() -> str:
    """One section per method: the header of its file."""
    parts = ["# Papers", "What each file follows, what is faithful, what differs and why. Made from the file headers."]
    for room in ROOMS_WITH_PAPERS:
        for file in sorted((SOURCE / room).glob("*.py")):
            header = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
            if file.stem != "__init__" and header:
                parts.append(f"## `{room}/{file.name}`\n\n{header}")
    return "\n\n".join(parts) + "\n"


def commands() -> str:
    """Help of every command, as a user sees it."""
    import typer
    from typer.testing import CliRunner

    from trivium.cli import app

    runner = CliRunner()
    root = typer.main.get_command(app)
    parts = ["# Commands", "What `--help` prints. Made from the command line itself."]
    for words in _command_words(root):
        shown = runner.invoke(app, [*words, "--help"], env={"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}).output
        lines = "\n".join(line.rstrip() for line in shown.strip().splitlines())
        parts.append(f"## `trivium {' '.join(words)}`".replace(" `", "`", 0) + f"\n\n```text\n{lines}\n```")
    return "\n\n".join(parts) + "\n"


def _command_words(root: object, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, command in getattr(root, "commands", {}).items():
        inner = _command_words(command, (*before, name))
        found += inner or [(*before, name)]
    return found


def protocols() -> str:
    """One section per named protocol, and the definition of every metric they print."""
    from trivium.evaluate.named_protocols import NAMED_PROTOCOLS
    from trivium.metrics import METRICS

    parts = [
        "# Protocols",
        "How the corpora of the field are evaluated, by name. Made from the data that `trivium score` and training\n"
        "read. A protocol says which label, which numbers in which order, what chooses (on validation only), and how\n"
        "the folds are made. Equality with MMSA's numbers is measured in\n"
        "[results/mmsa-metrics.md](results/mmsa-metrics.md).",
    ]
    for protocol in NAMED_PROTOCOLS.values():
        sizes = " or ".join(f"{size:,}" for size in protocol.test_sizes)
        rows = [
            ("label", protocol.expects),
            ("folds", protocol.divides),
            ("chooses", protocol.chooses),
            ("intervals resample", f"group {protocol.group}"),
            *([("test utterances", sizes)] if sizes else []),
            ("source", protocol.source),
            ("numbers", ", ".join(f"`{name}`" for name in protocol.metrics)),
        ]
        table = "\n".join(f"| {name} | {text} |" for name, text in rows)
        parts.append(
            f"## `{protocol.name}`\n\n{protocol.title[0].upper()}{protocol.title[1:]}.\n\n| | |\n|---|---|\n{table}"
        )
    used = dict.fromkeys(name for protocol in NAMED_PROTOCOLS.values() for name in protocol.metrics)
    definitions = {name: METRICS[name].definition.replace("|", r"\|") for name in used}
    lines = [f"| `{name}` | {text} |" for name, text in definitions.items()]
    parts.append("## What the numbers are\n\n| name | definition |\n|---|---|\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def main() -> int:
    """Write the pages, or with ``--check`` say which are out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a page is out of date")
    check = parser.parse_args().check
    os.environ["COLUMNS"] = "100"
    stale = []
    for name, text in (("papers.md", papers()), ("commands.md", commands()), ("protocols.md", protocols())):
        page = DOCS / name
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not check:
                page.write_text(text, encoding="utf-8")
    if stale:
        print(("out of date, run `make docs`: " if check else "written: ") + ", ".join(stale))
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
