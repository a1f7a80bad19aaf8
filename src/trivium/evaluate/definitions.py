"""What the numbers under a table are, one short line each; ``Metric.definition`` says it in full."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

__all__ = ["BRIEF", "definition_lines"]

BRIEF: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "classes": {
            "accuracy": "share of equal classes",
            "uar": "mean over true classes of the share found; chance 1/C",
            "weighted_f1": "F1 by class, weighted by the shares in the truth",
            "weighted_accuracy": "(TPR + TNR) / 2 of an emotion, present above 0",
        },
        "two classes of a number": {
            "acc2_has0": "share right, v < 0 against v >= 0 (before 2019)",
            "f1_has0": "weighted F1, v < 0 against v >= 0",
            "acc2_non0": "share right, v < 0 against v > 0, no labels of 0",
            "f1_non0": "weighted F1, v < 0 against v > 0, no labels of 0",
            "sims_acc2": "share right, [-1, 0] against (0, 1]: 0 is negative",
            "sims_f1": "weighted F1, [-1, 0] against (0, 1]",
        },
        "several classes of a number": {
            "acc3": "share equal, clipped to [-1, 1], rounded half to even",
            "acc5": "share equal, clipped to [-2, 2], rounded half to even",
            "acc7": "share equal, clipped to [-3, 3], rounded half to even",
            "sims_acc3": "share in the same bin, upper edges -0.1, 0.1, 1",
            "sims_acc5": "the same, upper edges -0.7, -0.1, 0.1, 0.7, 1",
        },
        "the number itself": {
            "mae": "mean of |truth - prediction|, not clipped",
            "r": "Pearson correlation, not clipped",
            "mean_r": "mean of r over columns; constant predictions: 0",
            "sims_mae": "mean of |truth - prediction|, clipped to [-1, 1]",
            "sims_r": "Pearson correlation, clipped to [-1, 1]",
        },
        "as other codes compute it": {
            "weighted_f1_by_prediction": "F1 weighted by the predictions: MulT, MISA",
            "f1_has0_by_prediction": "f1_has0 weighted by the predictions: swapped order",
            "f1_non0_by_prediction": "f1_non0 weighted by the predictions: MulT, MISA",
            "acc2_zero_negative": "share right, v <= 0 against v > 0: MultiBench",
            "acc7_sdk": "share equal, sign(v) min(3, ceil|v|): the CMU SDK",
        },
    }
)
"""Definition by metric, by family; with its name, each fits into a line of 80 columns."""


def definition_lines(names: Iterable[str]) -> list[str]:
    r"""Definitions of metrics by family, a line each, under their families where there are several.

    Parameters
    ----------
    names : iterable of str
        From :data:`trivium.metrics.METRICS`.

    Returns
    -------
    list of str
        At most 80 characters each.

    Examples
    --------
    >>> print("\n".join(definition_lines(["mae", "acc7", "r"])))
    several classes of a number
      acc7  share equal, clipped to [-3, 3], rounded half to even
    the number itself
      mae   mean of |truth - prediction|, not clipped
      r     Pearson correlation, not clipped
    """
    wanted = list(names)
    shown = {family: {name: told[name] for name in wanted if name in told} for family, told in BRIEF.items()}
    shown = {family: told for family, told in shown.items() if told}
    width = max(map(len, wanted), default=0)
    lines = []
    for family, told in shown.items():
        lines += [family] if len(shown) > 1 else []
        lines += [f"  {name:<{width}}  {text}" for name, text in told.items()]
    return lines
