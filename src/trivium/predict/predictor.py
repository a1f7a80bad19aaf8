"""What predictors share: one network with any objectives meets data and the one training loop.

The network knows no loss and the objectives know no network. The choice of the kept epoch is made on a validation fold
that is held out of the training data, whole groups at a time, or given; a test fold is never seen here.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, check_X_y, validate_data
from torch import Tensor

from trivium.corpus import Aligned, Corpus, LabelSpecification, Specification
from trivium.corpus.ranges import require_in_range
from trivium.errors import DataError, SpecificationError
from trivium.fuse import ModalityDropout, Network, TextEncoder, WithTextEncoder, open_text_encoder, parameter_groups
from trivium.fuse.text_encoder import TextSteps
from trivium.objectives import Reconstruction, objective
from trivium.objectives.task import TaskLoss
from trivium.predict.inputs import SequenceSamples
from trivium.predict.lengths import longest_steps, most_words, shared_steps, with_margin
from trivium.predict.request import network_request
from trivium.predict.saved import save_fitted
from trivium.predict.selection import LOSS, selection_of
from trivium.predict.settings import require_training
from trivium.registry import load
from trivium.represent.inputs import array_to_aligned
from trivium.scale import TEXT, Sequences, SpelledSequences, StreamScaler, numbers_only, sequences
from trivium.train import Objective, Precision, Trainer, WithHeads, hold_out, rates_by_part, schedule
from trivium.weights import Card, PredictorWeights

__all__ = ["Given", "Predictor", "TargetError", "known_rows"]

Given: TypeAlias = Corpus | Aligned | NDArray[Any]
_ROWS_AT_ONCE = 64
_UNIMODAL = "prediction_"


class TargetError(DataError, ValueError):
    """Labels cannot be learned from; scikit-learn wants a ValueError."""


def known_rows(target: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of N labels (N,) or (N, K) are there: NaN is a missing one.

    Examples
    --------
    >>> known_rows(np.array([1.0, np.nan])).tolist()
    [True, False]
    """
    missing = np.isnan(target)
    return np.asarray(~(missing.any(axis=1) if missing.ndim == 2 else missing))


