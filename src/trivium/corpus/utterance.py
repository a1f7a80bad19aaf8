"""The utterance, unit of everything: an id, its words, streams, labels, groups, splits and place in a clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from trivium.corpus.specification import Specification, StreamSpecification
from trivium.errors import DataError

__all__ = ["LabelValue", "Stream", "Utterance", "Words"]

LabelValue: TypeAlias = float | str | tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Stream:
    """Sequence of one modality.

    Parameters
    ----------
    values : array of shape (T, D)
        float32, or int32 for token ids. T may be 0.
    specification : StreamSpecification
        Names of the D columns, the clock, the extractor.
    times : array of shape (T, 2), optional
        Start and end of every step in seconds (float64), half-open, present exactly when the clock is seconds.

    Raises
    ------
    DataError
        A shape or type does not fit the specification.

    Examples
    --------
    >>> voice = StreamSpecification("audio", ("f0", "energy"), clock="seconds")
    >>> Stream(np.zeros((3, 2), np.float32), voice, np.array([[0, 1], [1, 2], [2, 3.0]])).steps
    3
    """

    values: NDArray[np.float32] | NDArray[np.int32]
    specification: StreamSpecification
    times: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        spec = self.specification
        if self.values.ndim != 2 or self.values.shape[1] != spec.dim:
            raise DataError(f"{spec.modality} has shape {self.values.shape}, expected (steps, {spec.dim})")
        if self.values.dtype != np.dtype(spec.dtype):
            raise DataError(f"{spec.modality} holds {self.values.dtype}, expected {spec.dtype}")
        if (self.times is None) == (spec.clock == "seconds"):
            raise DataError(f"{spec.modality} has clock {spec.clock}: times belong to seconds, and only to them")
        if self.times is not None and (self.times.shape != (self.steps, 2) or self.times.dtype != np.float64):
            raise DataError(f"{spec.modality}: times must be float64 of shape ({self.steps}, 2)")

    @property
    def steps(self) -> int:
        """Number of steps T."""
        return int(self.values.shape[0])


@dataclass(frozen=True, eq=False)
class Words:
    """Words of an utterance, with their times where known.

    Parameters
    ----------
    text : tuple of str
        W words in order; ``sp`` is a pause in the CMU files.
    times : array of shape (W, 2), optional
        Start and end in seconds (float64).
    confidence : array of shape (W,), optional
        How sure the aligner or recogniser is, in [0, 1] (float32).

    Examples
    --------
    >>> len(Words(("kids", "are", "talking")))
    3
    """

    text: tuple[str, ...]
    times: NDArray[np.float64] | None = None
    confidence: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if self.times is not None and (self.times.shape != (len(self.text), 2) or self.times.dtype != np.float64):
            raise DataError(f"word times must be float64 of shape ({len(self.text)}, 2), not {self.times.shape}")
        if self.confidence is not None and self.confidence.shape != (len(self.text),):
            raise DataError(f"word confidence must have shape ({len(self.text)},), not {self.confidence.shape}")

    def __len__(self) -> int:
        return len(self.text)


@dataclass(frozen=True, eq=False)
class Utterance:
    """One spoken utterance.

    Parameters
    ----------
    id : str
        Unique within a corpus.
    streams : mapping of str to Stream
        By modality; a modality that this utterance lacks has no entry.
    words : Words, optional
        The words, where known.
    text : str
        The transcript as people read it.
    labels : mapping of str to value
        By label key (``sentiment`` or ``sentiment@audio``): a float for regression and ordinal labels, the class name
        for binary and multiclass ones, a tuple of floats (one per class) for multilabel ones. A missing label has no
        entry.
    groups : mapping of str to str
        Such as ``{"speaker": "07", "video": "03bSnISJMiM"}``.
    splits : mapping of str to str
        Fold (``train``, ``valid``, ``test``) by the name of the split.
    clip : str
        The media file it comes from.
    start, end : float
        Its span [start, end) within the clip, in seconds; NaN where unknown.
    """

    id: str
    streams: Mapping[str, Stream] = field(default_factory=dict)
    words: Words | None = None
    text: str = ""
    labels: Mapping[str, LabelValue] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    splits: Mapping[str, str] = field(default_factory=dict)
    clip: str = ""
    start: float = float("nan")
    end: float = float("nan")

    def check(self, specification: Specification) -> None:
        """Raise a :class:`DataError` that names what does not fit `specification`."""
        if not self.id:
            raise DataError("an utterance has an empty id", remedy="give every utterance a unique id")
        for modality, stream in self.streams.items():
            if stream.specification != specification.stream(modality):
                raise DataError(
                    f"{modality} differs from the specification of the corpus", place=f"utterance {self.id}"
                )
        for key, value in self.labels.items():
            label = specification.label(key)
            place = f"utterance {self.id}, label {key}"
            if label.kind == "multilabel":
                if not isinstance(value, tuple) or len(value) != len(label.classes):
                    raise DataError(
                        f"{value!r} is not one number for each of {len(label.classes)} classes", place=place
                    )
            elif label.is_number:
                if not isinstance(value, float | int) or not np.isfinite(value):
                    raise DataError(f"{value!r} is not a finite number", place=place)
            elif value not in label.classes:
                raise DataError(f"{value!r} is none of {', '.join(label.classes)}", place=place)
