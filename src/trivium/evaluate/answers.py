"""A table of predictions read in the terms of a protocol: what was said, what is true, for every utterance and seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.errors import DataError, FormatError, SpecificationError
from trivium.evaluate.clusters import clusters_of
from trivium.evaluate.named_protocols import NamedProtocol
from trivium.evaluate.predictions import PredictionTable

__all__ = ["Answers", "answers_of"]


@dataclass(frozen=True, eq=False)
class Answers:
    """Predictions of S seeds for the same N utterances.

    Parameters
    ----------
    ids : str array of shape (N,)
        Sorted.
    seeds : tuple of str
        S names of seeds; ``("",)`` where the table has none.
    said : array of shape (S, N) or (S, N, K)
        Numbers (float32), class names, or whether each of K classes is present.
    truth : array of shape (N,) or (N, K)
        Labels in the same terms.
    folds : str array of shape (S, N)
        Test fold of every row; ``""`` where the table has none.
    clusters : array of shape (N,)
        What intervals resample as a whole.
    group : str
        Name of the column the clusters are from; empty where every utterance stands alone.
    name : str
        What errors and tables call it.
    """

    ids: NDArray[np.str_]
    seeds: tuple[str, ...]
    said: NDArray[Any]
    truth: NDArray[Any]
    folds: NDArray[np.str_]
    clusters: NDArray[Any]
    group: str = ""
    name: str = "predictions"

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def fold_numbers(self) -> NDArray[np.int64]:
        """Test fold of every row as a number from 0, (S, N)."""
        return np.asarray(np.unique(self.folds, return_inverse=True)[1].reshape(self.folds.shape))

    @property
    def strange(self) -> list[str]:
        """Class names that are predicted and the label of no utterance."""
        return sorted(set(self.said.ravel().tolist()) - set(self.truth.tolist())) if self.said.dtype.kind == "U" else []

    @property
    def fold_count(self) -> int:
        """How many test folds there are, over all seeds."""
        return int(self.fold_numbers.max()) + 1

    def of(self, rows: NDArray[np.int64]) -> Answers:
        """Keep some utterances.

        Parameters
        ----------
        rows : int array of shape (n,)
            Row numbers.
        """
        return replace(
            self,
            ids=self.ids[rows],
            said=self.said[:, rows],
            truth=self.truth[rows],
            folds=self.folds[:, rows],
            clusters=self.clusters[rows],
        )


def answers_of(
    table: PredictionTable, protocol: NamedProtocol, *, group: str | None = None, row: str | None = None
) -> Answers:
    """Read a table in the terms of a protocol.

    Parameters
    ----------
    table : PredictionTable
        One row per utterance and seed. Classes are predicted by name (``prediction``) or by the largest of one number
        per class (``prediction_<class>``, or ``p_<class>``; equal ones: the first class). Of a multilabel protocol
        there is one ``prediction_<class>`` and one ``label_<class>`` each.
    protocol : NamedProtocol
        Says what the columns hold.
    group : str, optional
        Column whose equal values belong together; default ``group`` where there is one.
    row : str, optional
        In a table of several systems, such as that of `trivium probe`: which value of the column ``row``.

    Raises
    ------
    FormatError
        A column is missing.
    DataError
        An id is there twice for one seed, seeds have other ids or labels, a label is out of the protocol's range or
        none of its classes, a cell cannot be used. Names file and line.

    Examples
    --------
    >>> from trivium.evaluate.named_protocols import named_protocol
    >>> table = PredictionTable({"id": ["b", "a"], "prediction": [0.5, -1], "label": [1, -2]})
    >>> answers_of(table, named_protocol("mosi")).truth.tolist()
    [-2.0, 1.0]
    """
    table = _chosen(table, row)
    order, seeds = _order(table)
    said, truth = _READERS[protocol.kind](table, protocol)
    _require_one_truth(table, order, truth)
    column = group or ("group" if "group" in table else "")
    groups = _optional_text(table, column)[order] if column else np.array([""])
    if column and (groups != groups[0]).any():
        raise DataError(f"the column {column} differs between seeds", file=table.file, remedy="give it once by id")
    ids = table.text("id")[order[0]]
    folds = _optional_text(table, "fold") if "fold" in table else np.full(len(table), "")
    clusters = clusters_of(groups[0]) if column else ids
    return Answers(ids, seeds, said[order], truth[order[0]], folds[order], clusters, column, table.file)


def _chosen(table: PredictionTable, row: str | None) -> PredictionTable:
    if row is None and "row" not in table:
        return table
    names = table.text("row")
    known = list(dict.fromkeys(names.tolist()))
    if row is None and len(known) == 1:
        return table
    if row not in known:
        raise SpecificationError(
            "the column row tells several systems apart" if row is None else f"there is no row {row!r}",
            file=table.file,
            remedy=f"choose one of {', '.join(known)} (--row)",
        )
    return table.rows(np.flatnonzero(names == row).tolist())


def _order(table: PredictionTable) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Row numbers by seed and sorted id (S, N), and the seeds."""
    ids = table.text("id")
    of = table.text("seed", whole=True) if "seed" in table else np.full(len(ids), "")
    seeds = sorted(set(of.tolist()), key=lambda seed: (len(seed), seed))
    found, first = [], np.unique(ids[of == seeds[0]])
    for seed in seeds:
        rows = np.flatnonzero(of == seed)
        rows = rows[np.argsort(ids[rows], kind="stable")]
        same = np.flatnonzero(ids[rows][1:] == ids[rows][:-1])
        if len(same):
            raise _twice(table, rows[same[0] + 1], ids, seed)
        if not np.array_equal(ids[rows], first):
            odd = np.setxor1d(ids[rows], first)
            raise DataError(
                f"seeds {seeds[0]} and {seed} do not predict the same utterances: {len(odd)} are in one only, "
                f"such as {str(odd[0])!r}",
                file=table.file,
                remedy="predict the whole test fold with every seed",
            )
        found.append(rows)
    return np.array(found), tuple(seeds)


