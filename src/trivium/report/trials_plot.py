"""The history of a tuning as a picture: what every trial scored on validation, and the best so far."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from trivium.errors import DataError
from trivium.report.plots import picture

__all__ = ["plot_trials"]


def plot_trials(path: str | os.PathLike[str], rows: Sequence[Mapping[str, Any]], *, measure: str) -> None:
    """Draw the trials of a tuning in their order.

    Parameters
    ----------
    path : path
        A ``.png`` or ``.svg`` file.
    rows : sequence of mapping
        One per trial with ``trial``, ``value`` (None where it failed) and ``best``: what ``Tuning.rows`` gives.
    measure : str
        What the value is.

    Raises
    ------
    DataError
        There is no trial to draw, or the file has another ending.
    DependencyError
        matplotlib is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     drawn = Path(folder) / "history.svg"
    ...     plot_trials(drawn, [{"trial": 0, "value": 0.9, "best": 0.9}], measure="loss")
    ...     drawn.read_text(encoding="utf-8").count("<svg")
    1
    """
    tried = [(row["trial"], row["value"]) for row in rows if row["value"] is not None]
    best = [(row["trial"], row["best"]) for row in rows if row["best"] is not None]
    if not tried:
        raise DataError("there is no trial to draw", file=path, remedy="run at least one trial that ends")
    with picture(path, (6, 3.5)) as figure:
        axes = figure.add_subplot(xlabel="trial (0: as given)", ylabel=f"{measure} on validation")
        axes.plot(*zip(*tried, strict=True), linestyle="", marker="o", markersize=4, label="trial")
        axes.step(*zip(*best, strict=True), where="post", color="0.5", label="best so far")
        axes.legend(frameon=False)
