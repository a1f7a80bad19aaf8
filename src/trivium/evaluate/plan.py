"""A supervised run in full: a named protocol joined with a corpus gives folds, what chooses, and what is printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Aligned
from trivium.corpus.ranges import require_in_range
from trivium.corpus.specification import LabelSpecification
from trivium.errors import DataError, SpecificationError
from trivium.evaluate.clusters import clusters_of
from trivium.evaluate.named_protocols import NamedProtocol, named_protocol
from trivium.evaluate.predictions import PredictionTable
from trivium.evaluate.protocols import Protocol, given_split, grouped_folds
from trivium.evaluate.test_fold import Data, LearningFold, ReadLedger, TestFold, fingerprint, sealed

__all__ = ["EvaluationPlan", "plan_evaluation", "protocol_of"]


@dataclass(frozen=True, eq=False)
class EvaluationPlan(Generic[Data]):
    """One label of one corpus, evaluated by one named protocol.

    Parameters
    ----------
    protocol : NamedProtocol
        What chooses, and what is printed.
    label : str
        Key of the label.
    folds : Protocol
        Which rows learn, choose and are tested; rows without the label are in none.
    data : Aligned or Corpus
        N utterances.
    ledger : ReadLedger
        Where reads of test folds are recorded.
    notes : tuple of str
        What is other than the folds' names promise.
    """

    protocol: NamedProtocol
    label: str
    folds: Protocol
    data: Data
    ledger: ReadLedger
    notes: tuple[str, ...] = ()

    def runs(self, seed: int) -> Iterator[tuple[LearningFold[Data], TestFold[Data]]]:
        """For every fold of a seed, what training is given, and the test rows behind their door.

        Parameters
        ----------
        seed : int
            Of the run.
        """
        told = {"protocol": self.protocol.name, "corpus": fingerprint(self.data, self.label)}
        for fold in self.folds.of_seed(seed):
            valid = sealed(self.data, fold.valid) if len(fold.valid) else None
            door = TestFold(fold.name, sealed(self.data, fold.test), self.label, self.ledger, **told)
            yield LearningFold(fold.name, sealed(self.data, fold.train), valid), door

    def only(self, fold: str) -> EvaluationPlan[Data]:
        """The same plan with one of its folds.

        Parameters
        ----------
        fold : str
            Its name.

        Raises
        ------
        SpecificationError
            There is none of this name.
        """
        kept = tuple(one for one in self.folds.folds if one.name == fold)
        if not kept:
            known = ", ".join(one.name for one in self.folds.folds)
            raise SpecificationError(f"there is no fold {fold!r}", remedy=f"choose from {known}")
        return replace(self, folds=replace(self.folds, folds=kept))

    def table(
        self, tested: Data, said: NDArray[Any], *, fold: str, seed: int, provenance: Mapping[str, Any] | None = None
    ) -> PredictionTable:
        """Predictions in the form that `trivium score` reads.

        Parameters
        ----------
        tested : Aligned or Corpus
            The n test rows, as they came through the door.
        said : array of shape (n,) or (n, K)
            Numbers, class names, or one number for each of the K classes of the label.
        fold : str
            Name of the fold.
        seed : int
            Of the run.
        provenance : mapping, optional
            Configuration, versions, and under ``test_reads`` the printed count of reads.

        Raises
        ------
        DataError
            `said` has another shape.
        """
        label = self.data.specification.label(self.label)
        names = label.classes if label.kind in ("binary", "multiclass", "multilabel") else ()
        if len(said) != len(tested) or (said.ndim == 2 and said.shape[1] != len(names)) or said.ndim > 2:
            raise DataError(f"predictions have shape {said.shape} for {len(tested)} test utterances")
        columns: dict[str, Any] = {"id": tested.ids, **_columns("prediction", said, names)}
        columns |= _columns("label", tested.label(self.label), names)
        if self.protocol.group in _names(tested, "group"):
            columns["group"] = tested.group(self.protocol.group)
        count = len(tested)
        return PredictionTable(columns | {"fold": [fold] * count, "seed": [seed] * count}, provenance or {})


def _columns(kind: str, values: NDArray[Any], names: Sequence[str]) -> dict[str, NDArray[Any]]:
    if values.ndim == 1:
        return {kind: values}
    return {f"{kind}_{name}": values[:, k] for k, name in enumerate(names)}


def plan_evaluation(
    data: Data,
    protocol: NamedProtocol,
    label: str,
    *,
    split: str | None = None,
    folds: int | Protocol = 5,
    ledger: ReadLedger | None = None,
) -> EvaluationPlan[Data]:
    """Join a named protocol with a corpus.

    Parameters
    ----------
    data : Aligned or Corpus
        Utterances.
    protocol : NamedProtocol
        Says whether folds are given or made of whole groups.
    label : str
        Key of the label, which must be of the protocol's kind, range and classes.
    split : str, optional
        Which split is meant, where the folds are given and there are several.
    folds : int or Protocol
        How many, where they are made of groups; or the folds themselves, whatever the protocol says of them.
    ledger : ReadLedger, optional
        Where reads are recorded; default in the user's folder.

    Raises
    ------
    SpecificationError
        The label does not suit the protocol, or the split or group it needs is not there.
    DataError
        No test fold holds an utterance with the label, an id repeats, or a label is out of its range.

    Examples
    --------
    >>> import tempfile
    >>> from trivium.corpus import Corpus, Specification, Utterance
    >>> from trivium.evaluate.named_protocols import named_protocol
    >>> label = LabelSpecification("sentiment", "regression", range=(-1.0, 1.0))
    >>> clips = [
    ...     Utterance(name, labels={"sentiment": 0.2}, splits={"standard": name}) for name in ("train", "valid", "test")
    ... ]
    >>> corpus = Corpus.from_utterances(clips, Specification((), (label,)))
    >>> plan = plan_evaluation(corpus, named_protocol("sims"), "sentiment")
    >>> learning, door = next(plan.runs(seed=0))
    >>> learning.train.ids.tolist(), learning.valid.ids.tolist(), len(door)
    (['train'], ['valid'], 1)
    """
    _require_label(data.specification.label(label), protocol)
    clusters = _clusters(data, protocol.group)
    if isinstance(folds, Protocol):
        made = folds
    elif protocol.folds == "given":
        name = _only(_names(data, "split"), "split") if split is None else split
        made = given_split(data.split(name), clusters, name=name)
    else:
        apart = protocol.held_apart or protocol.group
        made = grouped_folds(data.group(apart), folds, name=apart)
    _require_unique(data.ids)
    values = data.label(label)
    require_in_range(data.ids, values, data.specification.label(label))
    missing = values == "" if values.dtype.kind == "U" else np.isnan(values).reshape(len(values), -1).any(axis=1)
    before = {one.name for one in made.folds if len(one.valid)}
    made = made.without(np.asarray(missing))
    if not made.folds or not all(len(fold.train) for fold in made.folds):
        raise DataError(f"a fold has no utterance with the label {label}", remedy="choose another split or label")
    emptied = [one.name for one in made.folds if one.name in before and not len(one.valid)]
    notes = tuple(
        f"No utterance of the valid fold (test fold {name}) has the label {label}: a share of the training "
        "utterances is held out in its place, and chooses."
        for name in emptied
    )
    return EvaluationPlan(protocol, label, made, data, ledger or ReadLedger(), notes)


def protocol_of(name: str, split: str | None = None, group: str | None = None) -> NamedProtocol:
    """A protocol by name, with folds of whole groups where a group is named and no split.

    Parameters
    ----------
    name : str
        Of the protocol.
    split : str, optional
        Its folds are used as given.
    group : str, optional
        What folds are made of, or with a split what belongs together.

    Raises
    ------
    SpecificationError
        There is no such protocol.

    Examples
    --------
    >>> protocol_of("classification", group="actor").folds
    'grouped'
    """
    protocol = named_protocol(name)
    if split is not None:
        return replace(protocol, folds="given", group=group or protocol.group)
    if group is not None:
        return replace(protocol, folds="grouped", group=group, held_apart="")
    return protocol


def _require_unique(ids: NDArray[np.str_]) -> None:
    names, counts = np.unique(ids, return_counts=True)
    if len(names) < len(ids):
        raise DataError(
            f"the id {str(names[counts > 1][0])!r} appears {counts.max()} times",
            remedy="make the ids unique: predictions and labels are matched by them",
        )


def _clusters(data: Data, group: str) -> NDArray[Any]:
    if group not in _names(data, "group"):
        return data.ids
    corpora = data.group("corpus") if "corpus" in _names(data, "group") else None
    return clusters_of(data.group(group), corpora)


def _names(data: Data, kind: str) -> list[str]:
    """Names of the groups or splits."""
    columns = list(data.table) if isinstance(data, Aligned) else data.column_names()
    return [name.partition(".")[2] for name in columns if name.startswith(f"{kind}.")]


def _only(names: Sequence[str], kind: str) -> str:
    if not names:
        raise SpecificationError(
            f"the corpus has no {kind}",
            remedy="name a group (--group) whose members stay together in folds, or give the corpus a split",
        )
    if len(names) != 1:
        raise SpecificationError(f"the corpus has {len(names)} {kind}s", remedy=f"name one of {', '.join(names)}")
    return names[0]


def _require_label(label: LabelSpecification, protocol: NamedProtocol) -> None:
    kinds = {"regression": ("regression", "ordinal"), "multiclass": ("binary", "multiclass")}
    if label.kind not in kinds.get(protocol.kind, (protocol.kind,)):
        problem = f"the label {label.key} is of the kind {label.kind}"
    elif protocol.classes and set(label.classes) != set(protocol.classes):
        problem = f"the label {label.key} has the classes {', '.join(label.classes)}"
    elif protocol.is_number and None not in (protocol.range, label.range) and label.range != protocol.range:
        problem = f"the label {label.key} goes from {label.range[0]:g} to {label.range[1]:g}" if label.range else ""
    else:
        return
    raise SpecificationError(
        f"{problem}, the protocol {protocol.name} expects {protocol.expects}", remedy="choose another protocol or label"
    )
