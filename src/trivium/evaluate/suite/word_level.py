"""ICT-MMMO and POM: voice and face of film reviewers, twenty averaged segments each, as arrays of the MFN release.

Sources: Wollmer et al. (2013) and Park et al. (2014), in the distribution of Zadeh et al. (2018). There are no column
names, no sound and no pictures, so there are no foundation columns; text exists for part of the clips only and is
left out. In ICT-MMMO's voice, columns 0 and 7 pile up at -255 and 255: such cells count as not seen.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from trivium.align import align
from trivium.corpus import Aligned
from trivium.errors import DataError
from trivium.evaluate.suite.material import Material, Track
from trivium.formats.arrays import NpzFormat

__all__ = ["SENTINEL", "SENTINEL_COLUMNS", "ict_mmmo", "pom", "without_sentinels"]

SENTINEL_COLUMNS, SENTINEL = (0, 7), 255.0
"""Columns of the voice of ICT-MMMO that pile up at the ends of their range, and that end."""
_STEPS = 20


def ict_mmmo(folder: Path, work: Path, track: Track, *, show: bool = True) -> Material:
    """Read 340 reviews, sentiment 1 to 5.

    Parameters
    ----------
    folder : path
        Of all real sets.
    work : path
        Not used: nothing is extracted.
    track : {"H", "F"}
        H; there is no F.
    show : bool
        Not used.

    Raises
    ------
    DataError
        The voice does not have the columns of the release.
    """
    data = without_sentinels(_steps_of(folder / "word-level" / "mmmo.npz"))
    return Material(data, data)


def pom(folder: Path, work: Path, track: Track, *, show: bool = True) -> Material:
    """Read 903 reviews, 17 attributes 1 to 7; the face is absent from more than half.

    Parameters
    ----------
    folder : path
        Of all real sets.
    work : path
        Not used: nothing is extracted.
    track : {"H", "F"}
        H; there is no F.
    show : bool
        Not used.
    """
    data = _steps_of(folder / "word-level" / "pom.npz")
    return Material(data, data)


def _steps_of(file: Path) -> Aligned:
    return align(NpzFormat().read(file).select(["audio", "vision"]), words=_STEPS, show=False)


def without_sentinels(data: Aligned) -> Aligned:
    """Cells of the voice at the ends of their range become not seen (NaN).

    Parameters
    ----------
    data : Aligned
        With a modality ``audio`` of more than seven columns.

    Raises
    ------
    DataError
        The voice has fewer columns.

    Examples
    --------
    >>> from trivium.corpus import Specification, StreamSpecification
    >>> spec = Specification((StreamSpecification.positional("audio", "toy", 8),))
    >>> without_sentinels(Aligned.from_arrays(np.full((1, 1, 8), 255.0), spec)).values[0, 0, [0, 1]].tolist()
    [nan, 255.0]
    """
    audio = [place for place, name in enumerate(data.specification.columns) if name.startswith("audio.")]
    if len(audio) <= max(SENTINEL_COLUMNS):
        raise DataError(f"the voice has {len(audio)} columns, the release 74", remedy="take the file of the release")
    values = data.values.copy()
    for column in SENTINEL_COLUMNS:
        cells = values[:, :, audio[column]]
        cells[np.abs(cells) >= SENTINEL] = np.nan
    return replace(data, values=values)
