"""Long tables: one row per step, one column ``modality.column`` per feature, for CSV files and plain data frames.

Modalities with times (``start`` and ``end`` of the step, in seconds) have rows of their own. Modalities whose steps are
words share rows; an empty cell there is a zero, and a modality without any cell in an utterance is missing from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trivium.corpus import Corpus, LabelSpecification, Specification, Stream, StreamSpecification, Utterance, Words
from trivium.corpus.specification import Clock
from trivium.errors import DataError
from trivium.formats.findings import Finding, Findings, as_float32
from trivium.formats.losses import PARTS, Kept
from trivium.formats.rows import label_column

__all__ = ["corpus_of_long", "is_feature", "is_feature_name", "kept_in_long", "long_table"]

_STEP_COLUMNS = ("step", "start", "end", "word", "confidence")
_SCALARS = ("group", "split", "label", "utterance", "words", "steps", "stream", "times")


def is_feature(name: str, table: pa.Table) -> bool:
    """Whether a column is one number per row of a modality: ``audio.f0``."""
    kind = table.schema.field(name).type
    number = pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)
    return bool(number) and is_feature_name(name)


def is_feature_name(name: str) -> bool:
    """Whether a column is called like one of a stream, ``modality.column``.

    Examples
    --------
    >>> is_feature_name("audio.f0"), is_feature_name("group.speaker")
    (True, False)
    """
    modality, dot, column = name.partition(".")
    return bool(dot and column and modality not in _SCALARS)


def long_table(corpus: Corpus) -> pa.Table:
    """Table with one row per step.

    Parameters
    ----------
    corpus : Corpus
        What to write. An utterance without any stream leaves one row of empty cells.
    """
    parts: dict[str, list[NDArray[Any]]] = {}
    scalars = [n for n in corpus.column_names() if n.partition(".")[0] in ("group", "split", "label")]
    known = {n: corpus.column(n) for n in (*scalars, "text", "clip", "start", "end")}
    for row, utterance in enumerate(corpus):
        for streams in _timelines(utterance):
            steps = streams[0].steps if streams else 1
            _append(parts, utterance, streams, steps, corpus.specification)
            for name, column in known.items():
                named = f"utterance.{name}" if name in ("start", "end") else name
                _spread(parts, named, column[row], steps)
    columns = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    return pa.table({n: pa.array(c, from_pandas=True) for n, c in columns.items()})


def kept_in_long(corpus: Corpus) -> Kept:
    """What a long table keeps of a corpus.

    Parameters
    ----------
    corpus : Corpus
        What is written.
    """
    by_word = [s for s in corpus.specification.streams if s.clock == "words"]
    lost = {"word confidence", "extractors", "ranges", *(() if len(by_word) > 1 else ("clocks",))}
    named = [v.key for v in corpus.specification.labels if v.kind != "multilabel"]
    return Kept(PARTS - lost, classes=named, words=_has_rows_of_words)


def _has_rows_of_words(utterance: Utterance) -> bool:
    clocked = (s.steps for s in utterance.streams.values() if s.specification.clock == "words")
    return utterance.words is not None and next(clocked, None) == len(utterance.words)


def _timelines(utterance: Utterance) -> Iterator[list[Stream]]:
    """Streams that share rows: those of words, and every other one alone; none where there is no stream."""
    if not utterance.streams:
        yield []
    words = [s for s in utterance.streams.values() if s.specification.clock == "words"]
    if words:
        yield words
    for stream in utterance.streams.values():
        if stream.specification.clock != "words":
            yield [stream]


def _append(
    parts: dict[str, list[NDArray[Any]]],
    utterance: Utterance,
    streams: list[Stream],
    steps: int,
    specification: Specification,
) -> None:
    words = utterance.words if streams and streams[0].specification.clock == "words" else None
    spoken = words is not None and len(words) == steps
    times = words.times if spoken and words is not None else streams[0].times if streams else None
    times = np.full((steps, 2), np.nan) if times is None else times
    said = list(words.text) if spoken and words is not None else [""] * steps
    _spread(parts, "id", utterance.id, steps)
    fixed: dict[str, Any] = {"step": np.arange(steps), "start": times[:, 0], "end": times[:, 1]}
    for name, column in {**fixed, "word": np.array(said, dtype=object)}.items():
        parts.setdefault(name, []).append(column)
    own = {s.specification.modality: s.values for s in streams}
    for stream in specification.streams:
        for k, column in enumerate(stream.columns):
            values = own[stream.modality][:, k] if stream.modality in own else np.full(steps, np.nan, np.float32)
            parts.setdefault(f"{stream.modality}.{column}", []).append(values)


def _spread(parts: dict[str, list[NDArray[Any]]], name: str, value: Any, steps: int) -> None:
    """Repeat one value of an utterance over its rows; a number per class goes into a column per class."""
    if isinstance(value, np.ndarray):
        for k, one in enumerate(value):
            _spread(parts, f"{name}.{k}", one, steps)
        return
    text = isinstance(value, str)
    parts.setdefault(name, []).append(np.full(steps, value, dtype=object if text else np.float64))


def corpus_of_long(table: pa.Table, file: Path, findings: Findings) -> Corpus:
    """Corpus of a table with one row per step.

    Parameters
    ----------
    table : pyarrow.Table
        ``id``, features ``modality.column``, and what else is known.
    file : Path
        For errors.
    findings : Findings
        Where oddities go.

    Raises
    ------
    DataError
        A row has no id, or a number is too large for float32.
    """
    return _Long(table, file, findings).corpus()


class _Long:
    def __init__(self, table: pa.Table, file: Path, findings: Findings) -> None:
        self._findings, self._file = findings, file
        self._ids = [None if v is None else str(v) for v in table.column("id").to_pylist()]
        if None in self._ids or "" in self._ids:
            row = next(k for k, v in enumerate(self._ids) if not v)
            raise DataError("has no id", file=file, place=f"row {row}", remedy="give every row the id of its utterance")
        self._rows: dict[str, list[int]] = {}
        for row, name in enumerate(self._ids):
            self._rows.setdefault(str(name), []).append(row)
        names = [n for n in table.column_names if is_feature(n, table)]
        self._columns: dict[str, list[str]] = {}
        for name in names:
            self._columns.setdefault(name.partition(".")[0], []).append(name)
        self._values = {m: self._matrix(table, own) for m, own in self._columns.items()}
        self._times = _matrix(table, ["start", "end"]) if _timed(table) else None
        self._cells = {n: table.column(n).to_pylist() for n in table.column_names if n not in names and n != "id"}
        self._word_clocked = self._share_rows()
        self._labels = self._take_labels()

    def _matrix(self, table: pa.Table, names: Sequence[str]) -> NDArray[np.float32]:
        """Values of one modality; column by column, so that an error names the column as the table does."""
        columns = [as_float32(_matrix(table, [n])[:, 0], self._file, f"column {n}", ("row",)) for n in names]
        return np.stack(columns, axis=1)

    def _seen(self, modality: str) -> NDArray[np.bool_]:
        return np.asarray((~np.isnan(self._values[modality])).any(axis=1))

    def _has_times(self, modality: str) -> bool:
        return self._times is not None and bool(np.isfinite(self._times[self._seen(modality)]).all())

    def _share_rows(self) -> list[str]:
        """Modalities without times that are filled in the same rows: their steps are words."""
        named = [m for m in self._values if not self._has_times(m) or "word" in self._cells]
        shared = [m for m in named if any((self._seen(m) & self._seen(o)).any() for o in named if o != m)]
        return [m for m in shared if len(self._rows) < len(self._ids)]

    def _take_labels(self) -> dict[str, tuple[LabelSpecification, list[Any]]]:
        first = [rows[0] for rows in self._rows.values()]
        found = {}
        for name in [n for n in self._cells if n == "label" or n.startswith("label.")]:
            key = name.removeprefix("label.")
            found[key.replace(".", "-")] = label_column(key.replace(".", "-"), [self._cells[name][r] for r in first])
        return found

    def corpus(self) -> Corpus:
        streams = {m: self._stream(m, own) for m, own in self._columns.items()}
        utterances = [self._utterance(k, name, rows, streams) for k, (name, rows) in enumerate(self._rows.items())]
        for name in [n for n in self._cells if not _is_known(n, self._cells[n])]:
            self._findings.add(
                Finding("dropped", name, action="a column that is neither a feature nor text nor a label")
            )
        specification = Specification(tuple(streams.values()), tuple(s for s, _ in self._labels.values()))
        return Corpus.from_utterances(
            utterances, specification, {"format": "pandas", "findings": self._findings.to_json()}
        )

    def _stream(self, modality: str, columns: Sequence[str]) -> StreamSpecification:
        clock: Clock = "words" if modality in self._word_clocked else "seconds" if self._has_times(modality) else "none"
        return StreamSpecification(modality, tuple(c.partition(".")[2] for c in columns), clock)

    def _utterance(
        self, number: int, name: str, rows: list[int], streams: Mapping[str, StreamSpecification]
    ) -> Utterance:
        found = {}
        for modality, stream in streams.items():
            own = self._own_rows(modality, np.array(rows))
            if not len(own) or not self._seen(modality)[own].any():
                self._findings.add(Finding("missing", name, modality, action="the utterance lacks the modality"))
                continue
            values = self._values[modality][own]
            values = np.nan_to_num(values, posinf=np.inf, neginf=-np.inf) if stream.clock == "words" else values
            values = self._findings.finite(values, name, modality, stream.columns)
            times = self._times[own] if stream.clock == "seconds" and self._times is not None else None
            found[modality] = Stream(values, stream, times)
        said = {n: column[rows[0]] for n, column in self._cells.items() if column[rows[0]] not in (None, "")}
        labels = {key: values[number] for key, (_, values) in self._labels.items() if values[number] is not None}
        place = {k: said.get(f"utterance.{k}", np.nan) for k in ("start", "end")}
        return Utterance(
            name, found, self._words(rows), str(said.get("text", "")), labels, _named(said, "group."),
            _named(said, "split.") | ({"standard": str(said["split"])} if "split" in said else {}),
            str(said.get("clip", "")), float(place["start"]), float(place["end"]),
        )  # fmt: skip

    def _own_rows(self, modality: str, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        clocked = self._word_clocked if modality in self._word_clocked else [modality]
        filled = np.logical_or.reduce([self._seen(m)[rows] for m in clocked])
        return rows[filled]

    def _words(self, rows: list[int]) -> Words | None:
        cells = self._cells.get("word")
        own = [r for r in rows if cells is not None and cells[r] not in (None, "")]
        if cells is None or not own:
            return None
        times = self._times[own] if self._times is not None and np.isfinite(self._times[own]).all() else None
        sure = self._cells.get("confidence", [None] * len(self._ids))
        known = all(isinstance(sure[r], float) and 0 <= sure[r] <= 1 for r in own)
        confidence = np.array([sure[r] for r in own], np.float32) if known else None
        return Words(tuple(str(cells[r]) for r in own), times, confidence)


def _matrix(table: pa.Table, names: Sequence[str]) -> NDArray[np.float64]:
    return np.stack([table.column(n).cast(pa.float64()).to_numpy() for n in names], axis=1)


def _timed(table: pa.Table) -> bool:
    return all(n in table.column_names and table.column(n).null_count < len(table) for n in ("start", "end"))


def _named(said: Mapping[str, Any], prefix: str) -> dict[str, str]:
    return {n.removeprefix(prefix): str(v) for n, v in said.items() if n.startswith(prefix)}


def _is_known(name: str, cells: Sequence[Any]) -> bool:
    if name in (*_STEP_COLUMNS, "text", "clip", "split", "label"):
        return True
    return name.partition(".")[0] in ("group", "split", "label", "utterance")
