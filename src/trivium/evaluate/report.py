"""What a probe leaves behind: predictions, scores with intervals, a table, and a record of each read of a test fold."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trivium.errors import FormatError, SpecificationError
from trivium.evaluate.bootstrap import Interval
from trivium.files import atomic_file, write_json
from trivium.metrics import metric

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Predictions", "ProbeResult", "Row", "TestReads"]

_WHOLE_NAME = 20  # of a representation: longer names are folded on a narrow terminal


@dataclass(frozen=True, eq=False)
class Predictions:
    """What one representation's readout said of the test rows.

    Parameters
    ----------
    seeds : tuple of int
        S seeds.
    output : array of shape (S, N, K)
        Probabilities of K classes, or K numbers; NaN where a row was not tested.
    folds : str array of shape (S, N)
        Fold that tested the row, empty where none did.
    """

    seeds: tuple[int, ...]
    output: NDArray[np.float64]
    folds: NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class Row:
    """One line of the table.

    Parameters
    ----------
    name : str
        Of the representation.
    floor : bool
        Whether it is one of the floors.
    features : int
        Length of its vectors.
    scores : mapping of str to tuple of float
        By metric, one value per seed.
    interval : Interval
        Of the first metric, averaged over seeds, under resampling of clusters.
    differences : mapping of str to (float, Interval)
        First metric minus that of each floor, with its paired interval; empty for floors.
    predictions : Predictions
        What the scores come from.
    """

    name: str
    floor: bool
    features: int
    scores: Mapping[str, tuple[float, ...]]
    interval: Interval
    differences: Mapping[str, tuple[float, Interval]]
    predictions: Predictions

    def mean(self, name: str) -> float:
        """Mean of a metric over seeds."""
        return float(np.mean(self.scores[name]))

    def spread(self, name: str) -> float:
        """Standard deviation of a metric over seeds (ddof 1); NaN for one seed."""
        values = self.scores[name]
        return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


class TestReads:
    """Record of every read of a test fold, kept in the folder of a run across runs.

    A line of ``test_reads.jsonl`` holds ``config`` (hash of everything that decides the predictions), ``row``,
    ``fold``, ``seed`` and ``count``: how often these predictions have been read so far. It holds no time.

    Parameters
    ----------
    folder : path, optional
        Folder of the run; None keeps the record in memory.

    Examples
    --------
    >>> reads = TestReads()
    >>> reads.record("ab12", "mean", "1", 0)
    >>> reads.total
    1
    """

    __test__ = False  # the name begins like a test's, pytest should not collect it

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._file = None if folder is None else Path(folder) / "test_reads.jsonl"
        self._counts: dict[tuple[str, str, int], int] = {}
        self.total = 0
        if self._file is not None:
            _require_folder(self._file.parent)
        if self._file is not None and self._file.exists():
            for number, line in enumerate(self._file.read_text(encoding="utf-8").splitlines(), 1):
                self._remember(line, number)

    def record(self, config: str, row: str, fold: str, seed: int) -> None:
        """Add one read.

        Parameters
        ----------
        config : str
            Hash of the configuration.
        row, fold : str
            Names of the representation and the fold.
        seed : int
            Of the run.
        """
        count = self._count(config, fold, seed)
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            line = {"config": config, "row": row, "fold": fold, "seed": seed, "count": count}
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, sort_keys=True) + "\n")

    def _count(self, config: str, fold: str, seed: int) -> int:
        key = (config, fold, seed)
        self._counts[key] = self._counts.get(key, 0) + 1
        self.total += 1
        return self._counts[key]

    def _remember(self, line: str, number: int) -> None:
        try:
            told = json.loads(line)
            self._count(str(told["config"]), str(told["fold"]), int(told["seed"]))
        except (ValueError, KeyError, TypeError) as cause:
            raise FormatError("is no record of a read", file=self._file, place=f"line {number}") from cause


def _require_folder(folder: Path) -> None:
    """Refuse a folder that could not be made at the end of a long run."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise FormatError("is no folder, so nothing can be written there", file=nearest, remedy="choose another folder")


