"""Writing a corpus in parts over a long run that can be killed at any moment and goes on."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from trivium.corpus.corpus import Corpus
from trivium.corpus.manifest import MANIFEST
from trivium.corpus.shards import write_folder
from trivium.corpus.sources import part_names
from trivium.corpus.specification import Specification
from trivium.corpus.table import encode, table_schema
from trivium.corpus.utterance import Utterance
from trivium.errors import DataError, FormatError
from trivium.files import atomic_file, atomic_folder, named, read_json, require_place, sha256_file, write_json

__all__ = ["CorpusWriter"]


class CorpusWriter:
    """Write a corpus in parts over a long run that may be killed at any moment.

    Parts wait in a folder beside the target. The same calls after a kill go on where they stopped and end with the same
    bytes, whatever the order and number of processes that staged the parts.

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
        The target exists, or parts of a run with another specification wait beside it.

    Examples
    --------
    >>> import tempfile
    >>> from trivium.corpus import Specification
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
        self._staging = self.path.with_name(f".{self.path.name}.staging")
        if overwrite or not self._staging.exists():
            require_place(self.path, self._replace)
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
        """
        if not self._finished():
            missing = [key for key in order if not self.staged(key)]
            if missing:
                raise DataError(f"{len(missing)} parts are missing, first {missing[0]!r}", file=self._staging)
            self._write(order)
        # the rename ends the run in one step; what a kill leaves behind after it is rubbish, not state
        rubbish = self._staging.with_name(f"{self._staging.name}.{os.getpid()}.part")
        self._staging.rename(rubbish)
        shutil.rmtree(rubbish, ignore_errors=True)
        return Corpus.open(self.path)

    def discard(self) -> None:
        """Give up: remove the staging folder and all parts in it; the target stays as it is."""
        shutil.rmtree(self._staging, ignore_errors=True)

    def _write(self, order: Sequence[str]) -> None:
        names = {n for key in order for n in _ipc(self._part(key)).schema.names}
        groups, splits = part_names(names, "group"), part_names(names, "split")
        schema = table_schema(self.specification, groups, splits)
        batches = (_with_schema(batch, schema) for key in order for batch in _batches(self._part(key)))
        with atomic_folder(self.path, replace=self._replace) as draft:
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
