"""Where a corpus finds its utterances when it is not on disk: in a list, in part of a source, in several sources."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from trivium.corpus.specification import LabelSpecification, Specification
from trivium.corpus.utterance import Utterance

__all__ = ["Joined", "Memory", "Rows", "Selected", "Source", "label_column", "part_names", "scatter"]

Found = TypeVar("Found")


class Source(Protocol):
    """Where a corpus finds its utterances: in memory, on disk, or in several other sources."""

    def __len__(self) -> int:
        """Count the utterances."""

    def column_names(self) -> Sequence[str]:
        """Names of the scalar columns: ``id clip text start end``, then ``group.*``, ``split.*`` and ``label.*``."""

    def column(self, name: str) -> NDArray[Any]:
        """One scalar column for all utterances (see :meth:`Corpus.column` for types)."""

    def lengths(self, modality: str) -> NDArray[np.int64]:
        """Steps of one modality, -1 where the utterance lacks it."""

    def values(self, modality: str, rows: NDArray[np.int64]) -> list[NDArray[Any] | None]:
        """Values (T, D) of one modality by row number, None where the utterance lacks it; not copied."""

    def utterances(self, rows: NDArray[np.int64]) -> list[Utterance]:
        """Read whole utterances by row number, in the order asked for."""

    def only(self, rows: NDArray[np.int64]) -> Source:
        """A source of these rows, in this order, that holds none of the others."""


def part_names(columns: Iterable[str], kind: str) -> list[str]:
    """Names behind ``group.`` or ``split.`` among the names of columns.

    Parameters
    ----------
    columns : iterable of str
        Such as ``group.speaker``.
    kind : str
        ``group`` or ``split``.
    """
    return [name.partition(".")[2] for name in columns if name.startswith(f"{kind}.")]


def label_column(values: Sequence[Any], label: LabelSpecification) -> NDArray[Any]:
    """Column of one label, with NaN or ``""`` where a value is None.

    Parameters
    ----------
    values : sequence of N values or None
        As stored in :class:`Utterance`.
    label : LabelSpecification
        Says which type the column has.
    """
    if label.kind == "multilabel":
        absent = (np.nan,) * len(label.classes)
        return np.array([absent if v is None else v for v in values], np.float64).reshape(-1, len(label.classes))
    if label.is_number:
        return np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    return np.array(["" if v is None else v for v in values], dtype=np.str_)


class Memory:
    """Utterances held in a list.

    Parameters
    ----------
    utterances : list of Utterance
        Checked against `specification`.
    specification : Specification
        Names the labels.
    """

    def __init__(self, utterances: list[Utterance], specification: Specification) -> None:
        self._utterances = utterances
        self._specification = specification
        self._columns: dict[str, NDArray[Any]] = {}
        self._names = ["id", "clip", "text", "start", "end"]
        for kind, maps in (("group", [u.groups for u in utterances]), ("split", [u.splits for u in utterances])):
            self._names += [f"{kind}.{name}" for name in sorted({name for m in maps for name in m})]
        self._names += [f"label.{label.key}" for label in specification.labels]

    def __len__(self) -> int:
        return len(self._utterances)

    def column_names(self) -> Sequence[str]:
        """See :class:`Source`."""
        return self._names

    def column(self, name: str) -> NDArray[Any]:
        """See :class:`Source`."""
        if name not in self._columns:
            self._columns[name] = self._build(name)
        return self._columns[name]

    def _build(self, name: str) -> NDArray[Any]:
        kind, _, rest = name.partition(".")
        if kind == "label":
            return label_column([u.labels.get(rest) for u in self._utterances], self._specification.label(rest))
        if kind in ("start", "end"):
            return np.array([getattr(u, kind) for u in self._utterances], dtype=np.float64)
        if kind in ("group", "split"):
            return np.array([getattr(u, f"{kind}s").get(rest, "") for u in self._utterances], dtype=np.str_)
        return np.array([getattr(u, name) for u in self._utterances], dtype=np.str_)

    def lengths(self, modality: str) -> NDArray[np.int64]:
        """See :class:`Source`."""
        streams = (u.streams.get(modality) for u in self._utterances)
        return np.array([-1 if s is None else s.steps for s in streams], dtype=np.int64)

    def values(self, modality: str, rows: NDArray[np.int64]) -> list[NDArray[Any] | None]:
        """See :class:`Source`."""
        streams = (self._utterances[row].streams.get(modality) for row in rows)
        return [None if s is None else s.values for s in streams]

    def utterances(self, rows: NDArray[np.int64]) -> list[Utterance]:
        """See :class:`Source`."""
        return [self._utterances[row] for row in rows]

    def only(self, rows: NDArray[np.int64]) -> Source:
        """See :class:`Source`."""
        return Memory(self.utterances(rows), self._specification)


class Rows:
    """Some rows of a source, in their own order.

    Parameters
    ----------
    source : Source
        Where the rows are.
    rows : integer array of shape (K,)
        Which ones.
    """

    def __init__(self, source: Source, rows: NDArray[np.int64]) -> None:
        self._source, self._rows = source, rows

    def __len__(self) -> int:
        return len(self._rows)

    def column_names(self) -> Sequence[str]:
        """See :class:`Source`."""
        return self._source.column_names()

    def column(self, name: str) -> NDArray[Any]:
        """See :class:`Source`."""
        column: NDArray[Any] = self._source.column(name)[self._rows]
        return column

    def lengths(self, modality: str) -> NDArray[np.int64]:
        """See :class:`Source`."""
        return self._source.lengths(modality)[self._rows]

    def values(self, modality: str, rows: NDArray[np.int64]) -> list[NDArray[Any] | None]:
        """See :class:`Source`."""
        return self._source.values(modality, self._rows[rows])

    def utterances(self, rows: NDArray[np.int64]) -> list[Utterance]:
        """See :class:`Source`."""
        return self._source.utterances(self._rows[rows])

    def only(self, rows: NDArray[np.int64]) -> Source:
        """See :class:`Source`."""
        return self._source.only(self._rows[rows])


class Selected:
    """A source that hides modalities.

    Parameters
    ----------
    source : Source
        Holds at least `modalities`.
    modalities : tuple of str
        Those that stay.
    """

    def __init__(self, source: Source, modalities: tuple[str, ...]) -> None:
        self._source, self._modalities = source, modalities

    def __len__(self) -> int:
        return len(self._source)

    def column_names(self) -> Sequence[str]:
        """See :class:`Source`."""
        return self._source.column_names()

    def column(self, name: str) -> NDArray[Any]:
        """See :class:`Source`."""
        return self._source.column(name)

    def lengths(self, modality: str) -> NDArray[np.int64]:
        """See :class:`Source`."""
        return self._source.lengths(modality)

    def values(self, modality: str, rows: NDArray[np.int64]) -> list[NDArray[Any] | None]:
        """See :class:`Source`."""
        return self._source.values(modality, rows)

    def utterances(self, rows: NDArray[np.int64]) -> list[Utterance]:
        """See :class:`Source`."""
        kept = self._modalities
        return [
            replace(u, streams={m: u.streams[m] for m in kept if m in u.streams}) for u in self._source.utterances(rows)
        ]

    def only(self, rows: NDArray[np.int64]) -> Source:
        """See :class:`Source`."""
        return Selected(self._source.only(rows), self._modalities)


class Joined:
    """Several sources behind one another, with their name as the group ``corpus``.

    Parameters
    ----------
    parts : sequence of Source
        At least one.
    names : sequence of str
        One distinct name per part.
    labels : sequence of LabelSpecification
        Labels of all parts; missing in the parts that do not have them.
    """

    def __init__(self, parts: Sequence[Source], names: Sequence[str], labels: Sequence[LabelSpecification]) -> None:
        self._parts, self._part_names = list(parts), list(names)
        self._ends = np.cumsum([len(part) for part in parts])
        self._labels = {f"label.{label.key}": label for label in labels}
        found = dict.fromkeys(n for part in parts for n in part.column_names() if not n.startswith("label."))
        self._names = [*dict.fromkeys([*found, "group.corpus"]), *self._labels]
        self._columns: dict[str, NDArray[Any]] = {}

    def __len__(self) -> int:
        return int(self._ends[-1])

    def column_names(self) -> Sequence[str]:
        """See :class:`Source`."""
        return self._names

    def column(self, name: str) -> NDArray[Any]:
        """See :class:`Source`."""
        if name not in self._columns:
            pairs = zip(self._parts, self._part_names, strict=True)
            self._columns[name] = np.concatenate([self._column_of(part, own, name) for part, own in pairs])
        return self._columns[name]

    def _column_of(self, part: Source, own: str, name: str) -> NDArray[Any]:
        if name == "group.corpus":
            return np.full(len(part), own)  # a dtype would cut the name to one sign
        if name in part.column_names():
            return part.column(name)
        if name in self._labels:
            return label_column([None] * len(part), self._labels[name])
        return np.full(len(part), "")

    def lengths(self, modality: str) -> NDArray[np.int64]:
        """See :class:`Source`."""
        return np.concatenate([part.lengths(modality) for part in self._parts])

    def values(self, modality: str, rows: NDArray[np.int64]) -> list[NDArray[Any] | None]:
        """See :class:`Source`."""
        return scatter(self._ends, rows, lambda part, own: self._parts[part].values(modality, own))

    def utterances(self, rows: NDArray[np.int64]) -> list[Utterance]:
        """See :class:`Source`."""

        def read(part: int, own: NDArray[np.int64]) -> list[Utterance]:
            name = self._part_names[part]
            return [replace(u, groups={**u.groups, "corpus": name}) for u in self._parts[part].utterances(own)]

        return scatter(self._ends, rows, read)

    def only(self, rows: NDArray[np.int64]) -> Source:
        """See :class:`Source`."""
        kept, places = np.unique(rows, return_inverse=True)
        begins = np.concatenate([[0], self._ends[:-1]])
        own = [kept[(begin <= kept) & (kept < end)] - begin for begin, end in zip(begins, self._ends, strict=True)]
        parts = [part.only(one) for part, one in zip(self._parts, own, strict=True)]
        return Rows(Joined(parts, self._part_names, list(self._labels.values())), places)


def scatter(
    ends: NDArray[np.int64], rows: NDArray[np.int64], read: Callable[[int, NDArray[np.int64]], list[Found]]
) -> list[Found]:
    """Read rows that lie in several parts, part by part, and give them back in the order asked for.

    Parameters
    ----------
    ends : integer array
        For each part, the first row behind it.
    rows : integer array of shape (K,)
        Rows of the whole, in any order.
    read : function
        ``read(part, rows within the part)`` gives one item per row.
    """
    which = np.searchsorted(ends, rows, side="right")
    order = np.argsort(which, kind="stable")
    found: list[Found] = []
    for part, places in _runs(which, order):
        begin = ends[part - 1] if part else 0
        found += read(part, rows[places] - begin)
    back = np.empty(len(rows), dtype=np.int64)
    back[order] = np.arange(len(rows))
    return [found[place] for place in back]


def _runs(which: NDArray[np.int64], order: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    ordered = which[order]
    cuts = np.flatnonzero(np.diff(ordered)) + 1
    for places in np.split(order, cuts):
        if len(places):
            yield int(which[places[0]]), places
