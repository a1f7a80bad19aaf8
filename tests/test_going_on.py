"""The page on going on from a corpus: its snippets run, on a synthetic corpus shaped like an extracted one."""

from __future__ import annotations

import csv
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from trivium.cli import app
from trivium.corpus import (
    Corpus,
    Specification,
    Stream,
    StreamSpecification,
    Utterance,
    Words,
)
from trivium.errors import SpecificationError
from trivium.extract.source.recording import Recording
from trivium.extract.source.span_table import span_recordings

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "going-on.md").read_text(encoding="utf-8")
TEXT = StreamSpecification.positional("text", "minilm-l6", 4, clock="seconds")
VOICE = StreamSpecification("audio", ("pitch_semitones", "voicing", "energy_db"), clock="seconds")
FACE = StreamSpecification("vision", ("mouth_opening", "face_confidence"), clock="seconds")


def section(title: str) -> list[tuple[str, str]]:
    """Language and content of the snippets of one section, in order."""
    text = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    return re.findall(r"```(\w+)\n(.*?)```", text, flags=re.DOTALL)


def stream(spec: StreamSpecification, steps: int, rng: np.random.Generator) -> Stream:
    edges = np.linspace(0.0, 2.0, steps + 1)
    return Stream(rng.random((steps, spec.dim)).astype(np.float32), spec, np.stack([edges[:-1], edges[1:]], axis=1))


def utterance(recording: Recording) -> Utterance:
    """A synthetic utterance with what the table of the page says of it; nobody is seen in the third."""
    rng = np.random.default_rng(ord(recording.id))
    streams = {"text": stream(TEXT, 4, rng), "audio": stream(VOICE, 200, rng), "vision": stream(FACE, 25, rng)}
    if recording.id == "c":
        del streams["vision"]
    edges = np.linspace(0.0, 2.0, 5)
    words = Words(("so", "I", "told", "him"), np.stack([edges[:-1], edges[1:]], axis=1), np.full(4, 0.3, np.float32))
    return Utterance(
        recording.id, streams, words, "So I told him", recording.labels, recording.groups, recording.splits,
        recording.path.name, 0.0, 2.0,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Only the streams are made up: labels, groups and folds are those that extraction takes from the page's table."""
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (_, table), (_, command) = section("Labels, speakers and folds first")
    assert shlex.split(command) == ["trivium", "extract", "clips", "--spans", "spans.csv", "--out", "corpus"]
    Path("spans.csv").write_text(table, encoding="utf-8")
    Path("clips").mkdir()
    for row in csv.DictReader(table.splitlines()):
        Path("clips", row["clip"]).touch()
    recordings, labels = span_recordings("clips", "spans.csv")
    specification = Specification((TEXT, VOICE, FACE), labels)
    Corpus.from_utterances(map(utterance, recordings), specification).save(tmp_path / "corpus")
    return tmp_path


def run(title: str, capsys: pytest.CaptureFixture[str]) -> str:
    found = section(title)
    assert [language for language, _ in found] == ["bash", "python"]
    (_, command), (_, code) = found
    ran = CliRunner().invoke(app, shlex.split(command)[1:])
    assert ran.exit_code == 0, ran.output
    exec(compile(code, title, "exec"), {})
    return capsys.readouterr().out


def test_an_mmsa_user_goes_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("With MMSA", capsys).strip() == (
        '{"featurePath": "unaligned.pkl", "seq_lens": [4, 200, 25], "feature_dims": [4, 3, 2], "train_samples": 2}'
    )


def test_a_hugging_face_user_goes_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("datasets")
    assert run("With Hugging Face datasets", capsys).splitlines()[-1] == "(3, 6) (3,)"


def test_a_pandas_user_goes_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pandas")
    printed = run("With pandas", capsys)
    assert "words without a face: 0.25" in printed  # one clip of four shows none
    assert re.search(r"^anna +0\.5 +0\.\d+$", printed, flags=re.MULTILINE), "a word lasts half a second"


def test_every_snippet_of_the_page_belongs_to_a_section_that_is_run() -> None:
    titles = re.findall(r"^## (.*)$", PAGE, flags=re.MULTILINE)
    assert titles == ["Labels, speakers and folds first", "With MMSA", "With Hugging Face datasets", "With pandas"]
    assert sum(len(section(title)) for title in titles) == PAGE.count("```") // 2


def test_a_corpus_without_groups_and_labels_says_where_they_come_from(folder: Path) -> None:
    bare = Corpus.from_utterances([Utterance("a")], Specification((TEXT,)))
    with pytest.raises(SpecificationError, match=r"this corpus has no groups; give them with a label\.csv"):
        bare.group("speaker")
    with pytest.raises(SpecificationError, match=r"no labels; .*table of spans \(extract --spans\)"):
        bare.label("sentiment")
    with pytest.raises(SpecificationError, match="choose from speaker"):
        Corpus.open("corpus").group("actor")
