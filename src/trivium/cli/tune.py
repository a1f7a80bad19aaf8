"""``trivium tune``: settings of a predictor chosen on validation, from a declared space."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trivium.cli.options import parsed_options, with_options
from trivium.cli.plans import Folds, Group, Label, Modalities, Split, Words, open_data, plan_of

if TYPE_CHECKING:
    from trivium.evaluate.tuning import SearchSpace, Tuning

__all__ = ["command"]

_TABLE, _PICTURE, _BEST = "trials.csv", "history.png", "best.json"
# What `trivium train` calls the parameters of the estimator.
_FLAGS = {
    "loss": "--loss",
    "class_weight": "--class-weight",
    "text_encoder": "--text-encoder",
    "text_steps": "--text-steps",
    "text_learning_rate": "--text-learning-rate",
    "text_weight_decay": "--text-weight-decay",
    "freeze_layers": "--freeze-layers",
    "learning_rate": "--learning-rate",
    "weight_decay": "--weight-decay",
    "schedule": "--schedule",
    "batch_size": "--batch-size",
    "accumulate": "--accumulate",
    "max_epochs": "--epochs",
    "patience": "--patience",
    "clip_norm": "--clip-norm",
    "validation_fraction": "--validation",
    "drop_modalities": "--drop-modalities",
    "drop_steps": "--drop-steps",
    "precision": "--precision",
}


def command(
    source: Annotated[Path, typer.Argument(help="A corpus, a file of `trivium align`, or what `trivium read` knows.")],
    label: Label,
    protocol: Annotated[str, typer.Option("--protocol", "-p", help="How it is evaluated; see `docs/protocols.md`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the trials; a stopped tuning goes on there.")],
    network: Annotated[
        str, typer.Option("--network", "-n", help="NAME or NAME:OPTION=VALUE; `trivium list network` names them.")
    ] = "lf-dnn",
    objective: Annotated[
        list[str] | None,
        typer.Option("--objective", "-O", help="Beside the task: NAME:OPTION=VALUE; `trivium list objective`."),
    ] = None,
    space: Annotated[
        Path | None, typer.Option("--space", help="TOML file that declares what may be tried.", metavar="SPACE.toml")
    ] = None,
    tries: Annotated[
        list[str] | None,
        typer.Option("--try", "-t", help="Declare one setting; may be repeated.", metavar="NAME=KIND(A,B)"),
    ] = None,
    trials: Annotated[int, typer.Option("--trials", min=1, help="How many, beside the settings as given.")] = 30,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=5, help="Trainings per trial, 1111 ...; averaged.")] = 1,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", help="Parameter of the training that is not tried.", metavar="OPTION=VALUE"),
    ] = None,
    split: Split = None,
    group: Group = None,
    folds: Folds = 5,
    fold: Annotated[
        str | None, typer.Option("--fold", help="Which fold, where there are several: each has settings of its own.")
    ] = None,
    words: Words = None,
    modalities: Modalities = None,
    seed: Annotated[int, typer.Option("--seed", help="Of what is tried; trainings have their own.")] = 0,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda or auto.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Choose settings of a network on the validation fold; no trial can see a test row.

    A name is a parameter of the training (`learning_rate`, `weight_decay`, `batch_size`, `clip_norm` ...), an option
    of the network (`network.dropout`, `network.dropout.text` for one modality) or of an objective
    (`modal_alignment.weight`). What it may be: `uniform(0, 0.5)`, `log(1e-4, 1e-2)`, `int(16, 128)`,
    `choice(16, 32)`. In SPACE.toml: `learning_rate = "log(1e-4, 1e-2)"`, and under `[network]`: `dropout = ...`.

    Trial 0 is what is given, unchanged. Trials are compared by what the protocol chooses by; where that is the loss, by
    that of the task alone. OUT gets the record `tuning.json`, `trials.csv`, `history.png`, `best.json` with the command
    that trains with the best settings, and loss curves. The same command goes on with a stopped tuning, more
    `--trials` with a finished one. The best value was chosen for being the best: only the test fold says what it is
    worth.

    **Examples**

    `trivium tune corpora/mosi --label sentiment --protocol mosi --network tfn --try "learning_rate=log(1e-4, 1e-2)"
    --try "network.dropout=uniform(0, 0.5)" --trials 50 --out tuning/tfn`

    `trivium tune corpora/mosi --label sentiment --protocol mosi --network self-mm --objective modal_alignment
    --space space.toml --out tuning/self-mm`
    """
    from trivium.evaluate.fitting import SEEDS
    from trivium.evaluate.tuning import learning_part, tune
    from trivium.predict import predictor_for

    declared = _declared(space, tries or [])
    data = open_data(source, words, modalities)
    predictor = predictor_for(
        data.specification.label(label), network=network, objectives=list(objective or []), device=device
    )
    with_options(predictor, "the training", parsed_options(options or []))
    part = learning_part(plan_of(data, protocol, label, split, group, folds), fold)
    found = tune(part, predictor, declared, trials=trials, seeds=SEEDS[:seeds], seed=seed, folder=out)
    told: dict[str, Any] = {"--label": label, "--protocol": protocol, "--split": split, "--group": group}
    told |= {"--folds": folds if group else None, "--fold": fold, "--words": words, "--modalities": modalities}
    best = _best(found, str(source), told)
    _write(found, best, out)
    typer.echo(json.dumps(best, indent=1) if as_json else _sentences(found, best, out))


