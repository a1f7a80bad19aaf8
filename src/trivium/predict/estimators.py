"""Estimators that join one network with any objectives: a number, or a class, from what a person says, sounds, shows.

The network knows no loss and the objectives know no network: here they meet the one training loop. The choice of the
kept epoch is made on a validation fold that is held out of the training data, whole groups at a time, or given; a test
fold is never seen here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import check_array, check_is_fitted, check_X_y, validate_data
from torch import Tensor

from trivium.corpus import Aligned, Corpus, Specification
from trivium.errors import DataError, SpecificationError
from trivium.objectives import Classes, Regression, objective
from trivium.objectives.task import Distance, TaskLoss
from trivium.predict.inputs import SequenceSamples, StreamScaler, sequences
from trivium.registry import load
from trivium.represent.inputs import array_to_aligned
from trivium.train import Objective, Trainer, WithHeads, hold_out

__all__ = ["EmotionClassifier", "SentimentRegressor"]

Given: TypeAlias = Corpus | Aligned | NDArray[Any]
_ROWS_AT_ONCE = 64
_TARGET = "y"
_UNIMODAL = "prediction_"
_CLASS_LOSSES = ("cross-entropy", "balanced")


class _TargetError(DataError, ValueError):
    """Labels cannot be learned from; scikit-learn wants a ValueError."""


class _Predictor(BaseEstimator):  # type: ignore[misc]
    """What both estimators share: data, network, training, and outputs by name."""

    network_: torch.nn.Module
    specification_: Specification
    scaler_: StreamScaler
    loss_curves_: list[dict[str, float]]

    def __init__(
        self,
        network: str = "lf-dnn",
        objectives: Sequence[str] = (),
        *,
        label: str | None = None,
        loss: str | None = None,
        network_options: Mapping[str, Any] | None = None,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-3,
        batch_size: int = 32,
        accumulate: int = 1,
        max_epochs: int = 100,
        patience: int = 8,
        validation_fraction: float = 0.1,
        validation_groups: str | None = None,
        clip_norm: float | None = None,
        device: str = "cpu",
        random_state: int | np.random.RandomState | None = 1111,
        folder: str | os.PathLike[str] | None = None,
        resume: bool = False,
        tensorboard: bool = False,
        progress: bool = True,
    ) -> None:
        self.network = network
        self.objectives = objectives
        self.label = label
        self.loss = loss
        self.network_options = network_options
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.accumulate = accumulate
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.validation_groups = validation_groups
        self.clip_norm = clip_norm
        self.device = device
        self.random_state = random_state
        self.folder = folder
        self.resume = resume
        self.tensorboard = tensorboard
        self.progress = progress

    def _fit(
        self,
        X: Given,
        target: NDArray[np.float64],
        task: TaskLoss,
        outputs: int,
        groups: NDArray[np.str_] | None,
        validation: tuple[Given, NDArray[np.float64]] | None,
    ) -> Self:
        """Train on numbers (N,) with NaN where missing."""
        given = self._given(X, reset=False)
        self.seed_ = seed = self._seed()
        known = ~np.isnan(target)
        if not known.any():
            raise DataError("no utterance has a label", remedy="name another label")
        if validation is None:
            held = self._hold_out(given, groups, seed)
            train, valid = (given[~held], target[~held]), (given[held], target[held])
        else:
            train, valid = (given, target), (self._given(validation[0], reset=False), validation[1])
        self.specification_ = given.specification
        self.scaler_ = StreamScaler.fit(sequences(train[0]))
        network, objectives = self._assemble(task, outputs, self._samples(*train, task.label), seed)
        self._train(network, objectives, self._samples(*train, task.label), self._valid(valid, task.label), seed)
        return self

    def _valid(self, fold: tuple[Any, NDArray[np.float64]], label: str) -> SequenceSamples | None:
        """The samples of a fold that have a label; a validation loss over the others would mean nothing."""
        known = ~np.isnan(fold[1])
        return self._samples(fold[0][known], fold[1][known], label) if known.any() else None

    def _given(self, x: Given, *, reset: bool) -> Corpus | Aligned:
        if isinstance(x, Corpus | Aligned):
            return x
        if (x.ndim if hasattr(x, "ndim") else np.asarray(x).ndim) == 3:
            return array_to_aligned(check_array(x, dtype=np.float32, allow_nd=True, ensure_all_finite=False))
        return array_to_aligned(validate_data(self, x, reset=reset, dtype=np.float32))

    def _hold_out(self, given: Corpus | Aligned, groups: NDArray[np.str_] | None, seed: int) -> NDArray[np.bool_]:
        if groups is None and self.validation_groups is not None:
            groups = given.group(self.validation_groups)
        return hold_out(len(given), self.validation_fraction, seed=seed, groups=groups)

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _samples(self, x: Corpus | Aligned, target: NDArray[np.float64] | None, label: str) -> SequenceSamples:
        return SequenceSamples(sequences(x), self.scaler_, {} if target is None else {label: target})

    def _assemble(
        self, task: TaskLoss, outputs: int, samples: SequenceSamples, seed: int
    ) -> tuple[torch.nn.Module, list[Objective]]:
        """Network with the heads of its objectives, and the objectives, the task first."""
        objectives: list[Objective] = [task]
        objectives += [objective(request, label=task.label) for request in self.objectives]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            kind = load("network", self.network)
            options = self.network_options or {}
            try:
                network = kind.from_specification(self.specification_, outputs, **options)
            except TypeError as cause:
                raise SpecificationError(f"{self.network}: {cause}", remedy="see the network's parameters") from cause
            network.eval()
            with torch.no_grad():
                first = network(samples.batch(np.arange(min(2, len(samples)))))
            heads = [head for one in objectives if (head := one.heads(first)) is not None]
        self.network_ = network
        return WithHeads(network, heads) if heads else network, objectives

    def _train(
        self,
        network: torch.nn.Module,
        objectives: Sequence[Objective],
        train: SequenceSamples,
        valid: SequenceSamples | None,
        seed: int,
    ) -> None:
        trainer = Trainer(
            objectives,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            accumulate=self.accumulate,
            patience=self.patience,
            clip_norm=self.clip_norm,
            seed=seed,
            device=self.device,
            folder=None if self.folder is None else Path(self.folder),
            resume=self.resume,
            tensorboard=self.tensorboard,
            show=self.progress,
        )
        optimizer = torch.optim.Adam(
            network.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay, fused=True
        )
        run = trainer.fit(network, optimizer, train, valid)
        self.network_.eval()
        self.loss_curves_, self.n_iter_, self.best_epoch_ = run.curves, run.epoch, run.best_epoch

    def outputs(self, X: Given) -> dict[str, NDArray[np.float32]]:
        """Everything the network says of utterances: the prediction, its unimodal parts, and the vectors behind them.

        Parameters
        ----------
        X : Corpus, Aligned, or array of shape (N, W, D) or (N, D)
            With the modalities and columns of the training data.

        Returns
        -------
        dict of str to array with N rows
            Names as in :class:`trivium.fuse.Network`: ``prediction`` (N, K), ``feature_text`` (N, F) ...

        Raises
        ------
        SpecificationError
            The columns differ from those of training; they are named.
        """
        check_is_fitted(self)
        parts = list(self._pieces(X))
        return {name: np.concatenate([part[name].numpy() for part in parts]) for name in parts[0]}

    def unimodal(self, X: Given) -> dict[str, NDArray[np.float32]]:
        """What each modality says alone, for networks with unimodal heads.

        Parameters
        ----------
        X : Corpus, Aligned, or array
            As for :meth:`outputs`.

        Returns
        -------
        dict of str to array of shape (N, K)
            By modality; empty for networks without such heads.
        """
        found = self.outputs(X)
        return {name.removeprefix(_UNIMODAL): part for name, part in found.items() if name.startswith(_UNIMODAL)}

    @torch.no_grad()
    def _pieces(self, X: Given) -> Iterator[Mapping[str, Tensor]]:
        given = self._given(X, reset=False)
        ours, theirs = "the predictor", "the data"
        self.specification_.require_same_streams(given.specification, ours=ours, theirs=theirs)
        samples = self._samples(given, None, "")
        device = next(self.network_.parameters()).device
        for start in range(0, len(samples), _ROWS_AT_ONCE):
            batch = samples.batch(np.arange(start, min(start + _ROWS_AT_ONCE, len(samples))))
            yield {name: tensor.cpu() for name, tensor in self.network_(batch.to(device)).items()}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _target(self, X: Given, y: Any) -> Any:
        """The label of every utterance, as it is given or as the data holds it."""
        if y is not None:
            return y
        if isinstance(X, Corpus | Aligned) and self.label is not None:
            return X.label(self.label)
        raise _TargetError("y is missing", remedy="give y, or a corpus and the name of its label")

    def _checked(self, X: Given, y: Any, *, numeric: bool) -> tuple[Given, NDArray[Any]]:
        """Data and target of one length; plain tables are checked as scikit-learn does."""
        if isinstance(X, Corpus | Aligned) or np.asarray(X).ndim == 3:
            target = self._target(X, y)
            if len(target) != len(X):
                raise DataError(f"there are {len(target)} labels for {len(X)} utterances")
            return X, np.asarray(target)
        x, target = check_X_y(X, y, dtype=np.float32, y_numeric=numeric)
        self._given(x, reset=True)
        return x, np.asarray(target)


class SentimentRegressor(RegressorMixin, _Predictor):  # type: ignore[misc]
    """One number for every utterance, from any network with any objectives.

    Parameters
    ----------
    network : str
        Name in the registry: ``trivium list network``.
    objectives : sequence of str
        Beside the task, as ``modal_alignment:pairs=text+audio:weight=10``; see ``trivium list objective``.
    label : str, optional
        Key of the label in a corpus, where no y is given.
    loss : {"l1", "mse", "huber"}, optional
        What the task makes smaller; ``l1`` where left out.
    network_options : mapping, optional
        What the network's constructor takes besides.
    learning_rate, weight_decay : float
        Of Adam.
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
    device : str
        ``cpu``, ``cuda`` or ``auto``.
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
    network_ : trivium.fuse.Network
        Trained, without the heads of objectives.
    scaler_ : StreamScaler
        Of the training part.
    specification_ : Specification
        Modalities and columns.
    loss_curves_ : list of mapping
        One row per epoch.
    n_iter_, best_epoch_ : int
        Epochs run; the epoch (from 0) whose weights were kept.

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
        held = None if validation is None else (validation[0], np.asarray(validation[1], np.float64))
        task = Regression(self.label or _TARGET, cast(Distance, self.loss or "l1"))
        return self._fit(x, target.astype(np.float64), task, 1, groups, held)

    def predict(self, X: Given) -> NDArray[np.float32]:
        """Numbers (N,) of utterances.

        Parameters
        ----------
        X : Corpus, Aligned, or array
            As for :meth:`outputs`.
        """
        return np.asarray(self.outputs(X)["prediction"][:, 0])


