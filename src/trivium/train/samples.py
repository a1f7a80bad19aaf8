"""What the loop trains on: samples by row number, as tensors, from arrays in memory or from a corpus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trivium.corpus import Corpus, Specification
from trivium.errors import DataError
from trivium.files import sha256_bytes

__all__ = ["ALIGNED", "ArraySamples", "CorpusSamples", "Samples", "TensorBatch", "fingerprint", "sample_names"]

_ROWS_OF_A_FINGERPRINT = 64

ALIGNED = "aligned"
"""Key of a matrix that joins all modalities on one timeline."""


class TensorBatch(NamedTuple):
    """Samples that go through a network together.

    Parameters
    ----------
    rows : int64 tensor (B,)
        Row numbers within the samples: stable from epoch to epoch, for objectives that remember something by sample.
    values : mapping of str to tensor (B, T_m, D_m)
        By modality, or under ``aligned`` the matrix of all; zero where padded.
    mask : mapping of str to bool tensor (B, T_m) or (B, T_m, D_m)
        True where there is data.
    labels : mapping of str to tensor with B rows
        By label key; NaN where missing.
    """

    rows: Tensor
    values: dict[str, Tensor]
    mask: dict[str, Tensor]
    labels: dict[str, Tensor]

    def to(self, device: torch.device) -> TensorBatch:
        """Same batch on another device."""
        values, mask, labels = (
            {name: tensor.to(device) for name, tensor in part.items()} for part in (self.values, self.mask, self.labels)
        )
        return TensorBatch(self.rows.to(device), values, mask, labels)

    def __len__(self) -> int:
        return int(self.rows.shape[0])


class Samples(Protocol):
    """Anything that gives a batch for row numbers; where it also has ``ids`` (N,), errors name samples by them."""

    specification: Specification

    def __len__(self) -> int:
        """Count the samples."""

    def batch(self, rows: NDArray[np.int64]) -> TensorBatch:
        """Samples of these rows, in this order, on the CPU."""


class ArraySamples:
    """Samples in memory.

    Parameters
    ----------
    specification : Specification
        Names of modalities, columns and labels.
    values : mapping of str to array (N, T_m, D_m)
        float32.
    mask : mapping of str to bool array with N rows
        May be empty where no objective looks at it.
    labels : mapping of str to array with N rows
        Numbers; may be empty.

    Raises
    ------
    DataError
        The arrays differ in their number of rows, or there are none.

    Examples
    --------
    >>> from trivium.corpus import Specification
    >>> samples = ArraySamples(Specification(()), {"aligned": np.ones((3, 2, 4), np.float32)})
    >>> samples.batch(np.array([2, 0])).values["aligned"].shape
    torch.Size([2, 2, 4])
    """

    def __init__(
        self,
        specification: Specification,
        values: Mapping[str, NDArray[Any]],
        mask: Mapping[str, NDArray[np.bool_]] | None = None,
        labels: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        self.specification = specification
        self._parts = (dict(values), dict(mask or {}), dict(labels or {}))
        counts = {len(array) for part in self._parts for array in part.values()}
        if len(counts) != 1:
            raise DataError(f"arrays of one set of samples have different numbers of rows: {sorted(counts)}")
        self._count = counts.pop()

    def __len__(self) -> int:
        return self._count

    def batch(self, rows: NDArray[np.int64]) -> TensorBatch:
        """Samples of these rows, copied."""
        values, mask, labels = (
            {name: torch.from_numpy(array[rows]) for name, array in part.items()} for part in self._parts
        )
        return TensorBatch(torch.from_numpy(rows), values, mask, labels)


class CorpusSamples:
    """Samples read from a corpus when they are needed; lengths differ by modality and are padded by batch.

    Parameters
    ----------
    corpus : Corpus
        Where the streams are.
    labels : sequence of str
        Keys of labels with numbers (regression, ordinal, multilabel).

    Examples
    --------
    >>> from trivium.corpus import Specification, StreamSpecification, Stream, Utterance
    >>> voice = StreamSpecification("audio", ("f0",))
    >>> clips = [Utterance(i, {"audio": Stream(np.ones((n, 1), np.float32), voice)}) for i, n in (("a", 2), ("b", 3))]
    >>> samples = CorpusSamples(Corpus.from_utterances(clips, Specification((voice,))))
    >>> samples.batch(np.array([0, 1])).mask["audio"].sum(dim=1)
    tensor([2, 3])
    """

    def __init__(self, corpus: Corpus, labels: tuple[str, ...] = ()) -> None:
        self.specification = corpus.specification
        self.ids = corpus.ids
        self._corpus = corpus
        self._labels = {key: corpus.label(key) for key in labels}

    def __len__(self) -> int:
        return len(self._corpus)

    def batch(self, rows: NDArray[np.int64]) -> TensorBatch:
        """Samples of these rows, read and padded to the longest of each modality."""
        found = self._corpus.batch(rows)
        return TensorBatch(
            torch.from_numpy(rows),
            {name: torch.from_numpy(array) for name, array in found.values.items()},
            {name: torch.from_numpy(array) for name, array in found.mask.items()},
            {name: torch.from_numpy(column[rows].astype(np.float32)) for name, column in self._labels.items()},
        )


def fingerprint(samples: Samples) -> str:
    """SHA-256 over samples spread evenly from the first to the last, to tell one set of samples from another.

    Two folds of one corpus can have as many samples; a run must not go on from the checkpoint of the other fold, whose
    network has learned from this one's test samples. Reading some of the samples costs milliseconds, whatever their
    number.

    Parameters
    ----------
    samples : Samples
        At least one.

    Examples
    --------
    >>> from trivium.corpus import Specification
    >>> def samples(x): return ArraySamples(Specification(()), {"aligned": np.full((3, 2, 4), x, np.float32)})
    >>> fingerprint(samples(1)) == fingerprint(samples(1)), fingerprint(samples(1)) == fingerprint(samples(2))
    (True, False)
    """
    rows = np.unique(np.linspace(0, len(samples) - 1, _ROWS_OF_A_FINGERPRINT).round().astype(np.int64))
    batch = samples.batch(rows)
    tensors = [part[name] for part in (batch.values, batch.mask, batch.labels) for name in sorted(part)]
    return sha256_bytes(b"".join(tensor.contiguous().numpy().tobytes() for tensor in tensors))


def sample_names(samples: Samples, rows: NDArray[np.int64]) -> list[str]:
    """Ids of samples, or their row numbers where they have no ids.

    Parameters
    ----------
    samples : Samples
        N of them.
    rows : int array of shape (n,)
        Which.

    Examples
    --------
    >>> from trivium.corpus import Specification
    >>> samples = ArraySamples(Specification(()), {"aligned": np.ones((3, 2, 4), np.float32)})
    >>> sample_names(samples, np.array([2]))
    ['2']
    """
    ids = getattr(samples, "ids", None)
    return [str(row) if ids is None else str(ids[row]) for row in rows.tolist()]
