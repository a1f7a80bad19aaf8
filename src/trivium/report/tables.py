"""Scores beside their floors with intervals, an answer with its probabilities, and plain notes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium.report.svg import Markup, element, number

if TYPE_CHECKING:
    from trivium.evaluate import ProbeResult, Row

__all__ = ["Answer", "Note", "Notes", "Score", "ScoreTable"]


@dataclass(frozen=True)
class Score:
    """One row of a score table.

    Parameters
    ----------
    name : str
        What was scored.
    value : float
        Its score.
    low, high : float, optional
        Ends of the interval.
    spread : float, optional
        Standard deviation over seeds.
    floor : bool
        True for something that the representation has to beat.
    about : str
        A few words under the name.

    Examples
    --------
    >>> Score("mean pooling", 0.41, 0.38, 0.44, floor=True).value
    0.41
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    spread: float | None = None
    floor: bool = False
    about: str = ""


@dataclass(frozen=True)
class ScoreTable:
    """Section of a report: scores with intervals on one axis.

    Parameters
    ----------
    rows : sequence of Score
        In the order shown.
    metric : str
        Name of the score.
    caption : str
        Protocol: folds, seeds, what the interval is clustered by.
    chance : float, optional
        Drawn as a line.
    heading, lead : str
        What stands above.

    Examples
    --------
    >>> "0.410" in ScoreTable((Score("mean pooling", 0.41),), "recall", "6 folds").html()
    True
    """

    rows: Sequence[Score]
    metric: str
    caption: str
    chance: float | None = None
    heading: str = "Scores beside their floors"
    lead: str = ""

    @classmethod
    def of(cls, result: ProbeResult, *, names: Mapping[str, str] | None = None, lead: str = "") -> ScoreTable:
        """Table of a probe: its first metric, with the intervals of all rows.

        Parameters
        ----------
        result : ProbeResult
            What :func:`trivium.evaluate.probe` gave.
        names : mapping of str to str, optional
            What rows are called, where their own names do not say it.
        lead : str
            A sentence above the table.
        """
        first = result.metrics[0]
        called = {**_FLOORS, **(names or {})}
        rows = tuple(_score(row, first, called.get(row.name, row.name)) for row in result.rows)
        chance = 1 / len(result.classes) if result.classes and first == "uar" else None
        return cls(rows, _MEASURES.get(first, first), " ".join(result.notes()), chance, lead=lead)

    def html(self) -> Markup:
        """Markup of the section."""
        heads = ["", self.metric, "interval", self._axis()]
        head = element("tr", *(element("th", h, scope="col") for h in heads))
        body = [self._row(row) for row in self.rows]
        table = element("table", element("thead", head), element("tbody", *body), class_="scores")
        return element("figure", element("div", table, class_="scroll"), element("figcaption", self.caption))

    def _limits(self) -> tuple[float, float]:
        ends = [v for r in self.rows for v in (r.value, r.low, r.high) if v is not None]
        ends += [] if self.chance is None else [self.chance]
        low, high = min(ends), max(ends)
        room = max(high - low, 0.02) * 0.06
        return low - room, high + room

    def _x(self, value: float) -> str:
        low, high = self._limits()
        return f"{number((value - low) / (high - low) * 100)}%"

    def _axis(self) -> Markup:
        if self.chance is None:
            return Markup("")
        x = self._x(self.chance)
        label = element("text", f"chance {self.chance:.3f}", x=x, y=12, class_="tick-text")
        return element("svg", label, class_="whiskers", aria_hidden="true")

    def _row(self, row: Score) -> Markup:
        about = element("small", row.about) if row.about else None
        spread = "" if row.spread is None else f" ± {row.spread:.3f}"
        interval = "" if row.low is None or row.high is None else f"{row.low:.3f} to {row.high:.3f}"
        return element(
            "tr",
            element("th", row.name, about, scope="row"),
            element("td", element("b", f"{row.value:.3f}"), spread, element("small", interval, class_="narrow")),
            element("td", interval),
            element("td", self._plot(row)),
            class_="floor" if row.floor else "ours",
        )

    def _plot(self, row: Score) -> Markup:
        parts = []
        if self.chance is not None:
            x = self._x(self.chance)
            parts.append(element("line", x1=x, x2=x, y1=0, y2=24, class_="chance"))
        if row.low is not None and row.high is not None:
            ends = {"x1": self._x(row.low), "x2": self._x(row.high)}
            parts.append(element("line", y1=12, y2=12, class_="whisker", **ends))
        parts.append(element("circle", cx=self._x(row.value), cy=12, r=5, class_="value"))
        return element("svg", *parts, class_="whiskers", aria_hidden="true")


