"""``.npz`` archives of plain arrays: one array per modality and fold, one per modality, or an aligned corpus.

Three layouts. *Folds*: ``text_train`` (N, L, D), ``audio_valid``, ``label_test`` ... as the word-level releases have
them. *Plain*: ``audio`` (N, L, D) or (N, D), ``label``, ``ids``, ``split_NAME`` with N rows each. *Aligned*: what
``trivium align`` writes (``values``, ``mask``, ``cell_mask``, ``columns``, ``ids``, ``spans`` ...). Pickled members
are never read.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Corpus, LabelSpecification, Specification, StreamSpecification, Utterance
from trivium.errors import FormatError, LimitError, UnsafeFileError
from trivium.files import atomic_file
from trivium.formats.aligned import read_aligned
from trivium.formats.findings import Finding, Findings, NonFinite
from trivium.formats.folds import tell_absent
from trivium.formats.labels import LabelArray, encode
from trivium.formats.losses import Kept, is_positional, shares_words
from trivium.formats.padded import (
    Block,
    Cutter,
    chosen_split,
    distribution,
    fold_rows,
    one_clock,
    pad_fold,
    positional_streams,
)

__all__ = ["NpzFormat", "open_archive"]

_MAX_UNPACKED_BYTES = 64 << 30
_MAX_RATIO = 1000
_RATIO_FREE_BYTES = 64 << 20
_FOLDS = ("train", "valid", "test")
_FOLD_KEY = re.compile(r"(.+)_(train|valid|test)")
_MODALITIES = {"video": "vision", "visual": "vision"}


class NpzFormat:
    """Reader and writer of ``.npz`` archives."""

    name = "npz"

    def detect(self, path: Path) -> str | None:
        """Why the path is of this format, or None."""
        if not path.is_file() or not zipfile.is_zipfile(path):
            return None
        try:
            with zipfile.ZipFile(path) as archive:
                members = [n for n in archive.namelist() if n.endswith(".npy")]
        except (zipfile.BadZipFile, OSError):
            return None
        return f"a zip archive of {len(members)} arrays" if members else None

    def read(
        self,
        path: Path,
        *,
        nonfinite: NonFinite = "reference",
        aligned: bool | None = None,
        label: str = "label",
        source: str | None = None,
    ) -> Corpus:
        """Read an archive.

        Parameters
        ----------
        path : Path
            The file.
        nonfinite : {"reference", "keep", "zero", "error"}
            ``reference`` keeps NaN and infinite cells.
        aligned : bool, optional
            Whether the modalities share their steps; default: whether their arrays have one length.
        label : str
            Name for the file's ``label`` arrays.
        source : str, optional
            Name of the distribution, for columns without names; default the file's stem.
        """
        arrays = open_archive(path)
        if {"values", "cell_mask", "specification"} <= arrays.keys():
            return read_aligned(arrays, path)
        findings = Findings(nonfinite)
        return _Archive(arrays, path, findings, label, distribution(path, source)).corpus(aligned)

    def write(
        self,
        corpus: Corpus,
        path: Path,
        *,
        layout: Literal["folds", "plain"] | None = None,
        split: str | None = None,
        fold: str | None = None,
        side: Literal["left", "right"] | None = None,
    ) -> Kept:
        """Write an archive.

        Parameters
        ----------
        corpus : Corpus
            What to write.
        path : Path
            The file.
        layout : {"folds", "plain"}, optional
            Default ``folds`` where the corpus has exactly one split (or `split` names one), else ``plain``.
        split, fold : str, optional
            Which split makes the folds; the fold of utterances that it leaves out.
        side : {"left", "right"}, optional
            Pad side; default that of the source, else right.
        """
        if layout is None:
            layout = "folds" if split or fold or len(corpus.splits()) == 1 else "plain"
        parts = fold_rows(corpus, split, fold) if layout == "folds" else {"": list(corpus)}
        arrays: dict[str, NDArray[Any]] = {}
        for name, utterances in parts.items():
            if utterances:
                arrays.update(_fold_arrays(corpus, utterances, name, side))
        for stream in corpus.specification.streams:
            if not is_positional(stream):
                arrays[f"columns_{stream.modality}"] = np.array(stream.columns)
        with atomic_file(path) as draft, draft.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        return _kept(corpus, None if layout == "plain" else chosen_split(corpus, split))


def _kept(corpus: Corpus, split: str | None) -> Kept:
    """What the arrays hold; `split` is that of the folds, None in the plain layout, which has all."""
    stored = [key for layout in _known(corpus).get("labels", []) for key in layout["labels"]]
    clocks = ("clocks",) if shares_words(corpus) else ()
    splits = None if split is None else (split,)
    return Kept(frozenset({"text", "clip", *clocks}), classes=stored, splits=splits, words=lambda _: False)


def _known(corpus: Corpus) -> Mapping[str, Any]:
    """Layout of the archive that the corpus was read from."""
    layout: Mapping[str, Any] = corpus.provenance.get("layout", {}) if corpus.provenance.get("format") == "npz" else {}
    return layout


def open_archive(path: Path) -> dict[str, NDArray[Any]]:
    """Arrays of an ``.npz`` file, after checking how far it would unpack; nothing in it is executed.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    UnsafeFileError
        A member holds pickled objects.
    LimitError
        It would unpack to far more than its size.
    FormatError
        It is no archive of arrays, or is cut off.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
        size = path.stat().st_size
        if unpacked > _MAX_UNPACKED_BYTES or unpacked > max(_RATIO_FREE_BYTES, _MAX_RATIO * size):
            raise LimitError(f"would unpack from {size} to {unpacked} bytes", file=path, remedy="do not trust it")
        with np.load(path, allow_pickle=False) as stored:
            return {name: _member(stored, name, path) for name in stored.files}
    except MemoryError as cause:
        raise LimitError("needs more memory than there is", file=path, remedy="do not trust it") from cause
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as cause:
        raise FormatError(f"is no readable .npz archive: {cause}", file=path, remedy="it may be cut off") from cause


