"""A probe at work: fit without the test rows, freeze, read out, and keep a record of every read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.dummy import DummyClassifier, DummyRegressor

from trivium.corpus import Aligned
from trivium.errors import DataError, SpecificationError
from trivium.evaluate.protocols import Fold, Protocol
from trivium.evaluate.readout import LinearReadout
from trivium.evaluate.report import Predictions, TestReads
from trivium.evaluate.target import Target
from trivium.files import canonical_json, sha256_bytes
from trivium.progress import Bar, progress_bar
from trivium.represent.pooling import Flatten, FlattenPCA, MeanPooling, MeanStdPooling, Missingness
from trivium.weights import Weights

__all__ = ["FLOORS", "Representation", "Study"]

FLOORS = ("majority", "missingness", "mean", "mean-std", "flatten", "flatten-pca", "untrained")
"""Floors in the order of the table; ``untrained`` is the first representation's own encoder before training."""

Representation: TypeAlias = Any  # fit and transform, as scikit-learn has them; Weights; or None for the majority


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
        Rows that representations may be fitted on, outside the test fold.
    reads : TestReads
        Where reads are recorded.
    features : dict of str to int
        Filled: length of the vectors by representation.
    described : dict of str to str
        Filled: what each representation is.
    """

    data: Aligned
    target: Target
    protocol: Protocol
    seeds: tuple[int, ...]
    pretraining: NDArray[np.bool_]
    reads: TestReads
    features: dict[str, int] = field(default_factory=dict)
    described: dict[str, str] = field(default_factory=dict)
    _last: tuple[Any, NDArray[np.float32]] | None = None

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
            A floor does not exist, or a representation has the name of one.
        DataError
            A fold cannot be fitted.
        """
        plan = self._plan(representations, floors)
        total = sum(len(self.protocol.of_seed(seed)) for name in plan for seed in self._seeds_of(plan[name]))
        found: dict[str, Predictions] = {}
        with progress_bar("probing", total, show=progress) as bar:
            # representations first: the length of their vectors is that of the principal components
            for name in sorted(plan, key=lambda n: n in FLOORS):
                found[name] = self._predictions(name, plan[name], bar)
        return {name: found[name] for name in plan}

    def _plan(self, representations: Mapping[str, Representation], floors: Sequence[str]) -> dict[str, Representation]:
        unknown = [name for name in floors if name not in FLOORS]
        if unknown:
            raise SpecificationError(f"there is no floor {unknown[0]!r}", remedy=f"choose from {', '.join(FLOORS)}")
        taken = [name for name in representations if name in FLOORS]
        if taken:
            raise SpecificationError(f"{taken[0]} is in the table as a floor", remedy="leave it out, or rename it")
        untrained = next((r for r in representations.values() if "max_epochs" in _parameters(r)), None)
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
        return {**chosen, **representations}

    def _seeds_of(self, representation: Representation) -> tuple[int, ...]:
        seeded = "random_state" in _parameters(representation) and not isinstance(representation, FlattenPCA)
        return self.seeds if seeded or not self.protocol.same_for_all_seeds else self.seeds[:1]

    def _predictions(self, name: str, representation: Representation, bar: Bar) -> Predictions:
        seeds = self._seeds_of(representation)
        if isinstance(representation, FlattenPCA):
            widths = [self.features[n] for n in self.features if n not in FLOORS]
            representation = clone(representation).set_params(n_components=widths[0] if widths else 255)
        self.described[name] = "most frequent" if representation is None else _description(representation)
        output = np.full((len(seeds), len(self.data), self.target.width), np.nan)
        tested = np.full((len(seeds), len(self.data)), "", dtype="<U64")
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
        vectors = self._vectors(name, representation, seed, fold)
        fit = _constant if representation is None else _readout
        labels, groups = self.target.values[learned], self.protocol.clusters[learned]
        predict = fit(vectors[learned], labels, groups, np.arange(len(fold.train), len(learned)), self.target)
        config = {
            "representation": self.described[name],
            "label": self.target.label,
            "protocol": self.protocol.description,
            "ids": sha256_bytes("\n".join(self.data.ids[learned]).encode()),
        }
        self.reads.record(sha256_bytes(canonical_json(config).encode())[:16], name, fold.name, seed)
        return predict(vectors[fold.test])

    def _vectors(self, name: str, representation: Representation, seed: int, fold: Fold) -> NDArray[np.float32]:
        """Vectors of all rows from a representation that was fitted without the test rows."""
        if representation is None:
            self.features[name] = 0
            return np.zeros((len(self.data), 1), np.float32)
        allowed = self.pretraining.copy()
        allowed[fold.test] = False
        if not hasattr(representation, "fit"):
            key: tuple[Any, ...] = (name,)
        else:
            key = (name, seed, allowed.tobytes())
        if self._last is None or self._last[0] != key:
            self._last = (key, self._fitted(representation, seed, allowed).transform(self.data))
        vectors = self._last[1]
        self.features[name] = max(self.features.get(name, 0), vectors.shape[1])
        return vectors

    def _fitted(self, representation: Representation, seed: int, allowed: NDArray[np.bool_]) -> Any:
        if not hasattr(representation, "fit"):
            return representation
        if not allowed.any():
            raise DataError("no utterance is left to fit a representation on", remedy="allow more pretraining rows")
        fresh = clone(representation)
        if "random_state" in _parameters(fresh):
            fresh.set_params(random_state=seed)
        return fresh.fit(self.data[allowed])


_Predict: TypeAlias = Callable[[NDArray[Any]], NDArray[np.float64]]


def _readout(
    x: NDArray[Any], y: NDArray[Any], groups: NDArray[Any], valid: NDArray[np.int64], target: Target
) -> _Predict:
    readout = LinearReadout(target.task).fit(x, y, groups=groups, valid=valid)
    if target.task == "classes":
        return lambda z: _all_classes(readout.predict_proba(z), readout.classes_, target)
    return lambda z: readout.predict(z).astype(np.float64)


def _constant(
    x: NDArray[Any], y: NDArray[Any], groups: NDArray[Any], valid: NDArray[np.int64], target: Target
) -> _Predict:
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


def _parameters(representation: Representation) -> dict[str, Any]:
    return dict(representation.get_params(deep=False)) if hasattr(representation, "get_params") else {}


def _description(representation: Representation) -> str:
    if isinstance(representation, Weights):
        return f"weights {representation.folder.name}"
    told = {k: v for k, v in _parameters(representation).items() if k not in ("progress", "folder", "random_state")}
    return f"{type(representation).__name__}({', '.join(f'{k}={v!r}' for k, v in sorted(told.items()))})"
