"""``trivium reproduce``: the field's tables again, on the user's copy of the field's files."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trivium.cli.options import parsed_options, with_options

if TYPE_CHECKING:
    from trivium.evaluate.reproduction import Reproduction

__all__ = ["Dataset", "command"]

PAGE = "reproduction.md"


class Dataset(StrEnum):
    """What can be reproduced."""

    mosi = "mosi"
    mosei = "mosei"
    sims = "sims"
    simsv2 = "simsv2"
    iemocap = "iemocap"


def command(
    dataset: Annotated[Dataset, typer.Argument(help="Which corpus of the field.")],
    data: Annotated[
        list[Path],
        typer.Option("--data", "-d", help="The field's feature file; twice for the aligned and the unaligned one."),
    ],
    network: Annotated[
        list[str] | None,
        typer.Option(
            "--network",
            "-n",
            help="NAME or NAME:OPTION=VALUE, as often as wanted; default: self-mm, misa, mult, mfn, lmf, tfn, lf-dnn, "
            "ef-lstm.",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=5, help="How many of MMSA's seeds 1111 ... 1115.")] = 5,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", help="Parameter of the training that wins over the table.", metavar="OPTION=VALUE"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for predictions, scores, curves and the page; a stopped run goes on."),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda or auto.")] = "cpu",
    resamples: Annotated[int, typer.Option("--resamples", min=0, help="Of the bootstrap; 0: no intervals.")] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Train networks on a corpus of the field and print our numbers beside the published ones.

    You bring the file: MMSA's `aligned_50.pkl` or `unaligned_50.pkl` of MOSI and MOSEI, `unaligned_39.pkl` of CH-SIMS,
    the file of CH-SIMS v2 in the same layout, MulT's `iemocap_data.pkl`. It is read without executing anything; its
    SHA-256 is compared with those that MMSA publishes, its folds with the known sizes, and what is not known is said.

    Settings come from one table with the source of every entry; the epoch is chosen on validation, the test fold is
    read once per seed, recorded and counted. Each published row says where it stands and what chose it: some were
    chosen on test. `docs/reproducing.md` says what is established and what is not.

    **Examples**

    `trivium reproduce mosi --data aligned_50.pkl --data unaligned_50.pkl --out runs/mosi`

    `trivium reproduce sims --data unaligned_39.pkl --network tfn --network mult:layers=2 --seeds 1`
    """
    from trivium.evaluate.reproduction import NETWORKS, markdown_page, reproduce
    from trivium.files import atomic_file
    from trivium.predict import SentimentRegressor

    changes = parsed_options(options or [])
    with_options(SentimentRegressor(), "the training", changes)
    found = reproduce(
        dataset.value,
        data,
        network or NETWORKS,
        seed_count=seeds,
        changes=changes,
        folder=out,
        device=device,
        resamples=resamples,
    )
    if out is not None:
        with atomic_file(out / PAGE) as draft:
            draft.write_text(markdown_page(found), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=1, allow_nan=False))
    else:
        _show(found)


def _show(found: Reproduction) -> None:
    from rich.console import Console

    from trivium.evaluate.reproduction import network_table, references

    console = Console(highlight=False)
    for note in found.notes():
        console.print(note, markup=False)
    for result in found.results:
        console.print(network_table(result, synthetic=found.is_synthetic))
        for note in [*references(result.published), *result.notes(), *result.experiment.card.notes()]:
            console.print(note, style="dim", markup=False)
    for line in found.results[0].experiment.card.definition_lines():
        console.print(line, style="dim", markup=False)
