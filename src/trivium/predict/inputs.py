"""Sequences as the training loop takes them: scaled tensors by modality, with labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from trivium.scale import Sequences, StreamScaler
from trivium.train import TensorBatch

__all__ = ["SequenceSamples"]


class SequenceSamples:
    """Scaled sequences with their labels, as the training loop takes them.

    Parameters
    ----------
    x : Sequences
        Utterances.
    scaler : StreamScaler
        Statistics of the training part; a modality that it does not know, such as text that is read from words, is
        handed on as it is.
    labels : mapping of str to array with N rows
        Numbers, NaN where missing.

    Examples
    --------
    >>> from trivium.corpus import Aligned, Specification, StreamSpecification
    >>> from trivium.scale import AlignedSequences
    >>> spec = Specification((StreamSpecification("audio", ("f0",), clock="words"),))
    >>> x = AlignedSequences(Aligned.from_arrays(np.arange(4, dtype=np.float32).reshape(4, 1, 1), spec))
    >>> samples = SequenceSamples(x, StreamScaler.fit(x), {"y": np.zeros(4)})
    >>> samples.batch(np.array([0])).values["audio"].item() < -1.3
    True
    """

    def __init__(self, x: Sequences, scaler: StreamScaler, labels: Mapping[str, NDArray[Any]] | None = None) -> None:
        self.specification, self.ids = x.specification, x.ids
        self._x, self._scaler, self._labels = x, scaler, dict(labels or {})

    def __len__(self) -> int:
        return len(self._x)

    def batch(self, rows: NDArray[np.int64]) -> TensorBatch:
        """Scaled samples of these rows."""
        found = self._x.batch(rows)
        values = {
            name: torch.from_numpy(
                self._scaler.transform(name, array, found.mask[name]) if name in self._scaler.mean else array
            )
            for name, array in found.values.items()
        }
        masks = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in found.mask.items()}
        labels = {name: torch.from_numpy(column[rows].astype(np.float32)) for name, column in self._labels.items()}
        return TensorBatch(torch.from_numpy(rows), values, masks, labels)
