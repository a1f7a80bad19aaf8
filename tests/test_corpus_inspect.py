"""trivium inspect: what it counts, compared with hand counts; its tables, its JSON, its errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from trivium.cli.inspect import command
from trivium.corpus import (
    Corpus,
    LabelSpecification,
    Specification,
    Stream,
    StreamSpecification,
    Utterance,
    Words,
    concat,
)
from trivium.corpus.cache import cache_path
from trivium.corpus.manifest import read_manifest
from trivium.corpus.summary import summary
from trivium.errors import FormatError

VOICE = StreamSpecification("audio", ("f0", "energy"), extractor="trivium.voice", version="3")
FACE = StreamSpecification.positional("vision", "mfn", 35, clock="none")
LABELS = (
    LabelSpecification("score", "regression", range=(-3, 3)),
    LabelSpecification("mood", "binary", ("calm", "angry")),
    LabelSpecification("both", "multilabel", ("joy", "fear")),
)
FINDING = {"kind": "nonfinite", "modality": "audio", "action": "kept", "utterances": 1, "count": 3, "examples": []}


def voice(*rows: tuple[float, float]) -> dict[str, Stream]:
    return {"audio": Stream(np.array(rows, np.float32).reshape(-1, 2), VOICE)}


def three() -> Corpus:
    made = [
        Utterance("a", voice((np.nan, 1), (np.inf, -np.inf)), Words(("x", "y"), np.zeros((2, 2))), clip="one.mp4",
                  start=0, end=30, labels={"score": -1.0, "mood": "calm", "both": (1.0, 0.0)},
                  groups={"speaker": "1"}, splits={"standard": "train", "other": "test"}),
        Utterance("b", voice(), Words(("z",)), clip="one.mp4", start=30, end=60, labels={"score": 2.5},
                  groups={"speaker": "[bold]2"}, splits={"standard": "train"}),
        Utterance("c", {"vision": Stream(np.zeros((4, 35), np.float32), FACE)}, labels={"mood": "calm"},
                  splits={"standard": "valid"}),
    ]  # fmt: skip
    return Corpus.from_utterances(made, Specification((FACE, VOICE), LABELS), {"file": "a.pkl", "findings": [FINDING]})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    three().save(tmp_path / "corpus")
    return tmp_path / "corpus"


def inspect(*arguments: str) -> Any:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})


def test_the_summary_counts_what_is_there(folder: Path) -> None:
    found = summary(folder)
    assert (found["utterances"], found["shards"], found["clips"]) == (3, 1, {"values": 1, "missing": 1})
    assert found["spans"] == {"known": 2, "seconds": 60}
    assert found["words"] == {"utterances": 2, "with_times": 1, "with_confidence": 0, "words": 3}
    audio, vision = found["modalities"]
    assert audio["steps"] == {"min": 0, "median": 1, "max": 2} and (audio["missing"], audio["empty"]) == (1, 1)
    assert audio["nonfinite"] == {"cells": 3, "columns": {"f0": 2, "energy": 1}}
    assert vision["steps"] == {"min": 4, "median": 4, "max": 4} and (vision["missing"], vision["dim"]) == (2, 35)
    score, mood, both = found["labels"]
    assert score["found"] == {"min": -1, "median": 0.75, "max": 2.5} and score["missing"] == 1
    assert mood["counts"] == {"calm": 2, "angry": 0} and mood["missing"] == 1
    assert both["counts"] == {"joy": 1, "fear": 0} and both["missing"] == 2
    assert found["groups"] == {"speaker": {"values": 2, "missing": 1}}
    assert found["splits"] == {"other": {"test": 1}, "standard": {"train": 2, "valid": 1}}
    assert found["provenance"]["file"] == "a.pkl" and found["content_hash"] == three().content_hash()


def test_inspecting_reads_no_row_into_the_cache(folder: Path) -> None:
    summary(folder, check=True)
    assert not cache_path(read_manifest(folder)).exists()


def test_json_is_the_summary(folder: Path) -> None:
    printed = inspect(str(folder), "--json")
    assert printed.exit_code == 0 and json.loads(printed.stdout) == summary(folder)


def test_the_tables_show_the_numbers_and_take_markup_as_text(folder: Path) -> None:
    printed = inspect(str(folder), "--check").stdout
    for text in (
        *("utterances: 3", "minutes: 1.0", "trivium.voice 3", "f0, energy", "mfn-vision-00, mfn-vision-01, ...,"),
        *("0 / 1 / 2", "3 (f0 2, energy 1)", "-3 to 3", "calm 2, angry 0", "train 2, valid 1", "a.pkl", "kept"),
        "checked: every hash, length and label holds",
    ):
        assert text in printed, text


def test_findings_of_joined_corpora_are_shown(folder: Path, tmp_path: Path) -> None:
    other = Corpus.from_utterances([Utterance("d")], three().specification, {"findings": "of another sort"})
    concat([Corpus.open(folder), other], ["one", "two"]).save(tmp_path / "joined")
    assert "nonfinite" in inspect(str(tmp_path / "joined")).stdout


def test_an_empty_corpus_can_be_inspected(tmp_path: Path) -> None:
    three()[[]].save(tmp_path / "empty")
    assert summary(tmp_path / "empty")["modalities"][0]["steps"] is None
    assert inspect(str(tmp_path / "empty")).exit_code == 0


def test_other_formats_are_sent_to_the_reader(tmp_path: Path) -> None:
    (tmp_path / "data.pkl").write_bytes(b"")
    with pytest.raises(FormatError, match="trivium read"):
        summary(tmp_path / "data.pkl")


def test_damage_is_found_only_by_checking(folder: Path) -> None:
    assert summary(folder, check=True)["checked"]
    manifest = json.loads((folder / "corpus.json").read_text())
    manifest["content_hash"] = "0" * 64
    (folder / "corpus.json").write_text(json.dumps(manifest))
    assert summary(folder)["content_hash"] == "0" * 64
    with pytest.raises(FormatError, match="content hash"):
        summary(folder, check=True)


def test_failures_are_a_line_each_and_remedies_stand_in_the_quality(tmp_path: Path) -> None:
    failed = [
        {"id": f"c{k}", "clip": f"[b]{k}.mp4", "reason": "cannot be decoded", "remedy": "convert it"} for k in range(7)
    ]
    Corpus.from_utterances([], Specification(()), {"failures": failed}).save(tmp_path / "corpus")
    lines = inspect(str(tmp_path / "corpus")).stdout.splitlines()
    start = lines.index("Clips that could not be extracted")
    assert lines[start + 1 : start + 6] == [f"  [b]{k}.mp4: cannot be decoded" for k in range(5)]
    assert lines[start + 6] == "  and 2 more; see --quality"
    assert "{" not in "".join(lines)
    quality = inspect(str(tmp_path / "corpus"), "--quality").stdout
    assert quality.count("convert it") == 7 and "[b]6.mp4" in quality
