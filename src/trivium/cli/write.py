"""``trivium write``: a corpus becomes a file of another tool."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["command"]

_SHOWN_NAMES = 3


def command(
    source: Annotated[Path, typer.Argument(help="A corpus folder, or any file or folder that `trivium read` knows.")],
    format: Annotated[
        str,
        typer.Option(
            "--format", "-f", help="mmsa, mult, multibench, npz, csd, pandas, words, huggingface, clips or corpus."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file or folder to make.")],
    split: Annotated[
        str | None, typer.Option("--split", help="Which split makes the folds; may be left out if there is one.")
    ] = None,
    fold: Annotated[
        str | None, typer.Option("--fold", help="Fold of utterances that are in none: train, valid or test.")
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", help="Which label the file's label key holds, where it has only one.")
    ] = None,
    side: Annotated[str | None, typer.Option("--side", help="npz, mult, multibench: pad left or right.")] = None,
    layout: Annotated[str | None, typer.Option("--layout", help="npz: folds or plain. pandas: wide or long.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing file; folders are never replaced.")
    ] = False,
) -> None:
    """Write a corpus as a file that other tools read.

    A corpus that was read from the same format comes back with its stored lengths, pad side and types. Pickles are
    written with NumPy arrays and builtin containers only. What the corpus has and the format has no place for (words,
    times, column names ...) is printed.

    **Examples**

    `trivium write mosi --format mmsa --out unaligned.pkl`

    `trivium write corpus --format npz --split standard --out arrays.npz`

    `trivium write corpus --format words --out words.parquet` (one row per word; CSV where the name ends in .csv)
    """
    from rich.console import Console

    from trivium.cli.read import given
    from trivium.errors import DataError
    from trivium.files import require_free
    from trivium.formats import read, write
    from trivium.wording import counted

    if out.is_dir():
        raise DataError("exists already, and folders are never replaced", file=out, remedy="choose another folder")
    require_free(out, overwrite=overwrite)
    corpus = read(source)
    options = given(split=split, fold=fold, label=label, side=side, layout=layout)
    lost = write(corpus, out, format=format, **options)
    console = Console(highlight=False)
    console.print(f"{counted(len(corpus), 'utterance')} as {format} -> {out}")
    if lost:
        console.print(f"Not kept in {out.name}, because the format {format} has no place for it:", markup=False)
    for line in _losses(lost, set(corpus.ids.tolist())):
        console.print(line, markup=False)


def _losses(lost: Sequence[dict[str, Any]], ids: set[str]) -> Iterator[str]:
    """One line per kind of loss: of which modalities and how many utterances, and the first of those by name."""
    from trivium.wording import counted

    kinds: dict[str, list[dict[str, Any]]] = {}
    for finding in lost:
        kinds.setdefault(str(finding["action"]).partition(": the format ")[0], []).append(finding)
    for kind, findings in kinds.items():
        names = dict.fromkeys(str(example["utterance"]) for one in findings for example in one["examples"])
        if not ids.issuperset(names):  # what is lost belongs to no utterance but to the whole corpus
            yield f"  {kind}: {', '.join(names)}"
            continue
        largest = max(int(one["utterances"]) for one in findings)
        where = [(one["modality"] if one["modality"] != "words" else "", one["utterances"]) for one in findings]
        *rest, last = [(f"{modality} " if modality else "", count) for modality, count in where]
        told = "".join(f"{modality}{count}, " for modality, count in rest) + last[0] + counted(last[1], "utterance")
        shown = list(names)[:_SHOWN_NAMES]
        more = f" and {largest - len(shown)} more" if largest > len(shown) else ""
        yield f"  {kind}: {told} ({', '.join(shown)}{more})"
