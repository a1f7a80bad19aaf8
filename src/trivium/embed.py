"""Embedding: a clip, a folder of clips, or a corpus of any readable form becomes one vector per utterance.

No torch and no scikit-learn. Work is done in chunks: while the encoder is busy with one, the next is read, aligned and
scaled in another thread, so memory does not grow with the corpus.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from trivium.corpus import Aligned, Corpus, Utterance
from trivium.corpus.manifest import MANIFEST
from trivium.errors import AlignmentError, DataError, FormatError, MediaError, TriviumError, UnsafeFileError
from trivium.files import atomic_file, canonical_json, sha256_bytes
from trivium.progress import Bar, progress_bar
from trivium.scale import POOLED, REFIT
from trivium.weights import PredictorWeights, Weights, load_weights

__all__ = ["Embedded", "answer", "embed", "embed_chunks", "embed_to_file", "failed_clips", "open_source"]

_ROWS = 128  # most utterances per chunk
_ROW_GROUP_BYTES = 8 << 20
_EXTRACTED = ("text", "audio", "vision")
_SOUGHT = {"audio": "voice", "vision": "face"}
Source = Corpus | str | os.PathLike[str]
Transcripts = str | os.PathLike[str] | Mapping[str, str] | None


@dataclass(frozen=True)
class Embedded:
    """What :func:`embed_to_file` did.

    Parameters
    ----------
    path : Path
        The table.
    rows, features : int
        Its vectors and their length K.
    present : mapping of str to int
        Vectors by modality that was there.
    failures : tuple of mapping
        Clips that could not be read, with ``id``, ``clip`` and ``reason``.
    """

    path: Path
    rows: int
    features: int
    present: Mapping[str, int]
    failures: tuple[Mapping[str, str], ...] = field(default=())


def open_source(
    source: Source, weights: Weights | PredictorWeights, *, transcripts: Transcripts = None, show: bool = True
) -> Corpus:
    """Corpus of whatever is to be embedded.

    Parameters
    ----------
    source : Corpus or path
        A corpus or its folder, a file or folder of any format that :func:`trivium.read` knows, a clip, or a folder of
        clips. Clips are extracted first: words, and the other modalities that the weights take, by the extractors
        that made what the weights learned from.
    weights : Weights
        Say which modalities are needed.
    transcripts : path or mapping of str to str, optional
        What is said in the clips, where it need not be recognised: text by id, or a folder with a file ``ID.txt`` per
        clip.
    show : bool
        Whether to show progress.

    Raises
    ------
    FormatError
        The source is none of these.
    SpecificationError
        Clips cannot be extracted as the weights need them.
    MediaError
        No clip could be read, or nobody speaks in any of them (where a predictor keeps the clocks of its modalities:
        and there is no face or voice that it takes). Where some are left, the others are among the ``failures`` in the
        corpus' provenance.
    """
    if isinstance(source, Corpus):
        return source
    from trivium.formats import detect, read

    path = Path(source)
    try:
        form = detect(path)
    except UnsafeFileError:
        raise
    except FormatError:
        if not _holds_media(path):
            raise
        form = "clips"
    return _extract(path, weights, transcripts, show) if form == "clips" else read(path, format=form)


def failed_clips(source: Source, corpus: Corpus) -> tuple[Mapping[str, str], ...]:
    """Clips of `source` that :func:`open_source` could not extract; what failed when a stored corpus was made is past.

    Parameters
    ----------
    source : Corpus or path
        What was opened.
    corpus : Corpus
        What came of it.
    """
    stored = isinstance(source, Corpus) or (Path(source) / MANIFEST).is_file()
    return () if stored else tuple(corpus.provenance.get("failures", ()))


def _holds_media(path: Path) -> bool:
    from trivium.extract.source.listing import MEDIA_ENDINGS

    return any(file.suffix.lower() in MEDIA_ENDINGS for file in ([path] if path.is_file() else path.rglob("*")))


def _extract(path: Path, weights: Weights | PredictorWeights, transcripts: Transcripts, show: bool) -> Corpus:
    from trivium.align import cut_into_windows
    from trivium.extract import extract_clips
    from trivium.extract.choice import requests_for

    # a text that a predictor reads from the words themselves has no extractor
    taken = weights.columns if isinstance(weights, PredictorWeights) else weights.specification
    requests = requests_for(taken.streams)
    # the words are the steps, also where the weights do not take the text
    wanted = [m for m in _EXTRACTED if m == "text" or m in requests]
    text, audio, vision = (requests.get(modality, "") for modality in _EXTRACTED)
    extracted = extract_clips(
        path, transcripts=transcripts, modalities=wanted, text=text, audio=audio, vision=vision, show=show
    )
    # without words there are no steps, but for modalities of a predictor that keep their own clocks
    own_clocks = isinstance(weights, PredictorWeights) and not weights.config.words
    enough = [stream.modality for stream in taken.streams if own_clocks and stream.clock != "words"]
    spoken = _usable(extracted, path, enough)
    return cut_into_windows(spoken, weights.window) if weights.window else spoken


def _usable(extracted: Corpus, path: Path, enough: Sequence[str] = ()) -> Corpus:
    """Clips in which somebody speaks, or with one of the modalities that are `enough`; others join the failures."""

    def usable(one: Utterance) -> bool:
        seen = any(name in one.streams and one.streams[name].steps for name in enough if name != "text")
        return seen or (one.words is not None and len(one.words) > 0)

    silent = [u for u in extracted if not usable(u)]
    if not silent:
        return extracted
    sought = [_SOUGHT[name] for name in enough if name in _SOUGHT]
    why = " and ".join(["no speech", *(f"no {one}" for one in sought)]) + (" were" if sought else " was") + " found"
    failures = [*extracted.provenance["failures"], *({"id": u.id, "clip": u.clip, "reason": why} for u in silent)]
    if len(silent) == len(extracted):
        said = why if path.is_file() else "; ".join(f"{f['clip']}: {f['reason']}" for f in failures[:3])
        more = f"; and {len(failures) - 3} more" if len(failures) > 3 else ""
        raise MediaError(said + more, file=path, remedy="give transcripts, or other clips")
    kept = (u for u in extracted if usable(u))
    return Corpus.from_utterances(kept, extracted.specification, {**extracted.provenance, "failures": failures})


def embed(
    source: Source,
    weights: Weights | str | os.PathLike[str],
    *,
    scaler: str = POOLED,
    transcripts: Transcripts = None,
    modalities: Sequence[str] = (),
    show: bool = True,
) -> pa.Table:
    """One vector per utterance, as a table in memory.

    Parameters
    ----------
    source : Corpus or path
        See :func:`open_source`. A clip with more words than the weights take becomes several utterances.
    weights : Weights or path
        See :func:`trivium.load_weights`.
    scaler : str
        ``pooled``, the name of a pretraining corpus, or ``refit``: statistics of the source itself, which is held in
        memory as a whole for it.
    transcripts : path or mapping of str to str, optional
        See :func:`open_source`.
    modalities : sequence of str
        Mask the others; empty keeps all.
    show : bool
        Whether to show progress.

    Returns
    -------
    pyarrow.Table
        ``id``, ``clip``, ``start`` and ``end`` in seconds (NaN where unknown), ``vector`` (K float32), and
        ``modality_NAME`` for each modality of the weights: whether it was there at any word.

    Raises
    ------
    SpecificationError
        The columns do not fit the weights; they are named.
    WeightsError
        The weights are incomplete or altered.

    Examples
    --------
    >>> import tempfile
    >>> from trivium.corpus import Stream, Utterance, Words
    >>> from trivium.weights.example import EXAMPLE, example_weights
    >>> voice = Stream(np.ones((2, 2), np.float32), EXAMPLE.stream("audio"))
    >>> corpus = Corpus.from_utterances([Utterance("a", {"audio": voice}, Words(("hi", "there")))], EXAMPLE)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     weights = example_weights(Path(folder) / "example")
    ...     table = embed(corpus, weights)
    >>> table.column_names
    ['id', 'clip', 'start', 'end', 'vector', 'modality_text', 'modality_audio']
    >>> table["modality_text"].to_pylist(), len(table["vector"][0])
    ([False], 3)
    """
    opened = weights if isinstance(weights, Weights) else load_weights(weights)
    corpus = open_source(source, opened, transcripts=transcripts, show=show)
    chunks = embed_chunks(corpus, opened, scaler=scaler, modalities=modalities, show=show)
    return pa.Table.from_batches(_named(chunks, source), _schema(opened, scaler))


def embed_to_file(
    source: Source,
    weights: Weights | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    scaler: str = POOLED,
    transcripts: Transcripts = None,
    show: bool = True,
) -> Embedded:
    """Write one vector per utterance to a Parquet file, whole or not at all; memory does not grow with the source.

    Parameters
    ----------
    source, weights, scaler, transcripts, show
        See :func:`embed`, also for the columns and the errors.
    out : path
        The file; replaced if it exists.
    """
    opened = weights if isinstance(weights, Weights) else load_weights(weights)
    corpus = open_source(source, opened, transcripts=transcripts, show=show)
    schema, rows = _schema(opened, scaler), 0
    present = dict.fromkeys(opened.specification.modalities, 0)
    with (
        atomic_file(out) as draft,
        # a dictionary of vectors that all differ would only cost time
        pq.ParquetWriter(draft, schema, compression="zstd", use_dictionary=False) as writer,
    ):
        for table in _grouped(_named(embed_chunks(corpus, opened, scaler=scaler, show=show), source), schema):
            writer.write_table(table)
            rows += len(table)
            for modality in present:
                present[modality] += int(np.count_nonzero(table[f"modality_{modality}"].to_numpy()))
    return Embedded(Path(out), rows, opened.n_features, present, failed_clips(source, corpus))


def _named(batches: Iterator[pa.RecordBatch], source: Source) -> Iterator[pa.RecordBatch]:
    """The same batches; their errors name the source."""
    try:
        yield from batches
    except TriviumError as error:
        if isinstance(source, Corpus):
            raise
        raise error.located(source) from error


def _grouped(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Batches joined to row groups of at most 8 MB."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        if waiting and sum(b.nbytes for b in waiting) + batch.nbytes > _ROW_GROUP_BYTES:
            yield pa.Table.from_batches(waiting, schema)
            waiting = []
        waiting.append(batch)
    if waiting:
        yield pa.Table.from_batches(waiting, schema)


def embed_chunks(
    corpus: Corpus, weights: Weights, *, scaler: str = POOLED, modalities: Sequence[str] = (), show: bool = True
) -> Iterator[pa.RecordBatch]:
    """Vectors of a corpus, a few utterances at a time; columns as in :func:`embed`.

    Parameters
    ----------
    corpus : Corpus
        Utterances with the modalities of the weights, or some of them.
    weights : Weights
        The representation.
    scaler, modalities
        See :func:`embed`.
    show : bool
        Whether to show progress.

    Raises
    ------
    AlignmentError
        No utterance has words. Where some have, the others get a vector with every modality masked.
    """
    schema = _schema(weights, scaler)
    chunks = 1 if scaler == REFIT else -(-len(corpus) // _ROWS)
    edges = np.linspace(0, len(corpus), chunks + 1).astype(int) if len(corpus) else np.zeros(1, int)
    told = False
    with progress_bar("embedding", len(corpus), show=show) as bar:
        for aligned, matrices in _prepared(corpus, weights, scaler, modalities, list(pairwise(edges.tolist()))):
            told = told or bool(aligned.mask.any())
            yield _encoded(aligned, matrices, weights, schema, bar)
    if len(corpus) and not told:
        raise AlignmentError("no utterance has words with times", remedy="extract or time the words first")


def _prepared(
    corpus: Corpus, weights: Weights, scaler: str, modalities: Sequence[str], chunks: list[tuple[int, int]]
) -> Iterator[tuple[Aligned, NDArray[np.float32]]]:
    """Aligned utterances and their scaled matrices, one chunk ahead of whoever takes them."""

    def prepare(chunk: tuple[int, int]) -> tuple[Aligned, NDArray[np.float32]]:
        # one part may have no words where others have some; without any, statistics of the source have no cells
        part = weights.align(corpus[slice(*chunk)], need_words=scaler == REFIT, show=False)
        aligned = weights.fit_columns(part)
        if modalities:
            aligned = aligned.only(modalities)
        return aligned, weights.scalers.transform(aligned, scaler)

    with ThreadPoolExecutor(1, thread_name_prefix="reader") as reader:
        ahead = None
        for chunk in chunks:
            following = reader.submit(prepare, chunk)
            if ahead is not None:
                yield ahead.result()
            ahead = following
        if ahead is not None:
            yield ahead.result()


def _encoded(
    aligned: Aligned, matrices: NDArray[np.float32], weights: Weights, schema: pa.Schema, bar: Bar
) -> pa.RecordBatch:
    vectors = weights.encoder(matrices)
    if not np.isfinite(vectors).all():
        bad = aligned.ids[~np.isfinite(vectors).all(axis=1)]
        raise DataError(f"{len(bad)} vectors are not finite", place=f"utterance {bad[0]}", remedy="check its values")
    bar.advance(len(aligned))
    return pa.RecordBatch.from_arrays(
        [
            pa.array(aligned.ids.tolist(), pa.string()),
            pa.array(aligned.table["clip"].tolist(), pa.string()),
            pa.array(aligned.table["start"], pa.float64()),
            pa.array(aligned.table["end"], pa.float64()),
            _lists(vectors),
            *(pa.array(seen.any(axis=1), pa.bool_()) for seen in np.moveaxis(aligned.cell_mask, 2, 0)),
        ],
        schema=schema,
    )


def _lists(vectors: NDArray[np.float32]) -> pa.Array:
    ends = np.arange(len(vectors) + 1, dtype=np.int32) * vectors.shape[1]
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(vectors.ravel()))


def _schema(weights: Weights, scaler: str) -> pa.Schema:
    fields: list[tuple[str, Any]] = [("id", pa.string()), ("clip", pa.string())]
    fields += [("start", pa.float64()), ("end", pa.float64()), ("vector", pa.list_(pa.float32()))]
    fields += [(f"modality_{name}", pa.bool_()) for name in weights.specification.modalities]
    which = sha256_bytes(canonical_json(dict(weights.hashes)).encode())
    return pa.schema(fields, metadata={"trivium.weights": which, "trivium.scaler": scaler})


def answer(
    source: Source,
    weights: Weights | str | os.PathLike[str],
    *,
    scaler: str = POOLED,
    transcripts: Transcripts = None,
    show: bool = True,
) -> list[dict[str, Any]]:
    """What the head of the weights says of every utterance.

    Parameters
    ----------
    source, weights, scaler, transcripts, show
        See :func:`embed`.

    Returns
    -------
    list of dict
        ``id``, ``clip``, ``start`` and ``end`` in seconds (None where unknown), ``modalities`` that were
        there and that the head takes, ``label``, ``answer``, ``distance`` from what the head learned from
        (:meth:`trivium.weights.LinearHead.distance`), and for classes ``probabilities`` by class.

    Raises
    ------
    WeightsError
        The weights have no head.

    Examples
    --------
    >>> import tempfile
    >>> from trivium.corpus import Stream, Utterance, Words
    >>> from trivium.weights.example import EXAMPLE, example_weights
    >>> voice = Stream(np.ones((2, 2), np.float32), EXAMPLE.stream("audio"))
    >>> corpus = Corpus.from_utterances([Utterance("a", {"audio": voice}, Words(("hi", "there")))], EXAMPLE)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     weights = example_weights(Path(folder) / "example")
    ...     row = answer(corpus, weights)[0]
    >>> row["label"], row["modalities"], round(sum(row["probabilities"].values()), 6)
    ('mood', ['audio'], 1.0)
    """
    opened = weights if isinstance(weights, Weights) else load_weights(weights)
    head = opened.require_head()
    table = embed(source, opened, scaler=scaler, transcripts=transcripts, modalities=head.modalities, show=show)
    vectors = table["vector"].combine_chunks().flatten().to_numpy().reshape(-1, opened.n_features)
    answers = [_answer(row, head.label) for row in table.drop_columns("vector").to_pylist()]
    told = zip(answers, head.predict(vectors).tolist(), head.distance(vectors).tolist(), strict=True)
    for row, said, distance in told:
        row |= {"answer": said, "distance": distance}
    if head.kind == "classes":
        for row, shares in zip(answers, head.predict_proba(vectors).tolist(), strict=True):
            row["probabilities"] = dict(zip(head.classes, shares, strict=True))
    return answers


def _answer(row: Mapping[str, Any], label: str) -> dict[str, Any]:
    there = [name.removeprefix("modality_") for name, seen in row.items() if name.startswith("modality_") and seen]
    times = {name: None if np.isnan(row[name]) else row[name] for name in ("start", "end")}
    return {"id": row["id"], "clip": row["clip"], **times, "modalities": there, "label": label}
