"""Base of representations that look at each modality by itself and so need no common timeline. No torch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from trivium.corpus import Corpus
from trivium.represent.inputs import ModalitySteps, native_blocks, split_columns
from trivium.represent.pooling import Matrices, _Pooling

__all__ = ["Block", "ByModality"]

_ROWS_AT_ONCE = 256  # keeps float64 copies small

Block = Mapping[str, ModalitySteps]
"""Steps of several utterances by modality."""


class ByModality(_Pooling):
    """Vectors of utterances from the steps of each modality; subclasses say what a block gives.

    Parameters
    ----------
    words : int
        Steps that a corpus is cropped or padded to where `native` is false; aligned sets and arrays bring their own.
    native : bool
        Read the streams of a corpus as they are, every frame of the voice and the face, and not their means per word.
    """

    def __init__(self, words: int = 20, native: bool = True) -> None:
        super().__init__(words)
        self.native = native

    def fit(self, X: Matrices, y: object = None) -> Self:
        """Learn what there is to learn, without labels.

        Parameters
        ----------
        X : Corpus, Aligned, or array of shape (N, T, D) or (N, D)
            In arrays, cells that are not finite were not seen.
        y : ignored
            Here for pipelines.
        """
        self._learn(self._blocks(X, reset=True))
        self._n_features_out = len(self._names())
        return self

    def transform(self, X: Matrices) -> NDArray[np.float32]:
        """Give one vector per utterance.

        Parameters
        ----------
        X : Corpus, Aligned, or array of shape (N, T, D) or (N, D)
            With the columns of training; any number of steps.

        Returns
        -------
        array of shape (N, K)
            float32.

        Raises
        ------
        SpecificationError
            The columns are not those of training.
        """
        check_is_fitted(self)
        found = [self._block_vectors(block).astype(np.float32) for block in self._blocks(X, reset=False)]
        return np.concatenate([np.zeros((0, self._n_features_out), np.float32), *found])

    @abstractmethod
    def _learn(self, blocks: Iterator[Block]) -> None:
        """Learn from training utterances, a block at a time."""

    @abstractmethod
    def _block_vectors(self, block: Block) -> NDArray[np.float64]:
        """Vectors (n, K) of a block."""

    @abstractmethod
    def _names(self, columns: Sequence[str] | None = None) -> list[str]:
        """Names of the K numbers, where known from those of the columns."""

    def _vectors(self, values: Any, seen: Any, cells: Any) -> NDArray[np.float64]:
        return self._block_vectors(split_columns(values, seen, self.widths_))

    def _blocks(self, x: Matrices, *, reset: bool) -> Iterator[Block]:
        """Checked at once, read when taken."""
        if isinstance(x, Corpus) and self.native:
            self._meet(x.specification, reset=reset)
            return native_blocks(x)
        values, seen, _ = self._cells(x, reset=reset)
        starts = range(0, len(values), _ROWS_AT_ONCE)
        pieces = (slice(start, start + _ROWS_AT_ONCE) for start in starts)
        return (split_columns(values[rows], seen[rows], self.widths_) for rows in pieces)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Names of the K numbers.

        Parameters
        ----------
        input_features : sequence of D str, optional
            Names of an array's columns; those of a corpus are known.

        Raises
        ------
        ValueError
            They are not those of training.
        """
        check_is_fitted(self)
        known = getattr(self, "feature_names_in_", None)
        if self.columns_ is None and input_features is not None:
            if known is not None and not np.array_equal(known, input_features):
                raise ValueError("input_features is not equal to feature_names_in_")
            if len(input_features) != self.n_features_in_:
                raise ValueError(
                    f"input_features should have length equal to the number of features ({self.n_features_in_})"
                )
            known = input_features
        columns = self.columns_ if self.columns_ is not None or known is None else [str(name) for name in known]
        return np.array(self._names(columns), dtype=object)
