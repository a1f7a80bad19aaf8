"""Writing the shards of a corpus folder; where they begin and end depends on the rows alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trivium.corpus.manifest import MANIFEST, Manifest, Shard
from trivium.corpus.specification import Specification
from trivium.corpus.table import row_bytes, row_digests, table_schema
from trivium.errors import DataError
from trivium.files import canonical_json, sha256_file

__all__ = ["ROW_GROUP_BYTES", "SHARD_BYTES", "specification_digest", "write_folder"]

ROW_GROUP_BYTES = 8_000_000
SHARD_BYTES = 250_000_000


class _Shards:
    """Cuts a stream of rows into row groups and shards; where it cuts depends on the rows alone."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self._folder, self._schema = folder, schema
        self._held: list[pa.RecordBatch] = []
        self._held_bytes = self._shard_bytes = 0
        self._writer: pq.ParquetWriter | None = None
        self._rows: list[int] = []

    def add(self, batch: pa.RecordBatch) -> None:
        sizes = np.cumsum(row_bytes(batch))
        start, before = 0, 0
        while start < batch.num_rows:
            room = before + ROW_GROUP_BYTES - self._held_bytes
            stop = int(np.searchsorted(sizes, room, side="right"))
            if stop == start and not self._held:
                stop += 1  # a row above the limit makes a row group of its own
            if stop > start:
                self._held.append(batch.slice(start, stop - start))
                self._held_bytes += int(sizes[stop - 1]) - before
                before, start = int(sizes[stop - 1]), stop
            if start < batch.num_rows:
                self._flush()

    def _flush(self) -> None:
        if not self._held:
            return
        if self._writer is not None and self._shard_bytes + self._held_bytes > SHARD_BYTES:
            self._close_shard()
        if self._writer is None:
            self._writer = self._open_shard()
        table = pa.Table.from_batches(self._held, self._schema).combine_chunks()
        self._writer.write_table(table, row_group_size=table.num_rows)
        self._rows[-1] += table.num_rows
        self._shard_bytes += self._held_bytes
        self._held, self._held_bytes = [], 0

    def _open_shard(self) -> pq.ParquetWriter:
        self._rows.append(0)
        scalars = [f.name for f in self._schema if not pa.types.is_nested(f.type)]
        return pq.ParquetWriter(
            self._folder / _shard_name(len(self._rows) - 1),
            self._schema,
            compression="zstd",
            use_dictionary=False,
            write_statistics=scalars,
        )

    def _close_shard(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer, self._shard_bytes = None, 0

    def close(self) -> tuple[Shard, ...]:
        self._flush()
        self._close_shard()
        paths = [self._folder / _shard_name(number) for number in range(len(self._rows))]
        return tuple(
            Shard(p.name, rows, p.stat().st_size, sha256_file(p)) for p, rows in zip(paths, self._rows, strict=True)
        )


def _shard_name(number: int) -> str:
    return f"shard-{number:05d}.parquet"


def specification_digest(specification: Specification) -> Any:
    """Open SHA-256 that already holds the specification; row digests are added in order."""
    return hashlib.sha256(canonical_json(specification.to_json()).encode())


def write_folder(
    folder: Path,
    batches: Iterable[pa.RecordBatch],
    specification: Specification,
    provenance: Mapping[str, Any],
    groups: Iterable[str],
    splits: Iterable[str],
) -> Manifest:
    """Write shards and ``corpus.json`` into an existing empty folder.

    Parameters
    ----------
    folder : Path
        Where to write; not atomic by itself.
    batches : iterable of pyarrow.RecordBatch
        Rows in their final order, in any portions.
    specification, provenance, groups, splits
        What ``corpus.json`` says.

    Raises
    ------
    DataError
        An id appears twice, or the provenance is not plain builtins.
    """
    groups, splits = tuple(sorted(groups)), tuple(sorted(splits))
    shards = _Shards(folder, table_schema(specification, groups, splits))
    digest, seen = specification_digest(specification), set[str]()
    for batch in batches:
        for name in batch.column("id").to_pylist():
            if name in seen:
                raise DataError(f"the id {name!r} appears twice", remedy="make the ids unique")
            seen.add(name)
        for own in row_digests(batch):
            digest.update(own)
        shards.add(batch)
    manifest = Manifest(specification, provenance, groups, splits, shards.close(), digest.hexdigest())
    try:
        text = canonical_json(manifest.to_json())
    except (TypeError, ValueError) as cause:
        raise DataError(f"the provenance cannot be stored as JSON: {cause}", remedy="use plain builtins") from cause
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    return manifest
