"""The map of embeddings: every utterance a point, coloured by what is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trivium.errors import DataError
from trivium.report.svg import Markup, element, number

__all__ = ["EmbeddingMap", "principal_plane"]

_WIDTH, _HEIGHT, _MARGIN = 720.0, 480.0, 16.0
_MOST_COLOURS = 8


def principal_plane(vectors: NDArray[np.floating]) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Project vectors on their first two principal axes; every column is standardised first.

    Parameters
    ----------
    vectors : array of shape (N, K)
        Embeddings, N >= 2.

    Returns
    -------
    points : array of shape (N, 2)
        Coordinates; the sign of an axis is fixed so that its largest weight is positive.
    shares : (float, float)
        Share of the variance on each axis.

    Examples
    --------
    >>> points, shares = principal_plane(np.array([[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]]))
    >>> points.shape, round(shares[0], 3)
    ((3, 2), 1.0)
    """
    centred = np.asarray(vectors, np.float64) - vectors.mean(axis=0)
    spread = centred.std(axis=0)
    centred = centred / np.where(spread > 0, spread, 1.0)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    axes = np.pad(axes[:2], ((0, max(0, 2 - len(axes))), (0, 0)))
    axes = axes * np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)] + 1e-300)[:, None]
    power = np.pad(singular**2, (0, 2))
    total = max(float(power.sum()), 1e-300)
    return centred @ axes.T, (float(power[0] / total), float(power[1] / total))


@dataclass(frozen=True, eq=False)
class EmbeddingMap:
    """Section of a report: a scatter of points with a legend that picks out one class.

    Parameters
    ----------
    points : array of shape (N, 2)
        Coordinates.
    classes : array of N str
        What colours the points; at most eight distinct values.
    names : array of N str
        What a point is called when the pointer is over it.
    order : sequence of str
        Classes in the order of the legend.
    caption : str
        How the map was made.
    heading, lead : str
        What stands above.

    Raises
    ------
    DataError
        The lengths differ, a class is not in `order`, or there are more than eight.

    Examples
    --------
    >>> EmbeddingMap(np.zeros((1, 2)), np.array(["calm"]), np.array(["a"]), ("calm",), "").html()[:7]
    '<figure'
    """

    points: NDArray[np.float64]
    classes: NDArray[np.str_]
    names: NDArray[np.str_]
    order: Sequence[str]
    caption: str
    heading: str = "A map of the vectors"
    lead: str = ""

    def __post_init__(self) -> None:
        if self.points.shape != (len(self.classes), 2) or len(self.names) != len(self.classes):
            raise DataError(f"{self.points.shape} points, {len(self.classes)} classes, {len(self.names)} names differ")
        strange = sorted(set(self.classes.tolist()) - set(self.order))
        if strange or len(self.order) > _MOST_COLOURS:
            raise DataError(
                f"{', '.join(strange) or len(self.order)} cannot be coloured",
                remedy="give at most eight classes, all of them in the order",
            )

    def html(self) -> Markup:
        """Markup of the section."""
        spread = np.ptp(self.points, axis=0)
        unit = (self.points - self.points.min(axis=0)) / np.where(spread > 0, spread, 1.0)
        x = _MARGIN + unit[:, 0] * (_WIDTH - 2 * _MARGIN)
        y = _HEIGHT - _MARGIN - unit[:, 1] * (_HEIGHT - 2 * _MARGIN)
        groups = [self._group(i, name, x, y) for i, name in enumerate(self.order)]
        picture = element(
            "svg", *groups, viewBox=f"0 0 {_WIDTH:g} {_HEIGHT:g}", role="img",
            aria_label=f"Scatter of {len(x)} utterances in {len(self.order)} classes", class_="map",
        )  # fmt: skip
        return element(
            "figure", self._legend(), picture, element("figcaption", self.caption), data_kind="map", class_="wide"
        )

    def _group(self, index: int, name: str, x: NDArray[np.float64], y: NDArray[np.float64]) -> Markup:
        rows = np.flatnonzero(self.classes == name)
        points = [
            element("circle", element("title", f"{self.names[r]}: {name}"), cx=number(x[r]), cy=number(y[r]), r=3.2)
            for r in rows
        ]
        return element("g", *points, class_=f"class-{index}", data_class=str(index))

    def _legend(self) -> Markup:
        keys = []
        for i, name in enumerate(self.order):
            count = int((self.classes == name).sum())
            dot = element("span", class_=f"dot class-{i}", aria_hidden="true")
            keys.append(
                element("button", dot, f"{name} ", element("i", str(count)), type="button", data_class=str(i),
                        aria_pressed="false")
            )  # fmt: skip
        return element("div", *keys, class_="legend", role="group", aria_label="Show one class")
