"""Loss curves: a CSV that is whole after every epoch, and TensorBoard events where wanted."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from trivium.files import atomic_file

__all__ = ["LOSSES", "LossCurves", "write_losses"]

LOSSES = "losses.csv"


def write_losses(path: Path, curves: Sequence[Mapping[str, float]]) -> None:
    """Write one row per epoch, atomically; numbers keep all their digits, and what an epoch lacks stays empty.

    Parameters
    ----------
    path : Path
        The CSV file.
    curves : sequence of mapping
        Rows; the columns are all their keys.
    """
    with atomic_file(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in curves for name in row)) or ["epoch"])
        writer.writeheader()
        writer.writerows({**row, "epoch": int(row["epoch"])} for row in curves)


class LossCurves:
    """Where loss curves go while training runs; a context, closed at its end.

    Parameters
    ----------
    folder : Path, optional
        Gets ``losses.csv`` and, with `events`, a folder ``tensorboard``; None writes nothing.
    events : bool
        Write TensorBoard events too.
    """

    def __init__(self, folder: Path | None, *, events: bool = False) -> None:
        self._folder = folder
        self._writer: Any = None
        if folder is not None and events:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(folder / "tensorboard")

    def write(self, curves: Sequence[Mapping[str, float]]) -> None:
        """Write all epochs so far; the last one is new."""
        if self._folder is not None:
            write_losses(self._folder / LOSSES, curves)
        if self._writer is not None:
            epoch = int(curves[-1]["epoch"])
            for name, value in curves[-1].items():
                if name != "epoch":
                    self._writer.add_scalar(name, value, epoch)

    def __enter__(self) -> LossCurves:
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, t: TracebackType | None) -> None:
        if self._writer is not None:
            self._writer.close()
