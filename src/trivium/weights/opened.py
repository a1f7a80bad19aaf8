"""Weights of either kind by one name: an encoder with perhaps a head, or a predictor."""

from __future__ import annotations

import os

from trivium.weights.config import PREDICTOR, read_config
from trivium.weights.folder import Weights, load_weights
from trivium.weights.hub import find_weights
from trivium.weights.predictor import PredictorWeights, load_predictor

__all__ = ["open_weights"]


def open_weights(where: str | os.PathLike[str]) -> Weights | PredictorWeights:
    """Open whatever weights a folder holds.

    Parameters
    ----------
    where : path or str
        See :func:`trivium.weights.find_weights`.

    Raises
    ------
    WeightsError
        The folder is incomplete or malformed.

    Examples
    --------
    >>> import tempfile
    >>> from trivium.weights.example import example_weights
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     type(open_weights(example_weights(folder + "/example").folder)).__name__
    'Weights'
    """
    folder = find_weights(where)
    is_predictor = read_config(folder / "config.json").get("kind") == PREDICTOR
    return load_predictor(folder) if is_predictor else load_weights(folder)
