"""The doors: detection by content, clear errors, and the commands read and write."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

import trivium
from trivium import registry
from trivium.cli import app
from trivium.cli.read import print_findings
from trivium.errors import FormatError, TriviumError, UnsafeFileError
from trivium.formats import Finding, Findings, detect


def mmsa(n: int = 3) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    fold = {m: rng.random((n, 4, 2)).astype(np.float32) for m in ("text", "audio", "vision")}
    folds = ("train", "valid", "test")
    return {f: {**fold, "id": [f"{f}{k}" for k in range(n)], "regression_labels": np.ones(n)} for f in folds}


def test_the_name_of_a_file_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(pickle.dumps(mmsa()))
    assert detect(tmp_path / "a.csv") == "mmsa"
    np.savez(tmp_path / "b.npz", audio_train=np.ones((1, 2, 3)))
    (tmp_path / "b.npz").rename(tmp_path / "b.pkl")
    assert detect(tmp_path / "b.pkl") == "npz"
    corpus = trivium.read(tmp_path / "b.pkl")
    corpus.save(tmp_path / "corpus.npz")
    assert detect(tmp_path / "corpus.npz") == "corpus"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"hello world, this is prose\n", "is of no format"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "is of no format"),
        (b"PK\x03\x04" + bytes(100), "is of no format"),
        (pickle.dumps({"x": 1}), "is of no format"),
        (pickle.dumps({"a": [1.0] * 100})[:60], "cut off"),
        (pickle.dumps(mmsa())[:900], "cut off"),
        (b"PAR1" + bytes(50), "no readable table"),
    ],
    ids=["empty", "prose", "hdf5", "zip", "pickle", "cut pickle", "cut mmsa", "parquet"],
)
def test_a_file_that_is_no_such_format_gets_one_clear_error(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=message) as caught:
        trivium.read(path)
    assert str(path) in str(caught.value)


def test_folders_and_missing_paths_get_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="does not exist"):
        trivium.read(tmp_path / "nowhere")
    with pytest.raises(FormatError, match="the folder is empty"):
        trivium.read(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(FormatError, match="is of no format"):
        trivium.read(tmp_path)


class Hostile:
    def __reduce__(self) -> Any:
        return os.system, ("touch hacked",)


@pytest.mark.parametrize("keys", [("x",), ("train", "regression_labels", "text", "audio"), ("train", "labels", "text")])
def test_a_hostile_pickle_is_refused_whatever_its_keys(
    tmp_path: Path, keys: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({k: Hostile() for k in keys}))
    with pytest.raises(UnsafeFileError, match=r"system"):
        trivium.read(tmp_path / "a.pkl")
    assert not (tmp_path / "hacked").exists()


def test_every_registered_format_can_detect_read_and_write() -> None:
    for entry in registry.entries("format"):
        made = registry.load("format", entry.name)()
        assert made.name == entry.name
        assert made.detect(Path("/nonexistent/file")) is None
        assert callable(made.read)
        assert callable(made.write)


def test_an_option_of_another_format_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", audio_train=np.ones((1, 2, 3)))
    with pytest.raises(TriviumError, match=r"'npz' has no option 'override'.*nonfinite"):
        trivium.read(tmp_path / "a.npz", override={})
    with pytest.raises(TriviumError, match="no format 'xyz'"):
        trivium.read(tmp_path / "a.npz", format="xyz")


def test_findings_are_counted_and_their_examples_capped() -> None:
    findings = Findings("zero")
    values = np.array([[1, np.nan], [np.inf, 2]], np.float32)
    for k in range(50):
        kept = findings.finite(values, f"u{k}", "audio", ("f0", "energy"))
        assert kept.tolist() == [[1, 0], [0, 2]]
    assert np.isnan(values[0, 1])
    (row,) = findings.to_json()
    assert (row["utterances"], row["count"], len(row["examples"])) == (50, 100, 20)
    assert row["examples"][0] == {"utterance": "u0", "row": 0, "column": "energy", "count": 2}
    huge = np.full((2, 2), 3e38, np.float32)
    assert findings.finite(huge, "huge", "audio", ("f0", "energy")) is huge


def test_the_commands_read_report_and_write_back(tmp_path: Path) -> None:
    before = mmsa()
    before["train"]["audio"][1, 2, 1] = -np.inf
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(before))
    out = CliRunner().invoke(app, ["read", str(tmp_path / "a.pkl"), "--out", str(tmp_path / "c")])
    assert out.exit_code == 0, out.output
    assert "9 utterances from mmsa" in out.output
    assert "nonfinite" in out.output
    made = json.loads((tmp_path / "c" / "corpus.json").read_text())
    assert "findings" in json.dumps(made)
    written = CliRunner().invoke(
        app, ["write", str(tmp_path / "c"), "--format", "mmsa", "--out", str(tmp_path / "b.pkl")]
    )
    assert written.exit_code == 0, written.output
    after = pickle.loads((tmp_path / "b.pkl").read_bytes())
    before["train"]["audio"][1, 2, 1] = 0
    for fold, values in before.items():
        assert list(after[fold]) == list(values)
        for key, value in values.items():
            assert np.array_equal(after[fold][key], value)


def test_a_bad_mapping_on_the_command_line_is_explained(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    out = CliRunner().invoke(app, ["read", str(tmp_path / "x"), "--out", "c", "--modality", "audio"])
    assert out.exit_code == 2
    assert "NAME=FILE" in out.output


def test_reading_imports_neither_torch_nor_scikit_learn(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", audio_train=np.ones((1, 2, 3)))
    path = str(tmp_path / "a.npz")
    code = f"import trivium, sys; trivium.read({path!r}); print('torch' in sys.modules, 'sklearn' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("width", [80, 100])
def test_what_was_found_in_reading_fits_the_screen_and_leaves_nothing_out(width: int) -> None:
    findings = Findings("zero")
    for n in range(1200):
        findings.finite(
            np.array([[1.0, np.inf, np.nan]]), f"_dI--eQ6qVU[{n}]", "audio", ("f0", "energy", "mean_of_all")
        )
    for key in ("info", "extra_labels_of_the_second_annotator", "version", "raw_audio"):
        findings.add(Finding("dropped", key, action="a key that this format does not have"))
    screen = io.StringIO()
    print_findings(findings.to_json(), "Found in reading", Console(file=screen, width=width, highlight=False))
    lines = screen.getvalue().splitlines()
    assert max(map(len, lines)) <= width and lines[0] == "Found in reading:" and len(lines) <= 6
    told = " ".join(" ".join(lines).split())
    assert "nonfinite, audio: set to 0; 2,400 times in 1,200 utterances, first _dI--eQ6qVU[0], row 0, energy" in told
    assert "version and 1 more: a key that this format does not have" in told