def _declared(space: Path | None, tries: Sequence[str]) -> SearchSpace:
    from trivium.errors import SpecificationError
    from trivium.evaluate.tuning import SearchSpace

    if (space is None) == (not tries):
        raise SpecificationError("what may be tried is declared twice or not at all", remedy="give --space, or --try")
    return SearchSpace.parsed(tries) if space is None else SearchSpace.read(space)


def _best(found: Tuning, source: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """The best settings, and the command that trains with them."""
    predictor = found.predictor
    words = ["trivium", "train", source, *_words(told)]
    words += ["--network", _request(predictor.network, predictor.network_options or {})]
    words += [word for request in predictor.objectives for word in ("--objective", request)]
    words += [word for part, rates in (predictor.parts or {}).items() for word in ("--part", _request(part, rates))]
    defaults = type(predictor)().get_params(deep=False)
    changed = {n: getattr(predictor, n) for n in _FLAGS if getattr(predictor, n) != defaults[n]}
    words += _words({_FLAGS[name]: _weights(value) for name, value in changed.items()})
    return {
        "trial": found.best.number,
        "value": found.best.value,
        "as_given": found.trials[0].value,
        "measure": found.measure,
        "settings": dict(found.best.settings),
        "command": shlex.join([*words, "--out", "WEIGHTS"]),
    }


def _words(options: Mapping[str, Any]) -> list[str]:
    """Options of a command line, without those that are None."""
    return [word for flag, value in options.items() if value is not None for word in (flag, _text(value))]


def _request(network: str, options: Mapping[str, Any]) -> str:
    return ":".join([network, *(f"{name}={_text(value)}" for name, value in options.items())])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _weights(value: Any) -> Any:
    """Weights by class as `trivium train` takes them."""
    return ",".join(f"{name}={weight:g}" for name, weight in value.items()) if isinstance(value, Mapping) else value


def _write(found: Tuning, best: Mapping[str, Any], out: Path) -> None:
    import csv

    from trivium.errors import DependencyError
    from trivium.files import atomic_file, write_json
    from trivium.report.trials_plot import plot_trials

    rows = found.rows()
    with atomic_file(out / _TABLE) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    write_json(out / _BEST, dict(best))
    try:
        plot_trials(out / _PICTURE, rows, measure=found.measure)
    except DependencyError as error:
        typer.echo(f"no picture: {error}", err=True)


def _sentences(found: Tuning, best: Mapping[str, Any], out: Path) -> str:
    from trivium.wording import counted

    failed = sum(1 for trial in found.trials if trial.problem)
    failures = f"; {failed} failed" if failed else ""
    settings = ", ".join(f"{name} = {value}" for name, value in best["settings"].items()) or "what was given"
    lines = [
        f"{counted(len(found.trials) - 1, 'trial')} beside the settings as given, compared by the {found.measure} on "
        f"validation ({'higher' if found.higher_is_better else 'lower'} is better){failures}",
        f"as given (trial 0): {best['as_given']:.6g}",
        f"best: {best['value']:.6g}, trial {best['trial']}: {settings}",
        "This value was chosen for being the best; what the settings are worth only the test fold says.",
        f"train with them: {best['command']}",
        f"all trials: {out / _TABLE}",
    ]
    return "\n".join(lines)
