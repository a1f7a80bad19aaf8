"""``trivium train``: a network with any objectives, trained on the learning folds of a protocol, as weights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trivium.cli.losses import loss_lines
from trivium.cli.options import class_weights
from trivium.cli.plans import Folds, Group, Label, Modalities, Split, Words, open_data, plan_of

if TYPE_CHECKING:
    from trivium.evaluate import EvaluationPlan
    from trivium.evaluate.fitting import FittedFold

__all__ = ["command"]


def command(
    source: Annotated[Path, typer.Argument(help="A corpus, a file of `trivium align`, or what `trivium read` knows.")],
    label: Label,
    protocol: Annotated[str, typer.Option("--protocol", "-p", help="How it is evaluated; see `docs/protocols.md`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Weights folder to write; OUT.run gets checkpoints.")],
    network: Annotated[
        str, typer.Option("--network", "-n", help="NAME or NAME:OPTION=VALUE; `trivium list network` names them.")
    ] = "lf-dnn",
    objective: Annotated[
        list[str] | None,
        typer.Option("--objective", "-O", help="Beside the task: NAME:OPTION=VALUE; `trivium list objective`."),
    ] = None,
    split: Split = None,
    group: Group = None,
    folds: Folds = 5,
    fold: Annotated[str | None, typer.Option("--fold", help="Only this fold; default: all.")] = None,
    seed: Annotated[
        list[int] | None, typer.Option("--seed", help="Decides weights and order; may be repeated. [default: 1111]")
    ] = None,
    words: Words = None,
    modalities: Modalities = None,
    loss: Annotated[
        str | None,
        typer.Option(
            "--loss", help="Of numbers: l1, mse, huber, or ordinal (levels; ordinal:STEP). Of classes: cross-entropy."
        ),
    ] = None,
    class_weight: Annotated[
        str | None,
        typer.Option("--class-weight", help="`balanced`: every class weighs the same; or `calm=2,sad=0.5`, others 1."),
    ] = None,
    text_encoder: Annotated[
        str | None,
        typer.Option("--text-encoder", help="Train along what reads the words: hf:FOLDER or minilm-l6."),
    ] = None,
    text_steps: Annotated[
        str, typer.Option("--text-steps", help="What it gives a vector for: `words`, or the `utterance`.")
    ] = "words",
    text_learning_rate: Annotated[float, typer.Option("--text-learning-rate", help="Of the text encoder.")] = 2e-5,
    text_weight_decay: Annotated[float, typer.Option("--text-weight-decay", help="Of the text encoder.")] = 1e-3,
    freeze_layers: Annotated[
        int, typer.Option("--freeze-layers", min=0, help="First layers of the text encoder that stay as they are.")
    ] = 0,
    learning_rate: Annotated[float, typer.Option("--learning-rate", "--lr", help="Of Adam.")] = 1e-3,
    weight_decay: Annotated[float, typer.Option("--weight-decay", help="Of Adam.")] = 1e-3,
    part: Annotated[
        list[str] | None,
        typer.Option(
            "--part",
            help="Part of the network with rates of its own: NAME:learning_rate=0.005:weight_decay=0; may be repeated.",
        ),
    ] = None,
    schedule: Annotated[
        str, typer.Option("--schedule", help="Learning rates by epoch: constant, or plateau[:patience=5:factor=0.1].")
    ] = "constant",
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Utterances per batch.")] = 32,
    accumulate: Annotated[int, typer.Option("--accumulate", min=1, help="Batches per step.")] = 1,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Most passes over the data.")] = 100,
    patience: Annotated[int, typer.Option("--patience", min=0, help="Epochs without a better one, then stop.")] = 8,
    clip_norm: Annotated[float | None, typer.Option("--clip-norm", help="Largest norm of a step's gradients.")] = None,
    validation: Annotated[
        float, typer.Option("--validation", help="Share held out to stop in time, where no valid fold is given.")
    ] = 0.1,
    drop_modalities: Annotated[
        float, typer.Option("--drop-modalities", help="In training, drop each modality with this probability.")
    ] = 0.0,
    drop_steps: Annotated[float, typer.Option("--drop-steps", help="The same for single steps.")] = 0.0,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda or auto.")] = "cpu",
    precision: Annotated[str, typer.Option("--precision", help="fp32, or bf16 for mixed precision.")] = "fp32",
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard events into OUT.run.")] = False,
    export: Annotated[
        bool,
        typer.Option(
            "--export/--no-export",
            help="Export the network, so that predicting needs no torch; minutes for mfn and mult.",
        ),
    ] = True,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoints of a run that stopped.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace weights and checkpoints.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Train a network on labels; the test folds stay closed.

    What it learns from is the learning part of the protocol's folds. The kept epoch is chosen on the valid fold, or on
    a share of the training groups where there is none, by the protocol's rule. One seed on one fold makes OUT a weights
    folder; several make a folder of them, `OUT/seed-S.fold-F`. After every epoch OUT.run holds a checkpoint and
    `losses.csv`; a run that was killed goes on with `--resume` and ends with the same bytes. A loss that is not finite
    stops the run and names the utterances; `--resume --epochs N`, N being the epochs that ended, writes the best of
    them.
    With `--text-encoder` the words themselves are the text: the corpus must keep them, and predicting needs torch.
    `trivium evaluate` scores the test folds, `trivium predict` answers for clips.

    **Examples**

    `trivium train mosi --label sentiment --protocol mosi --network self-mm --objective unimodal_labels --out w/mm`

    `trivium train corpus -l emotion -p classification --group actor --folds 6 --class-weight balanced --network
    tfn:fusion=32 --objective modal_alignment:pairs=text+audio:weight=10 --seed 1 --seed 2 --out w/tfn`
    """
    from trivium.predict import part_requests

    run, parts = out.with_name(f"{out.name}.run"), part_requests(part or [])
    _require_places(out, run, resume, overwrite)
    data = open_data(source, words, modalities)
    plan = plan_of(data, protocol, label, split, group, folds)
    for note in plan.notes:
        typer.echo(note, err=True)
    settings: dict[str, Any] = {
        "network": network,
        "objectives": tuple(objective or ()),
        "loss": loss,
        "class_weight": class_weights(class_weight),
        "text_encoder": text_encoder,
        "text_steps": text_steps,
        "text_learning_rate": text_learning_rate,
        "text_weight_decay": text_weight_decay,
        "freeze_layers": freeze_layers,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "parts": parts or None,
        "schedule": schedule,
        "batch_size": batch_size,
        "accumulate": accumulate,
        "max_epochs": epochs,
        "patience": patience,
        "clip_norm": clip_norm,
        "validation_fraction": validation,
        "drop_modalities": drop_modalities,
        "drop_steps": drop_steps,
        "device": device,
        "precision": precision,
        "tensorboard": tensorboard,
    }
    learned = {"corpus": source.stem, "protocol": protocol, "split": split, "group": group, "folds": folds}
    done = _train(plan, settings, seed or [1111], fold, (out, run), learned, resume, export)
    if done:
        _tell(done, source, out, as_json)


