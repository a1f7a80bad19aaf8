"""A table of spans: which stretches of which clips are the utterances, with their labels, groups and folds.

CSV or Parquet, one row per utterance. Columns: ``clip`` (name or id of a clip, with or without its ending; may be left
out where there is one clip), ``start`` and ``end`` in seconds of the clip, ``id``, and where wanted ``text``,
``label.NAME``, ``group.NAME`` and ``split.NAME`` as in a corpus, or ``label``, ``label_T``, ``label_A``, ``label_V``,
``annotation``, ``mode`` and ``video_id`` as in ``label.csv``. A row that cannot be used costs only itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any
from warnings import warn

import pyarrow as pa

from trivium.corpus import LabelSpecification
from trivium.errors import DataError, FormatError, LimitError, TriviumError
from trivium.extract.source.listing import Transcripts, TranscriptSource, find_recordings, with_transcript
from trivium.extract.source.recording import Recording
from trivium.files import check_size
from trivium.formats.rows import label_column

__all__ = ["span_recordings"]

_MOST_BYTES = 1 << 30
_NEEDED = ("id", "start", "end")
_LABELS = {
    "label": "sentiment",
    "label_T": "sentiment@text",
    "label_A": "sentiment@audio",
    "label_V": "sentiment@vision",
    "annotation": "polarity",
}
_SPLITS = {"mode": "standard"}
_GROUPS = {"video_id": "video"}
_PLAIN = frozenset((*_NEEDED, "clip", "text", *_LABELS, *_SPLITS, *_GROUPS))


def span_recordings(
    src: str | os.PathLike[str], table: str | os.PathLike[str], transcripts: Transcripts = None
) -> tuple[list[Recording], tuple[LabelSpecification, ...]]:
    """Recordings of the rows of a table of spans, in its order.

    Spans of one clip are in its group ``video``, unless the table says otherwise. What is said comes from the row's
    ``text``, else from the transcript of its id, else from its clip's transcript, as far as that has times; else it is
    recognised.

    Parameters
    ----------
    src : path
        The clips: a file, a folder, a pattern.
    table : path
        CSV (UTF-8) or Parquet.
    transcripts : path or mapping of str to str, optional
        See :func:`~trivium.extract.source.listing.find_recordings`.

    Returns
    -------
    recordings : list of Recording
        One per row. One whose clip does not exist, whose times are no numbers or empty, or whose id is missing or taken
        carries that as its fault.
    labels : tuple of LabelSpecification
        What the labels are.

    Raises
    ------
    FormatError
        The table cannot be read, or lacks a column.
    """
    path = Path(table)
    columns = _columns(path)
    clips = find_recordings(src)
    places, ids = _names(clips), {clip.path: clip.id for clip in clips}
    texts = TranscriptSource(transcripts, [clip.path for clip in clips])
    labels = _labels(columns)
    taken: set[str] = set()
    recordings = []
    for number in range(len(columns["id"])):
        row = {name: values[number] for name, values in columns.items()}
        one = _recording(row, number, places, clips, path)
        if one.fault is None and one.id in taken:
            one = replace(
                one,
                fault=DataError(
                    f"the id {one.id!r} is taken by an earlier row", file=path, remedy="give every row an id of its own"
                ),
            )
        if one.fault is None:
            taken.add(one.id)
        own = {key: values[number] for key, (_, values) in labels.items() if values[number] is not None}
        one = replace(one, labels=own)
        recordings.append(_said(one, row, texts, ids[one.path], path) if one.fault is None else one)
    return recordings, tuple(label for label, _ in labels.values())


def _columns(path: Path) -> dict[str, list[Any]]:
    check_size(path, _MOST_BYTES)
    try:
        with path.open("rb") as file:
            packed = file.read(4) == b"PAR1"
        table = _parquet(path) if packed else _csv(path)
    except (pa.ArrowException, OSError, ValueError) as cause:
        raise FormatError(
            f"is no readable table: {cause}"[:300], file=path, remedy="save it as CSV in UTF-8"
        ) from cause
    if len(set(table.column_names)) < len(table.column_names):
        raise FormatError("has two columns of one name", file=path, remedy="rename one")
    missing = [name for name in _NEEDED if name not in table.column_names]
    if missing:
        raise FormatError(f"has no column {', '.join(missing)}", file=path, remedy="name them clip, start, end, id")
    unused = [name for name in table.column_names if not _is_used(name)]
    if unused:
        warn(
            f"{path}: not used: {', '.join(unused)}; what is kept is named label.NAME, group.NAME or split.NAME",
            stacklevel=3,
        )
    return {name: table.column(name).to_pylist() for name in table.column_names}


def _is_used(column: str) -> bool:
    return column in _PLAIN or column.startswith(("label.", "group.", "split."))


def _parquet(path: Path) -> pa.Table:
    import pyarrow.parquet

    metadata = pyarrow.parquet.ParquetFile(path).metadata
    unpacked = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    if unpacked > _MOST_BYTES:
        raise LimitError(f"would unpack to {unpacked} bytes", file=path, remedy="leave out what is no span")
    return pyarrow.parquet.read_table(path)


def _csv(path: Path) -> pa.Table:
    import pyarrow.csv

    lines = pyarrow.csv.ParseOptions(newlines_in_values=True)
    names = pyarrow.csv.open_csv(path, parse_options=lines).schema.names
    # ids keep their zeros and times are read row by row, so that one bad cell costs one row
    plain = [n for n in names if (not n.startswith("label.") and n not in _LABELS) or n == "annotation"]
    texts = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(plain, pa.string()))
    return pyarrow.csv.read_csv(path, parse_options=lines, convert_options=texts)


def _labels(columns: Mapping[str, Sequence[Any]]) -> dict[str, tuple[LabelSpecification, list[Any]]]:
    """By key, what a label is and its values."""
    named = {_LABELS.get(n, n.removeprefix("label.")): n for n in columns if n in _LABELS or n.startswith("label.")}
    found = {}
    for key, name in named.items():
        values = [None if value == "" else value for value in columns[name]]
        if any(value is not None for value in values):
            found[key] = label_column(key, values)
    return found


def _names(clips: Sequence[Recording]) -> dict[str, list[int]]:
    """Which clips a name may mean: the path within the folder or the file's name, with or without the ending."""
    found: dict[str, list[int]] = {}
    for number, clip in enumerate(clips):
        ending = clip.path.suffix
        for name in dict.fromkeys((clip.id, clip.id + ending, clip.path.name, clip.path.stem, str(clip.path))):
            found.setdefault(name, []).append(number)
    return found


