"""Pictures as PNG or SVG with matplotlib, among them the loss curves of a training run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trivium.errors import DataError, DependencyError
from trivium.files import atomic_file

__all__ = ["picture", "plot_loss_curves"]

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
    with picture(path, (6, 3.5)) as figure:
        axes = figure.add_subplot(yscale="log", xlabel="epoch", ylabel="loss")
        for key, label in _LOSSES:
            known = [(row["epoch"], row[key]) for row in curves if row.get(key) is not None]
            if known:
                axes.plot(*zip(*known, strict=True), marker=".", label=label)
        if best_epoch >= 0:
            axes.axvline(best_epoch, linestyle=":", color="0.5", label="kept")
        axes.legend(frameon=False)


@contextmanager
def picture(path: str | os.PathLike[str], size: tuple[float, float]) -> Iterator[Any]:
    """Give a matplotlib figure; write it when the block succeeds, whole or not at all.

    Parameters
    ----------
    path : path
        A ``.png`` or ``.svg`` file.
    size : (float, float)
        Width and height in inches.

    Raises
    ------
    DataError
        The file has another ending.
    DependencyError
        matplotlib is not installed.
    """
    kind = Path(path).suffix.lower().lstrip(".")
    if kind not in ("png", "svg"):
        raise DataError("the ending of a picture is neither .png nor .svg", file=path)
    try:
        from matplotlib.figure import Figure
    except ImportError as cause:
        raise DependencyError("matplotlib is not installed", remedy="pip install 'trivium[report]'") from cause
    figure = Figure(figsize=size, layout="constrained")
    yield figure
    with atomic_file(path) as draft:
        # no date inside: the same numbers give the same bytes
        figure.savefig(draft, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else {})
