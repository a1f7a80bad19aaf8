"""Functionals of a clip's voice columns, the same for every table of columns; fixed before any score was seen.

In the manner of Eyben et al. (2016): mean, spread and three percentiles of every column, of those
about the voice over voiced frames only; rising and falling slopes of loudness and pitch; how often and how long the
voice sounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Layout", "flattened", "layout_of_voice", "statistics", "voice_functionals"]

Values = NDArray[np.floating[Any]]
_PERCENTILES = (20, 50, 80)
_FRAMES_PER_SECOND = 100
_SEGMENTS = 20
_VOICED = ("pitch_s", "harmonics_", "jitter", "shimmer", "h1_", "h2_", "formant_")


@dataclass(frozen=True)
class Layout:
    """Where things stand in a table of columns.

    Parameters
    ----------
    voice, other : sequence of int
        Columns that mean something where voiced only, and the rest.
    pitch, loudness : int
        Columns whose slopes count; voiced is where the pitch is above 0.

    Examples
    --------
    >>> Layout([0], [1], 0, 1).pitch
    0
    """

    voice: Sequence[int]
    other: Sequence[int]
    pitch: int
    loudness: int


@cache
def layout_of_voice(columns: int | None = None) -> Layout:
    """Where things stand in trivium's voice columns.

    Parameters
    ----------
    columns : int, optional
        Only the first so many.

    Examples
    --------
    >>> layout = layout_of_voice()
    >>> len(layout.voice) + len(layout.other)
    60
    """
    from trivium.extract.audio.voice import VOICE_COLUMNS

    names = [column.name for column in VOICE_COLUMNS][:columns]
    voice = [place for place, name in enumerate(names) if name.startswith(_VOICED)]
    other = [place for place, name in enumerate(names) if place not in voice and name != "voicing"]
    loudness = "loudness_auditory" if "loudness_auditory" in names else "loudness"
    return Layout(voice, other, names.index("pitch_semitones"), names.index(loudness))


def voice_functionals(values: Values) -> Values:
    """Functionals of all of trivium's voice columns.

    Parameters
    ----------
    values : array of shape (T, 61)
        A step every 10 ms.

    Returns
    -------
    array of shape (K,)

    Examples
    --------
    >>> bool(np.isfinite(voice_functionals(np.random.default_rng(0).random((50, 61)))).all())
    True
    """
    return statistics(values, layout_of_voice())


def statistics(values: Values, layout: Layout) -> Values:
    """Functionals of a clip.

    Parameters
    ----------
    values : array of shape (T, D)
        A step every 10 ms.
    layout : Layout
        Where things stand in its columns.

    Returns
    -------
    array of shape (K,)
    """
    voiced = values[:, layout.pitch] > 0
    spoken = values[voiced]
    return np.concatenate(
        [
            _moments(spoken[:, layout.voice]),
            _moments(values[:, layout.other]),
            _moments(spoken[:, layout.other])[: 2 * len(layout.other)],
            _rhythm(voiced, values[:, layout.loudness]),
            _slopes(values[:, layout.loudness]),
            _slopes(spoken[:, layout.pitch]),
        ]
    )


def flattened(values: Values) -> Values:
    """Means of twenty equal parts, one after the other.

    Parameters
    ----------
    values : array of shape (T, D)
        Any unit.

    Returns
    -------
    array of shape (20 D,)
    """
    return np.concatenate([part.mean(axis=0) for part in np.array_split(values, _SEGMENTS)])


def _moments(part: Values) -> Values:
    """Means, then spreads, then percentiles of all columns; 0 without frames."""
    if not len(part):
        return np.zeros((2 + len(_PERCENTILES)) * part.shape[1])
    return np.concatenate([part.mean(axis=0), part.std(axis=0), *np.percentile(part, _PERCENTILES, axis=0)])


def _rhythm(voiced: NDArray[np.bool_], loudness: Values) -> Values:
    """Voiced share, voiced pieces a second, length of pieces and pauses, loudness peaks a second, seconds."""
    seconds = len(voiced) / _FRAMES_PER_SECOND
    here, before, after = loudness[1:-1], loudness[:-2], loudness[2:]
    peaks = np.count_nonzero((here > before) & (here >= after) & (here > np.median(loudness)))
    pieces, pauses = _lengths(voiced), _lengths(~voiced)
    lengths = [(part.mean(), part.std()) if len(part) else (0.0, 0.0) for part in (pieces, pauses)]
    return np.array(
        [voiced.mean(), len(pieces) / seconds, *np.ravel(lengths) / _FRAMES_PER_SECOND, peaks / seconds, seconds]
    )


def _lengths(mask: NDArray[np.bool_]) -> Values:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int64), [0]])))
    return (edges[1::2] - edges[::2]).astype(np.float64)


def _slopes(column: Values) -> Values:
    """Mean and spread of the rises, then of the falls, from one frame to the next."""
    change = np.diff(column)
    parts = (change[change > 0], change[change < 0])
    return np.ravel([(part.mean(), part.std()) if len(part) else (0.0, 0.0) for part in parts])
