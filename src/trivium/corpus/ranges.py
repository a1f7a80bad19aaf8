"""Labels that cannot be: numbers outside the range that the specification promises, named by utterance."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.corpus.specification import LabelSpecification
from trivium.errors import DataError

__all__ = ["require_in_range"]

_MOST_NAMED = 6


def require_in_range(ids: NDArray[np.str_], values: NDArray[Any], label: LabelSpecification) -> None:
    """Raise a :class:`DataError` that names utterances whose label is infinite or outside its range.

    Parameters
    ----------
    ids : str array of shape (N,)
        Of the utterances.
    values : array of shape (N,) or (N, K)
        Their labels, NaN where missing; class names pass.
    label : LabelSpecification
        Its range is looked at, where it has one.

    Examples
    --------
    >>> mood = LabelSpecification("mood", "regression", range=(-1.0, 1.0))
    >>> try:
    ...     require_in_range(np.array(["a", "b"]), np.array([np.nan, 3.0]), mood)
    ... except DataError as error:
    ...     print(error.problem)
    1 of 2 lies outside -1 ... 1: b (3)
    """
    if values.dtype.kind not in "fiu":
        return
    low, high = label.range or (-np.finfo(np.float32).max, np.finfo(np.float32).max)
    rows = values.reshape(len(values), -1) if len(values) else values.reshape(0, 1)
    wrong = np.flatnonzero(((rows < low) | (rows > high)).any(axis=1))
    if not len(wrong):
        return
    named = [f"{ids[row]} ({', '.join(f'{v:g}' for v in rows[row])})" for row in wrong[:_MOST_NAMED].tolist()]
    more = f" and {len(wrong) - _MOST_NAMED} more" if len(wrong) > _MOST_NAMED else ""
    lies = "lies" if len(wrong) == 1 else "lie"
    raise DataError(
        f"{len(wrong)} of {len(values)} {lies} outside {low:g} ... {high:g}: {', '.join(named)}{more}",
        place=f"label {label.key}",
        remedy="correct the labels, or the range in the specification",
    )
