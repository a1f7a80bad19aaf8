"""Utterances as rows of an Arrow table, and back: the one place that knows how a row looks on disk.

A row has the scalar columns ``id clip text start end group.* split.* label.*``, the words (``words.text``,
``words.times``, ``words.confidence``) and for each modality ``steps.audio`` (null where missing), ``stream.audio``
(values, flat) and, where the clock is seconds, ``times.audio`` (flat pairs). Flat lists give real arrays in pandas.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trivium.corpus.specification import LabelSpecification, Specification
from trivium.corpus.utterance import Stream, Utterance, Words

__all__ = [
    "cut",
    "decode",
    "encode",
    "flat",
    "integers",
    "list_lengths",
    "numbers",
    "row_bytes",
    "row_digests",
    "scalar_names",
    "sequences",
    "table_schema",
    "to_numpy",
    "valid",
]

_NUMBERS = pa.large_list(pa.float64())
_DTYPES = {pa.float32(): np.float32, pa.float64(): np.float64, pa.int32(): np.int32, pa.int64(): np.int64}
_BYTES_PER_WORD = 16  # stands in for the length of a word where row sizes are estimated


def scalar_names(specification: Specification, groups: Iterable[str], splits: Iterable[str]) -> list[str]:
    """Names of the scalar columns in their order on disk."""
    names = ["id", "clip", "text", "start", "end"]
    names += [f"group.{name}" for name in sorted(groups)] + [f"split.{name}" for name in sorted(splits)]
    return names + [f"label.{label.key}" for label in specification.labels]


def table_schema(specification: Specification, groups: Iterable[str], splits: Iterable[str]) -> pa.Schema:
    """Types of all columns on disk.

    Parameters
    ----------
    specification : Specification
        Modalities and labels.
    groups, splits : iterable of str
        Names of the groups and splits.
    """
    label_types = {f"label.{label.key}": _label_type(label) for label in specification.labels}
    fields = [
        (name, label_types.get(name, pa.float64() if name in ("start", "end") else pa.string()))
        for name in scalar_names(specification, groups, splits)
    ]
    fields += [
        ("words.text", pa.list_(pa.string())),
        ("words.times", _NUMBERS),
        ("words.confidence", pa.large_list(pa.float32())),
    ]
    for stream in specification.streams:
        value = pa.float32() if stream.dtype == "float32" else pa.int32()
        fields += [(f"steps.{stream.modality}", pa.int32()), (f"stream.{stream.modality}", pa.large_list(value))]
        fields += [(f"times.{stream.modality}", _NUMBERS)] if stream.clock == "seconds" else []
    return pa.schema(fields)


def _label_type(label: LabelSpecification) -> pa.DataType:
    if label.kind == "multilabel":
        return pa.list_(pa.float64())
    return pa.float64() if label.is_number else pa.string()


def encode(utterances: Sequence[Utterance], specification: Specification, schema: pa.Schema) -> pa.RecordBatch:
    """Turn utterances into rows.

    Parameters
    ----------
    utterances : sequence of Utterance
        They keep to `specification`.
    specification : Specification
        Modalities and labels.
    schema : pyarrow.Schema
        From :func:`table_schema`; says which groups and splits become columns.
    """
    columns = [_column_of(utterances, field.name, field.type) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _column_of(utterances: Sequence[Utterance], name: str, kind: pa.DataType) -> pa.Array:
    prefix, _, rest = name.partition(".")
    if prefix in ("stream", "times"):
        part = "values" if prefix == "stream" else "times"
        streams = (u.streams.get(rest) for u in utterances)
        return _flat_lists([None if s is None else getattr(s, part) for s in streams], kind)
    if prefix == "words" and rest != "text":
        return _flat_lists([None if u.words is None else getattr(u.words, rest) for u in utterances], kind)
    values = [_READ[prefix](u, rest) for u in utterances]
    return pa.array(values, type=kind, from_pandas=prefix in ("start", "end"))


def _label_of(utterance: Utterance, key: str) -> Any:
    value = utterance.labels.get(key)
    return list(value) if isinstance(value, tuple) else value


_READ: dict[str, Callable[[Utterance, str], Any]] = {
    "id": lambda u, _: u.id,
    "clip": lambda u, _: u.clip,
    "text": lambda u, _: u.text,
    "start": lambda u, _: float(u.start),
    "end": lambda u, _: float(u.end),
    "group": lambda u, name: u.groups.get(name),
    "split": lambda u, name: u.splits.get(name),
    "label": _label_of,
    "words": lambda u, _: None if u.words is None else list(u.words.text),
    "steps": lambda u, name: u.streams[name].steps if name in u.streams else None,
}


def _flat_lists(arrays: Sequence[NDArray[Any] | None], kind: pa.DataType) -> pa.Array:
    lengths = [0 if a is None else a.size for a in arrays]
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
    dtype = kind.value_type.to_pandas_dtype()
    present = [np.asarray(a, dtype=dtype).reshape(-1) for a in arrays if a is not None]
    # one array, such as an hour of columns that lies in a file, is not copied
    values = present[0] if len(present) == 1 else np.concatenate(present) if present else np.empty(0, dtype)
    absent = pa.array([a is None for a in arrays], type=pa.bool_())
    places, content = _viewed(offsets, pa.int64()), _viewed(values, kind.value_type)
    return pa.LargeListArray.from_arrays(places, content, type=kind, mask=absent)


def _viewed(values: NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Numbers (N,) as a column that shares their memory."""
    # from the buffer: pyarrow's own way imports pandas where that is installed, which takes longer than a short clip
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def numbers(column: pa.Array) -> NDArray[Any]:
    """View the numbers of a column, (N,), without copying; what stands where it is null means nothing."""
    # from the buffer: pyarrow's own way imports pandas where that is installed
    dtype = _DTYPES[column.type]
    buffer = column.buffers()[1]
    stored = np.frombuffer(b"" if buffer is None else buffer, dtype)
    return stored[column.offset : column.offset + len(column)]


