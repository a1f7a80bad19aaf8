"""Two systems on the same utterances: difference, paired interval, and a paired permutation test over clusters."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trivium.errors import DataError
from trivium.evaluate.answers import Answers
from trivium.evaluate.bootstrap import Interval, drawn_counts, percentile_interval
from trivium.evaluate.cluster_sums import ClusterSums
from trivium.evaluate.named_protocols import Measure, NamedProtocol
from trivium.evaluate.scorecard import values_of

if TYPE_CHECKING:
    from rich.table import Table

_BLOCK = 1 << 22  # numbers in one block of permutations: 32 MiB
_ROUNDING = 1e-10

__all__ = ["Comparison", "Difference", "compare"]


@dataclass(frozen=True)
class Difference:
    """One measure of two systems.

    Parameters
    ----------
    measure : Measure
        What it is.
    ours, theirs : float
        Means over seeds on the shared utterances.
    interval : Interval
        Of ours minus theirs, both on the same resamples.
    p : float
        Two-sided, of the permutation test; NaN where it was not taken.
    """

    measure: Measure
    ours: float
    theirs: float
    interval: Interval
    p: float

    @property
    def value(self) -> float:
        """Ours minus theirs."""
        return self.ours - self.theirs


@dataclass(frozen=True, eq=False)
class Comparison:
    """All measures of two systems on the utterances they share.

    Parameters
    ----------
    differences : tuple of Difference
        In printed order.
    shared, only_ours, only_theirs : int
        How many ids both have, and how many one alone.
    clusters : int
        How many clusters the shared ids have.
    group : str
        Column of the clusters; empty where every utterance stands alone.
    times : int
        Resamples and permutations.
    names : (str, str)
        What the systems are called.
    permuted : bool
        Whether the permutation test was taken.
    """

    differences: tuple[Difference, ...]
    shared: int
    only_ours: int
    only_theirs: int
    clusters: int
    group: str
    times: int
    names: tuple[str, str]
    permuted: bool

    def to_json(self) -> dict[str, Any]:
        """Everything that is printed, as plain builtins; null where a number is not defined."""
        return {
            "systems": list(self.names),
            "shared": self.shared,
            "only_ours": self.only_ours,
            "only_theirs": self.only_theirs,
            "clusters": self.clusters,
            "group": self.group or None,
            "differences": {
                d.measure.name: {
                    "ours": _number(d.ours),
                    "theirs": _number(d.theirs),
                    "difference": _number(d.value),
                    "interval": [_number(d.interval.low), _number(d.interval.high)],
                    "p": _number(d.p),
                }
                for d in self.differences
            },
            "notes": self.notes(),
        }

    def table(self) -> Table:
        """Rich table for the terminal."""
        from rich.box import SIMPLE
        from rich.table import Table

        table = Table(title="ours minus theirs", box=SIMPLE, pad_edge=False)
        table.add_column("measure", no_wrap=True)
        for head in ("ours", "theirs", "minus", *(["95 % interval", "p"] if self.times else [])):
            table.add_column(head, justify="right", no_wrap=True)
        for d in self.differences:
            interval = f"[{d.interval.low:+.3f}, {d.interval.high:+.3f}]" if not math.isnan(d.interval.low) else ""
            signs = [f"{d.ours:.4f}", f"{d.theirs:.4f}", f"{d.value:+.4f}"]
            shown = ["not defined"] * 3 if math.isnan(d.value) else signs
            drawn = [interval, "" if math.isnan(d.p) else f"{d.p:.3f}"] if self.times else []
            table.add_row(d.measure.name, *shown, *drawn)
        return table

    def notes(self) -> list[str]:
        """Sentences that belong under the numbers."""
        ours, theirs = self.names
        of = f"{self.clusters} clusters ({self.group})" if self.group else "single utterances"
        found = [
            f"Ours is {ours}, theirs is {theirs}: {self.shared} ids are shared, {self.only_ours} are in ours only, "
            f"{self.only_theirs} in theirs only; both are measured on the shared ones.",
            f"Intervals: {self.times} paired resamples of {of}."
            if self.times
            else "No intervals and no permutation test: no resamples were asked for.",
        ]
        if self.permuted:
            found.append(
                f"p: two-sided permutation test, {self.times} times the answers of the two are swapped at random for "
                f"{of}; not corrected for the {len(self.differences)} measures."
            )
        elif self.times:
            found.append("No permutation test: it needs the same number of seeds in both.")
        return found


def compare(ours: Answers, theirs: Answers, protocol: NamedProtocol, *, times: int = 1000, seed: int = 0) -> Comparison:
    """Compare two systems on the utterances they share.

    Parameters
    ----------
    ours, theirs : Answers
        Read by the same protocol; the clusters and folds are those of `ours`.
    protocol : NamedProtocol
        What to measure.
    times : int
        Resamples, and permutations; 0 for neither.
    seed : int
        Of the draws.

    Raises
    ------
    DataError
        No id is shared, or the two have different labels for one.

    Notes
    -----
    Sources: the paired percentile bootstrap over clusters, Davison & Hinkley (1997); approximate randomisation, Noreen
    (1989): the answers of the two systems are swapped for whole clusters, in all seeds at once, and p is the share of
    permutations with a difference at least as large, the observed one counted in.

    Examples
    --------
    >>> from trivium.evaluate.answers import answers_of
    >>> from trivium.evaluate.named_protocols import named_protocol
    >>> from trivium.evaluate.predictions import PredictionTable
    >>> protocol, y = named_protocol("regression"), np.arange(40.0)
    >>> def system(said):
    ...     cells = {"id": [f"u{k}" for k in range(40)], "prediction": said, "label": y}
    ...     return answers_of(PredictionTable(cells), protocol)
    >>> found = compare(system(y), system(np.where(y % 2, y + 9, y - 9)), protocol, times=99)
    >>> [d.measure.name for d in found.differences if d.p < 0.05]
    ['r', 'mae']
    """
    shared, mine, yours = np.intersect1d(ours.ids, theirs.ids, assume_unique=True, return_indices=True)
    if not len(shared):
        raise DataError(
            f"shares no id with {ours.name} (there {str(ours.ids[0])!r}, here {str(theirs.ids[0])!r})",
            file=theirs.name,
            remedy="write the ids in the same way",
        )
    a, b = ours.of(mine), theirs.of(yours)
    _require_one_truth(a, b)
    # partitions made anew for every seed are those of the seed; else all seeds went through the same folds
    folds = a.folds if a.folds.shape == b.folds.shape else np.broadcast_to(a.folds[0], b.folds.shape)
    b = replace(b, clusters=a.clusters, folds=folds)
    means = [values_of(system, protocol, np.arange(len(a))).mean(axis=1) for system in (a, b)]
    mine_sums, your_sums = ClusterSums.of(a, protocol, beside=[b]), ClusterSums.of(b, protocol, beside=[a])
    counts = drawn_counts(mine_sums.clusters, times, seed)
    blocks = [mine_sums.values(block) - your_sums.values(block) for block in counts]
    drawn = np.concatenate([np.empty((0, len(means[0]))), *blocks])
    permuted = len(a.seeds) == len(b.seeds) and times > 0
    p = _permutation_p(mine_sums, your_sums, times, seed) if permuted else np.full(len(means[0]), np.nan)
    differences = tuple(
        Difference(
            m,
            float(means[0][k]),
            float(means[1][k]),
            percentile_interval(drawn[:, k]),
            float(p[k]),
        )
        for k, m in enumerate(protocol.measures)
    )
    sizes = (len(shared), len(ours) - len(shared), len(theirs) - len(shared), len(np.unique(a.clusters)))
    return Comparison(differences, *sizes, a.group, times, (ours.name, theirs.name), permuted)


def _require_one_truth(a: Answers, b: Answers) -> None:
    differs = np.flatnonzero((a.truth != b.truth).reshape(len(a), -1).any(axis=1))
    if len(differs):
        raise DataError(
            f"has another label than {a.name} for {len(differs)} of {len(a)} shared ids, such as "
            f"{str(a.ids[differs[0]])!r}",
            file=b.name,
            remedy="compare predictions of the same labels",
        )


def _permutation_p(ours: ClusterSums, theirs: ClusterSums, times: int, seed: int) -> NDArray[np.float64]:
    """Two-sided p for every measure (M,); NaN where the observed difference is not defined."""

    def size(swapped: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.abs(ours.exchanged(theirs, swapped) - theirs.exchanged(ours, swapped))

    observed = size(np.zeros((1, ours.clusters)))
    rng = np.random.default_rng(seed)
    as_large = np.ones(ours.measures)
    most = max(1, _BLOCK // ours.clusters)
    for start in range(0, times, most):
        swapped = rng.integers(2, size=(min(most, times - start), ours.clusters)).astype(np.float64)
        # an undefined difference counts as large, and a rounding error decides nothing
        as_large += (~(size(swapped) < observed - _ROUNDING)).sum(axis=0)
    return np.where(np.isnan(observed[0]), np.nan, as_large / (times + 1))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 6)
