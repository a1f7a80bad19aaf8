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
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from trivium.corpus import Aligned
from trivium.objectives.reconstruction import Padding, Reconstruction
from trivium.represent.conv_network import ConvAutoencoderNetwork, Unpooling
from trivium.represent.trained import Matrices, Trained
from trivium.scale import POOLED, ScalerSet, match_columns
from trivium.train import ALIGNED, ArraySamples, TensorBatch

__all__ = ["ConvAutoencoder"]


class ConvAutoencoder(Trained):
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

    def _objective(self) -> Reconstruction:
        return Reconstruction(self.padding)

    def _scale(self, train: Aligned, corpora: NDArray[np.str_] | None) -> ScalerSet:
        return ScalerSet.fit(train, corpora, count_padding=self.padding == "count", clip=self.clip)

    def _network(self, samples: ArraySamples | None) -> ConvAutoencoderNetwork:
        return ConvAutoencoderNetwork(self.words_, self.n_features_in_, self.unpooling)

    def _look_over(self, aligned: Aligned) -> None:
        _warn_of_cells_that_are_not_finite(aligned)

    def _samples(self, aligned: Aligned) -> ArraySamples:
        """Scaled matrices, each with the scaler of its corpus, and the mask where the loss looks at it."""
        scaled = self._scaled_each(aligned)
        if self.padding == "count":
            return ArraySamples(self.specification_, {ALIGNED: scaled})
        values, seen = match_columns(aligned, self.scalers_.columns)
        return ArraySamples(self.specification_, {ALIGNED: scaled}, {ALIGNED: seen & np.isfinite(values)})


def _warn_of_cells_that_are_not_finite(aligned: Aligned) -> None:
    bad = ~np.isfinite(aligned.values)
    if bad.any():
        row, step, column = np.argwhere(bad)[0]
        name = aligned.specification.columns[column]
        warnings.warn(
            f"{bad.sum()} cells are not finite, the first in utterance {aligned.ids[row]}, step {step}, column {name}; "
            "they become the minimum of their column",
            stacklevel=4,
        )
