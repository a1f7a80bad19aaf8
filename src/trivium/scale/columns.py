"""Scaling: every column of an aligned matrix to [0, 1], with statistics of training cells only.

The three steps are those of Koromilas & Giannakopoulos (2021, arXiv 2110.03007), as their public code runs them: cells
that are not finite become the column's minimum, columns are standardised, columns are brought to [0, 1] of the
training values. There the zeros of padding count as data (``count_padding=True``); the corrected variant takes
statistics of seen cells only and leaves unseen cells at zero (``count_padding=False``), or at NaN for encoders that
tell a hole from a number (``mark_unseen=True``). Different in all: a column that never varied in training stays 0,
where the public formula multiplies its first deviation by 1e20 (one such cell decides every loss it is in; training
values are the same either way). This module needs NumPy alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Aligned
from trivium.errors import DataError, SpecificationError, WeightsError

__all__ = ["POOLED", "REFIT", "ColumnScaler", "ScalerSet", "match_columns"]

POOLED = "pooled"
REFIT = "refit"
_TINY = 1e-10  # of the public code, against columns without spread
_ROWS_AT_ONCE = 1 << 12  # keeps the float64 copies small whatever the corpus
_STATISTICS = ("floor", "mean", "std", "low", "high")
_MOST_NAMES_SHOWN = 6

Cells = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class ColumnScaler:
    """Statistics of D columns, and what they do to new values.

    With x a cell, f the floor, m the mean, s the standard deviation, l and h the lowest and highest standardised
    training value of its column: ``x <- f if x is not finite``, ``z = (x - m) / (s + 1e-10)``,
    ``y = (z - l) / (h - l + 1e-10)``, and 0 where h = l. New values may leave [0, 1] unless `clip` is set.

    Parameters
    ----------
    columns : tuple of str
        D names as ``modality.column``.
    floor, mean, std, low, high : float64 arrays of shape (D,)
        The statistics of the formula above.
    count_padding : bool
        True, the paper's: all cells counted, padding is scaled like data. False, corrected: seen cells counted,
        unseen cells are 0 after scaling.
    clip : bool
        Keep results within [0, 1].
    mark_unseen : bool
        Cells that were not seen or are not finite take no part in the statistics and become NaN.

    Notes
    -----
    Source: Koromilas & Giannakopoulos (2021), public code; the corrected variant and columns without spread are our
    choice.

    Examples
    --------
    >>> x = np.array([[[2.0], [4.0]], [[6.0], [0.0]]], np.float32)
    >>> seen = np.array([[[True], [True]], [[True], [False]]])
    >>> ColumnScaler.fit(x, seen, ("audio.f0",), count_padding=False).transform(x, seen).ravel().tolist()
    [0.0, 0.5, 1.0, 0.0]
    """

    columns: tuple[str, ...]
    floor: NDArray[np.float64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    count_padding: bool = True
    clip: bool = False
    mark_unseen: bool = False

    def __post_init__(self) -> None:
        for name in _STATISTICS:
            if getattr(self, name).shape != (len(self.columns),):
                raise DataError(f"scaler: {name} has shape {getattr(self, name).shape}, not ({len(self.columns)},)")

    @classmethod
    def fit(
        cls,
        values: NDArray[np.float32],
        seen: Cells,
        columns: Sequence[str],
        *,
        count_padding: bool = True,
        clip: bool = False,
        mark_unseen: bool = False,
    ) -> ColumnScaler:
        """Take the statistics of training values.

        Parameters
        ----------
        values : array of shape (N, W, D)
            Training values, zero where padded or unseen.
        seen : bool array of shape (N, W, D)
            True where a cell holds data.
        columns : sequence of D str
            Names of the columns.
        count_padding, clip, mark_unseen : bool
            See the class.

        Raises
        ------
        DataError
            There are no cells to take statistics of, or the shapes differ.
        """
        if values.shape != seen.shape or values.ndim != 3 or values.shape[2] != len(columns):
            raise DataError(f"values {values.shape}, seen {seen.shape} and {len(columns)} columns do not fit")
        if values.size == 0:
            raise DataError("there is nothing to take statistics of", remedy="give at least one utterance with a word")
        if mark_unseen:
            seen = seen & np.isfinite(values)
        counted = None if count_padding else seen
        floor, top = _range(values, counted)
        mean, std = _moments(values, counted, floor)
        low, high = (floor - mean) / (std + _TINY), (top - mean) / (std + _TINY)
        return cls(tuple(columns), floor, mean, std, low, high, count_padding, clip, mark_unseen)

    def transform(self, values: NDArray[np.float32], seen: Cells) -> NDArray[np.float32]:
        """Scale values.

        Parameters
        ----------
        values : array of shape (N, W, D)
            Columns in the order of `columns`.
        seen : bool array of shape (N, W, D)
            True where a cell holds data; not looked at when padding counts and nothing is marked.

        Returns
        -------
        array of shape (N, W, D)
            float32, new.
        """
        scaled = np.empty(values.shape, np.float32)
        spread = self.high - self.low
        for rows in _blocks(len(values)):
            block = values[rows].astype(np.float64)
            np.copyto(block, self.floor, where=~np.isfinite(block))
            block -= self.mean
            block /= self.std + _TINY
            block -= self.low
            block /= spread + _TINY
            np.copyto(block, 0.0, where=spread == 0 if self.count_padding else ~seen[rows] | (spread == 0))
            if self.clip:
                np.clip(block, 0.0, 1.0, out=block)
            if self.mark_unseen:
                block[~(seen[rows] & np.isfinite(values[rows]))] = np.nan
            scaled[rows] = block
        return scaled

    def affine(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Factor and offset (D,) that scale a cell which was seen and is finite, where nothing is clipped.

        Examples
        --------
        >>> x = np.array([[[2.0], [4.0]]], np.float32)
        >>> factor, offset = ColumnScaler.fit(x, np.ones((1, 2, 1), bool), ("audio.f0",)).affine()
        >>> (factor * 4 + offset).round(6).tolist()
        [1.0]
        """
        spread = self.high - self.low
        factor = np.where(spread == 0, 0.0, 1 / ((self.std + _TINY) * (spread + _TINY)))
        offset = np.where(spread == 0, 0.0, -(self.mean / (self.std + _TINY) + self.low) / (spread + _TINY))
        return factor, offset