@dataclass(frozen=True, eq=False)
class ProbeResult:
    """Scores of representations beside their floors.

    Parameters
    ----------
    label : tuple of str
        What was predicted.
    protocol : str
        How, in one sentence.
    metrics : tuple of str
        The first one is that of the intervals.
    rows : tuple of Row
        Floors first.
    classes : tuple of str
        Empty for numbers.
    ids : str array of shape (N,)
        Of the utterances.
    truth : array of shape (N,) or (N, K)
        Labels.
    settings : mapping
        Everything else that decides the numbers, as plain builtins.
    test_reads : int
        Reads of a test fold recorded in the run's folder, this run included.
    """

    label: tuple[str, ...]
    protocol: str
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    classes: tuple[str, ...]
    ids: NDArray[np.str_]
    truth: NDArray[Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    test_reads: int = 0

    def row(self, name: str) -> Row:
        """Give the line of one representation by name; the error lists those that exist."""
        for row in self.rows:
            if row.name == name:
                return row
        raise SpecificationError(
            f"there is no row {name!r}", remedy=f"choose from {', '.join(row.name for row in self.rows)}"
        )

    def to_json(self) -> dict[str, Any]:
        """Everything but the predictions, as plain builtins; null where a number is not defined."""
        return {
            "label": list(self.label),
            "protocol": self.protocol,
            "metrics": {name: metric(name).definition for name in self.metrics},
            "rows": [_row_json(row, self.metrics) for row in self.rows],
            "classes": list(self.classes),
            "utterances": len(self.ids),
            "settings": dict(self.settings),
            "test_reads": self.test_reads,
        }

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Write ``result.json``, ``result.md`` and ``predictions.csv`` into the run's folder.

        Parameters
        ----------
        folder : path
            Made where it does not exist.
        """
        write_json(Path(folder) / "result.json", self.to_json())
        with atomic_file(Path(folder) / "result.md") as draft:
            draft.write_text(self.markdown(), encoding="utf-8")
        with atomic_file(Path(folder) / "predictions.csv") as draft:
            draft.write_text(self.predictions_csv(), encoding="utf-8")

    def predictions_csv(self) -> str:
        """One line per row of the table, seed and tested utterance: label, prediction, and probabilities of classes."""
        names = self.classes or self.label
        heads = [f"p_{n}" for n in names] if self.classes else [f"prediction_{n}" for n in names]
        truths = ["label"] if self.classes else [f"label_{n}" for n in names]
        text = StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["row", "seed", "fold", "id", *truths, *(["prediction"] if self.classes else []), *heads])
        for row in self.rows:
            writer.writerows(self._lines(row))
        return text.getvalue()

    def _lines(self, row: Row) -> list[list[Any]]:
        found = row.predictions
        lines = []
        for k, seed in enumerate(found.seeds):
            for i in np.flatnonzero(found.folds[k] != "").tolist():
                output = found.output[k, i]
                truth = [self.truth[i]] if self.classes else [f"{v:.7g}" for v in np.atleast_1d(self.truth[i])]
                said = [self.classes[int(output.argmax())]] if self.classes else []
                numbers = [f"{v:.7g}" for v in output]
                lines.append([row.name, seed, found.folds[k, i], self.ids[i], *truth, *said, *numbers])
        return lines

    def markdown(self) -> str:
        """Table with the definitions of its metrics below."""
        head = ["representation", "features", *(_heading(name) for name in self.metrics), "95 % interval"]
        best = self._best_floor()
        head.append(f"minus {best.name}" if best else "minus best floor")
        lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
        lines += [f"| {' | '.join(cells)} |" for cells in self._cells(best)]
        return "\n".join([*lines, "", *(f"{text}  " for text in self.notes()), ""])

    def table(self) -> Table:
        """Rich table for the terminal."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table

        best = self._best_floor()
        lines = self._cells(best)
        heads = ("features", *map(_heading, self.metrics), "95 %", f"minus {best.name}" if best else "minus floor")
        title = f"{', '.join(self.label[:3])}{' ...' if len(self.label) > 3 else ''}"
        table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        widest = max(len(row.name) for row in self.rows)
        table.add_column("representation", overflow="fold", min_width=min(widest, _WHOLE_NAME))
        for place, name in enumerate(heads, start=1):
            words = [word for text in (name, *(line[place] for line in lines)) for word in text.split()]
            # lines may break between words; a number that lost its end would be another number
            table.add_column(name, justify="right", width=max(map(len, words)))
        for row, cells in zip(self.rows, lines, strict=True):
            table.add_row(*cells, style="dim" if row.floor else None)
        return table

    def notes(self) -> list[str]:
        """Sentences that belong under the table: protocol, definitions, what the intervals are."""
        seeds = max(len(row.predictions.seeds) for row in self.rows)
        first = metric(self.metrics[0])
        return [
            f"Protocol: {self.protocol}.",
            *(f"{_heading(name)}: {metric(name).definition}" for name in self.metrics),
            "Each measure is taken within every test fold and averaged over folds; one seed."
            if seeds == 1
            else "Each measure is taken within every test fold and averaged over folds, then over seeds "
            f"({seeds} at most; ± is the standard deviation over seeds).",
            f"Intervals: {first.name}, averaged over seeds, {self.settings.get('resamples')} resamples of whole "
            f"clusters ({self.settings.get('clusters')}); differences are paired on the same resamples. "
            "They hold the trained models fixed: training again would add to them.",
            *self.settings.get("remarks", ()),
            f"Reads of a test fold recorded: {self.test_reads}.",
        ]

    def _best_floor(self) -> Row | None:
        first = metric(self.metrics[0])
        floors = [row for row in self.rows if row.floor and not math.isnan(row.mean(first.name))]
        if not floors:
            return None
        return max(floors, key=lambda row: row.mean(first.name) * (1 if first.higher_is_better else -1))

    def _cells(self, best: Row | None) -> list[list[str]]:
        lines = []
        for row in self.rows:
            values = [_with_spread(row.mean(name), row.spread(name)) for name in self.metrics]
            minus = ""
            if best is not None and best.name in row.differences:
                value, interval = row.differences[best.name]
                minus = f"{value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"
            interval_text = f"[{row.interval.low:.3f}, {row.interval.high:.3f}]"
            interval_text = "" if math.isnan(row.interval.low) else interval_text
            lines.append([row.name, str(row.features), *values, interval_text, minus])
        return lines


def _heading(name: str) -> str:
    return name if metric(name).higher_is_better else f"{name} (less is better)"


def _with_spread(value: float, spread: float) -> str:
    if math.isnan(value):
        return "not defined"
    return f"{value:.3f}" if math.isnan(spread) else f"{value:.3f} ± {spread:.3f}"


def _row_json(row: Row, names: Sequence[str]) -> dict[str, Any]:
    return {
        "name": row.name,
        "floor": row.floor,
        "features": row.features,
        "seeds": list(row.predictions.seeds),
        "scores": {
            name: {
                "mean": _number(row.mean(name)),
                "std": _number(row.spread(name)),
                "by_seed": [_number(v) for v in row.scores[name]],
            }
            for name in names
        },
        "interval": [_number(row.interval.low), _number(row.interval.high)],
        "differences": {
            floor: {"mean": _number(value), "interval": [_number(interval.low), _number(interval.high)]}
            for floor, (value, interval) in row.differences.items()
        },
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 6)
