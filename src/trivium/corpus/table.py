"""Utterances as rows of an Arrow table, and back: the one place that knows how a row looks on disk.

A row has the scalar columns ``id clip text start end group.* split.* label.*``, the words (``words.text``,
``words.times``, ``words.confidence``) and for each modality ``steps.audio`` (null where missing), ``stream.audio``
(values, flat) and, where the clock is seconds, ``times.audio`` (flat pairs). Flat lists give real arrays in pandas.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trivium.corpus.specification import LabelSpecification, Specification
from trivium.corpus.utterance import Stream, Utterance, Words

__all__ = ["decode", "encode", "flat", "row_bytes", "row_digests", "scalar_names", "table_schema", "to_numpy"]

_NUMBERS = pa.large_list(pa.float64())
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
    values = np.concatenate(present) if present else np.empty(0, dtype)
    absent = pa.array([a is None for a in arrays], type=pa.bool_())
    return pa.LargeListArray.from_arrays(offsets, values, type=kind, mask=absent)


def flat(column: pa.Array) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Offsets (N + 1,) and values of a column of flat lists, without copying.

    Parameters
    ----------
    column : pyarrow.LargeListArray
        N lists; a null has length 0.
    """
    return column.offsets.to_numpy(zero_copy_only=False), column.values.to_numpy(zero_copy_only=False)


def to_numpy(column: pa.Array | pa.ChunkedArray, width: int) -> NDArray[Any]:
    """Turn a scalar column into what :meth:`trivium.corpus.Corpus.column` promises.

    Parameters
    ----------
    column : pyarrow array of N values
        Text, float64, or lists of `width` numbers.
    width : int
        Number of classes of a multilabel label.
    """
    if pa.types.is_string(column.type):
        return np.array(pc.fill_null(column, "").to_pylist(), dtype=np.str_)
    if pa.types.is_list(column.type):
        absent = (np.nan,) * width
        return np.array([absent if v is None else v for v in column.to_pylist()], np.float64).reshape(-1, width)
    return np.array(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def decode(
    batch: pa.RecordBatch, specification: Specification, rows: NDArray[np.int64] | None = None
) -> list[Utterance]:
    """Turn rows back into utterances; the arrays of streams are read-only views of `batch`.

    Parameters
    ----------
    batch : pyarrow.RecordBatch
        Rows in the form of :func:`encode`.
    specification : Specification
        May name fewer modalities than there are columns.
    rows : integer array, optional
        Which rows, in order; default all.
    """
    rows = np.arange(batch.num_rows, dtype=np.int64) if rows is None else rows
    small = [n for n in batch.schema.names if n.partition(".")[0] not in ("stream", "times", "steps")]
    scalars = batch.select(small).take(pa.array(rows)).to_pylist()
    streams: list[dict[str, Stream]] = [{} for _ in range(len(rows))]
    for stream in specification.streams:
        for found, values, times in zip(
            streams,
            sequences(batch, f"stream.{stream.modality}", rows, stream.dim),
            sequences(batch, f"times.{stream.modality}", rows, 2),
            strict=True,
        ):
            if values is not None:
                found[stream.modality] = Stream(values, stream, times)
    return [_utterance(values, own) for values, own in zip(scalars, streams, strict=True)]


def sequences(batch: pa.RecordBatch, name: str, rows: NDArray[np.int64], dim: int) -> list[NDArray[Any] | None]:
    """Sequences (T, `dim`) of one flat column as views, None where null or where there is no such column."""
    if name not in batch.schema.names:
        return [None] * len(rows)
    column = batch.column(name)
    offsets, values = flat(column)
    valid = np.asarray(column.is_valid())
    return [values[offsets[r] : offsets[r + 1]].reshape(-1, dim) if valid[r] else None for r in rows]


def _utterance(row: dict[str, Any], streams: dict[str, Stream]) -> Utterance:
    named: dict[str, dict[str, Any]] = {"group": {}, "split": {}, "label": {}}
    for name, value in row.items():
        kind, _, rest = name.partition(".")
        if kind in named and value is not None:
            named[kind][rest] = tuple(value) if isinstance(value, list) else value
    start, end = (float("nan") if row[name] is None else row[name] for name in ("start", "end"))
    return Utterance(
        row["id"], streams, _words(row), row["text"] or "", named["label"], named["group"], named["split"],
        row["clip"] or "", start, end,
    )  # fmt: skip


def _words(row: dict[str, Any]) -> Words | None:
    if row["words.text"] is None:
        return None
    times, confidence = row["words.times"], row["words.confidence"]
    return Words(
        tuple(row["words.text"]),
        None if times is None else np.array(times, dtype=np.float64).reshape(-1, 2),
        None if confidence is None else np.array(confidence, dtype=np.float32),
    )


def row_bytes(batch: pa.RecordBatch) -> NDArray[np.int64]:
    """Estimate the raw bytes of each row, (N,); the same row gives the same number in any batch."""
    total = np.zeros(batch.num_rows, dtype=np.int64)
    for column in batch.columns:
        if pa.types.is_string(column.type):
            size = pc.fill_null(pc.binary_length(column), 0)
        elif pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            value = column.type.value_type
            width = _BYTES_PER_WORD if pa.types.is_string(value) else value.bit_width // 8
            size = pc.multiply(pc.fill_null(pc.list_value_length(column), 0), width)
        else:
            total += 8
            continue
        total += size.to_numpy(zero_copy_only=False)
    return total


def row_digests(batch: pa.RecordBatch) -> list[bytes]:
    """SHA-256 of each row: its scalars as JSON without nulls, then every flat list by name, length and bytes."""
    lists = [n for n in batch.schema.names if pa.types.is_large_list(batch.schema.field(n).type)]
    steps = [n for n in batch.schema.names if n.startswith("steps.")]
    arrays = [(name.encode(), *flat(batch.column(name)), np.asarray(batch.column(name).is_valid())) for name in lists]
    digests = []
    for number, row in enumerate(batch.drop_columns([*lists, *steps]).to_pylist()):
        present = {name: value for name, value in row.items() if value is not None}
        digest = hashlib.sha256(json.dumps(present, sort_keys=True, ensure_ascii=False).encode())
        for name, offsets, values, valid in arrays:
            if valid[number]:
                own = np.ascontiguousarray(values[offsets[number] : offsets[number + 1]])
                digest.update(b"\0%b\0%d\0" % (name, len(own)))
                digest.update(own.data if len(own) else b"")
        digests.append(digest.digest())
    return digests
