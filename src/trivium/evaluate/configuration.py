"""What decides the predictions of an experiment, as plain builtins, and how often it read a test fold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from trivium.corpus import Aligned, Corpus
from trivium.errors import SpecificationError, TriviumError, WeightsError
from trivium.evaluate.plan import EvaluationPlan
from trivium.evaluate.study import data_hash
from trivium.evaluate.test_fold import Data, ReadCount, configuration_hash
from trivium.files import read_json, write_json

__all__ = [
    "configuration_of",
    "data_content",
    "experiment_configuration",
    "noted",
    "other_settings",
    "reads_of",
    "reads_sentence",
]

_UNTOLD = ("device", "folder", "progress", "random_state", "resume", "tensorboard")  # decide nothing, or the seed does


def experiment_configuration(plan: EvaluationPlan[Data], predictor: Any) -> dict[str, Any]:
    """Everything that decides predictions but the seed, as plain builtins: what reads of a test fold are counted by.

    Parameters
    ----------
    plan : EvaluationPlan
        Protocol, label, folds and data.
    predictor : estimator
        Its settings.
    """
    settled = {"selection": plan.protocol.selection, "label": plan.label}
    return configuration_of(plan, type(predictor).__name__, predictor.get_params(deep=False) | settled)


def configuration_of(plan: EvaluationPlan[Data], estimator: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The same of an estimator by name and parameters, which stored weights tell too: one hash in training and after.

    Parameters
    ----------
    plan : EvaluationPlan
        Protocol, label, folds and data.
    estimator : str
        Name of its class.
    parameters : mapping
        Its settings; what decides no prediction is left out, and of a text encoder's folder only the name counts.

    Raises
    ------
    SpecificationError
        A setting is not finite.
    """
    told = {k: _plain(v) for k, v in sorted(parameters.items()) if k not in _UNTOLD}
    wrong = [k for k, v in told.items() if isinstance(v, float) and not np.isfinite(v)]
    if wrong:
        raise SpecificationError(f"{wrong[0]} cannot be {told[wrong[0]]}", remedy="give a finite number")
    kind, sign, place = (told.get("text_encoder") or "").partition(":")
    if sign:  # stored weights name the encoder behind any kind, a request behind `hf` alone
        told["text_encoder"] = f"{kind}:{Path(place).name}" if kind == "hf" else kind
    return {
        "predictor": estimator,
        "parameters": told,
        "protocol": plan.protocol.name,
        "folds": plan.folds.description,
        "data": data_content(plan.data),
    }


def data_content(data: Aligned | Corpus) -> str:
    """Hash of all utterances with their columns.

    Parameters
    ----------
    data : Aligned or Corpus
        Utterances.
    """
    return data.content_hash() if isinstance(data, Corpus) else data_hash(data)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value.item() if isinstance(value, np.generic) else value


@contextmanager
def noted(folder: Path | None, told: Mapping[str, Any], *, resume: bool = True) -> Iterator[None]:
    """Refuse a folder of an experiment with other settings, and note the settings in it as long as runs are there.

    What is refused before its first epoch leaves nothing of its own, so that the corrected start finds its place as it
    was: folders and notes that were there before stay.

    Parameters
    ----------
    folder : path, optional
        Of the experiment.
    told : mapping
        Its settings.
    resume : bool
        False overwrites what is noted there.

    Raises
    ------
    WeightsError
        The folder holds runs with other settings.
    """
    if folder is None:
        yield
        return
    note = folder / "configuration.json"
    if resume and note.is_file() and read_json(note) != dict(told):
        raise other_settings(folder, told, read_json(note))
    there, earlier = _state_of(folder), note.read_bytes() if note.is_file() else None
    write_json(note, dict(told))
    try:
        yield
    except TriviumError:
        made = {path for path, state in _state_of(folder).items() if there.get(path) != state} - {note}
        if not any(path.is_file() for path in made):
            _restore(note, earlier, made)
        raise


def _state_of(folder: Path) -> dict[Path, int]:
    """The folder and all that is in it, with when each file was last written."""
    found = [one for one in (folder, *folder.rglob("*")) if one.exists()]
    return {one: one.stat().st_mtime_ns if one.is_file() else 0 for one in found}


def _restore(note: Path, earlier: bytes | None, made: set[Path]) -> None:
    """Take back a start that was refused: its note, and the folders that it made."""
    if earlier is None:
        note.unlink(missing_ok=True)
    else:
        note.write_bytes(earlier)
    for folder in sorted(made, reverse=True):  # what lies within comes first
        folder.rmdir()


def other_settings(where: Path, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> WeightsError:
    """The error that names what differs between two settings.

    Parameters
    ----------
    where : path
        Folder or file of the runs.
    ours, theirs : mapping
        Settings, with those of the predictor under ``parameters``.
    """
    flat = [{**one, **one.get("parameters", {})} for one in (ours, theirs)]
    names = sorted(k for k in {*flat[0], *flat[1]} if k != "parameters" and flat[0].get(k) != flat[1].get(k))
    return WeightsError(
        f"holds runs with other settings ({', '.join(names)})", file=where, remedy="choose another folder"
    )


def reads_of(plan: EvaluationPlan[Data], told: Mapping[str, Any], seeds: Sequence[int]) -> dict[str, ReadCount]:
    """How often each test fold has been read, by this configuration and by all.

    Parameters
    ----------
    plan : EvaluationPlan
        Gives the folds and the ledger.
    told : mapping
        Of :func:`experiment_configuration`.
    seeds : sequence of int
        Whose folds are meant.
    """
    key = configuration_hash(told)
    doors = {door.name: door for seed in seeds for _, door in plan.runs(seed)}
    return {name: plan.ledger.count(door.fingerprint, key) for name, door in doors.items()}


def reads_sentence(reads: Mapping[str, ReadCount]) -> str:
    """Counts by fold as one sentence for people.

    Examples
    --------
    >>> reads_sentence({"1": ReadCount(1, 2), "2": ReadCount(2, 2)})[:54]
    'Of 2 test folds, the most read one: This configuration'
    """
    if len(reads) == 1:
        return str(next(iter(reads.values())))
    most = ReadCount(max(r.times for r in reads.values()), max(r.configurations for r in reads.values()))
    return f"Of {len(reads)} test folds, the most read one: {most}"
