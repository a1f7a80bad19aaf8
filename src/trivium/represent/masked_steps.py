"""Masked-step prediction as a scikit-learn transformer: fit without labels, one vector per utterance of any length.

No single paper: an encoder of steps (:mod:`trivium.represent.step_network`) learns to say what stood at hidden steps
from what stands around them (Liu et al., 2020, Mockingjay, for speech), and the pooled states are the vector. The same
encoder learns by contrast of views, by cross-modal prediction (Lin & Hu, 2022, arXiv 2210.14556) or by VICReg (Bardes
et al., 2022, arXiv 2105.04906) instead. All numbers of the recipe are our choice, made for corpora of hundreds to
thousands of utterances.
"""

from __future__ import annotations

import os
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from torch import nn

from trivium.corpus import Aligned, Specification
from trivium.errors import SpecificationError
from trivium.objectives.hidden_steps import HiddenSteps
from trivium.objectives.views import CrossModalPrediction, Vicreg, ViewContrast
from trivium.represent.modules import Rescale
from trivium.represent.step_network import StepEncoder
from trivium.represent.trained import Trained
from trivium.represent.views import Showing, ShownSteps
from trivium.scale import POOLED, ScalerSet
from trivium.train import ALIGNED, ArraySamples, Objective
from trivium.weights.matching import fit_columns

__all__ = ["Learning", "MaskedSteps"]

Learning = Literal["masked", "contrastive", "cross-modal", "vicreg"]
_ROWS_AT_ONCE = 256
_SHOWN: dict[Learning, Showing] = {
    "masked": "hidden",
    "contrastive": "cutoffs",
    "cross-modal": "whole",
    "vicreg": "stretches",
}
_OBJECTIVES: dict[Learning, type[Objective]] = {
    "masked": HiddenSteps,
    "contrastive": ViewContrast,
    "cross-modal": CrossModalPrediction,
    "vicreg": Vicreg,
}


