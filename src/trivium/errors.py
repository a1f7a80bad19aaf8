"""Every error a user of trivium meets: one sentence that names the file, the place and the remedy."""

from __future__ import annotations

from os import PathLike, fspath
from typing import Self

__all__ = [
    "AlignmentError",
    "DataError",
    "DependencyError",
    "DiskError",
    "FormatError",
    "LimitError",
    "MediaError",
    "SpecificationError",
    "TriviumError",
    "UnsafeFileError",
    "UpstreamError",
    "WeightsError",
]


class TriviumError(Exception):
    """Base of all errors that trivium raises on purpose.

    Parameters
    ----------
    problem : str
        What is wrong, as a sentence without a full stop.
    file : path, optional
        The file or folder that holds the problem.
    place : str, optional
        Where inside it: a key, a row, a column, a second.
    remedy : str, optional
        What the user can do about it.

    Examples
    --------
    >>> print(FormatError("no key 'vision'", file="a.pkl", place="train", remedy="name the modality"))
    a.pkl (train): no key 'vision'. Remedy: name the modality.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str | PathLike[str] | None = None,
        place: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.problem = problem
        self.file = None if file is None else fspath(file)
        self.place = place
        self.remedy = remedy
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        where = self.file or ""
        if self.place:
            where = f"{where} ({self.place})" if where else self.place
        sentence = f"{where}: {self.problem}" if where else self.problem
        sentence = sentence.rstrip(".") + "."
        return f"{sentence} Remedy: {self.remedy.rstrip('.')}." if self.remedy else sentence

    def located(self, file: str | PathLike[str], place: str | None = None) -> Self:
        """The same error with a file and a place, where it names none itself.

        Examples
        --------
        >>> print(DataError("is no number", place="row 3").located("a.csv", "row 1"))
        a.csv (row 3): is no number.
        """
        return type(self)(
            self.problem,
            file=file if self.file is None else self.file,
            place=self.place or place,
            remedy=self.remedy,
        )

    def __reduce__(self) -> tuple[object, ...]:
        # keyword-only arguments do not survive the default pickling, and workers send errors home
        return _rebuild, (type(self), self.problem, self.file, self.place, self.remedy)


def _rebuild(
    kind: type[TriviumError], problem: str, file: str | None, place: str | None, remedy: str | None
) -> TriviumError:
    return kind(problem, file=file, place=place, remedy=remedy)


class FormatError(TriviumError):
    """A file is not what it claims to be: unknown, cut off or inconsistent."""


class UnsafeFileError(FormatError):
    """A file asks for code to be run, or for classes outside the allowed list."""


class LimitError(FormatError):
    """A file is larger, deeper or more compressed than the safety limits allow."""


class DataError(TriviumError):
    """Values that cannot be used: non-finite cells, duplicate ids, wrong lengths, missing labels."""


class DiskError(DataError):
    """The disk refuses: it is full, or may not be written to."""


class SpecificationError(TriviumError):
    """Two things that were to be joined differ in modalities, columns, clocks or labels."""


class AlignmentError(TriviumError):
    """Streams cannot be put on one timeline: no reference, no clock, intervals out of order."""


class MediaError(TriviumError):
    """A clip cannot be decoded."""


class UpstreamError(TriviumError):
    """A model that others trained is missing, altered or cannot be fetched."""


class WeightsError(TriviumError):
    """A weights folder is incomplete, altered or does not fit the data."""


class DependencyError(TriviumError):
    """An optional dependency is not installed; the remedy names the extra that brings it."""
