"""Lines of a table and differences between rows that were measured on the same folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from trivium.evaluate.protocols import Protocol
from trivium.evaluate.report import Predictions, Row
from trivium.evaluate.scores import rows_of
from trivium.evaluate.suite.contrast import (
    PICKED,
    PICKED_HARDER,
    Contrast,
    Contrasts,
    contrast_of,
    picked_floor,
)
from trivium.evaluate.suite.measured import Measured
from trivium.evaluate.suite.requests import RowRequest
from trivium.evaluate.target import Target

__all__ = ["Roles", "compared"]


@dataclass(frozen=True)
class Roles:
    """Rows of a division by what they are there for.

    Parameters
    ----------
    floors : tuple of RowRequest
        Validation picks among them.
    rows : tuple of RowRequest
        Representations; the first one is ours.
    twins : mapping of str to RowRequest
        Ours without what is learned, or with nothing trained.
    harder : frozenset of RowRequest
        Those of `rows` that are floors of the second contrast.
    """

    floors: tuple[RowRequest, ...]
    rows: tuple[RowRequest, ...]
    twins: Mapping[str, RowRequest] = field(default_factory=dict)
    harder: frozenset[RowRequest] = frozenset()

    def only(self, wanted: Sequence[RowRequest]) -> Roles:
        """Give the same without rows that are not wanted.

        Parameters
        ----------
        wanted : sequence of RowRequest
            What is kept.
        """
        kept = set(wanted)
        return replace(
            self,
            floors=tuple(row for row in self.floors if row in kept),
            rows=tuple(row for row in self.rows if row in kept),
            twins={name: row for name, row in self.twins.items() if row in kept},
            harder=self.harder & kept,
        )


def compared(
    measured: Mapping[str, Measured],
    roles: Roles,
    target: Target,
    protocol: Protocol,
    seeds: Sequence[int],
    resamples: int,
) -> tuple[tuple[Row, ...], Contrasts]:
    """Give lines of the table, picked floors among them, and what ours is minus each of its floors.

    Parameters
    ----------
    measured : mapping of str to Measured
        Every row by name.
    roles : Roles
        What they are there for.
    target : Target
        Truth and measures; the first one is compared.
    protocol : Protocol
        Folds and clusters.
    seeds : sequence of int
        For which floors are picked.
    resamples : int
        Of the bootstrap.
    """
    harder = tuple(row for row in roles.rows if row in roles.harder)
    picked, counts = _picked(measured, roles.floors, seeds)
    hardest = _picked(measured, (*roles.floors, *harder), seeds) if harder else None
    said = {row.text: measured[row.text].predictions for row in roles.floors} | {PICKED: picked}
    said |= {PICKED_HARDER: hardest[0]} if hardest else {}
    said |= {row.text: measured[row.text].predictions for row in roles.rows}
    features = {name: one.features for name, one in measured.items()} | {PICKED: 0, PICKED_HARDER: 0}
    lines = rows_of(said, features, target, protocol.clusters, (PICKED,), resamples)
    floors = {PICKED, PICKED_HARDER, *(row.text for row in roles.floors)}
    ours = roles.rows[0].text

    def minus(floor: Predictions, counts: Mapping[str, int]) -> Contrast:
        return contrast_of(ours, said[ours], floor, counts, target, protocol.clusters, resamples)

    contrasts = Contrasts(
        minus(picked, counts),
        minus(*hardest) if hardest else None,
        {name: minus(said[row.text], {row.text: 0}) for name, row in roles.twins.items()},
    )
    return tuple(replace(line, floor=line.name in floors) for line in lines), contrasts


def _picked(
    measured: Mapping[str, Measured], floors: Sequence[RowRequest], seeds: Sequence[int]
) -> tuple[Predictions, Mapping[str, int]]:
    names = [row.text for row in floors]
    validation = {name: measured[name].validation for name in names}
    return picked_floor({name: measured[name].predictions for name in names}, validation, seeds)
