"""Estimators that join one network with any objectives: a number, a class, or classes that may be true together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, cast, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.class_weight import compute_class_weight

from trivium.corpus import Aligned, Corpus
from trivium.errors import DataError, SpecificationError
from trivium.objectives import Classes, Multilabel, Ordinal, Regression
from trivium.objectives.task import Distance
from trivium.predict.predictor import Given, Predictor, TargetError, known_rows
from trivium.weights.answers import class_shares, expected_level
from trivium.wording import counted

__all__ = ["EmotionClassifier", "SentimentRegressor"]

_TARGET = "y"
_ORDINAL = "ordinal"
_NUMBER_LOSSES = (*get_args(Distance), _ORDINAL)
_CLASS_LOSSES = ("cross-entropy",)
_BALANCED = "balanced"
_MOST_LEVELS = 100


class SentimentRegressor(RegressorMixin, Predictor):  # type: ignore[misc]
    """One number for every utterance, from any network with any objectives.

    Parameters
    ----------
    network : str
        Name in the registry (``trivium list network``), with options where wanted: ``tfn:fusion=32``.
    objectives : sequence of str
        Beside the task, as ``modal_alignment:pairs=text+audio:weight=10``; see ``trivium list objective``.
    label : str, optional
        Key of the label in a corpus, where no y is given.
    loss : {"l1", "mse", "huber", "ordinal"}, optional
        What the task makes smaller; ``l1`` where left out. ``ordinal``: the label's range in whole numbers (``1`` to
        ``5``, or the seven bins of MOSI) are ordered levels, ``ordinal:0.2`` such that are 0.2 apart; the network
        answers for each but the highest how surely the label lies above it, and the prediction is the expected level.
    class_weight : None
        Of classes only; see :class:`EmotionClassifier`.
    network_options : mapping, optional
        What the network's constructor takes besides; wins over options in `network`.
    text_encoder : str, optional
        ``hf:FOLDER``, ``hf:OWNER/MODEL`` of the hub's cache, or ``minilm-l6``: this language model reads the words and
        is trained along; its states take the place of the columns of text. The data must keep their words.
    text_steps : {"words", "utterance"}
        Whether the network is given one step of text by word, or one vector by utterance.
    text_learning_rate, text_weight_decay : float
        Of the language model; biases and normalisations are not decayed.
    freeze_layers : int
        Of the language model, the embeddings and so many of the first layers stay as they are; 0 trains all.
    learning_rate, weight_decay : float
        Of Adam, for all else.
    parts : mapping of str to mapping of str to float, optional
        Parts of the network with a ``learning_rate``, a ``weight_decay`` or both of their own, by the beginning of
        their parameters' names: ``{"encoders.audio": {"learning_rate": 5e-3}}``; see
        :func:`trivium.train.rates_by_part`.
    schedule : str
        Learning rates by epoch: ``constant``, or ``plateau`` on the validation loss, with options
        ``plateau:patience=5:factor=0.1``; see :func:`trivium.train.schedule`.
    batch_size, accumulate : int
        Utterances per batch, and batches per step; the last group of an epoch may be smaller and is not lost.
    max_epochs : int
        Passes over the data.
    patience : int
        Stop when the validation loss has not fallen for more than this many epochs.
    validation_fraction : float
        Share held out for early stopping; 0 trains to the end.
    validation_groups : str, optional
        Group (``speaker``, ``video``) whose members stay on one side.
    clip_norm : float, optional
        Largest norm of the gradients of a step.
    selection : str
        What chooses the kept epoch on the validation fold: ``loss``, or a metric such as ``f1_non0``.
    drop_modalities, drop_steps : float
        In training, the probability with which a modality of an utterance, or a step of a modality, is dropped
        (:class:`trivium.fuse.ModalityDropout`).
    device : str
        ``cpu``, ``cuda`` or ``auto``.
    precision : {"fp32", "bf16"}
        ``bf16`` trains with mixed precision; predictions are always made in float32.
    random_state : int, RandomState or None
        Decides weights, order, dropout and the held-out fold.
    folder : path, optional
        Gets a checkpoint and the loss curves after every epoch.
    resume : bool
        Go on from the checkpoint in `folder`.
    tensorboard, progress : bool
        Write TensorBoard events into `folder`; show progress.

    Attributes
    ----------
    network_ : trivium.fuse.Network or trivium.fuse.WithTextEncoder
        Trained, without the heads of objectives.
    levels_ : tuple of float
        Of the loss ``ordinal``; empty otherwise.
    scaler_ : StreamScaler
        Of the training part.
    specification_ : Specification
        Modalities and columns.
    loss_curves_ : list of mapping
        One row per epoch.
    n_iter_, best_epoch_ : int
        Epochs run; the epoch (from 0) whose weights were kept.
    best_value_ : float
        What that epoch scored on validation, by `selection`; NaN where there was no validation.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((40, 5, 3)).astype(np.float32)
    >>> regressor = SentimentRegressor("concat", max_epochs=2, progress=False).fit(x, x[:, :, 0].mean(axis=1))
    >>> regressor.predict(x).shape
    (40,)
    """

    def fit(
        self,
        X: Given,
        y: Any = None,
        *,
        groups: NDArray[np.str_] | None = None,
        validation: tuple[Given, Any] | None = None,
    ) -> Self:
        """Learn from utterances with numbers.

        Parameters
        ----------
        X : Corpus, Aligned, or array of shape (N, W, D) or (N, D)
            Utterances.
        y : array of shape (N,), optional
            Numbers, NaN where missing; the corpus' own `label` where left out.
        groups : str array of shape (N,), optional
            Groups that stay on one side of the early-stopping fold; wins over `validation_groups`.
        validation : (like X, like y), optional
            The early-stopping fold itself; nothing is then held out of X.

        Raises
        ------
        DataError
            No label is known, or a loss is not finite.
        SpecificationError
            Network and objectives do not fit, or an option is unknown.
        """
        x, target = self._checked(X, y, numeric=True)
        if self.class_weight is not None:
            raise SpecificationError(
                "class weights are of classes, and this label is a number", remedy="leave out class_weight"
            )
        held = None if validation is None else (validation[0], np.asarray(validation[1], np.float64))
        if np.isinf(target).any():
            raise TargetError(f"{int(np.isinf(target).sum())} labels are infinite", remedy="correct them")
        numbers, key = target.astype(np.float64), self.label or _TARGET
        self.levels_ = self._levels(X, numbers)
        if not self.levels_:
            return self._fit(x, numbers, Regression(key, cast(Distance, self.loss or "l1")), 1, groups, held)
        task = Ordinal(key, self.levels_[0], self.levels_[1] - self.levels_[0])
        return self._fit(x, numbers, task, len(self.levels_) - 1, groups, held)

    def _levels(self, X: Given, target: NDArray[np.float64]) -> tuple[float, ...]:
        """Ordered levels, from the range that the label declares or its lowest and highest value; none if not asked."""
        name, sign, text = (self.loss or "l1").partition(":")
        if name != _ORDINAL or (sign and not _is_positive(text)):
            if name not in _NUMBER_LOSSES or sign:
                raise SpecificationError(
                    f"loss cannot be {self.loss!r}", remedy=f"choose from {', '.join(_NUMBER_LOSSES)}, ordinal:STEP"
                )
            return ()
        step = float(text) if sign else 1.0
        label = self._label_of(X)
        known = target[~np.isnan(target)]
        if not len(known):
            raise TargetError("no utterance has a label", remedy="name another label")
        edges = label.range if label is not None and label.range is not None else (known.min(), known.max())
        low, high = (int(np.round(edge / step)) for edge in edges)
        if not 1 <= high - low <= _MOST_LEVELS:
            raise SpecificationError(
                f"from {edges[0]:g} to {edges[1]:g} there are {high - low + 1} levels {step:g} apart, and 2 to "
                f"{_MOST_LEVELS + 1} can be learned",
                remedy="write the loss as ordinal:STEP",
            )
        return tuple(round(place * step, 9) for place in range(low, high + 1))

    def predict(self, X: Given) -> NDArray[np.float32]:
        """Numbers (N,) of utterances.

        Parameters
        ----------
        X : Corpus, Aligned, or array
            As for :meth:`outputs`.
        """
        scores = self.outputs(X)["prediction"]
        return expected_level(scores, self.levels_) if self.levels_ else np.asarray(scores[:, 0])


class EmotionClassifier(ClassifierMixin, Predictor):  # type: ignore[misc]
    """One class for every utterance, or any of several at once, from any network with any objectives.

    Parameters
    ----------
    network, objectives, label, network_options, text_encoder, text_steps, text_learning_rate, text_weight_decay,
    freeze_layers, learning_rate, weight_decay, parts, schedule, batch_size, accumulate, max_epochs, patience,
    validation_fraction, validation_groups, clip_norm, selection, drop_modalities, drop_steps, device, precision,
    random_state, folder, resume, tensorboard, progress
        As in :class:`SentimentRegressor`.
    loss : {"cross-entropy"}, optional
        The one there is.
    class_weight : "balanced" or mapping of str to float, optional
        Weight by class: a factor of its utterances; of classes that may be true together, of those where it is true.
        Classes that are not named weigh 1. ``balanced``: every class weighs the same, however many utterances it has;
        of classes that may be true together, the presence of each weighs as much as its absence.

    Attributes
    ----------
    classes_ : array of shape (K,)
        Classes in the order of the probabilities: names of the label, or for a table of presences without a label
        0 ... K - 1.
    multilabel_ : bool
        Whether several may be true at once, as a label of shape (N, K) says.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((40, 5, 3)).astype(np.float32)
    >>> mood = np.where(x[:, :, 0].mean(axis=1) > 0, "up", "down")
    >>> EmotionClassifier("concat", max_epochs=2, progress=False).fit(x, mood).predict_proba(x).shape
    (40, 2)
    """

    def fit(
        self,
        X: Given,
        y: Any = None,
        *,
        groups: NDArray[np.str_] | None = None,
        validation: tuple[Given, Any] | None = None,
    ) -> Self:
        """Learn from utterances with classes.

        Parameters
        ----------
        X : Corpus, Aligned, or array of shape (N, W, D) or (N, D)
            Utterances.
        y : array of shape (N,) or (N, K), optional
            Classes, ``""`` where missing, or for each of K classes a number above 0 where it is true, NaN where
            missing; the corpus' own `label` where left out.
        groups : str array of shape (N,), optional
            Groups that stay on one side of the early-stopping fold; wins over `validation_groups`.
        validation : (like X, like y), optional
            The early-stopping fold itself; nothing is then held out of X.

        Raises
        ------
        DataError
            There are fewer than two classes, a class of the validation fold does not occur, or a loss is not finite.
        SpecificationError
            Network and objectives do not fit, an option is unknown, or a weight is of a class that is not there or is
            not above 0.
        """
        x, target = self._checked(X, y, numeric=False)
        if self.loss not in (None, *_CLASS_LOSSES):
            raise SpecificationError(f"loss cannot be {self.loss!r}", remedy=f"choose from {', '.join(_CLASS_LOSSES)}")
        held = None if validation is None else (validation[0], np.asarray(validation[1]))
        self.multilabel_ = target.ndim == 2 and target.shape[1] > 1
        if self.multilabel_:
            self.classes_ = self._names(X, target.shape[1])
            return self._fit_presences(x, target.astype(np.float64), groups, held)
        if target.dtype.kind == "f" and target.size and np.any(target != np.round(target)):
            raise TargetError(f"Unknown label type: continuous numbers such as {target[0]} are no classes")
        missing = target == "" if target.dtype.kind in "UO" else np.zeros(len(target), bool)
        self.classes_ = np.unique(target[~missing])
        if len(self.classes_) < 2:
            raise TargetError(f"there is only one class: {self.classes_.tolist()}", remedy="name another label")
        numbers = self._numbers(target)
        task = Classes(self.label or _TARGET, self._weights(numbers))
        given = None if held is None else (held[0], self._numbers(held[1], held[0]))
        return self._fit(x, numbers, task, len(self.classes_), groups, given)

    def _fit_presences(
        self,
        x: Given,
        target: NDArray[np.float64],
        groups: NDArray[np.str_] | None,
        held: tuple[Given, NDArray[Any]] | None,
    ) -> Self:
        """Train on K presences or intensities by utterance (N, K), NaN rows where missing."""
        known = known_rows(target)
        present = target[known] > 0
        if len(present) and bool((present == present[0]).all()):
            raise TargetError("all utterances have the same classes", remedy="name another label")
        weights = self._given_weights()
        if self.class_weight == _BALANCED:
            there, not_there = present.sum(axis=0), (~present).sum(axis=0)
            balanced = np.where(there * not_there > 0, not_there / np.maximum(there, 1), 1.0)  # 0 would unlearn a class
            weights = tuple(balanced.tolist())
        task = Multilabel(self.label or _TARGET, weights)
        given = None if held is None else (held[0], held[1].astype(np.float64))
        return self._fit(x, target, task, target.shape[1], groups, given)

    def _names(self, X: Given, count: int) -> NDArray[Any]:
        label = self._label_of(X)
        return np.array(label.classes) if label and len(label.classes) == count else np.arange(count)

    def _given_weights(self) -> tuple[float, ...]:
        """Weights by class in the order of the classes, where they are given by class; none otherwise."""
        if self.class_weight is None or self.class_weight == _BALANCED:
            return ()
        names = [str(name) for name in self.classes_.tolist()]
        if not isinstance(self.class_weight, Mapping):
            raise SpecificationError(
                f"class_weight cannot be {self.class_weight!r}", remedy="give balanced, or a weight by class"
            )
        given = {str(name): weight for name, weight in self.class_weight.items()}
        unknown = [name for name in given if name not in names]
        if unknown:
            raise SpecificationError(
                f"there is no class {unknown[0]!r} to give a weight",
                remedy=f"choose from {', '.join(names)}",
            )
        for name, weight in given.items():
            if not _is_positive(weight):
                raise SpecificationError(f"the weight of {name} cannot be {weight!r}", remedy="give a number above 0")
        return tuple(float(given.get(name, 1.0)) for name in names)

    def _numbers(self, target: NDArray[Any], held: Given | None = None) -> NDArray[np.float64]:
        """Number of every class, NaN where missing; `held` are the utterances of a validation fold."""
        missing = target == "" if target.dtype.kind in "UO" else np.zeros(len(target), bool)
        unknown = sorted(set(target[~missing].tolist()) - set(self.classes_.tolist()))
        if unknown:
            having = np.flatnonzero(target == unknown[0])
            ids = [str(held.ids[row]) for row in having[:3]] if isinstance(held, Corpus | Aligned) else []
            named = f" (such as {', '.join(ids)})" if ids else ""
            raise DataError(
                f"the class {unknown[0]!r} of {counted(len(having), 'validation utterance')}{named} does not occur in "
                "the training fold",
                remedy="choose a split whose training fold has every class, or leave these utterances out",
            )
        numbers = np.full(len(target), np.nan)
        numbers[~missing] = np.searchsorted(self.classes_, target[~missing])
        return numbers

    def _weights(self, numbers: NDArray[np.float64]) -> tuple[float, ...]:
        if self.class_weight != _BALANCED:
            return self._given_weights()
        known = numbers[~np.isnan(numbers)].astype(np.int64)
        weights = compute_class_weight("balanced", classes=np.arange(len(self.classes_)), y=known)
        return tuple(weights.tolist())

    def predict_proba(self, X: Given) -> NDArray[np.float32]:
        """Probabilities (N, K) of the classes; where several may be true at once, each for itself.

        Parameters
        ----------
        X : Corpus, Aligned, or array
            As for :meth:`outputs`.
        """
        return class_shares(self.outputs(X)["prediction"], multilabel=self.multilabel_)

    def predict(self, X: Given) -> NDArray[Any]:
        """Classes (N,); where several may be true at once, 0 or 1 for each (N, K).

        Parameters
        ----------
        X : Corpus, Aligned, or array
            As for :meth:`outputs`.
        """
        scores = self.outputs(X)["prediction"]
        return (scores > 0).astype(np.int64) if self.multilabel_ else np.asarray(self.classes_[scores.argmax(axis=1)])


def _is_positive(value: Any) -> bool:
    """Whether something is, or reads as, a finite number above 0."""
    try:
        return not isinstance(value, bool) and bool(np.isfinite(float(value))) and float(value) > 0
    except (TypeError, ValueError):
        return False
