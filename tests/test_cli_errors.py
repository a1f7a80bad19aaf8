"""The command line ends with one line, whatever went wrong."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import trivium
from trivium import cli, errors
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


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["trian"], "trivium: No such command 'trian'. Did you mean 'train'? Remedy: trivium --help explains"),
        (["align"], "trivium: Missing argument 'source'. Remedy: trivium align --help explains"),
        (["align", "x", "--wrods", "2"], "trivium: No such option: --wrods"),
        (["evaluate", "x", "-w", "w", "--rates", "3"], "trivium: Invalid value for --rates: give rising shares"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line_with_a_remedy_too(asked: list[str], said: str) -> None:
    done = CliRunner().invoke(app, asked, prog_name="trivium")
    assert done.exit_code == 2 and done.stdout == ""
    assert (
        done.stderr.startswith(said) and done.stderr.count("\n") == 1 and "--help explains every option" in done.stderr
    )


def test_no_command_at_all_gives_the_help_and_nothing_else() -> None:
    done = CliRunner().invoke(app, [], prog_name="trivium")
    assert done.exit_code == 2 and "The journey" in done.stdout and done.stderr == ""


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
    asked = ["fit", str(tmp_path / "corpus"), "--set", "n_components=abc", "--out", str(tmp_path / "w")]
    with pytest.raises(SpecificationError, match="n_components cannot be 'abc'"):
        CliRunner().invoke(app, asked, catch_exceptions=False)
    asked = [*asked[:-3], "max_epochs=abc", *asked[-2:], "-r", "masked-steps"]
    with pytest.raises(SpecificationError, match="max_epochs cannot be 'abc'"):
        CliRunner().invoke(app, asked, catch_exceptions=False)


@pytest.mark.parametrize(
    ("option", "said"), [("nope=1", "has no option nope"), ("max_epochs=x", "max_epochs cannot be 'x'")]
)
def test_an_option_of_what_is_probed_is_checked_before_any_work(option: str, said: str, tmp_path: Path) -> None:
    asked = ["probe", str(tmp_path / "corpus"), "--label", "mood", "-r", "conv-autoencoder", "--set", option]
    with pytest.raises(SpecificationError, match=said):
        CliRunner().invoke(app, asked, catch_exceptions=False)


# They name a mistake of the calling code, which no user can mend.
_OF_CALLERS = {"voice.py", "encoders.py", "minilm.py", "word_vectors.py", "recorder.py", "maps.py"}


def _without_remedy(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in errors.__all__
        if named and isinstance(node, ast.Call) and not any(word.arg == "remedy" for word in node.keywords):
            yield f"{file.name}:{node.lineno}"


def test_errors_of_extraction_reports_and_commands_name_a_remedy() -> None:
    source = Path(trivium.__file__).parent
    files = [file for part in ("extract", "report", "cli") for file in (source / part).rglob("*.py")]
    bare = [place for file in files for place in _without_remedy(file)]
    assert len(files) > 50 and [place for place in bare if place.partition(":")[0] not in _OF_CALLERS] == []
    assert len(bare) <= 7


@pytest.mark.parametrize(
    "command", [["inspect"], ["inspect", "--quality"], ["align", "--words", "2", "--out", "x.npz"]]
)
def test_a_folder_of_raw_clips_is_sent_to_extract(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "talks").mkdir()
    (tmp_path / "talks" / "monday.mp4").write_bytes(b"\0" * 99)
    with pytest.raises(
        errors.FormatError, match=r"Remedy: clips become a corpus with `trivium extract .* --out CORPUS`"
    ):
        CliRunner().invoke(app, [command[0], str(tmp_path), *command[1:]], catch_exceptions=False)


def test_another_file_is_sent_to_read(tmp_path: Path) -> None:
    with pytest.raises(errors.FormatError, match="Remedy: convert other formats with `trivium read"):
        CliRunner().invoke(app, ["inspect", str(tmp_path)], catch_exceptions=False)
