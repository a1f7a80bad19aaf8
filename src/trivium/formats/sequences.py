"""Computational sequences (``.csd``) as they lie in HDF5: opened safely, mapped where they are plain, else copied.

A file holds one root group with ``data/<entry>/{features,intervals}`` and ``metadata/<key>``. External links, virtual
and externally stored datasets are refused, and so is a file that would unpack to far more than its size.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from trivium.errors import DataError, FormatError, LimitError, UnsafeFileError
from trivium.formats.findings import as_float32, is_finite

__all__ = ["Entry", "Sequence", "entry_key", "is_hdf5", "is_sequence", "open_sequence", "write_sequence"]

_MAX_UNPACKED_BYTES = 256 << 30
_MAX_RATIO = 200
_RATIO_FREE_BYTES = 256 << 20
_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_METADATA = (
    "root name",
    "computational sequence description",
    "dimension names",
    "computational sequence version",
    "alignment compatible",
    "dataset name",
    "dataset version",
    "creator",
    "contact",
    "featureset bib citation",
    "dataset bib citation",
)
_FUSED_KEY = "dimension namescomputational sequence version"  # the SDK's template lacks a comma and looks for this


@dataclass(frozen=True, eq=False)
class Entry:
    """One entry of a sequence.

    Parameters
    ----------
    features : array of shape (n, d)
        float32, or byte strings for words.
    intervals : float64 array of shape (n, 2)
        Start and end of each row in seconds.
    """

    features: NDArray[Any]
    intervals: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sequence:
    """One computational sequence in memory.

    Parameters
    ----------
    file : Path
        Where it was read from.
    root : str
        Name of its root group.
    metadata : mapping
        Values decoded from JSON where they are JSON, plain text where not; empty where the file has none.
    entries : mapping of str to Entry
        By entry id, in the file's order (sorted).
    """

    file: Path
    root: str
    metadata: Mapping[str, Any]
    entries: Mapping[str, Entry]

    @property
    def dim(self) -> int:
        """Number of columns; 0 for a sequence without entries."""
        return next((e.features.shape[1] for e in self.entries.values()), 0)

    @property
    def is_text(self) -> bool:
        """Whether the features are byte strings."""
        return any(e.features.dtype.kind in "SO" for e in self.entries.values())

    def dimension_names(self) -> tuple[str, ...] | None:
        """Column names from the metadata, if there is one distinct name per column."""
        for key in ("dimension names", _FUSED_KEY):
            names = self.metadata.get(key)
            if isinstance(names, list) and len(names) == self.dim == len({str(n) for n in names}):
                return tuple(str(n) for n in names)
        return None


def entry_key(entry: str) -> tuple[str, int | None]:
    """Video id and row of an entry id.

    Examples
    --------
    >>> entry_key("03bSnISJMiM[12]"), entry_key("03bSnISJMiM")
    (('03bSnISJMiM', 12), ('03bSnISJMiM', None))
    """
    stem, bracket, tail = entry.rpartition("[")
    if bracket and tail.endswith("]") and tail[:-1].isdigit() and len(tail) < 12:
        return stem, int(tail[:-1])
    return entry, None


def is_hdf5(path: Path) -> bool:
    """Whether a file begins as HDF5 files do; it may still be cut off."""
    with path.open("rb") as file:
        return file.read(len(_SIGNATURE)) == _SIGNATURE


def is_sequence(path: Path) -> bool:
    """Whether a file is HDF5 with the layout of a computational sequence."""
    try:
        if not is_hdf5(path):
            return False
        with h5py.File(path, "r") as file:
            root = next(iter(file), None)
            return root is not None and _is_hard(file.id, root.encode()) and "data" in file[root]
    except (OSError, RuntimeError, KeyError, TypeError):
        return False


def open_sequence(path: Path, *, max_bytes: int = _MAX_UNPACKED_BYTES) -> Sequence:
    """Read one ``.csd`` file.

    Parameters
    ----------
    path : Path
        The file.
    max_bytes : int
        Most bytes that its features and intervals may need in memory.

    Raises
    ------
    FormatError
        Not HDF5, cut off, another layout, or lengths that disagree.
    UnsafeFileError
        A link or dataset leads out of the file.
    LimitError
        It would unpack to too much.
    """
    try:
        with h5py.File(path, "r") as file:
            return _read(file, path, max_bytes)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as cause:
        raise FormatError(
            f"is not a readable computational sequence: {cause}", file=path, remedy="check the download; it may be cut"
        ) from cause


def _read(file: h5py.File, path: Path, max_bytes: int) -> Sequence:
    root = next(iter(file), None)
    if root is None or not isinstance(_inside(file, root, path), h5py.Group) or "data" not in file[root]:
        raise FormatError("has no root group with data, so it is no computational sequence", file=path)
    data = _inside(file[root], "data", path).id
    memory = _Memory(path, max_bytes)
    entries = {}
    dims: dict[int, bytes] = {}
    for name in data:
        entry = _entry(data, name, path, memory)
        entries[name.decode("utf-8", "replace")] = entry
        dims.setdefault(entry.features.shape[1], name)
    if len(dims) > 1:
        raise FormatError(f"entries differ in their number of columns: {sorted(dims)}", file=path, place=repr(dims))
    metadata = dict(_metadata(_inside(file[root], "metadata", path))) if "metadata" in file[root] else {}
    return Sequence(path, root, metadata, entries)


class _Memory:
    """Where the arrays of one file lie: in the mapped file, or in memory that is counted against a limit."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        with path.open("rb") as file:
            self._mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._left = min(max_bytes, max(_RATIO_FREE_BYTES, _MAX_RATIO * len(self._mapped)))
        self._path = path

    def take(self, size: int) -> None:
        """Count bytes that unpacking will need."""
        self._left -= size
        if self._left < 0:
            raise LimitError("would unpack to far more than its size", file=self._path, remedy="do not trust this file")

    def array(self, dataset: Any, dtype: np.dtype[Any], native: Any, place: str) -> NDArray[Any]:
        """Values of a numeric dataset: a view of the file where type and place allow, else a converted copy."""
        shape = dataset.shape
        offset = dataset.get_offset()
        size = prod(shape) * dtype.itemsize
        # a place in this file means plain bytes: neither packed in chunks nor stored elsewhere
        if offset is not None and offset % dtype.itemsize == 0 and dataset.get_type().equal(native):
            if offset + size > len(self._mapped):
                raise FormatError("is cut off", file=self._path, remedy="fetch it again")
            return np.ndarray(shape, dtype, self._mapped, offset)
        self.take(size)
        values = np.empty(shape, dtype)
        if values.size:
            dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, values)  # converts on the way, no second copy
        wider = dataset.get_type().get_class() == h5py.h5t.FLOAT and dataset.get_type().get_size() > dtype.itemsize
        if wider and not is_finite(values):  # infinite in the file, or only here?
            as_float32(h5py.Dataset(dataset)[()].reshape(len(values), -1), self._path, place)
        return values


