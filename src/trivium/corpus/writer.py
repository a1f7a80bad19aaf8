"""Writing a corpus in parts over a long run that can be killed at any moment and goes on."""

from __future__ import annotations

import glob
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from trivium.corpus.corpus import Corpus
from trivium.corpus.manifest import MANIFEST, read_manifest, shard_batches
from trivium.corpus.shards import write_folder
from trivium.corpus.sources import part_names
from trivium.corpus.specification import Specification
from trivium.corpus.staging import Part, Staging, staging_folder
from trivium.corpus.table import decode, table_schema
from trivium.corpus.utterance import Utterance
from trivium.errors import DataError, DiskError, TriviumError
from trivium.files import (
    atomic_folder,
    canonical_json,
    named,
    read_json,
    require_place,
    sha256_bytes,
    sha256_file,
    write_json,
)

__all__ = ["PARTS", "CorpusWriter"]

PARTS = "parts.json"
_MOST_NOTES_BYTES = 1 << 30


class CorpusWriter:
    """Write a corpus in parts over a long run that may be killed at any moment.

    Parts wait in a folder beside the target. The same calls after a kill go on where they stopped and end with the same
    bytes, whatever the order and number of processes that staged the parts. Where parts came with notes, the corpus
    keeps them in ``parts.json``, so that it can be taken apart again.

    Parameters
    ----------
    path : path
        The corpus folder that will exist at the end.
    specification : Specification
        What every utterance keeps to.
    provenance : mapping, optional
        Plain builtins for ``corpus.json``.
    overwrite : bool
        Whether an existing corpus may be replaced.

    Raises
    ------
    DataError
        The target exists.

    Attributes
    ----------
    staging : Staging
        Where the parts wait.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     writer = CorpusWriter(Path(folder) / "corpus", Specification(()))
    ...     writer.stage("second", [Utterance("b")])
    ...     writer.stage("first", [Utterance("a")])
    ...     writer.staged("first"), writer.staged("third")
    ...     writer.finish(["first", "second"]).ids.tolist()
    (True, False)
    ['a', 'b']
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        specification: Specification,
        provenance: Mapping[str, Any] | None = None,
        *,
        overwrite: bool = False,
    ) -> None:
        self.path = named(path)
        self.specification = specification
        self.provenance = dict(provenance or {})
        self._replace = MANIFEST if overwrite else None
        self.staging = Staging(staging_folder(self.path), specification)
        self._ending = self.staging.folder / "finishing.json"
        if overwrite or not self._ended(None):
            require_place(self.path, self._replace)
        # what cannot be written is better known before the work than after it
        write_json(self.staging.folder / "specification.json", specification.to_json())

    def stage(self, key: str, utterances: Sequence[Utterance], notes: Any = None) -> None:
        """Write one part, whole or not at all; see :meth:`trivium.corpus.staging.Staging.stage`.

        Parameters
        ----------
        key : str
            Names the part: the hash of a clip, for example.
        utterances : sequence of Utterance
            May be empty.
        notes : plain builtins, optional
            What is to be known about them later.
        """
        self.staging.stage(key, utterances, notes)

    def staged(self, key: str) -> bool:
        """Whether the part is there."""
        return self.staging.staged(key)

    def take_apart(self) -> None:
        """Stage the parts of the corpus that is to be replaced, as they were when it was made.

        A corpus that was changed since, or is damaged, is not worth an error here: it is replaced anyway.
        """
        try:
            manifest = read_manifest(self.path)
            rows = _read_notes(self.path, manifest.rows)
            earlier = Staging(self.staging.folder, manifest.specification)
            batches = shard_batches(self.path, manifest, verify=True)
            utterances = (u for _, _, batch in batches for u in decode(batch, manifest.specification))
            for row in rows:
                own = [next(utterances) for _ in range(row["utterances"])]
                if not earlier.staged(row["key"]):
                    earlier.stage(row["key"], own, row["notes"])
        except DiskError:
            raise
        except (TriviumError, ValueError, RecursionError, StopIteration):
            return

    def finish(self, order: Sequence[str]) -> Corpus:
        """Assemble the parts, move the corpus into place, remove the staging folder.

        Parameters
        ----------
        order : sequence of str
            All keys in canonical order, such as the order of the clips by name.

        Raises
        ------
        DataError
            A part is missing, or two parts share an utterance id.
        DiskError
            The disk refuses; the parts stay.
        """
        if not self._ended(order):
            missing = [key for key in order if not self.staged(key)]
            if missing:
                raise DataError(f"{len(missing)} parts are missing, first {missing[0]!r}", file=self.staging.folder)
            self._write(order)
        # the rename ends the run in one step; what a kill leaves behind after it is rubbish, not state
        folder = self.staging.folder
        rubbish = folder.with_name(f"{folder.name}.{os.getpid()}.part")
        folder.rename(rubbish)
        shutil.rmtree(rubbish, ignore_errors=True)
        return Corpus.open(self.path)

    def discard(self) -> None:
        """Give up: remove the staging folder and all parts in it; the target stays as it is."""
        shutil.rmtree(self.staging.folder, ignore_errors=True)

    def _write(self, order: Sequence[str]) -> None:
        parts = [self.staging.part(key) for key in order]
        names = {name for part in parts for name in part.columns}
        groups, splits = part_names(names, "group"), part_names(names, "split")
        schema = table_schema(self.specification, groups, splits)
        batches = (_with_schema(batch, schema) for part in parts for batch in part.batches())
        drafts = self.staging.folder
        for left in drafts.glob(f".{glob.escape(self.path.name)}.*.part"):  # of a run that was killed here
            shutil.rmtree(left, ignore_errors=True)
        with atomic_folder(self.path, replace=self._replace, drafts=drafts) as draft:
            write_folder(draft, batches, self.specification, self.provenance, groups, splits)
            manifest = sha256_file(draft / MANIFEST)
            _write_notes(draft / PARTS, manifest, order, parts)
            write_json(self._ending, {"corpus": manifest, "parts": self._digest(order)})

    def _digest(self, order: Sequence[str]) -> str:
        return sha256_bytes(canonical_json([self.staging.part(key).path.name for key in order]).encode())

    def _ended(self, order: Sequence[str] | None) -> bool:
        """Whether a run, of these parts or of any, was killed between the target's rename and the end."""
        target = self.path / MANIFEST
        if not self._ending.exists() or not target.exists():
            return False
        told = read_json(self._ending)
        ours = order is None or told["parts"] == self._digest(order)
        return ours and bool(told["corpus"] == sha256_file(target))


