"""The convolutional autoencoder as a scikit-learn transformer: fit without labels, one vector per utterance.

Paper: Koromilas & Giannakopoulos (2021), Unsupervised multimodal language representations with convolutional
autoencoders, arXiv 2110.03007. Faithful with the default options: the network, scaling by corpus with padding counted,
the loss over all cells, Adam with 0.02 and weight decay 0.001, batches of 32, at most 100 epochs, an early stop after
more than 10 epochs without a better validation loss, the best weights, seed 42, and the public code's accidental
learning rate. Different: columns are matched by name (the public code mixes two column orders); after pretraining on
several corpora vectors are made with pooled statistics (the public code scales a corpus by its own: ``scaler="NAME"``);
and each slip is an option with its repair beside it: ``unpooling``, ``padding``, ``schedule``, ``clip``.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data
from torch import Tensor

from trivium.corpus import Aligned, Corpus, Specification
from trivium.errors import DataError, SpecificationError
from trivium.objectives.reconstruction import Padding, Reconstruction
from trivium.represent.conv_network import ConvAutoencoderNetwork, Unpooling
from trivium.represent.inputs import array_to_aligned, corpora_of, to_aligned
from trivium.represent.pretrained import Pretrained
from trivium.scale import POOLED, ScalerSet, match_columns
from trivium.train import ALIGNED, ArraySamples, TensorBatch, Trainer, hold_out, schedule

__all__ = ["ConvAutoencoder"]

_ROWS_AT_ONCE = 64
Matrices = Aligned | Corpus | NDArray[Any]


class ConvAutoencoder(Pretrained, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """One vector per utterance, learned without labels by reconstructing its matrix of words x columns.

    Parameters
    ----------
    words : int
        Steps W that a corpus is cropped or padded to; aligned sets and arrays bring their own.
    unpooling : {"switches", "none"}
        ``switches``, the paper's: the decoder gets the positions of the input's maxima beside the vector, so a low
        loss overstates what the vector holds. ``none``: the vector is all it gets.
    padding : {"count", "ignore"}
        ``count``, the paper's: padding and unseen cells are data, in the statistics of scaling and in the loss.
        ``ignore``: neither.
    schedule : {"public-code", "plateau", "constant"}
        Learning rate by epoch. ``public-code``: a tenth after 12 epochs and after every 11 more, as the public code
        does by accident. ``plateau``: a tenth when the validation loss stands still, as it was meant.
    learning_rate, weight_decay : float
        Of Adam.
    batch_size, max_epochs : int
        Utterances per step; passes over them. ``max_epochs=0`` gives the untrained encoder with fitted scalers.
    patience : int
        Stop when the validation loss has not fallen for more than this many epochs.
    validation_fraction : float
        Share held out for early stopping, from every corpus; 0 trains to the end and keeps the last weights.
    validation_groups : str, optional
        Group (``speaker``, ``video``) whose members stay on one side; None holds out single utterances.
    scaler : str
        How :meth:`transform` scales: ``pooled``, the name of a pretraining corpus, or ``refit`` (statistics of the
        very data it is given: transductive).
    clip : bool
        Keep scaled values within [0, 1]; the paper does not.
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
    network_ : ConvAutoencoderNetwork
        Its ``encoder`` maps (B, 1, W, D) to (B, K).
    scalers_ : ScalerSet
        One scaler per pretraining corpus and ``pooled``; statistics of the training part only.
    specification_ : Specification
        Modalities and D columns.
    words_ : int
        W.
    n_features_in_, n_features_out_ : int
        D and K.
    loss_curves_ : list of mapping
        One row per epoch: ``epoch``, ``learning_rate``, ``train_loss``, ``valid_loss``.
    corpora_ : mapping of str to int
        Utterances by corpus, held out ones included.
    seed_ : int
        What `random_state` came to.
    n_iter_, best_epoch_ : int
        Epochs run; the epoch (from 0) whose weights were kept, -1 where there was no validation.

    Notes
    -----
    Source: Koromilas & Giannakopoulos (2021), public code; ``ignore``, ``none``, ``clip`` and the margin of matrices
    below 18 x 18 are our choice. An array (N, D) is N utterances of one step.

    Examples
    --------
    >>> x = np.random.default_rng(0).random((12, 20, 74), dtype=np.float32)
    >>> encoder = ConvAutoencoder(max_epochs=1, progress=False).fit(x)
    >>> encoder.transform(x).shape, encoder.reconstruct(x[:2]).shape
    ((12, 45), (2, 20, 74))
    """

    representation = "conv-autoencoder"
    paper = "arXiv 2110.03007"
    network_: ConvAutoencoderNetwork
    loss_curves_: list[dict[str, float]]

    def __init__(
        self,
        words: int = 20,
        *,
        unpooling: Unpooling = "switches",
        padding: Padding = "count",
        schedule: str = "public-code",
        learning_rate: float = 2e-2,
        weight_decay: float = 1e-3,
        batch_size: int = 32,
        max_epochs: int = 100,
        patience: int = 10,
        validation_fraction: float = 0.1,
        validation_groups: str | None = None,
        scaler: str = POOLED,
        clip: bool = False,
        device: str = "cpu",
        random_state: int | np.random.RandomState | None = 42,
        folder: str | os.PathLike[str] | None = None,
        resume: bool = False,
        tensorboard: bool = False,
        progress: bool = True,
    ) -> None:
        self.words = words
        self.unpooling = unpooling
        self.padding = padding
        self.schedule = schedule
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.validation_groups = validation_groups
        self.scaler = scaler
        self.clip = clip
        self.device = device
        self.random_state = random_state
        self.folder = folder
        self.resume = resume
        self.tensorboard = tensorboard
        self.progress = progress

    def fit(
        self,
        X: Matrices,
        y: object = None,
        *,
        groups: NDArray[np.str_] | None = None,
        corpora: NDArray[np.str_] | None = None,
        validation: Matrices | None = None,
    ) -> Self:
        """Learn scalers and network; labels are not looked at.

        Parameters
        ----------
        X : Aligned, Corpus, or array of shape (N, W, D) or (N, D)
            Utterances. A corpus joined with :func:`trivium.concat` gets one scaler per corpus.
        y : ignored
            Here for pipelines.
        groups : str array of shape (N,), optional
            Groups that stay on one side of the early-stopping fold; wins over `validation_groups`.
        corpora : str array of shape (N,), optional
            Corpus of each utterance; default: its group ``corpus``, where there is one.
        validation : like X, optional
            The early-stopping fold itself; nothing is then held out of X.

        Raises
        ------
        SpecificationError
            An option is unknown, or `validation` has other columns.
        DataError
            There is nothing to train on, or a loss is not finite.
        """
        objective = Reconstruction(self.padding)
        aligned = self._aligned(X, reset=True)
        if corpora is not None:
            aligned = _with_corpora(aligned, corpora)
        self.seed_ = seed = self._seed()
        if validation is None:
            held = self._hold_out(aligned, groups, seed)
            train, valid = aligned[~held], aligned[held]
        else:
            train, valid = aligned, self._aligned(validation, reset=False)
        _warn_of_cells_that_are_not_finite(aligned)
        self.specification_ = Specification(aligned.specification.streams)
        self.words_, self.n_features_in_ = aligned.shape[1:]
        count_padding = self.padding == "count"
        self.scalers_ = ScalerSet.fit(train, corpora_of(train), count_padding=count_padding, clip=self.clip)
        self.corpora_ = _counts(aligned)
        self.network_ = self._build(seed)
        self._train(objective, self._samples(train), self._samples(valid) if len(valid) else None, seed)
        return self

    def transform(self, X: Matrices) -> NDArray[np.float32]:
        """Vectors of utterances.

        Parameters
        ----------
        X : Aligned, Corpus, or array of shape (N, W, D) or (N, D)
            Columns are matched by name.

        Returns
        -------
        array of shape (N, K)
            float32.

        Raises
        ------
        SpecificationError
            Columns are missing (they are named), or the number of steps is not that of training.
        """
        check_is_fitted(self)
        encoder = self.network_.encoder
        return self._in_pieces(self._scaled(X), lambda x: encoder(x.unsqueeze(1)), (self.n_features_out_,))

    def reconstruct(self, X: Matrices) -> NDArray[np.float32]:
        """What the decoder makes of utterances, in scaled units.

        Parameters
        ----------
        X : Aligned, Corpus, or array of shape (N, W, D) or (N, D)
            As for :meth:`transform`.

        Returns
        -------
        array of shape (N, W, D)
            float32; compare it with ``scalers_.transform``.
        """
        check_is_fitted(self)

        def rebuilt(x: Tensor) -> Tensor:
            outputs: Mapping[str, Tensor] = self.network_(TensorBatch(torch.arange(len(x)), {ALIGNED: x}, {}, {}))
            return outputs["reconstruction"]

        return self._in_pieces(self._scaled(X), rebuilt, (self.words_, self.n_features_in_))

    def _restore(
        self, specification: Specification, words: int, scalers: ScalerSet, tensors: Mapping[str, Tensor]
    ) -> None:
        self.specification_, self.scalers_ = specification, scalers
        self.words_, self.n_features_in_ = words, len(specification.columns)
        self.seed_ = self._seed()
        self.network_ = self._build(self.seed_)
        self.network_.load_state_dict(dict(tensors))
        self.loss_curves_, self.n_iter_, self.best_epoch_, self.corpora_ = [], 0, -1, {}

    @property
    def n_features_out_(self) -> int:
        """Length K of a vector."""
        return self.network_.encoder.n_features

    @property
    def _n_features_out(self) -> int:  # what scikit-learn's mixin reads
        return self.n_features_out_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True  # cells that are not finite become their column's minimum
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _aligned(self, x: Matrices, *, reset: bool) -> Aligned:
        if isinstance(x, Aligned | Corpus):
            return to_aligned(x, self.words)
        if (x.ndim if hasattr(x, "ndim") else np.asarray(x).ndim) == 3:
            return array_to_aligned(check_array(x, dtype=np.float32, allow_nd=True, ensure_all_finite=False))
        return array_to_aligned(validate_data(self, x, reset=reset, dtype=np.float32, ensure_all_finite=False))

    def _hold_out(self, aligned: Aligned, groups: NDArray[np.str_] | None, seed: int) -> NDArray[np.bool_]:
        if groups is None and self.validation_groups is not None:
            groups = aligned.group(self.validation_groups)
        fraction, corpora = self.validation_fraction, corpora_of(aligned)
        return hold_out(len(aligned), fraction, seed=seed, groups=groups, strata=corpora)

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _build(self, seed: int) -> ConvAutoencoderNetwork:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return ConvAutoencoderNetwork(self.words_, self.n_features_in_, self.unpooling).eval()

    def _samples(self, aligned: Aligned) -> ArraySamples:
        """Scaled matrices, each with the scaler of its corpus, and the mask where the loss looks at it."""
        corpora = corpora_of(aligned)
        known = np.full(len(aligned), POOLED) if corpora is None else corpora
        known = np.where(np.isin(known, self.scalers_.names), known, POOLED)
        scaled = self.scalers_.transform_each(aligned, known)
        if self.padding == "count":
            return ArraySamples(self.specification_, {ALIGNED: scaled})
        values, seen = match_columns(aligned, self.scalers_.columns)
        return ArraySamples(self.specification_, {ALIGNED: scaled}, {ALIGNED: seen & np.isfinite(values)})

    def _train(self, objective: Reconstruction, train: ArraySamples, valid: ArraySamples | None, seed: int) -> None:
        trainer = Trainer(
            [objective],
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            patience=self.patience,
            schedule=schedule(self.schedule),
            seed=seed,
            device=self.device,
            folder=None if self.folder is None else Path(self.folder),
            resume=self.resume,
            tensorboard=self.tensorboard,
            show=self.progress and self.max_epochs > 0,
        )
        optimizer = torch.optim.Adam(self.network_.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
        run = trainer.fit(self.network_, optimizer, train, valid)
        self.loss_curves_, self.n_iter_, self.best_epoch_ = run.curves, run.epoch, run.best_epoch

    def _scaled(self, x: Matrices) -> NDArray[np.float32]:
        aligned = self._aligned(x, reset=False)
        if aligned.shape[1] != self.words_:
            raise SpecificationError(
                f"the utterances have {aligned.shape[1]} steps, the weights want {self.words_}",
                remedy=f"align with words={self.words_}",
            )
        return self.scalers_.transform(aligned, self.scaler)

    @torch.no_grad()
    def _in_pieces(
        self, x: NDArray[np.float32], function: Callable[[Tensor], Tensor], shape: tuple[int, ...]
    ) -> NDArray[np.float32]:
        device = next(self.network_.parameters()).device
        self.network_.eval()
        found = np.empty((len(x), *shape), np.float32)
        for start in range(0, len(x), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            found[rows] = function(torch.from_numpy(x[rows]).to(device)).cpu().numpy()
        return found


def _warn_of_cells_that_are_not_finite(aligned: Aligned) -> None:
    bad = ~np.isfinite(aligned.values)
    if bad.any():
        row, step, column = np.argwhere(bad)[0]
        name = aligned.specification.columns[column]
        warnings.warn(
            f"{bad.sum()} cells are not finite, the first in utterance {aligned.ids[row]}, step {step}, column {name}; "
            "they become the minimum of their column",
            stacklevel=3,
        )


def _counts(aligned: Aligned) -> dict[str, int]:
    corpora = corpora_of(aligned)
    if corpora is None:
        return {"unnamed": len(aligned)}
    names, counts = np.unique(corpora, return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def _with_corpora(aligned: Aligned, corpora: NDArray[np.str_]) -> Aligned:
    if len(corpora) != len(aligned):
        raise DataError(f"there are {len(corpora)} names of corpora for {len(aligned)} utterances")
    return replace(aligned, table={**aligned.table, "group.corpus": np.asarray(corpora, np.str_)})
