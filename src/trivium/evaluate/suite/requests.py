"""Rows as people write them: ``statistics+masked-steps[audio]@linear``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from typing import Any

from trivium.errors import SpecificationError

__all__ = ["READOUTS", "TRANSDUCTIVE", "PartRequest", "RowRequest", "made_readout", "parsed_row", "reads_blocks"]

READOUTS = {
    "linear": "trivium.evaluate.readout:LinearReadout",
    "late": "trivium.evaluate.late_readout:LateReadout",
}
"""Readouts by name: classes that are fitted and asked as :class:`trivium.evaluate.readout.LinearReadout` is, and tell
``validation_score_``. One whose constructor takes ``widths`` reads blocks: every part of the row is made for each
modality by itself, and the readout is told the columns of each."""
TRANSDUCTIVE = "transductive "
"""What the name of a row begins with whose vectors are centred by speaker, tested clips among them."""
_PART = re.compile(r"(?P<name>[\w-]+)(\[(?P<modalities>[\w,-]+)\])?")


@dataclass(frozen=True)
class PartRequest:
    """One part of a row.

    Parameters
    ----------
    name : str
        Of a representation, or of vectors known beforehand.
    modalities : tuple of str, optional
        Those it reads; None: all.

    Examples
    --------
    >>> PartRequest("mean", ("audio",)).text
    'mean[audio]'
    """

    name: str
    modalities: tuple[str, ...] | None = None

    @property
    def text(self) -> str:
        """As it is written."""
        return self.name if self.modalities is None else f"{self.name}[{','.join(self.modalities)}]"


@dataclass(frozen=True)
class RowRequest:
    """One row of a table.

    Parameters
    ----------
    parts : tuple of PartRequest
        Whose vectors stand beside one another; each number is standardised by the readout.
    readout : str
        Which of :data:`READOUTS`.
    transductive : bool
        Whether every vector is taken from the mean of all of its speaker's.

    Examples
    --------
    >>> parsed_row("mean[audio]+flatten").parts[0].text
    'mean[audio]'
    """

    parts: tuple[PartRequest, ...]
    readout: str = "linear"
    transductive: bool = False

    @property
    def text(self) -> str:
        """As it is written."""
        at = "" if self.readout == "linear" else f"@{self.readout}"
        return f"{TRANSDUCTIVE if self.transductive else ''}{'+'.join(part.text for part in self.parts)}{at}"


def parsed_row(text: str) -> RowRequest:
    """Read a row's name.

    Parameters
    ----------
    text : str
        Parts joined with ``+``, each perhaps with modalities in brackets; then perhaps ``@`` and a readout.

    Raises
    ------
    SpecificationError
        It cannot be read, a part is named twice, or there is no such readout.

    Examples
    --------
    >>> parsed_row("transductive mean + masked-steps[audio,vision]").text
    'transductive mean+masked-steps[audio,vision]'
    """
    rest = text.strip()
    transductive = rest.startswith(TRANSDUCTIVE)
    body, _, readout = rest.removeprefix(TRANSDUCTIVE).partition("@")
    parts = tuple(_part(piece.strip(), text) for piece in body.split("+"))
    if len(set(parts)) < len(parts):
        raise SpecificationError(f"{text} names a part twice", remedy="name each once")
    readout = readout or "linear"
    if readout not in READOUTS:
        raise SpecificationError(f"there is no readout {readout!r}", remedy=f"choose from {', '.join(READOUTS)}")
    return RowRequest(parts, readout, transductive)


def _part(piece: str, text: str) -> PartRequest:
    found = _PART.fullmatch(piece)
    if found is None:
        raise SpecificationError(f"{text!r} is no row", remedy="write names joined with +, such as mean+masked-steps")
    modalities = found["modalities"]
    return PartRequest(found["name"], None if modalities is None else tuple(modalities.split(",")))


def reads_blocks(name: str) -> bool:
    """Whether a readout has a regression of its own for each block of columns.

    Parameters
    ----------
    name : str
        Which of :data:`READOUTS`.

    Examples
    --------
    >>> reads_blocks("late"), reads_blocks("linear")
    (True, False)
    """
    return "widths" in signature(_kind(name)).parameters


def _kind(name: str) -> Any:
    module, _, attribute = READOUTS[name].partition(":")
    return getattr(import_module(module), attribute)


def made_readout(name: str, task: str, widths: dict[str, int], regression: str = "logistic") -> Any:
    """Readout of a row, not fitted yet.

    Parameters
    ----------
    name : str
        Which of :data:`READOUTS`.
    task : {"classes", "numbers"}
        What it predicts.
    widths : dict of str to int
        Columns of each block of the row, in order.
    regression : {"logistic", "ridge"}
        For classes.

    Examples
    --------
    >>> type(made_readout("linear", "numbers", {"mean": 3})).__name__
    'LinearReadout'
    """
    blocks = {"widths": widths} if reads_blocks(name) else {}
    return _kind(name)(task=task, regression=regression, **blocks)
