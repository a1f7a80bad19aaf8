"""``trivium align``: streams onto their words, as one file of plain arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["command"]


def command(
    source: Annotated[Path, typer.Argument(help="A corpus folder, or any file or folder that `trivium read` knows.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The .npz file to write.")],
    words: Annotated[
        int | None, typer.Option("--words", "-w", min=1, help="Steps per utterance; default: the longest utterance.")
    ] = None,
    pad: Annotated[
        str, typer.Option("--pad", help="left: zeros in front, keep the last words. right: behind, keep the first.")
    ] = "left",
    reference: Annotated[
        str | None, typer.Option("--reference", "-r", help="Modality whose rows are the steps; default: the words.")
    ] = None,
    collapse: Annotated[
        str, typer.Option("--collapse", help="What a step keeps of its rows: mean, sum, max, min, median, first, last.")
    ] = "mean",
    modalities: Annotated[
        str | None, typer.Option("--modalities", "-m", help="Comma-separated; default: all.", metavar="A,B")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    """Put all modalities on one timeline: one step per word.

    A row belongs to a word when the two share more than 1e-5 s, and a word gets the plain mean of its rows (the CMU
    SDK's semantics). What is missing is masked. The file holds `values` (N, W, D), `mask` (N, W), `cell_mask`
    (N, W, M), `columns`, `modalities`, `ids`, `spans` (N, W, 2) in seconds, `words`, and labels, groups and splits
    under `table/...`; `numpy.load` reads it.

    **Examples**

    `trivium align corpus --words 20 --out words.npz`

    `trivium align csd-folder --reference vision --collapse max --pad right --out frames.npz`
    """
    from rich.console import Console

    from trivium.align import align, save_aligned
    from trivium.corpus import Corpus
    from trivium.files import require_free
    from trivium.formats import read
    from trivium.wording import counted

    require_free(out, overwrite=overwrite)
    aligned = align(
        Corpus.open(source) if (source / "corpus.json").is_file() else read(source),
        words=words,
        reference=reference,
        collapse=collapse,
        pad=pad,  # type: ignore[arg-type]  # checked where it is used
        modalities=None if modalities is None else [name.strip() for name in modalities.split(",")],
    )
    save_aligned(aligned, out)
    n, w, d = aligned.shape
    console = Console(highlight=False)
    shape = ", ".join((counted(n, "utterance"), counted(w, "step"), counted(d, "column")))
    console.print(f"{shape} ({', '.join(aligned.specification.modalities)}) -> {out}")
    steps = max(int(aligned.mask.sum()), 1)
    for place, modality in enumerate(aligned.specification.modalities):
        seen = int(aligned.cell_mask[:, :, place].sum())
        console.print(f"{modality}: seen at {seen} of {int(aligned.mask.sum())} steps ({100 * seen / steps:.1f} %)")