def flat(column: pa.Array) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Offsets (N + 1,) and values of a column of flat lists, without copying.

    Parameters
    ----------
    column : pyarrow.LargeListArray
        N lists; a null has length 0.
    """
    return numbers(column.offsets), numbers(column.values)


def valid(column: pa.Array) -> NDArray[np.bool_]:
    """Where a column is not null, (N,)."""
    # from the buffers: pyarrow's own way imports its compute module and, where it is installed, pandas
    bitmap = column.buffers()[0]
    if bitmap is None or not column.null_count:
        return np.ones(len(column), dtype=np.bool_)
    bits = np.unpackbits(np.frombuffer(bitmap, np.uint8), bitorder="little")
    return bits[column.offset : column.offset + len(column)].astype(np.bool_)


def list_lengths(column: pa.Array) -> NDArray[np.int64]:
    """Length of each list or text (in bytes), (N,); 0 for a null."""
    if pa.types.is_string(column.type):
        buffer = column.buffers()[1]
        stored = np.frombuffer(b"" if buffer is None else buffer, np.int32)
        offsets = stored[column.offset : column.offset + len(column) + 1]
    else:
        offsets = numbers(column.offsets)
    return np.where(valid(column), np.diff(offsets), 0) if len(column) else np.empty(0, np.int64)


def integers(column: pa.Array, missing: int) -> NDArray[np.int64]:
    """Turn a column of step counts into int64 (N,) with `missing` for nulls."""
    return np.where(valid(column), numbers(column), missing).astype(np.int64)


def to_numpy(column: pa.Array, width: int) -> NDArray[Any]:
    """Turn a scalar column into what :meth:`trivium.corpus.Corpus.column` promises.

    Parameters
    ----------
    column : pyarrow.Array of N values
        Text, float64, or lists of `width` numbers.
    width : int
        Number of classes of a multilabel label.
    """
    if pa.types.is_string(column.type):
        return np.array([value or "" for value in column.to_pylist()], dtype=np.str_)
    if pa.types.is_list(column.type):
        absent = (np.nan,) * width
        return np.array([absent if v is None else v for v in column.to_pylist()], np.float64).reshape(-1, width)
    return np.where(valid(column), numbers(column), np.nan)


def decode(
    batch: pa.RecordBatch, specification: Specification, rows: NDArray[np.int64] | None = None
) -> list[Utterance]:
    """Turn rows back into utterances; the arrays of streams and words are read-only views of `batch`.

    Parameters
    ----------
    batch : pyarrow.RecordBatch
        Rows in the form of :func:`encode`.
    specification : Specification
        May name fewer modalities than there are columns.
    rows : integer array of shape (K,), optional
        Which rows, in order; default all.
    """
    rows = np.arange(batch.num_rows, dtype=np.int64) if rows is None else rows
    streams: list[dict[str, Stream]] = [{} for _ in range(len(rows))]
    for stream in specification.streams:
        values = sequences(batch, f"stream.{stream.modality}", rows, stream.dim)
        times = sequences(batch, f"times.{stream.modality}", rows, 2)
        for found, own_values, own_times in zip(streams, values, times, strict=True):
            if own_values is not None:
                found[stream.modality] = Stream(own_values, stream, own_times)
    small = [f.name for f in batch.schema if not pa.types.is_large_list(f.type) and not f.name.startswith("steps.")]
    columns = [_cells(batch.column(name), rows) for name in small]
    scalars = (dict(zip(small, cells, strict=True)) for cells in zip(*columns, strict=True))
    return [_utterance(*parts) for parts in zip(scalars, _words(batch, rows), streams, strict=True)]


def _cells(column: pa.Array, rows: NDArray[np.int64]) -> list[Any]:
    return [column[row].as_py() for row in rows.tolist()]


def _words(batch: pa.RecordBatch, rows: NDArray[np.int64]) -> Iterator[Words | None]:
    texts = _cells(batch.column("words.text"), rows)
    times = sequences(batch, "words.times", rows, 2)
    confidences = sequences(batch, "words.confidence", rows, 1)
    for text, own_times, confidence in zip(texts, times, confidences, strict=True):
        yield (
            None
            if text is None
            else Words(tuple(text), own_times, None if confidence is None else confidence.reshape(-1))
        )


def sequences(batch: pa.RecordBatch, name: str, rows: NDArray[np.int64], dim: int) -> list[NDArray[Any] | None]:
    """Sequences (T, `dim`) of one flat column as views, None where null or where there is no such column."""
    if name not in batch.schema.names:
        return [None] * len(rows)
    column = batch.column(name)
    return cut(*flat(column), valid(column), rows, dim)


def cut(
    offsets: NDArray[np.int64], values: NDArray[Any], present: NDArray[np.bool_], rows: NDArray[np.int64], dim: int
) -> list[NDArray[Any] | None]:
    """Cut flat values at their offsets into views (T, `dim`), None where not present."""
    return [values[offsets[r] : offsets[r + 1]].reshape(-1, dim) if present[r] else None for r in rows.tolist()]


def _utterance(row: dict[str, Any], words: Words | None, streams: dict[str, Stream]) -> Utterance:
    named: dict[str, dict[str, Any]] = {"group": {}, "split": {}, "label": {}}
    for name, value in row.items():
        kind, _, rest = name.partition(".")
        if kind in named and value is not None:
            named[kind][rest] = tuple(value) if isinstance(value, list) else value
    start, end = (float("nan") if row[name] is None else row[name] for name in ("start", "end"))
    return Utterance(
        row["id"], streams, words, row["text"] or "", named["label"], named["group"], named["split"],
        row["clip"] or "", start, end,
    )  # fmt: skip


def row_bytes(batch: pa.RecordBatch) -> NDArray[np.int64]:
    """Estimate the raw bytes of each row, (N,); the same row gives the same number in any batch."""
    total = np.zeros(batch.num_rows, dtype=np.int64)
    for column in batch.columns:
        if pa.types.is_string(column.type):
            total += list_lengths(column)
        elif pa.types.is_nested(column.type):
            value = column.type.value_type
            width = _BYTES_PER_WORD if pa.types.is_string(value) else value.bit_width // 8
            total += list_lengths(column) * width
        else:
            total += 8
    return total


def row_digests(batch: pa.RecordBatch) -> list[bytes]:
    """SHA-256 of each row: its scalars as JSON without nulls, then every flat list by name, length and bytes."""
    lists = [n for n in batch.schema.names if pa.types.is_large_list(batch.schema.field(n).type)]
    steps = [n for n in batch.schema.names if n.startswith("steps.")]
    arrays = [(name.encode(), *flat(batch.column(name)), valid(batch.column(name))) for name in lists]
    digests = []
    for number, row in enumerate(batch.drop_columns([*lists, *steps]).to_pylist()):
        present = {name: value for name, value in row.items() if value is not None}
        digest = hashlib.sha256(json.dumps(present, sort_keys=True, ensure_ascii=False).encode())
        for name, offsets, values, known in arrays:
            if known[number]:
                own = np.ascontiguousarray(values[offsets[number] : offsets[number + 1]])
                digest.update(b"\0%b\0%d\0" % (name, len(own)))
                digest.update(own.data if len(own) else b"")
        digests.append(digest.digest())
    return digests
