"""Suites: several real tasks with declared folds, floors and contrasts, measured by one command.

What needs scikit-learn loads when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME = {
    "SuiteDeclaration": "trivium.evaluate.suite.declared",
    "SuiteResult": "trivium.evaluate.suite.results",
    "SuiteRun": "trivium.evaluate.suite.runs",
    "read_suite": "trivium.evaluate.suite.declared",
}

__all__ = ["SuiteDeclaration", "SuiteResult", "SuiteRun", "read_suite"]

if TYPE_CHECKING:
    from trivium.evaluate.suite.declared import SuiteDeclaration as SuiteDeclaration
    from trivium.evaluate.suite.declared import read_suite as read_suite
    from trivium.evaluate.suite.results import SuiteResult as SuiteResult
    from trivium.evaluate.suite.runs import SuiteRun as SuiteRun


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
