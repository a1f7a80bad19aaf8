"""What must be the same for a run to go on, and in which words it is said what differs."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any

from trivium.train.hooks import Objective

__all__ = ["differences", "objective_settings"]

_LONGEST = 60


def objective_settings(objectives: Sequence[Objective]) -> dict[str, dict[str, Any]]:
    """Options of objectives by their name, as a checkpoint gives them back: plain builtins.

    Options are what the constructor takes and the object keeps under the same name; the weight is one of them.

    Parameters
    ----------
    objectives : sequence of Objective
        Each with a name of its own.

    Examples
    --------
    >>> class Small(Objective):
    ...     name = "small"
    ...     def __init__(self, margin=0.5): self.margin = margin
    >>> objective_settings([Small()])
    {'small': {'margin': 0.5, 'weight': 1.0}}
    """
    found: dict[str, dict[str, Any]] = {}
    for one in objectives:
        names = dict.fromkeys([*inspect.signature(type(one)).parameters, "weight"])
        found[one.name] = {name: getattr(one, name) for name in names if hasattr(one, name)}
    plain: dict[str, dict[str, Any]] = json.loads(json.dumps(found, default=str))
    return plain


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say what differs: ``NAME (was X, is Y)``, of settings within settings by both names, of long ones the name.

    Parameters
    ----------
    before, now : mapping
        Settings of the checkpoint and of this run.

    Examples
    --------
    >>> differences({"seed": 1, "objectives": {"l1": {"weight": 1.0}}}, {"seed": 2, "objectives": {"mse": {}}})
    ['seed (was 1, is 2)', 'objectives l1 (was there, is not)', 'objectives mse (was not there, is)']
    """
    found = []
    for key in dict.fromkeys([*before, *now]):
        if key not in now or key not in before:
            found.append(f"{key} (was there, is not)" if key in before else f"{key} (was not there, is)")
            continue
        old, new = _numbered(before[key]), _numbered(now[key])
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += [f"{key} {inner}" for inner in differences(old, new)]
        elif old != new:
            said = f"{key} (was {old}, is {new})"
            found.append(said if len(said) <= _LONGEST + len(key) else str(key))
    return found


def _numbered(value: Any) -> Any:
    """A list of settings, such as an optimiser's groups, as settings by their number."""
    if isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
        return {str(number): one for number, one in enumerate(value, 1)}
    return value