def _member(stored: Any, name: str, path: Path) -> NDArray[Any]:
    try:
        member = stored[name]
    except (ValueError, zipfile.BadZipFile, EOFError) as cause:
        if "allow_pickle" in str(cause) or "pickled" in str(cause):
            raise UnsafeFileError(
                "holds pickled Python objects, which could run code",
                file=path,
                place=name,
                remedy="save it again as plain arrays (for MERBench labels: names, emotions and valences apart)",
            ) from cause
        raise FormatError(f"is not readable: {cause}", file=path, place=name) from cause
    if not isinstance(member, np.ndarray):
        raise FormatError("is no array", file=path, place=name)
    return member


class _Archive:
    """One archive of fold or plain arrays on its way to a corpus."""

    def __init__(
        self, arrays: dict[str, NDArray[Any]], path: Path, findings: Findings, label: str, source: str
    ) -> None:
        self._path, self._findings, self._source = path, findings, source
        self._columns = {k.removeprefix("columns_"): arrays.pop(k) for k in list(arrays) if k.startswith("columns_")}
        for key in [k for k, array in arrays.items() if not array.ndim]:
            findings.add(Finding("dropped", key, action="a single value"))
        self._by_key = _by_fold(arrays)
        self._folds = list(dict.fromkeys(fold for parts in self._by_key.values() for fold in parts))
        self._id_key = next((k for k in ("ids", "id") if k in self._by_key), "")
        self._ids = self._by_key.pop(self._id_key, {})
        self._texts = self._by_key.pop("raw_text", {})
        self._spans = {k: self._by_key.pop(k) for k in ("start", "end", "clip") if k in self._by_key}
        self._named = self._take_named()
        self._labels = self._take_labels(label)
        self._blocks = self._take_blocks()

    def _take_labels(self, name: str) -> list[LabelArray]:
        found = []
        for key in list(self._by_key):
            parts = self._by_key[key]
            plain = all(a.ndim == 1 and a.dtype.kind in "biuf" for a in parts.values())
            if key == "label" or key.startswith("label_") or (plain and key not in ("start", "end")):
                own = name if key == "label" else key.removeprefix("label_")
                found.append(LabelArray(own, key, self._by_key.pop(key), self._path))
        return found

    def _take_named(self) -> dict[str, dict[str, NDArray[Any]]]:
        text = [
            k for k, parts in self._by_key.items() if all(a.ndim == 1 and a.dtype.kind in "US" for a in parts.values())
        ]
        return {key: self._by_key.pop(key) for key in text}

    def _take_blocks(self) -> list[Block]:
        blocks = []
        for key, parts in self._by_key.items():
            modality = _MODALITIES.get(key, key)
            for fold, array in parts.items():
                blocks.append(Block.of(modality, key, fold, array, self._path))
        return blocks

    def _counts(self) -> dict[str, int]:
        counts: dict[str, dict[str, int]] = {}
        for key, parts in {**self._by_key, "ids": self._ids, "raw_text": self._texts, **self._named}.items():
            for fold, array in parts.items():
                counts.setdefault(fold, {})[key] = len(array)
        for label in self._labels:
            for fold in self._folds:
                if (n := label.count(fold)) is not None:
                    counts.setdefault(fold, {})[label.key] = n
        for fold, by_key in counts.items():
            if len(set(by_key.values())) > 1:
                said = ", ".join(f"{k} {n}" for k, n in by_key.items())
                raise FormatError(f"arrays differ in their number of rows: {said}", file=self._path, place=fold or None)
        return {fold: next(iter(by_key.values())) for fold, by_key in counts.items()}

    def corpus(self, aligned: bool | None) -> Corpus:
        counts = self._counts()
        together = one_clock(self._blocks, aligned)
        streams = positional_streams(self._blocks, self._source, together, self._path)
        streams |= {m: self._named_stream(streams[m]) for m in streams if m in self._columns}
        cutter = Cutter(self._blocks, streams, aligned=together, findings=self._findings)
        labels = tuple(s for label in self._labels for s in label.specifications)
        utterances = [
            self._utterance(cutter, fold, row, self._id(fold, row))
            for fold, count in counts.items()
            for row in range(count)
        ]
        self._tell({f: [self._id(f, row) for row in range(n)] for f, n in counts.items()})
        layout = {
            "modalities": cutter.layout(),
            "labels": [label.layout() for label in self._labels],
            "ids": self._id_key,
            "named": {k.removeprefix("group_"): k for k in self._named if not k.startswith("split_")},
            "vectors": sorted(b.modality for b in self._blocks if self._is_vector(b)),
        }
        provenance = {"format": "npz", "layout": layout, "findings": self._findings.to_json()}
        return Corpus.from_utterances(utterances, Specification(tuple(streams.values()), labels), provenance)

    def _tell(self, ids: Mapping[str, Sequence[str]]) -> None:
        for label in self._labels:
            label.tell(self._findings, ids)
        instead = {self._id_key: (self._ids, "made from fold and row"), "raw_text": (self._texts, "empty")}
        instead |= {k: (parts, "missing") for k, parts in (self._spans | self._named).items()}
        for key, (parts, what) in instead.items():
            if parts:  # an archive may well have none at all
                tell_absent(self._findings, key, parts, ids, what)

    def _is_vector(self, block: Block) -> bool:
        return self._by_key[block.key][block.fold].ndim == 2

    def _named_stream(self, positional: StreamSpecification) -> StreamSpecification:
        names = tuple(str(c) for c in self._columns[positional.modality])
        if len(names) != positional.dim:
            problem = f"{len(names)} names for {positional.dim} columns"
            raise FormatError(problem, file=self._path, place=f"columns_{positional.modality}")
        return replace(positional, columns=names)

    def _id(self, fold: str, row: int) -> str:
        if fold in self._ids:
            return str(self._ids[fold][row])
        return f"{fold}-{row:05d}" if fold else f"{row:05d}"

    def _utterance(self, cutter: Cutter, fold: str, row: int, name: str) -> Utterance:
        values = {k: parts[fold][row] for k, parts in self._spans.items() if fold in parts}
        said = {k: str(parts[fold][row]) for k, parts in self._named.items() if fold in parts}
        splits = {k.removeprefix("split_"): v for k, v in said.items() if k.startswith("split_")}
        if fold:
            splits["standard"] = fold
        return Utterance(
            name,
            cutter.streams(fold, row, name),
            None,
            str(self._texts[fold][row]) if fold in self._texts else "",
            {k: v for label in self._labels for k, v in label.values(fold, row).items()},
            {k.removeprefix("group_"): v for k, v in said.items() if not k.startswith("split_")},
            splits,
            str(values.get("clip", "")),
            float(values.get("start", np.nan)),
            float(values.get("end", np.nan)),
        )


