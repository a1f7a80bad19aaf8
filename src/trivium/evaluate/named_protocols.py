"""The protocols of the field by name: which label, which numbers in which order, what chooses, how the folds are made.

One place for each fact: `trivium score`, training runs, the tables and `docs/protocols.md` all read
:data:`NAMED_PROTOCOLS`. A named protocol says *how* to evaluate; joined with a corpus it gives the folds as rows, a
:class:`trivium.evaluate.Protocol`. Sources: the public evaluation code of MMSA, MulT, MISA, MultiBench and MERBench.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from trivium.corpus.specification import LabelKind
from trivium.errors import SpecificationError
from trivium.metrics import metric

__all__ = ["LOSS", "NAMED_PROTOCOLS", "Measure", "NamedProtocol", "named_protocol"]

LOSS = "loss"
"""Selection by the lowest mean loss on the validation fold, whatever the loss is."""

_MOSI_METRICS = (
    *("acc2_has0", "f1_has0", "acc2_non0", "f1_non0", "acc3", "acc5", "acc7", "mae", "r"),
    *("f1_has0_by_prediction", "f1_non0_by_prediction", "acc2_zero_negative", "acc7_sdk"),
)
_SIMS_METRICS = ("sims_acc2", "sims_f1", "sims_acc3", "sims_acc5", "sims_mae", "sims_r")
_MOSEI_EMOTIONS = ("happy", "sad", "anger", "surprise", "disgust", "fear")
_IEMOCAP = ("neutral", "happy", "sad", "angry")


@dataclass(frozen=True)
class Measure:
    """One printed number.

    Parameters
    ----------
    metric : str
        Name in :data:`trivium.metrics.METRICS`.
    of : str
        The class it speaks of, where several are measured one by one; else empty.
    """

    metric: str
    of: str = ""

    @property
    def name(self) -> str:
        """As in tables and files, such as ``acc7`` or ``happy.accuracy``."""
        return f"{self.of}.{self.metric}" if self.of else self.metric

    @property
    def definition(self) -> str:
        """One sentence."""
        return metric(self.metric).definition


@dataclass(frozen=True)
class NamedProtocol:
    """How a corpus of the field is evaluated.

    Parameters
    ----------
    name : str
        As on the command line.
    title : str
        One sentence.
    kind : {"regression", "binary", "multiclass", "multilabel"}
        Kind of the label.
    metrics : tuple of str
        Names in :data:`trivium.metrics.METRICS`, in printed order; for a multilabel kind, of every class.
    selection : str
        What chooses epochs and settings, on validation only: :data:`LOSS`, or one of the metrics.
    folds : {"given", "grouped"}
        The distribution's own train, valid and test folds, or folds of whole groups.
    group : str
        What the intervals resample as a whole; also what grouped folds keep together unless `held_apart` says else.
    held_apart : str
        Group that grouped folds keep together, where it is another one.
    classes : tuple of str
        Classes in order; empty where any will do.
    range : (float, float), optional
        Lowest and highest possible label.
    threshold : float, optional
        Multilabel only: a class is present where its number is above.
    test_sizes : tuple of int
        Utterances in the test fold of the known distributions; empty where there is none.
    source : str
        Whose evaluation this is.

    Examples
    --------
    >>> named_protocol("sims").metrics[0], named_protocol("iemocap").measures[0].name
    ('sims_acc2', 'neutral.accuracy')
    """

    name: str
    title: str
    kind: LabelKind
    metrics: tuple[str, ...]
    selection: str = LOSS
    folds: Literal["given", "grouped"] = "given"
    group: str = "video"
    held_apart: str = ""
    classes: tuple[str, ...] = ()
    range: tuple[float, float] | None = None
    threshold: float | None = None
    test_sizes: tuple[int, ...] = ()
    source: str = "our choice"

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Printed numbers in order."""
        return tuple(
            Measure(name, of) for of in (self.classes if self.is_multilabel else ("",)) for name in self.metrics
        )

    @property
    def is_multilabel(self) -> bool:
        """Whether several classes may be present at once."""
        return self.kind == "multilabel"

    @property
    def is_number(self) -> bool:
        """Whether one number is predicted."""
        return self.kind == "regression"

    @property
    def expects(self) -> str:
        """The label it is made for, in words."""
        if self.is_number:
            return "a number" if self.range is None else f"a number from {self.range[0]:g} to {self.range[1]:g}"
        if self.is_multilabel:
            return f"for each of {', '.join(self.classes)}: present where the number is above {self.threshold:g}"
        return f"one of the classes {', '.join(self.classes)}" if self.classes else "one class"

    @property
    def chooses(self) -> str:
        """The rule of selection, in words."""
        if self.selection == LOSS:
            return "lowest loss on the validation fold"
        best = "highest" if metric(self.selection).higher_is_better else "lowest"
        return f"{best} {self.selection} on the validation fold"

    @property
    def divides(self) -> str:
        """The rule of the folds, in words."""
        if self.folds == "given":
            return "train, valid and test folds as distributed"
        return f"folds of whole groups ({self.held_apart or self.group}), each tested once"


