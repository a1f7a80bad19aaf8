"""Labels outside the range of the format or of the file: kept, and told with their row."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

import trivium
from trivium.cli import app
from trivium.corpus import Corpus, LabelSpecification, Specification, Stream, StreamSpecification, Utterance

ROWS = np.ones((3, 4, 2), np.float32)
LABELS = np.array([1.0, -3.0, 99.0])


def mmsa(path: Path) -> Path:
    fold = {"id": ["a", "b", "c"], "audio": ROWS, "text": ROWS, "regression_labels": LABELS}
    path.write_bytes(pickle.dumps({"train": fold}))
    return path


def mult(path: Path) -> Path:
    fold = {"audio": ROWS, "vision": ROWS, "text": ROWS, "labels": LABELS.reshape(3, 1, 1)}
    path.write_bytes(pickle.dumps({"train": fold}))
    return path


def csd(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file["Opinion Segment Labels/data/v/features"] = LABELS.reshape(3, 1)
        file["Opinion Segment Labels/data/v/intervals"] = np.array([[0.0, 1], [1, 2], [2, 3]])
    return path


def clips(path: Path) -> Path:
    path.mkdir()
    rows = "".join(f"v,{k},hello,{value}\n" for k, value in enumerate(LABELS))
    (path / "label.csv").write_text("video_id,clip_id,text,label\n" + rows)
    return path


def stating() -> Corpus:
    voice = StreamSpecification.positional("audio", "mine", 2)
    score = LabelSpecification("score", "regression", range=(-3.0, 3.0))
    made = [
        Utterance(name, {"audio": Stream(rows, voice)}, labels={"score": float(value)})
        for name, rows, value in zip("abc", ROWS, LABELS, strict=True)
    ]
    return Corpus.from_utterances(made, Specification((voice,), (score,)))


def parquet(path: Path) -> Path:
    trivium.write(stating(), path, format="pandas")
    return path


@pytest.mark.parametrize("make", [mmsa, mult, csd, clips, parquet])
def test_a_label_outside_its_range_is_kept_and_told(tmp_path: Path, make: Any) -> None:
    corpus = trivium.read(make(tmp_path / "file"))
    (found,) = [f for f in corpus.provenance["findings"] if f["kind"] == "label"]
    assert found["utterances"] == 1
    assert found["action"].endswith("-3 to 3, kept")
    assert found["examples"][0]["utterance"] == corpus.ids[2]
    (label,) = corpus.specification.labels
    assert corpus.label(label.key).tolist() == LABELS.tolist()


@pytest.mark.parametrize("make", [mmsa, mult, clips, parquet])
def test_the_row_is_told(tmp_path: Path, make: Any) -> None:
    findings = trivium.read(make(tmp_path / "file")).provenance["findings"]
    assert [f["examples"][0]["row"] for f in findings if f["kind"] == "label"] == [2]


def test_inspect_tells_it_of_a_corpus_that_states_a_range(tmp_path: Path) -> None:
    stating().save(tmp_path / "c")
    out = CliRunner().invoke(app, ["inspect", str(tmp_path / "c"), "--check"], env={"COLUMNS": "200"})
    assert out.exit_code == 0, out.output
    assert "1 outside the range, first row 2 (c)" in out.output
