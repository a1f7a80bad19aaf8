"""``trivium probe``: what a linear model reads from frozen vectors, beside its floors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trivium.cli.options import parsed_options, with_options

if TYPE_CHECKING:
    from trivium.corpus import Aligned, Corpus
    from trivium.evaluate import ProbeResult

__all__ = ["command"]

_PANEL = "Suite"


def command(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(help="A corpus, a file of `trivium align`, or what `trivium read` knows; several are joined."),
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", "-l", help="What to predict; several numbers give their mean.")
    ] = None,
    representation: Annotated[
        list[str] | None,
        typer.Option(
            "--representation",
            "-r",
            help="Registered name (see `trivium list representation`), several joined with `+`, or stored weights.",
        ),
    ] = None,
    set_options: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Option of the representations that are fitted, such as max_epochs=5.", metavar="OPTION=VALUE"
        ),
    ] = None,
    group: Annotated[
        str | None, typer.Option("--group", "-g", help="Group that stays together: speaker, actor, video.")
    ] = None,
    split: Annotated[str | None, typer.Option("--split", "-s", help="Named split instead of folds.")] = None,
    folds: Annotated[int, typer.Option("--folds", min=2, help="Outer folds.")] = 5,
    repeated: Annotated[
        bool, typer.Option("--repeated", help="With --group: partition anew for every seed, not in order.")
    ] = False,
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, help="How many seeds; default 5, in a suite as declared.")
    ] = None,
    resamples: Annotated[int, typer.Option("--resamples", min=1, help="Of the bootstrap behind the intervals.")] = 1000,
    words: Annotated[int, typer.Option("--words", "-w", min=1, help="Steps that corpora are aligned to.")] = 20,
    modalities: Annotated[
        str | None, typer.Option("--modalities", "-m", help="Comma-separated; default: all.", metavar="A,B")
    ] = None,
    readout: Annotated[
        str,
        typer.Option("--readout", help="`linear`: one for all columns; `late`: one a modality, weighted."),
    ] = "linear",
    combinations: Annotated[
        str | None, typer.Option("--combinations", help="modalities, corpora, or leave-one-out: one table each.")
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", help="With `corpora`: the corpus that is evaluated, by its file name.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the run.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    suite: Annotated[
        str | None,
        typer.Option(
            "--suite",
            help="`real`: five real tasks instead of a corpus; or a TOML file like it.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="Folder of the real sets; default: what TRIVIUM_DATA names.", rich_help_panel=_PANEL
        ),
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option(
            "--work",
            help="Where columns and finished cells are kept; default: the user's folder.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    tasks: Annotated[
        list[str] | None,
        typer.Option("--task", "-t", help="Only this task; may be given again.", rich_help_panel=_PANEL),
    ] = None,
    track: Annotated[
        str,
        typer.Option("--track", help="H (columns by hand), F (foundation columns), or H,F.", rich_help_panel=_PANEL),
    ] = "H,F",
    leave_out: Annotated[
        list[str] | None,
        typer.Option(
            "--leave-out",
            help="Row that is not measured, such as conv-autoencoder, the slowest.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels", metavar="N,N", help="Also with so many labels only, such as 10,30,100.", rich_help_panel=_PANEL
        ),
    ] = None,
    draws: Annotated[
        int, typer.Option("--draws", min=1, help="How often labels are drawn.", rich_help_panel=_PANEL)
    ] = 50,
    unlabelled: Annotated[
        str | None,
        typer.Option(
            "--unlabelled",
            metavar="X,X",
            help="Also with shares of the unlabelled data: .1,.3.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="A look of about a minute: few tasks and rows, one seed.", rich_help_panel=_PANEL),
    ] = False,
    kept: Annotated[
        bool,
        typer.Option(
            "--kept", help="Compute nothing: tables of what earlier runs kept; names the rest.", rich_help_panel=_PANEL
        ),
    ] = False,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page with a panel for every task.", rich_help_panel=_PANEL)
    ] = None,
) -> None:
    """Show how much frozen vectors tell a linear model about a label, always beside their floors.

    Registered representations are fitted inside every fold, without labels, its test rows and other rows of their
    groups. Stored weights are not refitted: where they were trained on these utterances their score is transductive,
    and the notes say so. Then logistic or ridge regression reads the standardised vectors, its strength chosen on
    validation. The floors (majority, missingness, mean, mean and spread, the flattened matrix, its components, the
    untrained encoder) get the same readout and grid.
    The run's folder holds `result.json`, `result.md`, `predictions.csv` and `test_reads.jsonl`, where every read of a
    test fold is recorded.

    **Examples**

    `trivium probe words.npz --label emotion --group actor --folds 6 --representation conv-autoencoder --out run`

    `trivium probe mosi pom --label sentiment --combinations corpora --target mosi -r conv-autoencoder --json`

    **A suite**

    `--suite real` measures five tasks on real sets that TRIVIUM_DATA names, in two tracks that are never compared,
    each row beside the same floors, and tells whether the declared representation beats the floor that validation
    picks. Tasks without data are named and skipped. Every finished cell is kept: the same command goes on after a
    kill. A row is written `a+b`, `a[audio]`, or `transductive a` for vectors centred by speaker.

    `trivium probe --suite real --quick`

    `trivium probe --suite real --task ravdess --track F -r "functionals+masked-steps[audio]" --labels 10,30,100`
    """
    if suite is not None:
        from trivium.cli.suite import run_suite

        run_suite(
            suite, sources=sources, label=label, group=group, split=split, combinations=combinations,
            rows=representation, options=set_options, modalities=modalities, seeds=seeds, resamples=resamples, out=out,
            as_json=as_json, data=data, work=work, tasks=tasks, track=track, leave_out=leave_out, labels=labels,
            draws=draws, unlabelled=unlabelled, quick=quick, kept=kept, html=html,
        )  # fmt: skip
        return
    from trivium.evaluate.target import require_known

    sources, label = _required(sources, label)
    named = {
        Path(name).name if "/" in name else name: _representation(name, set_options or [])
        for name in representation or []
    }
    joined = _joined(sources)
    require_known(joined, label, group, split)
    options: dict[str, Any] = {
        "group": group,
        "split": split,
        "folds": folds,
        "repeated": repeated,
        "seeds": 5 if seeds is None else seeds,
        "resamples": resamples,
        "readout": readout,
        "out": out,
    }
    results = _run(combinations, named, _aligned(joined, words, modalities), label, target or sources[0].stem, options)
    if as_json:
        shown = {name: result.to_json() for name, result in results.items()}
        typer.echo(json.dumps(shown if combinations else shown[""], indent=1))
        return
    _show(results, out)


def _required(sources: list[Path] | None, label: list[str] | None) -> tuple[list[Path], list[str]]:
    if not sources or not label:
        missing = "SOURCES" if not sources else "--label"
        raise typer.BadParameter(f"{missing} is missing: name a corpus and a --label, or a --suite")
    return sources, label


def _run(
    combinations: str | None,
    named: Mapping[str, Any],
    data: Aligned,
    label: list[str],
    target: str,
    options: dict[str, Any],
) -> dict[str, ProbeResult]:
    from trivium.errors import TriviumError
    from trivium.evaluate import leave_one_corpus_out, modality_combinations, pretraining_combinations, probe

    chosen: Any = label[0] if len(label) == 1 else label
    if combinations is None:
        return {"": probe(named or None, data, chosen, **options)}
    if combinations == "modalities":
        return modality_combinations(named, data, chosen, **options)
    if combinations == "corpora":
        return pretraining_combinations(named, data, chosen, target=target, **options)
    if combinations == "leave-one-out":
        return leave_one_corpus_out(named, data, chosen, **options)
    raise TriviumError(
        f"there are no combinations of {combinations!r}", remedy="choose modalities, corpora or leave-one-out"
    )


def _joined(sources: list[Path]) -> Corpus | Aligned:
    """Everything that is to be probed, not aligned yet unless it is so on disk."""
    from trivium.align import load_aligned
    from trivium.corpus import concat
    from trivium.errors import FormatError

    if len(sources) == 1 and sources[0].suffix == ".npz":
        with suppress(FormatError):  # arrays of another layout, which the reader of formats knows
            return load_aligned(sources[0])
    corpora = [_opened(source) for source in sources]
    return corpora[0] if len(corpora) == 1 else concat(corpora, [source.stem for source in sources])


def _aligned(data: Corpus | Aligned, words: int, modalities: str | None) -> Aligned:
    from trivium.align import align
    from trivium.corpus import Corpus

    kept = None if modalities is None else [name.strip() for name in modalities.split(",")]
    if isinstance(data, Corpus):
        return align(data, words=words, modalities=kept)
    return data if kept is None else data.select(kept)


def _opened(source: Path) -> Any:
    from trivium.corpus import Corpus
    from trivium.formats import read

    return Corpus.open(source) if (source / "corpus.json").is_file() else read(source)


def _representation(name: str, options: list[str]) -> Any:
    from trivium.errors import SpecificationError, WeightsError
    from trivium.registry import entries
    from trivium.represent.request import representation, representation_names
    from trivium.weights import load_weights

    if representation_names(name):
        return with_options(representation(name), name, parsed_options(options))
    try:
        return load_weights(name)
    except WeightsError:
        if "/" in name or Path(name).exists():
            raise
        known = ", ".join(entry.name for entry in entries("representation"))
        raise SpecificationError(
            f"there is no representation {name!r}, and no weights of that name",
            remedy=f"choose from {known}, several joined with +, or name a folder of weights",
        ) from None


def _show(results: Mapping[str, ProbeResult], out: Path | None) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    for name, result in results.items():
        if name:
            console.rule(name)
        console.print(result.table())
        for note in result.notes():
            console.print(note, style="dim", markup=False)
    if len(results) > 1:
        total = sum(result.test_reads for result in results.values())
        console.print(f"Reads of a test fold recorded over all {len(results)} tables: {total}.")
    if out is not None:
        console.print(f"written to {out}")
