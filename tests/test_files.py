"""Files and folders that are whole or absent: what the disk refuses is one sentence."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

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