def _twice(table: PredictionTable, row: np.int64, ids: NDArray[np.str_], seed: str) -> DataError:
    which = f" for seed {seed}" if seed else ""
    return DataError(
        f"the id {str(ids[row])!r} is there twice{which}",
        file=table.file,
        place=table.place(int(row), "id"),
        remedy="keep one row by id, or tell runs apart in a column seed",
    )


def _require_one_truth(table: PredictionTable, order: NDArray[np.int64], truth: NDArray[Any]) -> None:
    differs = (truth[order] != truth[order[0]]).reshape(*order.shape, -1).any(axis=2)
    if differs.any():
        row = int(order[tuple(np.argwhere(differs)[0])])
        raise DataError(
            f"the label of {table.text('id')[row]!s} is another than for the first seed",
            file=table.file,
            place=table.place(row),
            remedy="labels do not depend on the seed",
        )


def _optional_text(table: PredictionTable, name: str) -> NDArray[np.str_]:
    """A column of text where cells may be empty."""
    if name not in table:
        return table.text(name)  # says what is missing
    filled = [" " if cell in (None, "") else cell for cell in table.columns[name]]
    return np.char.strip(PredictionTable({name: filled}, file=table.file, lines=table.lines).text(name))


def _number(table: PredictionTable, protocol: NamedProtocol) -> tuple[NDArray[Any], NDArray[Any]]:
    label = _single(table, "label")
    truth = table.numbers(label)
    _require_range(table, label, truth, protocol)
    return table.numbers(_single(table, "prediction")), truth


def _single(table: PredictionTable, kind: str) -> str:
    """The column of this kind, also where it carries the name of the one label, as `trivium probe` writes it."""
    named = [name for name in table.columns if name.startswith(f"{kind}_")]
    return named[0] if kind not in table and len(named) == 1 else kind


