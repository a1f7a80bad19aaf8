"""``trivium extract``: clips become a corpus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trivium.cli.failures import tell_failures

if TYPE_CHECKING:
    from trivium.corpus import Corpus

__all__ = ["command"]


def command(
    src: Annotated[
        Path, typer.Argument(help="A clip, a folder of clips (with sub-folders), or a quoted pattern: 'clips/*.mp4'.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Corpus folder to write.")],
    transcripts: Annotated[
        Path | None,
        typer.Option(
            help="Folder with a transcript per clip, ID.txt, .srt, .vtt, .json (Whisper), .TextGrid or .eaf; or the "
            "transcript of one clip. Clips without one are recognised, also where files "
            "lie beside them: for those, name the folder of the clips."
        ),
    ] = None,
    spans: Annotated[
        Path | None,
        typer.Option(help="CSV or Parquet: one utterance per row, with clip, start, end, id; text, label.NAME, ..."),
    ] = None,
    cut: Annotated[
        str, typer.Option(help="`whole`, or several utterances per clip: at `sentences`, or where there is `voice`.")
    ] = "whole",
    track: Annotated[int, typer.Option(min=1, help="Which sound track, where there are several.")] = 1,
    modalities: Annotated[str, typer.Option(help="Which to extract, separated by commas.")] = "text,audio,vision",
    text: Annotated[str, typer.Option(help="What makes the columns of the words; see `trivium list`.")] = "minilm-l6",
    audio: Annotated[
        str,
        typer.Option(
            help="What makes those of the voice, separated by commas; with `:words` behind it, means by word."
        ),
    ] = "voice,whisper:words",
    vision: Annotated[str, typer.Option(help="What makes those of the face; `face`, `landmarks` or both.")] = "face",
    faces: Annotated[
        int,
        typer.Option(min=1, max=4, help="How many faces are kept; the one that speaks is `vision`, then `vision_2`."),
    ] = 1,
    fps: Annotated[
        float, typer.Option(help="Frames of the picture per second that are looked at; 5 to 30 are usual.")
    ] = 12.5,
    language: Annotated[
        str, typer.Option(help="What is spoken, by Whisper's code. Only English is aligned; others need a recogniser.")
    ] = "en",
    recogniser: Annotated[
        Path | None,
        typer.Option(help="Folder of a Whisper model in CTranslate2's format, instead of the small English one."),
    ] = None,
    upstream: Annotated[
        Path | None, typer.Option(help="Folder with models of the catalogue, looked at before the fetched ones.")
    ] = None,
    show: Annotated[
        Path | None,
        typer.Option(help="Also draw faces over frames of the clips into this PNG, to check them. It shows people."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes, each at a clip of its own; one per core where left out, or per clip."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing corpus; what still holds of it is taken over.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Turn talking clips into a corpus: the words with their times, a vector per word, voice columns, face columns.

    Needs the models of `trivium upstream fetch`, and no network. A clip without sound, speech, picture or face lacks
    that modality; a clip or row that cannot be used is listed at the end and makes the exit code 1.

    A run that was stopped, however it was, goes on when it is called again, and ends with the same bytes for any number
    of workers. With other options, transcripts or clips, only what depends on them is made anew: of the parts that a
    stopped run left, or with `--overwrite` of the corpus that is replaced. A process that dies costs its clip alone.

    With `--spans`, every row of a table is one utterance. `start` and `end` are seconds of the clip, and so are all
    times in the corpus. Columns `label.NAME`, `group.NAME` and `split.NAME` go into the corpus. With `--cut`, the
    utterances of a clip are named ID$_$0001 and so on, and are in the group `video` of their clip.

    Of several faces the one whose mouth moves with the voice is taken. `--faces 2` keeps the next best as `vision_2`,
    where it is followed for 0.4 seconds at least.

    Columns of sound are steps of 10 or 20 milliseconds. With `:words` behind it, an extractor gives one step per
    word and per pause: its mean, or more (`--audio voice,whisper:words=mean+spread+slope`). The usual `whisper:words`
    are the states of the recogniser's encoder; `--audio voice` leaves them out, and so do `--modalities` without text.

    **Examples**

    `trivium extract interview.mp4 --out corpus`

    `trivium extract clips --transcripts texts --modalities text,audio --out corpus`

    `trivium extract talk.mp4 --faces 2 --show faces.png --out corpus`

    `trivium extract lecture.mp4 --transcripts lecture.srt --cut sentences --out corpus`

    `trivium extract clips --spans spans.csv --out corpus`

    `trivium extract clips --audio voice,hf:wavlm-base:words --out corpus` with an encoder in your folder wavlm-base

    `trivium extract clips --fps 25 --out corpus --overwrite` looks at the pictures again, and at nothing else
    """
    from trivium.extract import extract_clips
    from trivium.extract.run.processes import cores

    if show is not None:
        from trivium.report.face_sheet import require_sheet

        require_sheet(show)
    corpus = extract_clips(
        src,
        out,
        transcripts=transcripts,
        modalities=[name.strip() for name in modalities.split(",") if name.strip()],
        frames_per_second=fps,
        upstream=upstream,
        spans=spans,
        cut=cut,  # type: ignore[arg-type]  # a wrong word is refused with the right ones
        track=track,
        text=text,
        audio=audio,
        vision=vision,
        workers=workers or cores(),
        faces=faces,
        language=language,
        recogniser=recogniser,
        overwrite=overwrite,
    )
    _report(corpus, out, as_json)
    if show is not None:
        _draw(src, show, fps, upstream, as_json)
    if corpus.provenance["failures"]:
        raise typer.Exit(1)


def _draw(src: Path, sheet: Path, fps: float, upstream: Path | None, as_json: bool) -> None:
    from trivium.errors import TriviumError
    from trivium.extract import find_recordings
    from trivium.report.face_sheet import face_sheet

    try:
        face_sheet(sheet, [one.path for one in find_recordings(src)], frames_per_second=fps, upstream=upstream)
    except TriviumError as error:  # the corpus is written and reported, which a missing picture does not change
        typer.echo(f"no faces drawn: {error}", err=True)
    else:
        typer.echo(f"faces drawn: {sheet}", err=as_json)


def _report(corpus: Corpus, out: Path, as_json: bool) -> None:
    failures, findings = corpus.provenance["failures"], corpus.provenance["findings"]
    if as_json:
        done = {"corpus": str(out), "utterances": len(corpus), "failures": failures, "findings": findings}
        typer.echo(json.dumps(done, indent=1))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from trivium.cli.read import what_and_where
    from trivium.wording import counted

    console = Console(highlight=False)
    console.print(f"{counted(len(corpus), 'utterance')} in {out}", markup=False)
    if findings:
        table = Table("found", "in", "utterances", "what", title="What was found", title_justify="left")
        for row in findings:
            told = (row["kind"], row["modality"], str(row["utterances"]), what_and_where(row, len(corpus)))
            table.add_row(*map(escape, told))
        console.print(table)
    tell_failures(failures)
