"""MMSA feature pickles: aligned, unaligned, CH-SIMS with labels by modality, token ids, single samples.

The layout is that of the MMSA and MMSA-FET tools: folds ``train``, ``valid``, ``test`` (or one sample without them),
each a dict of arrays zero padded at the end.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trivium.corpus import Corpus, LabelSpecification, Specification, StreamSpecification, Utterance, Words
from trivium.errors import DataError, FormatError
from trivium.formats.findings import Finding, Findings, NonFinite
from trivium.formats.folds import (
    Duplicates,
    known_modalities,
    like,
    load_folds,
    row_counts,
    tell_absent,
    texts_of,
    unique,
    write_pickle,
)
from trivium.formats.labels import LabelArray, encode
from trivium.formats.losses import PARTS, Kept, shares_words
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

__all__ = ["MmsaFormat"]

TOKENS = "text_tokens"
_MODALITIES = ("text", "audio", "vision")
_TOKEN_COLUMNS = ("id", "attention", "segment")
_LABELS = {
    "regression_labels": None,
    "regression_labels_T": "text",
    "regression_labels_A": "audio",
    "regression_labels_V": "vision",
}
_POLARITY = ("Negative", "Neutral", "Positive")
_TEXTS = ("id", "raw_text", "annotations")
_INSTEAD = {"id": "made from fold and row", "raw_text": "empty", "annotations": "missing", "align": "without words"}
_KNOWN = (
    *_TEXTS,
    *_MODALITIES,
    "text_bert",
    "audio_lengths",
    "vision_lengths",
    *_LABELS,
    "classification_labels",
    "align",
)
_TELLING = {"regression_labels", "text_bert", "classification_labels", "audio_lengths", "annotations", "raw_text"}
_WIDE, _NARROW = (-3.0, 3.0), (-1.0, 1.0)


class MmsaFormat:
    """Reader and writer of MMSA feature pickles."""

    name = "mmsa"

    def detect(self, path: Path) -> str | None:
        """Why the path is of this format, or None."""
        scan = scan_pickle(path) if path.is_file() else None
        if scan is None or not scan.texts & set(_MODALITIES):
            return None
        told = sorted(scan.texts & _TELLING)
        return f"a pickle with the keys {', '.join(told)}" if told else None

    def read(
        self,
        path: Path,
        *,
        override: Mapping[str, str | os.PathLike[str]] | None = None,
        aligned: bool | None = None,
        nonfinite: NonFinite = "reference",
        duplicates: Duplicates = "error",
        source: str | None = None,
    ) -> Corpus:
        """Read a pickle.

        Parameters
        ----------
        path : Path
            The file.
        override : mapping of str to path, optional
            Modality to another file of the same layout that it is taken from (MMSA's ``feature_T/A/V``).
        aligned : bool, optional
            Whether text, audio and vision share their steps; default: one length, and no lengths stated.
        nonfinite : {"reference", "keep", "zero", "error"}
            ``reference`` does what MMSA does: infinite audio cells become 0, all else is kept.
        duplicates : {"error", "suffix"}
            What to do with an id that appears twice.
        source : str, optional
            Name of the distribution, for columns without names; default the file's stem.
        """
        findings = Findings(nonfinite, {"audio": "infinite"})
        folds, rest = load_folds(path)
        if not folds:
            folds, rest = {"": _one_sample(rest, path)}, {k: v for k, v in rest.items() if k == "config"}
        for modality, file in (override or {}).items():
            _override(folds, modality, Path(file), path)
        return _Reading(folds, path, findings, distribution(path, source)).corpus(rest, aligned, duplicates)

    def write(
        self,
        corpus: Corpus,
        path: Path,
        *,
        split: str | None = None,
        fold: str | None = None,
        label: str | None = None,
    ) -> Kept:
        """Write a pickle that MMSA loads.

        Parameters
        ----------
        corpus : Corpus
            What to write.
        path : Path
            The file.
        split, fold : str, optional
            Which split makes the folds; the fold of utterances that it leaves out.
        label : str, optional
            Which label becomes ``regression_labels``; default that of the source, ``sentiment``, or the only
            regression label.
        """
        corpus = known_modalities(corpus, (*_MODALITIES, TOKENS), "an MMSA pickle")
        layout = corpus.provenance.get("layout", {}) if corpus.provenance.get("format") == "mmsa" else {}
        writing = _Writing(corpus, layout, label)
        if layout.get("single") and len(corpus) == 1:
            write_pickle(path, _single(writing.fold("", list(corpus))))
            return writing.kept(())
        whole: dict[str, Any] = {name: writing.fold(name, u) for name, u in fold_rows(corpus, split, fold).items()}
        if "config" in layout:
            whole["config"] = layout["config"]
        write_pickle(path, whole)
        return writing.kept((chosen_split(corpus, split),))


def _one_sample(sample: dict[str, Any], path: Path) -> dict[str, Any]:
    """A sample without a batch axis as a fold of one."""
    keys = [k for k in (*_MODALITIES, "text_bert") if k in sample]
    if not keys:
        known = ", ".join(list(sample)[:8])
        raise FormatError(f"has neither folds nor modalities, but the keys {known}", file=path)
    fold = {k: np.asarray(sample[k])[None] for k in keys}
    rest = {k: [sample[k]] for k in ("id", "raw_text", "align", *_LABELS) if k in sample}
    return {"id": [path.stem], **fold, **rest}


def _override(folds: dict[str, dict[str, Any]], modality: str, file: Path, path: Path) -> None:
    other, _ = load_folds(file)
    for name, fold in folds.items():
        theirs = other.get(name, {})
        if modality not in theirs:
            raise FormatError(f"has no {modality!r}", file=file, place=name or "top level")
        ours = texts_of(fold.get("id", []), path, f"{name}/id")
        if ours and "id" in theirs and ours != texts_of(theirs["id"], file, f"{name}/id"):
            raise DataError("has other ids, or the same in another order", file=file, place=name)
        for key in (modality, f"{modality}_lengths"):
            fold.pop(key, None)
            if key in theirs:
                fold[key] = theirs[key]


class _Reading:
    """Folds of one pickle on their way to a corpus."""

    def __init__(self, folds: dict[str, dict[str, Any]], path: Path, findings: Findings, source: str) -> None:
        self._folds, self._path, self._findings, self._source = folds, path, findings, source
        self._counts = row_counts(folds, _KNOWN, path)
        self._texts = {
            name: {key: texts_of(fold[key], path, f"{name}/{key}".lstrip("/")) for key in _TEXTS if key in fold}
            for name, fold in folds.items()
        }
        self._blocks = [b for fold in folds for b in self._fold_blocks(fold)]
        self._labels = [label for key in _LABELS if (label := self._label(key)) is not None]
        self._classes = self._label_array("classification", "classification_labels", None, None)
        self._polarity = self._polarity_label()

    def _fold_blocks(self, name: str) -> list[Block]:
        fold, blocks = self._folds[name], []
        for key in _MODALITIES:
            if key in fold:
                lengths = fold.get(f"{key}_lengths")
                blocks.append(Block.of(key, key, name, fold[key], self._path, lengths=lengths))
        if "text_bert" in fold:
            tokens = np.asarray(fold["text_bert"])
            if tokens.ndim != 3 or tokens.shape[1] != len(_TOKEN_COLUMNS):
                problem = f"has shape {tokens.shape}, not (N, 3, L)"
                raise FormatError(problem, file=self._path, place=f"{name}/text_bert")
            turned = tokens.transpose(0, 2, 1)
            blocks.append(Block.of(TOKENS, "text_bert", name, turned, self._path, dtype="int32"))
        return blocks

    def _label(self, key: str) -> LabelArray | None:
        return self._label_array("sentiment", key, self._customary(key), _LABELS[key])

    def _customary(self, key: str) -> tuple[float, float]:
        sims = any("regression_labels_T" in fold for fold in self._folds.values())
        return _NARROW if sims else _WIDE

    def _label_array(
        self, name: str, key: str, range: tuple[float, float] | None, modality: str | None
    ) -> LabelArray | None:
        arrays = {fold: values[key] for fold, values in self._folds.items() if key in values}
        if not arrays:
            return None
        number = key in _LABELS
        return LabelArray(name, key, arrays, self._path, range=range, modality=modality, number=number)

    def _polarity_label(self) -> LabelSpecification | None:
        found = {v for texts in self._texts.values() for v in texts.get("annotations", [])}
        if not found - {""}:
            return None
        classes = _POLARITY if found <= {*_POLARITY, ""} else tuple(sorted(found - {""}))
        return LabelSpecification("polarity", "multiclass", classes)

    def corpus(self, rest: dict[str, Any], aligned: bool | None, duplicates: Duplicates) -> Corpus:
        floats = [b for b in self._blocks if b.modality != TOKENS]
        streams = positional_streams(floats, self._source, one_clock(floats, aligned), self._path)
        if len(floats) < len(self._blocks):
            streams[TOKENS] = StreamSpecification(TOKENS, _TOKEN_COLUMNS, dtype="int32")
        sides = dict.fromkeys(streams, "right")
        together = any(s.clock == "words" for s in streams.values())
        cutter = Cutter(self._blocks, streams, aligned=together, findings=self._findings, sides=sides)
        ids, renamed = unique(self._ids(), duplicates, self._path, self._findings)
        utterances = [
            self._utterance(cutter, f, row, name) for f, names in ids.items() for row, name in enumerate(names)
        ]
        for key in _INSTEAD:
            having = {name for name, fold in self._folds.items() if key in fold}
            if having or key == "id":
                tell_absent(self._findings, key, having, ids, _INSTEAD[key])
        arrays = [*self._labels, *([self._classes] if self._classes else [])]
        for array in arrays:
            array.tell(self._findings, ids)
        labels = [s for array in arrays for s in array.specifications] + ([self._polarity] if self._polarity else [])
        layout = self._layout(cutter, arrays, renamed, rest)
        provenance = {"format": "mmsa", "layout": layout, "findings": self._findings.to_json()}
        return Corpus.from_utterances(utterances, Specification(tuple(streams.values()), tuple(labels)), provenance)

    def _layout(
        self, cutter: Cutter, arrays: Sequence[LabelArray], renamed: dict[str, str], rest: dict[str, Any]
    ) -> dict[str, Any]:
        keys = {key: None for fold in self._folds.values() for key in fold}
        for key in [k for k in keys if k not in _KNOWN]:
            self._findings.add(Finding("dropped", str(key), action="a key that this format does not have"))
        for key in [k for k in rest if k != "config"]:
            self._findings.add(Finding("dropped", key, action="a key beside the folds"))
        kept = [k for k in keys if k in _KNOWN]
        first = next(iter(self._folds.values()))
        layout: dict[str, Any] = {"modalities": cutter.layout(), "keys": kept, "renamed": renamed}
        layout["labels"] = [array.layout() for array in arrays]
        layout["types"] = {k: "list" if isinstance(first.get(k), list) else "array" for k in kept}
        layout["tokens"] = str(np.asarray(first["text_bert"]).dtype) if "text_bert" in first else "float32"
        layout["single"] = "" in self._folds
        if "config" in rest:
            layout["config"] = _builtins(rest["config"])
        return layout

    def _ids(self) -> dict[str, list[str]]:
        ids = {}
        for name, count in self._counts.items():
            ids[name] = self._texts[name].get("id") or [f"{name}-{row:05d}" for row in range(count)]
        return ids

    def _utterance(self, cutter: Cutter, fold: str, row: int, name: str) -> Utterance:
        values, texts = self._folds[fold], self._texts[fold]
        labels = {k: v for label in self._labels for k, v in label.values(fold, row).items()}
        if self._classes is not None:
            labels |= self._classes.values(fold, row)
        polarity = texts["annotations"][row] if "annotations" in texts else ""
        if polarity:
            labels["polarity"] = polarity
        video = _video(name)
        return Utterance(
            name,
            cutter.streams(fold, row, name),
            self._words(values["align"][row], name) if values.get("align") is not None else None,
            texts["raw_text"][row] if "raw_text" in texts else "",
            labels,
            {"video": video} if video else {},
            {"standard": fold} if fold else {},
            video,
        )

    def _words(self, rows: Any, name: str) -> Words | None:
        try:
            text = tuple(texts_of((word["text"] for word in rows), self._path, f"align of {name}"))
            times = np.array([[word["start"], word["end"]] for word in rows], np.float64).reshape(-1, 2)
            confidence = np.array([word.get("conf", np.nan) for word in rows], np.float32)
        except (TypeError, KeyError, ValueError) as cause:
            problem = f"is no list of text, start, end and conf: {cause!r}"
            raise FormatError(problem, file=self._path, place=f"align of {name}") from cause
        empty = [i for i, word in enumerate(text) if not word]
        untimed = np.flatnonzero(~np.isfinite(times).all(axis=1)).tolist()
        if untimed:
            action = "a word without a time, which alignment skips"
            self._findings.add(Finding("untimed", name, "words", row=untimed[0], count=len(untimed), action=action))
        if empty:
            action = "kept as an empty word"
            self._findings.add(Finding("empty", name, "words", row=empty[0], count=len(empty), action=action))
        return Words(text, times, confidence)


def _video(name: str) -> str:
    return name.partition("$_$")[0] if "$_$" in name else ""


def _builtins(value: Any) -> Any:
    """A configuration as JSON can hold it."""
    if isinstance(value, dict):
        return {str(k): _builtins(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset | np.ndarray):
        return [_builtins(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    finite = not isinstance(value, float) or np.isfinite(value)
    return value if isinstance(value, str | int | float | bool | None) and finite else str(value)


class _Writing:
    """Utterances on their way to the folds of a pickle."""

    def __init__(self, corpus: Corpus, layout: Mapping[str, Any], label: str | None) -> None:
        self._corpus, self._layout = corpus, layout
        self._streams = {s.modality: s for s in corpus.specification.streams}
        self._labels = {v.key: v for v in corpus.specification.labels}
        self._main = None if layout and label is None else self._main_label(label)
        clocks = {s.clock for s in self._streams.values() if s.modality != TOKENS}
        self._lengths = "audio_lengths" in layout["keys"] if layout else clocks != {"words"}

    def kept(self, splits: tuple[str, ...]) -> Kept:
        """What the folds hold of the corpus."""
        keys = self._layout.get("keys")
        labels = [key for layout in self._layout.get("labels", []) for key in layout["labels"]]
        labels += ["polarity"] if keys and "annotations" in keys else []
        if self._main is not None:
            labels = [self._main.key, *(f"{self._main.name}@{m}" for m in _LABELS.values() if m)]
        lost = {"times", "extractors", *(() if shares_words(self._corpus) else ("clocks",))}
        lost |= {"text"} if keys is not None and "raw_text" not in keys else set()
        has_words = keys is None or "align" in keys
        return Kept(
            PARTS - lost - {"clip"}, streams=(*_MODALITIES, TOKENS), columns=(TOKENS,), labels=labels, spans=(),
            groups=(), splits=splits,
            words=lambda u: has_words and u.words is not None and u.words.times is not None, video=_video,
        )  # fmt: skip

    def _main_label(self, label: str | None) -> LabelSpecification | None:
        numbers = [v for v in self._labels.values() if v.is_number]
        if label is not None:
            return self._corpus.specification.label(label)
        named = [v for v in numbers if v.key == "sentiment"] or numbers
        if len(named) > 1:
            raise DataError("has several regression labels", remedy="name the one for regression_labels (label=)")
        return named[0] if named else None

    def fold(self, name: str, utterances: list[Utterance]) -> dict[str, Any]:
        kept = self._layout.get("keys")
        types, renamed = self._layout.get("types", {}), self._layout.get("renamed", {})
        found: dict[str, Any] = {
            "raw_text": like([u.text for u in utterances], types.get("raw_text")),
            "id": like([renamed.get(u.id, u.id) for u in utterances], types.get("id")),
            **self._arrays(name, utterances),
            **self._label_arrays(utterances, types),
        }
        if any(u.words is not None and u.words.times is not None for u in utterances):
            found["align"] = [_word_rows(u.words) for u in utterances]
        return found if kept is None else {k: found[k] for k in kept if k in found}

    def _arrays(self, name: str, utterances: list[Utterance]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for modality, stream in self._streams.items():
            stored = self._layout.get("modalities", {}).get(modality, {})
            length = stored.get("length", {}).get(name)
            values, lengths = pad_fold(utterances, stream, side="right", length=length)
            if modality == TOKENS:
                dtype = self._layout.get("tokens", "float32")
                found["text_bert"] = np.ascontiguousarray(values.transpose(0, 2, 1)).astype(dtype)
                continue
            found[modality] = values
            if self._lengths and modality != "text":
                told = stored.get("missing_lengths", {})
                found[f"{modality}_lengths"] = [
                    told.get(u.id, n) for u, n in zip(utterances, lengths.tolist(), strict=True)
                ]
        return found

    def _label_arrays(self, utterances: list[Utterance], types: Mapping[str, str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for layout in self._layout.get("labels", []) if self._main is None else []:
            found[layout["key"]] = encode(utterances, [self._labels[k] for k in layout["labels"]], layout)
        if self._main is not None:
            numbers = encode(utterances, [self._main])
            found["regression_labels"] = numbers
            found["classification_labels"] = np.where(numbers < 0, 0, np.where(numbers > 0, 2, 1))
            found["annotations"] = np.array([_POLARITY[c] for c in found["classification_labels"]], dtype=np.str_)
            for key, modality in _LABELS.items():
                own = self._labels.get(f"{self._main.name}@{modality}")
                if modality and own is not None:
                    found[key] = encode(utterances, [own])
        elif "polarity" in self._labels:
            polarity = [str(u.labels.get("polarity", "")) for u in utterances]
            found["annotations"] = like(polarity, types.get("annotations"))
        return found


def _word_rows(words: Words | None) -> list[dict[str, Any]]:
    if words is None or words.times is None:
        return []
    confidence = np.full(len(words), np.nan) if words.confidence is None else words.confidence
    rows = zip(words.text, words.times.tolist(), confidence.tolist(), strict=True)
    return [{"text": t, "start": start, "end": end, "conf": conf} for t, (start, end), conf in rows]


def _single(fold: dict[str, Any]) -> dict[str, Any]:
    """A fold of one as MMSA's single sample, without the batch axis."""
    return {k: v[0] for k, v in fold.items() if k not in ("id", "audio_lengths", "vision_lengths")}
