"""Published rows of the field's tables: facts with their source, how sure we are of them, and what chose the epoch.

The file ``published.csv`` holds them as they were printed, accuracies and F1 in percent. A row that was not read in its
source says ``from memory``: check it before quoting.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

__all__ = ["PublishedRow", "published_rows"]

_MOSI = {name: name for name in ("acc2_has0", "f1_has0", "acc2_non0", "f1_non0", "acc3", "acc5", "acc7", "mae")} | {
    "corr": "r"
}
_SIMS = {name: f"sims_{name}" for name in ("acc2", "f1", "acc3", "acc5", "mae")} | {"corr": "sims_r"}
_IEMOCAP = {"acc2": "accuracy", "f1": "weighted_f1"}
_COLUMNS = {"mosi": _MOSI, "mosei": _MOSI, "sims": _SIMS, "simsv2": _SIMS, "iemocap": _IEMOCAP}
_NO_SHARES = ("mae", "corr")


@dataclass(frozen=True)
class PublishedRow:
    """One system on one corpus, as somebody printed it.

    Parameters
    ----------
    model : str
        As it is called there.
    network : str
        The network of trivium that it is, or empty.
    data : str
        ``aligned``, ``unaligned``, or empty where that is not said.
    values : mapping of str to float
        By the name of our measure; accuracies and F1 as shares.
    source : str
        Where it stands.
    confidence : str
        ``read in source`` or ``from memory``.
    selection : str
        What chose the epoch and the settings, or ``not established``.
    note : str
        What else has to be known.
    """

    model: str
    network: str
    data: str
    values: Mapping[str, float]
    source: str
    confidence: str
    selection: str
    note: str = ""


@cache
def _table() -> tuple[dict[str, str], ...]:
    text = files(__package__).joinpath("published.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


def published_rows(dataset: str, network: str | None = None) -> list[PublishedRow]:
    """Rows of one corpus, in the order of the file.

    Parameters
    ----------
    dataset : str
        ``mosi``, ``mosei``, ``sims``, ``simsv2`` or ``iemocap``.
    network : str, optional
        Only those of this network of trivium; ``""`` for systems that trivium does not have.

    Examples
    --------
    >>> first = published_rows("mosi", "self-mm")[0]
    >>> first.values["acc2_non0"], first.values["mae"], first.confidence
    (0.8546, 0.708, 'read in source')
    """
    found: dict[tuple[str, ...], PublishedRow] = {}
    for line in _table():
        if line["dataset"] != dataset or network not in (None, line["network"]):
            continue
        key = (line["model"], line["data"], line["source"])
        told = {name: line[name] for name in ("model", "network", "data", "source", "confidence", "selection", "note")}
        values = {**(found[key].values if key in found else {}), **_values(line)}
        found[key] = PublishedRow(values=values, **told)
    return list(found.values())


def _values(line: Mapping[str, str]) -> dict[str, float]:
    of = f"{line['of']}." if line["of"] else ""
    known = {column: name for column, name in _COLUMNS[line["dataset"]].items() if line[column]}
    return {
        f"{of}{name}": float(line[column]) if column in _NO_SHARES else round(float(line[column]) / 100, 6)
        for column, name in known.items()
    }
