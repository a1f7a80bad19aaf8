"""A folder of clips with ``label.csv``, as MMSA-FET and M-SENA have it: clips and labels, not yet streams.

``label.csv`` has the columns ``video_id, clip_id, text, label, label_T, label_A, label_V, annotation, mode``; the clip
of a row is ``Raw/<video_id>/<clip_id>.mp4``. Ids are text, so leading zeros stay. Extraction fills in the streams.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from trivium.corpus import Corpus, LabelSpecification, Specification, Utterance
from trivium.errors import DataError, FormatError
from trivium.files import atomic_folder, check_size
from trivium.formats.findings import Finding, Findings
from trivium.formats.folds import Duplicates, unique
from trivium.formats.labels import outside
from trivium.formats.losses import Kept
from trivium.formats.options import require_choice

__all__ = ["ClipsFormat", "clip_path"]

_NAME = "label.csv"
_MAX_BYTES = 1 << 30
_LABELS = {"label": None, "label_T": "text", "label_A": "audio", "label_V": "vision"}
_HEADER = ("video_id", "clip_id", "text", *_LABELS, "annotation", "mode")
_MEDIA = (".mp4", ".mkv", ".mov", ".avi", ".webm", ".wav", ".flac", ".mp3", ".m4a", ".ogg")
_POLARITY = ("Negative", "Neutral", "Positive")


class ClipsFormat:
    """Reader and writer of folders with ``label.csv``."""

    name = "clips"

    def detect(self, path: Path) -> str | None:
        """Why the path is of this format, or None."""
        return f"a folder with {_NAME}" if (path / _NAME).is_file() else None

    def read(self, path: Path, *, duplicates: Duplicates = "error") -> Corpus:
        """Read ``label.csv``; clips are named, not decoded.

        Parameters
        ----------
        path : Path
            The folder.
        duplicates : {"error", "suffix"}
            What to do with a pair of video and clip that appears twice.
        """
        findings = Findings()
        rows = _rows(path / _NAME)
        names = [f"{r['video_id']}$_${r['clip_id']}" for r in rows]
        ids, renamed = unique({"": names}, duplicates, path / _NAME, findings)
        labels = _specifications(rows, path / _NAME)
        utterances = [
            _utterance(path, n, r, k, labels, findings) for k, (n, r) in enumerate(zip(ids[""], rows, strict=True))
        ]
        customary = _customary(labels)
        for label in [v for c, v in labels.items() if c in _LABELS and v.range is None]:
            values = np.array([u.labels.get(label.key, np.nan) for u in utterances], np.float64)
            findings.extend(outside(values, ids[""], label.key, customary, stated=False))
        layout = {"columns": list(rows[0]), "renamed": renamed}
        for key in [k for k in rows[0] if k not in _HEADER]:
            findings.add(Finding("dropped", key, action="a column that this format does not have"))
        provenance = {"format": "clips", "layout": layout, "findings": findings.to_json()}
        return Corpus.from_utterances(utterances, Specification((), tuple(labels.values())), provenance)

    def write(self, corpus: Corpus, path: Path, *, label: str | None = None) -> Kept:
        """Write a folder with ``label.csv``; the clips themselves are not copied.

        Parameters
        ----------
        corpus : Corpus
            What to write; ids without ``$_$`` become video and clip of the same name.
        path : Path
            The folder to make.
        label : str
            Which label becomes the column ``label``; default ``sentiment``.
        """
        if label is not None:
            require_choice("label", label, [v.key for v in corpus.specification.labels])
        layout = corpus.provenance.get("layout", {}) if corpus.provenance.get("format") == "clips" else {}
        header = [c for c in layout.get("columns", _HEADER) if c in _HEADER]
        with atomic_folder(path) as folder, (folder / _NAME).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, header, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            for utterance in corpus:
                writer.writerow(_row(utterance, layout.get("renamed", {}), label or "sentiment"))
        name = label or "sentiment"
        labels = [f"{name}@{modality}" if modality else name for modality in _LABELS.values()]
        return Kept(
            frozenset({"text", "ranges", *(("clip",) if layout else ())}), streams=(), labels=[*labels, "polarity"],
            spans=(), groups=(), splits=corpus.splits()[:1], words=lambda _: False,
            video=lambda name: name.partition("$_$")[0],
        )  # fmt: skip


def clip_path(folder: Path, video: str, clip: str) -> Path | None:
    """Media file of one row of ``label.csv``, None where there is none.

    Parameters
    ----------
    folder : Path
        The folder that holds ``label.csv`` and ``Raw``.
    video, clip : str
        Ids of the row.
    """
    for part in (video, clip):
        if not part or part in (".", "..") or "/" in part or "\\" in part:
            return None
    stem = folder / "Raw" / video / clip
    found = (stem.with_name(stem.name + suffix) for suffix in _MEDIA)
    return next((file for file in found if file.is_file()), None)


def _rows(file: Path) -> list[dict[str, str]]:
    check_size(file, _MAX_BYTES)
    rows: list[dict[str, str]] = []
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            rows.extend(csv.DictReader(text))
    except UnicodeDecodeError as cause:
        raise FormatError(f"is no readable CSV: {cause}", file=file, remedy="save it as UTF-8") from cause
    except csv.Error as cause:
        # the rows before it were read, so the trouble is in the next one
        place, most = f"line {len(rows) + 2}", csv.field_size_limit()
        remedy = f"close every quote, and keep cells below {most} characters"
        raise FormatError(f"is no readable CSV: {cause}", file=file, place=place, remedy=remedy) from cause
    missing = [c for c in ("video_id", "clip_id") if not rows or c not in rows[0]]
    if missing:
        raise FormatError(f"has no column {', '.join(missing)}, or no row", file=file)
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values() or not row["video_id"] or not row["clip_id"]:
            raise DataError("has another number of cells than the header, or no id", file=file, place=f"line {number}")
    return rows


def _specifications(rows: list[dict[str, str]], file: Path) -> dict[str, LabelSpecification]:
    found: dict[str, LabelSpecification] = {}
    numbers = {c: [_number(r, c, k, file) for k, r in enumerate(rows)] for c in _LABELS if c in rows[0]}
    known = [v for values in numbers.values() for v in values if v is not None]
    low, high = _customary([c for c, values in numbers.items() if any(v is not None for v in values)])
    span = (low, high) if all(low <= v <= high for v in known) else None
    for column, values in numbers.items():
        if any(v is not None for v in values):
            found[column] = LabelSpecification("sentiment", "regression", range=span, modality=_LABELS[column])
    classes = {r.get("annotation", "") for r in rows} - {""}
    if classes:
        named = _POLARITY if classes <= set(_POLARITY) else tuple(sorted(classes))
        found["annotation"] = LabelSpecification("polarity", "multiclass", named)
    return found


def _customary(columns: Iterable[str]) -> tuple[float, float]:
    """Range of the labels: [-1, 1] where modalities have labels of their own, as in CH-SIMS, else [-3, 3]."""
    return (-1.0, 1.0) if {"label_T", "label_A", "label_V"} & set(columns) else (-3.0, 3.0)


def _number(row: Mapping[str, str], column: str, number: int, file: Path) -> float | None:
    text = row.get(column, "").strip()
    try:
        value = float(text) if text else None
    except ValueError:
        value = float("nan")
    if value is not None and not isfinite(value):
        raise DataError(f"{text!r} is no number", file=file, place=f"line {number + 2}, column {column}")
    return value


def _utterance(
    folder: Path,
    name: str,
    row: Mapping[str, str],
    number: int,
    labels: Mapping[str, LabelSpecification],
    found: Findings,
) -> Utterance:
    clip = clip_path(folder, row["video_id"], row["clip_id"])
    if clip is None:
        found.add(Finding("missing", name, "clip", row=number + 2, action="no media file in Raw"))
    values: dict[str, Any] = {}
    if (said := row.get("annotation", "")) not in ("", *_POLARITY):
        action = f"{said!r} is none of {', '.join(_POLARITY)}; the classes are those of the file"
        found.add(Finding("label", name, row=number + 2, column="annotation", action=action))
    for column, label in labels.items():
        value = row.get(column) if column == "annotation" else _number(row, column, number, folder / _NAME)
        if value not in (None, ""):
            values[label.key] = value
    mode = row.get("mode", "")
    return Utterance(
        name,
        text=row.get("text", ""),
        labels=values,
        groups={"video": row["video_id"]},
        splits={"standard": mode} if mode else {},
        clip="" if clip is None else clip.relative_to(folder).as_posix(),
    )


def _row(utterance: Utterance, renamed: Mapping[str, str], label: str) -> dict[str, str]:
    name = renamed.get(utterance.id, utterance.id)
    video, sign, clip = name.partition("$_$")
    row = {"video_id": video, "clip_id": clip if sign else name, "text": utterance.text}
    for column, modality in _LABELS.items():
        value = utterance.labels.get(f"{label}@{modality}" if modality else label)
        row[column] = "" if value is None else repr(value) if isinstance(value, float) else str(value)
    polarity = utterance.labels.get("polarity")
    row["annotation"] = "" if polarity is None else str(polarity)
    row["mode"] = next(iter(utterance.splits.values()), "")
    return row
