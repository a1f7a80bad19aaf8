"""The house holds: parts import only parts above them, docstrings teach, start-up is light."""

from __future__ import annotations

import ast
import doctest
import functools
import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import trivium
from trivium import registry

SOURCE = Path(trivium.__file__).parent
# The journey, top to bottom. A part may import the parts before it and itself.
PARTS = (
    *(
        "errors",
        "wording",
        "registry",
        "progress",
        "files",
        "column_statistics",
        "corpus",
        "formats",
        "upstream",
        "extract",
        "align",
    ),
    *(
        "scale",
        "metrics",
        "weights",
        "train",
        "fuse",
        "objectives",
        "represent",
        "embed",
        "predict",
        "evaluate",
        "report",
    ),
    *("serve", "cli"),
)
MODULES = sorted(m.name for m in pkgutil.walk_packages([str(SOURCE)], "trivium."))


@functools.cache
def nodes(file: Path) -> list[ast.AST]:
    """Every node of a file, which is read once for all tests."""
    return list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))


def imported_modules(file: Path) -> Iterator[str]:
    """Every trivium module a file imports, also inside functions."""
    for node in nodes(file):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("trivium."))
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "trivium":
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in MODULES else node.module


def module_name(file: Path) -> str:
    parts = file.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def graph() -> dict[str, set[str]]:
    return {module_name(f): set(imported_modules(f)) - {module_name(f)} for f in SOURCE.rglob("*.py")}


def test_every_part_stands_in_the_journey() -> None:
    found = {name.split(".")[1] for name in MODULES} - {"__main__"}
    assert found <= set(PARTS)


def test_a_part_imports_only_parts_above_it() -> None:
    wrong = []
    for module, imports in graph().items():
        if module in ("trivium", "trivium.__main__"):
            continue
        place = PARTS.index(module.split(".")[1])
        wrong += [
            f"{module} imports {name}"
            for name in imports
            if name != "trivium" and PARTS.index(name.split(".")[1]) > place
        ]
    assert not wrong


def test_from_the_package_root_modules_take_the_version_only() -> None:
    taken = [
        (module_name(file), alias.name)
        for file in SOURCE.rglob("*.py")
        for node in nodes(file)
        if isinstance(node, ast.ImportFrom) and node.module == "trivium"
        for alias in node.names
        if f"trivium.{alias.name}" not in MODULES and alias.name != "__version__"
    ]
    assert taken == []


def test_no_import_cycle() -> None:
    imports = {module: names for module, names in graph().items() if module != "trivium"}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path[path.index(module) :], module))
        if module not in done:
            for name in imports.get(module, ()):
                # a package's own __init__ re-exports its modules; they do not import it back
                visit(name, (*path, module))
            done.add(module)

    for module in imports:
        visit(module, ())


def public_names(module: ModuleType) -> list[str]:
    return list(getattr(module, "__all__", []))


@pytest.mark.parametrize("name", [m for m in MODULES if not m.startswith(("trivium.cli.", "trivium.__main__"))])
def test_all_equals_what_is_public(name: str) -> None:
    module = importlib.import_module(name)
    assert hasattr(module, "__all__"), f"{name} has no __all__"
    assert [n for n in module.__all__ if not hasattr(module, n)] == []
    if (module.__file__ or "").endswith("__init__.py"):
        return
    defined = {
        n
        for n, v in vars(module).items()
        if not n.startswith("_")
        and getattr(v, "__module__", None) == name
        and (inspect.isclass(v) or inspect.isfunction(v))
    }
    assert defined <= set(module.__all__), f"public but not in __all__: {sorted(defined - set(module.__all__))}"


def test_top_level_names_are_importable_and_complete() -> None:
    assert [n for n in trivium.__all__ if not hasattr(trivium, n)] == []
    assert len(trivium.__all__) <= 32


def documented() -> list[tuple[str, Any]]:
    found = []
    for name in MODULES:
        module = importlib.import_module(name)
        for public in public_names(module):
            thing = getattr(module, public)
            if getattr(thing, "__module__", "") == name and (inspect.isclass(thing) or inspect.isfunction(thing)):
                found.append((f"{name}.{public}", thing))
    return found


def test_every_public_name_has_a_docstring() -> None:
    assert [n for n, thing in documented() if not (thing.__doc__ or "").strip()] == []


def test_every_array_parameter_says_its_shape() -> None:
    silent = []
    for name, thing in documented():
        try:
            signature = inspect.signature(thing)
        except ValueError:
            continue
        arrays = [p for p in signature.parameters.values() if "NDArray" in str(p.annotation)]
        doc = thing.__doc__ or ""
        if arrays and not any(sign in doc for sign in ("shape", "(N", "(T", "(W", "(D", "(K", "(n", "(k")):
            silent.append(name)
    assert silent == []


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


def test_every_registered_thing_loads_and_is_listed() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "trivium", "list", "--json"], capture_output=True, text=True, check=True
    ).stdout
    listed = {(row["kind"], row["name"]) for row in json.loads(printed)}
    assert listed == {(e.kind, e.name) for e in registry.entries()}
    for entry in registry.entries():
        assert registry.load(entry.kind, entry.name) is not None
        assert entry.summary


def modules_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print(' '.join(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(ran.stdout.split())


def test_importing_trivium_loads_no_heavy_library() -> None:
    assert not modules_after("import trivium") & {"numpy", "torch", "sklearn", "pyarrow", "onnxruntime"}


def test_listing_imports_no_torch() -> None:
    statement = "import sys; sys.argv = ['trivium', 'list']\nfrom trivium.cli import app\napp(standalone_mode=False)"
    assert not modules_after(statement) & {"torch", "sklearn", "onnxruntime"}


def test_reading_aligning_and_embedding_import_neither_torch_nor_sklearn() -> None:
    statement = "import trivium.corpus.store, trivium.formats, trivium.align, trivium.weights, trivium.embed"
    assert not modules_after(statement) & {"torch", "sklearn"}


@pytest.mark.parametrize("file", sorted(SOURCE.rglob("*.py")), ids=module_name)
def test_modules_and_functions_stay_small(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 600
    for node in nodes(file):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body and body[-1].end_lineno else 0
            assert lines <= 80, f"{node.name} has {lines} lines of code"


def test_no_property_is_held_to_a_time_limit() -> None:
    from hypothesis import settings

    assert settings().deadline is None and not settings().derandomize
