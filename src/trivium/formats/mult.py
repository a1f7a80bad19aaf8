"""Pickles of the Multimodal Transformer (MulT) and of MultiBench: ``vision``, ``audio``, ``text``, ``labels``, ``id``.

Both have one layout. MulT's ``id`` is (video, start, end); MultiBench pads in front and adds 0/1 labels (sarcasm,
humour). What a file is follows from its content, so both names read both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Corpus, LabelSpecification, Specification, Utterance
from trivium.errors import DataError, FormatError
from trivium.formats.findings import Finding, Findings, NonFinite
from trivium.formats.folds import (
    FOLDS,
    Duplicates,
    known_modalities,
    load_folds,
    row_counts,
    tell_absent,
    text_of,
    unique,
    write_pickle,
)
from trivium.formats.labels import LabelArray, encode
from trivium.formats.losses import Kept, shares_words
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
from trivium.formats.pickles import scan_pickle

__all__ = ["MultFormat", "MultibenchFormat"]

_MODALITIES = ("vision", "audio", "text")
_KEYS = (*_MODALITIES, "labels", "id")
_TRIPLE = re.compile(r"(.*)\[([^\[\],]*),([^\[\],]*)\]", re.DOTALL)


class MultFormat:
    """Reader and writer of MulT pickles."""

    name = "mult"
    _side: Literal["left", "right"] = "right"

    def detect(self, path: Path) -> str | None:
        """Why the path is of this format, or None."""
        scan = scan_pickle(path) if path.is_file() else None
        if scan is None or "labels" not in scan.texts or not scan.texts & set(FOLDS):
            return None
        told = sorted(scan.texts & set(_MODALITIES))
        return f"a pickle with the keys labels, {', '.join(told)}" if told else None

    def read(
        self,
        path: Path,
        *,
        aligned: bool | None = None,
        nonfinite: NonFinite = "reference",
        duplicates: Duplicates = "error",
        source: str | None = None,
        label: str | None = None,
    ) -> Corpus:
        """Read a pickle.

        Parameters
        ----------
        path : Path
            The file.
        aligned : bool, optional
            Whether the modalities share their steps; default: whether their arrays have one length.
        nonfinite : {"reference", "keep", "zero", "error"}
            ``reference`` does what the loaders do: infinite audio cells become 0, all else is kept.
        duplicates : {"error", "suffix"}
            What to do with an id that appears twice.
        source : str, optional
            Name of the distribution, for columns without names; default the file's stem.
        label : str, optional
            Name of the label; default ``sentiment`` for numbers, ``emotion`` for one-hot pairs, else ``label``.
        """
        findings = Findings(nonfinite, {"audio": "infinite"})
        folds, rest = load_folds(path)
        if not folds:
            raise FormatError(f"has no fold ({', '.join(FOLDS)})", file=path)
        for key in rest:
            findings.add(Finding("dropped", key, action="a key beside the folds"))
        return _Reading(folds, path, findings, label).corpus(distribution(path, source), aligned, duplicates)

    def write(
        self,
        corpus: Corpus,
        path: Path,
        *,
        split: str | None = None,
        fold: str | None = None,
        label: str | None = None,
        side: Literal["left", "right"] | None = None,
    ) -> Kept:
        """Write a pickle that MulT's and MultiBench's loaders take.

        Parameters
        ----------
        corpus : Corpus
            What to write.
        path : Path
            The file.
        split, fold : str, optional
            Which split makes the folds; the fold of utterances that it leaves out.
        label : str, optional
            Which label becomes ``labels``; may be left out where there is one.
        side : {"left", "right"}, optional
            Pad side; default that of the source, else left for MultiBench and right for MulT.
        """
        corpus = known_modalities(corpus, _MODALITIES, "a MulT or MultiBench pickle")
        known = corpus.provenance.get("layout", {}) if corpus.provenance.get("format") in ("mult", "multibench") else {}
        labels = _written_label(corpus, known, label)
        parts = fold_rows(corpus, split, fold)
        names = known.get("folds", FOLDS)
        write_pickle(
            path,
            {
                name: _fold(corpus, utterances, name, known, labels, side or known.get("side", self._side))
                for name, utterances in parts.items()
                if utterances or name in names
            },
        )
        return _kept(corpus, known, labels, chosen_split(corpus, split))


class MultibenchFormat(MultFormat):
    """Reader and writer of MultiBench's affect pickles, which pad in front."""

    name = "multibench"
    _side: Literal["left", "right"] = "left"


