"""Utterances as sequences by modality: a corpus with its own clocks, or an aligned set; and the scale of their columns.

Columns are standardised with the mean and the spread of seen training cells. Cells that are not finite (a NaN in one
column) count as unseen for the statistics and become the mean; a column that never varies, such as those of a modality
that is zero throughout, becomes 0; a sequence without steps is a missing modality.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Aligned, Batch, Corpus, Specification
from trivium.errors import DataError, SpecificationError, WeightsError

__all__ = ["AlignedSequences", "Sequences", "StreamScaler", "numbers_only", "sequences"]

Given: TypeAlias = "Corpus | Aligned"
AnyGiven = TypeVar("AnyGiven", bound=Given)
_ROWS_AT_ONCE = 256
_SMALL = 1e-15  # sizes from here to its inverse are far from the limits of single precision


class Sequences(Protocol):
    """Utterances by row number, with their own steps in every modality."""

    @property
    def specification(self) -> Specification:
        """Names of modalities, columns and labels."""

    @property
    def ids(self) -> NDArray[np.str_]:
        """Ids of the utterances, (N,)."""

    def __len__(self) -> int:
        """Count the utterances."""

    def batch(self, key: Any) -> Batch:
        """Padded values and masks of some rows."""


@dataclass(frozen=True, eq=False)
class AlignedSequences:
    """An aligned set as sequences: every modality has the steps of the words, masked where it was not seen.

    Parameters
    ----------
    aligned : Aligned
        N utterances of W steps.

    Examples
    --------
    >>> from trivium.corpus import StreamSpecification
    >>> spec = Specification((StreamSpecification("audio", ("f0", "energy"), clock="words"),))
    >>> x = AlignedSequences(Aligned.from_arrays(np.ones((4, 3, 2), np.float32), spec))
    >>> x.batch(np.array([0, 2])).values["audio"].shape
    (2, 3, 2)
    """

    aligned: Aligned

    @property
    def specification(self) -> Specification:
        """Names of modalities, columns and labels."""
        return self.aligned.specification

    @property
    def ids(self) -> NDArray[np.str_]:
        """Ids of the utterances, (N,)."""
        return self.aligned.ids

    def __len__(self) -> int:
        return len(self.aligned)

    def batch(self, key: Any) -> Batch:
        """Values (n, W, D_m) and masks (n, W) of some rows."""
        rows = self.aligned[key]
        streams = self.specification.streams
        edges = np.cumsum([0, *(stream.dim for stream in streams)])
        values = {s.modality: rows.values[:, :, edges[m] : edges[m + 1]] for m, s in enumerate(streams)}
        masks = {s.modality: rows.cell_mask[:, :, m] for m, s in enumerate(streams)}
        return Batch(tuple(rows.ids.tolist()), values, masks, self.specification)


def numbers_only(x: AnyGiven) -> AnyGiven:
    """Utterances without streams of token ids, which are names of word pieces and mean nothing as numbers.

    Files of MMSA bring them as a fourth modality (``text_tokens``); networks read the other three.

    Parameters
    ----------
    x : Corpus or Aligned
        Utterances.

    Examples
    --------
    >>> from trivium.corpus import StreamSpecification
    >>> spec = Specification((StreamSpecification("audio", ("f0",), clock="words"),))
    >>> x = Aligned.from_arrays(np.ones((4, 3, 1), np.float32), spec)
    >>> numbers_only(x) is x
    True
    """
    kept = x.specification.numeric
    return x if kept == x.specification.modalities else x.select(kept)  # type: ignore[return-value]


def sequences(x: Given) -> Sequences:
    """Sequences of whatever was given.

    Parameters
    ----------
    x : Corpus or Aligned
        Utterances.

    Raises
    ------
    SpecificationError
        It holds no modality.
    """
    found: Sequences = AlignedSequences(x) if isinstance(x, Aligned) else x
    if not found.specification.streams:
        raise SpecificationError("there is no modality to predict from", remedy="give a corpus with streams")
    return found


@dataclass(frozen=True, eq=False)
class StreamScaler:
    """Mean and spread of every column of every modality.

    Parameters
    ----------
    mean, std : mapping of str to float64 array (D_m,)
        By modality; a column without spread has std 1, so that it becomes 0.

    Notes
    -----
    Source: our choice. The networks of the field are fed raw columns, whose units then decide what they see.

    Examples
    --------
    >>> scaler = StreamScaler({"audio": np.array([1.0])}, {"audio": np.array([2.0])})
    >>> scaler.transform("audio", np.array([[[5.0], [9.0]]], np.float32), np.array([[True, False]])).tolist()
    [[[2.0], [0.0]]]
    """

    mean: Mapping[str, NDArray[np.float64]]
    std: Mapping[str, NDArray[np.float64]]
    _written_out: dict[str, list[NDArray[Any]]] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def fit(cls, x: Sequences) -> Self:
        """Take the statistics of training sequences, in two passes.

        Parameters
        ----------
        x : Sequences
            At least one.

        Raises
        ------
        DataError
            There are none.
        """
        if not len(x):
            raise DataError("there is nothing to take statistics of", remedy="give at least one utterance")
        names = x.specification.modalities
        zero = {name: np.zeros(x.specification.stream(name).dim) for name in names}
        mean, cells = _moments(x, zero, 1)
        mean = {name: mean[name] / np.maximum(cells[name], 1) for name in names}
        squares, _ = _moments(x, mean, 2)
        spread = {name: np.sqrt(squares[name] / np.maximum(cells[name], 1)) for name in names}
        # rounding leaves a column that never varied a spread of the size of its last digit
        flat = {name: spread[name] <= 1e-6 * np.abs(mean[name]) for name in names}
        return cls(mean, {name: np.where(flat[name] | (spread[name] == 0), 1.0, spread[name]) for name in names})

    def transform(self, name: str, values: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Standardised values of one modality, 0 where unseen or not finite.

        Parameters
        ----------
        name : str
            The modality.
        values : array of shape (N, T, D)
            float32.
        mask : bool array of shape (N, T)
            True for real steps.
        """
        scaled = np.empty(values.shape, np.float32)
        mean, rest, factor = (part[: values.shape[1]] for part in self._factors(name, values.shape[1]))
        room = np.empty(values.shape[1:], mean.dtype)
        for row, given in zip(scaled, values, strict=True):  # so much at a time as stays in the cache
            np.subtract(given, mean, out=room)
            room -= rest
            np.multiply(room, factor, out=row, casting="same_kind")
        if not mask.all():
            scaled[~mask] = 0
        finite = np.isfinite(values)
        if not finite.all():
            scaled[~finite] = 0
        return scaled

    def _factors(self, name: str, steps: int) -> list[NDArray[Any]]:
        """Mean, what of it was rounded away, and one over the spread, (T, D) each, for so many steps at least.

        With its mean in two parts a value in single precision is wrong by its last digit at most, however large the
        mean is beside the spread. Columns of extreme size are computed in double precision. Written out for every step
        they are taken twice as fast, and are kept.
        """
        if name in self._written_out and len(self._written_out[name][0]) >= steps:
            return self._written_out[name]
        mean, factor = self.mean[name], 1 / self.std[name]
        sizes = np.concatenate([np.abs(mean[mean != 0]), factor])
        single = bool(((sizes > _SMALL) & (sizes < 1 / _SMALL)).all())
        first: NDArray[Any] = mean.astype(np.float32 if single else np.float64)
        parts = (first, mean - first, factor)
        self._written_out[name] = [np.tile(part.astype(first.dtype), (steps, 1)) for part in parts]
        return self._written_out[name]

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Plain arrays for ``scalers.safetensors``: ``MODALITY/mean`` and ``MODALITY/std``."""
        parts = {"mean": self.mean, "std": self.std}
        return {f"{name}/{part}": array for part, found in parts.items() for name, array in found.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], specification: Specification) -> Self:
        """Inverse of :meth:`to_arrays`.

        Parameters
        ----------
        arrays : mapping of str to array of shape (D,)
            By ``MODALITY/mean`` and ``MODALITY/std``.
        specification : Specification
            What they must be of.

        Raises
        ------
        WeightsError
            They are of other modalities or widths, or not finite, or a std is not above 0.
        """
        found: dict[str, dict[str, NDArray[np.float64]]] = {"mean": {}, "std": {}}
        for stream in specification.streams:
            for part, kept in found.items():
                array = np.asarray(arrays.get(f"{stream.modality}/{part}", np.nan), np.float64)
                wrong = array.shape != (stream.dim,) or not np.isfinite(array).all()
                if wrong or (part == "std" and (array <= 0).any()):
                    raise WeightsError(f"the stored {part} of {stream.modality} is malformed")
                kept[stream.modality] = array
        return cls(found["mean"], found["std"])


def _moments(
    x: Sequences, centre: Mapping[str, NDArray[np.float64]], power: int
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    """Sums of a power of the distance from a centre over seen finite cells, and their number, by modality."""
    sums = {name: np.zeros_like(values) for name, values in centre.items()}
    cells = {name: np.zeros_like(values) for name, values in centre.items()}
    for batch in _pieces(x):
        for name in centre:
            values = batch.values[name].astype(np.float64)
            seen = batch.mask[name][:, :, None] & np.isfinite(values)
            sums[name] += np.where(seen, (values - centre[name]) ** power, 0.0).sum(axis=(0, 1))
            cells[name] += seen.sum(axis=(0, 1))
    return sums, cells


def _pieces(x: Sequences) -> Iterator[Batch]:
    for start in range(0, len(x), _ROWS_AT_ONCE):
        yield x.batch(np.arange(start, min(start + _ROWS_AT_ONCE, len(x))))
