"""Hugging Face ``datasets``: a folder that ``save_to_disk`` wrote, or a dataset in memory, both ways.

A dataset that trivium wrote carries its specification in its description. The folds of a ``DatasetDict`` become the
split ``standard``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from trivium.corpus import Corpus
from trivium.errors import DependencyError, FormatError
from trivium.files import atomic_folder
from trivium.formats.findings import Findings, NonFinite
from trivium.formats.losses import Kept
from trivium.formats.rows import corpus_of_table, stored_specification, table_of_corpus

__all__ = ["HuggingfaceFormat", "from_dataset", "to_dataset"]

_FOLDS = {"validation": "valid", "dev": "valid"}


class HuggingfaceFormat:
    """Reader and writer of Hugging Face datasets on disk."""

    name = "huggingface"

    def detect(self, path: Path) -> str | None:
        """Why the path is of this format, or None."""
        if (path / "dataset_dict.json").is_file():
            return "a DatasetDict on disk"
        return (
            "a Dataset on disk" if (path / "dataset_info.json").is_file() and (path / "state.json").is_file() else None
        )

    def read(self, path: Path, *, nonfinite: NonFinite = "reference", source: str | None = None) -> Corpus:
        """Read a folder that ``save_to_disk`` wrote.

        Parameters
        ----------
        path : Path
            The folder.
        nonfinite : {"reference", "keep", "zero", "error"}
            ``reference`` keeps NaN and infinite cells.
        source : str, optional
            Name of the distribution, for columns without names; default the folder's name.
        """
        try:
            dataset = _datasets().load_from_disk(str(path))
        except (OSError, ValueError, KeyError, pa.ArrowInvalid) as cause:
            raise FormatError(f"is no readable dataset: {cause}", file=path) from cause
        return from_dataset(dataset, nonfinite=nonfinite, source=source or path.name.lower() or "datasets")

    def write(self, corpus: Corpus, path: Path) -> Kept:
        """Write a folder that ``datasets.load_from_disk`` reads."""
        with atomic_folder(path) as folder:
            to_dataset(corpus).save_to_disk(str(folder))
        return Kept()


def _datasets() -> Any:
    try:
        import datasets
    except ImportError as cause:
        raise DependencyError("needs the package datasets", remedy="pip install 'trivium[exchange]'") from cause
    return datasets


def to_dataset(corpus: Corpus) -> Any:
    """Hugging Face dataset with one row per utterance, in the columns of the corpus on disk.

    Streams are flat lists (``stream.audio``, T * D numbers) with their step counts (``steps.audio``).

    Parameters
    ----------
    corpus : Corpus
        What to convert.

    Returns
    -------
    datasets.Dataset
        Its description holds the specification.

    Examples
    --------
    >>> from trivium.corpus import Specification, Utterance
    >>> to_dataset(Corpus.from_utterances([Utterance("a")], Specification(())))["id"][0]
    'a'
    """
    datasets = _datasets()
    info = datasets.DatasetInfo(description=json.dumps(corpus.specification.to_json()))
    table = table_of_corpus(corpus).replace_schema_metadata(None)
    return datasets.Dataset(datasets.table.InMemoryTable(table), info=info)


def from_dataset(dataset: Any, *, nonfinite: NonFinite = "reference", source: str = "datasets") -> Corpus:
    """Corpus of a Hugging Face ``Dataset`` or ``DatasetDict`` with one row per utterance.

    Parameters
    ----------
    dataset : datasets.Dataset or datasets.DatasetDict
        From trivium, or any with nested lists of numbers (streams, (T, D)), flat lists (vectors), ``label*`` and text.
    nonfinite : {"reference", "keep", "zero", "error"}
        ``reference`` keeps NaN and infinite cells.
    source : str
        Name of the distribution, for columns without names.

    Examples
    --------
    >>> import datasets
    >>> rows = {"id": ["a", "b"], "audio": [[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]], "label": [0.5, -1.0]}
    >>> from_dataset(datasets.Dataset.from_dict(rows)).lengths("audio").tolist()
    [1, 2]
    """
    parts = dict(dataset) if isinstance(dataset, dict) else {"": dataset}
    tables = []
    for fold, part in parts.items():
        table = part.with_format("arrow")[:]
        if fold and "split" not in table.column_names:
            table = table.append_column("split", pa.array([_FOLDS.get(fold, fold)] * len(table), pa.string()))
        tables.append(table.replace_schema_metadata(None))
    first = next(iter(parts.values()))
    classes = {name: feature.names for name, feature in first.features.items() if hasattr(feature, "names")}
    specification = stored_specification(first.info.description)
    return corpus_of_table(
        pa.concat_tables(tables),
        Path("dataset"),
        Findings(nonfinite),
        name="huggingface",
        source=source,
        classes=classes,
        specification=specification,
    )
