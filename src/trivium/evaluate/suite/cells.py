"""One fold of one row: its answers and its score on validation, kept so that a run that was killed goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier, DummyRegressor

from trivium.errors import DataError
from trivium.evaluate.protocols import Fold, Protocol
from trivium.evaluate.readout import GRID
from trivium.evaluate.report import TestReads
from trivium.evaluate.suite.parts import Learning, PartVectors
from trivium.evaluate.suite.requests import READOUTS, RowRequest, made_readout, reads_blocks
from trivium.evaluate.suite.source import estimator_digest, source_digest
from trivium.evaluate.target import Target
from trivium.files import atomic_file, canonical_json, sha256_bytes
from trivium.formats.arrays import open_archive

__all__ = ["EVERYTHING", "Bench", "Cell", "Cut"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Cut:
    """How much of the training rows takes part.

    Parameters
    ----------
    labels : int
        Labelled rows that the readout learns from; 0: all.
    draws : int
        How often they are drawn.
    unlabelled : float
        Share of the training clusters that representations are fitted on.

    Examples
    --------
    >>> Cut().text, Cut(labels=30, draws=50).text
    ('all', '30 labels')
    """

    labels: int = 0
    draws: int = 1
    unlabelled: float = 1.0

    @property
    def text(self) -> str:
        """A few words."""
        told = [f"{self.labels} labels"] if self.labels else []
        told += [f"{self.unlabelled:.0%} unlabelled"] if self.unlabelled < 1 else []
        return ", ".join(told) or "all"

    def can_be_had(self, fold: Fold) -> bool:
        """Whether a fold has more rows to learn from than labels are wanted; with no more, it would be all of them.

        Parameters
        ----------
        fold : Fold
            Its training and validation rows count.
        """
        return self.labels < len(fold.train) + len(fold.valid)


EVERYTHING = Cut()
"""All training rows."""


@dataclass(frozen=True, eq=False)
class Cell:
    """Answers of one row for one fold.

    Parameters
    ----------
    output : array of shape (R, n, K)
        R draws, n test rows, probabilities of K classes or K numbers.
    validation : float
        What the readout scored on the rows that chose its strength; NaN where nothing chose.
    features : int
        Length of the vectors.
    seconds : float
        Processor time.
    """

    output: Floats
    validation: float
    features: int
    seconds: float


@dataclass(eq=False)
class Bench:
    """One task of one track, and a folder for what is found.

    Parameters
    ----------
    vectors : PartVectors
        Of N utterances.
    target : Target
        Labels.
    speakers : array of shape (N,)
        Who speaks, for transductive rows.
    folder : path, optional
        Where cells are kept.
    reads : TestReads
        Where reads of test folds are recorded; a cell that was kept is not read again.
    regression : {"logistic", "ridge"}
        Of every readout of classes.
    contrasted : frozenset of RowRequest, optional
        Rows whose every seed is wanted where the folds are the same for all seeds; of others the first one serves.
        None: all rows.

    Attributes
    ----------
    used : set of str
        Names of the cells that were asked for, kept ones too: in how many ways test rows have been answered.
    """

    vectors: PartVectors
    target: Target
    speakers: NDArray[Any]
    folder: Path | None
    reads: TestReads
    regression: str = "logistic"
    contrasted: frozenset[RowRequest] | None = None
    used: set[str] = field(default_factory=set, init=False)

    def seeds_of(self, row: RowRequest, protocol: Protocol, seeds: tuple[int, ...]) -> tuple[int, ...]:
        """Seeds that give the row other numbers.

        Parameters
        ----------
        row : RowRequest
            Which.
        protocol : Protocol
            Its folds may differ by seed.
        seeds : tuple of int
            All.
        """
        if not protocol.same_for_all_seeds:
            return seeds
        wanted = self.contrasted is None or row in self.contrasted
        return seeds if wanted and any(self.vectors.seeded(part) for part in row.parts) else seeds[:1]

    def has(self, row: RowRequest, protocol: Protocol, seeds: tuple[int, ...]) -> bool:
        """Whether every cell of a row was kept.

        Parameters
        ----------
        row : RowRequest
            Which.
        protocol : Protocol
            Folds.
        seeds : tuple of int
            All.
        """
        files = (
            self._file(row, self._key(row, seed, fold, protocol.clusters, EVERYTHING))
            for seed in self.seeds_of(row, protocol, seeds)
            for fold in protocol.of_seed(seed)
        )
        return all(file is not None and file.is_file() for file in files)

    def cell(self, row: RowRequest, seed: int, fold: Fold, clusters: NDArray[Any], cut: Cut = EVERYTHING) -> Cell:
        """Answers for the test rows of a fold, from the folder where they are there.

        Parameters
        ----------
        row : RowRequest
            Which.
        seed : int
            Of representations and draws.
        fold : Fold
            Training, validation and test rows.
        clusters : array of shape (N,)
            What stays together.
        cut : Cut
            How much of the training rows takes part.

        Raises
        ------
        DataError
            The fold has no more rows than labels are to be drawn.
        """
        if not cut.can_be_had(fold):
            raise DataError(f"fold {fold.name} has no more than {cut.labels} rows to draw labels from")
        key = self._key(row, seed, fold, clusters, cut)
        file = self._file(row, key)
        self.used.add(key)
        kept = None if file is None or not file.is_file() else _read(file)
        if kept is not None:
            return kept
        began = time.process_time()
        learning = _learning(fold, clusters, cut, seed)
        parts = row.parts
        if reads_blocks(row.readout):
            parts = tuple(block for part in parts for block in self.vectors.by_modality(part))
        blocks = {part.text: self.vectors.of(part, seed, learning) for part in parts}
        x = np.concatenate(list(blocks.values()), axis=1)
        if row.transductive:
            x = _centred(x, self.speakers)
        widths = {name: block.shape[1] for name, block in blocks.items()}
        output, validation = self._answers(row, x, widths, fold, clusters, cut, seed)
        self.reads.record(key, row.text, fold.name, seed)
        features = 0 if row.text == "majority" else x.shape[1]
        found = Cell(output, validation, features, time.process_time() - began)
        if file is not None:
            _write(file, found)
        return found

    def _answers(
        self,
        row: RowRequest,
        x: NDArray[np.float32],
        widths: dict[str, int],
        fold: Fold,
        clusters: NDArray[Any],
        cut: Cut,
        seed: int,
    ) -> tuple[Floats, float]:
        learned = np.concatenate([fold.train, fold.valid])
        valid = np.arange(len(fold.train), len(learned))
        if not cut.labels:
            readout = self._fitted(row, x[learned], learned, clusters, valid, widths)
            return self._said(readout, x[fold.test])[None], float(getattr(readout, "validation_score_", np.nan))
        found = []
        for rows in _drawn(self.target, learned, cut, seed):
            readout = self._fitted(row, x[rows], rows, clusters, np.empty(0, np.int64), widths)
            found.append(self._said(readout, x[fold.test]))
        return np.stack(found), float("nan")

    def _fitted(
        self,
        row: RowRequest,
        x: NDArray[np.float32],
        rows: NDArray[np.int64],
        clusters: NDArray[Any],
        valid: NDArray[np.int64],
        widths: dict[str, int],
    ) -> Any:
        y = self.target.values[rows]
        if row.text == "majority":
            constant = DummyClassifier(strategy="prior") if self.target.task == "classes" else DummyRegressor()
            return constant.fit(x, y)
        groups = clusters[rows]
        # a handful of labels may come from one cluster, which leaves nothing to choose by but single rows
        groups = groups if len(np.unique(groups)) > 1 else np.arange(len(rows))
        readout = made_readout(row.readout, self.target.task, widths, self.regression)
        return readout.fit(x, y, groups=groups, valid=valid)

    def _said(self, readout: Any, x: NDArray[np.float32]) -> Floats:
        if self.target.task == "numbers":
            return np.asarray(readout.predict(x), np.float64).reshape(len(x), -1)
        full = np.zeros((len(x), self.target.width))
        full[:, np.searchsorted(self.target.classes, readout.classes_)] = readout.predict_proba(x)
        return full

    def _file(self, row: RowRequest, key: str) -> Path | None:
        """Where a cell is kept; None where it is not, for want of a folder or of a name for its code."""
        nameable = self.folder is not None and all(self.vectors.source(part) is not None for part in row.parts)
        return self.folder / f"{key}.npz" if self.folder is not None and nameable and _code(row) is not None else None

    def _key(self, row: RowRequest, seed: int, fold: Fold, clusters: NDArray[Any], cut: Cut) -> str:
        parts = self.vectors
        facts = {
            "row": row.text,
            "made": [_told(parts, part.name) for part in row.parts],
            "options": {name: repr(value) for name, value in sorted(parts.options.items())},
            "group": parts.group,
            "seed": seed,
            "rows": [sha256_bytes(rows.tobytes()) for rows in (fold.train, fold.valid, fold.test)],
            "clusters": sha256_bytes(np.unique(clusters, return_inverse=True)[1].astype(np.int64).tobytes()),
            "cut": [cut.labels, cut.draws if cut.labels else 1, cut.unlabelled],
            "label": list(self.target.label),
            "readout": [GRID, self.regression],
            "data": parts.material.digest,
            "source": _code(row),
        }
        return sha256_bytes(canonical_json(facts).encode())[:24]


def _code(row: RowRequest) -> str | None:
    """Hash of the code that fits and reads a row, that of its parts aside."""
    return source_digest(__name__, READOUTS[row.readout].partition(":")[0])


def _told(parts: PartVectors, name: str) -> str:
    """What a part is, for the key of a cell."""
    if name == "majority" or parts.material.has(name):
        return name
    view, estimator = parts.made(name)
    params = sorted(estimator.get_params().items(), key=str)
    return f"{view} {type(estimator).__qualname__} {params!r} {estimator_digest(estimator)}"


def _learning(fold: Fold, clusters: NDArray[Any], cut: Cut, seed: int) -> Learning:
    if cut.unlabelled >= 1:
        return Learning(fold.train, fold.valid)
    members = np.random.default_rng(seed).permutation(np.unique(clusters[fold.train]))
    kept = members[: max(2, round(cut.unlabelled * len(members)))]
    return Learning(fold.train[np.isin(clusters[fold.train], kept)], fold.valid)


def _drawn(target: Target, learned: NDArray[np.int64], cut: Cut, seed: int) -> Iterator[NDArray[np.int64]]:
    """Labelled rows, drawn anew; of classes, one after the other in turns, so that as many as can be are there."""
    random = np.random.default_rng((seed, cut.labels))
    for _ in range(cut.draws):
        rows = random.permutation(learned)
        if target.task == "classes":
            names = target.values[rows]
            turn = np.empty(len(rows), np.int64)
            for name in np.unique(names):
                turn[names == name] = np.arange(int((names == name).sum()))
            rows = rows[np.argsort(turn, kind="stable")]
        yield np.sort(rows[: cut.labels])


def _centred(x: NDArray[np.float32], speakers: NDArray[Any]) -> NDArray[np.float32]:
    """Every number less its mean over all clips of the speaker, tested ones too."""
    found = x.copy()
    for speaker in np.unique(speakers):
        found[speakers == speaker] -= found[speakers == speaker].mean(axis=0)
    return found


def _write(file: Path, cell: Cell) -> None:
    with atomic_file(file) as draft, draft.open("wb") as opened:
        facts = np.array([cell.validation, cell.features, cell.seconds])
        np.savez(opened, allow_pickle=False, output=cell.output, facts=facts)


def _read(file: Path) -> Cell:
    stored = open_archive(file)
    validation, features, seconds = stored["facts"].tolist()
    return Cell(stored["output"], validation, int(features), seconds)