class _Reading:
    """Folds of one pickle on their way to a corpus."""

    def __init__(self, folds: dict[str, dict[str, Any]], path: Path, findings: Findings, label: str | None) -> None:
        self._folds, self._path, self._findings = folds, path, findings
        self._counts = row_counts(folds, _KEYS, path)
        self._blocks = [
            Block.of(key, key, name, fold[key], path)
            for name, fold in folds.items()
            for key in _MODALITIES
            if key in fold
        ]
        for key in {key: None for fold in folds.values() for key in fold if key not in _KEYS}:
            findings.add(Finding("dropped", str(key), action="a key that this format does not have"))
        self._label = self._labels(label)

    def _labels(self, name: str | None) -> LabelArray | None:
        arrays = {fold: values["labels"] for fold, values in self._folds.items() if "labels" in values}
        if not arrays:
            return None
        guess = LabelArray("label", "labels", arrays, self._path)
        name = name or {"pairs": "emotion", "number": "sentiment"}.get(guess.kind, "label")
        return LabelArray(name, "labels", arrays, self._path, range=(-3.0, 3.0))

    def corpus(self, source: str, aligned: bool | None, duplicates: Duplicates) -> Corpus:
        together = one_clock(self._blocks, aligned)
        streams = positional_streams(self._blocks, source, together, self._path)
        cutter = Cutter(self._blocks, streams, aligned=together, findings=self._findings)
        raw = {name: self._ids(name) for name in self._folds}
        ids, renamed = unique(raw, duplicates, self._path, self._findings)
        utterances = [
            self._utterance(cutter, f, row, name) for f, names in ids.items() for row, name in enumerate(names)
        ]
        having = {name for name, fold in self._folds.items() if "id" in fold}
        if having:  # IEMOCAP has none at all
            tell_absent(self._findings, "id", having, ids, "made from fold and row")
        labels = self._label.specifications if self._label else ()
        if self._label:
            self._label.tell(self._findings, ids)
        side = "left" if list(cutter.sides.values()).count("left") * 2 > len(cutter.sides) else "right"
        layout = {
            "modalities": cutter.layout(),
            "folds": list(self._folds),
            "side": side,
            "label": self._label.layout() if self._label else None,
            "id": self._id_layout(),
            "renamed": renamed,
        }
        name = "multibench" if side == "left" else "mult"
        provenance = {"format": name, "layout": layout, "findings": self._findings.to_json()}
        return Corpus.from_utterances(utterances, Specification(tuple(streams.values()), tuple(labels)), provenance)

    def _ids(self, fold: str) -> list[str]:
        if "id" not in self._folds[fold]:
            return [f"{fold}-{row:05d}" for row in range(self._counts[fold])]
        rows = enumerate(self._folds[fold]["id"])
        return [_id(np.asarray(parts).reshape(-1), self._path, f"{fold}/id, row {row}") for row, parts in rows]

    def _id_layout(self) -> dict[str, Any] | None:
        stored = [np.asarray(fold["id"]) for fold in self._folds.values() if "id" in fold]
        if not stored:
            return None
        first = stored[0].reshape(-1)
        packed = bool(len(first)) and isinstance(first[0], bytes)
        return {"tail": list(stored[0].shape[1:]), "kind": stored[0].dtype.kind, "bytes": packed}

    def _utterance(self, cutter: Cutter, fold: str, row: int, name: str) -> Utterance:
        labels = self._label.values(fold, row) if self._label else {}
        match = _TRIPLE.fullmatch(name)
        video, start, end = (match[1], _seconds(match[2]), _seconds(match[3])) if match else ("", np.nan, np.nan)
        groups = {"video": video} if video else {}
        splits = {"standard": fold}
        return Utterance(name, cutter.streams(fold, row, name), None, "", labels, groups, splits, video, start, end)


