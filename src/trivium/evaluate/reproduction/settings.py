"""What is run on the corpora of the field: one table, ``settings.toml``, with the source of every entry."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from trivium.errors import SpecificationError

__all__ = [
    "DATASETS",
    "NETWORKS",
    "FieldDataset",
    "FieldFile",
    "RunSettings",
    "differences",
    "field_dataset",
    "run_settings",
]

DATASETS = ("mosi", "mosei", "sims", "simsv2", "iemocap")
"""What `trivium reproduce` knows."""

NETWORKS = ("self-mm", "misa", "mult", "mfn", "lmf", "tfn", "lf-dnn", "ef-lstm")
"""What it runs where nothing is named."""


@dataclass(frozen=True)
class FieldFile:
    """A file that its makers publish with a hash.

    Parameters
    ----------
    name : str
        As they call it.
    sha256 : str
        Of its bytes.
    """

    name: str
    sha256: str


@dataclass(frozen=True)
class FieldDataset:
    """A corpus of the field as its feature files are distributed.

    Parameters
    ----------
    name : str
        As on the command line.
    wants : str
        Which file that is, for people.
    protocol : str
        How it is evaluated.
    format : str
        Which reader reads its files.
    label : str
        Key of the label.
    sizes : mapping of str to int
        Utterances by fold.
    files : tuple of FieldFile
        With published hashes; empty where none are published.
    """

    name: str
    wants: str
    protocol: str
    format: str
    label: str
    sizes: Mapping[str, int]
    files: tuple[FieldFile, ...]


@dataclass(frozen=True)
class RunSettings:
    """How one network is trained on one dataset.

    Parameters
    ----------
    dataset, network : str
        Names.
    source : str
        Where the numbers come from.
    training : mapping
        Parameters of the estimator.
    options : mapping
        Options of the network.
    objectives : tuple of str
        What is trained beside the task.
    """

    dataset: str
    network: str
    source: str
    training: Mapping[str, Any]
    options: Mapping[str, Any]
    objectives: tuple[str, ...] = ()


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("settings.toml").read_text(encoding="utf-8"))


def field_dataset(name: str) -> FieldDataset:
    """What is known of a dataset's files.

    Parameters
    ----------
    name : str
        One of :data:`DATASETS`.

    Raises
    ------
    SpecificationError
        There is none of that name.

    Examples
    --------
    >>> field_dataset("mosi").sizes["test"], len(field_dataset("mosi").files), len(field_dataset("simsv2").files)
    (686, 2, 0)
    """
    if name not in DATASETS:
        raise SpecificationError(f"there is no dataset {name!r}", remedy=f"choose one of {', '.join(DATASETS)}")
    found = dict(_table()["datasets"][name])
    return FieldDataset(name, files=tuple(FieldFile(**file) for file in found.pop("files")), **found)


def run_settings(dataset: str, network: str) -> RunSettings:
    """How a network is trained on a dataset.

    Parameters
    ----------
    dataset : str
        One of :data:`DATASETS`.
    network : str
        Name of a network; one that the table does not have is run with the defaults of trivium.

    Examples
    --------
    >>> found = run_settings("mosi", "mult")
    >>> found.training["learning_rate"], found.training["patience"], found.options["heads"]
    (0.002, 8, 10)
    >>> run_settings("iemocap", "lmf").options == run_settings("mosei", "lmf").options
    True
    """
    field_dataset(dataset)
    own = _table()[dataset].get(network, {"source": "our choice: the defaults of trivium"})
    settings = _table()[own["like"]][network] if "like" in own else own
    training = {**_table()["all"]["training"], **settings.get("training", {})}
    if "parts" in settings:
        training["parts"] = settings["parts"]
    if field_dataset(dataset).protocol == "iemocap":
        training.pop("loss")  # of numbers
    objectives = tuple(settings.get("objectives", ()))
    return RunSettings(dataset, network, own["source"], training, settings.get("network", {}), objectives)


def differences(network: str, *, text_encoder: str | None = None) -> list[str]:
    """What is knowingly another thing than in the published runs of a network, in sentences.

    Parameters
    ----------
    network : str
        Its name.
    text_encoder : str, optional
        What was trained along to read the words.

    Examples
    --------
    >>> differences("mult")[-1][:13]
    'Positions are'
    >>> differences("misa", text_encoder="minilm-l6")[1]
    'The transcripts are read by minilm-l6, which is trained along.'
    """
    known, of_text = _table()["differs"], _table()["differs_in_text"].get(network)
    text = of_text if text_encoder is None else f"The transcripts are read by {text_encoder}, which is trained along."
    return [known["all"], *([text] if text else []), *([known[network]] if network in known else [])]
