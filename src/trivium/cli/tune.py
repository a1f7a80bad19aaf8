"""``trivium tune``: settings of a predictor chosen on validation, from a declared space."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trivium.cli.options import parsed_options, with_options

if TYPE_CHECKING:
    from trivium.corpus import Corpus
    from trivium.evaluate.tuning import SearchSpace, Tuning

__all__ = ["command"]

_TABLE, _PICTURE, _BEST = "trials.csv", "history.png", "best.json"


def command(
    corpus: Annotated[Path, typer.Argument(help="Corpus folder, or what `trivium read` knows.")],
    label: Annotated[str, typer.Option("--label", "-l", help="Key of the label.")],
    protocol: Annotated[str, typer.Option("--protocol", "-p", help="How it is evaluated; `docs/protocols.md`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the trials; a stopped tuning goes on there.")],
    network: Annotated[
        str, typer.Option("--network", "-n", help="NAME or NAME:OPTION=VALUE; `trivium list` names them.")
    ] = "lf-dnn",
    objective: Annotated[
        list[str] | None, typer.Option("--objective", "-O", help="Beside the task: NAME or NAME:OPTION=VALUE.")
    ] = None,
    space: Annotated[
        Path | None, typer.Option("--space", help="TOML file that declares what may be tried.", metavar="SPACE.toml")
    ] = None,
    tries: Annotated[
        list[str] | None,
        typer.Option("--try", "-t", help="Declare one setting.", metavar='"NAME=log(1e-4, 1e-2)"'),
    ] = None,
    trials: Annotated[int, typer.Option("--trials", min=1, help="How many, beside the settings as given.")] = 30,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=5, help="Trainings per trial, 1111 ...; averaged.")] = 1,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", help="Parameter of the training that is not tried.", metavar="OPTION=VALUE"),
    ] = None,
    split: Annotated[str | None, typer.Option("--split", help="Which split, where there are several.")] = None,
    folds: Annotated[int, typer.Option("--folds", min=2, help="How many, where they are made of groups.")] = 5,
    fold: Annotated[
        str | None, typer.Option("--fold", help="Which fold, where there are several: each has settings of its own.")
    ] = None,
    modalities: Annotated[
        str | None, typer.Option("--modalities", "-m", help="Comma-separated; default: all.", metavar="A,B")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of what is tried.")] = 0,
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
    from trivium.evaluate import ReadLedger, named_protocol, plan_evaluation
    from trivium.evaluate.experiment import SEEDS
    from trivium.evaluate.tuning import learning_part, tune
    from trivium.predict import predictor_for

    declared = _declared(space, tries or [])
    opened = _opened(corpus, modalities)
    predictor = predictor_for(
        opened.specification.label(label), network=network, objectives=list(objective or []), device=device
    )
    with_options(predictor, "the training", parsed_options(options or []))
    plan = plan_evaluation(opened, named_protocol(protocol), label, split=split, folds=folds, ledger=ReadLedger())
    part = learning_part(plan, fold)
    found = tune(part, predictor, declared, trials=trials, seeds=SEEDS[:seeds], seed=seed, folder=out)
    told = {"corpus": str(corpus), "label": label, "protocol": protocol, "split": split, "modalities": modalities}
    best = _best(found, told)
    _write(found, best, out)
    typer.echo(json.dumps(best, indent=1) if as_json else _sentences(found, best, out))


def _declared(space: Path | None, tries: Sequence[str]) -> SearchSpace:
    from trivium.errors import SpecificationError
    from trivium.evaluate.tuning import SearchSpace

    if (space is None) == (not tries):
        raise SpecificationError("what may be tried is declared twice or not at all", remedy="give --space, or --try")
    return SearchSpace.parsed(tries) if space is None else SearchSpace.read(space)


def _opened(source: Path, modalities: str | None) -> Corpus:
    from trivium.corpus import Corpus
    from trivium.formats import read

    found = Corpus.open(source) if (source / "corpus.json").is_file() else read(source)
    return found if modalities is None else found.select([name.strip() for name in modalities.split(",")])


def _best(found: Tuning, told: Mapping[str, Any]) -> dict[str, Any]:
    """The best settings as people and `trivium train` take them."""
    predictor, changed = found.predictor, {}
    for name, default in type(predictor)().get_params(deep=False).items():
        value = getattr(predictor, name)
        if name not in ("network", "network_options", "objectives", "label", "device") and value != default:
            changed[name] = value
    words = ["trivium", "train", told["corpus"], "--label", told["label"], "--protocol", told["protocol"]]
    words += ["--split", told["split"]] if told["split"] else []
    words += ["--modalities", told["modalities"]] if told["modalities"] else []
    words += ["--network", _request(predictor.network, predictor.network_options or {})]
    words += [word for request in predictor.objectives for word in ("--objective", request)]
    words += [word for name, value in changed.items() for word in ("--set", f"{name}={_text(value)}")]
    return {
        "trial": found.best.number,
        "value": found.best.value,
        "as_given": found.trials[0].value,
        "measure": found.measure,
        "settings": dict(found.best.settings),
        "command": shlex.join([*words, "--out", "WEIGHTS"]),
    }


def _request(network: str, options: Mapping[str, Any]) -> str:
    return ":".join([network, *(f"{name}={_text(value)}" for name, value in options.items())])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _write(found: Tuning, best: Mapping[str, Any], out: Path) -> None:
    import csv

    from trivium.errors import DependencyError
    from trivium.files import atomic_file, write_json
    from trivium.report import plot_trials

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
    failed = sum(1 for trial in found.trials if trial.problem)
    settings = ", ".join(f"{name} = {value}" for name, value in best["settings"].items()) or "what was given"
    lines = [
        f"{len(found.trials) - 1} trials, compared by the {found.measure} on validation "
        f"({'higher' if found.higher_is_better else 'lower'} is better){f'; {failed} failed' if failed else ''}",
        f"as given: {best['as_given']:.6g}",
        f"best: {best['value']:.6g}, trial {best['trial']}: {settings}",
        "This value was chosen for being the best; what the settings are worth only the test fold says.",
        f"train with them: {best['command']}",
        f"all trials: {out / _TABLE}",
    ]
    return "\n".join(lines)
