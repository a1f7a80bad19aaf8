"""A probe at work: fit without the test rows, freeze, read out, and keep a record of every read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.dummy import DummyClassifier, DummyRegressor

from trivium.corpus import Aligned
from trivium.errors import DataError, SpecificationError
from trivium.evaluate.describe import Representation, description, parameters, remarks, takes_validation
from trivium.evaluate.late_readout import LateReadout
from trivium.evaluate.protocols import Fold, Protocol
from trivium.evaluate.readout import GRID, LinearReadout
from trivium.evaluate.report import Predictions, TestReads
from trivium.evaluate.target import Target
from trivium.files import canonical_json, sha256_bytes
from trivium.progress import Bar, progress_bar
from trivium.represent.pooling import Flatten, FlattenPCA, MeanPooling, MeanStdPooling, Missingness
from trivium.weights import Weights

__all__ = ["FLOORS", "READOUTS", "Study", "data_hash"]

FLOORS = ("majority", "missingness", "mean", "mean-std", "flatten", "flatten-pca", "untrained")
"""Floors in the order of the table; ``untrained`` is the first representation's own encoder before training."""

READOUTS = {"linear": GRID, "late": f"{GRID}; a readout for each modality, joined with one weight each"}
"""Readouts by name, in words; all rows of a table get the same."""

Rows: TypeAlias = NDArray[np.bool_]
Parts: TypeAlias = dict[str, NDArray[np.float32]]


