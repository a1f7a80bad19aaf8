"""What was kept by the bench is named by the code that made it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from trivium.evaluate.suite import source
from trivium.evaluate.suite.source import estimator_digest, source_digest
from trivium.represent import Beside, FisherVectors, MaskedSteps, Statistics


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    source_digest.cache_clear()
    yield
    source_digest.cache_clear()


def _digest_of(folder: Path, text: str) -> str:
    (folder / "kept_numbers.py").write_text(text, encoding="utf-8")
    source_digest.cache_clear()
    return source_digest("kept_numbers")


def test_comments_and_docstrings_count_for_nothing_and_code_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    first = _digest_of(tmp_path, '"""One."""\n\ndef f(x):\n    """Told."""\n    return x + 1\n')
    assert _digest_of(tmp_path, "# two\ndef f(x):\n    return x + 1  # told\n") == first
    assert _digest_of(tmp_path, "def f(x):\n    return x + 2\n") != first


def test_code_that_is_imported_counts_and_other_code_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    fisher, masked = estimator_digest(FisherVectors()), estimator_digest(MaskedSteps())
    known = source._tree
    monkeypatch.setattr(
        source, "_tree", lambda name: ast.parse("x = 1") if name == "trivium.train.loop" else known(name)
    )
    source_digest.cache_clear()
    assert estimator_digest(FisherVectors()) == fisher
    assert estimator_digest(MaskedSteps()) != masked


def test_parts_of_an_estimator_count() -> None:
    plain = Beside([("one", Statistics())])
    assert estimator_digest(plain) != estimator_digest(Beside([("one", FisherVectors())]))
    assert estimator_digest(plain) == estimator_digest(Beside([("other", Statistics("mean"))]))


def test_modules_taken_alone_leave_their_imports_out() -> None:
    assert source_digest("trivium.represent.fisher") != source_digest(alone=("trivium.represent.fisher",))
    assert source_digest("no.such.module") != source_digest("another")
