"""The table of words: one row per spoken word, one column per feature, for pandas and whatever else reads tables.

It is registered as the format ``words`` beside those of the part ``formats``, and stands here because its rows are what
:func:`trivium.align` makes of a corpus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trivium.align.words import align
from trivium.corpus import Aligned, Corpus, Specification
from trivium.errors import AlignmentError
from trivium.files import atomic_file
from trivium.formats.findings import NonFinite
from trivium.formats.losses import Kept
from trivium.formats.tables import PandasFormat
from trivium.progress import progress_bar

__all__ = ["WordsFormat", "word_tables"]

_ROWS_AT_ONCE = 256
_MANY_UTTERANCES = 2_000


class WordsFormat:
    """Writer of word rows as a Parquet or CSV file; what it wrote reads back as the long layout of ``pandas``."""

    name = "words"

    def detect(self, path: Path) -> str | None:
        """Nothing: a table of words is a long table of the format ``pandas``, which finds it."""
        return None

    def read(self, path: Path, *, nonfinite: NonFinite = "reference", source: str | None = None) -> Corpus:
        """Read a table of words as the format ``pandas`` does: the steps of all modalities are its words.

        Parameters
        ----------
        path : Path
            The file.
        nonfinite : {"reference", "keep", "zero", "error"}
            ``reference`` keeps NaN and infinite cells.
        source : str, optional
            Name of the distribution.
        """
        return PandasFormat().read(path, nonfinite=nonfinite, source=source)

    def write(self, corpus: Corpus, path: Path) -> Kept:
        """Write a Parquet file, or CSV where the name ends in ``.csv``; memory does not grow with the corpus.

        Parameters
        ----------
        corpus : Corpus
            With words, or with streams whose steps are words. Token ids have no mean and are left out.
        path : Path
            The file.

        Raises
        ------
        AlignmentError
            No utterance has words with times, or a stream cannot be put on them.
        """
        rows, schema = 0, _schema(corpus.specification)
        with (
            atomic_file(path) as draft,
            _opened(draft, schema, as_text=path.suffix.lower() == ".csv") as writer,
            progress_bar("writing", len(corpus), show=len(corpus) > _MANY_UTTERANCES) as bar,
        ):
            for part in _parts(corpus):
                table = _table(part, schema)
                writer.write_table(table)
                rows += len(table)
                bar.advance(len(part))
            if len(corpus) and not rows:
                raise AlignmentError("no utterance has words with times", remedy="extract or time the words first")
        kept = [s.modality for s in corpus.specification.streams if s.dtype == "float32"]
        return Kept(
            frozenset({"word times", "word confidence", "clip", "clocks"}),
            streams=kept,
            labels=(),
            spans=(),
            groups=(),
            splits=(),
        )


def _opened(draft: Path, schema: pa.Schema, *, as_text: bool) -> AbstractContextManager[Any]:
    import pyarrow.csv
    import pyarrow.parquet

    make: Callable[[str, pa.Schema], AbstractContextManager[Any]]
    make = pyarrow.csv.CSVWriter if as_text else pyarrow.parquet.ParquetWriter
    return make(str(draft), schema)


def _parts(corpus: Corpus) -> Iterator[Corpus]:
    chosen = corpus.select(s.modality for s in corpus.specification.streams if s.dtype == "float32")
    for start in range(0, len(chosen), _ROWS_AT_ONCE):
        yield chosen[start : start + _ROWS_AT_ONCE]


def _schema(specification: Specification) -> pa.Schema:
    first = [("id", pa.string()), ("clip", pa.string()), ("start", pa.float64()), ("end", pa.float64())]
    columns = [f"{s.modality}.{c}" for s in specification.streams if s.dtype == "float32" for c in s.columns]
    return pa.schema(
        [*first, ("word", pa.string()), ("confidence", pa.float32()), *((name, pa.float32()) for name in columns)]
    )


def word_tables(corpus: Corpus) -> Iterator[pa.Table]:
    """One row per word, a table for every 256 utterances.

    A cell is the mean of all steps of its stream that share time with the word (as :func:`trivium.align` gives it), and
    empty where there is none: no face during that word.

    Parameters
    ----------
    corpus : Corpus
        What to write; an utterance without words gives no row.

    Yields
    ------
    pyarrow.Table
        Columns ``id``, ``clip``, ``start`` and ``end`` of the word in seconds of the clip (empty where unknown),
        ``word``, its ``confidence`` (empty where unknown), then ``modality.column`` as float32.

    Raises
    ------
    AlignmentError
        A stream cannot be put on the words.

    Examples
    --------
    >>> from trivium.corpus import Stream, StreamSpecification, Utterance, Words
    >>> voice = StreamSpecification("audio", ("energy",), clock="seconds")
    >>> stream = Stream(np.array([[1.0], [3.0]], np.float32), voice, np.array([[0.0, 0.1], [0.1, 0.2]]))
    >>> spoken = Words(("hi", "there"), np.array([[0.0, 0.2], [0.2, 0.3]]))
    >>> corpus = Corpus.from_utterances([Utterance("a", {"audio": stream}, spoken)], Specification((voice,)))
    >>> next(word_tables(corpus)).select(["id", "word", "audio.energy"]).to_pylist()
    [{'id': 'a', 'word': 'hi', 'audio.energy': 2.0}, {'id': 'a', 'word': 'there', 'audio.energy': None}]
    """
    schema = _schema(corpus.specification)
    for part in _parts(corpus):
        yield _table(part, schema)


def _confidence(part: Corpus, aligned: Aligned) -> NDArray[np.float32]:
    """How sure each word is, for every row of the table; NaN where that is unknown."""
    rows = [np.full(count, np.nan, np.float32) for count in aligned.mask.sum(axis=1)]
    for own, utterance in zip(rows, part.select(()), strict=True):
        words = utterance.words
        # rows without times of words come from the steps of a stream, which need not be as many
        if words is not None and words.confidence is not None and len(words) == len(own):
            own[:] = words.confidence
    return np.concatenate(rows)


def _table(part: Corpus, schema: pa.Schema) -> pa.Table:
    aligned = align(part, need_words=False, show=False)
    known = aligned.mask
    owner = np.nonzero(known)[0]
    spans, cells, seen = aligned.spans[known], aligned.values[known], aligned.cell_mask[known]
    columns: list[NDArray[Any]] = [aligned.ids[owner], aligned.table["clip"][owner], *spans.T, aligned.words[known]]
    columns.append(_confidence(part, aligned))
    arrays = [pa.array(column, field.type, from_pandas=True) for column, field in zip(columns, schema, strict=False)]
    place = 0
    for number, stream in enumerate(aligned.specification.streams):
        own = np.ascontiguousarray(cells[:, place : place + stream.dim].T)
        arrays += [pa.array(column, mask=~seen[:, number]) for column in own]
        place += stream.dim
    return pa.Table.from_arrays(arrays, schema=schema)