def _write_notes(path: Path, manifest: str, order: Sequence[str], parts: Sequence[Part]) -> None:
    """Keep what was told about the parts, unless there is nothing."""
    rows = []
    for key, part in zip(order, parts, strict=True):
        rows.append({"key": key, "utterances": sum(b.num_rows for b in part.batches()), "notes": part.notes})
    if any(row["notes"] is not None for row in rows):
        told = {"corpus": manifest, "hash": sha256_bytes(_compact(rows).encode()), "parts": rows}
        path.write_text(_compact(told), encoding="utf-8")


def _read_notes(folder: Path, utterances: int) -> list[dict[str, Any]]:
    """What was told about the parts; nothing where it is not of this very corpus, or is not as it was written."""
    told = read_json(folder / PARTS, max_bytes=_MOST_NOTES_BYTES)
    rows = told.get("parts") if isinstance(told, dict) else None
    if not isinstance(rows, list) or told.get("corpus") != sha256_file(folder / MANIFEST):
        return []
    whole = told.get("hash") == sha256_bytes(_compact(rows).encode()) and all(_is_row(row) for row in rows)
    return rows if whole and sum(row["utterances"] for row in rows) == utterances else []


def _is_row(row: Any) -> bool:
    if not isinstance(row, dict) or row.keys() != {"key", "utterances", "notes"}:
        return False
    count = row["utterances"]
    return isinstance(row["key"], str) and isinstance(count, int) and not isinstance(count, bool) and count >= 0


def _compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _with_schema(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        batch.column(field.name) if field.name in batch.schema.names else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
