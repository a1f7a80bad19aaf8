"""Utterances as rows of an Arrow table, the form that data frames and Hugging Face datasets share.

A table that trivium wrote carries its specification and comes back whole. Any other table is read by its column names
and types: nested lists of numbers are streams, flat lists are one vector, ``label*`` are labels, text is a group.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trivium.corpus import Corpus, LabelSpecification, Specification, Stream, StreamSpecification, Utterance
from trivium.corpus.table import decode, encode, table_schema
from trivium.errors import DataError, FormatError, TriviumError
from trivium.formats.findings import Finding, Findings, as_float32

__all__ = ["corpus_of_table", "label_column", "stored_specification", "table_of_corpus"]

_KEY = b"trivium"
_IDS = ("id", "utterance_id", "utterance", "name")
_TEXTS = ("text", "raw_text", "transcript", "sentence", "transcription")
_SPLITS = ("split", "mode", "fold")
_MOST_CLASSES = 100


def table_of_corpus(corpus: Corpus) -> pa.Table:
    """Table with one row per utterance, in the columns of the corpus on disk; the specification is in its metadata.

    Parameters
    ----------
    corpus : Corpus
        What to write.
    """
    schema = table_schema(corpus.specification, corpus.groups(), corpus.splits())
    batches = [
        encode(list(corpus[start : start + 256]), corpus.specification, schema) for start in range(0, len(corpus), 256)
    ]
    table = pa.Table.from_batches(batches, schema=schema)
    return table.replace_schema_metadata({_KEY: json.dumps(corpus.specification.to_json())})


def stored_specification(text: str | bytes | None) -> Specification | None:
    """Specification of a table that trivium wrote, None where there is none."""
    try:
        return None if not text else Specification.from_json(json.loads(text))
    except (ValueError, TypeError, TriviumError):
        return None


def corpus_of_table(
    table: pa.Table,
    file: Path,
    findings: Findings,
    *,
    name: str,
    source: str,
    classes: Mapping[str, Sequence[str]] | None = None,
    specification: Specification | None = None,
) -> Corpus:
    """Corpus of a table with one row per utterance.

    Parameters
    ----------
    table : pyarrow.Table
        One row per utterance.
    file : Path
        For errors.
    findings : Findings
        Where dropped columns go.
    name : str
        Name of the format.
    source : str
        Name of the distribution, for columns without names.
    classes : mapping of str to sequence of str, optional
        Names of the classes of integer labels, by column.
    specification : Specification, optional
        Of a table that trivium wrote; default that in its metadata.
    """
    specification = specification or stored_specification((table.schema.metadata or {}).get(_KEY))
    if specification is None:
        return _Foreign(table, file, findings, source, classes or {}).corpus(name)
    try:
        utterances = [
            u for batch in _whole(table, specification, file).to_batches() for u in decode(batch, specification)
        ]
    except (KeyError, pa.ArrowInvalid, ValueError, TypeError) as cause:
        raise FormatError(f"does not fit the specification it carries: {cause}", file=file) from cause
    return Corpus.from_utterances(utterances, specification, {"format": name, "findings": findings.to_json()})


def _whole(table: pa.Table, specification: Specification, file: Path) -> pa.Table:
    """The table with exactly the types of the corpus on disk, which other tools may have changed a little."""
    named = {
        kind: [n[len(kind) + 1 :] for n in table.column_names if n.startswith(f"{kind}.")]
        for kind in ("group", "split")
    }
    schema = table_schema(specification, named["group"], named["split"])
    for column in [f"stream.{s.modality}" for s in specification.streams if s.dtype == "float32"]:
        if pa.types.is_float64(_innermost(table.schema.field(column).type)):
            from pyarrow import compute  # its hundreds of functions cost a tenth of a second, here alone

            as_float32(compute.list_flatten(table.column(column)).to_numpy(), file, column, ("cell",))
    return table.select(schema.names).cast(schema).combine_chunks()


def label_column(
    key: str, values: Sequence[Any], classes: Sequence[str] | None = None
) -> tuple[LabelSpecification, list[Any]]:
    """What a column of labels means: its specification, and the values (None where missing).

    Text is a class, 0/1 throughout is binary, other integers are classes, floats are numbers, lists are one number per
    class.

    Parameters
    ----------
    key : str
        ``name`` or ``name@modality``.
    values : sequence of N values
        Missing ones are None or NaN.
    classes : sequence of str, optional
        Names of the classes, for integers.

    Examples
    --------
    >>> label_column("mood", ["calm", "angry", None])[0].classes
    ('angry', 'calm')
    """
    name, _, modality = key.partition("@")
    present = [v for v in values if not _is_missing(v)]
    if classes:
        known = tuple(classes)
        made = [None if _is_missing(v) or int(v) < 0 else known[int(v)] for v in values]
        kind: Any = "binary" if len(known) == 2 else "multiclass"
        return LabelSpecification(name, kind, known, modality=modality or None), made
    if present and all(isinstance(v, list | tuple | np.ndarray) for v in present):
        width = len(present[0])
        names = tuple(f"class-{i}" for i in range(width))
        rows = [None if _is_missing(v) else tuple(float(x) for x in v) for v in values]
        return LabelSpecification(name, "multilabel", names, modality=modality or None), rows
    whole = all(isinstance(v, bool | int | np.integer) or (isinstance(v, float) and v in (0.0, 1.0)) for v in present)
    if present and not all(isinstance(v, str) for v in present) and not (whole and len(set(present)) <= _MOST_CLASSES):
        numbers = [None if _is_missing(v) else float(v) for v in values]
        return LabelSpecification(name, "regression", modality=modality or None), numbers
    texts = [None if _is_missing(v) else v if isinstance(v, str) else str(int(v)) for v in values]
    found = tuple(sorted({t for t in texts if t is not None})) or ("",)
    binary = set(found) <= {"0", "1"}
    kind = "binary" if binary else "multiclass"
    return LabelSpecification(name, kind, ("0", "1") if binary else found, modality=modality or None), texts


def _is_missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and value != value)


class _Foreign:
    """A table of somebody else on its way to a corpus."""

    def __init__(
        self, table: pa.Table, file: Path, findings: Findings, source: str, classes: Mapping[str, Sequence[str]]
    ) -> None:
        self._table, self._file, self._findings, self._source = table, file, findings, source
        self._columns = {n: table.column(n) for n in table.column_names}
        self._ids = self._take(_IDS) or [f"{row:05d}" for row in range(len(table))]
        self._texts = self._take(_TEXTS) or [""] * len(table)
        self._folds = self._take(_SPLITS)
        self._labels = {
            n.removeprefix("label.").removeprefix("label_"): label_column(
                n.removeprefix("label.").removeprefix("label_"), self._columns.pop(n).to_pylist(), classes.get(n)
            )
            for n in list(self._columns)
            if n == "label" or n.startswith(("label.", "label_", "label@"))
        }
        self._places = {k: self._columns.pop(k).to_pylist() for k in ("clip", "start", "end") if k in self._columns}
        self._streams = self._take_streams()
        self._named = self._take_named()

    def _take(self, names: Sequence[str]) -> list[str] | None:
        for name in names:
            if name in self._columns and _is_flat(self._columns[name].type):
                return ["" if v is None else str(v) for v in self._columns.pop(name).to_pylist()]
        return None

    def _take_streams(self) -> dict[str, list[NDArray[Any] | None]]:
        streams = {}
        for name in [n for n, c in self._columns.items() if _is_list(c.type) and _is_number(_innermost(c.type))]:
            nested = _is_list(self._columns[name].type.value_type)
            rows = self._columns.pop(name).to_pylist()
            streams[name] = [None if not row else self._matrix(row, nested, name, k) for k, row in enumerate(rows)]
        return {n: rows for n, rows in streams.items() if any(r is not None for r in rows)}

    def _matrix(self, row: list[Any], nested: bool, name: str, number: int) -> NDArray[Any]:
        try:
            values = np.array(row if nested else [row], np.float64)
        except (ValueError, TypeError) as cause:
            raise DataError(
                f"its rows differ in length: {cause}", file=self._file, place=f"{name}, row {number}"
            ) from cause
        return as_float32(values, self._file, f"{name}, row {number}", ("step", "column"))

    def _take_named(self) -> dict[str, list[str]]:
        named = {}
        for name, column in self._columns.items():
            if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                named[name] = ["" if v is None else v for v in column.to_pylist()]
            else:
                action = "a column that is neither text nor a list of numbers nor called label"
                self._findings.add(Finding("dropped", name, action=action))
        return named

    def corpus(self, name: str) -> Corpus:
        specifications = {m: self._stream(m, rows) for m, rows in self._streams.items()}
        labels = tuple(specification for specification, _ in self._labels.values())
        utterances = [self._utterance(row, specifications) for row in range(len(self._ids))]
        specification = Specification(tuple(specifications.values()), labels)
        return Corpus.from_utterances(utterances, specification, {"format": name, "findings": self._findings.to_json()})

    def _stream(self, modality: str, rows: list[NDArray[Any] | None]) -> StreamSpecification:
        dims = {row.shape[1]: k for k, row in enumerate(rows) if row is not None}
        if len(dims) > 1:
            place = f"{modality}, rows {sorted(dims.values())[:4]}"
            raise DataError(f"rows differ in their number of columns: {sorted(dims)}", file=self._file, place=place)
        return StreamSpecification.positional(modality, self._source, next(iter(dims)))

    def _utterance(self, row: int, specifications: Mapping[str, StreamSpecification]) -> Utterance:
        name = self._ids[row]
        streams = {}
        for modality, specification in specifications.items():
            values = self._streams[modality][row]
            if values is None:
                self._findings.add(Finding("missing", name, modality, action="the utterance lacks the modality"))
                continue
            values = self._findings.finite(values, name, modality, specification.columns)
            streams[modality] = Stream(values, specification)
        place = {k: v[row] for k, v in self._places.items() if v[row] is not None}
        splits = {n.removeprefix("split."): v[row] for n, v in self._named.items() if n.startswith("split.") and v[row]}
        if self._folds and self._folds[row]:
            splits["standard"] = {"validation": "valid", "dev": "valid"}.get(self._folds[row], self._folds[row])
        groups = {
            n.removeprefix("group."): v[row] for n, v in self._named.items() if not n.startswith("split.") and v[row]
        }
        labels = {key: values[row] for key, (_, values) in self._labels.items() if values[row] is not None}
        start, end = (float(place.get(k, "nan")) for k in ("start", "end"))
        return Utterance(
            name, streams, None, self._texts[row], labels, groups, splits, str(place.get("clip", "")), start, end
        )


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_flat(kind: pa.DataType) -> bool:
    return not pa.types.is_nested(kind)


def _innermost(kind: pa.DataType) -> pa.DataType:
    return _innermost(kind.value_type) if _is_list(kind) else kind


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))
