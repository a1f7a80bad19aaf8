"""The numbers of a named protocol from a table of answers: mean and spread over seeds, intervals over clusters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trivium.errors import DataError, SpecificationError
from trivium.evaluate.answers import Answers
from trivium.evaluate.bootstrap import Interval, drawn_counts, percentile_interval
from trivium.evaluate.cluster_sums import ClusterSums
from trivium.evaluate.definitions import definition_lines
from trivium.evaluate.named_protocols import Measure, NamedProtocol
from trivium.metrics import metric
from trivium.wording import counted

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Line", "Scorecard", "score_answers", "values_of"]

_FEW_CLUSTERS = 10  # our choice; the percentile bootstrap of so few is known to cover too little


@dataclass(frozen=True)
class Line:
    """One number of the scorecard.

    Parameters
    ----------
    measure : Measure
        What it is.
    by_seed : tuple of float
        One value per seed; NaN where it is not defined.
    interval : Interval
        Of the mean over seeds.
    """

    measure: Measure
    by_seed: tuple[float, ...]
    interval: Interval

    @property
    def mean(self) -> float:
        """Mean over seeds; NaN where one seed has no value."""
        return float(np.mean(self.by_seed))

    @property
    def spread(self) -> float:
        """Standard deviation over seeds (ddof 1); NaN for one seed."""
        return float(np.std(self.by_seed, ddof=1)) if len(self.by_seed) > 1 else math.nan


@dataclass(frozen=True, eq=False)
class Scorecard:
    """All numbers of one protocol for one table.

    Parameters
    ----------
    protocol : NamedProtocol
        What was measured.
    answers : Answers
        What it was measured on.
    lines : tuple of Line
        In printed order.
    resamples : int
        Of the bootstrap.
    provenance : mapping
        Where the predictions come from.
    """

    protocol: NamedProtocol
    answers: Answers
    lines: tuple[Line, ...]
    resamples: int
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def line(self, name: str) -> Line:
        """Give a number by the name of its measure, such as ``acc7`` or ``happy.accuracy``."""
        found = {line.measure.name: line for line in self.lines}
        if name not in found:
            raise SpecificationError(f"there is no number {name!r}", remedy=f"choose one of {', '.join(found)}")
        return found[name]

    def to_json(self) -> dict[str, Any]:
        """Everything that is printed, as plain builtins; null where a number is not defined."""
        return {
            "protocol": self.protocol.name,
            "title": self.protocol.title,
            "definitions": self.definitions(),
            "utterances": len(self.answers),
            "clusters": len(np.unique(self.answers.clusters)),
            "group": self.answers.group or None,
            "folds": self.answers.fold_count,
            "seeds": list(self.answers.seeds),
            "resamples": self.resamples,
            "scores": {
                line.measure.name: {
                    "mean": _number(line.mean),
                    "std": _number(line.spread),
                    "by_seed": [_number(value) for value in line.by_seed],
                    "interval": [_number(line.interval.low), _number(line.interval.high)],
                }
                for line in self.lines
            },
            "notes": self.notes(),
            "provenance": dict(self.provenance),
        }

    def table(self, floor: Scorecard | None = None) -> Table:
        """Rich table for the terminal.

        Parameters
        ----------
        floor : Scorecard, optional
            Of one answer for everybody, on the same utterances: a column beside the numbers.
        """
        from rich.table import Table

        several = len(self.answers.seeds) > 1
        table = Table(title=f"{self.protocol.name}: {self.protocol.title}")
        table.add_column("measure", no_wrap=True)
        heads = ["mean", "± over seeds"] if several else ["value"]
        for head in (*heads, *(["95 % interval"] if self.resamples else []), *(["floor"] if floor else [])):
            table.add_column(head, justify="right", no_wrap=True)
        for line in self.lines:
            cells = [_shown(line.mean), *([_shown(line.spread)] if several else [])]
            interval = f"[{_shown(line.interval.low)}, {_shown(line.interval.high)}]"
            table.add_row(
                line.measure.name + ("" if metric(line.measure.metric).higher_is_better else " (less is better)"),
                *cells,
                *(["" if math.isnan(line.interval.low) else interval] if self.resamples else []),
                *([_shown(floor.line(line.measure.name).mean)] if floor else []),
            )
        return table

    def definitions(self) -> dict[str, str]:
        """One sentence by metric."""
        return {name: metric(name).definition for name in self.protocol.metrics}

    def definition_lines(self) -> list[str]:
        """The same in few words, for the terminal: lines of at most 80 characters, and where the sentences are."""
        return [*definition_lines(self.protocol.metrics), "In full: --json, or docs/protocols.md."]

    def notes(self) -> list[str]:
        """Sentences that belong under the numbers: what was measured, how, and what is not known."""
        answers, protocol = self.answers, self.protocol
        count = f"{counted(len(answers), 'utterance')}, label: {protocol.expects}"
        folds = answers.fold_count
        found = [
            f"{count}; all measured at once."
            if folds == 1
            else f"{count}; measured in each of {folds} folds, averaged.",
            f"Protocol: {protocol.divides}; chosen by {protocol.chooses}. Whether that was kept no table can tell.",
            _of_seeds(answers),
            self._of_intervals(),
        ]
        if protocol.test_sizes and len(answers) not in protocol.test_sizes:
            known = " or ".join(f"{size:,}" for size in protocol.test_sizes)
            found.append(f"The known test fold has {known} utterances, this table {len(answers):,}: not comparable.")
        undefined = [line.measure.name for line in self.lines if math.isnan(line.mean)]
        if undefined:
            found.append(f"Not defined on these answers: {', '.join(undefined)} (constant answers, or no such label).")
        if answers.strange:
            found.append(f"Predicted, but the class of no label: {', '.join(answers.strange)}. It counts as wrong.")
        reads = self.provenance.get("test_reads")
        return [*found, str(reads)] if reads else found

    def _of_intervals(self) -> str:
        group = self.answers.group
        if not self.resamples:
            return "Intervals: none, for no resamples were asked for."
        if group:
            clusters = len(np.unique(self.answers.clusters))
            few = f" {clusters} are too few: such intervals come out too narrow." if clusters < _FEW_CLUSTERS else ""
            return (
                f"Intervals: {self.resamples} resamples of {clusters} clusters ({group}); models are held fixed.{few}"
            )
        return (
            f"Intervals: {self.resamples} resamples of single utterances. Those of one {self.protocol.group} are not "
            "independent: with a column group the intervals become honest, and mostly wider."
        )


def _of_seeds(answers: Answers) -> str:
    if len(answers.seeds) == 1:
        return "One seed: what training again would change is not in these numbers."
    return f"{len(answers.seeds)} seeds ({', '.join(answers.seeds)}): mean and standard deviation (ddof 1) over them."


def score_answers(
    answers: Answers, protocol: NamedProtocol, *, times: int = 1000, provenance: Mapping[str, Any] | None = None
) -> Scorecard:
    """Measure everything that a protocol prints.

    Parameters
    ----------
    answers : Answers
        Of S seeds on N utterances.
    protocol : NamedProtocol
        What to measure.
    times : int
        Resamples of the bootstrap; 0 for none.
    provenance : mapping, optional
        Printed with the numbers where it knows of reads of the test fold.

    Returns
    -------
    Scorecard
        On the whole test set at once; where the table has several folds, in each fold and averaged over them.

    Examples
    --------
    >>> from trivium.evaluate.named_protocols import named_protocol
    >>> from trivium.evaluate.answers import answers_of
    >>> from trivium.evaluate.predictions import PredictionTable
    >>> table = PredictionTable({"id": ["a", "b", "c"], "prediction": [1, 2, 0], "label": [1, 2, -1]})
    >>> protocol = named_protocol("mosi")
    >>> card = score_answers(answers_of(table, protocol), protocol, times=10)
    >>> card.line("acc2_non0").mean, round(card.line("mae").mean, 4)
    (1.0, 0.3333)
    """
    rows = np.arange(len(answers))
    exact = values_of(answers, protocol, rows)
    sums = ClusterSums.of(answers, protocol)
    blocks = [sums.values(counts) for counts in drawn_counts(sums.clusters, times, seed=0)]
    drawn = np.concatenate([np.empty((0, sums.measures)), *blocks])
    lines = tuple(
        Line(m, tuple(exact[k].tolist()), percentile_interval(drawn[:, k])) for k, m in enumerate(protocol.measures)
    )
    return Scorecard(protocol, answers, lines, times, provenance or {})


def values_of(answers: Answers, protocol: NamedProtocol, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Every measure for every seed on some rows.

    Parameters
    ----------
    answers : Answers
        Of S seeds.
    protocol : NamedProtocol
        With M measures.
    rows : int array of shape (n,)
        Row numbers, perhaps repeated.

    Returns
    -------
    array of shape (M, S)
        NaN where a measure is not defined.
    """
    truth = answers.truth[rows]
    found = np.empty((len(protocol.measures), len(answers.seeds)))
    for s in range(len(answers.seeds)):
        said, folds = answers.said[s, rows], answers.fold_numbers[s, rows]
        parts = [folds == number for number in range(folds.max(initial=0) + 1)] if folds.any() else [slice(None)]
        for k, measure in enumerate(protocol.measures):
            y, p = (values[:, protocol.classes.index(measure.of)] if measure.of else values for values in (truth, said))
            found[k, s] = np.mean([_value(measure.metric, y[part], p[part]) for part in parts if len(y[part])])
    return found


def _value(name: str, truth: NDArray[Any], said: NDArray[Any]) -> float:
    try:
        return metric(name).function(truth, said)
    except DataError:  # such as labels that are all 0
        return math.nan


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 6)


def _shown(value: float) -> str:
    return "not defined" if math.isnan(value) else f"{value:.4f}"
