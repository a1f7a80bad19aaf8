"""The page on arrays, tables and pickles of one's own: its snippets run in their order, on made-up numbers."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trivium.cli import app
from trivium.corpus import Corpus
from trivium.evaluate import read_predictions

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "own-arrays.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```(\w+)\n(.*?)```", PAGE, flags=re.DOTALL)


def run(language: str, snippet: str) -> None:
    if language == "csv":
        Path("steps.csv").write_text(snippet, encoding="utf-8")
    elif language == "bash":
        for line in snippet.strip().splitlines():
            ran = CliRunner().invoke(app, shlex.split(line)[1:], catch_exceptions=False)
            assert ran.exit_code == 0, ran.output
            print(ran.stdout)
    else:
        exec(compile(snippet, "own-arrays.md", "exec"), {})


def test_every_snippet_runs_and_gives_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pandas")
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert len(SNIPPETS) == PAGE.count("```") // 2 and {name for name, _ in SNIPPETS} == {"python", "bash", "csv"}
    for language, snippet in SNIPPETS:
        run(language, snippet)
    printed = capsys.readouterr().out
    corpus = Corpus.open("corpus")
    assert corpus.lengths("audio")[:2].tolist() == [12, 20], "the padding is found and taken off"
    assert corpus.groups() == ["speaker"] and corpus.splits() == ["standard"]
    columns = [stream.columns[0] for stream in corpus.specification.streams]
    assert columns == ["pitch", "mine-vision-00"]
    assert "24 9" in printed and "('audio', 'vision') ['speaker'] ['arousal']" in printed
    steps = Corpus.open("steps")
    assert steps.lengths("audio").tolist() == [2, 1] and steps.label("arousal").tolist() == pytest.approx([0.3, -0.7])
    assert steps.group("speaker").tolist() == ["anna", "ben"]
    assert Corpus.open("field").fold("test").lengths("audio").tolist() == [9] * 12
    tested = corpus.ids[corpus.split("standard") == "test"].tolist()
    assert read_predictions("predictions.csv").columns["id"] == tested
    assert "unweighted recall" in printed and "new-b" in printed and printed.rstrip().endswith("(2,)")