@dataclass(eq=False)
class Study:
    """All folds, seeds and representations of one probe.

    Parameters
    ----------
    data : Aligned
        N utterances.
    target : Target
        Labels.
    protocol : Protocol
        Folds.
    seeds : tuple of int
        Seeds.
    pretraining : bool array of shape (N,)
        Rows that representations may be fitted on. Of these, rows of any fold must be in the fold's train or valid,
        and no row may share its cluster with a test row, so that unlabelled rows of tested speakers take no part; a
        remark says how many rows that costs.
    reads : TestReads
        Where reads are recorded.
    readout : {"linear", "late"}
        One readout for the whole vector; or representation and readout for each modality by itself, joined late.
    features : dict of str to int
        Filled: length of the vectors by representation.
    described : dict of str to str
        Filled: what each representation is.
    remarks : list of str
        Filled: what must be said under the table.
    """

    data: Aligned
    target: Target
    protocol: Protocol
    seeds: tuple[int, ...]
    pretraining: NDArray[np.bool_]
    reads: TestReads
    readout: str = "linear"
    features: dict[str, int] = field(default_factory=dict)
    described: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    _last: tuple[Any, Parts] | None = None

    def run(
        self, representations: Mapping[str, Representation], floors: Sequence[str], progress: bool
    ) -> dict[str, Predictions]:
        """Predictions by name, floors first.

        Parameters
        ----------
        representations : mapping of str to representation
            What is probed.
        floors : sequence of str
            Which of :data:`FLOORS`.
        progress : bool
            Show progress.

        Raises
        ------
        SpecificationError
            A floor or the readout does not exist, a representation has the name of a floor, there is neither, or stored
        weights, which read all modalities at once, are to be read late.
        DataError
            A fold cannot be fitted.
        """
        self._require_readout(representations)
        plan = self._plan(representations, floors)
        self.remarks[:] = [*remarks(plan), *self._left_out(plan)] if representations else []
        found: dict[str, Predictions] = {}
        # representations first: the length of their vectors is that of the principal components; a bar of their own,
        # because they take much longer than floors
        floored = {name: name in FLOORS for name in plan}
        for title, are_floors in (("probing", False), ("probing floors", True)):
            names = [name for name, is_floor in floored.items() if is_floor is are_floors]
            total = sum(len(self.protocol.of_seed(seed)) for name in names for seed in self._seeds_of(plan[name]))
            with progress_bar(title, total, show=progress and bool(names)) as bar:
                for name in names:
                    found[name] = self._predictions(name, plan[name], bar)
        return {name: found[name] for name in plan}

    def _require_readout(self, representations: Mapping[str, Representation]) -> None:
        if self.readout not in READOUTS:
            raise SpecificationError(
                f"there is no readout {self.readout!r}", remedy=f"choose from {', '.join(READOUTS)}"
            )
        stored = [name for name, made in representations.items() if not hasattr(made, "fit")]
        if self.readout == "late" and stored:
            raise SpecificationError(
                f"{stored[0]} reads all modalities at once, so nothing is left to join late",
                remedy="read it with the linear readout",
            )

    def _plan(self, representations: Mapping[str, Representation], floors: Sequence[str]) -> dict[str, Representation]:
        unknown = [name for name in floors if name not in FLOORS]
        if unknown:
            raise SpecificationError(f"there is no floor {unknown[0]!r}", remedy=f"choose from {', '.join(FLOORS)}")
        taken = [name for name in representations if name in FLOORS]
        if taken:
            raise SpecificationError(f"{taken[0]} is in the table as a floor", remedy="leave it out, or rename it")
        untrained = next((r for r in representations.values() if "max_epochs" in parameters(r)), None)
        makers: dict[str, Representation] = {
            "majority": None,
            "missingness": Missingness(),
            "mean": MeanPooling(),
            "mean-std": MeanStdPooling(),
            "flatten": Flatten(),
            "flatten-pca": FlattenPCA(),
            "untrained": None if untrained is None else clone(untrained).set_params(max_epochs=0),
        }
        chosen = {name: makers[name] for name in FLOORS if name in floors}
        if untrained is None:
            chosen.pop("untrained", None)
        if not chosen and not representations:
            raise SpecificationError("there is nothing to probe", remedy="name a representation or a floor")
        return {**chosen, **representations}

    def _seeds_of(self, representation: Representation) -> tuple[int, ...]:
        seeded = "random_state" in parameters(representation) and not isinstance(representation, FlattenPCA)
        return self.seeds if seeded or not self.protocol.same_for_all_seeds else self.seeds[:1]

    def _predictions(self, name: str, representation: Representation, bar: Bar) -> Predictions:
        seeds = self._seeds_of(representation)
        if isinstance(representation, FlattenPCA):
            widths = [self.features[n] for n in self.features if n not in FLOORS]
            representation = clone(representation).set_params(n_components=widths[0] if widths else 255)
        self.described[name] = description(representation, self.target.task)
        output = np.full((len(seeds), len(self.data), self.target.width), np.nan)
        longest = max(len(fold.name) for fold in self.protocol.folds)  # a fixed width would cut names and merge folds
        tested = np.full((len(seeds), len(self.data)), "", dtype=f"<U{longest}")
        for k, seed in enumerate(seeds):
            for fold in self.protocol.of_seed(seed):
                bar.note(f"{name}, seed {seed}, fold {fold.name}")
                output[k, fold.test] = self._fold(name, representation, seed, fold)
                tested[k, fold.test] = fold.name
                bar.advance()
        return Predictions(seeds, output, tested)

    def _fold(self, name: str, representation: Representation, seed: int, fold: Fold) -> NDArray[np.float64]:
        """Output (n, K) for the test rows of one fold."""
        learned = np.concatenate([fold.train, fold.valid])
        parts = self._parts(name, representation, seed, fold)
        vectors, labels = np.concatenate(list(parts.values()), axis=1), self.target.values[learned]
        if representation is None:
            predict = _constant(vectors[learned], labels, self.target)
        else:
            readout = self._readout({modality: part.shape[1] for modality, part in parts.items() if part.shape[1]})
            chooses = np.arange(len(fold.train), len(learned))
            readout.fit(vectors[learned], labels, groups=self.protocol.clusters[learned], valid=chooses)
            predict = _answers(readout, self.target)
        self.reads.record(self._config(name, representation, fold), name, fold.name, seed)
        return predict(vectors[fold.test])

    def _readout(self, widths: Mapping[str, int]) -> LinearReadout | LateReadout:
        task = self.target.task
        return LateReadout(widths, task) if self.readout == "late" else LinearReadout(task)

    def _config(self, name: str, representation: Representation, fold: Fold) -> str:
        """Hash of everything that decides the predictions of a fold, but the seed."""
        learned = np.concatenate([fold.train, fold.valid])
        fitted_on = self._material(representation, fold) if hasattr(representation, "fit") else ()
        config = {
            "representation": self.described[name],
            "weights": dict(representation.hashes) if isinstance(representation, Weights) else {},
            "label": self.target.label,
            "protocol": self.protocol.description,
            "readout": READOUTS[self.readout],
            "data": self._data_hash,
            "shape": list(self.data.shape),
            "learned": [len(fold.train), _hash_of_text(self.data.ids[learned])],
            "truth": _hash_of_text(self.target.values[learned].ravel()),
            "clusters": _hash_of_text(self.protocol.clusters[learned]),
            "tested": _hash_of_text(self.data.ids[fold.test]),
            "fitted_on": [sha256_bytes(rows.tobytes()) for rows in fitted_on],
        }
        return sha256_bytes(canonical_json(config).encode())[:16]

    @cached_property
    def _data_hash(self) -> str:
        return data_hash(self.data)

    @cached_property
    def _in_folds(self) -> Rows:
        """Rows that some fold of the protocol trains on, chooses with or tests."""
        taken = np.zeros(len(self.data), bool)
        for fold in self.protocol.folds:
            taken[np.concatenate([fold.train, fold.valid, fold.test])] = True
        return taken

    def _material(self, representation: Representation, fold: Fold) -> tuple[Rows, Rows]:
        """Rows that a representation is fitted on, and rows that stop it: none where it holds out its own."""
        allowed, stopping = self._open_to(fold) & ~self._related_to(fold), np.zeros(len(self.data), bool)
        if takes_validation(representation):
            stopping[fold.valid] = True
            stopping &= allowed
        return allowed & ~stopping, stopping

    def _open_to(self, fold: Fold) -> Rows:
        """Pretraining rows that the fold learns from or that are in no fold at all."""
        learned = np.zeros(len(self.data), bool)
        learned[fold.train] = learned[fold.valid] = True
        return self.pretraining & (learned | ~self._in_folds)

    def _related_to(self, fold: Fold) -> Rows:
        """Rows that share their cluster with a test row."""
        return np.isin(self.protocol.clusters, self.protocol.clusters[fold.test])

    def _left_out(self, plan: Mapping[str, Representation]) -> list[str]:
        """What keeping clusters apart costs, said where anything is fitted."""
        if not any(hasattr(representation, "fit") for representation in plan.values()):
            return []
        counts = [int((self._open_to(fold) & self._related_to(fold)).sum()) for fold in self.protocol.folds]
        span = str(min(counts)) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
        return [
            f"Of {int(self.pretraining.sum())} pretraining rows, {span} are left out of a fold because they share a "
            "cluster with its test rows."
        ]

    def _parts(self, name: str, representation: Representation, seed: int, fold: Fold) -> Parts:
        """Vectors of all rows from a representation that was fitted without the test rows and their clusters.

        One entry for all modalities; for the late readout one a modality, each fitted by itself.
        """
        if representation is None:
            self.features[name] = 0
            return {"": np.zeros((len(self.data), 1), np.float32)}
        key: tuple[Any, ...] = (name,)
        if hasattr(representation, "fit"):
            key = (name, seed, *(rows.tobytes() for rows in self._material(representation, fold)))
        if self._last is None or self._last[0] != key:
            parts = {
                modality: self._fitted(representation, data, seed, fold).transform(data)
                for modality, data in self._views().items()
            }
            if not all(np.isfinite(part).all() for part in parts.values()):
                raise DataError(f"{name} gave vectors that are not finite (seed {seed}, fold {fold.name})")
            self._last = (key, parts)
        parts = self._last[1]
        self.features[name] = max(self.features.get(name, 0), sum(part.shape[1] for part in parts.values()))
        return parts

    def _views(self) -> dict[str, Aligned]:
        """What a representation is given: all modalities together, or each alone."""
        if self.readout == "linear":
            return {"": self.data}
        return {name: self.data.select([name]) for name in self.data.specification.modalities}

    def _fitted(self, representation: Representation, data: Aligned, seed: int, fold: Fold) -> Any:
        if not hasattr(representation, "fit"):
            return representation
        rows, stopping = self._material(representation, fold)
        if not rows.any():
            raise DataError(
                f"no utterance is left to fit a representation on in fold {fold.name}: none may share its cluster "
                "with a test row",
                remedy="allow more pretraining rows, or choose a group that the split keeps apart",
            )
        fresh = clone(representation)
        if "random_state" in parameters(fresh):
            fresh.set_params(random_state=seed)
        if stopping.any():
            return fresh.fit(data[rows], validation=data[stopping])
        return fresh.fit(data[rows])


