"""From predictions to the lines of a table: scores by seed, and intervals over resampled clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.evaluate.bootstrap import percentile_interval, resamples
from trivium.evaluate.report import Predictions, Row
from trivium.evaluate.target import Target
from trivium.metrics import metric

__all__ = ["rows_of", "score"]

_WITHIN_FOLDS = ("r", "mean_r", "sims_r")


def score(name: str, truth: NDArray[Any], said: NDArray[Any], folds: NDArray[Any]) -> float:
    """One measure on tested rows; correlations within each fold, then averaged.

    Parameters
    ----------
    name : str
        Of the metric.
    truth, said : arrays of shape (n,) or (n, K)
        Labels and predictions.
    folds : array of shape (n,)
        Fold that tested each row.

    Examples
    --------
    >>> y, p = np.array([1.0, 2, 1, 2]), np.array([0.0, 1, 8, 9])
    >>> score("r", y, p, np.array(["a", "a", "b", "b"]))
    1.0
    """
    function = metric(name).function
    if name not in _WITHIN_FOLDS:
        return function(truth, said)
    found = [function(truth[folds == f], said[folds == f]) for f in np.unique(folds) if (folds == f).sum() > 1]
    known = [value for value in found if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def rows_of(
    predictions: Mapping[str, Predictions],
    features: Mapping[str, int],
    target: Target,
    clusters: NDArray[Any],
    floors: Sequence[str],
    times: int,
) -> tuple[Row, ...]:
    """Lines of the table, floors first, from the predictions of all representations.

    Parameters
    ----------
    predictions : mapping of str to Predictions
        By representation, on the same N rows.
    features : mapping of str to int
        Length of the vectors.
    target : Target
        Truth (N,) or (N, K) and metrics.
    clusters : array of shape (N,)
        What is resampled.
    floors : sequence of str
        Names of the floors.
    times : int
        Number of resamples.
    """
    answers = {name: _answers(p, target) for name, p in predictions.items()}
    tested = np.flatnonzero(next(iter(predictions.values())).folds[0] != "")
    draws = [tested[rows] for rows in resamples(clusters[tested], times, seed=0)]
    first = target.metrics[0]
    truth = _codes(target)
    drawn = {
        name: np.array([_over_seeds(first, truth, answers[name], predictions[name], rows) for rows in draws])
        for name in predictions
    }
    rows = []
    for name, found in predictions.items():
        scores = {m: tuple(_by_seed(m, truth, answers[name], found, tested)) for m in target.metrics}
        own = float(np.mean(scores[first]))
        others = {} if name in floors else {f: drawn[f] for f in floors if f in predictions}
        means = {f: float(np.mean(_by_seed(first, truth, answers[f], predictions[f], tested))) for f in others}
        differences = {f: (own - means[f], percentile_interval(drawn[name] - others[f])) for f in others}
        rows.append(
            Row(name, name in floors, features[name], scores, percentile_interval(drawn[name]), differences, found)
        )
    return tuple(rows)


def _codes(target: Target) -> NDArray[Any]:
    """Truth as numbers: indices into the sorted classes, or the numbers themselves."""
    if target.task == "classes":
        return np.asarray(np.searchsorted(target.classes, target.values))
    numbers: NDArray[Any] = target.values[:, 0] if target.width == 1 else target.values
    return numbers


def _answers(predictions: Predictions, target: Target) -> NDArray[Any]:
    """What was said, (S, N) or (S, N, K), in the terms of the truth."""
    output = predictions.output
    if target.task == "classes":
        return np.asarray(np.nan_to_num(output, nan=-1).argmax(axis=2))
    return output[:, :, 0] if output.shape[2] == 1 else output


def _by_seed(
    name: str, truth: NDArray[Any], answers: NDArray[Any], predictions: Predictions, rows: NDArray[np.int64]
) -> list[float]:
    return [
        score(name, truth[rows], answer[rows], folds[rows])
        for answer, folds in zip(answers, predictions.folds, strict=True)
    ]


def _over_seeds(
    name: str, truth: NDArray[Any], answers: NDArray[Any], predictions: Predictions, rows: NDArray[np.int64]
) -> float:
    return float(np.mean(_by_seed(name, truth, answers, predictions, rows)))
