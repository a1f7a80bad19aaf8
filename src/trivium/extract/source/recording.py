"""What is to be extracted: a clip or a span of it, and what is known about it beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path
from typing import Any

from trivium.corpus.utterance import LabelValue
from trivium.errors import DataError, TriviumError
from trivium.extract.words.timed_transcript import TimedTranscript

__all__ = ["Recording"]

_IN_SECONDS = "check that its times are seconds of this very clip"


@dataclass(frozen=True)
class Recording:
    """A clip that is to be extracted, and what is known about it beforehand.

    Parameters
    ----------
    path : Path
        The media file.
    id : str
        Id of the utterance; the file's name without its ending where left out.
    transcript : str or TimedTranscript, optional
        What is said in the clip; of one with times, what lies in the span. None: it has to be recognised.
    labels, groups, splits : mapping
        As in :class:`trivium.corpus.Utterance`.
    fault : TriviumError, optional
        Why it cannot be extracted, where that is known beforehand: its transcript cannot be read.
    start, end : float
        The span of the clip that becomes the utterance, in seconds; NaN: from its start, or to its end.

    Examples
    --------
    >>> Recording(Path("clips/interview.mp4")).id
    'interview'
    """

    path: Path
    id: str = ""
    transcript: str | TimedTranscript | None = None
    labels: Mapping[str, LabelValue] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    splits: Mapping[str, str] = field(default_factory=dict)
    fault: TriviumError | None = None
    start: float = float("nan")
    end: float = float("nan")

    def __post_init__(self) -> None:
        if not self.id:
            object.__setattr__(self, "id", self.path.stem)

    def to_json(self) -> dict[str, Any]:
        """Plain builtins, for another process; a fault is left out."""
        told = self.transcript
        return {
            "path": str(self.path),
            "id": self.id,
            "transcript": told.to_json() if isinstance(told, TimedTranscript) else told,
            "labels": {key: list(v) if isinstance(v, tuple) else v for key, v in self.labels.items()},
            "groups": dict(self.groups),
            "splits": dict(self.splits),
            "start": self.start,
            "end": self.end,
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Recording:
        """What :meth:`to_json` gave.

        Parameters
        ----------
        told : mapping
            Plain builtins.

        Examples
        --------
        >>> one = Recording(Path("a.mp4"), labels={"mood": (0.5, 1.0)}, start=2.0, end=3.0)
        >>> Recording.from_json(one.to_json()) == one
        True
        """
        spoken = told["transcript"]
        return cls(
            **{
                **told,
                "path": Path(told["path"]),
                "transcript": TimedTranscript.from_json(spoken) if isinstance(spoken, dict) else spoken,
                "labels": {key: tuple(v) if isinstance(v, list) else v for key, v in told["labels"].items()},
            }
        )

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole clip and no span of it."""
        return isnan(self.start) and isnan(self.end)

    def span(self, seconds: float) -> tuple[float, float]:
        """Start and end within a clip that lasts `seconds`; what reaches past its end is cut there.

        Parameters
        ----------
        seconds : float
            Length of the clip.

        Raises
        ------
        DataError
            The span is empty, begins before 0 or after the end of the clip.

        Examples
        --------
        >>> Recording(Path("a.mp4"), start=2.0, end=9.0).span(5.0)
        (2.0, 5.0)
        """
        start = 0.0 if isnan(self.start) else self.start
        end = seconds if isnan(self.end) else self.end
        if start < 0:
            raise DataError(
                f"its span begins at {start:g} s, before the clip", file=self.path, remedy="begin it at 0 or later"
            )
        if start >= seconds and not self.is_whole:
            raise DataError(
                f"its span begins at {start:g} s, and the clip ends at {seconds:.3f} s",
                file=self.path,
                remedy=_IN_SECONDS,
            )
        if not end > start and not self.is_whole:
            raise DataError(
                f"its span from {start:g} to {end:g} s is empty",
                file=self.path,
                remedy="let it end after its start; times are seconds of the clip",
            )
        return start, min(end, seconds)
