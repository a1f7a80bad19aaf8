"""Files and folders that are whole or absent: what the disk refuses is one sentence."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from trivium import progress
from trivium.errors import DataError
from trivium.files import atomic_file, atomic_folder


@pytest.mark.parametrize("whole", [atomic_file, atomic_folder])
def test_a_place_that_cannot_be_made_is_named_with_a_remedy(
    tmp_path: Path, whole: Callable[[Path], AbstractContextManager[Path]]
) -> None:
    (tmp_path / "file").write_text("in the way")
    target = tmp_path / "file" / "below" / "a"
    with pytest.raises(DataError, match=r"below/a: cannot be written.*Remedy"), whole(target):
        pytest.fail("nothing may be written")
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_text("old")
    with pytest.raises(DataError, match="No space left"), atomic_file(target) as draft:
        draft.write_text("new")
        raise OSError(28, "No space left on device")
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("write", [atomic_file, atomic_folder])
def test_drafts_of_killed_runs_are_removed_after_a_day(
    write: Callable[[Path], AbstractContextManager[Path]], tmp_path: Path
) -> None:
    old, busy, other = (tmp_path / name for name in (".a[1].dead.part", ".a[1].busy.part", ".b.dead.part"))
    for draft in (old, busy, other):
        draft.mkdir()
        (draft / "shard").write_text("half")
    long_ago = time.time() - 25 * 3600
    for path in (old / "shard", old, busy, other / "shard", other):
        os.utime(path, (long_ago, long_ago))
    with write(tmp_path / "a[1]"):
        pass
    assert [draft.exists() for draft in (old, busy, other)] == [False, True, True]


def test_only_a_folder_of_its_kind_or_an_empty_one_is_replaced(tmp_path: Path) -> None:
    kind, empty, foreign, plain = (tmp_path / name for name in ("kind", "empty", "foreign", "plain"))
    for folder in (kind, empty, foreign):
        folder.mkdir()
    (kind / "corpus.json").write_text("{}")
    (foreign / "notes.txt").write_text("mine")
    plain.write_text("mine")
    for target in (kind, empty):
        with atomic_folder(target, replace="corpus.json") as draft:
            (draft / "new").write_text("new")
        assert [path.name for path in target.iterdir()] == ["new"]
    for target in (foreign, plain):
        with pytest.raises(DataError, match="holds other things"), atomic_folder(target, replace="corpus.json"):
            pass
    assert (foreign / "notes.txt").read_text() == plain.read_text() == "mine"


def test_a_folder_without_a_name_of_its_own_is_a_place_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    for place in (".", "..", "../inner"):
        with pytest.raises(DataError, match="exists already"), atomic_folder(place):
            pass


def test_a_kill_between_the_two_renames_loses_nothing(tmp_path: Path) -> None:
    aside = tmp_path / ".corpus.123.old"
    aside.mkdir()
    (aside / "corpus.json").write_text("the old one")
    with pytest.raises(DataError, match="exists already"), atomic_folder(tmp_path / "corpus"):
        pass
    assert (tmp_path / "corpus" / "corpus.json").read_text() == "the old one"


def test_what_another_target_left_is_not_taken_for_this_one(tmp_path: Path) -> None:
    (tmp_path / ".corpus.v2.123.old").mkdir()
    with atomic_folder(tmp_path / "corpus") as draft:
        (draft / "new").write_text("new")
    assert (tmp_path / ".corpus.v2.123.old").exists() and (tmp_path / "corpus" / "new").exists()


def test_lines_of_progress_come_also_while_nothing_is_finished(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.02)
    with progress.progress_bar("extracting", 3) as bar:
        bar.note("loading models")
        time.sleep(0.2)
    assert "extracting: 0 of 3 done, 0:00 so far, loading models" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("done", "total", "spent", "left"),
    [(0, 42, 10, None), (1, 42, 10, None), (2, 200, 10, None), (10, 100, 20, 180), (3, None, 10, None), (4, 4, 8, 0)],
)
def test_time_left_is_told_when_it_is_more_than_a_guess(
    done: float, total: float | None, spent: float, left: float | None
) -> None:
    assert progress._left(done, total, spent) == left


def test_time_spent_and_time_left_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0])
    monkeypatch.setattr("trivium.progress.time.monotonic", lambda: next(clock, 3700.0))
    bar = progress._LineBar("extracting", 4)
    bar.advance(2)
    bar._speak()
    assert capsys.readouterr().err == "extracting: 2 of 4 done, 1:01:40 so far, 0.0/min, about 1:01:40 left\n"


def test_what_an_earlier_run_did_counts_for_no_rate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0])
    monkeypatch.setattr("trivium.progress.time.monotonic", lambda: next(clock, 60.0))
    bar = progress._LineBar("extracting", 8)
    bar.advance(4, worked=False)
    bar._speak()
    bar.advance(2)
    bar._speak()
    assert capsys.readouterr().err.splitlines() == [
        "extracting: 4 of 8 done, 1:00 so far",
        "extracting: 6 of 8 done, 1:00 so far, 2.0/min, about 1:00 left",
    ]


def test_the_bar_of_a_terminal_names_them_too(monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    screen = io.StringIO()
    screen.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("COLUMNS", "120")
    with progress.progress_bar("extracting", 4) as bar:
        bar.note("a [name] that is much too long to stand beside a bar on any screen")
        bar.advance(2)
    assert "so far" in screen.getvalue() and "left" in screen.getvalue() and "a [name] that" in screen.getvalue()
    assert "any screen" not in screen.getvalue()