_MEASURES = {"uar": "unweighted recall", "r": "correlation", "mean_r": "mean correlation"}
_FLOORS = {
    "majority": "majority class",
    "missingness": "what is missing, alone",
    "mean": "mean pooling",
    "mean-std": "mean and deviation",
    "flatten": "flattened matrix",
    "flatten-pca": "flattened matrix, its main axes",
    "untrained": "untrained encoder",
}


def _score(row: Row, metric: str, name: str) -> Score:
    low, high, spread = row.interval.low, row.interval.high, row.spread(metric)
    known = not math.isnan(low)
    about = f"{row.features} numbers" if row.features else ""
    return Score(
        name, row.mean(metric), low if known else None, high if known else None,
        None if math.isnan(spread) else spread, floor=row.floor, about=about,
    )  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """Section of a report: the classes of a head with their probabilities.

    Parameters
    ----------
    label : str
        What is answered, such as ``emotion``.
    classes : sequence of str
        In the order of the head.
    probabilities : sequence of float
        One per class; they add up to 1.
    worth : str
        What this answer is worth: where the head was trained and how it scored.
    heading, lead : str
        What stands above.

    Examples
    --------
    >>> Answer("mood", ("calm", "angry"), (0.8, 0.2)).best
    'calm'
    """

    label: str
    classes: Sequence[str]
    probabilities: Sequence[float]
    worth: str = ""
    heading: str = "The answer"
    lead: str = ""

    @property
    def best(self) -> str:
        """Most probable class."""
        return max(zip(self.probabilities, self.classes, strict=True))[1]

    def html(self) -> Markup:
        """Markup of the section."""
        ranked = sorted(zip(self.probabilities, self.classes, strict=True), key=lambda pair: -pair[0])
        bars = [
            element(
                "tr",
                element("th", name, scope="row"),
                element("td", element("span", style=f"width:{100 * p:.2f}%"), class_="bar"),
                element("td", f"{100 * p:.1f} %"),
                class_="best" if i == 0 else None,
            )
            for i, (p, name) in enumerate(ranked)
        ]
        said = element(
            "p", self.label, element("strong", ranked[0][1]), f"{100 * ranked[0][0]:.0f} %", class_="verdict"
        )
        table = element("table", element("tbody", *bars), class_="answer")
        caption = element("figcaption", self.worth) if self.worth else None
        return element("figure", element("div", said, table, class_="answered"), caption)


@dataclass(frozen=True)
class Note:
    """One thing a reader must know.

    Examples
    --------
    >>> Note("Face and voice", "are not of one person").title
    'Face and voice'
    """

    title: str
    text: str


@dataclass(frozen=True)
class Notes:
    """Section of a report: what is synthetic, whose material it is, under which licence.

    Examples
    --------
    >>> "public domain" in Notes((Note("Voice", "public domain"),)).html()
    True
    """

    notes: Sequence[Note]
    heading: str = "What to know about this page"
    lead: str = ""

    def html(self) -> Markup:
        """Markup of the section."""
        pairs = [mark for n in self.notes for mark in (element("dt", n.title), element("dd", n.text))]
        return element("dl", *pairs, class_="notes")