def _blocks(rows: int) -> Iterator[slice]:
    return (slice(start, start + _ROWS_AT_ONCE) for start in range(0, rows, _ROWS_AT_ONCE))


def _range(values: NDArray[np.float32], counted: Cells | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest value by column; when all cells count, those that are not finite count as 0 (the paper's)."""
    width = values.shape[2]
    floor, top = np.full(width, np.inf), np.full(width, -np.inf)
    for rows in _blocks(len(values)):
        block = values[rows].astype(np.float64)
        finite = np.isfinite(block)
        if counted is not None:
            finite &= counted[rows]
        top = np.maximum(top, np.where(finite, block, -np.inf).max(axis=(0, 1)))
        floor = np.minimum(floor, np.where(finite, block, 0.0 if counted is None else np.inf).min(axis=(0, 1)))
    floor = np.where(np.isfinite(floor), floor, 0.0)
    return floor, np.maximum(top, floor)


def _moments(
    values: NDArray[np.float32], counted: Cells | None, floor: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation by column, in two passes (one pass loses digits where the mean is large)."""
    every = np.float64(values.shape[0] * values.shape[1])
    cells = np.full(values.shape[2], every) if counted is None else counted.sum(axis=(0, 1), dtype=np.float64)
    cells = np.maximum(cells, 1.0)

    def total(centre: NDArray[np.float64], power: int) -> NDArray[np.float64]:
        found = np.zeros(values.shape[2])
        for rows in _blocks(len(values)):
            block = values[rows].astype(np.float64)
            np.copyto(block, floor, where=~np.isfinite(block))
            block = (block - centre) ** power
            found += block.sum(axis=(0, 1), where=True if counted is None else counted[rows])
        return found

    mean = total(np.zeros_like(floor), 1) / cells
    return mean, np.sqrt(total(mean, 2) / cells)


def match_columns(
    aligned: Aligned, columns: Sequence[str], *, fitted_on: str = "the weights"
) -> tuple[NDArray[np.float32], Cells]:
    """Values and seen cells of the named columns, in that order; columns beside them are left out.

    Parameters
    ----------
    aligned : Aligned
        N utterances of W steps.
    columns : sequence of D str
        Names as ``modality.column``.
    fitted_on : str
        How the error calls the side that names the columns.

    Returns
    -------
    values : array of shape (N, W, D)
    seen : bool array of shape (N, W, D)

    Raises
    ------
    SpecificationError
        Names the columns that are missing.
    """
    values, seen = aligned.values, aligned.column_mask()
    own = aligned.specification.columns
    if tuple(columns) == own:
        return values, seen
    place = {name: i for i, name in enumerate(own)}
    missing = [name for name in columns if name not in place]
    if missing:
        wanted = set(columns)
        unknown = _some([name for name in own if name not in wanted])
        raise SpecificationError(
            f"the columns differ (only in {fitted_on}: {_some(missing)}; only in the data: {unknown})",
            remedy="extract or read the same columns; they are matched by name",
        )
    order = [place[name] for name in columns]
    return values[:, :, order], seen[:, :, order]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES_SHOWN} more" if len(names) > _MOST_NAMES_SHOWN else ""
    return (", ".join(names[:_MOST_NAMES_SHOWN]) or "none") + more


@dataclass(frozen=True, eq=False)
class ScalerSet:
    """One scaler per pretraining corpus, and one of all corpora together, named ``pooled``.

    Each corpus is scaled by its own statistics before corpora are mixed for training (the paper's way). New data
    belongs to none of them: ``pooled`` shifts it by the difference between corpora, the name of a corpus says that it
    is of that distribution, ``refit`` takes the statistics of the new data itself, which is transductive.

    Parameters
    ----------
    scalers : mapping of str to ColumnScaler
        Has ``pooled``; all on the same columns.

    Notes
    -----
    Source: the scaler per corpus, Koromilas & Giannakopoulos (2021), public code; ``pooled`` and ``refit``, our choice.

    Examples
    --------
    >>> from trivium.corpus import Specification, StreamSpecification
    >>> spec = Specification((StreamSpecification("audio", ("f0",), clock="words"),))
    >>> x = Aligned.from_arrays(np.arange(8, dtype=np.float32).reshape(4, 2, 1), spec)
    >>> scalers = ScalerSet.fit(x, np.array(["a", "a", "b", "b"]))
    >>> scalers.names
    ('pooled', 'a', 'b')
    >>> print(scalers.transform(x[2:], "b").ravel().round(2))
    [0.   0.33 0.67 1.  ]
    """

    scalers: Mapping[str, ColumnScaler]

    def __post_init__(self) -> None:
        if POOLED not in self.scalers:
            raise SpecificationError(f"a set of scalers needs the one named {POOLED!r}")
        if len({scaler.columns for scaler in self.scalers.values()}) != 1:
            raise SpecificationError("the scalers of a set are on different columns")

    @classmethod
    def fit(
        cls,
        aligned: Aligned,
        corpora: NDArray[np.str_] | None = None,
        *,
        count_padding: bool = True,
        clip: bool = False,
        mark_unseen: bool = False,
    ) -> ScalerSet:
        """Take the statistics of training utterances.

        Parameters
        ----------
        aligned : Aligned
            N training utterances.
        corpora : str array of shape (N,), optional
            Name of the corpus of each; None when there is one corpus.
        count_padding, clip, mark_unseen : bool
            See :class:`ColumnScaler`.

        Raises
        ------
        SpecificationError
            A corpus is named ``pooled`` or ``refit``.
        DataError
            There are no cells to take statistics of.
        """
        columns, seen = aligned.specification.columns, aligned.column_mask()

        def one(rows: Any) -> ColumnScaler:
            return ColumnScaler.fit(
                aligned.values[rows],
                seen[rows],
                columns,
                count_padding=count_padding,
                clip=clip,
                mark_unseen=mark_unseen,
            )

        scalers = {POOLED: one(slice(None))}
        for name in [] if corpora is None else np.unique(corpora).tolist():
            if name in (POOLED, REFIT):
                raise SpecificationError(f"a corpus cannot be named {name!r}", remedy="give it another name")
            scalers[name] = one(corpora == name)
        return cls(scalers)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the scalers: ``pooled``, then the corpora in the order of their names."""
        return (POOLED, *sorted(name for name in self.scalers if name != POOLED))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the D columns as ``modality.column``."""
        return self.scalers[POOLED].columns

    def transform(self, aligned: Aligned, scaler: str = POOLED) -> NDArray[np.float32]:
        """Scale utterances with one scaler; columns are matched by name.

        Parameters
        ----------
        aligned : Aligned
            N utterances of W steps.
        scaler : str
            ``pooled``, the name of a pretraining corpus, or ``refit``: statistics of `aligned` itself.

        Returns
        -------
        array of shape (N, W, D)
            float32, columns in the order of :attr:`columns`.

        Raises
        ------
        SpecificationError
            There is no such scaler, or columns are missing (they are named).
        """
        values, seen = match_columns(aligned, self.columns)
        return self._scaler(scaler, values, seen).transform(values, seen)

    def transform_each(self, aligned: Aligned, corpora: NDArray[np.str_]) -> NDArray[np.float32]:
        """Scale each utterance with the scaler of its own corpus, as in training.

        Parameters
        ----------
        aligned : Aligned
            N utterances of W steps.
        corpora : str array of shape (N,)
            Name of the corpus of each.

        Returns
        -------
        array of shape (N, W, D)
            float32.
        """
        values, seen = match_columns(aligned, self.columns)
        scaled = np.empty(values.shape, np.float32)
        for name in np.unique(corpora).tolist():
            rows = corpora == name
            scaled[rows] = self._scaler(name, values[rows], seen[rows]).transform(values[rows], seen[rows])
        return scaled

    def _scaler(self, name: str, values: NDArray[np.float32], seen: Cells) -> ColumnScaler:
        if name == REFIT:
            like = self.scalers[POOLED]
            return ColumnScaler.fit(
                values,
                seen,
                self.columns,
                count_padding=like.count_padding,
                clip=like.clip,
                mark_unseen=like.mark_unseen,
            )
        if name not in self.scalers:
            raise SpecificationError(
                f"there is no scaler {name!r}", remedy=f"choose from {', '.join((*self.names, REFIT))}"
            )
        return self.scalers[name]

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Plain arrays for ``scalers.safetensors``: ``NAME/mean`` and so on, and the column names as UTF-8 JSON."""
        names = json.dumps(list(self.columns), ensure_ascii=False).encode()
        arrays: dict[str, NDArray[Any]] = {"columns": np.frombuffer(names, np.uint8)}
        for name, scaler in self.scalers.items():
            arrays |= {f"{name}/{statistic}": getattr(scaler, statistic) for statistic in _STATISTICS}
            options = [scaler.count_padding, scaler.clip]
            # earlier versions read two options; weights that do not need the third stay readable by them
            arrays[f"{name}/options"] = np.array(options + [True] * scaler.mark_unseen, np.uint8)
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> ScalerSet:
        """Inverse of :meth:`to_arrays`.

        Raises
        ------
        WeightsError
            Arrays are missing or malformed.
        """
        try:
            columns = tuple(str(name) for name in json.loads(arrays["columns"].tobytes().decode()))
            names = [key.removesuffix("/options") for key in arrays if key.endswith("/options")]
            return cls({name: _scaler_from(arrays, name, columns) for name in names})
        except (KeyError, ValueError, TypeError, DataError, SpecificationError) as cause:
            raise WeightsError(f"the stored scalers are malformed: {cause}") from cause


def _scaler_from(arrays: Mapping[str, NDArray[Any]], name: str, columns: tuple[str, ...]) -> ColumnScaler:
    count_padding, clip, *further = (bool(option) for option in arrays[f"{name}/options"])
    floor, mean, std, low, high = (np.asarray(arrays[f"{name}/{s}"], np.float64) for s in _STATISTICS)
    return ColumnScaler(columns, floor, mean, std, low, high, count_padding, clip, *further)
