"""The specification: what a corpus promises about its modalities, columns, clocks and labels.

It is frozen and compared at every border, each time only on what that border uses: pretraining ignores labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from trivium.errors import SpecificationError

__all__ = ["Clock", "LabelKind", "LabelSpecification", "Specification", "StreamSpecification", "choice_remedy"]

Clock = Literal["seconds", "words", "none"]
ValueType = Literal["float32", "int32"]
LabelKind = Literal["regression", "binary", "multiclass", "multilabel", "ordinal"]
_MOST_NAMES_SHOWN = 6
_CUSTOMARY_ORDER = ("text", "audio", "vision")


@dataclass(frozen=True)
class StreamSpecification:
    """What is known about one modality of a corpus.

    Parameters
    ----------
    modality : str
        ``text``, ``audio``, ``vision`` or any other name.
    columns : tuple of str
        One distinct name per column. A source without names gets positional ones (:meth:`positional`).
    clock : {"seconds", "words", "none"}
        What a step is: a span of seconds, a word, or unknown.
    dtype : {"float32", "int32"}
        ``int32`` is for token ids.
    extractor, version : str
        What made the values.

    Examples
    --------
    >>> StreamSpecification("audio", ("f0", "energy"), clock="seconds").dim
    2
    """

    modality: str
    columns: tuple[str, ...]
    clock: Clock = "none"
    dtype: ValueType = "float32"
    extractor: str = ""
    version: str = ""

    def __post_init__(self) -> None:
        if not self.modality or any(sign in self.modality for sign in "./@"):
            raise SpecificationError(f"{self.modality!r} is no name for a modality", remedy="avoid . / and @")
        if self.clock not in get_args(Clock) or self.dtype not in get_args(ValueType):
            raise SpecificationError(f"{self.modality}: unknown clock {self.clock!r} or dtype {self.dtype!r}")
        if not self.columns or len(set(self.columns)) != len(self.columns):
            raise SpecificationError(f"{self.modality}: column names must be distinct and at least one")

    @classmethod
    def positional(cls, modality: str, source: str, dim: int, **rest: Any) -> StreamSpecification:
        """Columns without names of their own, such as ``mfn-vision-00``; they join only with their own distribution.

        Parameters
        ----------
        modality : str
            Modality the columns belong to.
        source : str
            Short name of the distribution.
        dim : int
            Number of columns.
        **rest
            Other fields of the specification.
        """
        width = max(2, len(str(dim - 1)))
        return cls(modality, tuple(f"{source}-{modality}-{i:0{width}d}" for i in range(dim)), **rest)

    @property
    def dim(self) -> int:
        """Number of columns."""
        return len(self.columns)


@dataclass(frozen=True)
class LabelSpecification:
    """One label: its name, kind and values, for the whole utterance or for one modality.

    Parameters
    ----------
    name : str
        Such as ``sentiment``.
    kind : {"regression", "binary", "multiclass", "multilabel", "ordinal"}
        Regression and ordinal values are numbers; binary and multiclass ones are class names; multilabel ones are a
        number per class (0 or 1, or an intensity).
    classes : tuple of str
        Names of the classes, in order, where the kind has classes.
    range : (float, float), optional
        Lowest and highest possible number.
    modality : str, optional
        Set when the label speaks of one modality alone (CH-SIMS).
    """

    name: str
    kind: LabelKind
    classes: tuple[str, ...] = ()
    range: tuple[float, float] | None = None
    modality: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(LabelKind):
            raise SpecificationError(f"label {self.name!r} has the unknown kind {self.kind!r}")
        if self.kind in ("binary", "multiclass", "multilabel") and not self.classes:
            raise SpecificationError(f"label {self.name!r} of kind {self.kind} needs its classes")

    @property
    def key(self) -> str:
        """``name``, or ``name@modality`` for the label of one modality."""
        return f"{self.name}@{self.modality}" if self.modality else self.name

    @property
    def is_number(self) -> bool:
        """Whether one value is one number."""
        return self.kind in ("regression", "ordinal")


@dataclass(frozen=True)
class Specification:
    """Modalities and labels of a corpus, in a fixed order: text, audio, vision, then the others by name.

    Parameters
    ----------
    streams : tuple of StreamSpecification
        One per modality.
    labels : tuple of LabelSpecification
        May be empty.

    Examples
    --------
    >>> voice = StreamSpecification("audio", ("f0",))
    >>> words = StreamSpecification("text", ("x", "y"))
    >>> Specification((voice, words)).columns
    ('text.x', 'text.y', 'audio.f0')
    """

    streams: tuple[StreamSpecification, ...]
    labels: tuple[LabelSpecification, ...] = field(default=())

    def __post_init__(self) -> None:
        names = [s.modality for s in self.streams]
        if len(set(names)) != len(names):
            raise SpecificationError("a modality appears twice in a specification")
        keys = [label.key for label in self.labels]
        if len(set(keys)) != len(keys):
            raise SpecificationError("a label appears twice in a specification")
        object.__setattr__(self, "streams", tuple(sorted(self.streams, key=_place)))

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, in order."""
        return tuple(s.modality for s in self.streams)

    @property
    def numeric(self) -> tuple[str, ...]:
        """Modalities of numbers, in order: all but token ids, which are names of word pieces."""
        return tuple(stream.modality for stream in self.streams if stream.dtype == "float32")

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns as ``modality.column``, in the order of an aligned matrix."""
        return tuple(f"{s.modality}.{c}" for s in self.streams for c in s.columns)

    def stream(self, modality: str) -> StreamSpecification:
        """Specification of one modality; the error names those that exist."""
        for stream in self.streams:
            if stream.modality == modality:
                return stream
        raise SpecificationError(f"there is no modality {modality!r}", remedy=f"choose from {_some(self.modalities)}")

    def label(self, key: str) -> LabelSpecification:
        """Specification of one label by its key (``name`` or ``name@modality``)."""
        for label in self.labels:
            if label.key == key:
                return label
        raise SpecificationError(
            f"there is no label {key!r}", remedy=choice_remedy("label", [label.key for label in self.labels])
        )

    def select(self, modalities: Iterable[str]) -> Specification:
        """Only the named modalities (order does not matter); labels stay."""
        return Specification(tuple(self.stream(m) for m in dict.fromkeys(modalities)), self.labels)

    def require_same_streams(self, other: Specification, *, ours: str, theirs: str) -> None:
        """Raise a :class:`SpecificationError` that names what differs in modalities, columns, clocks or types.

        Parameters
        ----------
        other : Specification
            What to compare with.
        ours, theirs : str
            How the error calls the two sides.
        """
        if self.modalities != other.modalities:
            raise SpecificationError(
                f"{ours} has the modalities {_some(self.modalities)}, {theirs} has {_some(other.modalities)}",
                remedy="select the modalities that both have",
            )
        for a, b in zip(self.streams, other.streams, strict=True):
            _require_same_stream(a, b, ours, theirs)

    def to_json(self) -> dict[str, Any]:
        """Plain builtins, for ``corpus.json`` and ``config.json``."""
        return {
            "streams": [
                {
                    "modality": s.modality,
                    "columns": list(s.columns),
                    "clock": s.clock,
                    "dtype": s.dtype,
                    "extractor": s.extractor,
                    "version": s.version,
                }
                for s in self.streams
            ],
            "labels": [
                {
                    "name": v.name,
                    "kind": v.kind,
                    "classes": list(v.classes),
                    "range": list(v.range) if v.range else None,
                    "modality": v.modality,
                }
                for v in self.labels
            ],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Specification:
        """Inverse of :meth:`to_json`; a malformed value is one :class:`SpecificationError`."""
        try:
            streams = tuple(
                StreamSpecification(**{**s, "columns": tuple(str(c) for c in s["columns"])}) for s in value["streams"]
            )
            labels = tuple(
                LabelSpecification(
                    **{**v, "classes": tuple(v["classes"]), "range": tuple(v["range"]) if v["range"] else None}
                )
                for v in value["labels"]
            )
        except (KeyError, TypeError) as cause:
            raise SpecificationError(f"a stored specification is malformed: {cause!r}") from cause
        return cls(streams, labels)


def _place(stream: StreamSpecification) -> tuple[int, str]:
    order = _CUSTOMARY_ORDER
    return (order.index(stream.modality) if stream.modality in order else len(order), stream.modality)


def _require_same_stream(a: StreamSpecification, b: StreamSpecification, ours: str, theirs: str) -> None:
    if a.columns != b.columns:
        only_a = [c for c in a.columns if c not in set(b.columns)]
        only_b = [c for c in b.columns if c not in set(a.columns)]
        if only_a or only_b:
            detail = f"only in {ours}: {_some(only_a)}; only in {theirs}: {_some(only_b)}"
        else:
            moved = [f"{x}/{y}" for x, y in zip(a.columns, b.columns, strict=True) if x != y]
            detail = f"same names in another order: {_some(moved)}"
        raise SpecificationError(
            f"the columns of {a.modality} differ ({detail})", remedy="select the shared columns by name"
        )
    if (a.clock, a.dtype) != (b.clock, b.dtype):
        raise SpecificationError(
            f"{a.modality} has clock {a.clock} and type {a.dtype} in {ours}, {b.clock} and {b.dtype} in {theirs}",
            remedy="align both first",
        )


def choice_remedy(kind: str, names: Sequence[str]) -> str:
    """What to do where a label, group or split was asked for that does not exist.

    Parameters
    ----------
    kind : {"label", "group", "split"}
        What was asked for.
    names : sequence of str
        Those that there are.

    Examples
    --------
    >>> choice_remedy("group", ["speaker", "video"])
    'choose from speaker, video'
    >>> choice_remedy("group", [])
    'this corpus has no groups; give them with a label.csv beside the clips or a table of spans (extract --spans)'
    """
    if names:
        return f"choose from {_some(names)}"
    return (
        f"this corpus has no {kind}s; give them with a label.csv beside the clips or a table of spans (extract --spans)"
    )


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _MOST_NAMES_SHOWN} more" if len(listed) > _MOST_NAMES_SHOWN else ""
    return (", ".join(listed[:_MOST_NAMES_SHOWN]) or "none") + more
