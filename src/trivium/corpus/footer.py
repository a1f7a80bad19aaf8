"""A look into a Parquet footer before pyarrow decodes what it describes.

pyarrow ends the process when it is asked about the column of a damaged footer, and a few bytes of a dictionary or of
repeated levels may unfold to any amount of memory. So the footer's Thrift (compact protocol, as the Parquet format
defines it) is walked here, in plain Python, for the few numbers that bound what reading can cost.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trivium.errors import FormatError, LimitError

__all__ = ["check_footer"]

_MOST_FOOTER_BYTES = 64 << 20
_MOST_DEPTH = 32
# Field numbers of parquet.thrift: FileMetaData, RowGroup, ColumnChunk, ColumnMetaData.
_ROW_GROUPS, _COLUMNS, _META_DATA, _NUM_VALUES, _UNCOMPRESSED, _DICTIONARY = 4, 1, 3, 5, 6, 11


def check_footer(path: Path, most_bytes: int) -> None:
    """Raise unless every row group of a Parquet file is bounded by `most_bytes` and free of dictionaries.

    Parameters
    ----------
    path : Path
        The Parquet file.
    most_bytes : int
        Limit of the uncompressed bytes of a row group, and of 8 bytes for each of its values.

    Raises
    ------
    FormatError
        The footer cannot be read.
    LimitError
        A row group is above the limit.
    """
    try:
        groups = _Thrift(_footer(path)).struct(0)[_ROW_GROUPS]
        for number, group in enumerate(groups):
            columns = [column[_META_DATA] for column in group[_COLUMNS]]
            size = sum(column[_UNCOMPRESSED] for column in columns)
            values = max((column[_NUM_VALUES] for column in columns), default=0)
            if size > most_bytes or 8 * values > most_bytes or any(_DICTIONARY in column for column in columns):
                raise LimitError(
                    f"has a dictionary, or {size} bytes and {values} values, above the limit of {most_bytes} bytes",
                    file=path,
                    place=f"row group {number}",
                )
    except (IndexError, KeyError, TypeError, ValueError, OSError) as cause:
        raise FormatError(f"is cut off or damaged: its footer cannot be read ({cause!r})", file=path) from cause


def _footer(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-8, 2)
        tail = file.read(8)
        size = int.from_bytes(tail[:4], "little")
        if tail[4:] != b"PAR1" or size > min(_MOST_FOOTER_BYTES, path.stat().st_size - 12):
            raise ValueError("no Parquet footer at the end")
        file.seek(-8 - size, 2)
        return file.read(size)


class _Thrift:
    """Reader of the compact protocol: structs become mappings from field number to value."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
            if shift > 63:
                raise ValueError("a number is too long")

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def struct(self, depth: int) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        number = 0
        while header := self._byte():
            step, kind = header >> 4, header & 0x0F
            number = number + step if step else self._integer()
            fields[number] = kind == 1 if kind in (1, 2) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _MOST_DEPTH:
            raise ValueError("nested too deep")
        if kind in (1, 2, 3):  # truth inside a list, or a byte
            return self._byte()
        if kind in (4, 5, 6):
            return self._integer()
        if kind in (7, 8):  # double, or bytes with their length
            size = 8 if kind == 7 else self._varint()
            self._at += size
            return self._data[self._at - size : self._at]
        if kind in (9, 10):
            return self._list(depth + 1)
        if kind == 12:
            return self.struct(depth + 1)
        raise ValueError(f"unknown type {kind}")

    def _list(self, depth: int) -> list[Any]:
        header = self._byte()
        count = self._varint() if header >> 4 == 15 else header >> 4
        if count > len(self._data):
            raise ValueError("a list is longer than the footer")
        return [self._value(header & 0x0F, depth) for _ in range(count)]
