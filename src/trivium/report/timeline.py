"""The words on the timeline, with a drawn face above them and the curves of voice and face under them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Utterance, Words
from trivium.errors import DataError
from trivium.report.faces import FaceDrawing, draw_face, faces_by_word
from trivium.report.lanes import Lane, gaps, lanes_of
from trivium.report.svg import Markup, element, number, path, script_json

__all__ = ["Timeline"]

_PAGE_WIDTH = 1104.0
_ALIGN = "extract the clip with trivium, or give words with times"
_MARGIN = 14.0
_LEAST_PIXELS_PER_SECOND = 130.0
_RULER, _WORD_ROW, _FACE_ROW, _LANE, _CURVE = 26.0, 26.0, 74.0, 78.0, 50.0
_LETTER = 7.6
_FACE, _SMALLEST_FACE = 58.0, 24.0
_MODALITY_NAMES = {"audio": "voice", "vision": "face", "text": "text"}


@dataclass(frozen=True, eq=False)
class Timeline:
    """Section of a report: words, faces and curves over time.

    Parameters
    ----------
    words : Words
        With times.
    lanes : sequence of Lane
        Curves, in order from top to bottom.
    faces : sequence of FaceDrawing or None
        One per word, or empty for no row of faces.
    begin, end : float
        Seconds that the picture spans.
    heading, lead : str
        What stands above it.

    Examples
    --------
    >>> spoken = Words(("hello",), np.array([[0.1, 0.5]]))
    >>> "hello" in Timeline(spoken, (), (), 0.0, 1.0).html()
    True
    """

    words: Words
    lanes: Sequence[Lane]
    faces: Sequence[FaceDrawing | None]
    begin: float
    end: float
    heading: str = "Words, voice and face on one timeline"
    lead: str = ""

    @classmethod
    def of(cls, utterance: Utterance, *, lead: str = "") -> Timeline:
        """Timeline of one utterance, with the curves that :func:`lanes_of` finds.

        Parameters
        ----------
        utterance : Utterance
            With timed words.
        lead : str
            A sentence above the picture.

        Raises
        ------
        DataError
            The utterance has no words, or they have no times.
        """
        words = utterance.words
        if words is None or words.times is None or not len(words):
            raise DataError("there are no words with times to draw", place=f"utterance {utterance.id}", remedy=_ALIGN)
        lanes = lanes_of(utterance)
        ends = [float(words.times.max()), *(float(lane.times.max()) for lane in lanes)]
        begin = min(0.0, float(words.times.min())) if np.isnan(utterance.start) else utterance.start
        begin = min(begin, float(words.times.min()))
        return cls(words, lanes, faces_by_word(utterance), begin, max(ends), lead=lead)

    def html(self) -> Markup:
        """Markup of the section."""
        picture = element(
            "div",
            element("div", self._labels(), self._svg(), class_="inner", style=f"width:{number(self._width)}px"),
            class_="scroll timeline",
            tabindex="0",
            role="group",
            aria_label="Timeline: move the pointer over it, or use the arrow keys, to read values",
        )
        data = element("script", Markup(self._data()), type="application/json", class_="timeline-data")
        readout = element("p", class_="readout", aria_live="polite")
        return element("figure", picture, readout, self._table(), data, class_="wide", data_kind="timeline")

    @property
    def _scale(self) -> float:
        room = (_PAGE_WIDTH - 2 * _MARGIN) / max(self.end - self.begin, 1e-6)
        return max(room, _LEAST_PIXELS_PER_SECOND)

    @property
    def _width(self) -> float:
        return (self.end - self.begin) * self._scale + 2 * _MARGIN

    def _x(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        x: NDArray[np.float64] = _MARGIN + (np.asarray(seconds, np.float64) - self.begin) * self._scale
        return x

    @property
    def _rows(self) -> list[int]:
        """Row of every word, so that no two words lie over each other."""
        free: list[float] = []
        rows = []
        for word, (left, right) in zip(self.words.text, self._x(self._times), strict=True):
            half = max(len(word) * _LETTER + 3, right - left) / 2
            middle = (left + right) / 2
            row = next((i for i, end in enumerate(free) if middle - half >= end - 1), len(free))
            free[row : row + 1] = [middle + half]
            rows.append(row)
        return rows

    @property
    def _times(self) -> NDArray[np.float64]:
        if self.words.times is None:
            raise DataError("the words of a timeline need times", remedy=_ALIGN)
        return self.words.times

    @property
    def _lanes_top(self) -> float:
        faces = _FACE_ROW if self.faces else 0.0
        return _RULER + _WORD_ROW * (max(self._rows, default=0) + 1) + faces + 6

    @property
    def _height(self) -> float:
        return self._lanes_top + _LANE * len(self.lanes) + 6

    def _svg(self) -> Markup:
        parts = [
            _hatching(),
            *self._ruler(),
            *self._words(),
            *self._faces(),
            *(part for i in range(len(self.lanes)) for part in self._lane(i)),
            element("line", class_="crosshair", y1=_RULER - 6, y2=number(self._height), x1=-9, x2=-9),
        ]
        return element(
            "svg",
            *parts,
            viewBox=f"0 0 {number(self._width)} {number(self._height)}",
            width=number(self._width),
            height=number(self._height),
            role="img",
            aria_label=f"{len(self.words)} words over {self.end - self.begin:.1f} seconds; the table below has values",
        )

    def _ruler(self) -> list[Markup]:
        step = next(s for s in (0.5, 1, 2, 5, 10, 30, 60, 600) if s * self._scale >= 60 or s == 600)
        ticks = np.arange(np.ceil(self.begin / step) * step, self.end + 1e-9, step)
        marks = []
        for second, x in zip(ticks, self._x(ticks), strict=True):
            anchor = "end" if x > self._width - 3 * _MARGIN else "middle"
            marks += [
                element("line", x1=number(x), x2=number(x), y1=16, y2=number(self._height), class_="tick"),
                element("text", f"{second:g} s", x=number(x), y=11, class_="tick-text", text_anchor=anchor),
            ]
        return marks

    def _words(self) -> list[Markup]:
        marks = []
        spans = self._x(self._times)
        for i, (word, row, (left, right)) in enumerate(zip(self.words.text, self._rows, spans, strict=True)):
            top = _RULER + row * _WORD_ROW
            band = element(
                "rect", x=number(left), y=number(_RULER), width=number(right - left),
                height=number(self._height - _RULER), class_=f"band band-{i % 2}",
            )  # fmt: skip
            chip = element(
                "rect", x=number(left), y=number(top + 19), width=number(right - left), height=3, rx=1.5, class_="chip"
            )
            label = element("text", word, x=number((left + right) / 2), y=number(top + 14), class_="word")
            marks += [band, chip, label]
        return marks

    def _faces(self) -> list[Markup]:
        if not self.faces:
            return []
        middle = self._lanes_top - 8 - _FACE_ROW / 2
        centres = self._x(self._times).mean(axis=1)
        room = np.diff(centres, prepend=-np.inf, append=np.inf)
        sizes = np.clip(np.minimum(room[:-1], room[1:]) / 0.74, _SMALLEST_FACE, _FACE)
        return [
            draw_face(face, float(x), middle, float(size))
            for face, x, size in zip(self.faces, centres, sizes, strict=True)
        ]

    def _lane(self, index: int) -> list[Markup]:
        lane = self.lanes[index]
        base = self._lanes_top + index * _LANE + _LANE - 8
        low, high = lane.range
        marks = [element("line", x1=0, x2=number(self._width), y1=number(base), y2=number(base), class_="axis")]
        for start, end in gaps(lane.times, self.begin, self.end):
            x, to = self._x(np.array([start, end]))
            top = number(base - _CURVE)
            missing = element("rect", x=number(x), y=top, width=number(to - x), height=_CURVE, class_="missing")
            said = element("text", "not seen", x=number((x + to) / 2), y=number(base - 20), class_="missing-text")
            marks += [missing, said] if to - x > 60 else [missing]
        x_all = self._x(lane.times.mean(axis=1))
        for order, line in enumerate(lane.lines.values()):
            y = base - (np.clip(line, low, high) - low) / (high - low) * (_CURVE - 2)
            d = path(_runs(np.column_stack([x_all, y]), lane.times))
            marks.append(element("path", d=d, class_=f"curve {_colour(lane.modality)} line-{order}"))
        return marks

    def _labels(self) -> Markup:
        labels = []
        for i, lane in enumerate(self.lanes):
            low, high = lane.range
            names = [
                element("span", name, class_=f"key key-{k} {_colour(lane.modality)}")
                for k, name in enumerate(lane.lines)
                if len(lane.lines) > 1
            ]
            origin = element("b", _MODALITY_NAMES.get(lane.modality, lane.modality), class_=_colour(lane.modality))
            unit = f" {low:.3g} to {high:.3g} {lane.unit if lane.unit != '0 to 1' else ''}".rstrip()
            top = f"top:{number(self._lanes_top + i * _LANE)}px"
            labels.append(element("span", origin, f" {lane.name}", element("i", unit), *names, style=top))
        return element("div", *labels, class_="labels")

    def _table(self) -> Markup:
        heads = ["word", "from", "to", *(f"{lane.name}: {name}" for lane in self.lanes for name in lane.lines)]
        rows = []
        for word, (start, end) in zip(self.words.text, self._times, strict=True):
            cells = [f"{start:.2f}", f"{end:.2f}"]
            for lane in self.lanes:
                middle = lane.times.mean(axis=1)
                inside = (middle >= start) & (middle < end)
                cells += [_mean(line[inside]) for line in lane.lines.values()]
            rows.append(element("tr", element("th", word, scope="row"), *(element("td", cell) for cell in cells)))
        head = element("thead", element("tr", *(element("th", name, scope="col") for name in heads)))
        table = element("table", head, element("tbody", *rows))
        return element(
            "details", element("summary", "The same as a table, mean per word"), element("div", table, class_="scroll")
        )

    def _data(self) -> str:
        lanes = [
            {
                "name": lane.name,
                "unit": lane.unit,
                "t": [round(float(t), 3) for t in lane.times.mean(axis=1)],
                "lines": {n: [_json_number(v) for v in line] for n, line in lane.lines.items()},
            }
            for lane in self.lanes
        ]
        words = [
            [w, round(float(a), 3), round(float(b), 3)] for w, (a, b) in zip(self.words.text, self._times, strict=True)
        ]
        value = {"begin": self.begin, "scale": self._scale, "margin": _MARGIN, "words": words, "lanes": lanes}
        return script_json(value)


def _runs(points: NDArray[np.float64], times: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Cut a curve where a value is missing or the clock has a hole."""
    holes = {end for _, end in gaps(times, float(times[0, 0]), float(times[-1, 1]))} if len(times) else set()
    cut: NDArray[np.bool_] = np.logical_not(np.isfinite(points).all(axis=1))
    starts = np.array([float(t) in holes for t in times[:, 0]], dtype=bool)
    runs, current = [], 0
    for i in range(len(points) + 1):
        if i == len(points) or cut[i] or starts[i]:
            runs.append(points[current:i])
            current = i + 1 if i < len(points) and cut[i] else i
    return [_widen(run) for run in runs if len(run)]


def _widen(run: NDArray[np.float64]) -> NDArray[np.float64]:
    return run if len(run) > 1 else np.array([[run[0, 0] - 0.5, run[0, 1]], [run[0, 0] + 0.5, run[0, 1]]])


def _colour(modality: str) -> str:
    return f"is-{modality}" if modality in _MODALITY_NAMES else "is-other"


def _mean(values: NDArray[np.float64]) -> str:
    seen = values[np.isfinite(values)]
    return f"{seen.mean():.3g}" if len(seen) else "–"


def _json_number(value: float) -> float | None:
    return round(float(value), 3) if np.isfinite(value) else None


def _hatching() -> Markup:
    line = element("path", d="M0 0V7", class_="hatch-line")
    pattern = element(
        "pattern", line, id="hatch", width=7, height=7, patternUnits="userSpaceOnUse", patternTransform="rotate(45)"
    )
    return element("defs", pattern)