def _is_hard(group: Any, name: bytes) -> bool:
    return bool(group.links.get_info(name).type == h5py.h5l.TYPE_HARD)


def _inside(group: Any, name: str, path: Path) -> Any:
    if not _is_hard(group.id, name.encode()):
        raise UnsafeFileError(f"{name!r} is a link, which may lead out of the file", file=path)
    return group[name]


def _entry(data: Any, name: bytes, path: Path, memory: _Memory) -> Entry:
    place = name.decode("utf-8", "replace")
    if not _is_hard(data, name):
        raise UnsafeFileError("an entry is a link, which may lead out of the file", file=path, place=place)
    group = h5py.h5o.open(data, name)
    stored = _dataset(group, b"features", path, place)
    if not stored.shape:
        raise FormatError("features are a single value, not rows and columns", file=path, place=place)
    features = _features(stored, memory, place)
    intervals = memory.array(_dataset(group, b"intervals", path, place), _FLOAT64, h5py.h5t.NATIVE_DOUBLE, place)
    if intervals.shape != (len(features), 2):
        raise FormatError(
            f"features have {len(features)} rows, intervals have shape {intervals.shape}", file=path, place=place
        )
    if not is_finite(intervals):
        row = int(np.flatnonzero(~np.isfinite(intervals).all(axis=1))[0])
        raise DataError("an interval is not finite", file=path, place=f"{place}, row {row}")
    return Entry(features, intervals)


