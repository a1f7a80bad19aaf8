"""Vectors of the parts of a row: fitted without labels on the training rows of a fold, kept, and put side by side."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from trivium.errors import DataError, SpecificationError
from trivium.evaluate.describe import takes_validation
from trivium.evaluate.suite.declared import PartDeclaration
from trivium.evaluate.suite.material import Material, View
from trivium.evaluate.suite.requests import PartRequest
from trivium.evaluate.suite.source import estimator_digest, module_digest
from trivium.files import atomic_file, canonical_json, sha256_bytes
from trivium.registry import entries, load
from trivium.represent.pooling import Flatten, FlattenPCA, MeanPooling, MeanStdPooling, Missingness
from trivium.represent.statistics import Statistics
from trivium.scale.columns import REFIT

__all__ = ["ALL_STATISTICS", "OF_THE_RECORDING", "Learning", "PartVectors", "require_options"]

ALL_STATISTICS = "mean,spread,slope,minimum,maximum,p10,p90,first-half,second-half"
"""Functionals of steps, where a task has no better ones."""
_LEARN_NOTHING = (Flatten, MeanPooling, MeanStdPooling, Missingness, Statistics)
OF_THE_RECORDING = ("metadata", "frame-rate")
"""Floors that only some tasks have: what the files tell, whatever is in them."""
_FIXED = ("functionals", *OF_THE_RECORDING)
_SHARED = {"progress": False}
_UNTRAINED = {"max_epochs": 0, "trained": False}
_WORTH_KEEPING = 2.0  # seconds of the processor


@dataclass(frozen=True, eq=False)
class Learning:
    """Rows that a part may be fitted on.

    Parameters
    ----------
    rows : int array of shape (n,)
        Training rows, in order.
    stopping : int array of shape (m,)
        The release's own validation rows, for parts that stop by such; else empty.

    Examples
    --------
    >>> len(Learning(np.arange(3)).stopping)
    0
    """

    rows: NDArray[np.int64]
    stopping: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))


@dataclass(eq=False)
class PartVectors:
    """Vectors of all utterances of a task by part.

    Parameters
    ----------
    material : Material
        N utterances.
    declared : mapping of str to PartDeclaration
        Parts with options of their own.
    options : mapping
        Of the user, for every part that has them.
    given : mapping of str to estimator
        Representations by name that are in no registry.
    group : str
        Group that early stopping keeps together, where the task has it.
    folder : path, optional
        Where vectors that took more than two seconds are kept.
    """

    material: Material
    declared: Mapping[str, PartDeclaration] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)
    group: str = ""
    folder: Path | None = None
    _known: dict[str, NDArray[np.float32]] = field(default_factory=dict, init=False)

    def of(self, part: PartRequest, seed: int, learning: Learning) -> NDArray[np.float32]:
        """Vectors (N, K) of one part.

        Parameters
        ----------
        part : PartRequest
            Which.
        seed : int
            ``random_state`` of parts that have one.
        learning : Learning
            All that the part is fitted on.

        Raises
        ------
        SpecificationError
            There is no such part, or it cannot be had for this task.
        DataError
            It gives numbers that are not finite.
        """
        if part.name == "majority":
            return np.zeros((len(self.material), 1), np.float32)
        if self._is_given(part):
            return self.material.vectors(part.name, part.modalities)
        view, estimator = self.made(part.name)
        estimator = self._set_up(estimator, seed, view)
        key = self._key(part, estimator, learning)
        if key not in self._known:
            if not _learns_nothing(estimator):
                self._forget()  # what was learned in another fold is not needed again
            self._known[key] = self._fitted(part, view, estimator, learning, key)
        return self._known[key]

    def _forget(self) -> None:
        self._known = {key: vectors for key, vectors in self._known.items() if key.startswith("nothing")}

    def by_modality(self, part: PartRequest) -> tuple[PartRequest, ...]:
        """The part for each of its modalities by itself; as it is where nothing can be told apart.

        Parameters
        ----------
        part : PartRequest
            Which.
        """
        if part.name == "majority":
            return (part,)
        if self._is_given(part):
            known = self.material.modalities_of(part.name)
        else:
            known = self.material.view(self.made(part.name)[0]).specification.modalities
        wanted = [name for name in known if part.modalities is None or name in part.modalities]
        return tuple(PartRequest(part.name, (name,)) for name in wanted) or (part,)

    def seeded(self, part: PartRequest) -> bool:
        """Whether another seed gives other vectors.

        Parameters
        ----------
        part : PartRequest
            Which.
        """
        if part.name == "majority" or self._is_given(part):
            return False
        estimator = self.made(part.name)[1]
        return "random_state" in estimator.get_params() and type(estimator) is not FlattenPCA

    def source(self, part: PartRequest) -> str | None:
        """Hash of the code of a part; None where no hash can name it, so that nothing of it may be kept.

        Parameters
        ----------
        part : PartRequest
            Which.
        """
        if part.name == "majority" or self._is_given(part):
            return ""
        return estimator_digest(self.made(part.name)[1])

    def _is_given(self, part: PartRequest) -> bool:
        """Whether the material brings the vectors."""
        return part.name in _FIXED and self.material.has(part.name)

    def made(self, name: str) -> tuple[View, Any]:
        """View and representation of a part with its options, not fitted yet.

        Parameters
        ----------
        name : str
            Of the part.

        Raises
        ------
        SpecificationError
            There is none of this name.
        """
        return _made(name, self.declared, self.given)

    def _set_up(self, estimator: Any, seed: int, view: View) -> Any:
        """Options that all parts share, those of the user last; but what is untrained stays so."""
        known = estimator.get_params()
        shared: dict[str, Any] = {**_SHARED, "random_state": seed, "words": self.material.view(view).shape[1]}
        if f"group.{self.group}" in self.material.steps.table:
            shared["validation_groups"] = self.group
        untrained = {name: value for name, value in _UNTRAINED.items() if known.get(name) == value}
        wanted = {**shared, **self.options, **untrained}
        set_up = estimator.set_params(**{name: value for name, value in wanted.items() if name in known})
        _refuse_transductive(set_up.get_params())
        return set_up

    def _key(self, part: PartRequest, estimator: Any, learning: Learning) -> str:
        facts: dict[str, Any] = {
            "part": part.text,
            "class": type(estimator).__qualname__,
            "options": {name: repr(value) for name, value in sorted(estimator.get_params().items())},
            "data": self.material.digest,
            "source": [estimator_digest(estimator), module_digest(__name__)],
        }
        if _learns_nothing(estimator):
            return "nothing" + sha256_bytes(canonical_json(facts).encode())[:24]
        facts |= {"rows": sha256_bytes(learning.rows.tobytes()), "stopping": sha256_bytes(learning.stopping.tobytes())}
        return sha256_bytes(canonical_json(facts).encode())[:24]

    def _fitted(
        self, part: PartRequest, view: View, estimator: Any, learning: Learning, key: str
    ) -> NDArray[np.float32]:
        nameable = estimator_digest(estimator) is not None
        file = self.folder / f"{key}.npy" if self.folder is not None and nameable else None
        if file is not None and file.is_file():
            return np.asarray(np.load(file, allow_pickle=False))
        data = self.material.view(view, part.modalities)
        began = time.process_time()
        stopping = learning.stopping if takes_validation(estimator) else np.empty(0, np.int64)
        how = {"validation": data[stopping]} if len(stopping) else {}
        vectors = np.asarray(estimator.fit(data[learning.rows], **how).transform(data), np.float32)
        if vectors.shape[:1] != (len(data),) or not np.isfinite(vectors).all():
            raise DataError(f"{part.text} gave vectors of shape {vectors.shape}, or such that are not finite")
        if file is not None and time.process_time() - began > _WORTH_KEEPING:
            with atomic_file(file) as draft, draft.open("wb") as opened:
                np.save(opened, vectors)
        return vectors


def require_options(
    options: Mapping[str, Any],
    names: Sequence[str],
    declared: Mapping[str, PartDeclaration],
    given: Mapping[str, Any],
) -> None:
    """Refuse options that no part has, and such by which test rows would change vectors.

    Parameters
    ----------
    options : mapping
        Of the user.
    names : sequence of str
        Parts that are asked for; what the data alone may have counts for nothing.
    declared : mapping of str to PartDeclaration
        Parts with options of their own.
    given : mapping of str to estimator
        Representations by name that are in no registry.

    Raises
    ------
    SpecificationError
        No part has one of them, or it is transductive.

    Examples
    --------
    >>> require_options({"which": "mean"}, ["statistics", "majority"], {}, {})
    """
    _refuse_transductive(options)
    parts = [name for name in dict.fromkeys(names) if name not in ("majority", *_FIXED)]
    known = sorted({option for name in parts for option in _made(name, declared, given)[1].get_params()})
    strange = [option for option in options if option not in known]
    if strange:
        raise SpecificationError(
            f"no part of the rows has an option {strange[0]!r}", remedy=f"choose from {', '.join(known) or 'none'}"
        )


def _refuse_transductive(options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if name.rpartition("__")[2] == "scaler" and value == REFIT:
            raise SpecificationError(
                f"{name}={REFIT} scales by the rows that are transformed, tested ones among them",
                remedy="leave it out: pooled takes the training rows of each fold",
            )


def _learns_nothing(estimator: Any) -> bool:
    """Whether it gives the same whatever it is fitted on; what is derived from such a class may learn."""
    return type(estimator) in _LEARN_NOTHING


def _made(name: str, declared: Mapping[str, PartDeclaration], given: Mapping[str, Any]) -> tuple[View, Any]:
    if name in given:
        return "steps", clone(given[name])
    if name == "functionals":
        return "frames", Statistics(ALL_STATISTICS, indicators=False)
    told = declared.get(name, PartDeclaration(name))
    known = [entry.name for entry in entries("representation")]
    if told.of not in known:
        choice = ", ".join(dict.fromkeys([*known, *declared, *_FIXED]))
        raise SpecificationError(f"there is no part {name!r}", remedy=f"choose from {choice}")
    return told.view, load("representation", told.of)(**told.options)
