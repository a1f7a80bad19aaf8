"""What extraction notes about a clip beside its streams: see :class:`trivium.corpus.notes.ExtractionNote`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from trivium.errors import DependencyError

__all__ = ["Counted", "sound_level", "unknown_words"]

Item = TypeVar("Item")
_FULL_SCALE = 0.99
_SILENCE_DB = -100.0


class Counted(Generic[Item]):
    """Items that are counted while they pass.

    Parameters
    ----------
    items : iterable
        Read once.

    Examples
    --------
    >>> frames = Counted("abc")
    >>> list(frames), frames.count
    (['a', 'b', 'c'], 3)
    """

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = items
        self.count = 0

    def __iter__(self) -> Iterator[Item]:
        for item in self._items:
            self.count += 1
            yield item


def sound_level(samples: NDArray[np.float32]) -> tuple[float, float]:
    """Peak of a sound in dB re full scale, and the share of its samples that are clipped.

    Parameters
    ----------
    samples : array of shape (n,), float32
        Between -1 and 1, n >= 1.

    Returns
    -------
    peak_db : float
        Not below -100; two decimals.
    clipped : float
        Share of the samples at .99 of full scale or above, six decimals (our choice: a sound that was clipped before it
        was compressed no longer reaches full scale exactly).

    Examples
    --------
    >>> sound_level(np.array([0.0, 0.5, -1.0, 1.0], np.float32))
    (0.0, 0.5)
    """
    loud = np.abs(samples)
    peak = float(loud.max())
    peak_db = max(_SILENCE_DB, 20 * float(np.log10(peak))) if peak > 0 else _SILENCE_DB
    return round(peak_db, 2), round(float((loud >= _FULL_SCALE).mean()), 6)


def unknown_words(words: Sequence[str]) -> list[str]:
    """Those of the words that the aligner's dictionary lacks, in order.

    Parameters
    ----------
    words : sequence of str
        Spoken words, lower case.

    Examples
    --------
    >>> unknown_words(["hello", "trivium"])  # doctest: +SKIP
    ['trivium']
    """
    known = _dictionary()
    return [word for word in words if word not in known]


@lru_cache(maxsize=1)
def _dictionary() -> frozenset[str]:
    try:
        from pocketsphinx import get_model_path
    except ImportError as cause:
        raise DependencyError("pocketsphinx is not installed", remedy="pip install 'trivium[extract]'") from cause
    text = Path(get_model_path("en-us/cmudict-en-us.dict")).read_text(encoding="utf-8")
    return frozenset(line.partition(" ")[0] for line in text.splitlines())
