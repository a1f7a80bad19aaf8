"""Arrays that grow with the length of a clip lie in files without a name, so that memory does not grow with them.

What is written is mapped and read as any array; the system keeps of it in memory what there is room for. A file has no
name from the start: whatever ends the process, nothing is left behind. Small arrays stay in memory.
"""

from __future__ import annotations

import errno
import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.errors import DiskError

__all__ = ["ScratchFile", "ScratchRows", "let_go"]

_IN_MEMORY_BYTES = 16 << 20
_BLOCK_BYTES = 1 << 18
_LARGE_FILES = "/var/tmp"  # noqa: S108  (/tmp lies in memory on many machines; files made here have no name)


class _Mapping(mmap.mmap):
    """A mapping of ours, which may be let go without losing anything."""


class ScratchFile:
    """A file without a name that becomes an array.

    It lies in ``TMPDIR`` where that is set, else in ``/var/tmp`` or wherever temporary files do.

    Raises
    ------
    DiskError
        It cannot be made.

    Examples
    --------
    >>> file = ScratchFile()
    >>> file.write(4, np.array([2.0], np.float32))
    >>> file.mapped(np.float32, (2,)).tolist()
    [0.0, 2.0]
    """

    def __init__(self) -> None:
        with _told():
            self._file = tempfile.TemporaryFile(buffering=0, prefix="trivium-", dir=_folder())  # noqa: SIM115  (kept open)

    def write(self, place: int, values: NDArray[Any]) -> None:
        """Write an array; what was never written is zero.

        Parameters
        ----------
        place : int
            Byte of the file at which it begins.
        values : array of any shape
            In any order of memory.

        Raises
        ------
        DiskError
            The disk is full.
        """
        left = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data if values.size else memoryview(b"")
        with _told():
            self._file.seek(place)
            while left:  # a write may be cut short
                left = left[self._file.write(left) :]

    def mapped(self, kind: type[np.generic] | np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """All of it as a read-only array; the file can be written to no more.

        Parameters
        ----------
        kind : type
            Of the values.
        shape : tuple of int
            Of the array.

        Raises
        ------
        DiskError
            The disk is full.
        """
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        with _told(), self._file as file:
            _reserve(file.fileno(), size)
            if size <= _IN_MEMORY_BYTES:  # a mapping keeps its file open, and a process may have few files
                file.seek(0)
                content: Any = file.read(size)
            else:
                content = _Mapping(file.fileno(), size, access=mmap.ACCESS_READ)
        return np.frombuffer(content, kind).reshape(shape)


class ScratchRows:
    """Rows that are added at the end: in memory while they are few, then in a file.

    Parameters
    ----------
    kind : type
        Of the values.

    Attributes
    ----------
    length : int
        How many rows there are.

    Examples
    --------
    >>> rows = ScratchRows(np.float32)
    >>> rows.add(np.ones((2, 3)))
    >>> rows.add(np.zeros((1, 3)))
    >>> rows.finished().sum(axis=1).tolist(), rows.length
    ([3.0, 3.0, 0.0], 3)
    """

    def __init__(self, kind: type[np.generic]) -> None:
        self._kind = np.dtype(kind)
        self._shape: tuple[int, ...] = ()
        self._blocks: list[NDArray[Any]] = []
        self._filled = 0  # rows of the last block
        self._file: ScratchFile | None = None
        self._in_file = self.length = 0

    def add(self, rows: NDArray[Any]) -> None:
        """Add rows (n, ...), each shaped like the first one.

        Parameters
        ----------
        rows : array of shape (n, ...)
            Is copied.

        Raises
        ------
        DiskError
            The disk is full.
        """
        if not self.length:
            self._shape = rows.shape[1:]
        self.length += len(rows)
        while len(rows):
            if not self._blocks or self._filled == len(self._blocks[-1]):
                self._begin_block()
            block = self._blocks[-1]
            part = rows[: len(block) - self._filled]
            block[self._filled : self._filled + len(part)] = part
            self._filled += len(part)
            rows = rows[len(part) :]

    def finished(self) -> NDArray[Any]:
        """All rows as one read-only array, (length, ...); nothing can be added afterwards.

        Raises
        ------
        DiskError
            The disk is full.
        """
        if self._blocks:
            self._blocks[-1] = self._blocks[-1][: self._filled]
        if self._file is None:
            empty = np.empty((0, *self._shape), self._kind)
            whole = np.concatenate(self._blocks) if self._blocks else empty
            self._blocks = []
            whole.flags.writeable = False
            return whole
        self._spill()
        return self._file.mapped(self._kind, (self.length, *self._shape))

    def _begin_block(self) -> None:
        row = max(int(np.prod(self._shape)), 1) * self._kind.itemsize
        if self._file is not None or len(self._blocks) * _BLOCK_BYTES >= _IN_MEMORY_BYTES:
            self._spill()
        self._blocks.append(np.empty((max(_BLOCK_BYTES // row, 1), *self._shape), self._kind))
        self._filled = 0

    def _spill(self) -> None:
        self._file = self._file or ScratchFile()
        for block in self._blocks:
            self._file.write(self._in_file, block)
            self._in_file += block.nbytes
        self._blocks = []


def let_go(*arrays: NDArray[Any] | None) -> None:
    """Take what was read of arrays in scratch files out of this process's memory; it is read again where it is needed.

    Parameters
    ----------
    *arrays : array of any shape, or None
        Also parts of arrays. All others stay as they are.
    """
    if not hasattr(mmap, "MADV_DONTNEED"):
        return
    for array in arrays:
        owner: Any = array
        while isinstance(owner, np.ndarray):
            owner = owner.base
        if isinstance(owner, memoryview):
            owner = owner.obj
        if isinstance(owner, _Mapping):
            with suppress(OSError):
                owner.madvise(mmap.MADV_DONTNEED)


def _reserve(descriptor: int, size: int) -> None:
    """Make a file so long, holes included: one that is filled only when it is read ends the process on a full disk."""
    os.ftruncate(descriptor, size)
    if size and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as cause:
            if cause.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # some file systems cannot reserve
                raise


def _folder() -> str | None:
    asked = any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    return None if asked or not os.access(_LARGE_FILES, os.W_OK) else _LARGE_FILES


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as cause:
        remedy = "make room, or name a folder on another disk in TMPDIR"
        if cause.errno in (errno.EMFILE, errno.ENFILE):
            remedy = "let go of earlier clips, or allow more open files (`ulimit -n 4096`)"
        raise DiskError(f"temporary files cannot be written: {cause.strerror or cause}", remedy=remedy) from cause
