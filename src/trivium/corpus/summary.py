"""What is inside a corpus folder, in numbers: what ``trivium inspect`` shows and result pages quote."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.corpus.corpus import Corpus
from trivium.corpus.manifest import Manifest, read_manifest, shard_batches
from trivium.corpus.specification import LabelSpecification, StreamSpecification
from trivium.corpus.store import check_corpus
from trivium.corpus.table import list_lengths, numbers, valid
from trivium.progress import progress_bar

__all__ = ["summary"]

_MANY_ROWS = 5_000


def summary(path: str | os.PathLike[str], *, check: bool = False) -> dict[str, Any]:
    """Describe a corpus folder: counts, modalities, labels, groups, splits, provenance.

    Values are read row group by row group to count non-finite cells; the cache is neither needed nor built.

    Parameters
    ----------
    path : path
        The folder.
    check : bool
        Also compare every hash, length and label with what the folder promises.

    Returns
    -------
    dict
        Plain builtins. ``steps`` are minimum, median and maximum over the utterances that have the modality.

    Raises
    ------
    FormatError
        Names the file and the place of what is wrong.

    Examples
    --------
    >>> import tempfile
    >>> from trivium.corpus import Specification, Utterance
    >>> one = Corpus.from_utterances([Utterance("a", groups={"speaker": "x"})], Specification(()))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     one.save(Path(folder) / "tiny")
    ...     summary(Path(folder) / "tiny")["groups"]
    {'speaker': {'values': 1, 'missing': 0}}
    """
    folder = Path(path)
    manifest = check_corpus(folder) if check else read_manifest(folder)
    corpus = Corpus.open(folder)
    bad, words = _read_through(folder, manifest)
    return {
        "path": str(folder),
        "utterances": len(corpus),
        "content_hash": manifest.content_hash,
        "checked": check,
        "shards": len(manifest.shards),
        "bytes": sum(shard.bytes for shard in manifest.shards),
        "clips": _values(corpus.column("clip")),
        "spans": _spans(corpus),
        "words": words,
        "modalities": [_modality(corpus, stream, bad[stream.modality]) for stream in corpus.specification.streams],
        "labels": [_label(corpus, label) for label in corpus.specification.labels],
        "groups": {name: _values(corpus.group(name)) for name in corpus.groups()},
        "splits": {name: _counts(corpus.split(name)) for name in corpus.splits()},
        "provenance": dict(corpus.provenance),
    }


def _read_through(folder: Path, manifest: Manifest) -> tuple[dict[str, NDArray[np.int64]], dict[str, int]]:
    """Non-finite cells by column of each modality, and what is known of the words."""
    streams = manifest.specification.streams
    bad = {s.modality: np.zeros(s.dim, dtype=np.int64) for s in streams}
    words = {"utterances": 0, "with_times": 0, "with_confidence": 0, "words": 0}
    names = ["words.text", "words.times", "words.confidence"]
    names += [f"stream.{s.modality}" for s in streams if s.dtype == "float32"]
    with progress_bar("reading", manifest.rows, show=manifest.rows > _MANY_ROWS) as bar:
        for _, _, batch in shard_batches(folder, manifest, names):
            text, times, confidence = (batch.column(name) for name in names[:3])
            found = (valid(text).sum(), valid(times).sum(), valid(confidence).sum(), list_lengths(text).sum())
            words = {name: count + int(new) for (name, count), new in zip(words.items(), found, strict=True)}
            for name in names[3:]:
                columns = bad[name.partition(".")[2]]
                values = numbers(batch.column(name).values)
                rows = values[: len(values) - len(values) % len(columns)].reshape(-1, len(columns))
                columns += (~np.isfinite(rows)).sum(axis=0)
            bar.advance(batch.num_rows)
    return bad, words


def _modality(corpus: Corpus, stream: StreamSpecification, bad: NDArray[np.int64]) -> dict[str, Any]:
    steps = corpus.lengths(stream.modality)
    present = steps[steps >= 0]
    return {
        "modality": stream.modality,
        "columns": list(stream.columns),
        "dim": stream.dim,
        "clock": stream.clock,
        "dtype": stream.dtype,
        "extractor": stream.extractor,
        "version": stream.version,
        "steps": _range(present),
        "missing": int((steps < 0).sum()),
        "empty": int((steps == 0).sum()),
        "nonfinite": {
            "cells": int(bad.sum()),
            "columns": {name: int(n) for name, n in zip(stream.columns, bad, strict=True) if n},
        },
    }


def _range(values: NDArray[Any]) -> dict[str, float] | None:
    if not len(values):
        return None
    return {"min": float(values.min()), "median": float(np.median(values)), "max": float(values.max())}


def _label(corpus: Corpus, label: LabelSpecification) -> dict[str, Any]:
    values = corpus.label(label.key)
    labelled = corpus.labelled(label.key)
    told: dict[str, Any] = {
        "key": label.key,
        "kind": label.kind,
        "modality": label.modality,
        "classes": list(label.classes),
        "range": list(label.range) if label.range else None,
        "missing": int((~labelled).sum()),
    }
    if label.kind == "multilabel":
        positive = (values[labelled] > 0).sum(axis=0)
        return {**told, "counts": dict(zip(label.classes, positive.tolist(), strict=True))}
    if label.is_number:
        low, high = label.range or (-np.inf, np.inf)
        outside = np.flatnonzero(labelled & ((values < low) | (values > high)))
        first = None if not len(outside) else {"row": int(outside[0]), "utterance": str(corpus.ids[outside[0]])}
        return {**told, "found": _range(values[labelled]), "outside": len(outside), "first_outside": first}
    counts = _counts(values)
    return {**told, "counts": {name: counts.get(name, 0) for name in label.classes}}


def _values(column: NDArray[np.str_]) -> dict[str, int]:
    named = column[column != ""]
    return {"values": len(np.unique(named)), "missing": len(column) - len(named)}


def _counts(column: NDArray[np.str_]) -> Mapping[str, int]:
    names, counts = np.unique(column[column != ""], return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def _spans(corpus: Corpus) -> dict[str, float]:
    seconds = corpus.column("end") - corpus.column("start")
    known = seconds[np.isfinite(seconds)]
    return {"known": len(known), "seconds": float(known.sum())}