def _by_fold(arrays: Mapping[str, NDArray[Any]]) -> dict[str, dict[str, NDArray[Any]]]:
    found: dict[str, dict[str, NDArray[Any]]] = {}
    for key, array in arrays.items():
        match = _FOLD_KEY.fullmatch(key)
        name, fold = (match[1], match[2]) if match else (key, "")
        if array.ndim:
            found.setdefault(name, {})[fold] = array
    return found


def _fold_arrays(
    corpus: Corpus, utterances: Sequence[Utterance], fold: str, side: str | None
) -> dict[str, NDArray[Any]]:
    known = _known(corpus)
    tail = f"_{fold}" if fold else ""
    arrays: dict[str, NDArray[Any]] = {}
    for stream in corpus.specification.streams:
        stored = known.get("modalities", {}).get(stream.modality, {})
        key = stored.get("key") or ("video" if stream.modality == "vision" else stream.modality)
        length = stored.get("length", {}).get(fold)
        if length is None and not any(stream.modality in u.streams for u in utterances):
            continue
        where = side or stored.get("side", "right")
        values, _ = pad_fold(utterances, stream, side=where, length=length)
        arrays[key + tail] = values[:, 0] if stream.modality in known.get("vectors", []) else values
    for key, labels, layout in _label_keys(corpus.specification.labels, known.get("labels", [])):
        arrays[key + tail] = encode(utterances, labels, layout)
    columns = _columns(corpus, utterances, known.get("named", {}), plain=not fold)
    arrays |= {name + tail: column for name, column in columns.items()}
    if known.get("ids", "ids"):
        arrays[known.get("ids", "ids") + tail] = np.array([u.id for u in utterances])
    if any(u.text for u in utterances):
        arrays["raw_text" + tail] = np.array([u.text for u in utterances])
    return arrays


