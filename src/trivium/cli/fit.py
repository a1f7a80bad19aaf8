"""``trivium fit``: a representation learned from corpora without labels, as a weights folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trivium.cli.losses import loss_lines
from trivium.cli.options import parsed_options, with_options

if TYPE_CHECKING:
    from trivium.corpus import Aligned, Corpus

__all__ = ["command", "is_first_process", "require_places"]

_DEFAULT = "statistics+fisher-vectors"
_SHORT = {"which": "mean,spread", "n_components": 2}  # as weights/talking-clips, which mix voice and face only
_OF_THE_RUN = ("random_state", "folder", "resume")  # for what is trained; statistics have no use for them


def command(
    corpora: Annotated[
        list[str], typer.Argument(help="Corpus folders, or what `trivium read` knows; NAME=PATH names one.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Weights folder to write; OUT.run gets the checkpoint.")],
    representation: Annotated[
        str | None,
        typer.Option(
            "--representation",
            "-r",
            help="What to fit; `trivium list` names them; several joined with `+`.",
            show_default="statistics+fisher-vectors",
        ),
    ] = None,
    words: Annotated[int, typer.Option("--words", "-w", min=1, help="Steps per utterance.")] = 20,
    options: Annotated[
        list[str] | None, typer.Option("--set", "-s", help="Option of the representation.", metavar="OPTION=VALUE")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", help="Split whose fold `train` is learned from and `valid` stops the training."),
    ] = None,
    label_free: Annotated[
        bool, typer.Option("--label-free", help="Take the labels away before anything is learned.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint of a run that stopped.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="Decides weights, order and the held-out fold.")] = 42,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace weights and checkpoint.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Learn one vector per utterance from unlabelled corpora.

    Each corpus is scaled by its own statistics; columns are matched by name. Without `-r` it is mean
    and spread of every column beside Fisher vectors, `which=mean,spread` and `n_components=2`; `--set
    modalities=audio,vision` mixes these two only, as in the shipped weights, and keeps the vector short. Nothing of it
    is trained in epochs.

    What is (`masked-steps`, `conv-autoencoder`) holds a tenth of every corpus out to stop in time, unless `--split`
    names the fold (`--set validation_groups=speaker` keeps speakers together). After every epoch OUT.run holds a
    checkpoint and `losses.csv`; a run that was killed goes on with `--resume` and ends with the same bytes. Defaults
    of `conv-autoencoder` are the paper's; `--set unpooling=none --set padding=ignore --set schedule=plateau` is the
    corrected form. Under `torchrun` it trains in several processes.

    **Examples**

    `trivium fit mosi=corpora/mosi mosei=corpora/mosei --out weights/both`

    `trivium fit corpus -r statistics+masked-steps --set max_epochs=30 --out weights/mine`
    """
    from trivium.corpus import concat
    from trivium.scale import numbers_only

    chosen = {
        **({} if representation else _SHORT),
        **parsed_options(options or []),
        "words": words,
        "random_state": seed,
        "folder": _run_folder(out),
        "resume": resume,
    }
    require_places(out, _run_folder(out), resume=resume, overwrite=overwrite)
    estimator = _estimator(representation or _DEFAULT, chosen)
    named = [_named(text) for text in corpora]
    joined = concat([numbers_only(_open(path)) for _, path in named], [name for name, _ in named])
    train, valid = _folds(joined, split)
    estimator.fit(_aligned(train, words, label_free), validation=valid and _aligned(valid, words, label_free))
    if is_first_process():
        estimator.save(out, overwrite=overwrite)
        _tell(estimator, out, as_json)


def _run_folder(out: Path) -> Path:
    return out.with_name(f"{out.name}.run")


def require_places(out: Path, run: Path, *, resume: bool, overwrite: bool) -> None:
    """Say before the training, not after it, that its result could not be written."""
    from trivium.errors import DataError
    from trivium.files import require_place

    require_place(out, "config.json" if overwrite else None)
    if run.exists() and not (overwrite or resume):
        raise DataError(
            "exists already", file=run, remedy="choose another folder or pass --resume to go on, or --overwrite"
        )
    if resume and not run.exists():
        typer.echo(f"there is no run to go on with in {run}: starting anew", err=True)


def _estimator(request: str, options: Mapping[str, Any]) -> Any:
    from trivium.errors import SpecificationError
    from trivium.represent import Beside
    from trivium.represent.request import representation

    made = representation(request)
    if not hasattr(made, "save"):
        if not hasattr(made, "as_module"):
            raise SpecificationError(
                f"{request} has no graph that weights could hold",
                remedy="choose another, such as mean-std+fisher-vectors; docs/representations.md says which have one",
            )
        made = Beside(((request, made),))
    known = made.get_params()
    return with_options(made, request, {k: v for k, v in options.items() if k in known or k not in _OF_THE_RUN})


def _named(text: str) -> tuple[str, Path]:
    name, sign, path = text.partition("=")
    return (name, Path(path)) if sign and not Path(text).exists() else (Path(text).stem, Path(text))


def _open(path: Path) -> Corpus:
    from trivium.corpus import Corpus
    from trivium.formats import read

    return Corpus.open(path) if (path / "corpus.json").is_file() else read(path)


def _folds(corpus: Corpus, split: str | None) -> tuple[Corpus, Corpus | None]:
    return (corpus, None) if split is None else (corpus.fold("train", split), corpus.fold("valid", split))


def _aligned(corpus: Corpus, words: int, label_free: bool) -> Aligned:
    from dataclasses import replace

    from trivium.align import align
    from trivium.corpus import Specification

    aligned = align(corpus, words=words)
    if not label_free:
        return aligned
    table = {name: column for name, column in aligned.table.items() if not name.startswith("label.")}
    return replace(aligned, table=table, specification=Specification(aligned.specification.streams))


def is_first_process() -> bool:
    """Whether this is the process that writes and speaks, of those that ``torchrun`` started."""
    from os import environ

    return environ.get("RANK", "0") == "0"


def _tell(estimator: Any, out: Path, as_json: bool) -> None:
    curves = estimator.loss_curves_
    if as_json:
        facts = {"weights": str(out), "features": estimator.n_features_out_, "corpora": estimator.corpora_}
        typer.echo(json.dumps({**facts, "best_epoch": estimator.best_epoch_, "losses": curves}, indent=1))
        return
    counts = ", ".join(f"{name} {count}" for name, count in estimator.corpora_.items())
    typer.echo(f"learned from {counts}: {estimator.n_features_out_} numbers per utterance -> {out}")
    for line in loss_lines(curves):
        typer.echo(line)
    if not curves and any(name.endswith("max_epochs") for name in estimator.get_params()):
        typer.echo("untrained: no epoch was run")
    if estimator.best_epoch_ >= 0:
        typer.echo(f"kept: epoch {estimator.best_epoch_ + 1} of {estimator.n_iter_}")