class EmotionClassifier(ClassifierMixin, _Predictor):  # type: ignore[misc]
    """One class for every utterance, from any network with any objectives.

    Parameters
    ----------
    network, objectives, label, network_options, learning_rate, weight_decay, batch_size, accumulate, max_epochs,
    patience, validation_fraction, validation_groups, clip_norm, device, random_state, folder, resume, tensorboard,
    progress
        As in :class:`SentimentRegressor`.
    loss : {"cross-entropy", "balanced"}, optional
        ``balanced``: cross entropy in which every class weighs the same, however many utterances it has.

    Attributes
    ----------
    classes_ : array of shape (K,)
        Classes in the order of the probabilities.

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
        y : array of shape (N,), optional
            Classes, ``""`` where missing; the corpus' own `label` where left out.
        groups : str array of shape (N,), optional
            Groups that stay on one side of the early-stopping fold; wins over `validation_groups`.
        validation : (like X, like y), optional
            The early-stopping fold itself; nothing is then held out of X.

        Raises
        ------
        DataError
            There are fewer than two classes, a class of the validation fold does not occur, or a loss is not finite.
        SpecificationError
            Network and objectives do not fit, or an option is unknown.
        """
        x, target = self._checked(X, y, numeric=False)
        if target.dtype.kind == "f" and target.size and np.any(target != np.round(target)):
            raise _TargetError(f"Unknown label type: continuous numbers such as {target[0]} are no classes")
        missing = target == "" if target.dtype.kind in "UO" else np.zeros(len(target), bool)
        self.classes_ = np.unique(target[~missing])
        if len(self.classes_) < 2:
            raise _TargetError(f"there is only one class: {self.classes_.tolist()}", remedy="name another label")
        held = None if validation is None else (validation[0], self._numbers(np.asarray(validation[1])))
        numbers = self._numbers(target)
        task = Classes(self.label or _TARGET, self._weights(numbers))
        return self._fit(x, numbers, task, len(self.classes_), groups, held)

    def _numbers(self, target: NDArray[Any]) -> NDArray[np.float64]:
        """Number of every class, NaN where missing."""
        missing = target == "" if target.dtype.kind in "UO" else np.zeros(len(target), bool)
        unknown = sorted(set(target[~missing].tolist()) - set(self.classes_.tolist()))
        if unknown:
            raise DataError(f"the class {unknown[0]!r} does not occur in the training data")
        numbers = np.full(len(target), np.nan)
        numbers[~missing] = np.searchsorted(self.classes_, target[~missing])
        return numbers

    def _weights(self, numbers: NDArray[np.float64]) -> tuple[float, ...]:
        if self.loss not in (None, *_CLASS_LOSSES):
            raise SpecificationError(f"loss cannot be {self.loss!r}", remedy=f"choose from {', '.join(_CLASS_LOSSES)}")
        if self.loss != "balanced":
            return ()
        known = numbers[~np.isnan(numbers)].astype(np.int64)
        weights = compute_class_weight("balanced", classes=np.arange(len(self.classes_)), y=known)
        return tuple(weights.tolist())

    def predict_proba(self, X: Given) -> NDArray[np.float32]:
        """Probabilities (N, K) of the classes.

        Parameters
        ----------
        X : Corpus, Aligned, or array
            As for :meth:`outputs`.
        """
        scores = torch.from_numpy(self.outputs(X)["prediction"])
        return np.asarray(torch.softmax(scores, dim=1).numpy())

    def predict(self, X: Given) -> NDArray[Any]:
        """Classes (N,).

        Parameters
        ----------
        X : Corpus, Aligned, or array
            As for :meth:`outputs`.
        """
        chosen = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[chosen])
