"""What was kept by the bench is named by the code that made it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.base import BaseEstimator

from trivium.evaluate.suite import source
from trivium.evaluate.suite.source import estimator_digest, module_digest, source_digest
from trivium.represent import Beside, FisherVectors, MaskedSteps, Statistics


def forget() -> None:
    source._module.cache_clear()
    source._versions.cache_clear()
    source_digest.cache_clear()


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    source_digest.cache_clear()
    yield
    source_digest.cache_clear()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(source, "_FOLDER", tmp_path)
    yield tmp_path
    forget()


def digest_of(folder: Path, **texts: str) -> str | None:
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    forget()
    return source_digest("trivium.first")


def with_other_code(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """As if one module of the package had other code."""
    known = source._module

    def changed(name: str) -> Any:
        found = known(name)
        return found if name != module or found is None else ("changed", found[1])

    monkeypatch.setattr(source, "_module", changed)
    source_digest.cache_clear()


def test_comments_and_docstrings_count_for_nothing_and_code_counts(package: Path) -> None:
    first = digest_of(package, first='"""One."""\n\ndef f(x):\n    """Told."""\n    return x + 1\n')
    assert first is not None
    assert digest_of(package, first="# two\ndef f(x):\n    return x + 1  # told\n") == first
    assert digest_of(package, first="def f(x):\n    return x + 2\n") != first


@pytest.mark.parametrize(
    "text",
    [
        "import trivium.second",
        "from trivium.second import x",
        "from trivium import second",
        "def f():\n    import trivium.second",
    ],
)
def test_code_that_is_imported_in_whatever_way_counts_and_code_behind_it(package: Path, text: str) -> None:
    package.joinpath("__init__.py").touch()
    before = digest_of(package, first=text, second="from trivium.third import y", third="y = 1")
    assert digest_of(package, third="y = 2") != before
    assert digest_of(package, third="y = 1") == before
    assert digest_of(package, second="import json") != before


def test_other_code_and_other_packages_do_not_count(package: Path) -> None:
    before = digest_of(package, first="import json, triviality.second", second="x = 1")
    assert before is not None and digest_of(package, second="x = 2") == before


def test_code_that_cannot_be_read_has_no_name(package: Path) -> None:
    assert digest_of(package, first="import trivium.compiled") is None
    assert source_digest("trivium.nowhere") is None and module_digest("trivium.nowhere") is None
    assert source_digest("json") is None  # it could be read, but what it comes to is not told by the package


def test_other_versions_of_the_libraries_count(monkeypatch: pytest.MonkeyPatch) -> None:
    known, known_versions = source_digest("trivium.represent.fisher"), source._versions()
    for library in ("numpy", "scipy", "scikit-learn", "torch"):
        monkeypatch.setattr(source, "_versions", lambda other=library: known_versions | {other: "0"})
        source_digest.cache_clear()
        assert source_digest("trivium.represent.fisher") != known


def test_a_library_that_is_not_there_has_no_version() -> None:
    assert source._version("no-such-library-of-numbers") == ""


def test_scaling_and_training_count_for_what_imports_them_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    fisher, masked = estimator_digest(FisherVectors()), estimator_digest(MaskedSteps())
    with_other_code(monkeypatch, "trivium.train.loop")
    assert estimator_digest(FisherVectors()) == fisher
    assert estimator_digest(MaskedSteps()) != masked


@pytest.mark.parametrize("module", ["trivium.corpus.batch", "trivium.scale.columns", "trivium.column_statistics"])
def test_all_parts_of_the_package_that_a_representation_reads_count(
    monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    before = estimator_digest(FisherVectors())
    with_other_code(monkeypatch, module)
    assert estimator_digest(FisherVectors()) != before


@pytest.mark.parametrize(
    "module",
    ["evaluate.suite.parts", "evaluate.suite.requests", "evaluate.readout", "evaluate.target", "metrics", "files"],
)
def test_all_that_fits_and_reads_a_row_counts_for_its_cells(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    before = source_digest("trivium.evaluate.suite.cells")
    with_other_code(monkeypatch, f"trivium.{module}")
    assert source_digest("trivium.evaluate.suite.cells") != before


def test_the_whole_closure_is_hashed_once() -> None:
    first = source_digest("trivium.evaluate.suite.cells")
    began = time.process_time()
    assert source_digest("trivium.evaluate.suite.cells") == first
    assert time.process_time() - began < 0.05


def test_nothing_is_imported_to_be_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "trivium.evaluate.late_readout", raising=False)
    assert source_digest("trivium.evaluate.late_readout") is not None
    assert "trivium.evaluate.late_readout" not in sys.modules


def test_parts_of_an_estimator_count() -> None:
    plain = Beside([("one", Statistics())])
    assert estimator_digest(plain) != estimator_digest(Beside([("one", FisherVectors())]))
    assert estimator_digest(plain) == estimator_digest(Beside([("other", Statistics("mean"))]))


class Own(BaseEstimator):  # type: ignore[misc]
    """An estimator of somebody else."""

    def __init__(self, inner: object = None) -> None:
        self.inner = inner


def test_an_estimator_that_is_not_the_packages_has_no_name_nor_what_is_made_of_it() -> None:
    assert estimator_digest(Own()) is None and estimator_digest(Own(Statistics())) is None
    assert estimator_digest(Beside([("own", Own()), ("one", Statistics())])) is None
    assert estimator_digest(type("Derived", (Statistics,), {"__module__": __name__})()) is None
