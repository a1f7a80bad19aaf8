"""``trivium probe``: what a linear model reads from frozen vectors, beside its floors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trivium.cli.options import parsed_options, with_options

if TYPE_CHECKING:
    from trivium.corpus import Aligned
    from trivium.evaluate import ProbeResult

__all__ = ["command"]


def command(
    sources: Annotated[
        list[Path],
        typer.Argument(help="A corpus, a file of `trivium align`, or what `trivium read` knows; several are joined."),
    ],
    label: Annotated[
        list[str], typer.Option("--label", "-l", help="What to predict; several numbers give their mean.")
    ],
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
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="How many seeds.")] = 5,
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
    """
    named = {
        Path(name).name if "/" in name else name: _representation(name, set_options or [])
        for name in representation or []
    }
    data = _joined(sources, words, modalities)
    options: dict[str, Any] = {
        "group": group,
        "split": split,
        "folds": folds,
        "repeated": repeated,
        "seeds": seeds,
        "resamples": resamples,
        "readout": readout,
        "out": out,
    }
    results = _run(combinations, named, data, label, target or sources[0].stem, options)
    if as_json:
        shown = {name: result.to_json() for name, result in results.items()}
        typer.echo(json.dumps(shown if combinations else shown[""], indent=1))
        return
    _show(results, out)


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


def _joined(sources: list[Path], words: int, modalities: str | None) -> Aligned:
    from trivium.align import align, load_aligned
    from trivium.corpus import concat
    from trivium.errors import FormatError

    kept = None if modalities is None else [name.strip() for name in modalities.split(",")]
    if len(sources) == 1 and sources[0].suffix == ".npz":
        try:
            aligned = load_aligned(sources[0])
        except FormatError:
            pass  # arrays of another layout, which the reader of formats knows
        else:
            return aligned if kept is None else aligned.select(kept)
    corpora = [_opened(source) for source in sources]
    corpus = corpora[0] if len(corpora) == 1 else concat(corpora, [source.stem for source in sources])
    return align(corpus, words=words, modalities=kept)


def _opened(source: Path) -> Any:
    from trivium.corpus import Corpus
    from trivium.formats import read

    return Corpus.open(source) if (source / "corpus.json").is_file() else read(source)


def _representation(name: str, options: list[str]) -> Any:
    from trivium.represent.request import representation, representation_names
    from trivium.weights import load_weights

    if representation_names(name):
        return with_options(representation(name), name, parsed_options(options))
    return load_weights(name)


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
