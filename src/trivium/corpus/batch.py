"""What networks and classifiers take: padded batches, and aligned batches with one step per word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.corpus.specification import Specification, choice_remedy
from trivium.errors import DataError, SpecificationError

__all__ = ["Aligned", "Batch", "Index", "row_numbers"]

Index = Any  # an int, a slice, an integer array, a boolean mask, or (one of these, Ellipsis) as scikit-learn writes it


def row_numbers(key: Index, length: int) -> NDArray[np.int64]:
    """Turn any index that NumPy and scikit-learn use on rows into an array of row numbers.

    Parameters
    ----------
    key : slice, list, integer array, boolean mask, or a tuple of one of these and ``...``
        What stands between the brackets.
    length : int
        Number of rows.

    Raises
    ------
    IndexError
        A row does not exist, or a mask has another length.

    Examples
    --------
    >>> row_numbers(np.array([True, False, True]), 3)
    array([0, 2])
    """
    if isinstance(key, tuple):
        if len(key) != 2 or not (key[1] is Ellipsis or key[1] == slice(None)):
            raise IndexError("only rows can be selected")
        key = key[0]
    if not isinstance(key, slice):
        key = np.asarray(key)
        if key.size == 0 and key.dtype.kind == "f":
            key = key.astype(np.int64)  # NumPy reads an empty list as floats
    rows: NDArray[np.int64] = np.atleast_1d(np.arange(length, dtype=np.int64)[key])
    if rows.ndim != 1:
        raise IndexError("rows are selected by one list of numbers, not by a table of them")
    return rows


@dataclass(frozen=True, eq=False)
class Batch:
    """Padded sequences of several utterances; lengths may differ by modality.

    Parameters
    ----------
    ids : tuple of str
        N ids, stable.
    values : mapping of str to array (N, T_m, D_m)
        By modality, zero where padded.
    mask : mapping of str to bool array (N, T_m)
        True for real steps; a row without any is a missing modality.
    specification : Specification
        Names of the columns.
    """

    ids: tuple[str, ...]
    values: Mapping[str, NDArray[Any]]
    mask: Mapping[str, NDArray[np.bool_]]
    specification: Specification

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class Aligned:
    """Utterances whose modalities share their steps: one step per word.

    Rows can be selected with integer arrays, masks and slices, as scikit-learn does.

    Parameters
    ----------
    values : array of shape (N, W, D)
        float32; columns in the order of the specification; zero where a cell is missing.
    mask : bool array of shape (N, W)
        True where the step is a word of the utterance.
    cell_mask : bool array of shape (N, W, M)
        True where modality m was seen at the step: the face may be missing at word 3.
    specification : Specification
        Names of the D columns and M modalities, and the labels.
    ids : str array of shape (N,)
        Ids of the utterances.
    spans : array of shape (N, W, 2)
        Start and end of every step in seconds, NaN where padded or unknown.
    words : str array of shape (N, W)
        The words, empty where padded or unknown.
    table : mapping of str to array with N rows
        What else is known by utterance: ``label.sentiment``, ``group.speaker``, ``split.standard``.

    Examples
    --------
    >>> from trivium.corpus import StreamSpecification
    >>> spec = Specification((StreamSpecification("audio", ("f0", "energy"), clock="words"),))
    >>> x = Aligned.from_arrays(np.ones((4, 3, 2), np.float32), spec)
    >>> x[np.array([0, 2])].shape
    (2, 3, 2)
    """

    values: NDArray[np.float32]
    mask: NDArray[np.bool_]
    cell_mask: NDArray[np.bool_]
    specification: Specification
    ids: NDArray[np.str_]
    spans: NDArray[np.float64]
    words: NDArray[np.str_]
    table: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n, w = self.mask.shape
        d, m = len(self.specification.columns), len(self.specification.modalities)
        expected = {"values": (n, w, d), "cell_mask": (n, w, m), "ids": (n,), "spans": (n, w, 2), "words": (n, w)}
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise DataError(f"aligned {name} have shape {getattr(self, name).shape}, expected {shape}")

    @classmethod
    def from_arrays(
        cls,
        values: NDArray[np.float32],
        specification: Specification,
        *,
        mask: NDArray[np.bool_] | None = None,
        cell_mask: NDArray[np.bool_] | None = None,
        ids: NDArray[np.str_] | None = None,
        table: Mapping[str, NDArray[Any]] | None = None,
    ) -> Aligned:
        """Wrap a plain array; masks default to "everything was seen".

        Parameters
        ----------
        values : array of shape (N, W, D)
            The matrix of every utterance.
        specification : Specification
            Names of the D columns.
        mask : bool array of shape (N, W), optional
            Real steps.
        cell_mask : bool array of shape (N, W, M), optional
            Seen cells; defaults to `mask` for every modality.
        ids : str array of shape (N,), optional
            Defaults to row numbers.
        table : mapping of str to array with N rows, optional
            Labels, groups and splits under their keys.
        """
        n, w, _ = values.shape
        mask = np.ones((n, w), bool) if mask is None else mask
        if cell_mask is None:
            cell_mask = np.repeat(mask[:, :, None], len(specification.modalities), axis=2)
        return cls(
            np.ascontiguousarray(values, dtype=np.float32),
            mask,
            cell_mask,
            specification,
            np.arange(n).astype(str) if ids is None else np.asarray(ids, dtype=np.str_),
            np.full((n, w, 2), np.nan),
            np.full((n, w), "", dtype="<U1"),
            table or {},
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, W, D). scikit-learn hands objects without a shape to estimators as plain lists."""
        n, w, d = self.values.shape
        return n, w, d

    @property
    def ndim(self) -> int:
        """Always 3."""
        return 3

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Type of the values."""
        return self.values.dtype

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, key: Index) -> Aligned:
        rows = row_numbers(key, len(self))
        return replace(
            self,
            values=self.values[rows],
            mask=self.mask[rows],
            cell_mask=self.cell_mask[rows],
            ids=self.ids[rows],
            spans=self.spans[rows],
            words=self.words[rows],
            table={name: column[rows] for name, column in self.table.items()},
        )

    def matrix(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Give (N, W, D) values and the (N, W, M) cell mask."""
        return self.values, self.cell_mask

    def column_mask(self) -> NDArray[np.bool_]:
        """Cell mask spread over columns: (N, W, D), True where the column's modality was seen."""
        dims = [s.dim for s in self.specification.streams]
        return np.repeat(self.cell_mask, dims, axis=2)

    def select(self, modalities: list[str] | tuple[str, ...]) -> Aligned:
        """Keep the named modalities, in the order of the specification."""
        kept = self.specification.select(modalities)
        wanted = set(kept.columns)
        columns = [i for i, name in enumerate(self.specification.columns) if name in wanted]
        places = [self.specification.modalities.index(m) for m in kept.modalities]
        return replace(
            self, values=self.values[:, :, columns], cell_mask=self.cell_mask[:, :, places], specification=kept
        )

    def only(self, modalities: Iterable[str]) -> Aligned:
        """Mask all but the named modalities; columns stay, cells of the others become zero and unseen."""
        seen = np.isin(self.specification.modalities, list(modalities))
        cell_mask = self.cell_mask & seen
        columns = np.repeat(seen, [s.dim for s in self.specification.streams])
        return replace(self, values=np.where(columns, self.values, np.float32(0)), cell_mask=cell_mask)

    def label(self, key: str) -> NDArray[Any]:
        """Label of every utterance; see :meth:`trivium.corpus.Corpus.label`."""
        self.specification.label(key)
        return self.table[f"label.{key}"]

    def group(self, name: str) -> NDArray[np.str_]:
        """Group of every utterance, such as its speaker; ``""`` where unknown."""
        return self._column("group", name)

    def split(self, name: str) -> NDArray[np.str_]:
        """Fold of every utterance in the named split; ``""`` where it is in none."""
        return self._column("split", name)

    def _column(self, kind: str, name: str) -> NDArray[Any]:
        try:
            return self.table[f"{kind}.{name}"]
        except KeyError:
            known = sorted(k.partition(".")[2] for k in self.table if k.startswith(f"{kind}."))
            raise SpecificationError(f"there is no {kind} {name!r}", remedy=choice_remedy(kind, known)) from None
