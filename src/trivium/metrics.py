"""Measures of the field as pure functions of (truth, prediction), with one definition each in :data:`METRICS`.

Truth always comes first. Everything is computed on the whole test set at once, never averaged over batches. The names
keep apart what papers print under one name: three kinds of two-class accuracy, two kinds of seven-class accuracy, and
weighted F1 with the weights of the truth or of the predictions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trivium.errors import DataError, TriviumError

__all__ = [
    "METRICS",
    "Metric",
    "accuracy",
    "accuracy_2_has0",
    "accuracy_2_non0",
    "accuracy_2_zero_negative",
    "accuracy_3",
    "accuracy_5",
    "accuracy_7",
    "accuracy_7_sdk",
    "f1_2_has0",
    "f1_2_has0_by_prediction",
    "f1_2_non0",
    "f1_2_non0_by_prediction",
    "mean_absolute_error",
    "mean_pearson",
    "metric",
    "pearson",
    "sims_accuracy_2",
    "sims_accuracy_3",
    "sims_accuracy_5",
    "sims_f1_2",
    "sims_mean_absolute_error",
    "sims_pearson",
    "unweighted_average_recall",
    "weighted_accuracy",
    "weighted_f1",
    "weighted_f1_by_prediction",
]

Float = TypeVar("Float", np.float32, np.float64)
_Rows = tuple[NDArray[Any], NDArray[Any]]  # truth and prediction, row by row
_SIMS_EDGES_2 = (0.0,)
_SIMS_EDGES_3 = (-0.1, 0.1)
_SIMS_EDGES_5 = (-0.7, -0.1, 0.1, 0.7)


def _pair(truth: ArrayLike, prediction: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    y, p = np.asarray(truth), np.asarray(prediction)
    if y.shape != p.shape or not y.ndim or not len(y):
        raise DataError(f"truth has shape {y.shape}, prediction {p.shape}", remedy="give one prediction per label")
    for name, values in (("truth", y), ("prediction", p)):
        if values.dtype.kind == "f" and np.isnan(values).any():
            raise DataError(f"the {name} holds NaN", remedy="leave out utterances without a label")
    return y, p


def _numbers(truth: ArrayLike, prediction: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """As float32, because the field's codes compare with thresholds and round in float32."""
    y, p = _pair(truth, prediction)
    return _as(np.float32, y), _as(np.float32, p)


def _as(dtype: type[Float], values: NDArray[Any]) -> NDArray[Float]:
    try:
        return values.astype(dtype)
    except ValueError as cause:
        raise DataError(f"{cause}, so this is no measure of a label of classes", remedy="choose another") from cause


