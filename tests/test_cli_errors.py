"""The command line ends with one line, whatever went wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from trivium import cli
from trivium.cli import app
from trivium.corpus import Corpus, Specification, Stream, StreamSpecification, Utterance
from trivium.errors import DataError, SpecificationError


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (DataError("is empty", file="a.csv"), 2, "trivium: a.csv: is empty."),
        (PermissionError(13, "Permission denied", "a.csv"), 2, "trivium: a.csv: cannot be opened: Permission denied"),
        (OSError("no more handles"), 2, "trivium: no more handles"),
        (MemoryError(), 2, "trivium: needs more memory than there is."),
        (
            KeyboardInterrupt(),
            130,
            "trivium: stopped; the same command goes on where it was (with --resume: fit, train)",
        ),
    ],
)
def test_every_end_is_one_line(
    error: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("trivium.formats.read", fail)
    monkeypatch.setattr(sys, "argv", ["trivium", "read", "a.csv", "--out", "out"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == code
    assert capsys.readouterr().err == f"{said}\n"


@pytest.mark.parametrize("command", ["write", "align"])
def test_a_file_is_replaced_only_when_asked(command: str, tmp_path: Path) -> None:
    voice = StreamSpecification("audio", ("energy",), clock="words")
    spoken = Utterance("a", {"audio": Stream(np.ones((2, 1), np.float32), voice)}, splits={"standard": "train"})
    Corpus.from_utterances([spoken], Specification((voice,))).save(tmp_path / "corpus")
    out = tmp_path / "out.npz"
    out.write_text("mine")
    asked = [command, str(tmp_path / "corpus"), "--out", str(out), *(["--format", "npz"] if command == "write" else [])]
    with pytest.raises(DataError, match=r"exists already.*--overwrite"):
        CliRunner().invoke(app, asked, catch_exceptions=False)
    assert out.read_text() == "mine"
    assert CliRunner().invoke(app, [*asked, "--overwrite"], catch_exceptions=False).exit_code == 0
    assert out.read_bytes()[:2] == b"PK"


def test_an_option_of_another_type_is_refused_before_training(tmp_path: Path) -> None:
    asked = ["fit", str(tmp_path / "corpus"), "--set", "max_epochs=abc", "--out", str(tmp_path / "w")]
    with pytest.raises(SpecificationError, match="max_epochs cannot be 'abc'"):
        CliRunner().invoke(app, asked, catch_exceptions=False)


@pytest.mark.parametrize(
    ("option", "said"), [("nope=1", "has no option nope"), ("max_epochs=x", "max_epochs cannot be 'x'")]
)
def test_an_option_of_what_is_probed_is_checked_before_any_work(option: str, said: str, tmp_path: Path) -> None:
    asked = ["probe", str(tmp_path / "corpus"), "--label", "mood", "-r", "conv-autoencoder", "--set", option]
    with pytest.raises(SpecificationError, match=said):
        CliRunner().invoke(app, asked, catch_exceptions=False)
