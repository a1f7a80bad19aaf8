"""Measures as sums over rows, so that a thousand resamples or permutations are a few matrix products.

Every measure that a protocol prints is a function of a few sums over the utterances: how many are right, the counts
of each class in the truth, in the answers and in both, the moments behind a correlation. The sums of each cluster are
taken once; a resample weights the clusters, a permutation exchanges them between two systems.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.evaluate.answers import Answers
from trivium.evaluate.named_protocols import NamedProtocol
from trivium.metrics import (
    accuracy,
    mean_absolute_error,
    metric,
    pearson,
    unweighted_average_recall,
    weighted_accuracy,
    weighted_f1,
    weighted_f1_by_prediction,
)

__all__ = ["ClusterSums"]

Floats = NDArray[np.float64]
_LEAST_VARIANCE = 1e-12  # of the whole set's: below, what was drawn is constant but for rounding


@dataclass(frozen=True, eq=False)
class _Rule:
    """What is summed over rows, (N,) each, and how a measure comes of the sums (T, F)."""

    columns: Callable[[NDArray[Any], NDArray[Any]], list[NDArray[Any]]]
    finish: Callable[[Floats], Floats]


@dataclass(frozen=True, eq=False)
class _Part:
    """One measure of one seed in one fold: sums by cluster (C, F), the first of them the number of rows."""

    measure: int
    sums: Floats
    finish: Callable[[Floats], Floats]


@dataclass(frozen=True, eq=False)
class ClusterSums:
    """Sums by cluster of everything that a protocol prints.

    Parameters
    ----------
    parts : tuple of parts
        One for each measure, seed and fold.
    measures : int
        M.
    clusters : int
        C.
    """

    parts: tuple[_Part, ...]
    measures: int
    clusters: int

    @classmethod
    def of(cls, answers: Answers, protocol: NamedProtocol, *, beside: Sequence[Answers] = ()) -> ClusterSums:
        """Take the sums.

        Parameters
        ----------
        answers : Answers
            Of S seeds on N utterances.
        protocol : NamedProtocol
            With M measures.
        beside : sequence of Answers
            Other systems on the same utterances whose sums are to be exchanged with these.
        """
        names, cluster = np.unique(answers.clusters, return_inverse=True)
        parts = []
        for k, measure in enumerate(protocol.measures):
            found = metric(measure.metric)
            column = ... if not measure.of else protocol.classes.index(measure.of)
            truth = answers.truth if column is ... else answers.truth[:, column]
            saids = [system.said if column is ... else system.said[:, :, column] for system in (answers, *beside)]
            rows = [found.rows(truth, said) for said in np.concatenate(saids)]
            rule = _RULES[found.base or found.function](rows[0][0], np.concatenate([said for _, said in rows]))
            kept = np.ones(len(truth)) if found.kept is None else found.kept(truth).astype(np.float64)
            for s in range(len(answers.seeds)):
                columns = [np.ones(len(truth)), *(kept * column for column in rule.columns(*rows[s]))]
                for fold in range(answers.fold_count):
                    inside = answers.fold_numbers[s] == fold
                    sums = [np.bincount(cluster, weights=inside * column, minlength=len(names)) for column in columns]
                    parts.append(_Part(k, np.stack(sums, axis=1), rule.finish))
        return cls(tuple(parts), len(protocol.measures), len(names))

    def values(self, weights: Floats) -> Floats:
        """Every measure where each cluster counts as often as its weight.

        Parameters
        ----------
        weights : array of shape (T, C)
            Of T resamples.

        Returns
        -------
        array of shape (T, M)
            Mean over seeds and folds; NaN where a measure is not defined.
        """
        return self._finished([weights @ part.sums for part in self.parts])

    def exchanged(self, other: ClusterSums, swapped: Floats) -> Floats:
        """Every measure where some clusters have the answers of another system.

        Parameters
        ----------
        other : ClusterSums
            Of the same utterances, taken beside this one.
        swapped : array of shape (T, C)
            1 where a cluster is exchanged, else 0.

        Returns
        -------
        array of shape (T, M)
            As :meth:`values`.
        """
        pairs = zip(self.parts, other.parts, strict=True)
        return self._finished([a.sums.sum(axis=0) + swapped @ (b.sums - a.sums) for a, b in pairs])

    def _finished(self, sums: Sequence[Floats]) -> Floats:
        total = np.zeros((len(sums[0]), self.measures))
        count = np.zeros_like(total)
        for part, found in zip(self.parts, sums, strict=True):
            there = found[:, 0] > 0  # a fold that was not drawn has no say
            with np.errstate(divide="ignore", invalid="ignore"):
                total[:, part.measure] += np.where(there, part.finish(found[:, 1:]), 0.0)
            count[:, part.measure] += there
        with np.errstate(invalid="ignore"):
            return total / count


def _share(_truths: NDArray[Any], _saids: NDArray[Any]) -> _Rule:
    """Accuracy."""
    return _Rule(lambda y, p: [y == p, np.ones(len(y))], lambda sums: np.asarray(sums[:, 0] / sums[:, 1]))


def _error(_truths: NDArray[Any], _saids: NDArray[Any]) -> _Rule:
    """Mean absolute error."""
    return _Rule(lambda y, p: [np.abs(p - y), np.ones(len(y))], lambda sums: np.asarray(sums[:, 0] / sums[:, 1]))


def _counting(finish: Callable[[Floats, Floats, Floats], Floats]) -> Callable[..., _Rule]:
    """Count each class in both, in the truth and in the answers; `finish` takes the three counts (T, classes)."""

    def rule(truths: NDArray[Any], saids: NDArray[Any]) -> _Rule:
        classes = np.unique(np.concatenate([truths, saids]))

        def columns(y: NDArray[Any], p: NDArray[Any]) -> list[NDArray[Any]]:
            true, said = [y == name for name in classes], [p == name for name in classes]
            return [*(a & b for a, b in zip(true, said, strict=True)), *true, *said]

        return _Rule(columns, lambda sums: finish(*np.split(sums, 3, axis=1)))

    return rule


def _f1(both: Floats, truth: Floats, said: Floats) -> Floats:
    return np.asarray((_f1_by_class(both, truth, said) * truth).sum(axis=1) / truth.sum(axis=1))


def _f1_by_prediction(both: Floats, truth: Floats, said: Floats) -> Floats:
    return _f1(both, said, truth)


def _f1_by_class(both: Floats, truth: Floats, said: Floats) -> Floats:
    return np.where(both > 0, 2 * both / (truth + said), 0.0)


def _recall(both: Floats, truth: Floats, _said: Floats) -> Floats:
    there = (truth > 0).sum(axis=1)
    return np.asarray(np.where(truth > 0, both / truth, 0.0).sum(axis=1) / there)


def _both_recalls(both: Floats, truth: Floats, said: Floats) -> Floats:
    return np.where((truth > 0).sum(axis=1) == 2, _recall(both, truth, said), np.nan)


def _correlation(truths: NDArray[Any], saids: NDArray[Any]) -> _Rule:
    """Moments of truth and answers, moved near 0 and scaled, where sums of squares lose nothing."""
    middles = [np.mean(v, dtype=np.float64) for v in (truths, saids)]
    scales = [np.std(v, dtype=np.float64) or 1.0 for v in (truths, saids)]

    def columns(y: NDArray[Any], p: NDArray[Any]) -> list[NDArray[Any]]:
        a, b = ((v.astype(np.float64) - m) / s for v, m, s in zip((y, p), middles, scales, strict=True))
        return [np.ones(len(a)), a, b, a * a, b * b, a * b]

    def finish(sums: Floats) -> Floats:
        n, a, b, aa, bb, ab = sums.T
        va, vb = aa / n - (a / n) ** 2, bb / n - (b / n) ** 2
        defined = (va > _LEAST_VARIANCE) & (vb > _LEAST_VARIANCE)
        return np.where(defined, (ab / n - a * b / n**2) / np.sqrt(va * vb), np.nan)

    return _Rule(columns, finish)


_RULES: Mapping[Callable[..., float], Callable[..., _Rule]] = MappingProxyType(
    {
        accuracy: _share,
        mean_absolute_error: _error,
        weighted_f1: _counting(_f1),
        weighted_f1_by_prediction: _counting(_f1_by_prediction),
        unweighted_average_recall: _counting(_recall),
        weighted_accuracy: _counting(_both_recalls),
        pearson: _correlation,
    }
)
