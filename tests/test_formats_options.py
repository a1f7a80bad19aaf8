"""Options of readers and writers: a value that is none of the choices is refused, whether or not it would matter."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import trivium
from trivium.cli import app
from trivium.corpus import Corpus, LabelSpecification, Specification, Stream, StreamSpecification, Utterance
from trivium.errors import TriviumError
from trivium.formats import Findings
from trivium.formats.tables import from_pandas, to_pandas


def mmsa(path: Path) -> Path:
    rows = np.ones((2, 3, 2), np.float32)
    fold = {"id": ["a", "b"], "audio": rows, "vision": rows, "text": rows, "regression_labels": np.ones(2)}
    path.write_bytes(pickle.dumps({"train": fold}))
    return path


def corpus() -> Corpus:
    voice = StreamSpecification("audio", ("f0",))
    mood = LabelSpecification("sentiment", "regression")
    splits = {"a": "train", "b": "test"}
    one = Utterance(
        "x", {"audio": Stream(np.ones((2, 1), np.float32), voice)}, labels={"sentiment": 1.0}, splits=splits
    )
    return Corpus.from_utterances([one], Specification((voice,), (mood,)))


@pytest.mark.parametrize(
    ("option", "choices"),
    [("nonfinite", "reference, keep, zero, error"), ("duplicates", "error, suffix")],
)
def test_a_wrong_choice_is_refused_even_where_nothing_in_the_file_asks_for_it(
    tmp_path: Path, option: str, choices: str
) -> None:
    path = mmsa(tmp_path / "a.pkl")
    with pytest.raises(TriviumError, match=f"{option} is 'bogus'.*choose from {choices}"):
        trivium.read(path, **{option: "bogus"})
    arguments = ["read", str(path), "--out", str(tmp_path / "c"), f"--{option}", "bogus"]
    out = CliRunner().invoke(app, arguments)
    assert isinstance(out.exception, TriviumError)
    assert not (tmp_path / "c").exists()


def test_a_wrong_rule_for_cells_is_refused_in_memory_too() -> None:
    with pytest.raises(TriviumError, match="choose from reference, keep"):
        Findings("bogus")  # type: ignore[arg-type]
    frame = to_pandas(corpus())
    with pytest.raises(TriviumError, match="choose from reference, keep"):
        from_pandas(frame, nonfinite="bogus")  # type: ignore[arg-type]
    with pytest.raises(TriviumError, match="choose from wide, long"):
        to_pandas(corpus(), layout="bogus")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("format", "options", "message"),
    [
        ("npz", {"layout": "bogus"}, "layout is 'bogus'.*choose from folds, plain"),
        ("npz", {"split": "a", "side": "bogus"}, "side is 'bogus'.*choose from left, right"),
        ("mult", {"split": "a", "side": "bogus"}, "side is 'bogus'.*choose from left, right"),
        ("npz", {"split": "bogus", "fold": "train"}, "split is 'bogus'.*choose from a, b"),
        ("mmsa", {"split": "bogus", "fold": "train"}, "split is 'bogus'.*choose from a, b"),
        ("mmsa", {"split": "a", "fold": "bogus"}, "fold is 'bogus'.*choose from train, valid, test"),
        ("pandas", {"layout": "bogus"}, "layout is 'bogus'.*choose from wide, long"),
        ("clips", {"label": "bogus"}, "label is 'bogus'.*choose from sentiment"),
    ],
)
def test_a_wrong_choice_in_writing_is_refused_and_nothing_is_written(
    tmp_path: Path, format: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(TriviumError, match=message):
        trivium.write(corpus(), tmp_path / "out", format=format, **options)
    assert list(tmp_path.iterdir()) == []
