"""The readout of a probe: standardised vectors, then logistic or ridge regression, its strength chosen on validation.

One grid serves every representation. Vectors with more columns than training rows are first rotated into the space of
the rows, which changes neither solution (a penalty on the squared norm keeps the coefficients within it) and makes
flattened matrices cheap.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler

from trivium.errors import DataError
from trivium.evaluate.opinion_pool import pooled_probabilities, pooling_weights

__all__ = ["GRID", "LIMIT", "LinearReadout", "Readout"]

Rows = NDArray[np.int64]
Division = tuple[Rows, Rows]
_POWERS_LOGISTIC, _POWERS_RIDGE = range(-5, 2), range(-1, 7)
_STRENGTHS_LOGISTIC = tuple(10.0**k for k in _POWERS_LOGISTIC)
_STRENGTHS_RIDGE = tuple(10.0**k for k in _POWERS_RIDGE)
_INNER_FOLDS = 4
_MAX_ITERATIONS = 500
_RANK = 1e-10  # smallest square of a singular value, as a share of the largest; below lies rounding
LIMIT = 5.0
"""Most standard deviations: a column that hardly varies in training must not decide a test row alone."""
GRID = (
    f"C 1e{_POWERS_LOGISTIC[0]} ... 1e{_POWERS_LOGISTIC[-1]}, or alpha 1e{_POWERS_RIDGE[0]} ... 1e{_POWERS_RIDGE[-1]}, "
    f"in powers of ten; {_INNER_FOLDS} inner folds; values limited to {LIMIT:g} deviations"
)
"""What the strength is chosen from, in words, and the rest that all readouts share."""


class Readout(BaseEstimator, ABC):  # type: ignore[misc]
    """What every readout answers: the most probable class, or numbers.

    Examples
    --------
    >>> issubclass(LinearReadout, Readout)
    True
    """

    task: str
    classes_: NDArray[Any]

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        """Predict classes (N,) or numbers (N, L).

        Parameters
        ----------
        X : array of shape (N, K)
            Vectors.
        """
        if self.task == "classes":
            return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])
        return self._numbers(X)

    @abstractmethod
    def predict_proba(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Probability of every class (N, C).

        Parameters
        ----------
        X : array of shape (N, K)
            Vectors.
        """

    @abstractmethod
    def _numbers(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Numbers (N, L)."""


class LinearReadout(Readout):
    """Standardise, then logistic regression for classes or ridge regression for numbers.

    Standardised values are limited to five standard deviations, for all representations alike (our choice).
    The strength is chosen from one grid (:data:`GRID`): C of logistic regression by balanced accuracy, alpha of ridge
    regression by squared error, for each column of numbers by itself. The validation rows choose where there are any,
    else inner folds that keep groups together; the readout is then fitted on all rows. Scaler and rotation are fitted
    once on all of them, so while the strength is chosen they have seen the inner validation rows, without labels; they
    never see a test row.

    Parameters
    ----------
    task : {"classes", "numbers"}
        What to predict.
    random_state : int
        Of the solver.
    strengths : sequence of float, optional
        Rising C, or alpha, to choose from; those of :data:`GRID` where left out.
    regression : {"logistic", "ridge"}
        For classes. ``ridge`` fits a 1 for the true class and a 0 for the others by least squares, one decomposition
        for all strengths, which takes a small part of the time; its numbers become probabilities by a softmax, whose
        sharpness is the one of least cross entropy on the rows that chose.

    Attributes
    ----------
    classes_ : array of shape (C,)
        For classes.
    strength_ : float or array of shape (K,)
        Chosen C or alpha.
    validation_score_ : float
        What the choice scored on the rows that chose: mean balanced accuracy, or minus the mean squared error.
    held_out_ : array of shape (N, C) or (N, L)
        Probabilities or numbers for the rows that chose, each by the model of the chosen strength that had not learned
        from it; NaN for other rows.
    held_out_mean_ : array of shape (N, L)
        For numbers: mean of the rows that this model had learned from; NaN for other rows.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((60, 5)); y = (x[:, 0] > 0).astype(str)
    >>> readout = LinearReadout("classes").fit(x, y, groups=np.arange(60))
    >>> float((readout.predict(x) == y).mean()) > 0.9
    True
    """

    def __init__(
        self,
        task: str = "classes",
        random_state: int = 0,
        strengths: Sequence[float] | None = None,
        regression: str = "logistic",
    ) -> None:
        self.task = task
        self.random_state = random_state
        self.strengths = strengths
        self.regression = regression

    def fit(self, X: NDArray[Any], y: NDArray[Any], *, groups: NDArray[Any], valid: Rows | None = None) -> Self:
        """Choose the strength and fit.

        Parameters
        ----------
        X : array of shape (N, K)
            Vectors of training and validation rows.
        y : array of shape (N,) or (N, L)
            Class names, or numbers.
        groups : array of shape (N,)
            What stays together in inner folds.
        valid : int array, optional
            Rows that choose.

        Raises
        ------
        DataError
            There is one class only, or task or regression are unknown.
        """
        if self.task not in ("classes", "numbers"):
            raise DataError(f"the task {self.task!r} is neither classes nor numbers")
        if self.regression not in ("logistic", "ridge"):
            raise DataError(f"the regression {self.regression!r} is neither logistic nor ridge")
        divisions = _divisions(len(X), groups, valid)
        self._standardise(np.asarray(X, dtype=np.float64))
        x = self._project(X)
        if self.task == "classes":
            self._fit_classes(x, y, divisions)
        else:
            self._fit_numbers(x, np.asarray(y, dtype=np.float64).reshape(len(x), -1), divisions)
        return self

    def _numbers(self, x: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(self.model_.predict(self._project(x))).reshape(len(x), -1)

    def predict_proba(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Probability of every class; see :meth:`Readout.predict_proba`."""
        x = self._project(X)
        return self._sharpened(self.model_.predict(x)) if self._by_ridge else np.asarray(self.model_.predict_proba(x))

    def linear_scores(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Coefficients (C, K) and intercepts (C,) over standardised, limited columns: softmax of them, or numbers.

        The rotation of wide vectors is undone, the sharpness of ridge regression and the sign of a binary logistic
        regression are in them.
        """
        coefficients = np.atleast_2d(np.asarray(self.model_.coef_, dtype=np.float64))
        intercept = np.atleast_1d(np.asarray(self.model_.intercept_, dtype=np.float64))
        if self.task == "classes" and len(coefficients) == 1:
            coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
            intercept = np.concatenate([np.zeros_like(intercept), intercept])
        if self.task == "classes" and self._by_ridge:
            coefficients, intercept = self.sharpness_ * coefficients, self.sharpness_ * intercept
        if self.rotation_ is not None:
            coefficients = coefficients @ self.rotation_.T
        return coefficients, intercept

    @property
    def _by_ridge(self) -> bool:
        return self.task == "numbers" or self.regression == "ridge"

    def _standardise(self, x: NDArray[np.float64]) -> None:
        self.scaler_ = StandardScaler().fit(x)
        self.rotation_ = None
        if x.shape[1] > len(x):
            # the columns of V span the training rows: x V loses nothing that a penalised linear model could use
            rows = self._scaled(x)
            squares, u = np.linalg.eigh(rows @ rows.T)
            kept = squares > _RANK * squares[-1]
            if kept.any():  # columns that never vary span nothing
                self.rotation_ = rows.T @ (u[:, kept] / np.sqrt(squares[kept]))

    def _scaled(self, x: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(np.clip(self.scaler_.transform(np.asarray(x, dtype=np.float64)), -LIMIT, LIMIT))

    def _project(self, x: NDArray[Any]) -> NDArray[np.float64]:
        scaled = self._scaled(x)
        return scaled if self.rotation_ is None else scaled @ self.rotation_

    def _fit_classes(self, x: NDArray[np.float64], y: NDArray[Any], divisions: list[Division]) -> None:
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise DataError(f"training knows the class {self.classes_[0]!r} only", remedy="use fewer folds")
        strengths, scores = self._candidates(), np.zeros(len(self._candidates()))
        said = np.full((len(strengths), len(x), len(self.classes_)), np.nan)
        for train, valid in divisions:
            if len(np.unique(y[train])) > 1:
                said[:, valid] = self._class_path(x[train], y[train], x[valid], strengths)
                scores += [_balanced(self.classes_[one.argmax(axis=1)], y[valid]) for one in said[:, valid]]
        self.strength_ = strengths[int(scores.argmax())]
        self.validation_score_ = float(scores.max()) / len(divisions)
        self.held_out_ = said[int(scores.argmax())]
        if self.regression == "ridge":
            self.model_ = Ridge(alpha=self.strength_).fit(x, self._shares(y))
            known = np.isfinite(self.held_out_).all(axis=1)
            truth = np.searchsorted(self.classes_, y[known])
            self.sharpness_ = pooling_weights(np.exp(self.held_out_[None, known]), truth)
            self.held_out_ = self._sharpened(self.held_out_)
        else:
            self.model_ = self._path(x, y, [c for c in strengths if c <= self.strength_])[-1]

    def _candidates(self) -> tuple[float, ...]:
        return tuple(self.strengths or (_STRENGTHS_RIDGE if self._by_ridge else _STRENGTHS_LOGISTIC))

    def _shares(self, y: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(y[:, None] == self.classes_, dtype=np.float64)

    def _sharpened(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        return pooled_probabilities(np.exp(numbers)[None], self.sharpness_)

    def _class_path(
        self, x: NDArray[np.float64], y: NDArray[Any], x_valid: NDArray[np.float64], strengths: Sequence[float]
    ) -> NDArray[np.float64]:
        """Answers (strengths, rows, classes) of all strengths; 0 for classes that these training rows lack."""
        if self.regression == "ridge":
            return _ridge_path(x, self._shares(y), x_valid, strengths)
        found = np.zeros((len(strengths), len(x_valid), len(self.classes_)))
        for answers, model in zip(found, self._path(x, y, strengths), strict=True):
            answers[:, np.searchsorted(self.classes_, model.classes_)] = model.predict_proba(x_valid)
        return found

    def _path(self, x: NDArray[np.float64], y: NDArray[Any], strengths: Sequence[float]) -> list[LogisticRegression]:
        """Models of rising C, each starting from the one before."""
        models: list[LogisticRegression] = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # an unfinished model is a candidate like any other
            for strength in strengths:
                model = LogisticRegression(
                    C=strength, max_iter=_MAX_ITERATIONS, warm_start=True, random_state=self.random_state
                )
                if models:
                    model.classes_, model.coef_ = models[-1].classes_, models[-1].coef_.copy()
                    model.intercept_ = models[-1].intercept_.copy()
                models.append(model.fit(x, y))
        return models

    def _fit_numbers(self, x: NDArray[np.float64], y: NDArray[np.float64], divisions: list[Division]) -> None:
        strengths = self._candidates()
        said = np.full((len(strengths), *y.shape), np.nan)
        self.held_out_mean_ = np.full(y.shape, np.nan)
        for train, valid in divisions:
            said[:, valid] = _ridge_path(x[train], y[train], x[valid], strengths)
            self.held_out_mean_[valid] = y[train].mean(axis=0)
        errors = np.nansum((said - y) ** 2, axis=1)
        self.strength_ = np.array(strengths)[errors.argmin(axis=0)]
        self.held_out_ = np.take_along_axis(said, errors.argmin(axis=0)[None, None], axis=0)[0]
        self.validation_score_ = -float(errors.min(axis=0).mean()) / sum(len(valid) for _, valid in divisions)
        self.model_ = Ridge(alpha=self.strength_).fit(x, y)


def _divisions(count: int, groups: NDArray[Any], valid: Rows | None) -> list[Division]:
    if valid is not None and len(valid):
        chosen = np.zeros(count, bool)
        chosen[valid] = True
        return [(np.flatnonzero(~chosen), np.flatnonzero(chosen))]
    folds = min(_INNER_FOLDS, len(np.unique(groups)))
    if folds < 2:
        raise DataError("training holds one group only, so nothing can choose the strength", remedy="use fewer folds")
    return list(GroupKFold(folds).split(np.zeros(count), groups=groups))


def _balanced(predicted: NDArray[Any], y: NDArray[Any]) -> float:
    return float(np.mean([np.mean(predicted[y == c] == c) for c in np.unique(y)]))


def _ridge_path(
    x: NDArray[np.float64], y: NDArray[np.float64], x_valid: NDArray[np.float64], strengths: Sequence[float]
) -> NDArray[np.float64]:
    """Predictions (strengths, rows, columns) of all strengths from one decomposition.

    Of the smaller of the two products of `x` with itself, which takes a small part of the time of a singular value
    decomposition; what that loses lies far below the least strength.
    """
    centre, mean = x.mean(axis=0), y.mean(axis=0)
    own, other, target = x - centre, x_valid - centre, y - mean
    if x.shape[1] <= len(x):
        s, v = np.linalg.eigh(own.T @ own)
        inner, outer = v.T @ (own.T @ target), other @ v
    else:
        s, u = np.linalg.eigh(own @ own.T)
        inner, outer = u.T @ target, (other @ own.T) @ u
    return np.stack([outer @ (inner / (np.maximum(s, 0) + alpha)[:, None]) + mean for alpha in strengths])
