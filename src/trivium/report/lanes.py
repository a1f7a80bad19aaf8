"""Lanes of the timeline: which curves of a voice and a face a person wants to see, taken from an utterance by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Stream, Utterance

__all__ = ["Lane", "gaps", "lanes_of", "step_times"]

_GAP_STEPS = 3.0
_SHORTEST_GAP = 0.12
_UNKNOWN_SHOWN = 3


@dataclass(frozen=True, eq=False)
class Lane:
    """One row of curves under the words.

    Parameters
    ----------
    name : str
        What is drawn, such as ``pitch``.
    unit : str
        Its unit, for people; may be empty.
    modality : str
        Modality it comes from; decides the colour.
    times : array of shape (T, 2)
        Start and end of every step in seconds.
    lines : mapping of str to array of shape (T,)
        One or more curves; NaN where there is nothing to draw. The first is drawn strongest.
    floor : float, optional
        Lower end of the axis, where it has a natural one.
    around_median : float, optional
        Factor by which the axis goes below and above the median at most; what lies beyond is drawn at its edge. Keeps
        a pitch readable in spite of a tracker's leaps.

    Examples
    --------
    >>> Lane("pitch", "semitones", "audio", np.array([[0, 0.01]]), {"pitch": np.array([31.0])}).name
    'pitch'
    """

    name: str
    unit: str
    modality: str
    times: NDArray[np.float64]
    lines: Mapping[str, NDArray[np.float64]]
    floor: float | None = None
    around_median: float | None = None

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest value of the axis."""
        seen = np.concatenate([v[np.isfinite(v)] for v in self.lines.values()])
        if not len(seen):
            return 0.0, 1.0
        low = float(seen.min()) if self.floor is None else min(self.floor, float(seen.min()))
        high = float(seen.max())
        if self.around_median is not None:
            middle = float(np.median(seen))
            low, high = max(low, middle / self.around_median), min(high, middle * self.around_median)
        return (low, high) if high > low else (low, low + 1.0)


@dataclass(frozen=True)
class _Pick:
    name: str
    unit: str
    modality: str
    lines: tuple[tuple[str, tuple[str, ...]], ...]
    floor: float | None = None
    only_where: str = ""
    hertz_above: float = 0.0
    around_median: float | None = None


# Columns by the names that trivium's own extractors write; several columns of one line are averaged.
_PICKS = (
    _Pick(
        "pitch",
        "Hz",
        "audio",
        (("pitch", ("pitch_semitones",)),),
        only_where="voicing",
        hertz_above=27.5,
        around_median=2.0,
    ),
    _Pick("energy", "dB", "audio", (("energy", ("energy_db",)),), floor=-80.0),
    _Pick("mouth opening", "0 to 1", "vision", (("opening", ("blendshape_jawOpen",)),), floor=0.0),
    _Pick(
        "smile",
        "0 to 1",
        "vision",
        (("smile", ("blendshape_mouthSmileLeft", "blendshape_mouthSmileRight")),),
        floor=0.0,
    ),
    _Pick(
        "brow",
        "0 to 1",
        "vision",
        (("raised", ("blendshape_browInnerUp",)), ("lowered", ("blendshape_browDownLeft", "blendshape_browDownRight"))),
        floor=0.0,
    ),
    _Pick(
        "head",
        "degrees",
        "vision",
        (("turn", ("head_yaw",)), ("nod", ("head_pitch",)), ("tilt", ("head_roll",))),
    ),
)


def lanes_of(utterance: Utterance) -> list[Lane]:
    """Lanes for one utterance: voice, then face, then the first columns of modalities without known names.

    Text has no lane: its words stand above. Steps on the clock ``words`` take the times of the words; a stream
    without any times is left out.

    Parameters
    ----------
    utterance : Utterance
        Any utterance; nothing but names of columns decides.

    Examples
    --------
    >>> from trivium.corpus import StreamSpecification
    >>> spec = StreamSpecification("audio", ("pitch_semitones", "voicing"), clock="seconds")
    >>> voice = Stream(np.ones((1, 2), np.float32), spec, np.array([[0, 0.01]]))
    >>> [lane.name for lane in lanes_of(Utterance("a", {"audio": voice}))]
    ['pitch']
    """
    found = []
    for modality, stream in utterance.streams.items():
        times = step_times(utterance, stream)
        if modality != "text" and times is not None and stream.steps:
            picks = [p for p in _PICKS if p.modality == modality and _names(p, stream)]
            found += [_lane(p, stream, times) for p in picks or _first_columns(stream)]
    return found


def step_times(utterance: Utterance, stream: Stream) -> NDArray[np.float64] | None:
    """Start and end of every step in seconds (T, 2), or None where they are unknown.

    Parameters
    ----------
    utterance : Utterance
        Its words give the times of streams on the clock ``words``.
    stream : Stream
        One of its streams.
    """
    if stream.times is not None:
        return stream.times
    words = utterance.words
    fits = words is not None and words.times is not None and len(words) == stream.steps
    return words.times if fits and words is not None and stream.specification.clock == "words" else None


def gaps(times: NDArray[np.float64], begin: float, end: float) -> list[tuple[float, float]]:
    """Stretches of [begin, end) that no step covers.

    Holes shorter than three steps or 0.12 s are the grain of the clock, not something missing.

    Parameters
    ----------
    times : array of shape (T, 2)
        Steps in order.
    begin, end : float
        Seconds.

    Examples
    --------
    >>> gaps(np.array([[0.0, 1.0], [3.0, 4.0]]), 0.0, 9.0)
    [(1.0, 3.0), (4.0, 9.0)]
    """
    if not len(times):
        return [(begin, end)]
    period = float(np.median(np.diff(times[:, 0]))) if len(times) > 2 else 0.0
    starts = np.append(times[:, 0], end)
    ends = np.maximum.accumulate(np.append(begin, times[:, 1]))
    least = max(_SHORTEST_GAP, _GAP_STEPS * min(period, float(np.median(times[:, 1] - times[:, 0])) or period))
    return [(float(a), float(b)) for a, b in zip(ends, starts, strict=True) if b - a > least]


def _names(pick: _Pick, stream: Stream) -> list[str]:
    known = set(stream.specification.columns)
    return [name for _, names in pick.lines for name in names if name in known]


def _first_columns(stream: Stream) -> list[_Pick]:
    spec = stream.specification
    return [_Pick(name, "", spec.modality, ((name, (name,)),)) for name in spec.columns[:_UNKNOWN_SHOWN]]


def _lane(pick: _Pick, stream: Stream, times: NDArray[np.float64]) -> Lane:
    place = {name: i for i, name in enumerate(stream.specification.columns)}
    values = stream.values.astype(np.float64)
    lines = {}
    for label, names in pick.lines:
        present = [place[name] for name in names if name in place]
        if present:
            lines[label] = values[:, present].mean(axis=1)
    if pick.only_where in place:
        spoken = values[:, place[pick.only_where]] > 0.5
        lines = {label: np.where(spoken, line, np.nan) for label, line in lines.items()}
    if pick.hertz_above:
        lines = {label: pick.hertz_above * np.exp2(line / 12) for label, line in lines.items()}
    return Lane(pick.name, pick.unit, pick.modality, times, lines, pick.floor, pick.around_median)
