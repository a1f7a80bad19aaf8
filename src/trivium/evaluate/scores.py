"""From predictions to the lines of a table: scores by seed, and intervals over resampled clusters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.errors import DataError
from trivium.evaluate.bootstrap import percentile_interval, resamples
from trivium.evaluate.report import Predictions, Row
from trivium.evaluate.target import Target
from trivium.metrics import metric

__all__ = ["drawn_scores", "rows_of", "score"]

_Measure = Callable[[NDArray[Any], NDArray[Any]], float]


def score(name: str, truth: NDArray[Any], said: NDArray[Any], folds: NDArray[Any]) -> float:
    """One measure within each test fold, averaged over folds.

    Readouts of different folds have different intercepts and majority classes; measured on all folds together, a
    constant answer would fall below chance.

    Parameters
    ----------
    name : str
        Of the metric.
    truth, said : arrays of shape (n,) or (n, K)
        Labels and predictions.
    folds : array of shape (n,)
        Fold that tested each row.

    Returns
    -------
    float
        A fold counts 0 where a constant prediction leaves the measure undefined (an encoder that collapsed must not
        be scored on its other folds alone), and is left out only where the truth does, such as one class or value;
        NaN where all are left out.

    Raises
    ------
    DataError
        A prediction is NaN, or the measure cannot be taken.

    Examples
    --------
    >>> y, p = np.array([1.0, 2, 1, 2]), np.array([0.0, 1, 8, 9])
    >>> score("r", y, p, np.array(["a", "a", "b", "b"]))
    1.0
    """
    measure = metric(name).function
    found = [_in_fold(measure, truth[folds == fold], said[folds == fold]) for fold in np.unique(folds)]
    known = [value for value in found if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _in_fold(measure: _Measure, truth: NDArray[Any], said: NDArray[Any]) -> float:
    try:
        value = measure(truth, said)
    except DataError:
        if _defined_by(measure, truth):
            raise
        return float("nan")
    return 0.0 if np.isnan(value) and _defined_by(measure, truth) else value


def _defined_by(measure: _Measure, truth: NDArray[Any]) -> bool:
    """Whether a perfect answer has a score: not for one value alone, or labels that are all 0."""
    try:
        return not np.isnan(measure(truth, truth))
    except DataError:
        return False


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

    Raises
    ------
    DataError
        A prediction is NaN or infinite.

    Notes
    -----
    Seeds may test different rows: each is scored on its own. The bootstrap draws clusters of all rows that any tested.
    """
    _require_numbers(predictions)
    answers, folds, tested = _measured(predictions, target)
    first, truth = target.metrics[0], _codes(target)
    drawn = drawn_scores(predictions, target, clusters, times)
    rows = []
    for name, found in predictions.items():
        scores = {m: tuple(_by_seed(m, truth, answers[name], folds[name], tested)) for m in target.metrics}
        own = float(np.mean(scores[first]))
        others = {} if name in floors else {f: drawn[f] for f in floors if f in predictions}
        means = {f: float(np.mean(_by_seed(first, truth, answers[f], folds[f], tested))) for f in others}
        differences = {f: (own - means[f], percentile_interval(drawn[name] - others[f])) for f in others}
        rows.append(
            Row(name, name in floors, features[name], scores, percentile_interval(drawn[name]), differences, found)
        )
    return tuple(rows)


def drawn_scores(
    predictions: Mapping[str, Predictions], target: Target, clusters: NDArray[Any], times: int
) -> dict[str, NDArray[np.float64]]:
    """First measure of every system, averaged over seeds, on the same resamples of whole clusters.

    Parameters
    ----------
    predictions : mapping of str to Predictions
        By system, on the same N rows.
    target : Target
        Truth (N,) or (N, K) and metrics.
    clusters : array of shape (N,)
        What is resampled.
    times : int
        R resamples.

    Returns
    -------
    dict of str to array of shape (R,)
        NaN where the measure is not defined on a resample.

    Notes
    -----
    Seeds may test different rows: each is scored on its own. The bootstrap draws clusters of all rows that any tested.
    """
    answers, folds, tested = _measured(predictions, target)
    first, truth = target.metrics[0], _codes(target)
    draws = [tested[rows] for rows in resamples(clusters[tested], times, seed=0)]
    return {
        name: np.array([_over_seeds(first, truth, answers[name], folds[name], rows) for rows in draws])
        for name in predictions
    }


def _measured(
    predictions: Mapping[str, Predictions], target: Target
) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[np.int64]], NDArray[np.int64]]:
    """Answers and fold numbers by system, and the rows that any of them tested."""
    answers = {name: _answers(found, target) for name, found in predictions.items()}
    folds = {name: _fold_numbers(found) for name, found in predictions.items()}
    return answers, folds, np.flatnonzero(np.any([(of >= 0).any(axis=0) for of in folds.values()], axis=0))


def _require_numbers(predictions: Mapping[str, Predictions]) -> None:
    for name, found in predictions.items():
        count = int((~np.isfinite(found.output[found.folds != ""])).any(axis=1).sum())
        if count:
            raise DataError(
                f"{name} predicted NaN or infinity for {count} test rows", remedy="look at its vectors and its training"
            )


def _fold_numbers(predictions: Predictions) -> NDArray[np.int64]:
    """Fold that tested each row by seed (S, N) as a number, -1 where none did."""
    names = predictions.folds
    numbers = np.unique(names, return_inverse=True)[1].reshape(names.shape)
    return np.where(names == "", -1, numbers)


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
    name: str, truth: NDArray[Any], answers: NDArray[Any], folds: NDArray[np.int64], rows: NDArray[np.int64]
) -> list[float]:
    """Scores of the given rows, of each seed's those that it tested."""
    found = []
    for said, of in zip(answers, folds, strict=True):
        own = rows[of[rows] >= 0]
        found.append(score(name, truth[own], said[own], of[own]))
    return found


def _over_seeds(
    name: str, truth: NDArray[Any], answers: NDArray[Any], folds: NDArray[np.int64], rows: NDArray[np.int64]
) -> float:
    return float(np.mean(_by_seed(name, truth, answers, folds, rows)))
