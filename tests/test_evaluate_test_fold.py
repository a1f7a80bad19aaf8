"""The test fold behind its door: training cannot reach it, every read is counted."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from trivium.align import align
from trivium.corpus import (
    Aligned,
    Corpus,
    LabelSpecification,
    Specification,
    Stream,
    StreamSpecification,
    Utterance,
    concat,
)
from trivium.errors import DataError, FormatError, SpecificationError
from trivium.evaluate import answers_of, named_protocol, score_answers
from trivium.evaluate.plan import EvaluationPlan, plan_evaluation
from trivium.evaluate.test_fold import ReadCount, ReadLedger, TestFold, configuration_hash, fingerprint, sealed

VOICE = StreamSpecification("audio", ("energy",), clock="words")
SENTIMENT = LabelSpecification("sentiment", "regression", range=(-3.0, 3.0))
MOOD = LabelSpecification("mood", "multiclass", ("angry", "calm", "sad"))
SPLITS = ["train"] * 6 + ["valid"] * 3 + ["test"] * 4


def corpus_of(splits: list[str] = SPLITS, scale: float = 1.0) -> Corpus:
    clips = [
        Utterance(
            f"u{k:02d}",
            {"audio": Stream(np.full((2, 1), scale * k, np.float32), VOICE)},
            labels={"sentiment": float(k % 7 - 3), "mood": MOOD.classes[k % 3]},
            groups={"video": f"v{k // 2}", "speaker": f"s{k // 2}", "session": f"{k % 5}"},
            splits={"standard": split},
        )
        for k, split in enumerate(splits)
    ]
    return Corpus.from_utterances(clips, Specification((VOICE,), (SENTIMENT, MOOD)))


def everything_reachable(thing: Any, seen: dict[int, Any] | None = None) -> str:
    """Text of all strings and arrays that attributes of our own objects lead to."""
    seen = {} if seen is None else seen
    if id(thing) in seen:
        return ""
    seen[id(thing)] = thing  # kept, or another object could get its number
    if isinstance(thing, np.ndarray):
        return " ".join(map(str, thing.ravel().tolist()))
    if isinstance(thing, str):
        return thing
    if isinstance(thing, pa.RecordBatch | pa.Table | pa.Array):
        return str(thing.to_pylist())
    if isinstance(thing, Mapping):
        return " ".join(everything_reachable(v, seen) for pair in thing.items() for v in pair)
    if isinstance(thing, list | tuple | set | frozenset):
        return " ".join(everything_reachable(v, seen) for v in thing)
    slots = [getattr(thing, name, None) for name in getattr(type(thing), "__slots__", ())]
    held = [*getattr(thing, "__dict__", {}).values(), *slots]
    return " ".join(everything_reachable(v, seen) for v in held)


def corpus_in(form: str, folder: Path) -> Any:
    """The corpus in memory, on disk, joined of two, with fewer modalities, or aligned."""
    corpus = corpus_of()
    corpus.ids, corpus.group("video")  # what was asked before must not be handed on
    if form == "disk":
        corpus.save(folder / "stored")
        opened = Corpus.open(folder / "stored")
        assert len(opened.ids) == len(list(opened))
        return opened
    if form == "joined":
        return concat([corpus[np.arange(0, 13, 2)], corpus[np.arange(1, 13, 2)]], ["even", "odd"])
    if form == "selected":
        return corpus.select(["audio"])[np.arange(12, -1, -1)]
    return align(corpus, words=2) if form == "aligned" else corpus


@pytest.mark.parametrize("form", ["memory", "disk", "joined", "selected", "aligned"])
def test_what_training_is_given_holds_no_test_row(form: str, tmp_path: Path) -> None:
    data = corpus_in(form, tmp_path)
    ledger = ReadLedger(tmp_path / "r.jsonl")
    plan: EvaluationPlan[Any] = plan_evaluation(data, named_protocol("mosi"), "sentiment", ledger=ledger)
    learning, door = next(plan.runs(0))
    assert learning.valid is not None
    assert sorted(learning.train.ids.tolist()) == [f"u{k:02d}" for k in range(6)]
    assert sorted(learning.valid.ids.tolist()) == ["u06", "u07", "u08"]
    for part in (learning.train, learning.valid):
        if isinstance(part, Corpus):
            batch = part.batch(np.array([1, 0]))
            assert list(batch.ids) == part.ids[[1, 0]].tolist() == [part[1].id, part[0].id]
            assert [f"u{int(v):02d}" for v in batch.values["audio"][:, 0, 0]] == list(batch.ids)
            assert part.lengths("audio").tolist() == [2] * len(part)
            assert part[np.array([1])].source.only(np.array([2])).utterances(np.array([0]))[0].id == part.ids[2]
            with pytest.raises(IndexError):
                part[len(part)]
    reached = re.findall(r"u\d\d", everything_reachable(learning))
    assert set(reached) == {f"u{k:02d}" for k in range(9)}
    assert not {"9.0", "10.0", "11.0", "12.0"} & set(everything_reachable(learning).split())  # their values
    assert len(door) == 4
    assert not (tmp_path / "r.jsonl").exists()


def test_every_read_is_a_line_and_counted_by_configuration(tmp_path: Path) -> None:
    ledger = ReadLedger(tmp_path / "reads" / "r.jsonl")
    door = TestFold("test", corpus_of()[9:], "sentiment", ledger, protocol="mosi")
    first = door.read({"network": "tfn", "width": 4}, seed=0)
    assert first.data.ids.tolist() == ["u09", "u10", "u11", "u12"]
    assert first.count == ReadCount(1, 1)
    assert door.read({"width": 4, "network": "tfn"}, seed=1).count == ReadCount(2, 1)
    assert door.read({"network": "lmf"}, seed=0).count == ReadCount(1, 2)
    lines = [json.loads(line) for line in ledger.file.read_text().splitlines()]
    assert [(line["seed"], line["read"]) for line in lines] == [(0, 1), (1, 2), (0, 1)]
    assert {line["protocol"] for line in lines} == {"mosi"}
    assert set(lines[0]) == {"configuration", "fold", "label", "name", "protocol", "read", "seed"}


def test_new_columns_do_not_make_a_test_fold_fresh(tmp_path: Path) -> None:
    ledger = ReadLedger(tmp_path / "r.jsonl")
    for scale, reader in ((1.0, "a"), (2.0, "b")):
        count = TestFold("test", corpus_of(scale=scale)[9:], "sentiment", ledger).read({"by": reader}, seed=0).count
    assert count == ReadCount(1, 2)
    shuffled = corpus_of()[np.array([11, 9, 12, 10])]
    assert fingerprint(shuffled, "sentiment") == fingerprint(corpus_of()[9:], "sentiment")
    assert fingerprint(corpus_of()[8:], "sentiment") != fingerprint(shuffled, "sentiment")
    assert fingerprint(shuffled, "mood") != fingerprint(shuffled, "sentiment")


def test_the_record_goes_across_runs_and_lies_in_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path))
    for times in (1, 2, 3):
        door = TestFold("test", corpus_of()[9:], "sentiment", ReadLedger())
        assert door.read({"n": 1}, seed=0).count.times == times
    assert (tmp_path / "test-reads" / "reads.jsonl").read_text().count("\n") == 3


def test_equal_reads_leave_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        TestFold("test", corpus_of()[9:], "sentiment", ReadLedger(tmp_path / name)).read({"n": 1}, seed=0)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_cannot_be_recorded_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    blocked = TestFold("test", corpus_of()[9:], "sentiment", ReadLedger(tmp_path / "file" / "r.jsonl"))
    with pytest.raises(DataError, match="cannot be recorded"):
        blocked.read({}, seed=0)
    (tmp_path / "r.jsonl").write_text('{"fold": "x", "configuration": "y"}\nnot a record\n')
    with pytest.raises(FormatError, match=r"line 2.*no record of a read"):
        TestFold("test", corpus_of()[9:], "sentiment", ReadLedger(tmp_path / "r.jsonl")).read({}, seed=0)


def test_only_plain_configurations_are_hashed() -> None:
    with pytest.raises(DataError, match="plain builtins"):
        configuration_hash({"network": object()})
    with pytest.raises(DataError, match="plain builtins"):
        configuration_hash({"rate": float("nan")})


def test_the_count_is_said_in_words() -> None:
    assert str(ReadCount(2, 1)).startswith("This configuration read this test fold 2 times; 1 configuration has")


def test_grouped_folds_keep_sessions_together_and_test_each_utterance_once(tmp_path: Path) -> None:
    plan = plan_evaluation(
        corpus_of(), named_protocol("merbench-emotion"), "mood", ledger=ReadLedger(tmp_path / "r.jsonl")
    )
    tested = []
    for learning, door in plan.runs(3):
        opened = door.read({"n": 1}, seed=3).data
        assert not set(learning.train.group("session")) & set(opened.group("session"))
        assert learning.valid is None
        tested += opened.ids.tolist()
    assert sorted(tested) == corpus_of().ids.tolist()


@pytest.mark.parametrize(
    ("protocol", "label", "said"),
    [
        ("mosi", "mood", "mood is of the kind multiclass"),
        ("sims", "sentiment", "goes from -3 to 3"),
        ("merbench-emotion", "sentiment", "is of the kind regression"),
    ],
)
def test_a_label_that_does_not_suit_the_protocol_is_refused(protocol: str, label: str, said: str) -> None:
    with pytest.raises(SpecificationError, match=said):
        plan_evaluation(corpus_of(), named_protocol(protocol), label)


def test_the_plans_table_is_what_score_reads(tmp_path: Path) -> None:
    plan = plan_evaluation(corpus_of(), named_protocol("mosi"), "sentiment", ledger=ReadLedger(tmp_path / "r.jsonl"))
    _, door = next(plan.runs(0))
    opened = door.read({"n": 1}, seed=0)
    table = plan.table(
        opened.data, opened.data.label("sentiment"), fold="test", seed=0, provenance={"test_reads": str(opened.count)}
    )
    answers = answers_of(table, plan.protocol)
    card = score_answers(answers, plan.protocol, times=0, provenance=table.provenance)
    assert (card.line("mae").mean, answers.group, len(np.unique(answers.clusters))) == (0.0, "group", 3)
    assert card.notes()[-1] == "This configuration read this test fold 1 time; 1 configuration has read it."
    with pytest.raises(DataError, match="shape"):
        plan.table(opened.data, np.zeros((4, 2)), fold="test", seed=0)


def test_a_sealed_aligned_set_shares_no_memory() -> None:
    aligned = align(corpus_of(), words=2)
    part: Aligned = sealed(aligned, [0, 1])
    assert not np.shares_memory(part.values, aligned.values)
    assert part.values.base is None or len(part.values.base) == 2