def _class(table: PredictionTable, protocol: NamedProtocol) -> tuple[NDArray[Any], NDArray[Any]]:
    truth = table.text("label", whole=True)
    if "prediction" in table:
        said = table.text("prediction", whole=True)
        _require_names(table, said, truth)
        classes = protocol.classes or tuple(np.unique(truth).tolist())
        if protocol.classes:
            _require_classes(table, "prediction", said, classes)
    else:
        named = _numbers_by_class(table)
        classes = protocol.classes or tuple(named)
        if set(named) != set(classes):
            raise FormatError(
                f"there are predictions of the classes {', '.join(named)}",
                file=table.file,
                remedy=f"give one column for each of {', '.join(classes)}",
            )
        numbers = np.stack([table.numbers(named[name]) for name in classes], axis=1)
        said = np.array(classes, dtype=np.str_)[numbers.argmax(axis=1)]
    _require_classes(table, "label", truth, classes)
    return said, truth


def _require_names(table: PredictionTable, said: NDArray[np.str_], truth: NDArray[np.str_]) -> None:
    """Numbers that are no label's are answers to another question, not classes that are all wrong."""
    if len(said) and not set(said.tolist()) & set(truth.tolist()) and all(map(_is_fraction, said.tolist())):
        raise DataError(
            f"the predictions are numbers (such as {said[0]}), and the labels classes (such as {truth[0]})",
            file=table.file,
            remedy="name a protocol of numbers, or give the names of classes",
        )


def _is_fraction(text: str) -> bool:
    try:
        return not float(text).is_integer()
    except (ValueError, OverflowError):
        return False


def _numbers_by_class(table: PredictionTable) -> dict[str, str]:
    """Column by class; without any, the error asks for ``prediction``."""
    for prefix in ("prediction_", "p_"):
        named = {name.removeprefix(prefix): name for name in table.columns if name.startswith(prefix)}
        if len(named) > 1:
            return named
    table.text("prediction")
    return {}


def _require_classes(table: PredictionTable, column: str, values: NDArray[np.str_], classes: tuple[str, ...]) -> None:
    unknown = np.flatnonzero(~np.isin(values, classes))
    if len(unknown):
        row = int(unknown[0])
        raise DataError(
            f"{str(values[row])!r} is none of the classes {', '.join(classes)}",
            file=table.file,
            place=table.place(row, column),
            remedy="name classes as the protocol does, or score it as `classification`",
        )


def _require_range(table: PredictionTable, column: str, values: NDArray[np.float32], protocol: NamedProtocol) -> None:
    if protocol.range is None:
        return
    low, high = protocol.range
    outside = np.flatnonzero((values < low) | (values > high))
    if len(outside):
        row = int(outside[0])
        raise DataError(
            f"{values[row]:g} is outside {low:g} ... {high:g}, the range of {protocol.name}",
            file=table.file,
            place=table.place(row, column),
            remedy="choose another protocol, or bring the numbers to its scale",
        )


def _presences(table: PredictionTable, protocol: NamedProtocol) -> tuple[NDArray[Any], NDArray[Any]]:
    found: dict[str, list[NDArray[np.bool_]]] = {"prediction": [], "label": []}
    for name in protocol.classes:
        for kind, columns in found.items():
            numbers = table.numbers(f"{kind}_{name}")
            if kind == "label" or protocol.range == (0.0, 1.0):
                _require_range(table, f"{kind}_{name}", numbers, protocol)
            columns.append(numbers > np.float32(protocol.threshold or 0.0))
    return np.stack(found["prediction"], axis=1), np.stack(found["label"], axis=1)


_READERS = {
    "regression": _number,
    "ordinal": _number,
    "binary": _class,
    "multiclass": _class,
    "multilabel": _presences,
}