def _require_places(out: Path, run: Path, resume: bool, overwrite: bool) -> None:
    """Say before the training, not after it, that its result could not be written."""
    from trivium.cli.fit import require_places

    holds_several = out.is_dir() and any(out.glob("seed-*/config.json"))
    if not (holds_several and (resume or overwrite)):
        require_places(out, run, resume=resume, overwrite=overwrite or resume)


def _train(
    plan: EvaluationPlan[Any],
    settings: Mapping[str, Any],
    seeds: Sequence[int],
    fold: str | None,
    places: tuple[Path, Path],
    learned: Mapping[str, Any],
    resume: bool,
    export: bool,
) -> dict[Path, Any]:
    """Fitted predictors by the folder of their weights; of several processes, the first one writes and tells."""
    from trivium.cli.fit import is_first_process
    from trivium.evaluate.fitting import fit_folds
    from trivium.predict import network_request, predictor_for

    network_request(settings["network"])
    out, run = places
    label = plan.data.specification.label(plan.label)
    chosen = plan if fold is None else plan.only(fold)
    single = len(seeds) == 1 and len(chosen.folds.of_seed(seeds[0])) == 1
    done: dict[Path, Any] = {}
    for one in fit_folds(chosen, predictor_for(label, **settings), seeds=seeds, folder=run, resume=resume):
        where = out if single else out / f"seed-{one.seed}.fold-{one.name.replace('/', '_')}"
        facts = {**learned, "label": plan.label, "fold": one.name, "seed": one.seed, **_rows(plan, one)}
        if not is_first_process():
            continue
        if export:
            typer.echo("exporting the network; `--no-export` leaves that out", err=True)
        one.predictor.save(where, learned=facts, export=export, overwrite=True)
        done[where] = one.predictor
    return done


def _rows(plan: EvaluationPlan[Any], one: FittedFold[Any]) -> dict[str, str]:
    """By which the rows that it learned from, and those it is to be tested on, are known again."""
    from trivium.evaluate.test_fold import fingerprint

    return {"train": fingerprint(one.learning.train, plan.label), "test": one.door.fingerprint}


def _tell(done: Mapping[Path, Any], source: Path, out: Path, as_json: bool) -> None:
    if as_json:
        facts = [
            {
                "weights": str(where),
                "seed": one.seed_,
                "epochs": one.n_iter_,
                "kept_epoch": one.best_epoch_ + 1,
                "losses": one.loss_curves_,
            }
            for where, one in done.items()
        ]
        typer.echo(json.dumps(facts, indent=1))
        return
    from trivium.wording import counted

    for where, one in done.items():
        reader = "" if one.text_encoder_ is None else f", its text read by {one.text_encoder_.called}"
        typer.echo(f"{where}: {one.network.partition(':')[0]}{reader}, {counted(one.n_iter_, 'epoch')}")
        typer.echo(f"  learned from {counted(one.learned_, 'utterance')}")
        for line in loss_lines(one.loss_curves_):
            typer.echo(f"  {line}")
        if one.best_epoch_ >= 0:
            typer.echo(f"  kept: epoch {one.best_epoch_ + 1}, {one.selection} on validation {one.best_value_:.6g}")
        if one.best_epoch_ == one.n_iter_ - 1:
            typer.echo("  the last epoch was the best: more --epochs may give a better one")
    typer.echo(f"next, the test fold: trivium evaluate {source} --weights {out}")
