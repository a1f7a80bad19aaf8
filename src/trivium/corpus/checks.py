"""What every row of a stranger's Parquet file must keep to before its values are used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trivium.corpus.specification import LabelSpecification, Specification, StreamSpecification
from trivium.corpus.table import to_numpy
from trivium.errors import FormatError

__all__ = ["RowCheck"]


class RowCheck:
    """Checks batches of one corpus one after the other; remembers the ids.

    Parameters
    ----------
    specification : Specification
        What the rows promise.

    Raises
    ------
    FormatError
        By calling it: names file, row and column of the first cell that breaks the promise.
    """

    def __init__(self, specification: Specification) -> None:
        self._specification = specification
        self._seen: set[str] = set()

    def __call__(self, batch: pa.RecordBatch, file: Path, first_row: int) -> None:
        """Check one batch whose first row is row `first_row` of the corpus."""

        def require(column: str, good: Any, problem: str) -> None:
            bad = np.flatnonzero(~np.asarray(good, dtype=bool))
            if len(bad):
                raise FormatError(problem, file=file, place=f"row {first_row + int(bad[0])}, {column}")

        ids = batch.column("id").to_pylist()
        require("id", [self._new(name) for name in ids], "the id is empty or appears twice")
        for stream in self._specification.streams:
            _check_stream(batch, stream, require)
        _check_words(batch, require)
        for label in self._specification.labels:
            name, column = f"label.{label.key}", batch.column(f"label.{label.key}")
            require(name, _label_fits(column, label), "the value does not fit the label")
            if label.kind == "multilabel":
                _no_nulls(column, name, require)

    def _new(self, name: str | None) -> bool:
        known = not name or name in self._seen
        self._seen.add(name or "")
        return not known


def _check_stream(batch: pa.RecordBatch, stream: StreamSpecification, require: Any) -> None:
    column = f"steps.{stream.modality}"
    steps = batch.column(column)
    present, count = np.asarray(steps.is_valid()), _numbers(steps)
    require(column, (count >= 0) & (count < 1 << 31), "the number of steps is negative")
    for name, dim in ((f"stream.{stream.modality}", stream.dim), (f"times.{stream.modality}", 2)):
        if name in batch.schema.names:
            values = batch.column(name)
            require(name, np.asarray(values.is_valid()) == present, "is null where the steps are not, or the reverse")
            require(name, _numbers(pc.list_value_length(values)) == count * dim, f"the length is not steps x {dim}")
            _no_nulls(values, name, require)


def _check_words(batch: pa.RecordBatch, require: Any) -> None:
    words = batch.column("words.text")
    count, known = _numbers(pc.list_value_length(words)), np.asarray(words.is_valid())
    _no_nulls(words, "words.text", require)
    for name, dim in (("words.times", 2), ("words.confidence", 1)):
        values = batch.column(name)
        absent = np.asarray(values.is_null())
        fits = known & (_numbers(pc.list_value_length(values)) == count * dim)
        require(name, absent | fits, f"the length is not words x {dim}")
        _no_nulls(values, name, require)


def _no_nulls(values: pa.Array, name: str, require: Any) -> None:
    if values.values.null_count:
        holes = np.cumsum(np.concatenate([[0], np.asarray(values.values.is_null())]))
        offsets = values.offsets.to_numpy()
        require(name, holes[offsets[1:]] == holes[offsets[:-1]], "a null is inside the list")


def _label_fits(column: pa.Array, label: LabelSpecification) -> Any:
    absent = np.asarray(column.is_null())
    if label.kind == "multilabel":
        width = _numbers(pc.list_value_length(column))
        return absent | (width == len(label.classes))
    if label.is_number:
        return absent | np.isfinite(to_numpy(column, 0))
    return absent | np.asarray(pc.is_in(column, value_set=pa.array(label.classes, pa.string())))


def _numbers(column: pa.Array) -> NDArray[np.int64]:
    return np.asarray(pc.fill_null(column, 0).to_numpy(zero_copy_only=False), dtype=np.int64)
