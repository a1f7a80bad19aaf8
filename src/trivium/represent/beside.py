"""Representations beside one another: what is learned stands next to plain statistics, not in their place.

No paper. First trials on two corpora found that a learned vector adds to statistics where it does not replace them; so
any representations can be joined. All parts are given the same matrix, scaled to one standard deviation by training
cells; every number of the joint vector is standardised, so that no part rules by its scale. Both are our choice.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from trivium.column_statistics import column_statistics
from trivium.corpus import Aligned, Specification
from trivium.errors import SpecificationError
from trivium.registry import entries, load
from trivium.represent.inputs import corpora_of
from trivium.represent.modules import SideBySide
from trivium.represent.pretrained import OF_THE_MACHINE, Pretrained
from trivium.represent.trained import Matrices, aligned_input, corpus_counts
from trivium.scale import POOLED, ScalerSet
from trivium.weights import Card, LinearHead
from trivium.weights.matching import fit_columns

__all__ = ["Beside"]

Part = tuple[str, Any]
_TINY = 1e-6
_ROWS_AT_ONCE = 64
_OWN = ("parts", "words", "scaler")


class Beside(Pretrained, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Vectors of several representations next to each other, each number standardised by training.

    A parameter of a part is ``NAME__PARAMETER``; the bare ``PARAMETER`` sets it for every part that has it, so that a
    combination is used like a single representation: ``set_params(max_epochs=5, random_state=1)``. A bare name that is
    one of the combination's own, or of a part, means that. A part that keeps a checkpoint does so in a folder of its
    own below ``folder``.

    A corpus is aligned to its words for all parts alike: statistics at the native rate of the streams cannot stand in
    the same matrix.

    Parameters
    ----------
    parts : sequence of (str, estimator)
        Names and representations, in order.
    words : int
        Steps that a corpus is cropped or padded to; aligned sets and arrays bring their own.
    scaler : str
        How :meth:`transform` scales: ``pooled``, the name of a pretraining corpus, or ``refit`` (transductive).

    Attributes
    ----------
    parts_ : list of (str, estimator)
        Fitted.
    scalers_ : ScalerSet
        One scaler per pretraining corpus and ``pooled``.
    specification_ : Specification
        Modalities and D columns.
    words_ : int
        Steps of the training utterances.
    mean_, scale_ : array of shape (K,)
        Of the training vectors; the scale is infinite where they differed by rounding alone, so that 0 comes out.
    n_features_in_, n_features_out_ : int
        D and K.
    column_mean_, column_scale_ : array of shape (D,)
        Of the scaled columns, over the cells that were seen.
    corpora_ : mapping of str to int
        Utterances by corpus.
    loss_curves_, best_epoch_, n_iter_, seed_
        Those of the first part that was trained, where there is one.

    Raises
    ------
    SpecificationError
        There are no parts, or two have one name.

    Examples
    --------
    >>> from trivium.represent import MeanPooling, Statistics
    >>> x = np.random.default_rng(0).random((6, 5, 2), dtype=np.float32)
    >>> joint = Beside((("mean", MeanPooling()), ("statistics", Statistics(which="slope")))).fit(x)
    >>> joint.transform(x).shape, joint.get_feature_names_out().tolist()[2:4]
    ((6, 5), ['statistics.matrix.array-matrix-00.slope', 'statistics.matrix.array-matrix-01.slope'])
    """

    representation = "beside"

    def __init__(self, parts: Sequence[Part] = (), words: int = 20, scaler: str = POOLED) -> None:
        self.parts = parts
        self.words = words
        self.scaler = scaler

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Own parameters; with `deep` also those of the parts, as ``NAME__PARAMETER`` and bare.

        Parameters
        ----------
        deep : bool
            Look into the parts.
        """
        found = {name: getattr(self, name) for name in _OWN}
        if not deep or not _are_pairs(self.parts):
            return found
        for name, part in self.parts:
            own = part.get_params()
            found |= {name: part} | {f"{name}__{key}": value for key, value in own.items()}
            found |= {key: value for key, value in own.items() if key not in found}
        return found

    def set_params(self, **params: Any) -> Self:
        """Set parameters by the names of :meth:`get_params`."""
        unknown = sorted(set(params) - set(self.get_params()))
        if unknown:
            raise ValueError(f"Invalid parameter {unknown[0]!r} for estimator {self}.")
        for name in _OWN:
            if name in params:
                setattr(self, name, params.pop(name))
        if not params:
            return self
        renewed = [(name, params.pop(name, part)) for name, part in self.parts]
        if any(new is not old for (_, new), (_, old) in zip(renewed, self.parts, strict=True)):
            self.parts = tuple(renewed)
        for name, part in self.parts:
            prefix = f"{name}__"
            bare = {key: value for key, value in params.items() if key in part.get_params()}
            named = {key.removeprefix(prefix): value for key, value in params.items() if key.startswith(prefix)}
            part.set_params(**(bare | named))
        return self

    def fit(
        self,
        X: Matrices,
        y: object = None,
        *,
        groups: NDArray[np.str_] | None = None,
        corpora: NDArray[np.str_] | None = None,
        validation: Matrices | None = None,
    ) -> Self:
        """Fit every part and the standardising; labels are not looked at.

        Parameters
        ----------
        X : Aligned, Corpus, or array of shape (N, W, D) or (N, D)
            Utterances.
        y : ignored
            Here for pipelines.
        groups, corpora : str arrays of shape (N,), optional
            For the parts that take them: see :meth:`trivium.represent.ConvAutoencoder.fit`.
        validation : like X, optional
            The early-stopping fold of the parts that have one; nothing is then held out of X.
        """
        if not _are_pairs(self.parts):
            raise SpecificationError(
                "the parts of a combination are pairs of a name and a representation",
                remedy="write Beside([('statistics', Statistics()), ('fisher-vectors', FisherVectors())])",
            )
        names = [name for name, _ in self.parts]
        if not names or len(set(names)) < len(names) or any("__" in name or not name for name in names):
            raise SpecificationError(f"the parts {names} cannot be joined", remedy="give at least one, names distinct")
        aligned = self._aligned(X, reset=True)
        self.specification_ = Specification(aligned.specification.streams)
        self.words_, self.n_features_in_ = aligned.shape[1:]
        known = corpora_of(aligned) if corpora is None else np.asarray(corpora, np.str_)
        self.scalers_ = ScalerSet.fit(aligned, known, count_padding=False, mark_unseen=True)
        marked = self.scalers_.transform(aligned) if known is None else self.scalers_.transform_each(aligned, known)
        self._learn_columns(marked)
        train = self._scaled(aligned, marked)
        given: dict[str, Any] = {"groups": groups, "corpora": corpora}
        if validation is not None:
            valid = self._aligned(validation, reset=False)
            given["validation"] = self._scaled(valid, self.scalers_.transform(valid))
        self.parts_ = [(name, _fitted(name, part, train, given)) for name, part in self.parts]
        self.corpora_ = corpus_counts(aligned)
        self._tell_of_training(self.parts_)
        found = self._joined(train)
        spread = found.std(axis=0, dtype=np.float64)
        self.mean_ = found.mean(axis=0, dtype=np.float64)
        # what varies by rounding alone becomes 0: a later standardising would make as much of it as of anything else
        self.scale_ = np.where(spread > _TINY, spread, np.where(spread > 0, np.inf, 1.0))
        return self

    def transform(self, X: Matrices) -> NDArray[np.float32]:
        """Joint vectors of utterances.

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
            Columns are missing (they are named), or a part wants the number of steps of training.
        """
        check_is_fitted(self)
        aligned = fit_columns(self._aligned(X, reset=False), self.specification_)
        marked = self.scalers_.transform(aligned, self.scaler)
        if not hasattr(self, "parts_"):
            return self._by_graph(marked)
        vectors: NDArray[np.float32] = (self._joined(self._scaled(aligned, marked)) - self.mean_) / self.scale_
        return vectors.astype(np.float32)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Names of the K numbers: those of the parts, behind the names of the parts.

        Parameters
        ----------
        input_features : ignored
            Here for scikit-learn.
        """
        check_is_fitted(self, "parts_")
        return np.array(
            [f"{name}.{own}" for name, part in self.parts_ for own in part.get_feature_names_out()], dtype=object
        )

    @property
    def n_features_out_(self) -> int:
        """Length K of a vector."""
        return len(self.mean_)

    def save(
        self,
        folder: str | os.PathLike[str],
        *,
        card: Card | None = None,
        head: LinearHead | None = None,
        overwrite: bool = False,
    ) -> None:
        """Write a weights folder whose one graph is the whole combination; see :meth:`Pretrained.save`.

        Parameters
        ----------
        folder, card, head, overwrite
            As there.

        Raises
        ------
        SpecificationError
            A part has no graph; it is named.
        """
        check_is_fitted(self)
        self.network_ = self._graph(self.parts_ if hasattr(self, "parts_") else self.parts)
        super().save(folder, card=card, head=head, overwrite=overwrite)

    def _graph(self, parts: Sequence[Part]) -> nn.Module:
        without = [name for name, part in parts if not hasattr(part, "as_module")]
        if without:
            raise SpecificationError(f"{', '.join(without)} cannot be saved in a combination", remedy="leave it out")
        modules = {name: part.as_module(self.specification_) for name, part in parts}
        graph = SideBySide(modules, len(self.specification_.columns), len(self.mean_)).eval()
        for buffer, value in (
            (graph.before.factor, 1 / self.column_scale_),
            (graph.before.offset, -self.column_mean_ / self.column_scale_),
            (graph.mean, self.mean_),
            (graph.factor, 1 / self.scale_),
        ):
            buffer.copy_(torch.from_numpy(value))
        return nn.ModuleDict({"encoder": graph})

    def _restore(
        self, specification: Specification, words: int, scalers: ScalerSet, tensors: Mapping[str, Tensor]
    ) -> None:
        self.specification_, self.scalers_ = specification, scalers
        self.words_, self.n_features_in_ = words, len(specification.columns)
        stored = {name.removeprefix("encoder."): tensor.double().numpy() for name, tensor in tensors.items()}
        with np.errstate(divide="ignore"):  # a factor of 0 stands for an infinite scale
            self.mean_, self.scale_ = stored["mean"], 1 / stored["factor"]
        self.column_scale_ = 1 / stored["before.factor"]
        self.column_mean_ = -stored["before.offset"] * self.column_scale_
        self.network_ = self._graph(self.parts)
        self.network_.load_state_dict(dict(tensors))
        self._tell_of_training([])

    def _default_card(self) -> Card:
        parts = "+".join(name for name, _ in self.parts)
        return replace(super()._default_card(), title=f"{parts} of {len(self.specification_.columns)} columns")

    def _parameters(self) -> dict[str, Any]:
        """Constructor's arguments as plain builtins: parts as name, registered name and their own arguments."""
        told = []
        for name, part in self.parts_ if hasattr(self, "parts_") else self.parts:
            own = {key: value for key, value in part.get_params().items() if key not in OF_THE_MACHINE}
            if "random_state" in own and hasattr(part, "seed_"):
                own["random_state"] = part.seed_
            told.append([name, _registered(name, part), own])
        return {"parts": told, "words": self.words, "scaler": self.scaler}

    @classmethod
    def _from_parameters(cls, parameters: Mapping[str, Any]) -> Self:
        parts = tuple((name, load("representation", kind)(**own)) for name, kind, own in parameters["parts"])
        return cls(parts).set_params(**{key: value for key, value in parameters.items() if key != "parts"})

    def _aligned(self, x: Matrices, *, reset: bool) -> Aligned:
        return aligned_input(self, x, self.words, reset=reset)

    def _learn_columns(self, marked: NDArray[np.float32]) -> None:
        """Mean and spread of the scaled columns over the cells that were seen."""
        cells = marked.reshape(1, -1, marked.shape[2])
        spread = column_statistics(cells, ~np.isnan(cells), ("mean", "spread"))
        self.column_mean_, scale = np.split(spread[0], 2)
        self.column_scale_ = np.where(scale > _TINY, scale, 1.0)

    def _scaled(self, aligned: Aligned, marked: NDArray[np.float32]) -> Aligned:
        """What the parts are given: columns of one standard deviation; unseen cells 0, as ever."""
        values = ((marked - self.column_mean_) / self.column_scale_).astype(np.float32)
        return replace(aligned, values=np.where(aligned.column_mask(), values, np.float32(0)))

    def _joined(self, scaled: Aligned) -> NDArray[np.float32]:
        return np.concatenate([part.transform(scaled) for _, part in self.parts_], axis=1)

    @torch.no_grad()
    def _by_graph(self, marked: NDArray[np.float32]) -> NDArray[np.float32]:
        pieces = [torch.from_numpy(marked[i : i + _ROWS_AT_ONCE, None]) for i in range(0, len(marked), _ROWS_AT_ONCE)]
        encoder: Any = self.network_.get_submodule("encoder")
        found = [np.zeros((0, self.n_features_out_), np.float32), *(encoder(piece).numpy() for piece in pieces)]
        return np.concatenate(found)

    def _tell_of_training(self, parts: Sequence[Part]) -> None:
        """Loss curves and the like of the first part that was trained."""
        trained: Any = next((part for _, part in parts if hasattr(part, "loss_curves_")), None)
        self.loss_curves_: list[dict[str, float]] = trained.loss_curves_ if trained else []
        self.n_iter_: int = trained.n_iter_ if trained else 0
        self.best_epoch_: int = trained.best_epoch_ if trained else -1
        self.seed_ = trained.seed_ if trained else 0

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True  # cells that are not finite were not seen
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _are_pairs(parts: object) -> bool:
    """Whether there is anything to look into; scikit-learn sets parameters to anything before they are checked."""
    return isinstance(parts, list | tuple) and all(isinstance(part, list | tuple) and len(part) == 2 for part in parts)


def _fitted(name: str, part: Any, train: Aligned, given: Mapping[str, Any]) -> Any:
    fresh = clone(part)
    if fresh.get_params().get("folder") is not None:
        fresh.set_params(folder=Path(fresh.get_params()["folder"]) / name)
    taken = signature(fresh.fit).parameters
    return fresh.fit(train, **{key: value for key, value in given.items() if key in taken and value is not None})


def _registered(name: str, part: Any) -> str:
    target = f"{type(part).__module__}:{type(part).__name__}"
    found = next((entry.name for entry in entries("representation") if entry.target == target), None)
    if found is None:
        raise SpecificationError(f"{name} is of no registered kind, so weights could not name it")
    return found
