"""Data frames (pandas), as Parquet or CSV files or in memory, both ways.

*Wide*: one row per utterance, streams in list cells; Parquet written by trivium carries its specification. *Long*: one
row per step with plain cells, columns named ``modality.column``, beside ``id`` and, where known, ``start`` and ``end``
of the step in seconds; a table with one row per id holds one vector each. In a long table without times the steps of
all modalities are one timeline of words; an empty cell there is a zero.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from trivium.corpus import Corpus
from trivium.errors import DataError, DependencyError, FormatError, LimitError
from trivium.files import atomic_file
from trivium.formats.findings import Findings, NonFinite
from trivium.formats.long import corpus_of_long, is_feature, is_feature_name, kept_in_long, long_table
from trivium.formats.losses import Kept
from trivium.formats.options import require_choice
from trivium.formats.rows import corpus_of_table, table_of_corpus

__all__ = ["PandasFormat", "from_pandas", "to_pandas"]

_MAGIC = b"PAR1"
_HEADER_BYTES = 1 << 20
_MAX_UNPACKED_BYTES = 64 << 30


class PandasFormat:
    """Reader and writer of data frames as Parquet or CSV files."""

    name = "pandas"

    def detect(self, path: Path) -> str | None:
        """Why the path is of this format, or None."""
        if not path.is_file():
            return None
        with path.open("rb") as file:
            start = file.read(_HEADER_BYTES)
        if start[: len(_MAGIC)] == _MAGIC:
            return "a Parquet table"
        try:
            header = next(csv.reader([start.partition(b"\n")[0].decode("utf-8-sig").strip()]), [])
        except (UnicodeDecodeError, csv.Error):
            return None
        return "a CSV table with the column id" if "id" in header and len(header) > 1 else None

    def read(self, path: Path, *, nonfinite: NonFinite = "reference", source: str | None = None) -> Corpus:
        """Read a Parquet or CSV file; ids stay text, so leading zeros stay.

        Parameters
        ----------
        path : Path
            The file.
        nonfinite : {"reference", "keep", "zero", "error"}
            ``reference`` keeps NaN and infinite cells.
        source : str, optional
            Name of the distribution, for columns without names; default the file's stem.
        """
        import pyarrow.csv
        import pyarrow.parquet

        with path.open("rb") as file:
            packed = file.read(4) == _MAGIC
        try:
            if packed:
                _check_unpacked(pyarrow.parquet.ParquetFile(path).metadata, path)
                table = pyarrow.parquet.read_table(path)
            else:
                kept = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(("id", "clip", "text"), pa.string()))
                table = pyarrow.csv.read_csv(path, convert_options=kept)
        except (pa.ArrowInvalid, OSError, ValueError) as cause:
            raise FormatError(f"is no readable table: {cause}", file=path, remedy="it may be cut off") from cause
        return _corpus(table, path, Findings(nonfinite), source or path.stem.lower())

    def write(self, corpus: Corpus, path: Path, *, layout: Literal["wide", "long"] | None = None) -> Kept:
        """Write a Parquet file, or CSV where the name ends in ``.csv``.

        Parameters
        ----------
        corpus : Corpus
            What to write.
        path : Path
            The file.
        layout : {"wide", "long"}, optional
            Default wide for Parquet and long for CSV, which has no lists.
        """
        import pyarrow.csv
        import pyarrow.parquet

        text = path.suffix.lower() == ".csv"
        if text and layout == "wide":
            raise DataError("CSV has no lists", file=path, remedy="write Parquet, or the long layout")
        long = text or layout == "long"
        table = long_table(corpus) if long else table_of_corpus(corpus)
        with atomic_file(path) as draft:
            (pyarrow.csv.write_csv if text else pyarrow.parquet.write_table)(table, str(draft))
        return kept_in_long(corpus) if long else Kept()


def _check_unpacked(metadata: Any, path: Path) -> None:
    groups = (metadata.row_group(k) for k in range(metadata.num_row_groups))
    unpacked = sum(group.total_byte_size for group in groups)
    if unpacked > _MAX_UNPACKED_BYTES:
        raise LimitError(f"would unpack to {unpacked} bytes", file=path, remedy="split it, if you trust it")


def to_pandas(corpus: Corpus, *, layout: Literal["wide", "long"] = "wide") -> Any:
    """Give the corpus as a data frame.

    Parameters
    ----------
    corpus : Corpus
        What to convert.
    layout : {"wide", "long"}
        One row per utterance with arrays in cells (T * D numbers, flat), or one row per step.

    Returns
    -------
    pandas.DataFrame
        Wide: its ``attrs["trivium"]`` holds the specification as JSON.

    Examples
    --------
    >>> from trivium.corpus import Specification, Stream, StreamSpecification, Utterance
    >>> voice = StreamSpecification("audio", ("f0", "energy"))
    >>> one = Utterance("a", {"audio": Stream(np.ones((2, 2), np.float32), voice)})
    >>> to_pandas(Corpus.from_utterances([one], Specification((voice,))), layout="long")["audio.f0"].tolist()
    [1.0, 1.0]
    """
    require_choice("layout", layout, ("wide", "long"))
    _pandas()
    if layout == "long":
        return long_table(corpus).to_pandas()
    table = table_of_corpus(corpus)
    frame = table.to_pandas()
    frame.attrs["trivium"] = table.schema.metadata[b"trivium"].decode()
    return frame


def from_pandas(frame: Any, *, nonfinite: NonFinite = "reference", source: str = "pandas") -> Corpus:
    """Corpus of a data frame, wide or long.

    Parameters
    ----------
    frame : pandas.DataFrame
        See the head of this module for its columns; cells may be arrays of shape (T, D).
    nonfinite : {"reference", "keep", "zero", "error"}
        ``reference`` keeps NaN and infinite cells.
    source : str
        Name of the distribution, for columns without names.

    Examples
    --------
    >>> import pandas
    >>> from_pandas(pandas.DataFrame({"id": ["a", "a", "b"], "audio.f0": [1.0, 2, 3]})).lengths("audio").tolist()
    [2, 1]
    """
    _pandas()
    plain = frame.copy(deep=False)
    for name in plain.columns:
        if plain[name].map(lambda cell: isinstance(cell, np.ndarray) and cell.ndim == 2).any():
            plain[name] = plain[name].map(lambda cell: list(cell) if isinstance(cell, np.ndarray) else cell)
    table = pa.Table.from_pandas(plain, preserve_index=False)
    stored = frame.attrs.get("trivium")
    table = table.replace_schema_metadata({b"trivium": stored} if stored else None)
    return _corpus(table, Path("data frame"), Findings(nonfinite), source)


def _pandas() -> None:
    try:
        import pandas  # noqa: F401
    except ImportError as cause:
        raise DependencyError("needs the package pandas", remedy="pip install 'trivium[exchange]'") from cause


def _corpus(table: pa.Table, file: Path, findings: Findings, source: str) -> Corpus:
    if not (table.schema.metadata or {}).get(b"trivium"):
        _require_numbers(table, file)
    if "id" in table.column_names and any(is_feature(n, table) for n in table.column_names):
        return corpus_of_long(table, file, findings)
    return corpus_of_table(table, file, findings, name="pandas", source=source)


def _require_numbers(table: pa.Table, file: Path) -> None:
    """Refuse a cell that is no number in a column called like one of a stream; other types of cells are left alone."""
    for name in filter(is_feature_name, table.column_names):
        if not pa.types.is_string(table.schema.field(name).type):
            continue
        cells = enumerate(table.column(name).to_pylist())
        row = next((k for k, cell in cells if cell is not None and not _is_number(cell)), None)
        if row is not None:
            raise DataError(
                f"{table.column(name)[row].as_py()!r} is no number",
                file=file,
                place=f"row {row}, column {name}",
                remedy=f"correct the cell, or call the column group.{name.replace('.', '-')} if it is text",
            )


def _is_number(text: str) -> bool:
    try:
        float(text or "nan")
    except ValueError:
        return False
    return True
