"""Scores against the share of what is missing, as a PNG or SVG picture with matplotlib."""

from __future__ import annotations

import os
from collections.abc import Sequence

from trivium.evaluate.missing import MissingCurve
from trivium.report.plots import picture

__all__ = ["plot_missing_curves"]


def plot_missing_curves(path: str | os.PathLike[str], curve: MissingCurve, measures: Sequence[str], what: str) -> None:
    """Draw the means over draws against the rate, with every draw as a point; one panel per measure.

    Parameters
    ----------
    path : path
        A ``.png`` or ``.svg`` file.
    curve : MissingCurve
        Scores by rate and draw; what is not defined is left out.
    measures : sequence of str
        Which of its measures.
    what : str
        What is missing, such as ``modalities``.

    Raises
    ------
    DataError
        The file has another ending.
    DependencyError
        matplotlib is not installed.

    Examples
    --------
    >>> import tempfile
    >>> curve = MissingCurve((0.0, 1.0), {"acc2": ((0.9, 0.9), (0.5, 0.6))})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     plot_missing_curves(folder + "/missing.svg", curve, ["acc2"], "modalities")
    ...     len(os.listdir(folder))
    1
    """
    with picture(path, (3.2 * len(measures), 3.0)) as figure:
        panels = figure.subplots(1, len(measures), squeeze=False)[0]
        for axes, name in zip(panels, measures, strict=True):
            points = [(rate, v) for rate, by_seed in zip(curve.rates, curve.scores[name], strict=True) for v in by_seed]
            axes.plot(*zip(*points, strict=True), ".", color="0.7", markersize=3)
            axes.plot(curve.rates, curve.means(name), marker="o", markersize=3)
            axes.set(xlabel=f"share of {what} missing", title=name)
