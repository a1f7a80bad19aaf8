"""The user's own copy of a feature file of the field: read safely, known by its hash, its folds counted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trivium.corpus import Corpus
from trivium.errors import DataError
from trivium.evaluate.reproduction.settings import DATASETS, FieldDataset, field_dataset
from trivium.files import sha256_file
from trivium.formats import read
from trivium.formats.pickles import scan_pickle

__all__ = ["SYNTHETIC", "CheckedFile", "open_field_file"]

SYNTHETIC = "synthetic"
"""How ids of made-up utterances begin; every result from such a file says so."""

_MODALITIES = ("text", "audio", "vision")


@dataclass(frozen=True, eq=False)
class CheckedFile:
    """A feature file and what is known of it.

    Parameters
    ----------
    path : Path
        Where it lies.
    sha256 : str
        Of its bytes.
    published : str
        What its makers call the file of this hash; empty where none is published that is equal.
    hashes_known : bool
        Whether any hash of this dataset is published.
    corpus : Corpus
        What it holds: columns of text, audio and vision.
    sizes, expected : mapping of str to int
        Utterances by fold, here and in the known distribution.
    """

    path: Path
    sha256: str
    published: str
    hashes_known: bool
    corpus: Corpus
    sizes: Mapping[str, int]
    expected: Mapping[str, int]

    @property
    def is_synthetic(self) -> bool:
        """Whether the utterances are made up, as their ids say."""
        return any(str(name).startswith(SYNTHETIC) for name in self.corpus.ids[:1])

    @property
    def is_aligned(self) -> bool:
        """Whether the modalities share their steps."""
        return all(stream.clock == "words" for stream in self.corpus.specification.streams)

    def notes(self) -> list[str]:
        """Sentences for the head of every result."""
        found = []
        if self.is_synthetic:
            found.append(
                f"SYNTHETIC: {self.path.name} holds random numbers in the layout of the field's files. Nothing here "
                "says anything about any corpus or network."
            )
        if self.published:
            found.append(f"{self.path.name} is {self.published}, byte for byte (SHA-256 {self.sha256}).")
        elif self.hashes_known:
            found.append(
                f"{self.path.name} is none of the files whose SHA-256 MMSA publishes: its own is {self.sha256}. "
                "Numbers of other features are not comparable with the published rows."
            )
        else:
            found.append(
                f"No SHA-256 of this dataset's files is published by its makers as far as is established; that of "
                f"{self.path.name} is {self.sha256}."
            )
        for one in self.corpus.provenance["findings"]:
            what = " ".join(word for word in (one["kind"], one["modality"]) if word)
            found.append(
                f"Found on reading: {what}, {one['count']:,} in {one['utterances']:,} places: {one['action']}."
            )
        if self.sizes != self.expected:
            found.append(
                f"It has {_counts(self.sizes)} utterances, the known distribution {_counts(self.expected)}: not "
                "comparable with the published rows."
            )
        return found


def open_field_file(path: str | os.PathLike[str], dataset: FieldDataset) -> CheckedFile:
    """Read a feature file and check what can be checked.

    Parameters
    ----------
    path : path
        A pickle as MMSA or MulT distribute them; nothing in it is executed.
    dataset : FieldDataset
        What it should be.

    Raises
    ------
    DataError
        It is no pickle, by its hash it is a file of another dataset, or it lacks a fold, a modality or the label.
    FormatError
        It cannot be read; the message says where.
    """
    file = Path(path)
    if file.exists() and scan_pickle(file) is None:
        raise DataError(
            f"is no pickle, and reproduce {dataset.name} wants {dataset.wants}",
            file=file,
            remedy=f"give that file; a corpus of your own goes through trivium read, then trivium train with "
            f"--protocol {dataset.protocol}",
        )
    digest = sha256_file(file)
    for name in DATASETS:
        for known in field_dataset(name).files:
            if known.sha256 == digest and name != dataset.name:
                raise DataError(f"is {known.name}", file=file, remedy=f"trivium reproduce {name}")
    published = next((known.name for known in dataset.files if known.sha256 == digest), "")
    corpus = read(file, format=dataset.format, source=dataset.name, duplicates="suffix")
    missing = [m for m in _MODALITIES if m not in corpus.specification.modalities]
    labels = [label.key for label in corpus.specification.labels]
    if missing or dataset.label not in labels:
        lacks = ", ".join([*missing, *([] if dataset.label in labels else [f"the label {dataset.label}"])])
        raise DataError(
            f"lacks {lacks}, so it is not {dataset.wants}", file=file, remedy="give that file, or one of its layout"
        )
    split = corpus.split("standard")
    sizes = {fold: int(np.count_nonzero(split == fold)) for fold in dataset.sizes}
    if not all(sizes.values()):
        raise DataError(f"has {_counts(sizes)} utterances", file=file, remedy="give a file with all three folds")
    kept = corpus.select(_MODALITIES)
    return CheckedFile(file, digest, published, bool(dataset.files), kept, sizes, dict(dataset.sizes))


def _counts(sizes: Mapping[str, int]) -> str:
    return " / ".join(f"{count:,}" for count in sizes.values())
