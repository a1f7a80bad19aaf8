"""Saving and opening representations: from a fitted estimator to a weights folder and back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from trivium.corpus import Specification
from trivium.errors import WeightsError
from trivium.represent.export import export_encoder
from trivium.scale import ScalerSet
from trivium.weights import Card, LinearHead, TrainingCorpus, WeightsConfig, load_weights, save_weights

__all__ = ["OF_THE_MACHINE", "Pretrained"]

OF_THE_MACHINE = ("device", "folder", "resume", "tensorboard", "progress")
"""Options that weights do not keep."""


class Pretrained:
    """What every representation with a network of its own does: ``save`` and ``from_pretrained``.

    A subclass sets `representation`, its registered name, and `paper`; it has ``network_`` with an ``encoder``,
    ``scalers_``, ``specification_``, ``words_``, ``seed_`` and ``corpora_`` after ``fit``, and takes them back in
    ``_restore``.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from trivium.represent import ConvAutoencoder
    >>> x = np.random.default_rng(0).random((4, 20, 35), dtype=np.float32)
    >>> fitted = ConvAutoencoder(max_epochs=0).fit(x)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = fitted.save(folder + "/weights")
    """

    representation: ClassVar[str]
    paper: ClassVar[str] = ""
    network_: nn.Module
    scalers_: ScalerSet
    specification_: Specification
    words_: int
    seed_: int
    corpora_: dict[str, int]

    def save(
        self,
        folder: str | os.PathLike[str],
        *,
        card: Card | None = None,
        head: LinearHead | None = None,
        overwrite: bool = False,
    ) -> None:
        """Write a weights folder, which needs neither this class nor torch to be used.

        Parameters
        ----------
        folder : path
            Will hold the files.
        card : Card, optional
            What people should know; default names the corpora and says that nothing was measured.
        head : LinearHead, optional
            From vectors to answers.
        overwrite : bool
            Replace an existing folder.

        Raises
        ------
        DataError
            The folder exists.
        """
        check_is_fitted(self)
        parameters = {name: value for name, value in self._parameters().items() if name not in OF_THE_MACHINE}
        width = len(self.specification_.columns)
        encoder: Any = self.network_.encoder
        save_weights(
            folder,
            WeightsConfig(self.representation, parameters, self.specification_, self.words_),
            state={name: tensor.cpu().numpy() for name, tensor in self.network_.state_dict().items()},
            encoder=export_encoder(encoder, self.words_, width),
            scalers=self.scalers_,
            card=self._default_card() if card is None else card,
            head=head,
            overwrite=overwrite,
        )

    @classmethod
    def from_pretrained(cls, where: str | os.PathLike[str], **options: Any) -> Self:
        """Open a weights folder for transforming and reconstructing with torch.

        Parameters
        ----------
        where : path or str
            A folder, a name among the user's weights, or ``owner/name`` of a model hub.
        **options
            Constructor's arguments that replace those stored, such as ``scaler`` or ``device``.

        Raises
        ------
        WeightsError
            The folder is incomplete, altered, or of another representation.
        """
        weights = load_weights(where)
        config = weights.config
        if config.representation != cls.representation:
            raise WeightsError(f"holds a {config.representation}, not a {cls.representation}", file=weights.folder)
        tensors = {name: torch.from_numpy(value) for name, value in weights.state().items()}
        try:
            estimator = cls._from_parameters({**config.parameters, **options})
            estimator._restore(config.specification, config.words, weights.scalers, tensors)
        except (TypeError, RuntimeError) as cause:
            raise WeightsError(f"the parts do not fit together: {cause}", file=weights.folder) from cause
        return estimator

    @classmethod
    def _from_parameters(cls, parameters: Mapping[str, Any]) -> Self:
        return cls(**parameters)

    def _restore(
        self, specification: Specification, words: int, scalers: ScalerSet, tensors: Mapping[str, Tensor]
    ) -> None:
        raise NotImplementedError

    def _parameters(self) -> dict[str, Any]:
        """Constructor's arguments as plain builtins: random numbers as the seed they came to."""
        get_params: Any = self.get_params  # type: ignore[attr-defined]  # scikit-learn's, beside this class
        return {**get_params(), "random_state": self.seed_}

    def _default_card(self) -> Card:
        return Card(
            f"{self.representation} of {len(self.specification_.columns)} columns",
            "not stated; the terms of the training corpora apply",
            tuple(TrainingCorpus(name, count, "not stated") for name, count in self.corpora_.items()),
            paper=self.paper,
            limitations=("Fits data with these very columns only.",),
        )
