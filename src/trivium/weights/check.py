"""The weights folder, checked: every hash compared, the proof replayed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from trivium.errors import TriviumError, WeightsError
from trivium.weights.folder import Weights
from trivium.weights.opened import open_weights
from trivium.weights.predictor import PredictorWeights
from trivium.weights.predictor_save import replay_sequences
from trivium.weights.proof import TOLERANCE, replay_proof

__all__ = ["WeightsCheck", "check_weights"]


@dataclass(frozen=True)
class WeightsCheck:
    """What a check found.

    Parameters
    ----------
    folder : Path
        What was checked.
    problems : tuple of str
        Empty when all is well.
    difference : float
        Largest difference between the proof's vectors or predictions and those of now (relative to the largest above
        1); NaN when it could not be replayed.
    """

    folder: Path
    problems: tuple[str, ...]
    difference: float

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def check_weights(where: str | os.PathLike[str]) -> WeightsCheck:
    """Compare every hash of a weights folder and replay its proof.

    Parameters
    ----------
    where : path or str
        See :func:`load_weights`.

    Examples
    --------
    >>> import tempfile
    >>> from trivium.weights.example import example_weights
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     check_weights(example_weights(Path(folder) / "example").folder).ok
    True
    """
    try:
        weights = open_weights(where)
    except WeightsError as error:
        return WeightsCheck(Path(where), (str(error),), float("nan"))
    problems = _altered(weights)
    difference = float("nan")
    if not problems:
        try:
            difference = _replayed(weights)
        except TriviumError as error:
            problems.append(str(error))
        if difference > TOLERANCE:
            problems.append(f"the proof differs by {difference:.1e}, more than {TOLERANCE:.0e}")
    return WeightsCheck(weights.folder, tuple(problems), difference)


def _replayed(weights: Weights | PredictorWeights) -> float:
    """Every part opened, and the proof's difference."""
    if isinstance(weights, PredictorWeights):
        _ = weights.state(), weights.scaler, weights.graph
        return replay_sequences(weights)
    _ = weights.state(), weights.head
    return replay_proof(weights.arrays("proof.safetensors"), weights.config, weights.transform)


def _altered(weights: Weights | PredictorWeights) -> list[str]:
    known = {*weights.hashes, "config.json"}
    names = sorted(file.name for file in weights.folder.iterdir() if not file.name.startswith("."))
    problems = [f"{name} is not in config.json" for name in names if name not in known]
    for name in weights.hashes:
        try:
            weights.read(name)
        except TriviumError as error:
            problems.append(str(error))
    return problems
