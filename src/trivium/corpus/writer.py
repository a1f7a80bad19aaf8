"""Writing a corpus folder: shards with fixed boundaries, and long runs that can be killed and go on."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trivium.corpus.manifest import MANIFEST, Manifest, Shard
from trivium.corpus.specification import Specification
from trivium.corpus.table import encode, row_bytes, row_digests, table_schema
from trivium.corpus.utterance import Utterance
from trivium.errors import DataError, FormatError
from trivium.files import atomic_file, atomic_folder, canonical_json, read_json, sha256_file, write_json

__all__ = ["ROW_GROUP_BYTES", "SHARD_BYTES", "Parts", "specification_digest", "write_folder"]

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


class Parts:
    """Parts of a corpus that wait beside the target folder until all are there.

    See :class:`trivium.corpus.store.CorpusWriter`, which is this with the finished corpus opened.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        specification: Specification,
        provenance: Mapping[str, Any] | None = None,
        *,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        self.specification = specification
        self.provenance = dict(provenance or {})
        self.overwrite = overwrite
        self._staging = self.path.with_name(f".{self.path.name}.staging")
        if self.path.exists() and not overwrite and not self._staging.exists():
            raise DataError("exists already", file=self.path, remedy="choose another folder or pass --overwrite")
        self._begin()

    def _begin(self) -> None:
        note = self._staging / "specification.json"
        stored = self.specification.to_json()
        if note.exists():
            if read_json(note) != stored:
                raise DataError(
                    "holds parts of a run with another specification",
                    file=self._staging,
                    remedy="delete it, or run again as before",
                )
        else:
            write_json(note, stored)

    def _part(self, key: str) -> Path:
        return self._staging / f"{hashlib.sha256(key.encode()).hexdigest()}.arrow"

    def stage(self, key: str, utterances: Sequence[Utterance]) -> None:
        """Write one part, whole or not at all; a part of the same key is replaced.

        Parameters
        ----------
        key : str
            Names the part: the hash of a clip, for example.
        utterances : sequence of Utterance
            May be empty.

        Raises
        ------
        DataError
            An utterance does not fit the specification.
        """
        for utterance in utterances:
            utterance.check(self.specification)
        groups = {name for u in utterances for name in u.groups}
        splits = {name for u in utterances for name in u.splits}
        schema = table_schema(self.specification, groups, splits)
        batch = encode(utterances, self.specification, schema)
        with atomic_file(self._part(key)) as draft, pa.ipc.new_file(draft, schema) as writer:
            writer.write_batch(batch)

    def staged(self, key: str) -> bool:
        """Whether the part is there."""
        return self._finished() or self._part(key).exists()

    def assemble(self, order: Sequence[str]) -> None:
        """Write the parts in the order of their keys into the target folder and remove the staging folder."""
        if not self._finished():
            missing = [key for key in order if not self.staged(key)]
            if missing or len(set(order)) != len(order):
                raise DataError(f"{len(missing)} parts are missing, first {missing[:3]}, or a key appears twice")
            self._write(order)
        # the rename ends the run in one step; what a kill leaves behind after it is rubbish, not state
        rubbish = self._staging.with_name(f"{self._staging.name}.{os.getpid()}.old")
        self._staging.rename(rubbish)
        shutil.rmtree(rubbish, ignore_errors=True)

    def _write(self, order: Sequence[str]) -> None:
        names = {n for key in order for n in _ipc(self._part(key)).schema.names}
        groups, splits = (
            {n.partition(".")[2] for n in names if n.startswith(f"{kind}.")} for kind in ("group", "split")
        )
        schema = table_schema(self.specification, groups, splits)
        batches = (_with_schema(batch, schema) for key in order for batch in _batches(self._part(key)))
        with atomic_folder(self.path, replace=self.overwrite) as draft:
            write_folder(draft, batches, self.specification, self.provenance, groups, splits)
            write_json(self._staging / "finishing.json", sha256_file(draft / MANIFEST))

    def _finished(self) -> bool:
        """Whether a run was killed after the target took its place and before the staging folder went."""
        note, target = self._staging / "finishing.json", self.path / MANIFEST
        return note.exists() and target.exists() and read_json(note) == sha256_file(target)


def _ipc(path: Path) -> pa.ipc.RecordBatchFileReader:
    try:
        return pa.ipc.open_file(pa.memory_map(str(path)))
    except (pa.ArrowException, OSError) as cause:
        raise FormatError(f"is no readable part: {cause}", file=path, remedy="delete it and run again") from cause


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    reader = _ipc(path)
    for number in range(reader.num_record_batches):
        yield reader.get_batch(number)


def _with_schema(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        batch.column(field.name) if field.name in batch.schema.names else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
