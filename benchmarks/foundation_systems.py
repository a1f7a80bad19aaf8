"""What ``foundation.py`` sets side by side: linear models of blocks of columns, together or joined late.

Each takes what :func:`trivium.evaluate.train_and_score` gives a predictor: the training part alone. Strengths and
weights are chosen on four inner folds of its groups, or on the validation fold where there is one; ``best_value_`` is
what the rows that chose said. The regressions of a block are kept in memory for all systems that share it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from supervised_systems import System, pooled

from trivium.corpus import Aligned
from trivium.evaluate import LateReadout, LinearReadout
from trivium.files import sha256_bytes

__all__ = ["CLASSES", "NUMBERS", "Fused"]

Values = NDArray[Any]
CLASSES = (30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0)
"""Alphas of ridge regression of classes, for every block and floor."""
NUMBERS = (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0)
"""Alphas of ridge regression of numbers."""
_FITTED: dict[str, LinearReadout] = {}


class Fused(System):
    """Ridge regressions of blocks.

    Parameters
    ----------
    blocks : sequence of str
        Modalities; empty: all.
    kind : {"together", "multiplied", "weighted"}
        One regression over the columns of all blocks; one a block, probabilities multiplied or numbers averaged; one a
        block, joined with a weight each.
    """

    def __init__(
        self,
        blocks: Sequence[str] = (),
        kind: str = "weighted",
        label: str | None = None,
        random_state: int = 0,
        selection: str = "loss",
        folder: Any = None,
        resume: bool = False,
        progress: bool = False,
    ) -> None:
        super().__init__(label, random_state, selection, folder, resume, progress)
        self.blocks, self.kind = blocks, kind

    def fit(
        self,
        X: Aligned,
        y: Values,
        *,
        groups: Values | None = None,
        validation: tuple[Aligned, Values] | None = None,
    ) -> Self:
        """Fit the regressions, or take them from memory, and the weights."""
        tables, kept, chooses = self._tables(X), X.ids if groups is None else groups, None
        if validation is not None:
            others = self._tables(validation[0])
            tables = {name: np.concatenate([part, others[name]]) for name, part in tables.items()}
            chooses = np.arange(len(y), len(y) + len(validation[1]))
            y = np.concatenate([y, validation[1]])
            kept = np.arange(len(y))  # inner folds are not used
        task = "classes" if y.dtype.kind == "U" else "numbers"
        readouts = {name: fitted(task, part, y, kept, chooses) for name, part in tables.items()}
        widths = {name: part.shape[1] for name, part in tables.items()}
        weighting = "fitted" if self.kind == "weighted" and len(tables) > 1 else "equal"
        self.readout_ = LateReadout(widths, task, weighting=weighting).join(readouts, y)
        self.best_value_ = self.readout_.validation_score_
        self.best_epoch_ = self.n_iter_ = 0
        self.classes_ = getattr(self.readout_, "classes_", np.array([]))
        return self

    @property
    def weights(self) -> Mapping[str, float]:
        """Weight of every block."""
        return dict(zip(self.readout_.widths, np.ravel(self.readout_.weights_).tolist(), strict=True))

    def _tables(self, x: Aligned) -> dict[str, Values]:
        names = list(self.blocks or x.specification.modalities)
        if self.kind == "together":
            return {"+".join(names): np.concatenate([pooled(x, [name]) for name in names], axis=1)}
        return {name: pooled(x, [name]) for name in names}

    def predict(self, X: Aligned) -> Values:
        """Numbers (N,)."""
        return np.asarray(self.readout_.predict(self._side_by_side(X))).reshape(-1)

    def predict_proba(self, X: Aligned) -> Values:
        """Probabilities (N, K)."""
        return self.readout_.predict_proba(self._side_by_side(X))

    def _side_by_side(self, x: Aligned) -> Values:
        return np.concatenate(list(self._tables(x).values()), axis=1)


def fitted(task: str, x: Values, y: Values, groups: Values, chooses: Values | None) -> LinearReadout:
    """A ridge regression of one block; one that was fitted on the very same rows is not fitted again."""
    parts = (task.encode(), x.tobytes(), "\n".join(map(str, y)).encode(), "\n".join(map(str, groups)).encode())
    key = sha256_bytes(b"|".join([*parts, b"" if chooses is None else chooses.tobytes()]))
    if key not in _FITTED:
        strengths = CLASSES if task == "classes" else NUMBERS
        readout = LinearReadout(task, strengths=strengths, regression="ridge")
        _FITTED[key] = readout.fit(x, y, groups=groups, valid=chooses)
    return _FITTED[key]
