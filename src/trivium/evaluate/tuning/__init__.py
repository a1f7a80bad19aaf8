"""Tuning: settings chosen on validation, from a declared space. Needs torch and Optuna.

Names load when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME = {
    "Dimension": "trivium.evaluate.tuning.space",
    "SearchSpace": "trivium.evaluate.tuning.space",
    "Trial": "trivium.evaluate.tuning.search",
    "Tuning": "trivium.evaluate.tuning.search",
    "learning_part": "trivium.evaluate.tuning.search",
    "tune": "trivium.evaluate.tuning.search",
    "with_settings": "trivium.evaluate.tuning.space",
}

__all__ = list(_HOME)

if TYPE_CHECKING:
    from trivium.evaluate.tuning.search import Trial as Trial
    from trivium.evaluate.tuning.search import Tuning as Tuning
    from trivium.evaluate.tuning.search import learning_part as learning_part
    from trivium.evaluate.tuning.search import tune as tune
    from trivium.evaluate.tuning.space import Dimension as Dimension
    from trivium.evaluate.tuning.space import SearchSpace as SearchSpace
    from trivium.evaluate.tuning.space import with_settings as with_settings


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
