"""What reading found and what it did about it: non-finite cells, missing modalities, empty words, odd lengths, ids.

Nothing is mended silently: every act leaves a :class:`Finding`, and the aggregated list goes into the corpus'
``provenance["findings"]``, from where ``trivium read`` prints it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from trivium.errors import DataError
from trivium.formats.options import require_choice

__all__ = ["Finding", "Findings", "NonFinite", "as_float32", "is_finite"]

NonFinite = Literal["reference", "keep", "zero", "error"]
_EXAMPLES = 20


@dataclass(frozen=True)
class Finding:
    """One thing about one utterance that a reader should know.

    Parameters
    ----------
    kind : str
        ``nonfinite``, ``missing``, ``length``, ``duplicate``, ``empty``, ``untimed``, ``dropped``, ``label``,
        ``words``, ``transcript``, ``doubt``, ``span`` or ``damage``.
    utterance : str
        Id of the utterance, or the key that was dropped.
    modality : str
        Modality, where it concerns one.
    row : int, optional
        First step it concerns.
    column : str
        First column it concerns.
    count : int
        Number of cells, rows or words.
    action : str
        What was done.

    Examples
    --------
    >>> Finding("nonfinite", "a", "audio", row=3, column="f0", count=2, action="set to 0").count
    2
    """

    kind: str
    utterance: str
    modality: str = ""
    row: int | None = None
    column: str = ""
    count: int = 1
    action: str = ""


class Findings:
    """Findings of one reading, aggregated by kind, modality and action; memory does not grow with their number.

    Parameters
    ----------
    nonfinite : {"reference", "keep", "zero", "error"}
        What to do with NaN and infinite cells. ``reference`` does what the format's own loader does.
    reference : mapping of str to {"keep", "infinite"}, optional
        By modality, what the format's own loader does: nothing, or set infinite cells to zero.

    Raises
    ------
    TriviumError
        `nonfinite` is none of its choices.

    Examples
    --------
    >>> found = Findings("zero")
    >>> found.finite(np.array([[1, np.inf]], np.float32), "a", "audio", ("f0", "energy")).tolist()
    [[1.0, 0.0]]
    >>> found.to_json()[0]["action"]
    'set to 0'
    """

    def __init__(self, nonfinite: NonFinite = "reference", reference: dict[str, str] | None = None) -> None:
        require_choice("nonfinite", nonfinite, get_args(NonFinite))
        self._nonfinite = nonfinite
        self._reference = reference or {}
        self._groups: dict[tuple[str, str, str], dict[str, Any]] = {}

    def add(self, finding: Finding) -> None:
        """Count one finding; the first twenty of a sort are kept as examples."""
        key = (finding.kind, finding.modality, finding.action)
        group = self._groups.setdefault(key, {"utterances": 0, "count": 0, "examples": []})
        group["utterances"] += 1
        group["count"] += finding.count
        if len(group["examples"]) < _EXAMPLES:
            example = {"utterance": finding.utterance, "row": finding.row, "column": finding.column}
            group["examples"].append({**example, "count": finding.count})

    def extend(self, findings: Iterable[Finding]) -> None:
        """Count several findings."""
        for finding in findings:
            self.add(finding)

    def to_json(self) -> list[dict[str, Any]]:
        """One row per kind, modality and action, with counts and examples; plain builtins."""
        return [
            {"kind": kind, "modality": modality, "action": action, **group}
            for (kind, modality, action), group in sorted(self._groups.items())
        ]

    def finite(
        self, values: NDArray[np.float32], utterance: str, modality: str, columns: Sequence[str]
    ) -> NDArray[np.float32]:
        """Look for NaN and infinity, record them, and give the values as the rule wants them.

        Parameters
        ----------
        values : float32 array of shape (T, D)
            Values of one utterance; never changed in place.
        utterance, modality : str
            Where they belong.
        columns : sequence of D str
            Names of the columns.

        Raises
        ------
        DataError
            The rule is ``error`` and there is a non-finite cell.
        """
        if is_finite(values):
            return values
        bad = ~np.isfinite(values)
        rows, cells = np.nonzero(bad)
        place = {"row": int(rows[0]), "column": columns[cells[0]], "count": len(rows)}
        rule = self._reference.get(modality, "keep") if self._nonfinite == "reference" else self._nonfinite
        if rule == "error":
            raise DataError(
                f"{modality} has {len(rows)} non-finite cells",
                place=f"utterance {utterance}, row {place['row']}, column {place['column']}",
                remedy="pass nonfinite='zero' or 'keep'",
            )
        self.add(Finding("nonfinite", utterance, modality, action=_ACTIONS[rule], **place))
        if rule == "keep":
            return values
        replaced = values.copy()
        replaced[bad if rule == "zero" else np.isinf(values)] = 0
        return replaced


def is_finite(values: NDArray[Any]) -> bool:
    """Whether every cell is a finite number; quick where they are.

    Parameters
    ----------
    values : float array of any shape
        What to look at.

    Examples
    --------
    >>> is_finite(np.array([1.0, 2.0])), is_finite(np.array([1.0, np.nan]))
    (True, False)
    """
    with np.errstate(over="ignore", invalid="ignore"):
        # one pass without a temporary: a non-finite cell always makes a non-finite sum
        return bool(np.isfinite(values.sum()) or np.isfinite(values).all())


def as_float32(
    values: NDArray[Any], file: Path, place: str, axes: Sequence[str] = ("row", "column")
) -> NDArray[np.float32]:
    """Values as float32, the very array where it is that already; a finite number must not become infinite.

    Parameters
    ----------
    values : numeric array
        What the file holds.
    file : Path
        For errors.
    place : str
        Where in the file, for errors.
    axes : sequence of str
        What the indices of `values` are called, one per axis.

    Raises
    ------
    DataError
        A cell is finite, but too large for float32; the first one is named.

    Examples
    --------
    >>> as_float32(np.array([[0.5, 1e300]]), Path("a.pkl"), "train/audio")
    Traceback (most recent call last):
    trivium.errors.DataError: a.pkl (train/audio, row 0, column 1): 1e+300 is finite, but too large for float32 (1 ...
    """
    if values.dtype == np.float32:
        return values
    with np.errstate(over="ignore"):
        cast = values.astype(np.float32)
    if is_finite(cast):
        return cast
    large = np.argwhere(np.isinf(cast) & np.isfinite(values))
    if len(large):
        first = large[0].tolist()
        named = ", ".join(f"{axis} {index}" for axis, index in zip(axes, first, strict=True))
        raise DataError(
            f"{values[tuple(first)]!s} is finite, but too large for float32 ({len(large)} such cells)",
            file=file,
            place=", ".join(part for part in (place, named) if part),
            remedy="correct or scale these values, or store NaN and pass nonfinite",
        )
    return cast


_ACTIONS = {"keep": "kept", "zero": "set to 0", "infinite": "infinite cells set to 0, NaN kept"}
