"""Writing in parts: any order of staging, killed at any moment, ends with the same bytes."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from trivium.corpus import Corpus, Specification, Stream, StreamSpecification, Utterance
from trivium.corpus.writer import CorpusWriter
from trivium.errors import DataError, FormatError

VOICE = StreamSpecification("audio", ("f0", "energy"))
SPECIFICATION = Specification((VOICE,))
KEYS = ("first", "zweites/…", "3")

# A run that stages slowly and can be started again and again, with the keys in an order of its own.
RUN = """
import sys, time
from pathlib import Path
import numpy as np
from trivium.corpus import Specification, Stream, StreamSpecification, Utterance
from trivium.corpus.writer import CorpusWriter
voice = StreamSpecification("audio", ("f0", "energy"))
target, order, pause = Path(sys.argv[1]), [int(n) for n in sys.argv[2].split(",")], float(sys.argv[3])
writer = CorpusWriter(target, Specification((voice,)), {"run": "slow"})
for number in order:
    if not writer.staged(str(number)):
        values = np.random.default_rng(number).normal(size=(500, 2)).astype(np.float32)
        writer.stage(str(number), [Utterance(f"{number}-{i}", {"audio": Stream(values, voice)}) for i in range(20)])
        print("staged", number, flush=True)
        time.sleep(pause)
writer.finish([str(n) for n in sorted(order)])
print("finished", flush=True)
"""

# What kills the run just before, or just after, the finished corpus takes its place.
STOP = {
    "before": """
import os, trivium.files
trivium.files._swap = lambda draft, target: os._exit(9)
""",
    "after": """
import os
from pathlib import Path
rename = Path.rename
Path.rename = lambda self, to: os._exit(9) if "staging" in self.name else rename(self, to)
""",
}


def part(key: str) -> list[Utterance]:
    number = KEYS.index(key)
    streams = {"audio": Stream(np.full((number, 2), number, np.float32), VOICE)}
    # every part knows other groups than the next
    return [
        Utterance(f"{key}-{i}", streams, groups={f"group{number}": str(i)}, text="é" * i) for i in range(number + 1)
    ]


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


@pytest.mark.parametrize("staging", list(itertools.permutations(KEYS)))
def test_the_order_of_staging_does_not_matter_and_equals_saving_at_once(
    tmp_path: Path, staging: tuple[str, ...]
) -> None:
    run = CorpusWriter(tmp_path / "parts", SPECIFICATION, {"a": 1})
    for key in staging:
        assert not run.staged(key)
        run.stage(key, part(key))
        assert run.staged(key)
    corpus = run.finish(KEYS)
    assert corpus.groups() == ["group0", "group1", "group2"]
    whole = Corpus.from_utterances([u for key in KEYS for u in part(key)], SPECIFICATION, {"a": 1})
    whole.save(tmp_path / "whole")
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["parts", "whole"]


def test_a_second_run_goes_on_and_a_part_may_be_empty_or_replaced(tmp_path: Path) -> None:
    CorpusWriter(tmp_path / "c", SPECIFICATION).stage("a", [Utterance("old")])
    again = CorpusWriter(tmp_path / "c", SPECIFICATION)
    assert again.staged("a") and not again.staged("b")
    again.stage("a", [Utterance("new")])
    again.stage("b", [])
    assert again.finish(["b", "a"]).ids.tolist() == ["new"]


def test_a_missing_part_a_shared_id_and_an_existing_target_leave_everything_as_it_was(tmp_path: Path) -> None:
    run = CorpusWriter(tmp_path / "c", SPECIFICATION)
    run.stage("a", [Utterance("x")])
    with pytest.raises(DataError, match="1 parts are missing, first 'b'"):
        run.finish(["a", "b"])
    run.stage("b", [Utterance("x")])
    with pytest.raises(DataError, match="'x' appears twice"):
        run.finish(["a", "b"])
    assert run.staged("a") and not (tmp_path / "c").exists()
    assert run.finish(["b"]).ids.tolist() == ["x"]
    before = contents(tmp_path / "c")
    with pytest.raises(DataError, match="exists already"):
        CorpusWriter(tmp_path / "c", SPECIFICATION)
    again = CorpusWriter(tmp_path / "c", SPECIFICATION, overwrite=True)
    assert contents(tmp_path / "c") == before
    again.stage("a", [Utterance("y")])
    assert again.finish(["a"]).ids.tolist() == ["y"]


def test_parts_of_another_specification_are_not_mixed_in(tmp_path: Path) -> None:
    CorpusWriter(tmp_path / "c", SPECIFICATION).stage("a", [Utterance("x")])
    other = CorpusWriter(tmp_path / "c", Specification(()))
    assert not other.staged("a") and len(other.staging.parts()) == 1
    other.stage("a", [Utterance("y")])
    assert other.finish(["a"]).ids.tolist() == ["y"]


def test_an_utterance_that_does_not_fit_is_refused_when_it_is_staged(tmp_path: Path) -> None:
    run = CorpusWriter(tmp_path / "c", Specification(()))
    with pytest.raises(Exception, match="no modality 'audio'"):
        run.stage("a", part("3"))
    assert not run.staged("a")


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    run = CorpusWriter(tmp_path / "c", SPECIFICATION)
    run.stage("a", [Utterance("x")])
    next(tmp_path.glob(".c.staging/*.arrow")).write_bytes(b"ARROW1")
    with pytest.raises(FormatError, match="no readable part"):
        run.finish(["a"])


def start(target: Path, order: str, pause: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(target), order, str(pause)], stdout=subprocess.PIPE, text=True
    )


def test_a_run_killed_again_and_again_ends_with_the_same_bytes(tmp_path: Path) -> None:
    quiet = start(tmp_path / "quiet", "0,1,2,3", 0)
    assert quiet.wait() == 0
    for order in ("2,0,3,1", "3,1,0,2"):
        run = start(tmp_path / "killed", order, 30)
        assert run.stdout is not None and run.stdout.readline().startswith("staged")
        run.send_signal(signal.SIGKILL)
        run.wait()
    assert not (tmp_path / "killed").exists()
    last = start(tmp_path / "killed", "1,0,3,2", 0)
    said = last.communicate()[0].splitlines()
    assert said == ["staged 1", "staged 0", "finished"]
    assert contents(tmp_path / "killed") == contents(tmp_path / "quiet")


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_run_killed_around_the_final_rename_is_finished_by_the_same_calls(tmp_path: Path, moment: str) -> None:
    command = [sys.executable, "-c", STOP[moment] + RUN, str(tmp_path / "c"), "1,0", "0"]
    assert subprocess.run(command, capture_output=True).returncode == 9
    assert (tmp_path / "c").exists() == (moment == "after")
    again = start(tmp_path / "c", "1,0", 0)
    assert again.communicate()[0].splitlines() == ["finished"]
    assert start(tmp_path / "whole", "0,1", 0).wait() == 0
    assert contents(tmp_path / "c") == contents(tmp_path / "whole")
    assert not (tmp_path / ".c.staging").exists()
