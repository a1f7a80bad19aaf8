"""Representations as people name them: ``masked-steps``, or several beside one another, ``statistics+masked-steps``."""

from __future__ import annotations

from typing import Any

from trivium.errors import SpecificationError
from trivium.registry import entries, load

__all__ = ["representation", "representation_names"]

_JOIN = "+"


def representation_names(request: str) -> list[str]:
    """Names in a request, empty where it names something that is not registered.

    Parameters
    ----------
    request : str
        A name, or several joined with ``+``.

    Examples
    --------
    >>> representation_names("statistics + masked-steps"), representation_names("weights/mine")
    (['statistics', 'masked-steps'], [])
    """
    names = [name.strip() for name in request.split(_JOIN)]
    known = {entry.name for entry in entries("representation")}
    return names if known.issuperset(names) else []


def representation(request: str) -> Any:
    """Make representations of the registry, with their defaults.

    Parameters
    ----------
    request : str
        A name, or several joined with ``+``: a :class:`trivium.represent.Beside` of them.

    Raises
    ------
    TriviumError
        There is no such representation; the message names those that exist.
    SpecificationError
        One is named twice.

    Examples
    --------
    >>> type(representation("mean")).__name__, type(representation("mean+missingness")).__name__
    ('MeanPooling', 'Beside')
    """
    names = [name.strip() for name in request.split(_JOIN)]
    if len(set(names)) < len(names):
        raise SpecificationError(f"{request} names a representation twice", remedy="name each once")
    made = [(name, load("representation", name)()) for name in names]
    if len(made) == 1:
        return made[0][1]
    from trivium.represent.beside import Beside

    return Beside(tuple(made))
