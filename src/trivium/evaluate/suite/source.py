"""The code that numbers come from, as one hash: what was kept is taken again where nothing that made it changed."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from trivium.files import canonical_json, sha256_bytes

__all__ = ["estimator_digest", "module_digest", "source_digest"]

_PACKAGE = "trivium"
_FOLDER = Path(__file__).parents[2]  # of the package: modules are found by their files, and none is imported
_LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch", "onnxruntime", "av")


def estimator_digest(estimator: Any) -> str | None:
    """Hash of the code of an estimator and of those that it is made of.

    Parameters
    ----------
    estimator : estimator
        With ``get_params``.

    Returns
    -------
    str or None
        64 hexadecimal digits. None where one of them is not the package's own, so that nothing tells what its code
        comes to: what it made must not be kept.
    """
    inner = [value for value in estimator.get_params().values() if hasattr(value, "get_params")]
    return source_digest(*sorted({type(one).__module__ for one in (estimator, *inner)}))


@cache
def source_digest(*modules: str) -> str | None:
    """Hash of some modules, of all of the package that they import, and of the libraries that compute.

    Imports count wherever they stand, those inside functions too; comments and docstrings count for nothing. A package
    above a module counts where it is imported by its own name.

    Parameters
    ----------
    modules : str
        Names of modules of the package.

    Returns
    -------
    str or None
        64 hexadecimal digits; None where one is not the package's or has no source that can be read.

    Examples
    --------
    >>> source_digest("trivium.evaluate.readout") == source_digest("trivium.represent.fisher")
    False
    >>> source_digest("json") is None
    True
    """
    found: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        module = _module(name)
        if module is None:
            return None
        found[name], imported = module
        waiting += imported
    return sha256_bytes(canonical_json([sorted(modules), found, _versions()]).encode())


def module_digest(module: str) -> str | None:
    """Hash of one module of the package without what it imports; None where its source cannot be read.

    Parameters
    ----------
    module : str
        Its name.

    Examples
    --------
    >>> len(module_digest("trivium.evaluate.readout"))
    64
    """
    found = _module(module)
    return None if found is None else found[0]


@cache
def _module(name: str) -> tuple[str, tuple[str, ...]] | None:
    """Hash of a module's code, and which modules of the package it imports."""
    file = _file(name)
    if file is None:
        return None
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = list(_without_docstring(node.body))
    return sha256_bytes(ast.dump(tree).encode()), tuple(dict.fromkeys(_imported(tree)))


def _file(module: str) -> Path | None:
    package, *rest = module.split(".")
    place = _FOLDER.joinpath(*rest)
    choice = (place / "__init__.py", place.with_name(f"{place.name}.py")) if package == _PACKAGE else ()
    return next((file for file in choice if file.is_file()), None)


def _without_docstring(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for place, statement in enumerate(body):
        told = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if place or not told:
            yield statement


def _imported(tree: ast.Module) -> Iterator[str]:
    """Modules of the package that a module imports: ``from a import b`` is ``a``, and ``a.b`` where that is one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if _is_ours(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.module and _is_ours(node.module):
            yield node.module
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name for name in names if _file(name) is not None)


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == _PACKAGE


@cache
def _versions() -> dict[str, str]:
    """Of the libraries that compute; empty for one that is not there."""
    return {name: _version(name) for name in _LIBRARIES}


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""
