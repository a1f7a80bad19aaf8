"""Words to vectors: one contextual vector per word from a sentence encoder.

The encoder is MiniLM-L6 (Wang et al. 2020; trained on sentence pairs as in Reimers and Gurevych 2019), a transformer of
six layers whose weights come from the catalogue. It is computed here in NumPy straight from the published weights: for
one sentence that takes about as long as a compiled graph, and needs neither torch nor a conversion. The last hidden
states of the sub-words are averaged to one vector per word; they are not scaled to unit length.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Stream, StreamSpecification
from trivium.errors import DataError, UpstreamError
from trivium.extract.encoder_layers import gelu, layer_norm, softmax, split_heads
from trivium.extract.words.transcript import Transcript
from trivium.upstream import model, model_folder

__all__ = [
    "MinilmExtractor",
    "WordEncoder",
    "central_windows",
    "load_word_encoder",
    "text_specification",
    "text_stream",
]

_HEADS = 12
_EPSILON = 1e-12
_WINDOW = 254  # sub-words seen at once, as in training (256 with the two marks around them)
_WIDTH = 384

Array = NDArray[np.float32]


def text_specification() -> StreamSpecification:
    """Specification of every stream that :func:`text_stream` gives.

    Examples
    --------
    >>> text_specification().columns[:2]
    ('minilm-l6-000', 'minilm-l6-001')
    """
    columns = tuple(f"minilm-l6-{i:03d}" for i in range(_WIDTH))
    version = model("minilm-l6").version
    return StreamSpecification("text", columns, clock="seconds", extractor="minilm-l6", version=version)


def text_stream(transcript: Transcript, times: NDArray[np.float64], *, local: str | Path | None = None) -> Stream:
    """Contextual vector of every spoken word, at its time.

    Words that stand for one written token (``1999``) share its vector.

    Parameters
    ----------
    transcript : Transcript
        Written tokens and W spoken words.
    times : array of shape (W, 2), float64
        Start and end of every word in seconds.
    local : path, optional
        See :func:`trivium.upstream.model_folder`.

    Returns
    -------
    Stream
        Values (W, 384).

    Raises
    ------
    DataError
        There is not one time per word.
    UpstreamError
        The encoder is not on this machine.
    """
    if times.shape != (len(transcript.words), 2):
        raise DataError(f"{len(transcript.words)} words have times of shape {times.shape}")
    vectors = load_word_encoder(local).encode(transcript.tokens)
    values = vectors[np.asarray(transcript.source, dtype=np.intp)]
    return Stream(np.ascontiguousarray(values), text_specification(), times)


class MinilmExtractor:
    """The extractor ``minilm-l6``: see :func:`text_stream`.

    Parameters
    ----------
    argument : str
        Takes none.
    local : path, optional
        See :func:`trivium.upstream.model_folder`.

    Examples
    --------
    >>> MinilmExtractor().specification.dim
    384
    """

    models = ("minilm-l6",)
    takes = ""

    def __init__(self, argument: str = "", local: str | Path | None = None) -> None:
        self._local = local

    @property
    def specification(self) -> StreamSpecification:
        """Specification of its streams."""
        return text_specification()

    def stream(self, transcript: Transcript, times: NDArray[np.float64]) -> Stream:
        """Values (W, 384) at the times (W, 2) of the W words."""
        return text_stream(transcript, times, local=self._local)


class WordEncoder:
    """Sentence encoder that gives a vector per word.

    Parameters
    ----------
    weights : mapping of str to float32 array
        As published, under their names.
    tokenizer : tokenizers.Tokenizer
        Splits words into sub-words.

    Examples
    --------
    >>> load_word_encoder().encode(["Kids", "are", "talking."]).shape  # doctest: +SKIP
    (3, 384)
    """

    def __init__(self, weights: dict[str, Array], tokenizer: Any) -> None:
        self._weights = weights
        self._tokenizer = tokenizer
        self._layers = len({name.split(".")[2] for name in weights if name.startswith("encoder.layer.")})

    def encode(self, tokens: Sequence[str]) -> Array:
        """Vector of every token in the context of all.

        Texts beyond 254 sub-words are read in windows that overlap by half; a sub-word takes its state from the window
        in which it lies most centrally.

        Parameters
        ----------
        tokens : sequence of N str
            Written words with their punctuation.

        Returns
        -------
        array of shape (N, 384), float32
            Zero for a token without sub-words.
        """
        return self.encode_layers(tokens)[-1]

    def encode_layers(self, tokens: Sequence[str]) -> list[Array]:
        """Vector of every token after each layer, the last one's being those of :meth:`encode`.

        Parameters
        ----------
        tokens : sequence of N str
            Written words with their punctuation.

        Returns
        -------
        list of 6 arrays of shape (N, 384), float32
        """
        encoding = self._tokenizer.encode(list(tokens), is_pretokenized=True, add_special_tokens=False)
        owner = np.array(encoding.word_ids, dtype=np.intp)
        counts = np.maximum(np.bincount(owner, minlength=len(tokens)), 1)[:, None].astype(np.float32)
        found = []
        for states in self._states(encoding.ids):
            vectors = np.zeros((len(tokens), _WIDTH), np.float32)
            np.add.at(vectors, owner, states)
            found.append(vectors / counts)
        return found

    def hidden_states(self, ids: Sequence[int]) -> Array:
        """Last hidden states of one sequence of sub-word ids, marks included: (T, 384)."""
        return self._after_layers(ids)[-1]

    def _after_layers(self, ids: Sequence[int]) -> list[Array]:
        w = self._weights
        x = w["embeddings.word_embeddings.weight"][list(ids)]
        x = x + w["embeddings.position_embeddings.weight"][: len(ids)] + w["embeddings.token_type_embeddings.weight"][0]
        x = self._normal(x, "embeddings.LayerNorm")
        found = []
        for number in range(self._layers):
            x = self._layer(x, f"encoder.layer.{number}")
            found.append(x)
        return found

    def _states(self, ids: Sequence[int]) -> Array:
        begin, end = (self._tokenizer.token_to_id(mark) for mark in ("[CLS]", "[SEP]"))
        states = np.zeros((self._layers, len(ids), _WIDTH), np.float32)
        for first, last, own in central_windows(len(ids), _WINDOW):
            for kept, found in zip(states, self._after_layers([begin, *ids[first:last], end]), strict=True):
                kept[own] = found[1:-1][own - first]
        return states

    def _layer(self, x: Array, name: str) -> Array:
        own = f"{name}.attention.self"
        query, key, value = (
            split_heads(self._linear(x, f"{own}.{part}"), _HEADS) for part in ("query", "key", "value")
        )
        seen = softmax(query @ key.transpose(0, 2, 1) / np.float32(np.sqrt(_WIDTH / _HEADS))) @ value
        joined = seen.transpose(1, 0, 2).reshape(len(x), _WIDTH)
        x = self._normal(
            x + self._linear(joined, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm"
        )
        wide = gelu(self._linear(x, f"{name}.intermediate.dense"))
        return self._normal(x + self._linear(wide, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    def _linear(self, x: Array, name: str) -> Array:
        result: Array = x @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        return result

    def _normal(self, x: Array, name: str) -> Array:
        return layer_norm(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"], _EPSILON)


def central_windows(count: int, width: int) -> list[tuple[int, int, NDArray[np.intp]]]:
    """Windows that overlap by half, and which places each one answers for: those that lie most centrally in it.

    Parameters
    ----------
    count : int
        Places.
    width : int
        Places that are seen at once.

    Returns
    -------
    list of (int, int, array)
        First place, the one after the last, and the places the window answers for, in order.

    Examples
    --------
    >>> [(first, last, own.tolist()) for first, last, own in central_windows(6, 4)]
    [(0, 4, [0, 1, 2]), (2, 6, [3, 4, 5])]
    """
    owner = np.zeros(count, np.intp)
    nearest = np.full(count, np.inf)
    starts = range(0, max(count - width // 2, 1) if count else 0, max(width // 2, 1))
    for number, first in enumerate(starts):
        places = np.arange(first, min(first + width, count))
        away = np.abs(places - (first + (len(places) - 1) / 2))
        nearer = places[away < nearest[places]]
        owner[nearer], nearest[nearer] = number, away[nearer - first]
    return [(first, min(first + width, count), np.flatnonzero(owner == number)) for number, first in enumerate(starts)]


@lru_cache(maxsize=2)
def load_word_encoder(local: str | Path | None = None) -> WordEncoder:
    """Read the encoder from the catalogue's files.

    Parameters
    ----------
    local : path, optional
        See :func:`trivium.upstream.model_folder`.

    Raises
    ------
    UpstreamError
        The model is missing, altered, or of another size.
    """
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    folder = model_folder("minilm-l6", local)
    weights = load_file(folder / "model.safetensors")
    if weights["embeddings.word_embeddings.weight"].shape[1] != _WIDTH:
        raise UpstreamError(
            f"the encoder does not give {_WIDTH} columns",
            file=folder,
            remedy="fetch it again: trivium upstream fetch minilm-l6",
        )
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return WordEncoder(weights, tokenizer)
