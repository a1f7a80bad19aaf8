"""Word vectors from a text file of the user's: GloVe as published, or with word2vec's first line.

Such files have gigabytes. The file is read once, line by line, to check its rows and to note where each word begins;
that index (20 bytes a word) lies in the user's cache under the path, size and time of the file. Afterwards only the
lines of the words that are spoken are read. Rules for words that the file lacks stand in
:mod:`trivium.extract.text.word_vectors`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Stream, StreamSpecification
from trivium.errors import DataError, FormatError
from trivium.extract.text.word_vectors import static_stream
from trivium.extract.words.transcript import Transcript
from trivium.files import atomic_file, sha256_bytes, user_folder

__all__ = ["VectorFile", "VectorFileExtractor", "open_vector_file"]

_PACKED = {b"PK": "zip", b"\x1f\x8b": "gzip"}
_LONGEST_LINE = 1 << 20
_LINES = "every line has to hold a word and its numbers with spaces between them, as GloVe's files do"


@dataclass(frozen=True, eq=False)
class VectorFile:
    """An indexed text file of word vectors.

    Parameters
    ----------
    path : Path
        The file.
    width : int
        Columns D.
    digest : str
        Its SHA-256.
    keys : array of shape (N,), uint64
        Hashes of the words, sorted.
    places : array of shape (N,), int64
        Where the line of each begins, in bytes; of a word that is there twice, the first line comes first.
    """

    path: Path
    width: int
    digest: str
    keys: NDArray[np.uint64]
    places: NDArray[np.int64]

    def vector(self, word: str) -> NDArray[np.float32] | None:
        """Vector (D,) of a word, by its first line; None where the file lacks it.

        Raises
        ------
        FormatError
            Its line holds something that is no finite number.
        """
        name = word.encode()
        key = np.uint64(_key(name))
        place = int(np.searchsorted(self.keys, key))
        with self.path.open("rb") as file:
            while place < len(self.keys) and self.keys[place] == key:
                file.seek(int(self.places[place]))
                found, *numbers = file.readline(_LONGEST_LINE).rstrip().rsplit(b" ", self.width)
                if found == name:
                    return self._numbers(numbers, int(self.places[place]))
                place += 1
        return None

    def _numbers(self, numbers: list[bytes], place: int) -> NDArray[np.float32]:
        try:
            vector = np.array([float(number) for number in numbers], np.float32)
        except ValueError:
            vector = np.full(1, np.nan, np.float32)
        if not np.isfinite(vector).all():
            raise FormatError(
                "holds something that is no finite number", file=self.path, place=self._line(place), remedy=_LINES
            )
        return vector

    def _line(self, place: int) -> str:
        with self.path.open("rb") as file:
            before = sum(file.read(min(1 << 20, place - at)).count(b"\n") for at in range(0, place, 1 << 20))
        return f"line {before + 1}"


class VectorFileExtractor:
    """The extractor ``glove:FILE``: static vectors from a text file, one word and its numbers a line.

    Parameters
    ----------
    argument : str
        The file. Its words should be lower case: spoken words are.
    local : path, optional
        Not used.

    Raises
    ------
    FormatError
        The file is no such table; the line is named.
    DataError
        There is no such file.
    """

    models: tuple[str, ...] = ()
    takes = "FILE"

    def __init__(self, argument: str, local: str | Path | None = None) -> None:
        self._file = open_vector_file(Path(argument).expanduser())

    @property
    def specification(self) -> StreamSpecification:
        """Columns are named after the file; the version is its SHA-256."""
        name = re.sub(r"[^a-z0-9]+", "-", self._file.path.stem.lower()).strip("-") or "vectors"
        columns = tuple(f"{name}-{i:03d}" for i in range(self._file.width))
        version = self._file.digest[:12]
        return StreamSpecification("text", columns, clock="seconds", extractor="glove", version=version)

    def stream(self, transcript: Transcript, times: NDArray[np.float64]) -> Stream:
        """Values (W, D) at the times (W, 2) of the W words; zero for a word that the file lacks."""
        return static_stream(transcript, times, lru_cache(maxsize=None)(self._file.vector), self.specification)


def open_vector_file(path: Path) -> VectorFile:
    """Open a file of word vectors; the first time, it is read through and indexed.

    Parameters
    ----------
    path : Path
        Text with one word and its D numbers a line, separated by spaces, perhaps after a line with the number of words
        and D. A line with more than D + 1 fields begins with a word that has spaces in it.

    Raises
    ------
    FormatError
        A line has too few fields, or the file is packed or binary; the line is named.
    DataError
        There is no such file.
    """
    if not path.is_file():
        raise DataError("there is no such file of word vectors", file=path, remedy="check the path behind the colon")
    status = path.stat()
    known = sha256_bytes(f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}".encode())
    index = user_folder("cache") / f"{known}.words.npz"
    if not index.is_file():
        index.parent.mkdir(parents=True, exist_ok=True)
        _write_index(path, index)
    with np.load(index, allow_pickle=False) as held:
        return VectorFile(path, int(held["width"]), str(held["digest"]), held["keys"], held["places"])


def _write_index(path: Path, index: Path) -> None:
    digest = hashlib.sha256()
    width = _width(path)
    keys, places = [], []
    for number, place, line in _lines(path):
        digest.update(line)
        fields = line.rstrip().count(b" ")
        if fields < width:
            if number == 1 and fields == 1:
                continue
            if line.strip():
                raise FormatError(
                    f"has {fields} numbers instead of {width}", file=path, place=f"line {number}", remedy=_LINES
                )
            raise FormatError("is empty", file=path, place=f"line {number}", remedy=_LINES)
        keys.append(_key(line.rstrip().rsplit(b" ", width)[0]))
        places.append(place)
    if not keys:
        raise FormatError("holds no words", file=path, remedy=_LINES)
    order = np.argsort(np.array(keys, np.uint64), kind="stable")
    with atomic_file(index) as draft, draft.open("wb") as out:
        np.savez(
            out,
            keys=np.array(keys, np.uint64)[order],
            places=np.array(places, np.int64)[order],
            width=np.int64(width),
            digest=np.str_(digest.hexdigest()),
        )


def _lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Number, place in bytes and content of every line."""
    place, number = 0, 0
    with path.open("rb") as file:
        while line := file.readline(_LONGEST_LINE):
            number += 1
            if len(line) == _LONGEST_LINE:
                raise FormatError("is no line of text", file=path, place=f"line {number}", remedy="give a text file")
            yield number, place, line
            place += len(line)


def _width(path: Path) -> int:
    """Columns, by the first line: ``WORDS COLUMNS`` as word2vec writes it, or a word and its numbers."""
    with path.open("rb") as file:
        head = file.readline(_LONGEST_LINE)
    packed = next((name for mark, name in _PACKED.items() if head.startswith(mark)), None)
    if packed:
        raise FormatError(f"is packed ({packed})", file=path, remedy="unpack it")
    fields = head.split()
    if len(fields) == 2 and all(field.isdigit() for field in fields):
        return int(fields[1])
    if len(fields) < 2:
        raise FormatError("is no word with its numbers", file=path, place="line 1", remedy="give GloVe's text format")
    return len(fields) - 1


def _key(word: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(word, digest_size=8).digest(), "little")
