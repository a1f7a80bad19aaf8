"""The contrast that counts: the declared representation against the floor that validation picks, fold by fold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.errors import DataError
from trivium.evaluate.bootstrap import Interval, percentile_interval
from trivium.evaluate.report import Predictions
from trivium.evaluate.scores import drawn_scores, rows_of
from trivium.evaluate.several_tests import bootstrap_p, holm
from trivium.evaluate.target import Target
from trivium.metrics import metric

__all__ = [
    "PICKED",
    "PICKED_HARDER",
    "Contrast",
    "Contrasts",
    "Verdict",
    "contrast_of",
    "corrected",
    "picked_floor",
    "verdict_of",
]

PICKED = "floor picked on validation"
"""Name of the row that is made of floors."""
PICKED_HARDER = "picked among harder floors too"
"""Name of the row that is made of floors, of floors that are read late, and of the twins of ours."""
_LEVEL = 0.05
_WANTED = 2


@dataclass(frozen=True)
class Contrast:
    """Ours minus the picked floor.

    Parameters
    ----------
    ours : str
        Row of the declared representation.
    measure : str
        What is compared.
    value : float
        Difference, in the direction in which more is better.
    interval : Interval
        95 %, over resampled clusters.
    p, corrected : float
        Two-sided from the same resamples; and by Holm's correction over the tasks of the track.
    by_seed : tuple of float
        Difference of each seed.
    picked : mapping of str to int
        How many folds each floor was picked in.
    """

    ours: str
    measure: str
    value: float
    interval: Interval
    p: float
    corrected: float
    by_seed: tuple[float, ...]
    picked: Mapping[str, int]

    @property
    def better(self) -> bool:
        """Whether it is above the floor after correction."""
        return self.corrected < _LEVEL and self.value > 0

    @property
    def worse(self) -> bool:
        """Whether it is below the floor after correction."""
        return self.corrected < _LEVEL and self.value < 0


@dataclass(frozen=True)
class Contrasts:
    """All differences of one representation.

    Parameters
    ----------
    declared : Contrast
        To the floor that validation picks: the one that counts.
    harder : Contrast or None
        To what validation picks from those floors, floors that are read as ours is, and the twins.
    learned : mapping of str to Contrast
        To each twin of the representation: without what is learned, with nothing trained.
    """

    declared: Contrast
    harder: Contrast | None = None
    learned: Mapping[str, Contrast] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """What a track's contrasts amount to.

    Parameters
    ----------
    reached : bool
        Better on at least two tasks, worse on none.
    better, worse, open, absent : tuple of str
        Tasks; absent are those that count and were not measured.
    """

    reached: bool
    better: tuple[str, ...]
    worse: tuple[str, ...]
    open: tuple[str, ...]
    absent: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """One sentence."""
        told = [
            f"{word} on {', '.join(names)}"
            for word, names in (("better", self.better), ("worse", self.worse), ("undecided", self.open))
            if names
        ] or ["no task was measured"]
        if self.absent:
            told.append(f"not measured: {', '.join(self.absent)}")
        said = f"{'Reached' if self.reached else 'Not reached'}{' so far' if self.absent else ''}"
        return f"{said}: {'; '.join(told)}."


def picked_floor(
    floors: Mapping[str, Predictions], validation: Mapping[str, Mapping[tuple[int, str], float]], seeds: Sequence[int]
) -> tuple[Predictions, Counter[str]]:
    """For every seed and fold the floor that did best on its validation rows.

    Parameters
    ----------
    floors : mapping of str to Predictions
        Of N rows; one with a single seed stands for all.
    validation : mapping of str to mapping of (int, str) to float
        By floor, then seed and fold: higher is better. NaN is never picked while another floor has a number.
    seeds : sequence of int
        S seeds.

    Returns
    -------
    (Predictions, Counter)
        Answers (S, N, K), and in how many folds each floor was picked.

    Raises
    ------
    DataError
        There is no floor.

    Examples
    --------
    >>> one = Predictions((0,), np.zeros((1, 1, 1)), np.array([["1"]]))
    >>> two = Predictions((0,), np.ones((1, 1, 1)), np.array([["1"]]))
    >>> found, picked = picked_floor({"a": one, "b": two}, {"a": {(0, "1"): 0.1}, "b": {(0, "1"): 0.2}}, [0])
    >>> found.output.item(), dict(picked)
    (1.0, {'b': 1})
    """
    if not floors:
        raise DataError("there is no floor to compare with", remedy="ask for at least one")
    picked: Counter[str] = Counter()
    shape = next(iter(floors.values())).output.shape[1:]
    output = np.full((len(seeds), *shape), np.nan)
    widest = max((found.folds.dtype for found in floors.values()), key=lambda kind: kind.itemsize)
    folds = np.full((len(seeds), shape[0]), "", dtype=widest)
    for k, seed in enumerate(seeds):
        places = {name: found.seeds.index(seed) if seed in found.seeds else 0 for name, found in floors.items()}
        any_floor = next(iter(floors))
        for fold in np.unique(floors[any_floor].folds[places[any_floor]]).tolist():
            if not fold:
                continue
            scores = {n: validation[n].get((floors[n].seeds[places[n]], fold), np.nan) for n in floors}
            best = max(scores, key=lambda name: -np.inf if np.isnan(scores[name]) else scores[name])
            picked[best] += 1
            rows = floors[best].folds[places[best]] == fold
            output[k, rows], folds[k, rows] = floors[best].output[places[best], rows], fold
    return Predictions(tuple(seeds), output, folds), picked


def contrast_of(
    ours: str,
    predictions: Predictions,
    floor: Predictions,
    picked: Mapping[str, int],
    target: Target,
    clusters: NDArray[Any],
    times: int,
) -> Contrast:
    """Compare the declared representation with the picked floor on the same resamples of clusters.

    Parameters
    ----------
    ours : str
        Name of the row.
    predictions, floor : Predictions
        On the same N rows.
    picked : mapping of str to int
        How many folds each floor was picked in.
    target : Target
        Truth and measures; the first is compared.
    clusters : array of shape (N,)
        What is resampled.
    times : int
        Number of resamples.

    Returns
    -------
    Contrast
        Not corrected yet: `corrected` is `p`.
    """
    both = {"ours": predictions, "floor": floor}
    sign = 1.0 if metric(target.metrics[0]).higher_is_better else -1.0
    drawn = drawn_scores(both, target, clusters, times)
    differences = sign * (drawn["ours"] - drawn["floor"])
    rows = {row.name: row for row in rows_of(both, {"ours": 0, "floor": 0}, target, clusters, (), 1)}
    first = target.metrics[0]
    mine, theirs = (np.array(rows[name].scores[first]) for name in ("ours", "floor"))
    value = sign * (float(mine.mean()) - float(theirs.mean()))
    by_seed = tuple((sign * (mine - theirs)).tolist()) if len(mine) == len(theirs) else (value,)
    p = bootstrap_p(differences)
    return Contrast(ours, first, value, percentile_interval(differences), p, p, by_seed, dict(picked))


def corrected(contrasts: Mapping[str, Contrast], counted: Sequence[str]) -> dict[str, Contrast]:
    """Holm's correction over the tasks that count; those beside them keep their own p.

    Parameters
    ----------
    contrasts : mapping of str to Contrast
        By task.
    counted : sequence of str
        Tasks of the family.

    Examples
    --------
    >>> one = Contrast("mean", "r", 0.1, Interval(0.0, 0.2), 0.04, 0.04, (0.1,), {})
    >>> found = corrected({"a": one, "b": one}, ["a", "b"])
    >>> found["a"].corrected
    0.08
    """
    family = [name for name in counted if name in contrasts and not np.isnan(contrasts[name].p)]
    raised = dict(zip(family, holm([contrasts[name].p for name in family]), strict=True))
    return {name: replace(one, corrected=raised.get(name, one.p)) for name, one in contrasts.items()}


def verdict_of(contrasts: Mapping[str, Contrast], absent: Sequence[str] = ()) -> Verdict:
    """Whether the bar is reached: better on two tasks or more, worse on none.

    Parameters
    ----------
    contrasts : mapping of str to Contrast
        Corrected, by task that counts.
    absent : sequence of str
        Tasks that count and were not measured.

    Examples
    --------
    >>> verdict_of({}).text
    'Not reached: no task was measured.'
    """
    better = tuple(name for name, one in contrasts.items() if one.better)
    worse = tuple(name for name, one in contrasts.items() if one.worse)
    undecided = tuple(name for name in contrasts if name not in (*better, *worse))
    return Verdict(len(better) >= _WANTED and not worse, better, worse, undecided, tuple(absent))
