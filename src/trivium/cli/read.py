"""``trivium read``: files of other tools become a corpus."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from trivium.corpus import Corpus

__all__ = ["command", "finding_sentence", "given", "pairs", "print_findings", "what_and_where"]

_SHOWN_NAMES = 3


def given(**options: Any) -> dict[str, Any]:
    """Options that were given on the command line; those left out keep the format's own defaults."""
    return {name: value for name, value in options.items() if value not in (None, [], {})}


def pairs(values: list[str] | None, option: str) -> dict[str, str]:
    """Mapping of ``NAME=VALUE`` options.

    Examples
    --------
    >>> pairs(["audio=COVAREP.csd"], "--modality")
    {'audio': 'COVAREP.csd'}
    """
    found = {}
    for value in values or []:
        name, sign, rest = value.partition("=")
        if not sign or not name or not rest:
            raise typer.BadParameter(f"{value!r} is not NAME=FILE", param_hint=option)
        found[name] = rest
    return found


def command(
    source: Annotated[Path, typer.Argument(help="File or folder of another tool.", metavar="SRC")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The corpus folder to make.")],
    format: Annotated[
        str | None, typer.Option("--format", "-f", help="Name of the format; default: found from the content.")
    ] = None,
    modality: Annotated[
        list[str] | None,
        typer.Option("--modality", help="csd: which file is which modality, words or labels.", metavar="NAME=FILE"),
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option("--override", help="mmsa: take a modality from another file.", metavar="MODALITY=FILE"),
    ] = None,
    nonfinite: Annotated[
        str | None,
        typer.Option(
            "--nonfinite", help="NaN and infinity: reference (as the format's own loader), keep, zero, error."
        ),
    ] = None,
    duplicates: Annotated[
        str | None, typer.Option("--duplicates", help="Ids that appear twice: error, or suffix (ID#2).")
    ] = None,
    aligned: Annotated[
        bool | None, typer.Option("--aligned/--unaligned", help="Whether the modalities share their steps.")
    ] = None,
    label: Annotated[str | None, typer.Option("--label", help="npz, mult, multibench: name of the label.")] = None,
    name: Annotated[
        str | None, typer.Option("--source", help="Name of the distribution, for columns without names.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing corpus folder.")] = False,
) -> None:
    """Read files of other tools into a corpus folder.

    The format is found from the content: CMU `.csd` sequences (a file or a folder of several), MMSA, MulT and
    MultiBench pickles (no code in them ever runs), `.npz` arrays, folders with `label.csv`, Hugging Face datasets, data
    frames as Parquet or CSV. What reading found (non-finite cells, missing modalities, dropped keys) is printed and
    kept in the corpus; `trivium list format` names the formats.

    **Examples**

    `trivium read unaligned_50.pkl --out mosi`

    `trivium read csd-folder --modality audio=COVAREP.csd --nonfinite zero --out mosei`
    """
    from rich.console import Console

    from trivium.formats import read

    options = given(
        modality=pairs(modality, "--modality"),
        override=pairs(override, "--override"),
        nonfinite=nonfinite,
        duplicates=duplicates,
        aligned=aligned,
        label=label,
        source=name,
    )
    corpus = read(source, format=format, **options)
    corpus.save(out, overwrite=overwrite)
    _report(corpus, out, Console(highlight=False))


def _report(corpus: Corpus, out: Path, console: Any) -> None:
    from trivium.wording import counted

    streams = ", ".join(f"{s.modality} {s.dim}" for s in corpus.specification.streams) or "no streams"
    labels = ", ".join(v.key for v in corpus.specification.labels) or "no labels"
    kind = corpus.provenance.get("format", "")
    console.print(f"{counted(len(corpus), 'utterance')} from {kind}: {streams}; {labels} -> {out}")
    print_findings(corpus.provenance.get("findings", []), "Found in reading", console)


def what_and_where(finding: Mapping[str, Any], utterances: int) -> str:
    """What a finding says, and of which utterances if not of all: the first three, and how many more there are.

    Examples
    --------
    >>> found = {"action": "no face", "utterances": 5, "examples": [{"utterance": name} for name in "abcde"]}
    >>> what_and_where(found, 9), what_and_where(found, 5)
    ('no face: a, b, c and 2 more', 'no face')
    """
    told, count = str(finding.get("action", "")), int(finding.get("utterances", 0))
    names = [str(example.get("utterance", "")) for example in finding.get("examples", ())][:_SHOWN_NAMES]
    if count >= utterances or not names:
        return told
    more = count - len(names)
    return f"{told}: {', '.join(names)}" + (f" and {more} more" if more > 0 else "")


def print_findings(findings: list[dict[str, Any]], title: str, console: Any) -> None:
    """Print findings as a list, each wrapped to the console's width; nothing where there are none."""
    import textwrap

    if not findings:
        return
    console.print(f"{title}:")
    for found in findings:
        lines = textwrap.wrap(
            finding_sentence(found), console.width - 1, initial_indent="  - ", subsequent_indent="    ",
            break_on_hyphens=False,
        )  # fmt: skip
        console.print("\n".join(lines), markup=False, soft_wrap=True)


def finding_sentence(found: Mapping[str, Any]) -> str:
    """What a finding is about, what was done, how often, and where it is seen first.

    Examples
    --------
    >>> seen = {"utterance": "a", "row": 3, "column": "f0"}
    >>> found = {"kind": "nonfinite", "modality": "audio", "action": "set to 0", "utterances": 2, "count": 9}
    >>> finding_sentence({**found, "examples": [seen]})
    'nonfinite, audio: set to 0; 9 times in 2 utterances, first a, row 3, f0'
    """
    from trivium.wording import counted

    examples, many = found["examples"], found["utterances"]
    where = ", ".join(part for part in (found["kind"], found["modality"]) if part)
    if found["kind"] == "dropped":  # keys of a file, not utterances
        names = ", ".join(str(example["utterance"]) for example in examples[:_SHOWN_NAMES])
        more = f" and {many - _SHOWN_NAMES} more" if many > _SHOWN_NAMES else ""
        return f"{where}: {names}{more}: {found['action']}"
    first = examples[0]
    row = None if first["row"] is None else f"row {first['row']}"
    place = ", ".join(part for part in (first["utterance"], row, first["column"]) if part)
    often = "" if found["count"] == many else f"{counted(found['count'], 'time')} in "
    return f"{where}: {found['action']}; {often}{counted(many, 'utterance')}, first {place}"
