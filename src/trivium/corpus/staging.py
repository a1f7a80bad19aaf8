"""Parts of a corpus that is being made: each is a file of its own, whole or absent, beside what is told about it.

Parts of runs with other options may lie in the same folder. Each says what specification it keeps to, and none is ever
taken for another: the file's name is the hash of the part's key and of the specification.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from trivium.corpus.specification import Specification
from trivium.corpus.table import decode, encode, table_schema
from trivium.corpus.utterance import Utterance
from trivium.errors import FormatError
from trivium.files import atomic_file, canonical_json, named, read_json, sha256_bytes, write_json

__all__ = ["Part", "Staging", "staging_folder"]

_SPECIFICATION = b"trivium.specification"


def staging_folder(path: Path) -> Path:
    """Where the parts of a corpus wait until it is whole: beside its folder, hidden.

    Parameters
    ----------
    path : Path
        Folder of the corpus; may be absent.

    Examples
    --------
    >>> staging_folder(Path("sets/mine")).as_posix()
    'sets/.mine.staging'
    """
    whole = named(path)
    return whole.with_name(f".{whole.name}.staging")


@dataclass(frozen=True)
class Part:
    """A part that waits, of whatever specification.

    Parameters
    ----------
    path : Path
        Its Arrow file.
    """

    path: Path

    @property
    def notes(self) -> Any:
        """What was told about it when it was staged; None where nothing was."""
        beside = self.path.with_suffix(".json")
        return read_json(beside) if beside.exists() else None

    @property
    def columns(self) -> list[str]:
        """Names of its columns."""
        return list(self._reader().schema.names)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Its rows, mapped from the file.

        Raises
        ------
        FormatError
            The file is damaged.
        """
        reader = self._reader()
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)

    def utterances(self) -> list[Utterance]:
        """Its utterances; their arrays are views of the file.

        Raises
        ------
        FormatError
            The file is damaged.
        """
        stored = (self._reader().schema.metadata or {}).get(_SPECIFICATION)
        if stored is None:
            raise FormatError("does not say what it holds", file=self.path, remedy="delete it and run again")
        specification = Specification.from_json(json.loads(stored))
        return [utterance for batch in self.batches() for utterance in decode(batch, specification)]

    def _reader(self) -> pa.ipc.RecordBatchFileReader:
        try:
            return pa.ipc.open_file(pa.memory_map(str(self.path)))
        except (pa.ArrowException, OSError) as cause:
            raise FormatError(
                f"is no readable part: {cause}", file=self.path, remedy="delete it and run again"
            ) from cause


class Staging:
    """The folder in which parts wait. Any number of processes may stage parts at the same time.

    Parameters
    ----------
    folder : Path
        Made when the first part is staged.
    specification : Specification
        What every utterance keeps to.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     staging = Staging(Path(folder) / "parts", Specification(()))
    ...     staging.stage("one", [Utterance("a")], {"seen": 3})
    ...     staging.staged("one"), staging.staged("two"), staging.part("one").notes
    (True, False, {'seen': 3})
    """

    def __init__(self, folder: Path, specification: Specification) -> None:
        self.folder, self.specification = folder, specification

    def part(self, key: str) -> Part:
        """The part of a key, there or not.

        Parameters
        ----------
        key : str
            Names the part: the hash of a clip, for example.
        """
        name = sha256_bytes(f"{key}\0{canonical_json(self.specification.to_json())}".encode())
        return Part(self.folder / f"{name}.arrow")

    def staged(self, key: str) -> bool:
        """Whether the part is there."""
        return self.part(key).path.exists()

    def parts(self) -> list[Part]:
        """All parts that wait, also those of runs with other options, in the order of their names."""
        return [Part(path) for path in sorted(self.folder.glob("*.arrow")) if not path.name.startswith(".")]

    def stage(self, key: str, utterances: Sequence[Utterance], notes: Any = None) -> None:
        """Write one part, whole or not at all; a part of the same key is replaced.

        Parameters
        ----------
        key : str
            Names the part.
        utterances : sequence of Utterance
            May be empty.
        notes : plain builtins, optional
            What is to be known about them later.

        Raises
        ------
        DataError
            An utterance does not fit the specification.
        DiskError
            The disk refuses.
        """
        for utterance in utterances:
            utterance.check(self.specification)
        groups = {name for u in utterances for name in u.groups}
        splits = {name for u in utterances for name in u.splits}
        schema = table_schema(self.specification, groups, splits)
        batch = encode(utterances, self.specification, schema)
        told = {_SPECIFICATION: json.dumps(self.specification.to_json()).encode()}
        part = self.part(key)
        if notes is not None:
            # the notes come first: a part is done when its file is there
            write_json(part.path.with_suffix(".json"), notes)
        with atomic_file(part.path) as draft, pa.ipc.new_file(draft, schema.with_metadata(told)) as writer:
            writer.write_batch(batch)
