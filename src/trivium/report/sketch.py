"""A timeline as a small picture: where words, voice and face are, in the width of a table's cell."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Stream, Utterance
from trivium.report.lanes import gaps, step_times
from trivium.report.svg import Markup, element, number, path

__all__ = ["draw_key", "draw_sketch"]

_WIDTH, _HEIGHT = 480.0, 46.0
_WORDS, _VOICE, _FACE = (1.0, 11.0), (15.0, 33.0), (37.0, 45.0)  # upper and lower edge of each row
_BINS = 160
_QUIETEST_DB = -70.0


def draw_sketch(utterance: Utterance) -> Markup:
    """Draw the words as blocks (hollow where their time is a guess), the loudness of the voice, the face as a band.

    Parameters
    ----------
    utterance : Utterance
        With any of words with times, a stream ``audio`` with the column ``energy_db``, and a stream ``vision``.

    Examples
    --------
    >>> draw_sketch(Utterance("a", start=0.0, end=2.0))[:17]
    '<svg class="sketc'
    """
    begin, end = _span(utterance)
    scale = _WIDTH / max(end - begin, 1e-6)
    told = [*_words(utterance, begin, scale), *_voice(utterance, begin, scale), *_face(utterance, begin, end, scale)]
    box = f"0 0 {number(_WIDTH)} {number(_HEIGHT)}"
    label = f"{utterance.id}: {end - begin:.1f} seconds; words, voice, face"
    return element("svg", *told, class_="sketch", viewBox=box, preserveAspectRatio="none", role="img", aria_label=label)


def draw_key(entries: Iterable[tuple[str, str]]) -> Markup:
    """What the colours mean.

    Parameters
    ----------
    entries : iterable of (str, str)
        Style class of a sketch, and what it shows.

    Examples
    --------
    >>> "a face is seen" in draw_key([("sketch-face", "a face is seen")])
    True
    """
    return element("p", *(element("span", _swatch(name), f" {what}") for name, what in entries), class_="sketch-key")


def _swatch(name: str) -> Markup:
    box = element("rect", x="1", y="1", width="16", height="8", class_=name)
    return element("svg", box, viewBox="0 0 18 10", width="18", height="10", aria_hidden="true")


def _span(utterance: Utterance) -> tuple[float, float]:
    """Begin and end of everything that has times."""
    times = [t for s in utterance.streams.values() if (t := step_times(utterance, s)) is not None]
    times += [] if utterance.words is None or utterance.words.times is None else [utterance.words.times]
    known = np.concatenate([t.ravel() for t in times] + [np.array([utterance.start, utterance.end])])
    known = known[np.isfinite(known)]
    return (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)


def _blocks(spans: NDArray[np.float64], begin: float, scale: float, row: tuple[float, float], name: str) -> Markup:
    left, right = ((spans - begin) * scale).T
    right = np.maximum(right - 0.8, left + 0.8)  # a hair between neighbours
    top, bottom = row
    sides = zip(left, right, strict=True)
    d = "".join(f"M{number(a)} {number(top)}H{number(b)}V{number(bottom)}H{number(a)}Z" for a, b in sides)
    return element("path", d=d, class_=name)


def _words(utterance: Utterance, begin: float, scale: float) -> list[Markup]:
    words = utterance.words
    if words is None or words.times is None:
        return []
    timed = np.isfinite(words.times).all(axis=1)
    guess = np.zeros(len(words), bool) if words.confidence is None else words.confidence == 0
    sorts = ((timed & ~guess, "sketch-word"), (timed & guess, "sketch-guess"))
    return [_blocks(words.times[kept], begin, scale, _WORDS, name) for kept, name in sorts if kept.any()]


def _voice(utterance: Utterance, begin: float, scale: float) -> list[Markup]:
    stream = utterance.streams.get("audio")
    times = None if stream is None else step_times(utterance, stream)
    if stream is None or times is None or "energy_db" not in stream.specification.columns or not stream.steps:
        return []
    level = stream.values[:, stream.specification.columns.index("energy_db")].astype(np.float64)
    loud = np.clip(np.nan_to_num(level, nan=_QUIETEST_DB) / -_QUIETEST_DB + 1, 0.0, 1.0)
    edges = np.linspace(times[0, 0], times[-1, 1], _BINS + 1)
    which = np.clip(np.searchsorted(edges, times.mean(axis=1)) - 1, 0, _BINS - 1)
    used = np.unique(which)
    tallest = np.array([loud[which == k].max() for k in used])
    x = ((edges[:-1] + edges[1:]) / 2)[used]
    top, bottom = _VOICE
    outline = np.column_stack([(x - begin) * scale, bottom - tallest * (bottom - top)])
    floor = np.array([[outline[-1, 0], bottom], [outline[0, 0], bottom]])
    return [element("path", d=path([np.concatenate([outline, floor])]) + "Z", class_="sketch-voice")]


def _face(utterance: Utterance, begin: float, end: float, scale: float) -> list[Markup]:
    stream = utterance.streams.get("vision")
    times = None if stream is None else step_times(utterance, stream)
    if stream is None or times is None:
        return []
    seen = _stretches(stream, times, begin, end)
    return [_blocks(seen, begin, scale, _FACE, "sketch-face")] if len(seen) else []


def _stretches(stream: Stream, times: NDArray[np.float64], begin: float, end: float) -> NDArray[np.float64]:
    """Stretches (K, 2) with a face: what lies between the holes of its clock."""
    shown = times[(stream.values != 0).any(axis=1)]
    if not len(shown):
        return np.empty((0, 2))
    holes = np.array(gaps(shown, begin, end), np.float64).reshape(-1, 2)
    edges = np.concatenate([[begin], holes.ravel(), [end]]).reshape(-1, 2)
    stretches: NDArray[np.float64] = edges[edges[:, 1] > edges[:, 0]]
    return stretches