def _id(parts: NDArray[Any], file: Path, place: str) -> str:
    try:
        texts = [text_of(part) for part in parts]
    except DataError as error:
        raise error.located(file, place) from error
    return f"{texts[0]}[{texts[1]},{texts[2]}]" if len(texts) == 3 else "/".join(texts)


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _written_label(
    corpus: Corpus, known: Mapping[str, Any], label: str | None
) -> tuple[list[LabelSpecification], Mapping[str, Any] | None]:
    specifications = {v.key: v for v in corpus.specification.labels}
    if label is None and known.get("label"):
        return [specifications[key] for key in known["label"]["labels"]], known["label"]
    if label is None and len(specifications) != 1:
        raise DataError(
            f"has {len(specifications)} labels, and this format holds one", remedy="name it (label=, --label)"
        )
    return [corpus.specification.label(label or next(iter(specifications)))], None


def _kept(
    corpus: Corpus,
    known: Mapping[str, Any],
    labels: tuple[list[LabelSpecification], Mapping[str, Any] | None],
    split: str,
) -> Kept:
    """What the folds hold: ids say the video and the span where they are of the form ``video[start,end]``."""
    keys = [v.key for v in labels[0]]
    spanned = [name for name in corpus.ids.tolist() if _TRIPLE.fullmatch(name)] if not known or known.get("id") else []
    parts = frozenset({"ranges", *(("clocks",) if shares_words(corpus) else ())})
    return Kept(
        parts, streams=_MODALITIES, columns=(), labels=keys, classes=keys if labels[1] else (), spans=spanned,
        groups=(), splits=(split,),
        words=lambda _: False, video=lambda name: match[1] if (match := _TRIPLE.fullmatch(name)) else "",
    )  # fmt: skip


def _fold(
    corpus: Corpus,
    utterances: list[Utterance],
    name: str,
    known: Mapping[str, Any],
    labels: tuple[list[LabelSpecification], Mapping[str, Any] | None],
    side: str,
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for stream in corpus.specification.streams:
        stored = known.get("modalities", {}).get(stream.modality, {})
        length = stored.get("length", {}).get(name)
        where = stored.get("side", side) if side == known.get("side") else side
        found[stream.modality], _ = pad_fold(utterances, stream, side=where, length=length)
    values = encode(utterances, *labels)
    found["labels"] = values if labels[1] or values.ndim == 3 else values.reshape(-1, 1, 1)
    if not known or known.get("id"):
        renamed = known.get("renamed", {})
        found["id"] = _stored_ids([renamed.get(u.id, u.id) for u in utterances], known.get("id"))
    return found


def _stored_ids(ids: list[str], layout: Mapping[str, Any] | None) -> NDArray[Any]:
    if layout is None:
        return np.array(ids, dtype=np.str_).reshape(-1, 1)
    width = int(np.prod(layout["tail"]))
    rows = [_parts(name, width) for name in ids]
    packed = [[part.encode() if layout["bytes"] else part for part in row] for row in rows]
    dtype = object if layout["kind"] == "O" else None
    return np.array(packed, dtype=dtype).reshape(len(ids), *layout["tail"])


def _parts(name: str, width: int) -> list[str]:
    match = _TRIPLE.fullmatch(name) if width == 3 else None
    return list(match.groups()) if match else name.split("/", width - 1) if width > 1 else [name]
