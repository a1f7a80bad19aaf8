"""``--set OPTION=VALUE``: options of a representation, as commands take them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["class_weights", "parsed_options", "with_options"]


def parsed_options(options: Sequence[str]) -> dict[str, Any]:
    """``option=value`` pairs; a value is JSON where it can be read as such, else text."""
    from trivium.errors import SpecificationError

    found: dict[str, Any] = {}
    for option in options:
        name, sign, value = option.partition("=")
        if not sign:
            raise SpecificationError(f"--set {option}: there is no value", remedy="write OPTION=VALUE")
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found


def class_weights(text: str | None) -> str | dict[str, float] | None:
    """``balanced``, or a weight by class of ``calm=2,sad=0.5``."""
    from trivium.errors import SpecificationError

    if text is None or "=" not in text:
        return text
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = part.rpartition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            raise SpecificationError(
                f"--class-weight {part}: {value!r} is no number", remedy="write CLASS=NUMBER,CLASS=NUMBER or balanced"
            ) from None
    return found


def with_options(estimator: Any, name: str, options: Mapping[str, Any]) -> Any:
    """The estimator with other options, each of the type of its default.

    Parameters
    ----------
    estimator : estimator
        With its defaults.
    name : str
        What the user calls it.
    options : mapping
        Value by option.

    Raises
    ------
    SpecificationError
        It has no such option, or the value is of another type.
    """
    from trivium.errors import SpecificationError

    known = estimator.get_params()
    unknown = [option for option in options if option not in known]
    if unknown:
        raise SpecificationError(
            f"{name} has no option {', '.join(unknown)}", remedy=f"choose from {', '.join(known) or 'none'}"
        )
    for option, value in options.items():
        if not _is_like(value, known[option]):
            raise SpecificationError(
                f"{option} cannot be {value!r}",
                remedy=f"give {_kind(known[option])}, such as the default {known[option]!r}",
            )
    return estimator.set_params(**options)


def _kind(default: Any) -> str:
    """What a value has to be, in words."""
    kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}
    return kinds.get(type(default), "a value of the same kind")


def _is_like(value: Any, default: Any) -> bool:
    """Whether a value from the command line has the type of the default; None tells nothing."""
    if default is None or isinstance(default, bool):
        return default is None or isinstance(value, bool)
    if isinstance(default, int):
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, type(default))
