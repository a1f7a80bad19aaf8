"""Objectives as people name them: ``modal_alignment:pairs=text+audio,text+vision:weight=0.1``."""

from __future__ import annotations

import inspect
import json
import math
from typing import Any

from trivium.errors import SpecificationError
from trivium.registry import load
from trivium.train import Objective

__all__ = ["objective"]


def objective(request: str, *, label: str | None = None) -> Objective:
    """Make an objective of the registry.

    Parameters
    ----------
    request : str
        Its name, then ``:OPTION=VALUE`` as often as wanted; what the options are stands in its constructor.
    label : str, optional
        Key of the label, for objectives that look at one and are not told which.

    Raises
    ------
    TriviumError
        There is no such objective; the message names those that exist.
    SpecificationError
        It has no such option, or no such value.

    Examples
    --------
    >>> made = objective("modal_alignment:pairs=text+audio:scale=trace:weight=10")
    >>> made.name, made.pairs, made.scale, made.weight
    ('modal_alignment', 'text+audio', 'trace', 10)
    """
    name, *pieces = request.split(":")
    kind = load("objective", name)
    defaults = {key: one.default for key, one in inspect.signature(kind).parameters.items()}
    options: dict[str, Any] = {"label": label} if "label" in defaults and label is not None else {}
    for piece in pieces:
        option, sign, value = piece.partition("=")
        if not sign or option not in defaults:
            raise SpecificationError(
                f"{name} has no option {option!r}", remedy=f"write {name}:OPTION=VALUE with {', '.join(defaults)}"
            )
        options[option] = _value(name, option, value, defaults[option])
    if defaults.get("label", "") is inspect.Parameter.empty and "label" not in options:
        raise SpecificationError(f"{name} must know the label", remedy=f"write {name}:label=NAME")
    made: Objective = kind(**options)
    return made


def _value(name: str, option: str, text: str, default: Any) -> Any:
    """Text as it stands where the default is text, else a value of the default's type."""
    if default is inspect.Parameter.empty or isinstance(default, str):
        return text
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = None
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    fits = {
        bool: isinstance(value, bool),
        int: isinstance(value, int) and number,
        float: number,
        tuple: isinstance(value, list),
    }
    if not fits.get(type(default), False):
        raise SpecificationError(f"{name}: {option} cannot be {text!r}", remedy=f"the default is {default!r}")
    return tuple(value) if isinstance(default, tuple) else value
