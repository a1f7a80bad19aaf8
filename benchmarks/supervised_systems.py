"""What ``supervised.py`` sets side by side: floors and averages of networks, all as estimators of one kind.

Each takes what :func:`trivium.evaluate.train_and_score` gives a predictor, so floors, too, get the training part alone
and open the test fold once. ``best_value_`` is what validation rows of the training part said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier, DummyRegressor

from trivium.corpus import Aligned
from trivium.evaluate import LinearReadout
from trivium.files import write_json
from trivium.predict import EmotionClassifier, SentimentRegressor

__all__ = ["Averaged", "Floor", "System", "pooled"]

Values = NDArray[Any]
LOGISTIC = (3e-3, 1e-2, 3e-2)
"""C of all logistic floors; of ridge regression the strengths are those of every probe."""


def pooled(data: Aligned, modalities: Sequence[str]) -> Values:
    """Vectors (N, D) of utterances of one step, the modalities side by side; 0 where one is missing."""
    chosen = _chosen(data, modalities)
    return np.where(chosen.column_mask() & np.isfinite(chosen.values), chosen.values, 0.0)[:, 0]


def _chosen(data: Aligned, modalities: Sequence[str]) -> Aligned:
    return data.select(list(modalities)) if modalities else data


class System(BaseEstimator):  # type: ignore[misc]
    """What a run sets on every predictor."""

    validation_groups: str | None = None

    def __init__(
        self,
        label: str | None = None,
        random_state: int = 0,
        selection: str = "loss",
        folder: Any = None,
        resume: bool = False,
        progress: bool = False,
    ) -> None:
        self.label, self.random_state, self.selection = label, random_state, selection
        self.folder, self.resume, self.progress = folder, resume, progress


class Floor(System):
    """Logistic or ridge regression on pooled columns, its strength chosen on inner folds; or a constant.

    Parameters
    ----------
    kind : {"majority", "columns", "late", "untrained"}
        A constant; all columns side by side; a readout for each modality, whose probabilities
        are multiplied or whose numbers are averaged; the ``fused`` vector of a network before training.
    modalities : sequence of str
        Which; empty: all.
    network : mapping
        Settings of the predictor whose network stays untrained.
    strengths : sequence of float
        C of logistic regression.
    """

    def __init__(
        self,
        kind: str = "columns",
        modalities: Sequence[str] = (),
        network: Mapping[str, Any] | None = None,
        strengths: Sequence[float] = LOGISTIC,
        label: str | None = None,
        random_state: int = 0,
        selection: str = "loss",
        folder: Any = None,
        resume: bool = False,
        progress: bool = False,
    ) -> None:
        super().__init__(label, random_state, selection, folder, resume, progress)
        self.kind, self.modalities, self.network, self.strengths = kind, modalities, network, strengths

    def fit(
        self,
        X: Aligned,
        y: Values,
        *,
        groups: Values | None = None,
        validation: tuple[Aligned, Values] | None = None,
    ) -> Self:
        """Choose the strength on inner folds, or on the validation fold where there is one, and fit."""
        kept = X.ids if groups is None else groups
        rows = np.arange(len(X))
        self.is_number_, self.classes_ = y.dtype.kind != "U", np.unique(y)
        if self.kind == "untrained":
            options = {**(self.network or {}), "label": self.label, "random_state": self.random_state}
            kind = SentimentRegressor if self.is_number_ else EmotionClassifier
            self.network_ = kind(**{**options, "max_epochs": 0, "progress": False, "validation_fraction": 0.0}).fit(
                _chosen(X, self.modalities), y
            )
        tables, chooses = self._tables(X), None
        if validation is not None:
            tables = [np.concatenate(pair) for pair in zip(tables, self._tables(validation[0]), strict=True)]
            y, chooses = np.concatenate([y, validation[1]]), np.arange(len(rows), len(rows) + len(validation[0]))
            kept = np.arange(len(y))  # inner folds are not used
        self.readouts_ = [self._readout(table, y, kept, chooses) for table in tables]
        scores = [getattr(one, "validation_score_", float("-inf")) for one in self.readouts_]
        self.best_value_ = float(np.mean(scores)) if np.isfinite(scores).all() else float("nan")
        self.best_epoch_ = self.n_iter_ = 0
        return self

    def _tables(self, x: Aligned) -> list[Values]:
        if self.kind == "majority":
            return [np.zeros((len(x), 1))]
        if self.kind == "untrained":
            return [self.network_.outputs(_chosen(x, self.modalities))["fused"]]
        if self.kind == "late":
            return [pooled(x, [name]) for name in self.modalities or x.specification.modalities]
        return [pooled(x, self.modalities)]

    def _readout(self, x: Values, y: Values, groups: Values, valid: Values | None) -> Any:
        if self.kind == "majority":
            return DummyRegressor().fit(x, y) if self.is_number_ else DummyClassifier(strategy="prior").fit(x, y)
        if self.is_number_:
            return LinearReadout("numbers").fit(x, y, groups=groups, valid=valid)
        return LinearReadout("classes", strengths=tuple(self.strengths)).fit(x, y, groups=groups, valid=valid)

    def predict(self, X: Aligned) -> Values:
        """Numbers (N,): the mean over the readouts."""
        said = [one.predict(table).reshape(-1) for one, table in zip(self.readouts_, self._tables(X), strict=True)]
        return np.asarray(np.mean(said, axis=0))

    def predict_proba(self, X: Aligned) -> Values:
        """Probabilities (N, K): the product over the readouts, normalised."""
        shares = [one.predict_proba(table) for one, table in zip(self.readouts_, self._tables(X), strict=True)]
        product = np.exp(np.log(np.clip(shares, 1e-12, None)).sum(axis=0))
        return np.asarray(product / product.sum(axis=1, keepdims=True))


class Averaged(System):
    """One network or the average of several, with the epochs chosen on groups that are held out.

    Parameters
    ----------
    network : mapping
        Settings of the predictor.
    members : int
        Networks that are averaged, each with its own held-out groups, weights and order.
    refit : bool
        Train every member again on the whole training part, for as many epochs as its held-out groups chose.
    is_number : bool
        A number is predicted, not a class.
    modalities : sequence of str
        Which; empty: all.
    """

    def __init__(
        self,
        network: Mapping[str, Any],
        members: int = 1,
        refit: bool = False,
        is_number: bool = False,
        modalities: Sequence[str] = (),
        label: str | None = None,
        random_state: int = 0,
        selection: str = "loss",
        folder: Any = None,
        resume: bool = False,
        progress: bool = False,
    ) -> None:
        super().__init__(label, random_state, selection, folder, resume, progress)
        self.network, self.members, self.refit = network, members, refit
        self.is_number, self.modalities = is_number, modalities

    def fit(
        self,
        X: Aligned,
        y: Values,
        *,
        groups: Values | None = None,
        validation: tuple[Aligned, Values] | None = None,
    ) -> Self:
        """Train all members."""
        X = _chosen(X, self.modalities)
        if validation is not None:
            validation = (_chosen(validation[0], self.modalities), validation[1])
        self.members_, values, epochs = [], [], []
        told = []
        for number in range(self.members):
            member = self._member(number).fit(X, y, groups=groups, validation=validation)
            values.append(member.best_value_)
            told.append({"first": member.loss_curves_[0], "kept": member.loss_curves_[member.best_epoch_]})
            epochs.append(member.best_epoch_ + 1 or member.n_iter_)
            if self.refit:
                again = self._member(number).set_params(max_epochs=epochs[-1], validation_fraction=0.0)
                member = again.fit(X, y)
            self.members_.append(member)
        if self.folder is not None:
            Path(self.folder).mkdir(parents=True, exist_ok=True)
            write_json(Path(self.folder) / "losses.json", told)
        self.best_value_ = float(np.mean(values))
        self.best_epoch_, self.n_iter_ = int(np.median(epochs)) - 1, max(epochs)
        self.classes_ = getattr(self.members_[0], "classes_", np.array([]))
        return self

    def _member(self, number: int) -> Any:
        kind = SentimentRegressor if self.is_number else EmotionClassifier
        seed = self.random_state * 100 + number
        told = {"label": self.label, "random_state": seed, "selection": self.selection, "progress": False}
        return kind(**{**self.network, **told})

    def predict(self, X: Aligned) -> Values:
        """Numbers (N,): the mean over the members."""
        return np.asarray(np.mean([member.predict(_chosen(X, self.modalities)) for member in self.members_], axis=0))

    def predict_proba(self, X: Aligned) -> Values:
        """Probabilities (N, K): the mean over the members."""
        return np.asarray(
            np.mean([member.predict_proba(_chosen(X, self.modalities)) for member in self.members_], axis=0)
        )
