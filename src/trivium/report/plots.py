"""Loss curves of a training run and the history of a tuning as PNG or SVG pictures, with matplotlib."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trivium.errors import DataError, DependencyError
from trivium.files import atomic_file

__all__ = ["plot_loss_curves", "plot_trials"]

_LOSSES = (("train_loss", "training"), ("valid_loss", "validation"))


def plot_loss_curves(
    path: str | os.PathLike[str], curves: Sequence[Mapping[str, float]], *, best_epoch: int = -1
) -> None:
    """Draw training and validation loss by epoch, on a logarithmic axis.

    Parameters
    ----------
    path : path
        A ``.png`` or ``.svg`` file.
    curves : sequence of mapping
        One row per epoch with ``epoch``, ``train_loss`` and, where there was validation, ``valid_loss``: what
        ``loss_curves_`` holds after ``fit``.
    best_epoch : int
        Epoch whose weights were kept (``best_epoch_``); -1 draws no mark.

    Raises
    ------
    DataError
        There is no epoch to draw, or the file has another ending.
    DependencyError
        matplotlib is not installed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     picture = Path(folder) / "loss.svg"
    ...     plot_loss_curves(picture, [{"epoch": 0, "train_loss": 0.9}, {"epoch": 1, "train_loss": 0.5}])
    ...     picture.read_text(encoding="utf-8").count("<svg")
    1
    """
    if not curves:
        raise DataError("there is no epoch to draw", file=path)
    figure = _figure(path)
    axes = figure.add_subplot(yscale="log", xlabel="epoch", ylabel="loss")
    for key, label in _LOSSES:
        known = [(row["epoch"], row[key]) for row in curves if row.get(key) is not None]
        if known:
            axes.plot(*zip(*known, strict=True), marker=".", label=label)
    if best_epoch >= 0:
        axes.axvline(best_epoch, linestyle=":", color="0.5", label="kept")
    axes.legend(frameon=False)
    _save(figure, path)


def plot_trials(path: str | os.PathLike[str], rows: Sequence[Mapping[str, Any]], *, measure: str) -> None:
    """Draw what every trial of a tuning scored on validation, and the best so far.

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
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     picture = Path(folder) / "history.svg"
    ...     plot_trials(picture, [{"trial": 0, "value": 0.9, "best": 0.9}], measure="loss")
    ...     picture.read_text(encoding="utf-8").count("<svg")
    1
    """
    tried = [(row["trial"], row["value"]) for row in rows if row["value"] is not None]
    if not tried:
        raise DataError("there is no trial to draw", file=path)
    figure = _figure(path)
    axes = figure.add_subplot(xlabel="trial (0: as given)", ylabel=f"{measure} on validation")
    axes.plot(*zip(*tried, strict=True), linestyle="", marker="o", markersize=4, label="trial")
    best = [(row["trial"], row["best"]) for row in rows if row["best"] is not None]
    axes.step(*zip(*best, strict=True), where="post", color="0.5", label="best so far")
    axes.legend(frameon=False)
    _save(figure, path)


def _figure(path: str | os.PathLike[str]) -> Any:
    """An empty figure, after a look at the ending of its file."""
    if _kind(path) not in ("png", "svg"):
        raise DataError("the ending is neither .png nor .svg", file=path)
    try:
        from matplotlib.figure import Figure
    except ImportError as cause:
        raise DependencyError("matplotlib is not installed", remedy="pip install 'trivium[report]'") from cause
    return Figure(figsize=(6, 3.5), layout="constrained")


def _kind(path: str | os.PathLike[str]) -> str:
    return Path(path).suffix.lower().lstrip(".")


def _save(figure: Any, path: str | os.PathLike[str]) -> None:
    """Write a figure without a date inside: the same numbers give the same bytes."""
    kind = _kind(path)
    with atomic_file(path) as draft:
        figure.savefig(draft, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else {})
