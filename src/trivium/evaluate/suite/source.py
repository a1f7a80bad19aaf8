"""The code that numbers come from, as one hash: what was kept is taken again where nothing that made it changed."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from trivium.files import canonical_json, sha256_bytes

__all__ = ["estimator_digest", "source_digest"]

_PACKAGE = "trivium"
_MAKES_NUMBERS = tuple(f"{_PACKAGE}.{name}" for name in ("represent", "scale", "train", "objectives", "evaluate"))


def estimator_digest(estimator: Any, *, alone: tuple[str, ...] = ()) -> str:
    """Hash of the code of an estimator and of those that it is made of.

    Parameters
    ----------
    estimator : estimator
        With ``get_params``.
    alone : tuple of str
        Modules that count too, without their imports.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    inner = [value for value in estimator.get_params().values() if hasattr(value, "get_params")]
    return source_digest(*sorted({type(one).__module__ for one in (estimator, *inner)}), alone=alone)


@cache
def source_digest(*modules: str, alone: tuple[str, ...] = ()) -> str:
    """Hash of some modules and of all they import that computes; comments and docstrings count for nothing.

    Parameters
    ----------
    modules : str
        Names of modules; one whose source cannot be found counts by its name.
    alone : tuple of str
        Modules whose imports do not count.

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> source_digest("trivium.evaluate.readout") == source_digest("trivium.represent.fisher")
    False
    """
    found: dict[str, str] = {}
    waiting = [*alone, *modules]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        tree = _tree(name)
        found[name] = "" if tree is None else ast.dump(tree)
        if tree is not None and name not in alone:
            waiting += [one for one in _imported(tree) if one.startswith(_MAKES_NUMBERS)]
    return sha256_bytes(canonical_json(found).encode())


def _tree(module: str) -> ast.Module | None:
    """Source of a module without docstrings."""
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):  # no such module, or one that was typed in
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = list(_without_docstring(node.body))
    return tree


def _without_docstring(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for place, statement in enumerate(body):
        told = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if place or not told:
            yield statement


def _imported(tree: ast.Module) -> Iterator[str]:
    """Names that a module imports, each as the module it may be: ``from a import b`` is ``a`` and ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if _is_module(node.module, alias.name))


def _is_module(package: str, name: str) -> bool:
    try:
        return package.startswith(_PACKAGE) and find_spec(f"{package}.{name}") is not None
    except ImportError:  # its parent is a module and no package
        return False
