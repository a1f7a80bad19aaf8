"""Numbers that a training is asked for, checked before anything is made of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from trivium.errors import SpecificationError

__all__ = ["require_training"]

_RATES = ("learning_rate", "weight_decay", "text_learning_rate", "text_weight_decay")
_SHARES = ("drop_modalities", "drop_steps")
_COUNTS = {"batch_size": 1, "accumulate": 1, "max_epochs": 0, "patience": 0, "freeze_layers": 0}


def require_training(settings: Mapping[str, Any]) -> None:
    """Raise where a setting of a predictor's training is out of its range.

    Parameters
    ----------
    settings : mapping
        As the predictor's constructor takes them.

    Raises
    ------
    SpecificationError
        A rate is not a finite number of at least 0, a share not below 1, a count is none or too low, the largest norm
        of a step is not above 0, or the seed is below 0.

    Examples
    --------
    >>> rates = dict.fromkeys(("learning_rate", "weight_decay", "text_learning_rate", "text_weight_decay"), 0.1)
    >>> counts = dict.fromkeys(("batch_size", "accumulate", "max_epochs", "patience", "freeze_layers"), 8)
    >>> shares = {"drop_modalities": 0.0, "drop_steps": 0.5}
    >>> require_training({**rates, **shares, **counts, "clip_norm": None, "random_state": 0})
    """
    for name in _RATES:
        if not _is_number(settings[name]) or settings[name] < 0:
            raise _refused(name, settings[name], "a finite number of at least 0")
    for name in _SHARES:
        if not _is_number(settings[name]) or not 0 <= settings[name] < 1:
            raise _refused(name, settings[name], "a number from 0 to below 1")
    for name, least in _COUNTS.items():
        if not isinstance(settings[name], Integral) or settings[name] < least:
            raise _refused(name, settings[name], f"a whole number of at least {least}")
    norm, seed = settings["clip_norm"], settings["random_state"]
    if norm is not None and (not _is_number(norm) or norm <= 0):
        raise _refused("clip_norm", norm, "a finite number above 0, or none")
    if isinstance(seed, Integral) and seed < 0:
        raise _refused("the seed", seed, "a whole number of at least 0")


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _refused(name: str, value: Any, wanted: str) -> SpecificationError:
    return SpecificationError(f"{name.replace('_', ' ')} cannot be {value!r}", remedy=f"give {wanted}")
