"""Words to vectors that do not depend on their context: GloVe and WordLlama.

A static extractor looks up the *spoken* words: lower case, without punctuation, numbers written out (``1999`` is looked
up as ``nineteen`` and ``ninety-nine``). A word that the table lacks is the mean of its parts that the table has, split
at hyphens and as the Penn Treebank splits contractions (``don't``: ``do`` and ``n't``). A word without a known part is
all zeros; the row ``unk`` of a table stands for a rare word like any other and is never used instead. These rules are
our choice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Stream, StreamSpecification
from trivium.errors import DataError
from trivium.extract.words.transcript import Transcript
from trivium.upstream import model, model_folder

__all__ = ["GloveExtractor", "WordllamaExtractor", "static_stream", "vectors_of", "word_parts"]

Array: TypeAlias = NDArray[np.float32]
Lookup: TypeAlias = Callable[[str], Array | None]

_CONTRACTION = re.compile(r"(?P<stem>.+?)(?P<rest>n't|'(?:s|m|d|re|ve|ll|t)|')$")


def word_parts(word: str) -> tuple[str, ...]:
    """Parts that stand for a word which a table lacks.

    Parameters
    ----------
    word : str
        A spoken word.

    Examples
    --------
    >>> word_parts("don't"), word_parts("well-known"), word_parts("kids")
    (('do', "n't"), ('well', 'known'), ())
    """
    parts = [part for piece in word.split("-") if piece for part in _contracted(piece)]
    return tuple(parts) if len(parts) > 1 else ()


def _contracted(word: str) -> tuple[str, ...]:
    found = _CONTRACTION.match(word)
    return (found["stem"], found["rest"]) if found else (word,)


def vectors_of(words: Sequence[str], lookup: Lookup, width: int) -> Array:
    """Vector of every word, (W, D).

    Parameters
    ----------
    words : sequence of W str
        Spoken words.
    lookup : callable
        Gives the vector (D,) of a word, or None.
    width : int
        D.

    Examples
    --------
    >>> table = {"do": np.ones(2, np.float32), "n't": np.zeros(2, np.float32)}
    >>> vectors_of(["don't", "qwx"], table.get, 2).tolist()
    [[0.5, 0.5], [0.0, 0.0]]
    """
    vectors = np.zeros((len(words), width), np.float32)
    for place, word in enumerate(words):
        found = lookup(word)
        if found is None:
            parts = [vector for part in word_parts(word) if (vector := lookup(part)) is not None]
            found = np.mean(parts, axis=0) if parts else None
        if found is not None:
            vectors[place] = found
    return vectors


def static_stream(
    transcript: Transcript, times: NDArray[np.float64], lookup: Lookup, specification: StreamSpecification
) -> Stream:
    """Vectors of the spoken words at their times.

    Parameters
    ----------
    transcript : Transcript
        W spoken words.
    times : array of shape (W, 2), float64
        Start and end of every word in seconds.
    lookup : callable
        Gives the vector (D,) of a word, or None.
    specification : StreamSpecification
        With D columns.

    Raises
    ------
    DataError
        There is not one time per word.
    """
    if times.shape != (len(transcript.words), 2):
        raise DataError(f"{len(transcript.words)} words have times of shape {times.shape}")
    return Stream(vectors_of(transcript.words, lookup, specification.dim), specification, times)


class GloveExtractor:
    """The extractor ``glove-50``: GloVe of Wikipedia and Gigaword (Pennington et al. 2014), 50 columns.

    Parameters
    ----------
    argument : str
        Takes none.
    local : path, optional
        See :func:`trivium.upstream.model_folder`.

    Examples
    --------
    >>> GloveExtractor().specification.dim
    50
    """

    models = ("glove-50",)
    takes = ""

    def __init__(self, argument: str = "", local: str | Path | None = None) -> None:
        self._local = local

    @property
    def specification(self) -> StreamSpecification:
        """Specification of its streams."""
        return _specification("glove-50", 50)

    def stream(self, transcript: Transcript, times: NDArray[np.float64]) -> Stream:
        """Values (W, 50) at the times (W, 2) of the W words; zero for a word that is not among the 400,000."""
        places, vectors = _glove(self._local)

        def lookup(word: str) -> Array | None:
            place = places.get(word)
            return None if place is None else vectors[place]

        return static_stream(transcript, times, lookup, self.specification)


class WordllamaExtractor:
    """The extractor ``wordllama``: mean of a word's token embeddings (Miller 2024), 256 columns.

    No word is unknown: what is no token is split into smaller ones. The package that carries the vectors is under MIT;
    they were made from the token embeddings of Llama 2, whose licence is Meta's own.

    Parameters
    ----------
    argument : str
        Takes none.
    local : path, optional
        See :func:`trivium.upstream.model_folder`.

    Examples
    --------
    >>> WordllamaExtractor().specification.dim
    256
    """

    models = ("wordllama",)
    takes = ""

    def __init__(self, argument: str = "", local: str | Path | None = None) -> None:
        self._local = local

    @property
    def specification(self) -> StreamSpecification:
        """Specification of its streams."""
        return _specification("wordllama", 256)

    def stream(self, transcript: Transcript, times: NDArray[np.float64]) -> Stream:
        """Values (W, 256) at the times (W, 2) of the W words."""
        tokenizer, table = _wordllama(self._local)

        def lookup(word: str) -> Array | None:
            ids = tokenizer.encode(word, add_special_tokens=False).ids
            pieces = table[np.minimum(ids, len(table) - 1)].astype(np.float32)
            mean: Array = pieces.sum(axis=0) / np.float32(max(len(ids), 1))
            return mean

        return static_stream(transcript, times, lookup, self.specification)


def _specification(name: str, width: int) -> StreamSpecification:
    columns = tuple(f"{name}-{i:03d}" for i in range(width))
    return StreamSpecification("text", columns, clock="seconds", extractor=name, version=model(name).version)


@lru_cache(maxsize=2)
def _glove(local: str | Path | None) -> tuple[dict[str, int], Array]:
    import pyarrow.parquet as pq

    folder = model_folder("glove-50", local)
    words = pq.read_table(folder / "glove_6B_index.parquet")["index"].to_pylist()
    vectors = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r", allow_pickle=False)
    return {word: place for place, word in enumerate(words)}, vectors


@lru_cache(maxsize=2)
def _wordllama(local: str | Path | None) -> tuple[Any, NDArray[np.float16]]:
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    folder = model_folder("wordllama", local)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizers" / "l2_supercat_tokenizer_config.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer, load_file(folder / "weights" / "l2_supercat_256.safetensors")["embedding.weight"]
