"""What a written file does not hold is told; held against what reading the file again gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import trivium
from trivium import registry
from trivium.cli import app
from trivium.corpus import (
    Corpus,
    LabelSpecification,
    Specification,
    Stream,
    StreamSpecification,
    Utterance,
    Words,
)

VOICE = StreamSpecification("audio", ("f0", "energy"), "seconds", extractor="tool", version="1")
TEXT = StreamSpecification("text", ("x",), "words")
SCORE = LabelSpecification("sentiment", "regression", range=(-3.0, 3.0))
MOOD = LabelSpecification("mood", "multiclass", ("angry", "calm"))
OPTIONS: dict[str, dict[str, Any]] = {
    "npz": {"split": "a"},
    "mmsa": {"split": "a"},
    "mult": {"split": "a", "label": "sentiment"},
    "multibench": {"split": "a", "label": "sentiment"},
}
TIMED = {"words", "times of words", "confidence of words"}
PADDED = {"times of its steps", "that its steps are words", "extractor and version", "split b"}
EXPECTED = {
    "corpus": set[str](),
    "huggingface": set[str](),
    "pandas": set[str](),
    "npz": {*TIMED, *PADDED, "names of its classes", "range of the label"},
    "mmsa": {*PADDED, "names of its columns", "group speaker", "clip", "start and end within the clip", "label mood"},
    "mult": {
        *TIMED, *PADDED, "names of its columns", "group speaker", "clip", "start and end within the clip",
        "label mood", "text",
    },
    "csd": {
        "confidence of words", "that its steps are words", "extractor and version", "group speaker", "clip",
        "split a", "split b", "label mood", "text",
    },
    "clips": {
        *TIMED, "values of the stream", "group speaker", "clip", "start and end within the clip", "split b",
        "label mood",
    },
    "words": {
        "times of its steps", "extractor and version",
        "group speaker", "start and end within the clip", "split a", "split b", "label mood", "label sentiment", "text",
    },
}  # fmt: skip
GUESSED = ("npz", "mult", "multibench")  # arrays of one length are taken for steps by word, right only by chance
EXPECTED["multibench"] = EXPECTED["mult"]


def rich() -> Corpus:
    utterances = []
    for name in ("one", "two"):
        times = np.array([[3.0, 3.5], [3.5, 4.0]])
        streams = {
            "audio": Stream(np.ones((2, 2), np.float32), VOICE, times),
            "text": Stream(np.ones((2, 1), np.float32), TEXT),
        }
        words = Words(("good", "day"), times, np.array([0.5, 0.9], np.float32))
        labels: dict[str, Any] = {"sentiment": 1.5, "mood": "calm"}
        utterances.append(
            Utterance(name, streams, words, "Good day!", labels, {"speaker": "7"},
                      {"a": "train", "b": "test"}, "film.mp4", 3.0, 4.0)
        )  # fmt: skip
    return Corpus.from_utterances(utterances, Specification((VOICE, TEXT), (SCORE, MOOD)))


def bare() -> Corpus:
    voice = StreamSpecification.positional("audio", "mine", 2)
    one = Utterance("v[0,1]", {"audio": Stream(np.ones((2, 2), np.float32), voice)}, splits={"standard": "train"})
    return Corpus.from_utterances([one], Specification((voice,), (SCORE,)))


def lost(findings: list[dict[str, Any]]) -> set[str]:
    return {str(f["action"]).partition(":")[0] for f in findings}


def test_every_registered_format_is_held_against_a_rich_corpus() -> None:
    assert set(EXPECTED) == {entry.name for entry in registry.entries("format")}


@pytest.mark.parametrize("format", sorted(EXPECTED))
def test_a_writer_tells_what_it_cannot_keep(tmp_path: Path, format: str) -> None:
    if format == "huggingface":
        pytest.importorskip("datasets")
    findings = trivium.write(rich(), tmp_path / "out", format=format, **OPTIONS.get(format, {}))
    assert lost(findings) == EXPECTED[format]
    assert all(
        f["kind"] == "dropped" and f["action"].endswith(f": the format {format} has no place for it") for f in findings
    )
    again = trivium.read(tmp_path / "out", format=format)
    first = again[0]
    words = first.words
    assert (words is None) == ("words" in EXPECTED[format])
    assert (words is None or words.times is None) == ("times of words" in EXPECTED[format])
    assert (words is None or words.confidence is None) == ("confidence of words" in EXPECTED[format])
    assert (first.text != "Good day!") == ("text" in EXPECTED[format])
    assert ("speaker" not in first.groups) == ("group speaker" in EXPECTED[format])
    assert (first.clip != "film.mp4") == ("clip" in EXPECTED[format])
    assert (first.start != 3.0) == ("start and end within the clip" in EXPECTED[format])
    if first.streams:
        columns = again.specification.stream("audio").columns
        assert (columns != VOICE.columns) == ("names of its columns" in EXPECTED[format])
        assert (first.streams["audio"].times is None) == ("times of its steps" in EXPECTED[format])
        told = "that its steps are words" in EXPECTED[format]
        assert again.specification.stream("text").clock != "words" or not told or format in GUESSED
    told = "label mood" in EXPECTED[format]
    assert ("mood" not in {label.key for label in again.specification.labels}) == told


def test_a_long_table_tells_what_rows_of_steps_cannot_say(tmp_path: Path) -> None:
    findings = trivium.write(rich(), tmp_path / "a.csv", format="pandas")
    assert lost(findings) == {
        "confidence of words", "extractor and version", "range of the label", "that its steps are words",
    }  # fmt: skip


@pytest.mark.parametrize("format", ["npz", "mmsa", "corpus"])
def test_what_a_corpus_does_not_have_is_not_told(tmp_path: Path, format: str) -> None:
    assert trivium.write(bare(), tmp_path / "out", format=format) == []


def test_a_finding_counts_and_names_the_utterances(tmp_path: Path) -> None:
    findings = trivium.write(rich(), tmp_path / "a.npz", format="npz", split="a")
    (words,) = [f for f in findings if f["action"].startswith("words:")]
    assert (words["utterances"], words["count"], words["modality"]) == (2, 4, "words")
    assert [e["utterance"] for e in words["examples"]] == ["one", "two"]


def test_words_without_times_are_told_where_only_times_can_be_kept(tmp_path: Path) -> None:
    voice = StreamSpecification.positional("audio", "mine", 1)
    one = Utterance("a", {"audio": Stream(np.ones((2, 1), np.float32), voice)}, Words(("good",)), "good")
    corpus = Corpus.from_utterances([one], Specification((voice,)))
    assert lost(trivium.write(corpus, tmp_path / "a.pkl", format="mmsa", fold="train")) == {"words"}


def test_the_command_prints_what_is_not_kept(tmp_path: Path) -> None:
    rich().save(tmp_path / "corpus")
    out = tmp_path / "a.npz"
    arguments = ["write", str(tmp_path / "corpus"), "--format", "npz", "--out", str(out), "--split", "a"]
    printed = CliRunner().invoke(app, arguments, env={"COLUMNS": "80"})
    assert printed.exit_code == 0, printed.output
    lines = printed.output.splitlines()
    assert "Not kept in a.npz, because the format npz has no place for it:" in lines
    assert "  times of words: 2 utterances (one, two)" in lines
    assert "  names of its classes: mood" in lines
    assert "  extractor and version: audio" in lines
    assert "  times of its steps: audio 2 utterances (one, two)" in lines
    assert all(len(line) <= 80 for line in lines[1:])


def test_many_losses_are_one_line_per_kind_and_name_three_utterances(tmp_path: Path) -> None:
    many = [replace(rich()[0], id=f"a-rather-long-name-of-a-clip-{number}") for number in range(9)]
    Corpus.from_utterances(many, rich().specification).save(tmp_path / "corpus")
    arguments = ["write", str(tmp_path / "corpus"), "--format", "words", "--out", str(tmp_path / "w.csv")]
    printed = CliRunner().invoke(app, arguments, env={"COLUMNS": "80"})
    assert printed.exit_code == 0, printed.output
    told = " ".join(printed.output.split())
    names = ", ".join(f"a-rather-long-name-of-a-clip-{number}" for number in range(3))
    assert f"label mood: 9 utterances ({names} and 6 more)" in told
    assert told.count(" and 6 more)") == len(EXPECTED["words"] - {"extractor and version"})


def test_an_mmsa_file_without_labels_and_face_is_found_again(tmp_path: Path) -> None:
    trivium.write(rich(), tmp_path / "a.pkl", format="mmsa", split="a")
    assert len(trivium.read(tmp_path / "a.pkl")) == 2
    plain = [replace(u, labels={}, splits={}) for u in rich()]
    one = Corpus.from_utterances(plain, replace(rich().specification, labels=()))
    trivium.write(one, tmp_path / "b.pkl", format="mmsa", fold="train")
    assert set(trivium.read(tmp_path / "b.pkl").specification.modalities) == {"audio", "text"}
