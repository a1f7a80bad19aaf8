"""Representations that learn next to nothing: the floors that every learned one has to beat.

Mean pooling, mean and standard deviation, the flattened matrix and its principal components see the same cells as a
learned encoder; missingness sees only which cells were there. A cell counts as seen when its modality was seen at that
step and its value is finite. What an utterance lacks is 0, as in the aligned matrix itself, so that a floor is told of
a missing modality just as an encoder is (measured on POM: filling with training means hides it and costs .02 to .06 of
the mean correlation). Nothing but principal components is learned. No torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from trivium.column_statistics import column_statistics
from trivium.corpus import Aligned, Corpus, Specification
from trivium.errors import SpecificationError
from trivium.represent.inputs import ARRAY, axes_of, to_aligned

__all__ = ["Flatten", "FlattenPCA", "MeanPooling", "MeanStdPooling", "Missingness"]

Matrices = Aligned | Corpus | NDArray[Any]
_Floats = NDArray[np.float64]
_LIMIT = 5.0  # standard deviations; else a cell that hardly varies in training rules the components of others


class _Pooling(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, ABC):  # type: ignore[misc]
    """Turns a matrix of words x columns, with holes, into one vector."""

    n_features_in_: int

    def __init__(self, words: int = 20) -> None:
        self.words = words

    def fit(self, X: Matrices, y: object = None) -> Self:
        """Remember the columns; nothing is learned.

        Parameters
        ----------
        X : Aligned, Corpus, or array of shape (N, W, D) or (N, D)
            In arrays, cells that are not finite were not seen.
        y : ignored
            Here for pipelines.
        """
        self._n_features_out = self._vectors(*self._cells(X, reset=True)).shape[1]
        return self

    def transform(self, X: Matrices) -> NDArray[np.float32]:
        """Give one vector per utterance.

        Parameters
        ----------
        X : Aligned, Corpus, or array of shape (N, W, D) or (N, D)
            With the columns of training.

        Returns
        -------
        array of shape (N, K)
            float32.

        Raises
        ------
        SpecificationError
            The columns or the number of steps are not those of training.
        """
        check_is_fitted(self)
        vectors = self._vectors(*self._cells(X, reset=False)).astype(np.float32)
        if vectors.shape[1] != self._n_features_out:
            raise SpecificationError(
                f"the utterances give {vectors.shape[1]} features, training had {self._n_features_out}",
                remedy="give the columns and the number of steps of training",
            )
        return vectors

    @abstractmethod
    def _vectors(self, values: NDArray[np.float32], seen: NDArray[np.bool_], cells: NDArray[np.bool_]) -> _Floats:
        """Vectors (N, K) from values and seen (N, W, D) and cells (N, W, M)."""

    def _cells(self, x: Matrices, *, reset: bool) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
        if isinstance(x, Aligned | Corpus):
            aligned = to_aligned(x, self.words)
            self._meet(aligned.specification, reset=reset)
            return aligned.values, aligned.column_mask() & np.isfinite(aligned.values), aligned.cell_mask
        if axes_of(x) == 3:
            values = check_array(x, dtype=np.float32, allow_nd=True, ensure_all_finite=False)
            self.n_features_in_ = values.shape[2] if reset else self.n_features_in_
        else:
            values = validate_data(self, x, reset=reset, dtype=np.float32, ensure_all_finite=False)[:, None, :]
        if reset:
            self.columns_: tuple[str, ...] | None = None
            self.widths_ = {ARRAY: values.shape[2]}
        seen = np.isfinite(values)
        return values, seen, seen.any(axis=2, keepdims=True)

    def _meet(self, specification: Specification, *, reset: bool) -> None:
        """Remember the columns, or compare them with those of training."""
        columns = specification.columns
        if reset:
            self.columns_ = columns
            self.widths_ = {stream.modality: stream.dim for stream in specification.streams}
            self.n_features_in_ = len(columns)
        elif self.columns_ is not None and self.columns_ != columns:
            raise SpecificationError("the columns are not those of training", remedy="extract or read the same ones")

    def __sklearn_tags__(self) -> Any:
        return _with_holes(super().__sklearn_tags__())


def _with_holes(tags: Any) -> Any:
    tags.input_tags.three_d_array = True
    tags.input_tags.allow_nan = True  # what is not finite was not seen
    tags.transformer_tags.preserves_dtype = ["float32"]
    return tags


class _StatisticsOfSteps(_Pooling):
    """Statistics of every column over the aligned steps."""

    names: ClassVar[tuple[str, ...]]

    def _vectors(self, values: NDArray[np.float32], seen: NDArray[np.bool_], cells: NDArray[np.bool_]) -> _Floats:
        return column_statistics(values, seen, self.names)

    def as_module(self, specification: Specification) -> Any:
        """Same statistics as a torch module; see :class:`trivium.represent.Beside`."""
        from trivium.represent.modules import StatisticsModule

        return StatisticsModule([len(specification.columns)], self.names, indicators=False)


class MeanPooling(_StatisticsOfSteps):
    """Mean of every column over the steps where it was seen.

    Parameters
    ----------
    words : int
        Steps that a corpus is cropped or padded to; aligned sets and arrays bring their own.

    Examples
    --------
    >>> x = np.array([[[1.0, 5.0], [3.0, np.nan]]], np.float32)
    >>> MeanPooling().fit_transform(x).tolist()
    [[2.0, 5.0]]
    """

    names = ("mean",)


class MeanStdPooling(_StatisticsOfSteps):
    """Mean and population standard deviation of every column over the steps where it was seen.

    Parameters
    ----------
    words : int
        Steps that a corpus is cropped or padded to; aligned sets and arrays bring their own.

    Examples
    --------
    >>> x = np.array([[[1.0], [3.0]]], np.float32)
    >>> MeanStdPooling().fit_transform(x).tolist()
    [[2.0, 1.0]]
    """

    names = ("mean", "spread")


class Flatten(_Pooling):
    """The matrix itself, word after word.

    Parameters
    ----------
    words : int
        Steps that a corpus is cropped or padded to; aligned sets and arrays bring their own.

    Examples
    --------
    >>> Flatten().fit_transform(np.array([[[1.0, 5.0], [3.0, 4.0]]], np.float32)).tolist()
    [[1.0, 5.0, 3.0, 4.0]]
    """

    def _vectors(self, values: NDArray[np.float32], seen: NDArray[np.bool_], cells: NDArray[np.bool_]) -> _Floats:
        return np.where(seen, values, 0).reshape(len(values), -1).astype(np.float64)


class FlattenPCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Principal components of the flattened matrix, after standardising its features and limiting them to 5 deviations.

    Parameters
    ----------
    words : int
        Steps that a corpus is cropped or padded to; aligned sets and arrays bring their own.
    n_components : int
        Length K of the vector; fewer where training has fewer utterances or features.
    random_state : int or None
        Of the randomised solver.

    Attributes
    ----------
    flatten_ : Flatten
        Fitted on the training utterances.
    components_ : sklearn.pipeline.Pipeline
        Scaler, limit and principal components.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((30, 4, 5)).astype(np.float32)
    >>> FlattenPCA(n_components=3).fit_transform(x).shape
    (30, 3)
    """

    def __init__(self, words: int = 20, n_components: int = 255, random_state: int | None = 0) -> None:
        self.words = words
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X: Matrices, y: object = None) -> Self:
        """Learn the components of training utterances.

        Parameters
        ----------
        X : Aligned, Corpus, or array of shape (N, W, D) or (N, D)
            Training utterances.
        y : ignored
            Here for pipelines.
        """
        self.flatten_ = Flatten(self.words).fit(X)
        self.n_features_in_ = self.flatten_.n_features_in_
        flat = self.flatten_.transform(X)
        count = min(self.n_components, *flat.shape)
        limit = FunctionTransformer(np.clip, kw_args={"a_min": -_LIMIT, "a_max": _LIMIT})
        self.components_ = make_pipeline(StandardScaler(), limit, PCA(count, random_state=self.random_state)).fit(flat)
        self._n_features_out = count
        return self

    def transform(self, X: Matrices) -> NDArray[np.float32]:
        """Give one vector per utterance.

        Parameters
        ----------
        X : Aligned, Corpus, or array of shape (N, W, D) or (N, D)
            With the columns of training.

        Returns
        -------
        array of shape (N, K)
            float32.
        """
        check_is_fitted(self)
        return np.asarray(self.components_.transform(self.flatten_.transform(X)), dtype=np.float32)

    def __sklearn_tags__(self) -> Any:
        return _with_holes(super().__sklearn_tags__())


class Missingness(_Pooling):
    """Only which modalities were seen at which step: what can be told from holes alone.

    Parameters
    ----------
    words : int
        Steps that a corpus is cropped or padded to; aligned sets and arrays bring their own.

    Examples
    --------
    >>> x = np.array([[[1.0, 5.0], [np.nan, np.nan]]], np.float32)
    >>> Missingness().fit_transform(x).tolist()
    [[1.0, 0.0]]
    """

    def _vectors(self, values: NDArray[np.float32], seen: NDArray[np.bool_], cells: NDArray[np.bool_]) -> _Floats:
        return cells.reshape(len(cells), -1).astype(np.float64)