def _recording(
    row: Mapping[str, Any], number: int, places: Mapping[str, list[int]], clips: Sequence[Recording], table: Path
) -> Recording:
    """Span of one row; what is wrong with it becomes its fault."""
    place = f"row {number + 1}"
    named = str(row["clip"]) if row.get("clip") not in (None, "") else ""
    found = places.get(named, []) if named else list(range(len(clips)))
    # an id is meant before a file of the same name in a folder
    exact = [at for at in found if clips[at].id == named] or found
    name = "" if row["id"] is None else str(row["id"])
    fault: TriviumError | None = None
    if len(exact) != 1:
        why = f"there is no clip {named!r}" if not exact else f"{named or 'no name'!r} may mean {len(exact)} clips"
        fault = DataError(why, file=table, place=place, remedy="name the clip as its path within the folder")
    if not name:
        fault = DataError("has no id", file=table, place=place, remedy="give every row an id of its own")
    try:
        start, end = (float(row[edge]) for edge in ("start", "end"))
        if not (isfinite(start) and isfinite(end)):
            raise ValueError
    except (TypeError, ValueError):
        start = end = float("nan")
        told = f"{row['start']!r} to {row['end']!r}"
        fault = fault or DataError(
            f"{told} is no span in seconds", file=table, place=place, remedy="write numbers, such as 12.5"
        )
    groups = _named(row, "group.", _GROUPS)
    path = clips[exact[0]].path if len(exact) == 1 else Path(named or "-")
    return Recording(
        path,
        name or place,
        groups={"video": clips[exact[0]].id, **groups} if len(exact) == 1 else groups,
        splits=_named(row, "split.", _SPLITS),
        fault=fault,
        start=start,
        end=end,
    )


def _named(row: Mapping[str, Any], prefix: str, others: Mapping[str, str]) -> dict[str, str]:
    cells = {others.get(n, n.removeprefix(prefix)): v for n, v in row.items() if n in others or n.startswith(prefix)}
    return {name: str(value) for name, value in cells.items() if value not in (None, "")}


def _said(recording: Recording, row: Mapping[str, Any], texts: TranscriptSource, clip: str, table: Path) -> Recording:
    if row.get("text") not in (None, ""):
        return replace(recording, transcript=str(row["text"]))
    own = texts.named(recording.id)
    if own is not None:
        return with_transcript(recording, own)
    whole = texts.find(clip, recording.path.stem)
    if isinstance(whole, str):
        remedy = "give one with times (srt, vtt, TextGrid, eaf, Whisper's JSON), or a column text"
        fault = DataError("the transcript of its clip has no times", file=table, remedy=remedy)
        return replace(recording, fault=fault)
    return with_transcript(recording, whole)
