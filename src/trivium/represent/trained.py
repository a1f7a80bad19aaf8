"""What representations with a network share: fitting without labels on aligned sets, vectors, scikit-learn's contract.

A subclass names its options in its constructor and says what network it trains and by which objective; the loop is
:class:`trivium.train.Trainer`.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data
from torch import Tensor, nn

from trivium.corpus import Aligned, Corpus, Specification
from trivium.errors import DataError, SpecificationError
from trivium.represent.inputs import array_to_aligned, axes_of, corpora_of, to_aligned
from trivium.represent.pretrained import Pretrained
from trivium.scale import POOLED, ScalerSet
from trivium.train import ArraySamples, Objective, Trainer, WithHeads, hold_out, schedule

__all__ = ["Matrices", "Trained", "aligned_input", "corpus_counts"]

_ROWS_AT_ONCE = 64
Matrices = Aligned | Corpus | NDArray[Any]
"""What representations take."""


class Trained(Pretrained, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Base of representations that train a network; see :class:`trivium.represent.ConvAutoencoder` for its options."""

    any_steps: ClassVar[bool] = False
    """Whether utterances may have another number of steps than those of training."""
    loss_curves_: list[dict[str, float]]

    # options that every subclass has
    words: int
    schedule: str
    learning_rate: float
    weight_decay: float
    batch_size: int
    max_epochs: int
    patience: int
    validation_fraction: float
    validation_groups: str | None
    scaler: str
    device: str
    random_state: int | np.random.RandomState | None
    folder: str | os.PathLike[str] | None
    resume: bool
    tensorboard: bool
    progress: bool

    @abstractmethod
    def _objective(self) -> Objective:
        """What training makes smaller; an unknown option is an error here."""

    @abstractmethod
    def _scale(self, train: Aligned, corpora: NDArray[np.str_] | None) -> ScalerSet:
        """Scalers of the training part."""

    @abstractmethod
    def _samples(self, aligned: Aligned) -> ArraySamples:
        """Scaled matrices as the network takes them."""

    @abstractmethod
    def _network(self, samples: ArraySamples | None) -> nn.Module:
        """Network with an ``encoder`` for the columns of ``specification_``; `samples` are those of training."""

    def _fitted_columns(self, aligned: Aligned) -> Aligned:
        """The columns of training, where scaling does not see to it."""
        return aligned

    def _look_over(self, aligned: Aligned) -> None:
        """Warn of what the user should know of the data."""

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
        objective = self._objective()
        aligned = self._aligned(X, reset=True)
        if corpora is not None:
            aligned = _with_corpora(aligned, corpora)
        self.seed_ = seed = self._seed()
        if validation is None:
            held = self._hold_out(aligned, groups, seed)
            train, valid = aligned[~held], aligned[held]
        else:
            train, valid = aligned, self._aligned(validation, reset=False)
        self._look_over(aligned)
        self.specification_ = Specification(aligned.specification.streams)
        self.words_, self.n_features_in_ = aligned.shape[1:]
        self.scalers_ = self._scale(train, corpora_of(train))
        self.corpora_ = corpus_counts(aligned)
        samples = self._samples(train)
        self.network_ = self._build(seed, samples)
        self._train(objective, samples, self._samples(valid) if len(valid) else None, seed)
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
            Columns are missing (they are named), or the number of steps is not that of training where it must be.
        """
        check_is_fitted(self)
        encoder: Any = self.network_.encoder
        return self._in_pieces(self._scaled(X), lambda x: encoder(x.unsqueeze(1)), (self.n_features_out_,))

    @property
    def n_features_out_(self) -> int:
        """Length K of a vector."""
        encoder: Any = self.network_.encoder
        return int(encoder.n_features)

    @property
    def _n_features_out(self) -> int:  # what scikit-learn's mixin reads
        return self.n_features_out_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True  # each says what it makes of cells that are not finite
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _restore(
        self, specification: Specification, words: int, scalers: ScalerSet, tensors: Mapping[str, Tensor]
    ) -> None:
        self.specification_, self.scalers_ = specification, scalers
        self.words_, self.n_features_in_ = words, len(specification.columns)
        self.seed_ = self._seed()
        self.network_ = self._build(self.seed_, None)
        self.network_.load_state_dict(dict(tensors))
        self.loss_curves_, self.n_iter_, self.best_epoch_, self.corpora_ = [], 0, -1, {}

    def _aligned(self, x: Matrices, *, reset: bool) -> Aligned:
        return aligned_input(self, x, self.words, reset=reset)

    def _hold_out(self, aligned: Aligned, groups: NDArray[np.str_] | None, seed: int) -> NDArray[np.bool_]:
        if groups is None and self.validation_groups is not None:
            groups = aligned.group(self.validation_groups)
        fraction, corpora = self.validation_fraction, corpora_of(aligned)
        return hold_out(len(aligned), fraction, seed=seed, groups=groups, strata=corpora)

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _build(self, seed: int, samples: ArraySamples | None) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self._network(samples).eval()

    def _with_heads(self, objective: Objective, samples: ArraySamples, seed: int) -> nn.Module:
        """Network and the layers of its objective, which training leaves behind."""
        if type(objective).heads is Objective.heads:
            return self.network_
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            head = objective.heads(self.network_(samples.batch(np.arange(min(2, len(samples))))))
        return self.network_ if head is None else WithHeads(self.network_, [head])

    def _train(self, objective: Objective, train: ArraySamples, valid: ArraySamples | None, seed: int) -> None:
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
        network = self._with_heads(objective, train, seed)
        optimizer = torch.optim.Adam(network.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
        run = trainer.fit(network, optimizer, train, valid)
        self.loss_curves_, self.n_iter_, self.best_epoch_ = run.curves, run.epoch, run.best_epoch

    def _scaled_each(self, aligned: Aligned) -> NDArray[np.float32]:
        """Scaled matrices (N, W, D), each with the scaler of its corpus where that took part, as in training."""
        corpora = corpora_of(aligned)
        known = np.full(len(aligned), POOLED) if corpora is None else corpora
        return self.scalers_.transform_each(aligned, np.where(np.isin(known, self.scalers_.names), known, POOLED))

    def _scaled(self, x: Matrices) -> NDArray[np.float32]:
        aligned = self._fitted_columns(self._aligned(x, reset=False))
        if aligned.shape[1] != self.words_ and not self.any_steps:
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


def aligned_input(estimator: BaseEstimator, x: Matrices, words: int, *, reset: bool) -> Aligned:
    """Aligned form of what an estimator is given; arrays are checked as scikit-learn checks them.

    Parameters
    ----------
    estimator : estimator
        Remembers the number of columns of a plain array.
    x : Aligned, Corpus, or array of shape (N, W, D) or (N, D)
        Utterances; cells may be other than finite.
    words : int
        Steps that a corpus is aligned to.
    reset : bool
        Whether these are the training utterances.
    """
    if isinstance(x, Aligned | Corpus):
        return to_aligned(x, words)
    if axes_of(x) == 3:
        return array_to_aligned(check_array(x, dtype=np.float32, allow_nd=True, ensure_all_finite=False))
    return array_to_aligned(validate_data(estimator, x, reset=reset, dtype=np.float32, ensure_all_finite=False))


def corpus_counts(aligned: Aligned) -> dict[str, int]:
    """Utterances by corpus; ``unnamed`` where there is one.

    Parameters
    ----------
    aligned : Aligned
        N utterances.

    Examples
    --------
    >>> corpus_counts(array_to_aligned(np.zeros((3, 1, 2), np.float32)))
    {'unnamed': 3}
    """
    corpora = corpora_of(aligned)
    if corpora is None:
        return {"unnamed": len(aligned)}
    names, counts = np.unique(corpora, return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def _with_corpora(aligned: Aligned, corpora: NDArray[np.str_]) -> Aligned:
    if len(corpora) != len(aligned):
        raise DataError(f"there are {len(corpora)} names of corpora for {len(aligned)} utterances")
    return replace(aligned, table={**aligned.table, "group.corpus": np.asarray(corpora, np.str_)})
