"""The ``.npz`` that ``trivium align`` writes, back to a corpus whose streams have one step per word."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Corpus, Specification, Stream, Utterance, Words
from trivium.errors import FormatError
from trivium.formats.findings import as_float32

__all__ = ["read_aligned"]

_KEYS = ("values", "mask", "cell_mask", "ids", "spans", "words")


def read_aligned(arrays: Mapping[str, NDArray[Any]], path: Path) -> Corpus:
    """Corpus of an aligned archive; cells that were not seen are zero, a modality never seen is missing.

    Parameters
    ----------
    arrays : mapping of str to array
        ``values`` (N, W, D), ``mask`` (N, W), ``cell_mask`` (N, W, M), ``ids`` (N,), ``spans`` (N, W, 2) seconds,
        ``words`` (N, W), ``specification`` (JSON text), and ``table/NAME`` with N rows.
    path : Path
        For errors.

    Raises
    ------
    FormatError
        An array is missing or has another shape.
    """
    try:
        stored = Specification.from_json(json.loads(str(arrays["specification"])))
        values, mask, cells, ids, spans, words = (arrays[k] for k in _KEYS)
    except (KeyError, ValueError) as cause:
        raise FormatError(f"is no aligned corpus: {cause}", file=path, remedy="make it with trivium align") from cause
    n, w = len(ids), mask.shape[-1]
    shapes = {"values": (n, w, len(stored.columns)), "mask": (n, w), "cell_mask": (n, w, len(stored.modalities))}
    for key, shape in {**shapes, "spans": (n, w, 2), "words": (n, w)}.items():
        if arrays[key].shape != shape:
            raise FormatError(f"{key} has shape {arrays[key].shape}, expected {shape}", file=path)
    specification = replace(stored, streams=tuple(replace(s, clock="words") for s in stored.streams))
    reading = _Aligned(
        specification,
        as_float32(values, path, "values", ("row", "word", "column")),
        mask.astype(bool),
        cells.astype(bool),
    )
    table = {k.removeprefix("table/"): a for k, a in arrays.items() if k.startswith("table/") and len(a) == n}
    utterances = [reading.utterance(row, str(ids[row]), spans[row], words[row], table) for row in range(n)]
    layout = {
        "aligned": True,
        "length": w,
        "side": "left" if n and (~mask[:, 0]).sum() > (~mask[:, -1]).sum() else "right",
    }
    return Corpus.from_utterances(utterances, specification, {"format": "npz", "aligned": layout, "findings": []})


class _Aligned:
    def __init__(
        self,
        specification: Specification,
        values: NDArray[np.float32],
        mask: NDArray[np.bool_],
        cells: NDArray[np.bool_],
    ) -> None:
        self._specification = specification
        self._values, self._mask, self._cells = values, mask, cells
        self._ends = np.cumsum([0, *(s.dim for s in specification.streams)])

    def utterance(
        self,
        row: int,
        name: str,
        spans: NDArray[np.float64],
        words: NDArray[np.str_],
        table: Mapping[str, NDArray[Any]],
    ) -> Utterance:
        steps = np.flatnonzero(self._mask[row])
        said = {key: column[row] for key, column in table.items()}
        return Utterance(
            name,
            self._streams(row, steps),
            _words(spans[steps], words[steps]),
            " ".join(w for w in words[steps].tolist() if w not in ("", "sp")),
            _labels(said, self._specification),
            {k.removeprefix("group."): str(v) for k, v in said.items() if k.startswith("group.") and v},
            {k.removeprefix("split."): str(v) for k, v in said.items() if k.startswith("split.") and v},
            str(said.get("clip", "")),
            float(said.get("start", np.nan)),
            float(said.get("end", np.nan)),
        )

    def _streams(self, row: int, steps: NDArray[np.int64]) -> dict[str, Stream]:
        streams = {}
        for number, stream in enumerate(self._specification.streams):
            seen = self._cells[row, steps, number]
            if seen.any():
                values = self._values[row, steps, self._ends[number] : self._ends[number + 1]]
                values[~seen] = 0
                streams[stream.modality] = Stream(values, stream)
        return streams


def _words(spans: NDArray[np.float64], text: NDArray[np.str_]) -> Words | None:
    if not (text != "").any():
        return None
    timed = bool(np.isfinite(spans).all())
    return Words(tuple(text.tolist()), spans.astype(np.float64) if timed else None)


def _labels(said: Mapping[str, Any], specification: Specification) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for label in specification.labels:
        value = said.get(f"label.{label.key}")
        if value is None or (label.is_number and not np.isfinite(value)):
            continue
        if label.kind == "multilabel":
            if np.isfinite(value).all():
                values[label.key] = tuple(np.asarray(value, float).tolist())
        elif label.is_number:
            values[label.key] = float(value)
        elif str(value):
            values[label.key] = str(value)
    return values
