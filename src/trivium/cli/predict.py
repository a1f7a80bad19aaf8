"""``trivium predict``: a clip to an answer with its probabilities."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trivium.cli.failures import tell_failures

if TYPE_CHECKING:
    from trivium.corpus import Corpus
    from trivium.weights import PredictorWeights, Weights

__all__ = ["command"]

_FAR = 1.5  # our choice
_SENT = {"text": "words", "audio": "voice", "vision": "face"}


def command(
    source: Annotated[Path, typer.Argument(help="A clip, a folder of clips, a corpus, or what `trivium read` knows.")],
    weights: Annotated[
        str, typer.Option("--weights", "-w", help="Folder or name: of `trivium train`, or an encoder's with a head.")
    ],
    scaler: Annotated[str, typer.Option("--scaler", help="`pooled`, or the name of a pretraining corpus.")] = "pooled",
    transcript: Annotated[
        str | None, typer.Option("--transcript", "-t", help="What is said in the clip; recognised where left out.")
    ] = None,
    transcripts: Annotated[
        Path | None, typer.Option("--transcripts", help="Of a folder of clips: a folder with a transcript per clip.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Answer for every utterance what the weights were trained to tell, with probabilities.

    A clip with more words than the weights take is answered stretch by stretch. How far answers can be trusted
    stands in the card: `trivium weights show WEIGHTS`. Of a predictor (`trivium train`) the answer comes with what
    each modality says alone, where its network has such heads. What a clip lacks (a face, sound) is masked, and
    `read from` says what was there; where the steps that the weights learned from are words, a clip is put on its
    words, and one in which nobody speaks has no answer. Of an encoder with a head the answer comes with `distance`:
    how far an utterance lies from the middle of what the head learned from, whose own lie at 1; well above 1, the
    probabilities mean little, however sure they look. A clip that cannot be read is listed and makes the exit code 1.
    A corpus that holds the test fold of the weights, with its labels, is answered too; that is recorded as a read of
    it, as `trivium evaluate` records its own.

    **Examples**

    `trivium predict interview.mp4 --weights weights/talking-clips`

    `trivium predict interview.mp4 --weights weights/talking-clips --transcript "kids are talking" --json`
    """
    from trivium.embed import failed_clips, open_source
    from trivium.errors import TriviumError
    from trivium.weights import PredictorWeights, open_weights

    if transcript is not None and transcripts is not None:
        raise typer.BadParameter("give --transcript for one clip or --transcripts for a folder, not both")
    given = transcripts if transcript is None else {source.stem: transcript}
    opened = open_weights(weights)
    if not isinstance(opened, PredictorWeights):
        opened.require_head()
    corpus = open_source(source, opened, transcripts=given)
    try:
        _record(corpus, opened)
        answers = _answers(corpus, opened, scaler)
    except TriviumError as error:
        raise error.located(source) from error
    _show(answers, as_json)
    failures = failed_clips(source, corpus)
    tell_failures(failures)
    if failures:
        raise typer.Exit(1)


def _answers(corpus: Corpus, opened: Weights | PredictorWeights, scaler: str) -> list[dict[str, Any]]:
    from trivium.embed import answer
    from trivium.weights import Weights, predictor_answers

    if isinstance(opened, Weights):
        return answer(corpus, opened, scaler=scaler)
    if scaler != "pooled":
        raise typer.BadParameter("a predictor has one scaler, that of its training")
    return predictor_answers(corpus, opened)


def _record(corpus: Corpus, opened: Weights | PredictorWeights) -> None:
    """Count answers for the very test fold that the weights' training left out."""
    from trivium.weights import PredictorWeights

    if not isinstance(opened, PredictorWeights) or "test" not in opened.config.learned:
        return
    if opened.config.label.key not in [label.key for label in corpus.specification.labels]:
        return  # clips, and whatever has no labels
    from trivium.evaluate.stored import record_answers

    count = record_answers(corpus, opened)
    if count is not None:
        typer.echo(f"This corpus holds the test fold of the weights; the read is recorded. {count}", err=True)


def _show(answers: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(answers, indent=1))
        return
    from rich.console import Console

    from trivium.wording import counted

    console = Console(highlight=False)
    console.print(_table(answers))
    far = sum(row.get("distance", 0.0) > _FAR for row in answers)
    if far:
        console.print(
            f"Far outside what the head learned from: {far} of {counted(len(answers), 'answer')} (distance above "
            f"{_FAR}; its own lie at 1). However sure it looks, such an answer means little."
        )


def _table(answers: list[dict[str, Any]]) -> Any:
    from rich.table import Table

    alone = "unimodal" in answers[0] if answers else False
    classes = any("probabilities" in row for row in answers)
    heads = ["utterance", "seconds", "read from", "answer", *(["probabilities"] if classes else [])]
    table = Table(*heads, "each alone" if alone else "distance")
    for row in answers:
        span = "" if row["start"] is None else f"{row['start']:.2f} - {row['end']:.2f}"
        shares = ", ".join(f"{name} {share:.2f}" for name, share in row.get("probabilities", {}).items())
        parts = ", ".join(f"{_sent(name)} {_said(one['answer'])}" for name, one in row.get("unimodal", {}).items())
        last = parts if alone else f"{row['distance']:.1f}"
        read = ", ".join(map(_sent, row["modalities"]))
        said = f"{row['label']}: {_said(row['answer'])}"
        table.add_row(row["id"], span, read, said, *([shares] if classes else []), last)
    return table


def _sent(modality: str) -> str:
    return _SENT.get(modality, modality)


def _said(answer: Any) -> str:
    if isinstance(answer, list):
        return ", ".join(answer) or "none"
    return answer if isinstance(answer, str) else f"{answer:.3f}"
