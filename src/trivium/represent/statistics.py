"""Statistics of columns: the honest default, and what any learned representation has to stand beside.

No paper: means, spreads and slopes of every column over time are what the field computes by habit. A corpus is read at
the native rate of each stream (every frame of voice and face), because averages over words first lose the spread within
them. What an utterance lacks is 0 and is told by an indicator (both our choice). Nothing is learned. No torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.column_statistics import column_statistics, parsed_statistics, relative_places
from trivium.corpus import Specification
from trivium.errors import SpecificationError
from trivium.represent.by_modality import Block, ByModality
from trivium.represent.inputs import ARRAY

__all__ = ["Statistics"]


class Statistics(ByModality):
    """Mean, spread and slope of every column, each modality at its own rate.

    Parameters
    ----------
    which : str
        Statistics, joined with commas: ``mean``, ``spread``, ``slope``, ``minimum``, ``maximum``, ``p10``, ``p90``,
        ``first-half``, ``second-half`` (:func:`trivium.column_statistics.column_statistics` defines them).
    words : int
        Steps that a corpus is cropped or padded to where `native` is false; aligned sets and arrays bring their own.
    native : bool
        Read the streams of a corpus as they are, every frame of the voice and the face, and not their means per word.
    indicators : bool
        Add a number for each modality: 1 where it was seen at all, else 0.

    Attributes
    ----------
    widths_ : dict of str to int
        Columns by modality.

    Examples
    --------
    >>> x = np.array([[[1.0, 5.0], [3.0, np.nan]]], np.float32)
    >>> fitted = Statistics().fit(x)
    >>> dict(zip(fitted.get_feature_names_out().tolist(), fitted.transform(x)[0].tolist()))
    ... # doctest: +NORMALIZE_WHITESPACE
    {'x0.mean': 2.0, 'x1.mean': 5.0, 'x0.spread': 1.0, 'x1.spread': 0.0, 'x0.slope': 2.0, 'x1.slope': 0.0,
     'matrix.seen': 1.0}
    """

    def __init__(
        self, which: str = "mean,spread,slope", words: int = 20, native: bool = True, indicators: bool = True
    ) -> None:
        super().__init__(words, native)
        self.which = which
        self.indicators = indicators

    def as_module(self, specification: Specification) -> Any:
        """Same statistics as a torch module; see :class:`trivium.represent.Beside`."""
        from trivium.represent.modules import StatisticsModule

        names = parsed_statistics(self.which)
        return StatisticsModule([s.dim for s in specification.streams], names, indicators=self.indicators)

    def _learn(self, blocks: Iterator[Block]) -> None:
        parsed_statistics(self.which)
        if next(blocks, None) is None:
            raise SpecificationError("there is no utterance to learn columns from", remedy="give at least one")

    def _block_vectors(self, block: Block) -> NDArray[np.float64]:
        names = parsed_statistics(self.which)
        found = [
            column_statistics(part.values, part.seen, names, relative_places(np.any(part.seen, axis=2), part.times))
            for part in block.values()
        ]
        if self.indicators:
            found += [np.any(part.seen, axis=(1, 2), keepdims=True)[:, 0].astype(np.float64) for part in block.values()]
        return np.concatenate(found, axis=1)

    def _names(self, columns: Sequence[str] | None = None) -> list[str]:
        known = columns or self.columns_ or [f"x{i}" for i in range(self.widths_[ARRAY])]
        edges = np.cumsum([0, *self.widths_.values()]).tolist()
        names = [
            f"{column}.{statistic}"
            for start, stop in pairwise(edges)
            for statistic in parsed_statistics(self.which)
            for column in known[start:stop]
        ]
        return names + [f"{modality}.seen" for modality in self.widths_] * self.indicators
