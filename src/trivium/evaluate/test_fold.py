"""The test fold behind a door: training gets an object that holds none of its rows, and every read is counted.

Looking at a test fold once per idea and keeping the best is tuning on it, however honest each look was. So the rows
lie behind :meth:`TestFold.read`, each read is a line in an append-only file, and the count is printed with the numbers.
The fold is known by its utterances and labels, not by its columns: new features do not make it fresh.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Aligned, Corpus
from trivium.errors import DataError, FormatError
from trivium.files import canonical_json, sha256_bytes, user_folder

__all__ = [
    "LearningFold",
    "ReadCount",
    "ReadLedger",
    "TestFold",
    "TestRead",
    "configuration_hash",
    "fingerprint",
    "sealed",
]

Data = TypeVar("Data", Aligned, Corpus)
_HASH_LETTERS = 16


@dataclass(frozen=True)
class ReadCount:
    """How often a test fold has been read.

    Parameters
    ----------
    times : int
        By this configuration, this read included; each seed is one.
    configurations : int
        How many configurations have read it, this one included.

    Examples
    --------
    >>> print(ReadCount(1, 7))
    This configuration read this test fold 1 time; 7 configurations have read it.
    """

    times: int
    configurations: int

    def __str__(self) -> str:
        often = "1 time" if self.times == 1 else f"{self.times} times"
        others = "1 configuration has" if self.configurations == 1 else f"{self.configurations} configurations have"
        return f"This configuration read this test fold {often}; {others} read it."


class ReadLedger:
    """Append-only record of reads of test folds: a file with one JSON object a line, and no times or paths in it.

    Parameters
    ----------
    file : path, optional
        Default ``test-reads/reads.jsonl`` in the user's folder of trivium, so that the count goes across runs.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ledger = ReadLedger(folder + "/reads.jsonl")
    ...     _ = ledger.record(fold="f", configuration="a", seed=0)
    ...     print(ledger.record(fold="f", configuration="b", seed=0))
    This configuration read this test fold 1 time; 2 configurations have read it.
    """

    def __init__(self, file: str | os.PathLike[str] | None = None) -> None:
        self.file = user_folder("test-reads") / "reads.jsonl" if file is None else Path(file)

    def record(self, *, fold: str, configuration: str, seed: int, **told: str) -> ReadCount:
        """Add one read.

        Parameters
        ----------
        fold, configuration : str
            Fingerprint of the test fold, hash of the configuration.
        seed : int
            Of the run.
        **told : str
            What else a reader of the file will want to know: protocol, label, fingerprint of the corpus.

        Raises
        ------
        FormatError
            A line of the file is no record.
        DataError
            The file cannot be written: what is not recorded is not read.
        """
        before = self.count(fold, configuration)
        line = {**told, "fold": fold, "configuration": configuration, "seed": seed, "read": before.times + 1}
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.open("a", encoding="utf-8") as opened:
                opened.write(json.dumps(line, sort_keys=True) + "\n")
        except OSError as cause:
            raise DataError(
                f"the read of a test fold cannot be recorded: {cause.strerror or cause}",
                file=self.file,
                remedy="choose another file for the record, or TRIVIUM_HOME for all of them",
            ) from cause
        return self.count(fold, configuration)

    def count(self, fold: str, configuration: str) -> ReadCount:
        """How often the fold has been read so far.

        Parameters
        ----------
        fold, configuration : str
            Fingerprint of the test fold, hash of the configuration.
        """
        if not self.file.exists():
            return ReadCount(0, 0)
        readers = []
        for number, line in enumerate(self.file.read_text(encoding="utf-8").splitlines(), 1):
            try:
                told = json.loads(line)
                readers += [told["configuration"]] if told["fold"] == fold else []
            except (ValueError, KeyError, TypeError) as cause:
                raise FormatError(
                    "is no record of a read", file=self.file, place=f"line {number}", remedy="remove the line"
                ) from cause
        return ReadCount(readers.count(configuration), len(set(readers)))


@dataclass(frozen=True, eq=False)
class LearningFold(Generic[Data]):
    """What training is given of one fold: it holds no test row, nor a way to one but opening the corpus again.

    No id, label or column of a test row is held. Two things stay: of a corpus on disk the name of its folder, and of
    one in memory the arrays of the learning rows, which may be views of a block that a reader filled with all of them.

    Parameters
    ----------
    name : str
        Of the fold.
    train : Aligned or Corpus
        Rows to learn from.
    valid : Aligned or Corpus, optional
        Rows that stop training and choose settings; None where training holds out its own.
    """

    name: str
    train: Data
    valid: Data | None


@dataclass(frozen=True, eq=False)
class TestRead(Generic[Data]):
    """What came through the door.

    Parameters
    ----------
    data : Aligned or Corpus
        The test rows.
    count : ReadCount
        To be printed with every number that comes of it.
    """

    __test__ = False  # the name begins like a test's, pytest should not collect it

    data: Data
    count: ReadCount


class TestFold(Generic[Data]):
    """Test rows behind a door that counts.

    Parameters
    ----------
    name : str
        Of the fold.
    data : Aligned or Corpus
        The test rows alone.
    label : str
        Key of the label that is tested.
    ledger : ReadLedger
        Where reads are recorded.
    **told : str
        What the record says besides: protocol, fingerprint of the corpus.

    Examples
    --------
    >>> import tempfile
    >>> from trivium.corpus import LabelSpecification, Specification, Utterance
    >>> mood = LabelSpecification("mood", "binary", ("calm", "angry"))
    >>> corpus = Corpus.from_utterances([Utterance("a", labels={"mood": "calm"})], Specification((), (mood,)))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     door = TestFold("test", corpus, "mood", ReadLedger(folder + "/reads.jsonl"))
    ...     opened = door.read({"network": "lf-dnn"}, seed=0)
    >>> len(door), opened.data.ids.tolist(), opened.count.times
    (1, ['a'], 1)
    """

    __test__ = False

    def __init__(self, name: str, data: Data, label: str, ledger: ReadLedger, **told: str) -> None:
        self.name = name
        self.label = label
        self.ledger = ledger
        self._data: Data = data
        self._told = told

    def __len__(self) -> int:
        return len(self._data)

    @property
    def fingerprint(self) -> str:
        """Known by its ids and labels, in whatever order."""
        return fingerprint(self._data, self.label)

    def read(self, configuration: Mapping[str, Any], *, seed: int) -> TestRead[Data]:
        """Open the door: record the read, then give the rows.

        Parameters
        ----------
        configuration : mapping
            Everything that decides the predictions but the seed, as plain builtins: network, objectives, settings,
            hash of the columns.
        seed : int
            Of the run.

        Raises
        ------
        DataError
            The configuration is not plain, or the read cannot be recorded.
        """
        count = self.ledger.record(
            fold=self.fingerprint,
            configuration=configuration_hash(configuration),
            seed=seed,
            label=self.label,
            name=self.name,
            **self._told,
        )
        return TestRead(self._data, count)


def sealed(data: Data, rows: Sequence[int] | NDArray[np.int64]) -> Data:
    """Rows of a set, without a way back to the others.

    Parameters
    ----------
    data : Aligned or Corpus
        N utterances.
    rows : int array of shape (n,)
        Row numbers.

    Returns
    -------
    Aligned or Corpus
        An aligned set is copied; a corpus gets a source that holds these rows only, and on disk the folder's name.

    Examples
    --------
    >>> from trivium.corpus import Specification, Utterance
    >>> corpus = Corpus.from_utterances([Utterance("a"), Utterance("b")], Specification(()))
    >>> sealed(corpus, [1]).source.column("id").tolist()
    ['b']
    """
    kept = np.asarray(rows, dtype=np.int64)
    if isinstance(data, Aligned):
        return data[kept]
    return Corpus(data.source.only(data.rows[kept]), data.specification, data.provenance)


def fingerprint(data: Aligned | Corpus, label: str) -> str:
    """Hash of ids and labels, in whatever order the utterances come; columns do not count.

    Parameters
    ----------
    data : Aligned or Corpus
        Utterances.
    label : str
        Key of the label.
    """
    pairs = sorted(zip(data.ids.tolist(), map(str, data.label(label).tolist()), strict=True))
    return sha256_bytes(canonical_json(pairs).encode())[:_HASH_LETTERS]


def configuration_hash(configuration: Mapping[str, Any]) -> str:
    """Sixteen letters of the SHA-256 of a configuration; the order of its keys does not count.

    Parameters
    ----------
    configuration : mapping
        Plain builtins.

    Raises
    ------
    DataError
        It holds something else.

    Examples
    --------
    >>> configuration_hash({"a": 1, "b": 2}) == configuration_hash({"b": 2, "a": 1})
    True
    """
    try:
        return sha256_bytes(canonical_json(dict(configuration)).encode())[:_HASH_LETTERS]
    except (TypeError, ValueError) as cause:
        raise DataError(f"the configuration cannot be hashed: {cause}", remedy="use plain builtins") from cause