_ALL = (
    NamedProtocol(
        "mosi",
        "CMU-MOSI sentiment, one number per utterance",
        "regression",
        _MOSI_METRICS,
        range=(-3.0, 3.0),
        test_sizes=(686,),
        source="MMSA, MulT, MISA; F1 by prediction as MulT and MISA print it, the third Acc-2 as MultiBench does",
    ),
    NamedProtocol(
        "mosei",
        "CMU-MOSEI sentiment, one number per utterance",
        "regression",
        _MOSI_METRICS,
        range=(-3.0, 3.0),
        test_sizes=(4659, 4643),
        source="as mosi; 4,659 test utterances in MMSA's files, 4,643 in those of MulT and MultiBench",
    ),
    NamedProtocol(
        "mosei-emotions",
        "CMU-MOSEI emotions, six intensities per utterance",
        "multilabel",
        ("weighted_accuracy", "weighted_f1"),
        classes=_MOSEI_EMOTIONS,
        range=(0.0, 3.0),
        threshold=0.0,
        source="the emotion part of MulT's evaluation code",
    ),
    NamedProtocol(
        "sims",
        "CH-SIMS sentiment, one number per utterance, clipped before everything",
        "regression",
        _SIMS_METRICS,
        range=(-1.0, 1.0),
        test_sizes=(457,),
        source="MMSA",
    ),
    NamedProtocol(
        "simsv2",
        "CH-SIMS v2 sentiment, one number per utterance, clipped before everything",
        "regression",
        _SIMS_METRICS,
        range=(-1.0, 1.0),
        test_sizes=(1034,),
        source="MMSA",
    ),
    NamedProtocol(
        "iemocap",
        "IEMOCAP, four emotions, each a yes or no of its own",
        "multilabel",
        ("accuracy", "weighted_f1"),
        group="speaker",
        classes=_IEMOCAP,
        range=(0.0, 1.0),
        threshold=0.5,
        test_sizes=(938,),
        source="MulT; a probability above .5 is the larger of its two logits",
    ),
    NamedProtocol(
        "merbench-sentiment",
        "sentiment as MERBench measures it on MOSI, MOSEI, SIMS and SIMSv2 alike",
        "regression",
        ("f1_non0", "acc2_non0"),
        selection="f1_non0",
        source="MERBench",
    ),
    NamedProtocol(
        "merbench-emotion",
        "one emotion per utterance as MERBench measures it, such as IEMOCAP in four or six classes by session",
        "multiclass",
        ("weighted_f1", "accuracy"),
        selection="weighted_f1",
        folds="grouped",
        group="speaker",
        held_apart="session",
        source="MERBench",
    ),
    NamedProtocol(
        "ur-funny",
        "UR-FUNNY, whether a punchline is humorous",
        "binary",
        ("accuracy",),
        group="speaker",
        classes=("0", "1"),
        source="MISA, MultiBench",
    ),
    NamedProtocol(
        "mustard",
        "MUStARD, whether an utterance is sarcastic",
        "binary",
        ("accuracy",),
        group="speaker",
        classes=("0", "1"),
        source="MultiBench",
    ),
    NamedProtocol("regression", "any number", "regression", ("r", "mae"), group="speaker"),
    NamedProtocol("classification", "any classes", "multiclass", ("uar", "accuracy", "weighted_f1"), group="speaker"),
)

NAMED_PROTOCOLS: Mapping[str, NamedProtocol] = MappingProxyType({p.name: p for p in _ALL})
"""Protocols by name."""


def named_protocol(name: str) -> NamedProtocol:
    """Protocol by name.

    Parameters
    ----------
    name : str
        A key of :data:`NAMED_PROTOCOLS`.

    Raises
    ------
    SpecificationError
        There is none; lists those that exist.

    Examples
    --------
    >>> named_protocol("mosi").range
    (-3.0, 3.0)
    """
    try:
        return NAMED_PROTOCOLS[name]
    except KeyError:
        raise SpecificationError(
            f"there is no protocol {name!r}", remedy=f"choose one of {', '.join(NAMED_PROTOCOLS)}"
        ) from None