def _label_keys(
    labels: Sequence[LabelSpecification], layouts: Sequence[Mapping[str, Any]]
) -> list[tuple[str, list[LabelSpecification], Mapping[str, Any] | None]]:
    """Key, labels and stored layout of every label array to write."""
    by_key = {label.key: label for label in labels}
    known = [
        (la["key"], [by_key[k] for k in la["labels"]], la) for la in layouts if all(k in by_key for k in la["labels"])
    ]
    told = {label.key for _, own, _ in known for label in own}
    fresh = [label for label in labels if label.key not in told]
    names = ["label"] if len(labels) == 1 else [f"label_{label.key}" for label in fresh]
    return [*known, *((name, [label], None) for name, label in zip(names, fresh, strict=False))]


def _columns(
    corpus: Corpus, utterances: Sequence[Utterance], known: Mapping[str, str], *, plain: bool
) -> dict[str, NDArray[Any]]:
    """Splits (where folds do not say them), groups, clip and span, under the keys they were read from."""
    arrays = {}
    for name in corpus.splits() if plain else []:
        arrays[f"split_{name}"] = np.array([u.splits.get(name, "") for u in utterances])
    for name in corpus.groups():
        arrays[known.get(name, f"group_{name}")] = np.array([u.groups.get(name, "") for u in utterances])
    if any(u.clip for u in utterances):
        arrays["clip"] = np.array([u.clip for u in utterances])
    if any(u.start == u.start for u in utterances):
        arrays |= {"start": np.array([u.start for u in utterances]), "end": np.array([u.end for u in utterances])}
    return arrays
