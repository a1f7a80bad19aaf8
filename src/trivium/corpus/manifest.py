"""The file ``corpus.json`` of a corpus folder: what the folder promises, and the check that its shards keep it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from mimetypes import guess_type
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trivium.corpus.footer import check_footer
from trivium.corpus.specification import Specification
from trivium.corpus.staging import staging_folder
from trivium.corpus.table import table_schema
from trivium.errors import FormatError, SpecificationError
from trivium.files import check_size, read_json, sha256_file

__all__ = ["MANIFEST", "SCHEMA_VERSION", "Manifest", "Shard", "read_manifest", "shard_batches", "way_in"]

MANIFEST = "corpus.json"
SCHEMA_VERSION = 1
_MOST_SHARD_BYTES = 1 << 30
_MOST_GROUP_BYTES = 2 << 30
_MOST_LOOKED_AT = 1000
_ANEW = "restore the file, or make the corpus anew"
_SHARD_NAME = re.compile(r"shard-\d{5}\.parquet")
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Shard:
    """One Parquet file of a corpus: its name, rows, size in bytes and SHA-256."""

    file: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """Content of ``corpus.json``.

    Parameters
    ----------
    specification : Specification
        Modalities and labels.
    provenance : mapping
        Where the corpus comes from, plain builtins.
    groups, splits : tuple of str
        Names, sorted.
    shards : tuple of Shard
        In the order of the rows.
    content_hash : str
        SHA-256 of the specification and all rows, whatever the shards (see :meth:`trivium.corpus.Corpus.content_hash`).
    """

    specification: Specification
    provenance: Mapping[str, Any]
    groups: tuple[str, ...]
    splits: tuple[str, ...]
    shards: tuple[Shard, ...]
    content_hash: str

    @property
    def rows(self) -> int:
        """Number of utterances."""
        return sum(shard.rows for shard in self.shards)

    @property
    def schema(self) -> pa.Schema:
        """Types of the columns in every shard."""
        return table_schema(self.specification, self.groups, self.splits)

    def to_json(self) -> dict[str, Any]:
        """Plain builtins for ``corpus.json``."""
        return {
            "kind": "trivium corpus",
            "schema_version": SCHEMA_VERSION,
            "specification": self.specification.to_json(),
            "provenance": dict(self.provenance),
            "utterances": self.rows,
            "groups": list(self.groups),
            "splits": list(self.splits),
            "shards": [asdict(shard) for shard in self.shards],
            "content_hash": self.content_hash,
        }


def way_in(path: Path) -> str:
    """How a file or folder that is no corpus becomes one: clips are extracted, everything else is read.

    Parameters
    ----------
    path : Path
        A file or folder; may be absent.

    Examples
    --------
    >>> way_in(Path("interview.mp4"))
    'clips become a corpus with `trivium extract interview.mp4 --out CORPUS`'
    """
    files = [path] if not path.is_dir() else islice(path.rglob("*"), _MOST_LOOKED_AT)
    kinds = ((guess_type(file.name)[0] or "").partition("/")[0] for file in files)
    if {"audio", "video"} & set(kinds):
        return f"clips become a corpus with `trivium extract {path} --out CORPUS`"
    return "convert other formats with `trivium read SRC --out CORPUS`"


def read_manifest(folder: Path) -> Manifest:
    """Read ``corpus.json`` and the footers of the shards; nothing else is read.

    Raises
    ------
    FormatError
        Names the file and the place where the folder is not what it promises.
    """
    path = folder / MANIFEST
    if not path.is_file():
        if staging_folder(folder).is_dir():
            raise FormatError(
                "is no corpus yet: its extraction was stopped before its end, or still runs",
                file=folder,
                remedy="if it does not run, give the same `trivium extract` command again: it goes on where it stopped",
            )
        raise FormatError(
            "is no corpus folder: it has no corpus.json",
            file=folder,
            remedy=way_in(folder),
        )
    manifest = _parse(read_json(path), path)
    for shard in manifest.shards:
        _check_footer(folder / shard.file, shard, manifest.schema)
    return manifest


def _parse(value: Any, path: Path) -> Manifest:
    version = value.get("schema_version") if isinstance(value, dict) else None
    if version != SCHEMA_VERSION:
        raise FormatError(
            f"has schema version {version!r}, this trivium reads {SCHEMA_VERSION}",
            file=path,
            remedy="read it with the trivium that wrote it, or make the corpus anew",
        )
    try:
        specification = Specification.from_json(value["specification"])
        shards = tuple(Shard(**shard) for shard in value["shards"])
        manifest = Manifest(
            specification, value["provenance"], tuple(value["groups"]), tuple(value["splits"]), shards,
            value["content_hash"],
        )  # fmt: skip
        problem = _problem(manifest, value["utterances"])
    except KeyError as cause:
        raise FormatError(f"lacks the entry {cause}", file=path, remedy=_ANEW) from cause
    except (TypeError, AttributeError, SpecificationError) as cause:
        raise FormatError(f"is malformed: {cause}", file=path, remedy=_ANEW) from cause
    if problem:
        raise FormatError(problem, file=path, remedy=_ANEW)
    return manifest


def _problem(manifest: Manifest, utterances: Any) -> str | None:
    specification = manifest.specification
    names = [n for s in specification.streams for n in (s.modality, *s.columns, s.extractor, s.version)]
    names += [n for label in specification.labels for n in (label.name, *label.classes)]
    if not all(isinstance(n, str) for n in (*names, *manifest.groups, *manifest.splits)):
        return "a name is not text"
    if not isinstance(manifest.provenance, dict):
        return "the provenance is not a mapping"
    for number, shard in enumerate(manifest.shards):
        if not _SHARD_NAME.fullmatch(shard.file) or shard.file != f"shard-{number:05d}.parquet":
            return f"shard {number} has the name {shard.file!r}"
        counts = (shard.rows, shard.bytes)
        if not all(type(n) is int and n >= 0 for n in counts) or not _HASH.fullmatch(shard.sha256):
            return f"shard {number} has a malformed count or hash"
    if not _HASH.fullmatch(manifest.content_hash) or utterances != manifest.rows:
        return f"the content hash is malformed, or {utterances!r} utterances are not {manifest.rows} rows"
    return None


def _check_footer(path: Path, shard: Shard, schema: pa.Schema) -> None:
    size = check_size(path, _MOST_SHARD_BYTES)
    if size != shard.bytes:
        raise FormatError(f"has {size} bytes, corpus.json says {shard.bytes}", file=path, remedy="copy it again")
    check_footer(path, _MOST_GROUP_BYTES)
    with _reading(path), pq.ParquetFile(path) as file:
        _check_schema(file.schema_arrow, schema, path)
        if file.metadata.num_rows != shard.rows:
            raise FormatError(f"has {file.metadata.num_rows} rows, corpus.json says {shard.rows}", file=path)


@contextmanager
def _reading(path: Path, place: str | None = None) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, MemoryError) as cause:
        raise FormatError(f"is cut off or damaged: {cause}", file=path, place=place) from cause


def _check_schema(found: pa.Schema, expected: pa.Schema, path: Path) -> None:
    for field in expected:
        number = found.get_field_index(field.name)
        kind = found.field(number).type if number >= 0 else "no such column"
        if kind != field.type:
            raise FormatError(f"has {kind}, expected {field.type}", file=path, place=f"column {field.name}")
    extra = sorted(set(found.names) - set(expected.names))
    if extra or len(found.names) != len(expected.names):
        raise FormatError(f"has columns that corpus.json does not name: {', '.join(extra[:6])}", file=path)


def shard_batches(
    folder: Path, manifest: Manifest, columns: list[str] | None = None, *, verify: bool = False
) -> Iterator[tuple[Path, int, pa.RecordBatch]]:
    """Yield the row groups of all shards in order, as (file, first row in the corpus, batch).

    Parameters
    ----------
    folder : Path
        The corpus folder.
    manifest : Manifest
        Its ``corpus.json``.
    columns : list of str, optional
        Only these columns; default all.
    verify : bool
        Compare the SHA-256 of each shard with ``corpus.json`` before reading it.
    """
    first = 0
    for shard in manifest.shards:
        path = folder / shard.file
        if verify and sha256_file(path) != shard.sha256:
            raise FormatError("has another SHA-256 than corpus.json says", file=path, remedy="copy it again")
        read = 0
        with _reading(path):
            file = pq.ParquetFile(path)
        with file:
            for number in range(file.num_row_groups):
                batch = _read_group(file, number, columns, path)
                yield path, first + read, batch
                read += batch.num_rows
        if read != shard.rows:
            raise FormatError(f"its row groups hold {read} rows, its footer says {shard.rows}", file=path)
        first += read


def _read_group(file: pq.ParquetFile, number: int, columns: list[str] | None, path: Path) -> pa.RecordBatch:
    place = f"row group {number}"
    with _reading(path, place):
        table = file.read_row_group(number, columns=columns, use_threads=False)
        names = columns or table.column_names
        batch = pa.RecordBatch.from_arrays([table.column(name).combine_chunks() for name in names], names=names)
        batch.validate(full=True)  # also that text is UTF-8
    return batch
