"""``trivium embed``: one vector per utterance, as a Parquet file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from trivium.cli.failures import tell_failures

__all__ = ["command"]

_OTHER_TABLES = (".csv", ".tsv", ".json", ".npy", ".npz", ".pkl", ".h5", ".feather", ".xlsx")


def command(
    source: Annotated[Path, typer.Argument(help="A clip, a folder of clips, a corpus, or what `trivium read` knows.")],
    weights: Annotated[
        str, typer.Option("--weights", "-w", help="Folder of the weights, or OWNER/NAME of a model hub.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The Parquet file to write.")],
    scaler: Annotated[
        str, typer.Option("--scaler", help="`pooled`, a pretraining corpus, or `refit`: statistics of the source.")
    ] = "pooled",
    transcripts: Annotated[
        Path | None,
        typer.Option("--transcripts", "-t", help="Folder with a transcript per clip; others are recognised."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Turn every utterance into one vector, with ONNX Runtime and without torch.

    The file holds `id`, `clip`, `start` and `end` in seconds, `vector`, and for each modality of the weights whether it
    was there. Clips are extracted first; one with more words than the weights take becomes several rows. A clip that
    cannot be read is listed at the end and makes the exit code 1.

    **Examples**

    `trivium embed corpus --weights weights/talking-clips --out vectors.parquet`

    `trivium embed clips --weights weights/talking-clips --transcripts texts --out vectors.parquet`
    """
    from trivium.embed import embed_to_file
    from trivium.files import require_free
    from trivium.wording import counted

    if out.suffix.lower() in _OTHER_TABLES:
        raise typer.BadParameter(f"--out {out}: vectors are written as Parquet; end the name in .parquet")
    require_free(out, overwrite=overwrite)
    done = embed_to_file(source, weights, out, scaler=scaler, transcripts=transcripts)
    if as_json:
        facts = {"path": str(done.path), "rows": done.rows, "features": done.features}
        typer.echo(json.dumps({**facts, "present": done.present, "failures": done.failures}, indent=1))
    else:
        typer.echo(f"{counted(done.rows, 'vector')} of {counted(done.features, 'number')} -> {done.path}")
        for modality, count in done.present.items():
            typer.echo(f"{modality}: there in {count} of {done.rows}")
        tell_failures(done.failures)
    if done.failures:
        raise typer.Exit(1)
