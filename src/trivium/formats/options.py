"""Options of readers and writers, checked first: their names, and their values where there are choices."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from trivium.errors import TriviumError

__all__ = ["check_options", "require_choice"]


def check_options(call: Callable[..., Any], options: Mapping[str, Any], name: str, skip: int) -> None:
    """Refuse options that a format does not have, and values that are none of an option's choices.

    The choices are those of the ``Literal`` in the annotation, so a format states them once.

    Parameters
    ----------
    call : callable
        The ``read`` or ``write`` of a format.
    options : mapping
        What it is to be called with.
    name : str
        Name of the format, for errors.
    skip : int
        Number of parameters in front that are no options.

    Raises
    ------
    TriviumError
        Names the option and lists what there is.

    Examples
    --------
    >>> def read(path, *, side: Literal["left", "right"] | None = None): ...
    >>> check_options(read, {"side": "up"}, "npz", 1)
    Traceback (most recent call last):
    trivium.errors.TriviumError: side is 'up'. Remedy: choose from left, right.
    """
    known = list(inspect.signature(call).parameters)[skip:]
    hints = get_type_hints(call)
    for option, value in options.items():
        if option not in known:
            raise TriviumError(
                f"the format {name!r} has no option {option!r}", remedy=f"choose from {', '.join(known) or 'none'}"
            )
        choices = _choices(hints.get(option))
        if choices:
            require_choice(option, value, choices)


def require_choice(option: str, value: Any, choices: Iterable[Any]) -> None:
    """Refuse a value that is none of the choices; None stands for the default and is no choice of its own.

    Raises
    ------
    TriviumError
        Names the option and lists the choices.

    Examples
    --------
    >>> require_choice("duplicates", "suffix", ("error", "suffix"))
    """
    allowed = list(choices)
    if value not in allowed:
        listed = ", ".join(str(choice) for choice in allowed if choice is not None)
        raise TriviumError(f"{option} is {value!r}", remedy=f"choose from {listed}")


def _choices(hint: Any) -> list[Any]:
    """Values of a ``Literal``, alone or beside None; nothing for any other annotation."""
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    parts = [part for part in get_args(hint) if part is not type(None)]
    if len(parts) == 1 and len(get_args(hint)) == 2 and get_origin(parts[0]) is Literal:
        return [*get_args(parts[0]), None]
    return []
