"""What a column is: name, unit and meaning; the extractors and ``docs/columns.md`` share these rows."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Column"]


@dataclass(frozen=True)
class Column:
    """One named column of a stream.

    Parameters
    ----------
    name : str
        Name within its modality; it never changes its meaning under one extractor and version.
    unit : str
        Unit of the values; ``1`` for a pure number.
    meaning : str
        One sentence, with the value that stands for "does not apply".

    Examples
    --------
    >>> Column("energy_db", "dB", "Level of the frame").row
    '| `energy_db` | dB | Level of the frame |'
    """

    name: str
    unit: str
    meaning: str

    @property
    def row(self) -> str:
        """Row of the Markdown table of columns."""
        return f"| `{self.name}` | {self.unit} | {self.meaning} |"
