"""The field's tables again: our networks on the user's own copy of the field's files, beside what others printed.

Every network is trained with the settings of ``settings.toml``, five seeds, the epoch chosen on validation; the test
fold is read once per seed, recorded and counted. With a folder, a run that was killed goes on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trivium.errors import SpecificationError
from trivium.evaluate.experiment import SEEDS, Experiment, train_and_score
from trivium.evaluate.named_protocols import NamedProtocol, named_protocol
from trivium.evaluate.plan import plan_evaluation
from trivium.evaluate.reproduction.files import CheckedFile, open_field_file
from trivium.evaluate.reproduction.published import PublishedRow, published_rows
from trivium.evaluate.reproduction.settings import (
    NETWORKS,
    FieldDataset,
    RunSettings,
    differences,
    field_dataset,
    run_settings,
)
from trivium.evaluate.test_fold import ReadLedger
from trivium.files import atomic_file, write_json
from trivium.predict import network_request, predictor_for
from trivium.registry import load

__all__ = ["MARK", "RESULT", "Reproduced", "Reproduction", "reproduce"]

RESULT = "reproduction.json"
"""What a folder of a reproduction keeps beside the runs of every network."""

MARK = "SYNTHETIC.txt"
"""A file in every folder that holds numbers of made-up data."""


@dataclass(frozen=True, eq=False)
class Reproduced:
    """One network, trained and scored.

    Parameters
    ----------
    network : str
        Its name.
    settings : RunSettings
        Of the table.
    changed : mapping
        What the user set otherwise.
    file : CheckedFile
        What it learned from and was tested on.
    experiment : Experiment
        Its numbers.
    """

    network: str
    settings: RunSettings
    changed: Mapping[str, Any]
    file: CheckedFile
    experiment: Experiment

    @property
    def published(self) -> list[PublishedRow]:
        """What others printed of this network."""
        return published_rows(self.settings.dataset, self.network)

    def notes(self) -> list[str]:
        """Sentences that belong under the numbers of this network."""
        found = [f"Settings: {self.settings.source}. {self._told()}"]
        if self.changed:
            found.append(f"Changed by you: {_listed(self.changed)}.")
        if self.published:
            found += differences(self.network, text_encoder=self.changed.get("text_encoder"))
        ours = "aligned" if self.file.is_aligned else "unaligned"
        if any(row.data not in ("", ours) for row in self.published):
            found.append(f"Ours is on {ours} columns ({self.file.path.name}); a published row says its own.")
        return found

    def _told(self) -> str:
        parts = [_listed(self.settings.training), _listed(self.settings.options), ", ".join(self.settings.objectives)]
        told = zip(("training", "network", "objectives beside the task"), parts, strict=True)
        return " ".join(f"{name.capitalize()}: {part}." for name, part in told if part)

    def to_json(self) -> dict[str, Any]:
        """Everything that is printed, as plain builtins."""
        return {
            "network": self.network,
            "settings": {
                "source": self.settings.source,
                "training": dict(self.settings.training),
                "network": dict(self.settings.options),
                "objectives": list(self.settings.objectives),
                "changed": dict(self.changed),
            },
            "file": self.file.path.name,
            "valid": [run.valid for run in self.experiment.runs],
            "epochs": [run.epochs for run in self.experiment.runs],
            "scores": self.experiment.card.to_json(),
            "published": [vars(row) for row in self.published],
            "notes": self.notes(),
        }


@dataclass(frozen=True, eq=False)
class Reproduction:
    """What :func:`reproduce` gives.

    Parameters
    ----------
    dataset : FieldDataset
        What was reproduced.
    protocol : NamedProtocol
        How it was measured.
    files : tuple of CheckedFile
        The user's files.
    results : tuple of Reproduced
        In the order of the request.
    left_out : mapping of str to str
        Networks that could not be run on these files, and why.
    """

    dataset: FieldDataset
    protocol: NamedProtocol
    files: tuple[CheckedFile, ...]
    results: tuple[Reproduced, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_synthetic(self) -> bool:
        """Whether a file holds made-up utterances."""
        return any(file.is_synthetic for file in self.files)

    def notes(self) -> list[str]:
        """Sentences for the head of everything."""
        found = [note for file in self.files for note in file.notes()]
        found += [f"{name} was left out: {why}." for name, why in self.left_out.items()]
        return found

    def to_json(self) -> dict[str, Any]:
        """Everything that is printed, as plain builtins."""
        return {
            "dataset": self.dataset.name,
            "synthetic": self.is_synthetic,
            "protocol": self.protocol.name,
            "files": [
                {
                    "name": file.path.name,
                    "sha256": file.sha256,
                    "published_as": file.published or None,
                    "sizes": dict(file.sizes),
                    "expected": dict(file.expected),
                }
                for file in self.files
            ],
            "networks": [result.to_json() for result in self.results],
            "left_out": dict(self.left_out),
            "others": [vars(row) for row in published_rows(self.dataset.name, "")],
            "notes": self.notes(),
        }


def reproduce(
    dataset: str,
    data: Sequence[str | os.PathLike[str]],
    networks: Sequence[str] = NETWORKS,
    *,
    seed_count: int = 5,
    changes: Mapping[str, Any] | None = None,
    folder: str | os.PathLike[str] | None = None,
    ledger: ReadLedger | None = None,
    resamples: int = 1000,
    device: str = "cpu",
    show: bool = True,
) -> Reproduction:
    """Train networks on a dataset of the field and put their numbers beside the published ones.

    Parameters
    ----------
    dataset : str
        ``mosi``, ``mosei``, ``sims``, ``simsv2`` or ``iemocap``.
    data : sequence of path
        The field's feature file, or the aligned and the unaligned one: networks whose modalities must share their steps
        take the aligned one, the others the unaligned one where there is one.
    networks : sequence of str
        Names, or requests such as ``mult:layers=2``.
    seed_count : int
        How many of the five seeds.
    changes : mapping, optional
        Parameters of the estimator that win over the table.
    folder : path, optional
        Gets predictions, scores and loss curves by network, and :data:`RESULT`.
    ledger : ReadLedger, optional
        Where reads of the test fold are recorded.
    resamples : int
        Of the bootstrap.
    device : str
        Where to train.
    show : bool
        Show progress.

    Raises
    ------
    SpecificationError
        An unknown dataset, network or parameter, or no network can be run on the files.
    DataError
        A file is of another dataset.
    """
    chosen = field_dataset(dataset)
    wanted = dict(network_request(request) for request in networks)
    if len(wanted) < len(networks) or not 1 <= seed_count <= len(SEEDS):
        raise SpecificationError(
            f"there are {len(networks)} networks and {seed_count} seeds",
            remedy=f"name every network once, and 1 to {len(SEEDS)} seeds",
        )
    files = _opened(data, chosen)
    where = {name: _file_for(name, files) for name in wanted}
    left_out = {name: _WHY_LEFT_OUT for name, file in where.items() if file is None}
    if len(left_out) == len(wanted):
        raise SpecificationError(f"no network can be run: {_WHY_LEFT_OUT}", remedy="give the aligned file too")
    for name, file in where.items():
        if file is not None:
            _require_buildable(run_settings(dataset, name), wanted[name], file)
    results: list[Reproduced] = []
    for name, file in where.items():
        if file is not None:
            if show:
                print(f"{dataset}: {name}, {len(results) + 1} of {len(wanted) - len(left_out)}", file=sys.stderr)
            place = None if folder is None else Path(folder) / name
            told = _Told(chosen, SEEDS[:seed_count], place, ledger, resamples, device, show)
            results.append(_reproduced(told, name, wanted[name], dict(changes or {}), file))
    found = Reproduction(chosen, named_protocol(chosen.protocol), files, tuple(results), left_out)
    if folder is not None:
        write_json(Path(folder) / RESULT, found.to_json())
        if found.is_synthetic:
            _mark(Path(folder), found)
    return found


def _require_buildable(settings: RunSettings, options: Mapping[str, Any], file: CheckedFile) -> None:
    """Build the network without memory for it, so that an option that cannot be is told before hours of training."""
    import torch

    kind = load("network", settings.network)
    with torch.device("meta"):
        try:
            kind.from_specification(file.corpus.specification, **{**settings.options, **options})
        except (TypeError, ValueError, AttributeError) as cause:
            raise SpecificationError(f"{settings.network}: {cause}", remedy="see the network's parameters") from cause


def _mark(folder: Path, found: Reproduction) -> None:
    """Say in every folder that holds numbers of made-up data that it does."""
    text = "\n".join(note for note in found.notes() if note.startswith("SYNTHETIC")) + "\n"
    for place in (folder, *(folder / result.network for result in found.results)):
        with atomic_file(place / MARK) as draft:
            draft.write_text(text, encoding="utf-8")


def _listed(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in settings.items())


_WHY_LEFT_OUT = "its modalities must share their steps, and no file here is aligned"


@dataclass(frozen=True, eq=False)
class _Told:
    """What all networks of a reproduction share."""

    dataset: FieldDataset
    seeds: Sequence[int]
    folder: Path | None
    ledger: ReadLedger | None
    resamples: int
    device: str
    show: bool


def _opened(data: Sequence[str | os.PathLike[str]], dataset: FieldDataset) -> tuple[CheckedFile, ...]:
    if not 1 <= len(data) <= 2:
        raise SpecificationError(
            f"{len(data)} files are given", remedy="give one, or the aligned and the unaligned one"
        )
    files = tuple(open_field_file(path, dataset) for path in data)
    if len(files) == 2 and files[0].is_aligned == files[1].is_aligned:
        kind = "aligned" if files[0].is_aligned else "unaligned"
        raise SpecificationError(f"both files are {kind}", remedy="give one of them, or one of each kind")
    return files


def _file_for(network: str, files: Sequence[CheckedFile]) -> CheckedFile | None:
    """The file that a network takes; None where it needs aligned steps and there are none."""
    aligned = next((file for file in files if file.is_aligned), None)
    if load("network", network).aligned:
        return aligned
    return next((file for file in files if not file.is_aligned), aligned)


def _reproduced(
    told: _Told, network: str, options: Mapping[str, Any], changes: dict[str, Any], file: CheckedFile
) -> Reproduced:
    settings = run_settings(told.dataset.name, network)
    label = file.corpus.specification.label(told.dataset.label)
    predictor = predictor_for(
        label,
        network=network,
        network_options={**settings.options, **options} or None,
        objectives=list(settings.objectives),
        device=told.device,
        **{**settings.training, **changes},
    )
    protocol = named_protocol(told.dataset.protocol)
    plan = plan_evaluation(file.corpus, protocol, label.key, split="standard", ledger=told.ledger)
    done = train_and_score(
        plan, predictor, seeds=told.seeds, folder=told.folder, resamples=told.resamples, show=told.show
    )
    return Reproduced(network, settings, {**changes, **options}, file, done)