class MaskedSteps(Trained):
    """One vector per utterance from an encoder of its steps that learned without labels, by default from hidden steps.

    Utterances may have any number of steps, in training and afterwards; unseen steps and cells never count, and a
    modality that is missing gives zeros in its part of the vector and changes nothing in the others.

    Parameters
    ----------
    words : int
        Steps that a corpus is cropped or padded to; aligned sets and arrays bring their own.
    objective : {"masked", "contrastive", "cross-modal", "vicreg"}
        ``masked``: predict hidden steps. ``contrastive``: two views of an utterance find each other in the batch.
        ``cross-modal``: each modality finds the others' vectors. ``vicreg``: two stretches of time give like vectors.
    views : {"default", "cutoffs", "stretches"}
        What the two views of ``contrastive`` and ``vicreg`` are: the utterance without some steps and columns, or
        stretches of its time. The default is ``cutoffs`` for the first and ``stretches`` for the second.
    channels, layers, kernel : int
        Width H of a state; residual convolutions, the k-th over steps 2**k apart; steps each looks at.
    share : float
        Of the steps that are hidden, about.
    span : int
        Steps hidden in a row; spans that touch make longer ones.
    schedule : {"constant", "plateau", "public-code"}
        Learning rate by epoch.
    learning_rate, weight_decay : float
        Of Adam.
    batch_size, max_epochs : int
        Utterances per step; passes over them. ``max_epochs=0`` gives the untrained encoder.
    patience : int
        Stop when the validation loss has not fallen for more than this many epochs.
    validation_fraction : float
        Share held out for early stopping, from every corpus; 0 trains to the end and keeps the last weights.
    validation_groups : str, optional
        Group (``speaker``, ``video``) whose members stay on one side; None holds out single utterances.
    scaler : str
        How :meth:`transform` scales: ``pooled``, the name of a pretraining corpus, or ``refit`` (transductive).
    device : str
        ``cpu``, ``cuda`` or ``auto``.
    random_state : int, RandomState or None
        Decides weights, order and the held-out fold.
    folder : path, optional
        Gets a checkpoint and the loss curves after every epoch.
    resume : bool
        Go on from the checkpoint in `folder`.
    tensorboard : bool
        Also write TensorBoard events into `folder`.
    progress : bool
        Show progress.

    Attributes
    ----------
    network_ : ShownSteps
        Its ``encoder`` maps (B, 1, T, D), NaN where unseen, to (B, K).
    scalers_ : ScalerSet
        One scaler per pretraining corpus and ``pooled``; statistics of the training part only.
    specification_ : Specification
        Modalities and D columns.
    words_ : int
        Steps of the training utterances, which saved weights take.
    n_features_in_, n_features_out_ : int
        D, and K = 2 H for each modality.
    loss_curves_ : list of mapping
        One row per epoch: ``epoch``, ``learning_rate``, ``train_loss``, ``valid_loss``.
    corpora_ : mapping of str to int
        Utterances by corpus, held out ones included.
    seed_ : int
        What `random_state` came to.
    n_iter_, best_epoch_ : int
        Epochs run; the epoch (from 0) whose weights were kept, -1 where there was no validation.

    Examples
    --------
    >>> x = np.random.default_rng(0).random((12, 9, 7), dtype=np.float32)
    >>> encoder = MaskedSteps(max_epochs=1, channels=8, progress=False).fit(x)
    >>> encoder.transform(x).shape, encoder.transform(x[:, :5]).shape
    ((12, 16), (12, 16))
    """

    representation = "masked-steps"
    any_steps = True
    network_: ShownSteps

    def __init__(
        self,
        words: int = 20,
        *,
        objective: Learning = "masked",
        views: Literal["default", "cutoffs", "stretches"] = "default",
        channels: int = 64,
        layers: int = 3,
        kernel: int = 5,
        share: float = 0.3,
        span: int = 2,
        schedule: str = "constant",
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        batch_size: int = 64,
        max_epochs: int = 100,
        patience: int = 10,
        validation_fraction: float = 0.1,
        validation_groups: str | None = None,
        scaler: str = POOLED,
        device: str = "cpu",
        random_state: int | np.random.RandomState | None = 42,
        folder: str | os.PathLike[str] | None = None,
        resume: bool = False,
        tensorboard: bool = False,
        progress: bool = True,
    ) -> None:
        self.words = words
        self.objective = objective
        self.views = views
        self.channels = channels
        self.layers = layers
        self.kernel = kernel
        self.share = share
        self.span = span
        self.schedule = schedule
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.validation_groups = validation_groups
        self.scaler = scaler
        self.device = device
        self.random_state = random_state
        self.folder = folder
        self.resume = resume
        self.tensorboard = tensorboard
        self.progress = progress

    def as_module(self, specification: Specification) -> nn.Module:
        """Own scaling and encoder as one torch module; see :class:`trivium.represent.Beside`."""
        if hasattr(self, "network_"):
            return nn.Sequential(Rescale.of(self.scalers_), self.network_.encoder)
        return nn.Sequential(Rescale(len(specification.columns)), self._encoder(specification))

    def _objective(self) -> Objective:
        if self.objective not in get_args(Learning):
            raise SpecificationError(
                f"objective cannot be {self.objective!r}", remedy=f"choose from {', '.join(get_args(Learning))}"
            )
        if self.views not in ("default", "cutoffs", "stretches"):
            raise SpecificationError(
                f"views cannot be {self.views!r}", remedy="choose from default, cutoffs, stretches"
            )
        return _OBJECTIVES[self.objective]()

    def _scale(self, train: Aligned, corpora: NDArray[np.str_] | None) -> ScalerSet:
        return ScalerSet.fit(train, corpora, count_padding=False, mark_unseen=True)

    def _samples(self, aligned: Aligned) -> ArraySamples:
        scaled = self._scaled_each(aligned)
        seen = ~np.isnan(scaled)
        return ArraySamples(self.specification_, {ALIGNED: np.where(seen, scaled, np.float32(0))}, {ALIGNED: seen})

    def _encoder(self, specification: Specification) -> StepEncoder:
        if min(self.channels, self.layers, self.kernel) < 1 or self.kernel % 2 == 0:
            raise SpecificationError(
                f"an encoder cannot have {self.channels} channels, {self.layers} layers and a kernel of {self.kernel}",
                remedy="give at least one of each, and an odd kernel",
            )
        widths = {stream.modality: stream.dim for stream in specification.streams}
        return StepEncoder(widths, self.channels, self.layers, self.kernel)

    def _network(self, samples: ArraySamples | None) -> ShownSteps:
        encoder = self._encoder(self.specification_)
        if samples is not None:
            rows = (np.arange(i, min(i + _ROWS_AT_ONCE, len(samples))) for i in range(0, len(samples), _ROWS_AT_ONCE))
            batches = (samples.batch(some) for some in rows)
            encoder.learn_scale((batch.values[ALIGNED], batch.mask[ALIGNED]) for batch in batches)
        two = self.objective in ("contrastive", "vicreg") and self.views != "default"
        shown: Any = self.views if two else _SHOWN[self.objective]
        return ShownSteps(encoder, shown, self.share, self.span)

    def _fitted_columns(self, aligned: Aligned) -> Aligned:
        return fit_columns(aligned, self.specification_)
