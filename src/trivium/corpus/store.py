"""The corpus on disk: a folder with ``corpus.json`` and Parquet shards that other tools read without trivium."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trivium.corpus.cache import Cache, checked_batches, open_cache
from trivium.corpus.manifest import MANIFEST, Manifest, read_manifest, shard_batches
from trivium.corpus.shards import specification_digest, write_folder
from trivium.corpus.sources import Source, part_names
from trivium.corpus.specification import Specification
from trivium.corpus.table import encode, integers, row_digests, scalar_names, table_schema, to_numpy
from trivium.corpus.utterance import Utterance
from trivium.errors import FormatError
from trivium.files import atomic_folder
from trivium.progress import progress_bar

__all__ = ["Stored", "StoredRows", "check_corpus", "save_source", "source_hash"]

_ROWS_AT_ONCE = 256
_MANY_ROWS = 5_000
_MAPPED: WeakKeyDictionary[StoredRows, Cache] = WeakKeyDictionary()  # beside them: a map of the file holds all rows


class Stored:
    """Source of a corpus on disk. Columns are read from Parquet one by one when asked for, rows from the cache.

    Parameters
    ----------
    folder : Path
        The corpus folder.
    manifest : Manifest
        Its ``corpus.json``, already read.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest
        self._columns: dict[str, NDArray[Any]] = {}
        self._open_cache: Cache | None = None

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Stored:
        """Open a folder; only ``corpus.json`` and the footers of its shards are read.

        Raises
        ------
        FormatError
            The folder is no corpus, a shard is missing, cut off, or has other columns than promised.
        """
        folder = Path(path)
        return cls(folder.absolute(), read_manifest(folder))

    def __getstate__(self) -> dict[str, Any]:
        # what is mapped or can be read again stays here when a corpus goes to another process
        return {**self.__dict__, "_columns": {}, "_open_cache": None}

    def __len__(self) -> int:
        return self.manifest.rows

    def column_names(self) -> Sequence[str]:
        """See :class:`trivium.corpus.sources.Source`."""
        return scalar_names(self.manifest.specification, self.manifest.groups, self.manifest.splits)

    def column(self, name: str) -> NDArray[Any]:
        """See :class:`trivium.corpus.sources.Source`."""
        if name not in self._columns:
            kind, _, key = name.partition(".")
            width = len(self.manifest.specification.label(key).classes) if kind == "label" else 0
            self._columns[name] = self._convert(name, width)
        return self._columns[name]

    def lengths(self, modality: str) -> NDArray[np.int64]:
        """See :class:`trivium.corpus.sources.Source`."""
        name = f"steps.{modality}"
        if name not in self._columns:
            self._columns[name] = integers(self._read(name), missing=-1)
        return self._columns[name]

    def values(self, modality: str, rows: NDArray[np.int64]) -> list[NDArray[Any] | None]:
        """See :class:`trivium.corpus.sources.Source`."""
        return self._cache().values(modality, rows)

    def utterances(self, rows: NDArray[np.int64]) -> list[Utterance]:
        """See :class:`trivium.corpus.sources.Source`."""
        return self._cache().utterances(rows)

    def only(self, rows: NDArray[np.int64]) -> Source:
        """See :class:`trivium.corpus.sources.Source`."""
        return StoredRows(self.folder, self.manifest, rows)

    def _cache(self) -> Cache:
        if self._open_cache is None:
            self._open_cache = open_cache(self.folder, self.manifest)
        return self._open_cache

    def _convert(self, name: str, width: int) -> NDArray[Any]:
        try:
            return to_numpy(self._read(name), width)
        except ValueError as cause:
            raise FormatError(f"does not hold {width} numbers in every row", file=self.folder, place=name) from cause

    def _read(self, name: str) -> pa.Array:
        chunks = [batch.column(0) for _, _, batch in shard_batches(self.folder, self.manifest, [name])]
        return pa.chunked_array(chunks, type=self.manifest.schema.field(name).type).combine_chunks()


