"""The command line ends with one line, whatever went wrong."""

from __future__ import annotations

import sys

import pytest

from trivium import cli
from trivium.errors import DataError


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (DataError("is empty", file="a.csv"), 2, "trivium: a.csv: is empty."),
        (PermissionError(13, "Permission denied", "a.csv"), 2, "trivium: a.csv: cannot be opened: Permission denied"),
        (OSError("no more handles"), 2, "trivium: no more handles"),
        (MemoryError(), 2, "trivium: needs more memory than there is."),
        (KeyboardInterrupt(), 130, "trivium: stopped; the same command goes on where it was (fit: with --resume)"),
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
