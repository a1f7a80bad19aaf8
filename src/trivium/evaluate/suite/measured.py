"""Answers of one row of a table, gathered cell by cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trivium.evaluate.protocols import Fold, Protocol
from trivium.evaluate.report import Predictions
from trivium.evaluate.scores import score
from trivium.evaluate.suite.cells import Bench, Cell
from trivium.evaluate.suite.requests import RowRequest
from trivium.evaluate.target import Target

__all__ = ["Measured"]


@dataclass(eq=False)
class Measured:
    """Answers of one row as they come in, cell by cell.

    Parameters
    ----------
    seeds : tuple of int
        S seeds that give the row other numbers.
    output : list of S arrays of shape (R, N, K)
        R draws of labels, N utterances; NaN where not tested. None before the first cell.
    folds : str array of shape (S, N)
        Fold that tested the row, empty where none did.
    validation : mapping of (int, str) to float
        By seed and fold.
    features : int
        Length of the vectors.
    seconds : float
        Processor time.
    """

    seeds: tuple[int, ...]
    output: list[Any]
    folds: Any
    validation: dict[tuple[int, str], float]
    features: int = 0
    seconds: float = 0.0

    @classmethod
    def empty(cls, bench: Bench, row: RowRequest, protocol: Protocol, seeds: tuple[int, ...]) -> Measured:
        """Nothing yet.

        Parameters
        ----------
        bench : Bench
            Where the cells come from.
        row : RowRequest
            Which.
        protocol : Protocol
            Folds.
        seeds : tuple of int
            All.
        """
        own = bench.seeds_of(row, protocol, seeds)
        longest = max(len(fold.name) for fold in protocol.folds)
        folds = np.full((len(own), len(bench.vectors.material)), "", dtype=f"<U{longest}")
        return cls(own, [None] * len(own), folds, {})

    def take(self, cell: Cell, seed: int, fold: Fold) -> None:
        """Add the answers of one fold.

        Parameters
        ----------
        cell : Cell
            Answers.
        seed : int
            One of the seeds.
        fold : Fold
            Whose test rows were answered.
        """
        k = self.seeds.index(seed)
        if self.output[k] is None:
            draws, _, width = cell.output.shape
            self.output[k] = np.full((draws, self.folds.shape[1], width), np.nan)
        self.output[k][:, fold.test] = cell.output
        self.folds[k, fold.test] = fold.name
        self.validation[seed, fold.name] = cell.validation
        self.features, self.seconds = max(self.features, cell.features), self.seconds + cell.seconds

    @property
    def predictions(self) -> Predictions:
        """Of the first draw."""
        return Predictions(self.seeds, np.stack([one[0] for one in self.output]), self.folds)

    def scores(self, target: Target) -> list[float]:
        """First measure of every seed and draw.

        Parameters
        ----------
        target : Target
            Truth and measures.
        """
        found = []
        for k, output in enumerate(self.output):
            tested = np.flatnonzero(self.folds[k] != "")
            for draw in output:
                said = draw[tested]
                found.append(score(target.metrics[0], _truth(target, tested), _answer(target, said),
                                   self.folds[k, tested]))  # fmt: skip
        return found


def _truth(target: Target, rows: Any) -> Any:
    if target.task == "classes":
        return np.searchsorted(target.classes, target.values[rows])
    return target.values[rows, 0] if target.width == 1 else target.values[rows]


def _answer(target: Target, said: Any) -> Any:
    if target.task == "classes":
        return said.argmax(axis=1)
    return said[:, 0] if target.width == 1 else said
