"""What every row of a stranger's Parquet file must keep to before its values are used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trivium.corpus.specification import LabelSpecification, Specification, StreamSpecification
from trivium.corpus.table import integers, list_lengths, numbers, to_numpy, valid
from trivium.errors import FormatError

__all__ = ["RowCheck"]

Require: TypeAlias = Callable[[str, NDArray[np.bool_], str], None]


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

        def require(column: str, good: NDArray[np.bool_], problem: str) -> None:
            bad = np.flatnonzero(~good)
            if len(bad):
                raise FormatError(problem, file=file, place=f"row {first_row + int(bad[0])}, {column}")

        ids = batch.column("id").to_pylist()
        require("id", np.array([self._new(name) for name in ids], dtype=np.bool_), "the id is empty or appears twice")
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


def _check_stream(batch: pa.RecordBatch, stream: StreamSpecification, require: Require) -> None:
    column = f"steps.{stream.modality}"
    count, present = integers(batch.column(column), missing=0), valid(batch.column(column))
    require(column, count >= 0, "the number of steps is negative")
    for name, dim in ((f"stream.{stream.modality}", stream.dim), (f"times.{stream.modality}", 2)):
        if name in batch.schema.names:
            values = batch.column(name)
            require(name, valid(values) == present, "is null where the steps are not, or the reverse")
            require(name, list_lengths(values) == count * dim, f"the length is not steps x {dim}")
            _no_nulls(values, name, require)


def _check_words(batch: pa.RecordBatch, require: Require) -> None:
    words = batch.column("words.text")
    count, known = list_lengths(words), valid(words)
    _no_nulls(words, "words.text", require)
    for name, dim in (("words.times", 2), ("words.confidence", 1)):
        values = batch.column(name)
        fits = known & (list_lengths(values) == count * dim)
        require(name, ~valid(values) | fits, f"the length is not words x {dim}")
        _no_nulls(values, name, require)


def _no_nulls(values: pa.Array, name: str, require: Require) -> None:
    if values.values.null_count:
        holes = np.cumsum(np.concatenate([[0], ~valid(values.values)]))
        offsets = numbers(values.offsets)
        require(name, holes[offsets[1:]] == holes[offsets[:-1]], "a null is inside the list")


def _label_fits(column: pa.Array, label: LabelSpecification) -> NDArray[np.bool_]:
    absent = ~valid(column)
    if label.kind == "multilabel":
        return np.asarray(absent | (list_lengths(column) == len(label.classes)), dtype=np.bool_)
    values = to_numpy(column, 0)
    fits: NDArray[np.bool_] = np.isfinite(values) if label.is_number else np.isin(values, label.classes)
    return absent | fits