def _one_label(truth: ArrayLike, prediction: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    y, p = _pair(truth, prediction)
    if y.ndim > 1:
        raise DataError(f"this measures one label, not an array of shape {y.shape}", remedy="measure column by column")
    return y, p


def accuracy(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Share of equal classes.

    Parameters
    ----------
    truth, prediction : arrays of shape (N,)
        Classes of any type.

    Examples
    --------
    >>> accuracy(["a", "b", "b", "b"], ["a", "b", "b", "a"])
    0.75
    """
    y, p = _pair(truth, prediction)
    return float(np.mean(y == p))


def unweighted_average_recall(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Mean over the true classes of the share that was found; chance is 1 / classes whatever their sizes.

    Parameters
    ----------
    truth, prediction : arrays of shape (N,)
        Classes of any type.

    Examples
    --------
    >>> unweighted_average_recall(["a", "b", "b", "b"], ["a", "b", "b", "a"])
    0.8333333333333333
    """
    y, p = _one_label(truth, prediction)
    return float(np.mean([np.mean(p[y == c] == c) for c in np.unique(y)]))


def weighted_f1(truth: ArrayLike, prediction: ArrayLike) -> float:
    """F1 by class, weighted by the share of the class in the truth.

    Parameters
    ----------
    truth, prediction : arrays of shape (N,)
        Classes of any type. The first argument gives the weights: MMSA, MMIM, ALMT and MERBench have it so.

    Examples
    --------
    >>> round(weighted_f1([0, 0, 0, 1], [0, 0, 1, 1]), 4)
    0.7667
    """
    y, p = _one_label(truth, prediction)
    classes, counts = np.unique(y, return_counts=True)
    # NumPy's sum, in the order of the classes: the same last bit as scikit-learn's weighted average
    return float(np.sum([_f1(y == c, p == c) * n for c, n in zip(classes, counts, strict=True)]) / len(y))


def weighted_f1_by_prediction(truth: ArrayLike, prediction: ArrayLike) -> float:
    """F1 by class, weighted by the share of the class in the predictions: what MulT and MISA print as weighted F1.

    Parameters
    ----------
    truth, prediction : arrays of shape (N,)
        Classes of any type.

    Examples
    --------
    >>> round(weighted_f1_by_prediction([0, 0, 0, 1], [0, 0, 1, 1]), 4)
    0.7333
    """
    return weighted_f1(prediction, truth)


def _f1(y: NDArray[np.bool_], p: NDArray[np.bool_]) -> float:
    found = int(np.sum(y & p))
    return 2 * found / (int(y.sum()) + int(p.sum())) if found else 0.0


def weighted_accuracy(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Balanced accuracy of one emotion, (TPR + TNR) / 2, where present means above 0 (MOSEI emotions).

    Parameters
    ----------
    truth, prediction : arrays of shape (N,)
        Intensities; both present and absent must occur in the truth.

    Examples
    --------
    >>> weighted_accuracy([2.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.5])
    0.8333333333333333
    """
    present, said = _positive(truth, prediction)
    if present.all() or not present.any():
        raise DataError("weighted accuracy needs utterances with and without the emotion")
    return unweighted_average_recall(present, said)


def mean_absolute_error(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Mean of |truth - prediction|, not clipped.

    Parameters
    ----------
    truth, prediction : arrays of shape (N,)
        Numbers. Where both are float32 so is the arithmetic, as in the field's codes; everything else is float64.

    Examples
    --------
    >>> mean_absolute_error([1.0, -2.0], [2.0, -2.0])
    0.5
    """
    y, p = _pair(truth, prediction)
    if not y.dtype == p.dtype == np.float32:
        y, p = _as(np.float64, y), _as(np.float64, p)
    return float(np.mean(np.abs(p - y)))


def pearson(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Pearson correlation, not clipped; NaN where either is constant.

    Parameters
    ----------
    truth, prediction : arrays of shape (N,)
        Numbers.

    Examples
    --------
    >>> round(pearson([1.0, 2.0, 3.0], [1.0, 2.0, 2.0]), 4)
    0.866
    """
    return float(_correlations(*_one_label(truth, prediction)))


def _correlations(y: NDArray[Any], p: NDArray[Any]) -> NDArray[np.float64]:
    """Pearson correlation of every column, NaN where either is constant."""
    y, p = _as(np.float64, y), _as(np.float64, p)
    if not (np.isfinite(y).all() and np.isfinite(p).all()):
        raise DataError("a correlation needs finite numbers", remedy="look at the training of what predicted them")
    constant = (np.ptp(y, axis=0) == 0) | (np.ptp(p, axis=0) == 0)
    y, p = _centred(y), _centred(p)
    scale = np.sqrt((y * y).sum(axis=0) * (p * p).sum(axis=0))
    return np.where(constant, np.nan, (y * p).sum(axis=0) / np.where(constant, 1.0, scale))


def _centred(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Deviations from the mean, by a power of two (so exactly) below 1: squares of tiny ones would vanish."""
    deviations = values - values.mean(axis=0)
    return np.asarray(np.ldexp(deviations, -np.frexp(np.abs(deviations).max(axis=0))[1]))


def mean_pearson(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Mean over columns of the Pearson correlation; a constant prediction counts as 0 (our choice).

    Parameters
    ----------
    truth, prediction : arrays of shape (N, K)
        K numbers by utterance.

    Examples
    --------
    >>> mean_pearson([[1.0, 0.0], [2.0, 1.0]], [[1.0, 3.0], [2.0, 3.0]])
    0.5
    """
    y, p = _pair(truth, prediction)
    return float(np.nan_to_num(_correlations(y, p)).mean())


def _not_negative(truth: ArrayLike, prediction: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    y, p = _numbers(truth, prediction)
    return y >= 0, p >= 0


def accuracy_2_has0(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Negative against non-negative (v >= 0), all utterances: the Acc-2 of papers before 2019.

    Parameters
    ----------
    truth, prediction : arrays of shape (N,)
        Sentiment, MOSI or MOSEI.

    Examples
    --------
    >>> accuracy_2_has0([0.0, -1.0], [-0.1, -2.0])
    0.5
    """
    return accuracy(*_not_negative(truth, prediction))


def f1_2_has0(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Weighted F1, truth first, of negative against non-negative.

    Parameters
    ----------
    truth, prediction : arrays of shape (N,)
        Sentiment, MOSI or MOSEI.
    """
    return weighted_f1(*_not_negative(truth, prediction))


def f1_2_has0_by_prediction(truth: ArrayLike, prediction: ArrayLike) -> float:
    """F1 of negative against non-negative, weighted by the predictions: the swapped order of arguments.

    Parameters
    ----------
    truth, prediction : arrays of shape (N,)
        Sentiment, MOSI or MOSEI.
    """
    return weighted_f1_by_prediction(*_not_negative(truth, prediction))


def _positive(truth: ArrayLike, prediction: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    y, p = _numbers(truth, prediction)
    return y > 0, p > 0


def _not_zero(truth: ArrayLike) -> NDArray[np.bool_]:
    return np.asarray(_as(np.float32, np.asarray(truth)) != 0)


def _non0(truth: ArrayLike, prediction: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    y, p = _positive(truth, prediction)
    kept = _not_zero(truth)
    if not kept.any():
        raise DataError("every label is 0, so nothing is negative or positive")
    return y[kept], p[kept]


def accuracy_2_non0(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Negative against positive (v > 0) without the utterances labelled exactly 0: the Acc-2 from 2019 on.

    Parameters
    ----------
    truth, prediction : arrays of shape (N,)
        Sentiment, MOSI or MOSEI; a prediction of exactly 0 counts as negative.

    Examples
    --------
    >>> accuracy_2_non0([0.0, 1.0, -1.0], [-1.0, 0.0, -1.0])
    0.5
    """
    return accuracy(*_non0(truth, prediction))


def f1_2_non0(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Weighted F1, truth first, of negative against positive without the utterances labelled exactly 0.

    Parameters
    ----------
    truth, prediction : arrays of shape (N,)
        Sentiment, MOSI or MOSEI.
    """
    return weighted_f1(*_non0(truth, prediction))


def f1_2_non0_by_prediction(truth: ArrayLike, prediction: ArrayLike) -> float:
    """F1 of negative against positive without labels of 0, weighted by the predictions: what MulT and MISA print.

    Parameters
    ----------
    truth, prediction : arrays of shape (N,)
        Sentiment, MOSI or MOSEI.
    """
    return weighted_f1_by_prediction(*_non0(truth, prediction))


def accuracy_2_zero_negative(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Positive (v > 0) against the rest on all utterances, so 0 is negative: the third Acc-2, which MultiBench prints.

    Parameters
    ----------
    truth, prediction : arrays of shape (N,)
        Sentiment, MOSI or MOSEI.
    """
    return accuracy(*_positive(truth, prediction))


def _rounded(truth: ArrayLike, prediction: ArrayLike, bound: float) -> _Rows:
    y, p = _numbers(truth, prediction)
    # numpy rounds half to even, as the field's codes do; floor(x + .5) would differ exactly there
    return np.round(np.clip(y, -bound, bound)), np.round(np.clip(p, -bound, bound))


def accuracy_3(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Share equal after clipping both to [-1, 1] and rounding half to even.

    Parameters
    ----------
    truth, prediction : arrays of shape (N,)
        Sentiment, MOSI or MOSEI.
    """
    return accuracy(*_rounded(truth, prediction, 1))


def accuracy_5(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Share equal after clipping both to [-2, 2] and rounding half to even.

    Parameters
    ----------
    truth, prediction : arrays of shape (N,)
        Sentiment, MOSI or MOSEI.
    """
    return accuracy(*_rounded(truth, prediction, 2))


def accuracy_7(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Share equal after clipping both to [-3, 3] and rounding half to even.

    Parameters
    ----------
    truth, prediction : arrays of shape (N,)
        Sentiment, MOSI or MOSEI; labels are rounded like predictions.

    Examples
    --------
    >>> accuracy_7([1.6, 2.5, -3.0], [2.4, 3.0, -9.0])
    0.6666666666666666
    """
    return accuracy(*_rounded(truth, prediction, 3))


def _away_from_zero(truth: ArrayLike, prediction: ArrayLike) -> _Rows:
    y, p = (np.sign(v) * np.minimum(3, np.ceil(np.abs(v))) for v in _numbers(truth, prediction))
    return y, p


def accuracy_7_sdk(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Share equal when classes are sign(v) min(3, ceil|v|): the rule of the CMU SDK's page, not of the papers' codes.

    Parameters
    ----------
    truth, prediction : arrays of shape (N,)
        Sentiment, MOSI or MOSEI; 0 is a class of its own, reached by exactly 0 only.

    Examples
    --------
    >>> accuracy_7_sdk([0.2, -1.0], [1.0, -1.1])
    0.5
    """
    return accuracy(*_away_from_zero(truth, prediction))


def _sims(truth: ArrayLike, prediction: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    y, p = _numbers(truth, prediction)
    return np.clip(y, -1, 1), np.clip(p, -1, 1)


def _sims_bins(
    truth: ArrayLike, prediction: ArrayLike, edges: tuple[float, ...]
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    y, p = _sims(truth, prediction)
    # bins are (low, high]; edges are float32 too, so that a prediction of float32(0.1) lies within (-0.1, 0.1]
    bounds = np.array(edges, dtype=np.float32)
    return np.searchsorted(bounds, y, side="left"), np.searchsorted(bounds, p, side="left")


def sims_accuracy_2(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Bins [-1, 0], (0, 1] after clipping to [-1, 1]: zero is negative here, unlike MOSI's Acc-2.

    Parameters
    ----------
    truth, prediction : arrays of shape (N,)
        Sentiment, CH-SIMS.
    """
    return accuracy(*_sims_bins(truth, prediction, _SIMS_EDGES_2))


def sims_f1_2(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Weighted F1, truth first, of the bins [-1, 0] and (0, 1].

    Parameters
    ----------
    truth, prediction : arrays of shape (N,)
        Sentiment, CH-SIMS.
    """
    return weighted_f1(*_sims_bins(truth, prediction, _SIMS_EDGES_2))


def sims_accuracy_3(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Bins [-1, -0.1], (-0.1, 0.1], (0.1, 1] after clipping to [-1, 1], compared in float32.

    Parameters
    ----------
    truth, prediction : arrays of shape (N,)
        Sentiment, CH-SIMS.
    """
    return accuracy(*_sims_bins(truth, prediction, _SIMS_EDGES_3))


def sims_accuracy_5(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Bins up to -0.7, -0.1, 0.1, 0.7 and 1, each with its upper edge, after clipping to [-1, 1].

    Parameters
    ----------
    truth, prediction : arrays of shape (N,)
        Sentiment, CH-SIMS.
    """
    return accuracy(*_sims_bins(truth, prediction, _SIMS_EDGES_5))


def sims_mean_absolute_error(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Mean absolute error after clipping both to [-1, 1].

    Parameters
    ----------
    truth, prediction : arrays of shape (N,)
        Sentiment, CH-SIMS.
    """
    return mean_absolute_error(*_sims(truth, prediction))


def sims_pearson(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Pearson correlation after clipping both to [-1, 1].

    Parameters
    ----------
    truth, prediction : arrays of shape (N,)
        Sentiment, CH-SIMS.
    """
    return pearson(*_sims(truth, prediction))


@dataclass(frozen=True)
class Metric:
    """One measure: how tables call it, what it is, and whether more is better.

    Parameters
    ----------
    name : str
        As in tables and files.
    function : callable
        Of (truth, prediction).
    higher_is_better : bool
        False for errors.
    suits : tuple of str
        Labels that it can measure: ``classes``, one ``number``, or several ``numbers`` at once.
    rows, kept, base : callable, optional
        The function in three steps: what truth and prediction become row by row, which rows stay (by the truth; None:
        all), and the measure of what they became (None: the function itself).

    Examples
    --------
    >>> metric("uar").function(["a", "b"], ["a", "a"])
    0.5
    """

    name: str
    function: Callable[[ArrayLike, ArrayLike], float]
    higher_is_better: bool = True
    suits: tuple[str, ...] = ("number",)
    rows: Callable[[ArrayLike, ArrayLike], _Rows] = _pair
    kept: Callable[[ArrayLike], NDArray[np.bool_]] | None = None
    base: Callable[[ArrayLike, ArrayLike], float] | None = None

    @property
    def definition(self) -> str:
        """One sentence, printed beside the numbers."""
        return (self.function.__doc__ or "").split("\n")[0]


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        m.name: m
        for m in (
            Metric("accuracy", accuracy, suits=("classes",)),
            Metric("uar", unweighted_average_recall, suits=("classes",)),
            Metric("weighted_f1", weighted_f1, suits=("classes",)),
            Metric("weighted_f1_by_prediction", weighted_f1_by_prediction, suits=("classes",)),
            Metric("weighted_accuracy", weighted_accuracy, rows=_positive),
            Metric("mae", mean_absolute_error, higher_is_better=False, suits=("number", "numbers")),
            Metric("r", pearson),
            Metric("mean_r", mean_pearson, suits=("number", "numbers")),
            Metric("acc2_has0", accuracy_2_has0, rows=_not_negative, base=accuracy),
            Metric("f1_has0", f1_2_has0, rows=_not_negative, base=weighted_f1),
            Metric(
                "f1_has0_by_prediction", f1_2_has0_by_prediction, rows=_not_negative, base=weighted_f1_by_prediction
            ),
            Metric("acc2_non0", accuracy_2_non0, rows=_positive, kept=_not_zero, base=accuracy),
            Metric("f1_non0", f1_2_non0, rows=_positive, kept=_not_zero, base=weighted_f1),
            Metric(
                "f1_non0_by_prediction",
                f1_2_non0_by_prediction,
                rows=_positive,
                kept=_not_zero,
                base=weighted_f1_by_prediction,
            ),
            Metric("acc2_zero_negative", accuracy_2_zero_negative, rows=_positive, base=accuracy),
            Metric("acc3", accuracy_3, rows=partial(_rounded, bound=1), base=accuracy),
            Metric("acc5", accuracy_5, rows=partial(_rounded, bound=2), base=accuracy),
            Metric("acc7", accuracy_7, rows=partial(_rounded, bound=3), base=accuracy),
            Metric("acc7_sdk", accuracy_7_sdk, rows=_away_from_zero, base=accuracy),
            Metric("sims_acc2", sims_accuracy_2, rows=partial(_sims_bins, edges=_SIMS_EDGES_2), base=accuracy),
            Metric("sims_f1", sims_f1_2, rows=partial(_sims_bins, edges=_SIMS_EDGES_2), base=weighted_f1),
            Metric("sims_acc3", sims_accuracy_3, rows=partial(_sims_bins, edges=_SIMS_EDGES_3), base=accuracy),
            Metric("sims_acc5", sims_accuracy_5, rows=partial(_sims_bins, edges=_SIMS_EDGES_5), base=accuracy),
            Metric("sims_mae", sims_mean_absolute_error, higher_is_better=False, rows=_sims, base=mean_absolute_error),
            Metric("sims_r", sims_pearson, rows=_sims, base=pearson),
        )
    }
)
"""Measures by the names that tables, files and the command line use."""


def metric(name: str) -> Metric:
    """Measure by name; the error lists those that exist."""
    try:
        return METRICS[name]
    except KeyError:
        raise TriviumError(f"there is no metric {name!r}", remedy=f"choose one of {', '.join(METRICS)}") from None
