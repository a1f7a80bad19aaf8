"""Words to vectors by any text encoder that the user has: last hidden states, sub-words averaged to words.

As with MiniLM, the encoder reads the written words with their punctuation, words that stand for one written token share
its vector, and longer texts are read in windows that overlap by half (:mod:`trivium.extract.text.minilm`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Stream, StreamSpecification
from trivium.errors import DataError
from trivium.extract.encoder_folder import find_encoder, longest_text, one_thread
from trivium.extract.text.minilm import central_windows
from trivium.extract.words.transcript import Transcript

__all__ = ["TextEncoderExtractor"]


class TextEncoderExtractor:
    """The extractor ``hf:FOLDER``: a text encoder of transformers, from a folder or the hub's cache.

    Parameters
    ----------
    argument : str
        See :func:`trivium.extract.encoder_folder.find_encoder`.
    local : path, optional
        Not used.

    Raises
    ------
    DependencyError
        transformers or torch is not installed.
    UpstreamError
        There is no such encoder on this machine.
    """

    models: tuple[str, ...] = ()
    takes = "FOLDER"

    def __init__(self, argument: str, local: str | Path | None = None) -> None:
        self._folder = find_encoder(argument)

    @property
    def specification(self) -> StreamSpecification:
        """Columns are named after the encoder."""
        columns = tuple(f"{self._folder.name}-{i:04d}" for i in range(self._folder.width))
        return StreamSpecification("text", columns, clock="seconds", extractor="hf", version=self._folder.version)

    def stream(self, transcript: Transcript, times: NDArray[np.float64]) -> Stream:
        """Values (W, D) at the times (W, 2) of the W words; zero for a token without sub-words."""
        if times.shape != (len(transcript.words), 2):
            raise DataError(f"{len(transcript.words)} words have times of shape {times.shape}")
        vectors = self.encode(transcript.tokens)
        return Stream(vectors[np.asarray(transcript.source, dtype=np.intp)], self.specification, times)

    def encode(self, tokens: Sequence[str]) -> NDArray[np.float32]:
        """Vector (N, D) of every written token in the context of all.

        Parameters
        ----------
        tokens : sequence of N str
            Written words.
        """
        ids, owner = self._pieces(tokens)
        states = np.zeros((len(ids), self._folder.width), np.float32)
        with one_thread():
            for first, last, own in central_windows(len(ids), self._window):
                states[own] = self._states(ids[first:last])[own - first]
        vectors = np.zeros((len(tokens), self._folder.width), np.float32)
        np.add.at(vectors, owner, states)
        vectors /= np.maximum(np.bincount(owner, minlength=len(tokens)), 1)[:, None].astype(np.float32)
        return vectors

    def _pieces(self, tokens: Sequence[str]) -> tuple[list[int], NDArray[np.intp]]:
        if not tokens:
            return [], np.zeros(0, np.intp)
        found = self._tokenizer(list(tokens), is_split_into_words=True, add_special_tokens=False, verbose=False)
        return list(found["input_ids"]), np.array(found.word_ids(), dtype=np.intp)

    def _states(self, ids: list[int]) -> NDArray[np.float32]:
        import torch

        begin, end = self._marks
        given = torch.tensor([[*begin, *ids, *end]])
        found = self._model(input_ids=given, attention_mask=torch.ones_like(given)).last_hidden_state[0]
        states: NDArray[np.float32] = found[len(begin) : len(begin) + len(ids)].float().numpy()
        return states

    @cached_property
    def _marks(self) -> tuple[list[int], list[int]]:
        return self._folder.marks(self._tokenizer)

    @cached_property
    def _tokenizer(self) -> Any:
        return self._folder.tokenizer()

    @cached_property
    def _model(self) -> Any:
        return self._folder.model()

    @cached_property
    def _window(self) -> int:
        longest = min(longest_text(self._model.config), self._tokenizer.model_max_length)
        return max(int(longest) - sum(len(marks) for marks in self._marks), 2)
