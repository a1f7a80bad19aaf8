"""``trivium predict``: a clip to an answer with its probabilities."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["command"]

_FAR = 1.5  # our choice
_SENT = {"text": "words", "audio": "voice", "vision": "face"}


def command(
    source: Annotated[Path, typer.Argument(help="A clip, a folder of clips, a corpus, or what `trivium read` knows.")],
    weights: Annotated[str, typer.Option("--weights", "-w", help="Folder or name of weights that have a head.")],
    scaler: Annotated[str, typer.Option("--scaler", help="`pooled`, or the name of a pretraining corpus.")] = "pooled",
    transcript: Annotated[
        str | None, typer.Option("--transcript", "-t", help="What is said in the clip; recognised where left out.")
    ] = None,
    transcripts: Annotated[
        Path | None, typer.Option("--transcripts", help="Of a folder of clips: a folder with a transcript per clip.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Answer for every utterance what the head of the weights was trained to tell, with probabilities.

    A clip with more words than the weights take is answered stretch by stretch. How far answers can be trusted stands
    in the card: `trivium weights show WEIGHTS`. `distance` is how far an utterance lies from the middle of what the
    head learned from, whose own lie at 1: well above 1, the probabilities mean little, however sure they look. A clip
    that cannot be read is listed and makes the exit code 1.

    **Examples**

    `trivium predict interview.mp4 --weights weights/voice-face`

    `trivium predict interview.mp4 --weights weights/voice-face --transcript "kids are talking" --json`
    """
    from trivium.embed import answer, failed_clips, open_source
    from trivium.errors import TriviumError
    from trivium.weights import load_weights

    if transcript is not None and transcripts is not None:
        raise typer.BadParameter("give --transcript for one clip or --transcripts for a folder, not both")
    given = transcripts if transcript is None else {source.stem: transcript}
    opened = load_weights(weights)
    opened.require_head()
    corpus = open_source(source, opened, transcripts=given)
    try:
        answers = answer(corpus, opened, scaler=scaler)
    except TriviumError as error:
        raise error.located(source) from error
    _show(answers, as_json)
    failures = failed_clips(source, corpus)
    for failure in failures:
        typer.echo(f"failed: {failure['clip']}: {failure['reason']}", err=True)
    if failures:
        raise typer.Exit(1)


def _show(answers: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(answers, indent=1))
        return
    from rich.console import Console

    from trivium.wording import counted

    console = Console(highlight=False)
    console.print(_table(answers))
    far = sum(row["distance"] > _FAR for row in answers)
    if far:
        console.print(
            f"Far outside what the head learned from: {far} of {counted(len(answers), 'answer')} (distance above "
            f"{_FAR}; its own lie at 1). However sure it looks, such an answer means little."
        )


def _table(answers: list[dict[str, Any]]) -> Any:
    from rich.table import Table

    table = Table("utterance", "seconds", "read from", "answer", "probabilities", "distance")
    for row in answers:
        span = "" if row["start"] is None else f"{row['start']:.2f} - {row['end']:.2f}"
        shares = ", ".join(f"{name} {share:.2f}" for name, share in row.get("probabilities", {}).items())
        said = row["answer"] if isinstance(row["answer"], str) else f"{row['answer']:.3f}"
        read = ", ".join(_SENT.get(name, name) for name in row["modalities"])
        table.add_row(row["id"], span, read, f"{row['label']}: {said}", shares, f"{row['distance']:.1f}")
    return table