_Predict: TypeAlias = Callable[[NDArray[Any]], NDArray[np.float64]]


def _answers(readout: LinearReadout | LateReadout, target: Target) -> _Predict:
    if target.task == "classes":
        return lambda z: _all_classes(readout.predict_proba(z), readout.classes_, target)
    return lambda z: readout.predict(z).astype(np.float64)


def _constant(x: NDArray[Any], y: NDArray[Any], target: Target) -> _Predict:
    if target.task == "classes":
        prior = DummyClassifier(strategy="prior").fit(x, y)
        return lambda z: _all_classes(prior.predict_proba(z), prior.classes_, target)
    mean = DummyRegressor().fit(x, y)
    return lambda z: np.asarray(mean.predict(z), dtype=np.float64).reshape(len(z), -1)


def _all_classes(probabilities: NDArray[np.float64], known: NDArray[Any], target: Target) -> NDArray[np.float64]:
    """Columns for all classes, 0 for those that training did not have."""
    full = np.zeros((len(probabilities), target.width))
    full[:, np.searchsorted(target.classes, known)] = probabilities
    return full


def data_hash(data: Aligned) -> str:
    """SHA-256 over ids, values and masks.

    Parameters
    ----------
    data : Aligned
        N utterances.
    """
    parts = (data.ids.astype("U"), data.values, data.mask, data.cell_mask)
    return sha256_bytes(b"".join(sha256_bytes(np.ascontiguousarray(part).tobytes()).encode() for part in parts))


def _hash_of_text(values: NDArray[Any]) -> str:
    return sha256_bytes("\n".join(map(str, values.tolist())).encode())
