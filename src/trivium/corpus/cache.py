"""The cache behind a corpus on disk: a memory-mapped Arrow file derived from the Parquet shards.

Shuffled rows cost microseconds here and milliseconds in Parquet. The file is named by what the shards hold, lies in
the user's cache folder (so read-only corpora work), is written whole or not at all, and is built again when it is
missing or damaged. Building it checks the hash of every shard and the values of every row.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trivium.corpus.checks import RowCheck
from trivium.corpus.manifest import Manifest, shard_batches
from trivium.corpus.sources import scatter
from trivium.corpus.table import cut, decode, flat, valid
from trivium.corpus.utterance import Utterance
from trivium.errors import DataError
from trivium.files import atomic_file, canonical_json, sha256_bytes, user_folder
from trivium.progress import progress_bar

__all__ = ["Cache", "cache_path", "checked_batches", "open_cache"]

_BIG = 100_000_000  # bytes of Parquet from which on building shows a bar
_BATCH_BYTES = 64_000_000  # few and large, so that opening the cache is quick


def cache_path(manifest: Manifest) -> Path:
    """Where the cache of a corpus lies: named by the specification and the hashes of its shards.

    Parameters
    ----------
    manifest : Manifest
        The name comes from hashes that are checked when the cache is built, so no folder can pose as another.
    """
    identity = [manifest.specification.to_json(), [[s.rows, s.sha256] for s in manifest.shards]]
    return user_folder("cache") / f"{sha256_bytes(canonical_json(identity).encode())}.arrow"


class Cache:
    """Rows of a corpus, mapped into memory.

    Parameters
    ----------
    path : Path
        The Arrow file.
    manifest : Manifest
        What it was derived from.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        if not reader.schema.equals(manifest.schema):
            raise pa.ArrowInvalid("another schema")
        self._specification = manifest.specification
        self._batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        self._ends = np.cumsum([batch.num_rows for batch in self._batches], dtype=np.int64)
        if self._ends[-1:].sum() != manifest.rows:
            raise pa.ArrowInvalid("another number of rows")
        self._flat: dict[tuple[int, str], tuple[NDArray[np.int64], NDArray[Any], NDArray[np.bool_]]] = {}

    def values(self, modality: str, rows: NDArray[np.int64]) -> list[NDArray[Any] | None]:
        """Values (T, D) of one modality by row number as read-only views, None where missing."""
        dim = self._specification.stream(modality).dim

        def read(number: int, own: NDArray[np.int64]) -> list[NDArray[Any] | None]:
            return cut(*self._column(number, f"stream.{modality}"), own, dim)

        return scatter(self._ends, rows, read)

    def utterances(self, rows: NDArray[np.int64]) -> list[Utterance]:
        """Whole utterances by row number, in the order asked for."""
        return scatter(self._ends, rows, lambda number, own: decode(self._batches[number], self._specification, own))

    def _column(self, number: int, name: str) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.bool_]]:
        if (number, name) not in self._flat:
            column = self._batches[number].column(name)
            self._flat[number, name] = (*flat(column), valid(column))
        return self._flat[number, name]


def open_cache(folder: Path, manifest: Manifest) -> Cache:
    """Open the cache of a corpus folder, after building it where it is missing or damaged.

    Parameters
    ----------
    folder : Path
        The corpus folder.
    manifest : Manifest
        Its ``corpus.json``.

    Raises
    ------
    FormatError
        A shard has another hash than promised, or a row breaks the specification.
    DataError
        The cache folder cannot be written.
    """
    path = cache_path(manifest)
    try:
        return Cache(path, manifest)
    except (pa.ArrowException, OSError):
        _build(path, folder, manifest)
    return Cache(path, manifest)


def _build(path: Path, folder: Path, manifest: Manifest) -> None:
    total = sum(shard.bytes for shard in manifest.shards)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as draft, progress_bar("caching", manifest.rows, show=total > _BIG) as bar:
            with pa.ipc.new_file(draft, manifest.schema) as writer:
                for batch in _joined(checked_batches(folder, manifest)):
                    writer.write_batch(batch)
                    bar.advance(batch.num_rows)
            with draft.open("rb+") as file:
                os.fsync(file.fileno())
    except OSError as cause:
        raise DataError(
            f"the cache cannot be written: {cause.strerror or cause}",
            file=path.parent,
            remedy="name a writable folder with room in TRIVIUM_HOME",
        ) from cause


def checked_batches(folder: Path, manifest: Manifest) -> Iterator[pa.RecordBatch]:
    """Yield all rows in order after checking hashes and values.

    Parameters
    ----------
    folder : Path
        The corpus folder.
    manifest : Manifest
        Its ``corpus.json``.
    """
    check = RowCheck(manifest.specification)
    for file, first, batch in shard_batches(folder, manifest, verify=True):
        check(batch, file, first)
        yield batch


def _joined(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    held: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        held.append(batch)
        size += batch.nbytes
        if size >= _BATCH_BYTES:
            yield pa.concat_batches(held)
            held, size = [], 0
    if held:
        yield pa.concat_batches(held)