def _dataset(group: Any, name: bytes, path: Path, place: str) -> Any:
    """Open features or intervals, wherever the file has them: one opening a dataset, for there are many."""
    try:
        hard = _is_hard(group, name)
        dataset = h5py.h5d.open(group, name) if hard else None
    except (KeyError, AttributeError, TypeError, RuntimeError, ValueError) as cause:
        raise FormatError(f"an entry has no dataset {name.decode()}", file=path, place=place) from cause
    if dataset is None:
        raise UnsafeFileError(f"{name.decode()} is a link out of the entry", file=path, place=place)
    if dataset.get_offset() is None:  # it has no place of its own in this file: empty, packed, or stored elsewhere
        plan = dataset.get_create_plist()
        if plan.get_layout() == h5py.h5d.VIRTUAL or plan.get_external_count():
            raise UnsafeFileError(f"{name.decode()} is stored in another file", file=path, place=place)
    return dataset


def _features(dataset: Any, memory: _Memory, place: str) -> NDArray[Any]:
    rows = dataset.shape[0], prod(dataset.shape[1:])  # -1 would not do for an entry without rows
    if dataset.get_type().get_class() == h5py.h5t.STRING:
        text = h5py.Dataset(dataset)
        memory.take(dataset.shape[0] * 64)
        values: NDArray[Any] = np.asarray(text[()]).reshape(rows)
        return values
    return memory.array(dataset, _FLOAT32, h5py.h5t.NATIVE_FLOAT, place).reshape(rows)


def _metadata(group: Any) -> Iterator[tuple[str, Any]]:
    for key in group:
        if not _is_hard(group.id, key.encode()) or not isinstance(group[key], h5py.Dataset) or group[key].size != 1:
            continue
        value = group[key][()]
        text = value.reshape(-1)[0] if isinstance(value, np.ndarray) else value
        text = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        try:
            yield key, json.loads(text)
        except (ValueError, RecursionError):
            yield key, text


def write_sequence(path: Path, root: str, entries: Mapping[str, Entry], metadata: Mapping[str, Any]) -> None:
    """Write one ``.csd`` file that the CMU SDK reads: gzip, one JSON value per metadata key.

    Parameters
    ----------
    path : Path
        The file.
    root : str
        Name of the root group; it must not hold a slash.
    entries : mapping of str to Entry
        By entry id.
    metadata : mapping
        What is known; the other keys the SDK expects become null.
    """
    for name in (root, *entries):
        if "/" in name or not name:
            raise DataError(f"the id {name!r} cannot be a name in HDF5", remedy="rename it without a slash")
    text = h5py.string_dtype()
    with h5py.File(path, "w", libver=("earliest", "v108")) as file:
        data = file.create_group(f"{root}/data")
        for name, entry in entries.items():
            group = data.create_group(name)
            for key, values in (("features", entry.features), ("intervals", entry.intervals)):
                packed = {"compression": "gzip", "compression_opts": 4} if values.size else {}
                group.create_dataset(key, data=values, **packed)
        described = {**dict.fromkeys(_METADATA), **metadata, "root name": root}
        described.setdefault(_FUSED_KEY, described["dimension names"])
        for key, value in described.items():
            file.create_dataset(f"{root}/metadata/{key}", data=[json.dumps(value)], dtype=text)
