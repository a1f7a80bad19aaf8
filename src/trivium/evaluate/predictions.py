"""Tables of predictions: one row per utterance and seed, as CSV, Parquet or JSON lines, from anybody's code.

Columns: ``id``; ``prediction``, or ``prediction_<class>`` for each class; ``label``, or ``label_<class>``; and where
known ``group`` (speaker, video), ``fold`` and ``seed``. Where the numbers come from goes along as provenance: in the
metadata of a Parquet file, in ``<file>.provenance.json`` beside the others. Nothing here knows what a column means:
:mod:`trivium.evaluate.answers` reads it in the terms of a protocol.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trivium.errors import DataError, FormatError, LimitError
from trivium.files import atomic_file, canonical_json, check_size, read_json, write_json

__all__ = ["PredictionTable", "joined_tables", "read_predictions", "write_predictions"]

_MAX_BYTES = 1 << 30
_MAX_UNPACKED_BYTES = 4 << 30
_MAGIC = b"PAR1"
_KEY = b"trivium"
_ENDINGS = {".csv": ",", ".tsv": "\t"}
_MISSING = (None, "")
_MOST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False)
class PredictionTable:
    """Columns of equal length, and where each row lies in its file.

    Parameters
    ----------
    columns : mapping of str to sequence of n cells
        Cells are text, numbers, or None.
    provenance : mapping
        Where the predictions come from: plain builtins.
    file : str
        Name for errors.
    lines : sequence of int
        Line of every row in a text file; empty where rows are counted from 0.

    Examples
    --------
    >>> table = PredictionTable({"id": ["a", "b"], "prediction": [0.5, -1.0], "label": ["1", "oops"]})
    >>> table.numbers("prediction").tolist()
    [0.5, -1.0]
    >>> table.numbers("label")
    Traceback (most recent call last):
    trivium.errors.DataError: predictions (row 1, column label): 'oops' is no number. Remedy: correct the cell.
    """

    columns: Mapping[str, Any]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    file: str = "predictions"
    lines: Sequence[int] = ()

    def __post_init__(self) -> None:
        lengths = {name: len(cells) for name, cells in self.columns.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(f"columns differ in length: {lengths}", file=self.file)
        if not lengths or not min(lengths.values()):
            raise DataError("holds no predictions", file=self.file, remedy="write one row per utterance")

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    def place(self, row: int, column: str = "") -> str:
        """Where a row lies, for errors."""
        where = f"line {self.lines[row]}" if len(self.lines) else f"row {row}"
        return f"{where}, column {column}" if column else where

    def rows(self, kept: Sequence[int]) -> PredictionTable:
        """Some of the rows, which keep their places.

        Parameters
        ----------
        kept : sequence of int
            Row numbers.
        """
        columns = {name: [cells[row] for row in kept] for name, cells in self.columns.items()}
        lines = [self.lines[row] if len(self.lines) else row for row in kept]
        return PredictionTable(columns, self.provenance, self.file, lines)

    def text(self, name: str, *, whole: bool = False) -> NDArray[np.str_]:
        """A column as text (n,).

        Parameters
        ----------
        name : str
            Of the column.
        whole : bool
            Whole numbers lose their point, so that the class ``1.0`` is ``1``.

        Raises
        ------
        FormatError
            There is no such column.
        DataError
            A cell is empty; names its line.
        """
        cells = self._column(name)
        for row, cell in enumerate(cells):
            if _is_missing(cell):
                raise DataError(
                    "the cell is empty",
                    file=self.file,
                    place=self.place(row, name),
                    remedy="fill it, or leave out the row",
                )
        texts = [str(cell).strip() for cell in cells]
        return np.array([_without_point(text) for text in texts] if whole else texts, dtype=np.str_)

    def numbers(self, name: str) -> NDArray[np.float32]:
        """A column as float32 numbers (n,), the precision in which the field's codes compare and round.

        Raises
        ------
        FormatError
            There is no such column.
        DataError
            A cell is empty, text, NaN or infinite; names its line.
        """
        cells = self._column(name)
        found = np.empty(len(cells), np.float32)
        for row, cell in enumerate(cells):
            found[row] = self._number(cell, row, name)
        return found

    def _number(self, cell: Any, row: int, name: str) -> float:
        place = self.place(row, name)
        if cell in _MISSING:
            raise DataError("the cell is empty", file=self.file, place=place, remedy="fill it, or leave out the row")
        try:
            number = float(cell.replace("_", " ") if isinstance(cell, str) else cell)  # Python reads 1_0 as 10
        except OverflowError:
            number = float("inf")
        except (TypeError, ValueError) as cause:
            raise DataError(f"{cell!r} is no number", file=self.file, place=place, remedy="correct the cell") from cause
        if not abs(number) <= _MOST:
            raise DataError(
                f"{'NaN' if np.isnan(number) else 'infinity'} cannot be scored",
                file=self.file,
                place=place,
                remedy="find out why it was predicted, or leave the utterance out and say so",
            )
        return number

    def _column(self, name: str) -> Any:
        if name not in self.columns:
            raise FormatError(
                f"there is no column {name!r}, only {', '.join(self.columns)}",
                file=self.file,
                remedy="columns are id, prediction (or prediction_<class>), label (or label_<class>), "
                "and where known group, fold, seed; the group of trivium's own tables is called group",
            )
        return self.columns[name]


def _is_missing(cell: Any) -> bool:
    return cell in _MISSING or (isinstance(cell, float) and np.isnan(cell))


def _without_point(text: str) -> str:
    whole, point, zeros = text.partition(".")
    return whole if point and zeros.strip("0") == "" and whole.lstrip("-").isdigit() else text


def read_predictions(path: str | os.PathLike[str]) -> PredictionTable:
    r"""Read a table of predictions: Parquet, CSV, TSV, or JSON lines (``.jsonl``, ``.ndjson``).

    Parameters
    ----------
    path : path
        The file; Parquet is known by its content, the others by their ending.

    Raises
    ------
    FormatError
        It is no readable table; names the line.
    LimitError
        It is larger than 1 GiB, or a Parquet file would unpack to more than 4 GiB.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "p.csv"
    ...     _ = file.write_text("id,prediction,label\na,0.5,1\n")
    ...     read_predictions(file).numbers("prediction").tolist()
    [0.5]
    """
    file = Path(path)
    check_size(file, _MAX_BYTES)
    if file.is_dir():
        raise FormatError("is a folder", file=file, remedy="name the file with the predictions")
    with file.open("rb") as opened:
        packed = opened.read(len(_MAGIC)) == _MAGIC
    if packed:
        return _read_parquet(file)
    reader = _csv_rows if file.suffix.lower() in _ENDINGS else _json_rows
    if reader is _json_rows and file.suffix.lower() not in (".jsonl", ".ndjson"):
        raise FormatError("is no table of predictions", file=file, remedy="name a .csv, .tsv, .jsonl or .parquet file")
    try:
        lines, rows = zip(*reader(file), strict=True)
    except UnicodeDecodeError as cause:
        raise FormatError(f"is no text in UTF-8: {cause.reason}", file=file, remedy="save it as UTF-8") from cause
    except csv.Error as cause:
        raise FormatError(f"is no readable table: {cause}", file=file, remedy="write it with a CSV library") from cause
    except ValueError as cause:
        if str(cause).startswith("not enough values"):
            raise DataError("holds no predictions", file=file, remedy="write one row per utterance") from cause
        raise
    names = list(dict.fromkeys(name for row in rows for name in row))
    return PredictionTable({name: [row.get(name) for row in rows] for name in names}, _beside(file), str(file), lines)


def _beside(file: Path) -> dict[str, Any]:
    """Provenance from the file beside a table of text."""
    note = _provenance_file(file)
    told = read_json(note) if note.exists() else {}
    if not isinstance(told, dict):
        raise FormatError("is no JSON object", file=note, remedy="remove it, or write one")
    return told


def _csv_rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with file.open(encoding="utf-8-sig", newline="") as opened:
        reader = csv.reader(opened, delimiter=_ENDINGS[file.suffix.lower()], strict=True)
        names = [name.strip() for name in next(reader, [])]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise FormatError(f"the column {twice!r} is there twice", file=file, place="line 1", remedy="rename one")
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(names):
                raise FormatError(
                    f"has {len(cells)} cells for {len(names)} columns",
                    file=file,
                    place=f"line {reader.line_num}",
                    remedy="quote cells that hold the separator",
                )
            yield reader.line_num, dict(zip(names, cells, strict=True))


def _json_rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with file.open(encoding="utf-8-sig") as opened:
        for number, line in enumerate(opened, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as cause:
                raise FormatError(f"is no JSON: {cause}", file=file, place=f"line {number}") from cause
            if not isinstance(row, dict):
                raise FormatError("is no JSON object", file=file, place=f"line {number}", remedy="write one per row")
            yield number, row


def _read_parquet(file: Path) -> PredictionTable:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        opened = pq.ParquetFile(file)
        groups = (opened.metadata.row_group(k) for k in range(opened.metadata.num_row_groups))
        unpacked = sum(group.total_byte_size for group in groups)
        if unpacked > _MAX_UNPACKED_BYTES:
            raise LimitError(f"would unpack to {unpacked} bytes", file=file, remedy="leave out other columns")
        table = opened.read()
    except (pa.ArrowException, OSError, ValueError) as cause:
        raise FormatError(f"is no readable table: {cause}", file=file, remedy="it may be cut off") from cause
    stored = (table.schema.metadata or {}).get(_KEY, b"{}")
    try:
        provenance = dict(json.loads(stored))
    except (ValueError, TypeError) as cause:
        raise FormatError("its provenance is no JSON object", file=file, place="metadata") from cause
    return PredictionTable({name: table.column(name).to_pylist() for name in table.column_names}, provenance, str(file))


def write_predictions(path: str | os.PathLike[str], table: PredictionTable) -> None:
    """Write a table that :func:`read_predictions` and `trivium score` read, whole or not at all.

    Parameters
    ----------
    path : path
        ``.parquet``, ``.csv``, ``.tsv`` or ``.jsonl``. Numbers keep all their float32 digits.
    table : PredictionTable
        What to write; its provenance goes into the Parquet metadata, or into ``<file>.provenance.json``.

    Raises
    ------
    DataError
        The ending is another, or the disk refuses.

    Examples
    --------
    >>> import tempfile
    >>> table = PredictionTable({"id": ["a"], "prediction": np.array([0.1], np.float32), "label": [1.0]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_predictions(folder + "/p.csv", table)
    ...     print(Path(folder, "p.csv").read_text(), end="")
    id,prediction,label
    a,0.1,1
    """
    file = Path(path)
    writers = {".parquet": _write_parquet, ".jsonl": _write_jsonl, ".csv": _write_csv, ".tsv": _write_csv}
    writer = writers.get(file.suffix.lower())
    if writer is None:
        raise DataError("has no ending that says how", file=file, remedy=f"choose from {', '.join(writers)}")
    with atomic_file(file) as draft:
        writer(table, draft, file.suffix.lower())
    if writer is not _write_parquet and table.provenance:
        write_json(_provenance_file(file), dict(table.provenance))


def _provenance_file(file: Path) -> Path:
    return file.with_name(f"{file.name}.provenance.json")


def _write_csv(table: PredictionTable, draft: Path, ending: Literal[".csv", ".tsv"] | str) -> None:
    with draft.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened, delimiter=_ENDINGS[ending], lineterminator="\n")
        writer.writerow(table.columns)
        for row in zip(*table.columns.values(), strict=True):
            writer.writerow([_shortest(cell) for cell in row])


def _write_jsonl(table: PredictionTable, draft: Path, _: str) -> None:
    with draft.open("w", encoding="utf-8") as opened:
        for row in zip(*table.columns.values(), strict=True):
            cells = {name: _plain(cell) for name, cell in zip(table.columns, row, strict=True)}
            opened.write(json.dumps(cells, ensure_ascii=False) + "\n")


def _write_parquet(table: PredictionTable, draft: Path, _: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {name: pa.array([_plain(cell) for cell in cells]) for name, cells in table.columns.items()}
    stored = {_KEY: canonical_json(dict(table.provenance)).encode()}
    pq.write_table(pa.table(columns).replace_schema_metadata(stored), str(draft))


def _plain(cell: Any) -> Any:
    """Builtin of a NumPy scalar; a float32 becomes the shortest number that reads back as the same float32."""
    if isinstance(cell, np.float32):
        return float(str(cell))
    return cell.item() if isinstance(cell, np.generic) else cell


def _shortest(cell: Any) -> Any:
    plain = _plain(cell)
    return int(plain) if isinstance(plain, float) and plain.is_integer() and abs(plain) < 1 << 24 else plain


def joined_tables(tables: Sequence[PredictionTable], provenance: Mapping[str, Any]) -> PredictionTable:
    """One table of several.

    Parameters
    ----------
    tables : sequence of PredictionTable
        With the same columns.
    provenance : mapping
        Of the whole.
    """
    columns = {name: [cell for table in tables for cell in table.columns[name]] for name in tables[0].columns}
    return PredictionTable(columns, provenance)