class Predictor(BaseEstimator):  # type: ignore[misc]
    """What all predictors share: data, network, training, and outputs by name; see :class:`SentimentRegressor`."""

    network_: Network | WithTextEncoder
    text_encoder_: TextEncoder | None
    specification_: Specification
    scaler_: StreamScaler
    label_: LabelSpecification | None
    steps_: dict[str, int]
    words_: int
    window_: int
    learned_: int
    seed_: int
    n_iter_: int
    best_epoch_: int
    best_value_: float
    loss_curves_: list[dict[str, float]]

    def __init__(
        self,
        network: str = "lf-dnn",
        objectives: Sequence[str] = (),
        *,
        label: str | None = None,
        loss: str | None = None,
        class_weight: Mapping[str, float] | str | None = None,
        network_options: Mapping[str, Any] | None = None,
        text_encoder: str | None = None,
        text_steps: TextSteps = "words",
        text_learning_rate: float = 2e-5,
        text_weight_decay: float = 1e-3,
        freeze_layers: int = 0,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-3,
        parts: Mapping[str, Mapping[str, float]] | None = None,
        schedule: str = "constant",
        batch_size: int = 32,
        accumulate: int = 1,
        max_epochs: int = 100,
        patience: int = 8,
        validation_fraction: float = 0.1,
        validation_groups: str | None = None,
        clip_norm: float | None = None,
        selection: str = LOSS,
        drop_modalities: float = 0.0,
        drop_steps: float = 0.0,
        device: str = "cpu",
        precision: Precision = "fp32",
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
        self.class_weight = class_weight
        self.network_options = network_options
        self.text_encoder = text_encoder
        self.text_steps = text_steps
        self.text_learning_rate = text_learning_rate
        self.text_weight_decay = text_weight_decay
        self.freeze_layers = freeze_layers
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.parts = parts
        self.schedule = schedule
        self.batch_size = batch_size
        self.accumulate = accumulate
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.validation_groups = validation_groups
        self.clip_norm = clip_norm
        self.selection = selection
        self.drop_modalities = drop_modalities
        self.drop_steps = drop_steps
        self.device = device
        self.precision = precision
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
        """Train on numbers (N,) or (N, K) with NaN where missing."""
        require_training(self.get_params(deep=False))
        given = self._given(X, reset=False)
        self.seed_ = seed = self._seed()
        if not known_rows(target).any():
            raise DataError("no utterance has a label", remedy="name another label")
        if validation is None:
            held = self._hold_out(given, groups, seed)
            train, valid = (given[~held], target[~held]), (given[held], target[held])
        else:
            train, valid = (given, target), (self._given(validation[0], reset=False), validation[1])
        if not known_rows(train[1]).any():
            raise DataError("no utterance that is learned from has a label", remedy="hold out less, or other groups")
        self.text_encoder_ = self._tower(seed)
        x = self._sequences(train[0])
        self.specification_ = x.specification
        self.label_ = self._label_of(X)
        self.steps_, self.words_, self.window_ = longest_steps(train[0]), shared_steps(train[0]), most_words(train[0])
        if isinstance(x, SpelledSequences):
            self._require_spoken(x)
            self.steps_[TEXT] = self.words_ or with_margin(int(x.lengths.max(initial=1)))
        self.learned_ = len(train[0])
        self.scaler_ = StreamScaler.fit(x.columns if isinstance(x, SpelledSequences) else x)
        samples = SequenceSamples(x, self.scaler_, {task.label: train[1]})
        network, objectives = self._assemble(task, outputs, samples, seed)
        self._train(network, objectives, samples, self._valid(valid, task.label), seed)
        return self

    def _tower(self, seed: int) -> TextEncoder | None:
        """The text encoder that is trained along, as it begins."""
        if self.text_encoder is None:
            return None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            tower = open_text_encoder(self.text_encoder, self.text_steps)
        tower.freeze(self.freeze_layers)
        return tower

    def _sequences(self, x: Corpus | Aligned) -> Sequences:
        """Utterances, their text as pieces of words where a text encoder reads them."""
        if self.text_encoder_ is None:
            return sequences(x)
        return SpelledSequences(x, self.text_encoder_.pieces, self.text_encoder_.stream)

    def _require_spoken(self, x: SpelledSequences) -> None:
        if not x.spoken.any():
            raise DataError(
                f"{self.text_encoder} reads words, and none of the {len(x)} utterances has any",
                remedy="give a corpus that keeps its words (`trivium inspect` counts them), or no text encoder",
            )

    def _valid(self, fold: tuple[Any, NDArray[np.float64]], label: str) -> SequenceSamples | None:
        """The samples of a fold that have a label; a validation loss over the others would mean nothing."""
        known = known_rows(fold[1])
        return self._samples(fold[0][known], fold[1][known], label) if known.any() else None

    def _given(self, x: Given, *, reset: bool) -> Corpus | Aligned:
        if isinstance(x, Corpus | Aligned):
            return numbers_only(x)
        if self.text_encoder is not None:
            raise SpecificationError(
                f"{self.text_encoder} reads words, and an array of numbers has none",
                remedy="give a corpus or an aligned set, or leave out the text encoder",
            )
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
        return SequenceSamples(self._sequences(x), self.scaler_, {} if target is None else {label: target})

    def _assemble(
        self, task: TaskLoss, outputs: int, samples: SequenceSamples, seed: int
    ) -> tuple[torch.nn.Module, list[Objective]]:
        """Network with the heads of its objectives, and the objectives, the task first."""
        objectives: list[Objective] = [task, *self._beside(task)]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            made, tower = self._network(outputs), self.text_encoder_
            network = made if tower is None else tower.in_front_of(made)
            network.eval()
            with torch.no_grad():
                first = network(samples.batch(np.arange(min(2, len(samples)))))
            heads = [head for one in objectives if (head := one.heads(first)) is not None]
        self.network_ = network
        whole: torch.nn.Module = WithHeads(network, heads) if heads else network
        if self.drop_modalities or self.drop_steps:
            whole = ModalityDropout(whole, self.drop_modalities, self.drop_steps)
        return whole, objectives

    def _beside(self, task: TaskLoss) -> list[Objective]:
        """Objectives beside the task."""
        found = [objective(request, label=task.label) for request in self.objectives]
        for one in found:
            if isinstance(one, TaskLoss | Reconstruction):
                whose = "of representations" if isinstance(one, Reconstruction) else "the task, which the label decides"
                raise SpecificationError(
                    f"{one.name} is {whose}, and no objective beside the task of {task.label}",
                    remedy="leave it out; loss and class_weight (--loss, --class-weight) change the task",
                )
            if getattr(one, "label", task.label) != task.label:
                raise SpecificationError(
                    f"{one.name} asks for the label {one.label}, and {task.label} is learned",  # type: ignore[attr-defined]
                    remedy="leave out its label",
                )
        return found

    def _network(self, outputs: int) -> Network:
        name, options = network_request(self.network)
        options |= self.network_options or {}
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Initializing zero-element tensors")  # an error below
                network: Network = load("network", name).from_specification(self.specification_, outputs, **options)
        except (TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError) as cause:
            raise SpecificationError(f"{self.network}: {cause}", remedy="see the network's parameters") from cause
        empty = [name for name, parameter in network.named_parameters() if not parameter.numel()]
        if empty:
            raise SpecificationError(
                f"{self.network}: {empty[0]} has no weights, as a width is 0", remedy="give widths of at least 1"
            )
        return network

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
            schedule=schedule(self.schedule),
            clip_norm=self.clip_norm,
            seed=seed,
            device=self.device,
            precision=self.precision,
            selection=None if self.selection == LOSS else selection_of(self.selection, objectives[0]),
            folder=None if self.folder is None else Path(self.folder),
            resume=self.resume,
            tensorboard=self.tensorboard,
            show=self.progress,
        )
        groups = parameter_groups(
            network,
            self.learning_rate,
            self.weight_decay,
            text_learning_rate=self.text_learning_rate,
            text_weight_decay=self.text_weight_decay,
        )
        made = self.network_.network if isinstance(self.network_, WithTextEncoder) else self.network_
        groups = rates_by_part(groups, made, self.parts or {})
        optimizer = torch.optim.Adam(groups, lr=self.learning_rate, fused=True)
        if hasattr(self, "best_value_"):  # of an earlier fit; a training that fails leaves none
            del self.best_value_
        run = trainer.fit(network, optimizer, train, valid)
        self.network_.eval()
        self.loss_curves_, self.n_iter_, self.best_epoch_ = run.curves, run.epoch, run.best_epoch
        column = "valid_loss" if self.selection == LOSS else f"valid_{self.selection}"
        self.best_value_ = run.curves[run.best_epoch][column] if run.best_epoch >= 0 else float("nan")

    def save(
        self,
        folder: str | os.PathLike[str],
        *,
        learned: Mapping[str, Any] | None = None,
        card: Card | None = None,
        export: bool = True,
        overwrite: bool = False,
    ) -> PredictorWeights:
        """Write weights that `trivium predict`, `evaluate` and `weights check` take.

        Parameters
        ----------
        folder : path
            Will hold the files.
        learned : mapping, optional
            From what it learned: corpus, protocol, fold, seed ..., as plain builtins.
        card : Card, optional
            What people should know; default names the corpus and says that nothing was measured.
        export : bool
            Export the network too, so that predicting needs no torch; takes seconds, of deep networks half a minute. A
            network with a text encoder in front of it is not exported: predicting needs torch and transformers.
        overwrite : bool
            Replace an existing folder.

        Raises
        ------
        DataError
            The folder exists.
        WeightsError
            The network's exported graph gives other numbers, or its weights are not finite.
        """
        check_is_fitted(self)
        return save_fitted(self, folder, learned=learned, card=card, export=export, overwrite=overwrite)

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
        samples = self._samples(given, None, "")
        ours, theirs = "the predictor", "the data"
        self.specification_.require_same_streams(samples.specification, ours=ours, theirs=theirs)
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
        label = self._label_of(X)
        if label is not None and isinstance(X, Corpus | Aligned):
            values = X.label(label.key)
            require_in_range(X.ids, values, label)
            return values
        raise TargetError("y is missing", remedy="give y, or a corpus and the name of its label")

    def _label_of(self, X: Given) -> LabelSpecification | None:
        """What the data say of the label, where they hold it and it is named."""
        if self.label is None or not isinstance(X, Corpus | Aligned):
            return None
        return X.specification.label(self.label)

    def _checked(self, X: Given, y: Any, *, numeric: bool) -> tuple[Given, NDArray[Any]]:
        """Data and target of one length; plain tables are checked as scikit-learn does."""
        if isinstance(X, Corpus | Aligned) or np.asarray(X).ndim == 3:
            target = self._target(X, y)
            if len(target) != len(X):
                raise DataError(f"there are {len(target)} labels for {len(X)} utterances")
            return X, np.asarray(target)
        shape = () if y is None else np.asarray(y).shape
        several = len(shape) == 2 and shape[1] > 1
        x, target = check_X_y(X, y, dtype=np.float32, y_numeric=numeric, multi_output=several)
        self._given(x, reset=True)
        return x, np.asarray(target)