class StoredRows:
    """Some rows of a corpus on disk; of the others nothing is kept in memory, though the folder is still named.

    Parameters
    ----------
    folder : Path
        The corpus folder.
    manifest : Manifest
        Its ``corpus.json``, already read.
    rows : integer array of shape (K,)
        Which ones.
    """

    def __init__(self, folder: Path, manifest: Manifest, rows: NDArray[np.int64]) -> None:
        self.folder, self.manifest, self._rows = folder, manifest, rows
        self._columns: dict[str, NDArray[Any]] = {}

    def _whole(self) -> Stored:
        return Stored(self.folder, self.manifest)  # opened for one question and let go

    def __len__(self) -> int:
        return len(self._rows)

    def column_names(self) -> Sequence[str]:
        """See :class:`trivium.corpus.sources.Source`."""
        return self._whole().column_names()

    def column(self, name: str) -> NDArray[Any]:
        """See :class:`trivium.corpus.sources.Source`."""
        if name not in self._columns:
            self._columns[name] = self._whole().column(name)[self._rows]
        return self._columns[name]

    def lengths(self, modality: str) -> NDArray[np.int64]:
        """See :class:`trivium.corpus.sources.Source`."""
        name = f"steps.{modality}"
        if name not in self._columns:
            self._columns[name] = self._whole().lengths(modality)[self._rows]
        return self._columns[name]

    def values(self, modality: str, rows: NDArray[np.int64]) -> list[NDArray[Any] | None]:
        """See :class:`trivium.corpus.sources.Source`."""
        return self._cache().values(modality, self._rows[rows])

    def utterances(self, rows: NDArray[np.int64]) -> list[Utterance]:
        """See :class:`trivium.corpus.sources.Source`."""
        return self._cache().utterances(self._rows[rows])

    def _cache(self) -> Cache:
        if self not in _MAPPED:
            _MAPPED[self] = open_cache(self.folder, self.manifest)
        return _MAPPED[self]

    def only(self, rows: NDArray[np.int64]) -> Source:
        """See :class:`trivium.corpus.sources.Source`."""
        return StoredRows(self.folder, self.manifest, self._rows[rows])


def save_source(
    source: Source,
    specification: Specification,
    provenance: Mapping[str, Any],
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
) -> None:
    """Write all rows of a source as a corpus folder, whole or not at all; see :meth:`trivium.corpus.Corpus.save`.

    Parameters
    ----------
    source : Source
        In memory, on disk, or joined.
    specification : Specification
        What every utterance keeps to.
    provenance : mapping
        Plain builtins.
    path : path
        The folder that will exist afterwards.
    overwrite : bool
        Whether an existing folder may be replaced.

    Raises
    ------
    DataError
        The folder exists and `overwrite` is false, the provenance is not JSON, or the disk refuses.
    """
    with atomic_folder(path, replace=MANIFEST if overwrite else None) as draft:
        batches = _counted(_encoded(source, specification), "saving", len(source))
        write_folder(draft, batches, specification, provenance, *_names(source))


def _names(source: Source) -> tuple[list[str], list[str]]:
    columns = source.column_names()
    return part_names(columns, "group"), part_names(columns, "split")


def _encoded(source: Source, specification: Specification) -> Iterator[pa.RecordBatch]:
    schema = table_schema(specification, *_names(source))
    for start in range(0, len(source), _ROWS_AT_ONCE):
        rows = np.arange(start, min(start + _ROWS_AT_ONCE, len(source)), dtype=np.int64)
        yield encode(source.utterances(rows), specification, schema)


def _counted(batches: Iterator[pa.RecordBatch], title: str, rows: int) -> Iterator[pa.RecordBatch]:
    with progress_bar(title, rows, show=rows > _MANY_ROWS) as bar:
        for batch in batches:
            yield batch
            bar.advance(batch.num_rows)


def source_hash(source: Source, specification: Specification) -> str:
    """SHA-256 over a specification and all rows of a source; see :meth:`trivium.corpus.Corpus.content_hash`.

    Parameters
    ----------
    source : Source
        Read through from the first row to the last.
    specification : Specification
        Goes in first.

    Examples
    --------
    >>> from trivium.corpus.sources import Memory
    >>> source_hash(Memory([Utterance("a")], Specification(())), Specification(()))[:8]
    '98433db4'
    """
    return _digest(specification, _encoded(source, specification))


def _digest(specification: Specification, batches: Iterator[pa.RecordBatch]) -> str:
    digest = specification_digest(specification)
    for batch in batches:
        for own in row_digests(batch):
            digest.update(own)
    return str(digest.hexdigest())


def check_corpus(path: str | os.PathLike[str]) -> Manifest:
    """Read a whole corpus folder and compare every hash, length and label with what it promises.

    Parameters
    ----------
    path : path
        The folder.

    Raises
    ------
    FormatError
        Names the file and the place of the first thing that does not hold.
    """
    folder = Path(path)
    manifest = read_manifest(folder)
    batches = _counted(checked_batches(folder, manifest), "checking", manifest.rows)
    found = _digest(manifest.specification, batches)
    if found != manifest.content_hash:
        raise FormatError(f"the rows have the content hash {found}, corpus.json says otherwise", file=folder)
    return manifest
