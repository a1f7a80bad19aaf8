"""Which tasks are corrected together and which of them reach the bar, on hand-made results of tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from trivium.evaluate.bootstrap import Interval
from trivium.evaluate.suite.contrast import Contrast, Contrasts, corrected, verdict_of
from trivium.evaluate.suite.declared import read_suite
from trivium.evaluate.suite.results import SuiteResult, TaskResult, corrected_tasks
from trivium.evaluate.suite.runs import SuiteRun

REAL = read_suite("real")
TASK = REAL.tasks[0]


def contrast(p: float, value: float = 0.1) -> Contrast:
    return Contrast("ours", "r", value, Interval(value - 0.1, value + 0.1), p, p, (value,), {"mean": 1})


LEARNED = {"untrained": contrast(0.04)}


def result(
    name: str, declared: Contrast, harder: Contrast | None = None, *, beside: str = "", track: str = "H"
) -> TaskResult:
    return TaskResult(replace(TASK, name=name, beside=beside), track, (), Contrasts(declared, harder, LEARNED), {})


def three_tasks_and_one_beside() -> tuple[TaskResult, ...]:
    return (
        result("a", contrast(0.01), contrast(0.03)),
        result("b", contrast(0.03), contrast(0.02)),
        result("c", contrast(0.02)),
        result("d", contrast(0.02), contrast(0.01), beside="a"),
    )


def test_holm_of_the_declared_contrasts_is_over_the_tasks_that_count() -> None:
    found = {one.task.name: one.contrast.corrected for one in corrected_tasks(three_tasks_and_one_beside())}
    # sorted .01 .02 .03, times 3 2 1, never falling; d stands beside and keeps its own
    assert found == pytest.approx({"a": 0.03, "c": 0.04, "b": 0.04, "d": 0.02})


def test_holm_of_the_harder_contrasts_is_over_the_tasks_that_count_and_have_one() -> None:
    found = {one.task.name: one.contrasts.harder for one in corrected_tasks(three_tasks_and_one_beside())}
    assert found.pop("c") is None
    # sorted .02 .03, times 2 1, never falling
    told = {name: one.corrected for name, one in found.items() if one is not None}
    assert told == pytest.approx({"b": 0.04, "a": 0.04, "d": 0.01})


def test_differences_to_twins_are_not_corrected_nor_is_anything_else_changed() -> None:
    before = three_tasks_and_one_beside()
    for one, other in zip(before, corrected_tasks(before), strict=True):
        assert other.task == one.task and other.contrasts.learned == LEARNED
        assert replace(other.contrast, corrected=one.contrast.corrected) == one.contrast


def test_tracks_are_corrected_apart() -> None:
    done = [result("a", contrast(0.02)), result("b", contrast(0.03)), result("a", contrast(0.04), track="F")]
    found = SuiteRun(REAL)._result(done, [], 0.0)
    assert [one.contrast.corrected for one in found.of_track("H")] == pytest.approx([0.04, 0.04])
    assert [one.contrast.corrected for one in found.of_track("F")] == pytest.approx([0.04])


GOOD, BAD, OPEN = contrast(0.001), contrast(0.001, -0.1), contrast(0.9)


def suite_result(*tasks: TaskResult, not_measured: Mapping[str, list[str]] | None = None) -> SuiteResult:
    return SuiteResult("toy", {"H": "by hand", "F": "found"}, tasks, (), {"not_measured": not_measured or {}})


def test_two_better_tasks_are_wanted() -> None:
    assert not verdict_of({"a": GOOD, "b": OPEN, "c": OPEN}).reached
    assert verdict_of({"a": GOOD, "b": GOOD, "c": OPEN}).reached
    assert not suite_result(result("a", GOOD), result("b", OPEN)).verdict("H").reached
    assert suite_result(result("a", GOOD), result("b", GOOD)).verdict("H").reached


def test_one_worse_task_is_too_many() -> None:
    told = suite_result(result("a", GOOD), result("b", GOOD), result("c", BAD)).verdict("H")
    assert not told.reached and told.worse == ("c",)


def test_a_task_that_stands_beside_neither_helps_nor_spoils() -> None:
    helps = suite_result(result("a", GOOD, GOOD), result("b", OPEN, OPEN), result("c", GOOD, GOOD, beside="a"))
    spoils = suite_result(result("a", GOOD, GOOD), result("b", GOOD, GOOD), result("c", BAD, BAD, beside="a"))
    for harder in (False, True):
        assert not helps.verdict("H", harder=harder).reached and helps.verdict("H", harder=harder).better == ("a",)
        assert spoils.verdict("H", harder=harder).reached and not spoils.verdict("H", harder=harder).worse


def test_a_task_of_another_track_counts_for_nothing() -> None:
    told = suite_result(result("a", GOOD), result("b", GOOD, track="F")).verdict("H")
    assert not told.reached and told.better == ("a",)


def test_the_harder_verdict_is_by_the_harder_contrasts_alone() -> None:
    found = suite_result(result("a", GOOD, BAD), result("b", GOOD, OPEN), result("c", GOOD))
    assert found.verdict("H").reached and found.verdict("H").better == ("a", "b", "c")
    harder = found.verdict("H", harder=True)
    assert (harder.reached, harder.better, harder.worse, harder.open) == (False, (), ("a",), ("b",))


def test_tasks_that_were_not_measured_are_told_in_the_verdict_of_their_track() -> None:
    absent = {"H": ["c", "d"], "F": ["e"]}
    found = suite_result(result("a", GOOD, GOOD), result("b", GOOD, GOOD), not_measured=absent)
    for harder in (False, True):
        told = found.verdict("H", harder=harder)
        assert told.absent == ("c", "d")
        assert told.text == "Reached so far: better on a, b; not measured: c, d."
    assert found.verdict("F").text == "Not reached so far: no task was measured; not measured: e."


def test_tasks_that_count_in_a_track_and_have_no_result_were_not_measured() -> None:
    kinds = {"a": ("", ("H", "F")), "b": ("", ("H",)), "c": ("a", ("H", "F")), "d": ("", ("F",))}
    tasks = tuple(
        replace(TASK, name=name, beside=beside, primary=dict.fromkeys(tracks, "mean"))
        for name, (beside, tracks) in kinds.items()
    )
    run = SuiteRun(replace(REAL, tasks=tasks))
    done = [TaskResult(tasks[0], "H", (), Contrasts(GOOD), {})]
    assert run._result(done, [], 0.0).settings["not_measured"] == {"H": ["b"], "F": ["a", "d"]}


def test_what_is_not_significant_after_correction_is_undecided() -> None:
    once = {name: contrast(p) for name, p in (("a", 0.01), ("b", 0.03), ("c", 0.026))}
    assert verdict_of(once).better == ("a", "b", "c")
    told = verdict_of(corrected(once, ["a", "b", "c"]))  # .01 * 3, then .026 * 2 for both others
    assert not told.reached and told.better == ("a",) and told.open == ("b", "c")
