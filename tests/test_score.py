"""Scores of anybody's predictions: tables read, named protocols, numbers against scikit-learn and brute force."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from typer.testing import CliRunner

from trivium.cli import app
from trivium.errors import DataError, FormatError, SpecificationError, TriviumError
from trivium.evaluate import (
    NAMED_PROTOCOLS,
    PredictionTable,
    Scorecard,
    answers_of,
    named_protocol,
    read_predictions,
    score_answers,
    write_predictions,
)
from trivium.evaluate.definitions import BRIEF, definition_lines
from trivium.metrics import METRICS


def scored(protocol: str, **columns: Any) -> Scorecard:
    return resampled(protocol, 0, columns)


def resampled(protocol: str, times: int, columns: dict[str, Any]) -> Scorecard:
    wanted = named_protocol(protocol)
    return score_answers(answers_of(PredictionTable(columns), wanted), wanted, times=times)


def write_csv(path: Path, **columns: Any) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def run(*words: object) -> Any:
    return CliRunner().invoke(app, ["score", *map(str, words)], catch_exceptions=False)


# --- protocols --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", NAMED_PROTOCOLS.values(), ids=list(NAMED_PROTOCOLS))
def test_a_protocol_names_metrics_that_exist_and_speaks_in_words(protocol: Any) -> None:
    assert set(protocol.metrics) <= set(METRICS)
    assert protocol.selection == "loss" or protocol.selection in protocol.metrics
    assert protocol.expects and protocol.chooses.endswith("validation fold") and protocol.divides
    assert (protocol.threshold is not None) == protocol.is_multilabel


def test_the_help_names_every_protocol() -> None:
    shown = " ".join(run("--help").output.replace("│", " ").split())
    assert [name for name in NAMED_PROTOCOLS if name not in shown] == []


def test_an_unknown_protocol_is_answered_with_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(SpecificationError, match="choose one of mosi, mosei"):
        run(tmp_path / "p.csv", "--protocol", "mosi7")


def test_merbench_chooses_by_a_metric_and_mosi_by_the_loss() -> None:
    assert named_protocol("mosi").chooses == "lowest loss on the validation fold"
    assert named_protocol("merbench-sentiment").chooses == "highest f1_non0 on the validation fold"


# --- numbers ----------------------------------------------------------------------------------------------------------

SENTIMENT = st.one_of(st.floats(-3, 3, width=32), st.sampled_from([-3, -2.5, -1.5, -0.5, 0, 0.5, 1.5, 2.5, 3]))


@settings(max_examples=40)
@given(st.lists(st.tuples(SENTIMENT, SENTIMENT), min_size=2, max_size=30))
def test_mosi_equals_scikit_learn(pairs: list[tuple[float, float]]) -> None:
    y, p = np.array(pairs, np.float32).T
    card = scored("mosi", id=[str(k) for k in range(len(y))], prediction=p, label=y)
    assert card.line("acc2_has0").mean == sk.accuracy_score(y >= 0, p >= 0)
    assert card.line("f1_has0").mean == sk.f1_score(y >= 0, p >= 0, average="weighted")
    swapped = sk.f1_score(p >= 0, y >= 0, average="weighted")
    assert card.line("f1_has0_by_prediction").mean == swapped
    assert card.line("acc2_zero_negative").mean == sk.accuracy_score(y > 0, p > 0)
    kept = y != 0
    if kept.any():
        assert card.line("acc2_non0").mean == sk.accuracy_score(y[kept] > 0, p[kept] > 0)
        assert card.line("f1_non0_by_prediction").mean == sk.f1_score(p[kept] > 0, y[kept] > 0, average="weighted")
    else:
        assert np.isnan(card.line("acc2_non0").mean)
    for name, bound in (("acc3", 1), ("acc5", 2), ("acc7", 3)):
        same = [round(min(max(a, -bound), bound)) == round(min(max(b, -bound), bound)) for a, b in zip(y, p)]  # noqa: B905
        assert card.line(name).mean == sum(same) / len(same)


def test_class_scores_take_the_largest_and_equal_ones_the_first_class() -> None:
    wide: dict[str, Any] = {
        "id": ["a", "b", "c"],
        "label": ["x", "y", "y"],
        "prediction_x": [0.2, 0.5, 0.1],
        "prediction_y": [0.1, 0.5, 1],
    }
    card = scored("classification", **wide)
    assert card.answers.said.tolist() == [["x", "x", "y"]]
    assert card.line("accuracy").mean == 2 / 3
    assert card.line("uar").mean == 0.75


def test_two_logits_of_ur_funny_and_classes_with_a_point_are_the_same_answers() -> None:
    truth = [1.0, 0.0, 1.0]
    logits = scored("ur-funny", id=["a", "b", "c"], label=truth, prediction_0=[-3, 2, 2], prediction_1=[4, 1, 1])
    named = scored("ur-funny", id=["a", "b", "c"], label=["1", "0", "1"], prediction=["1.0", "0.0", 0])
    assert logits.line("accuracy").mean == named.line("accuracy").mean == 2 / 3


def test_iemocap_is_four_questions_of_its_own() -> None:
    rng = np.random.default_rng(0)
    names = ("neutral", "happy", "sad", "angry")
    y, p = rng.integers(0, 2, (50, 4)), rng.uniform(0, 1, (50, 4))
    columns: dict[str, Any] = {f"label_{n}": y[:, k] for k, n in enumerate(names)} | {
        f"prediction_{n}": p[:, k] for k, n in enumerate(names)
    }
    card = scored("iemocap", id=[str(k) for k in range(50)], **columns)
    assert [line.measure.name for line in card.lines][:3] == [
        "neutral.accuracy",
        "neutral.weighted_f1",
        "happy.accuracy",
    ]
    for k, name in enumerate(names):
        assert card.line(f"{name}.accuracy").mean == sk.accuracy_score(y[:, k], p[:, k] > 0.5)
        expected = sk.f1_score(y[:, k], p[:, k] > 0.5, average="weighted")
        assert card.line(f"{name}.weighted_f1").mean == pytest.approx(expected, abs=1e-15)


def test_mosei_emotions_are_present_above_zero() -> None:
    rng = np.random.default_rng(1)
    names = NAMED_PROTOCOLS["mosei-emotions"].classes
    y, p = rng.integers(0, 3, (60, 6)), rng.normal(0.3, 1, (60, 6))
    y[:, 5] = 0
    columns: dict[str, Any] = {f"label_{n}": y[:, k] for k, n in enumerate(names)} | {
        f"prediction_{n}": p[:, k] for k, n in enumerate(names)
    }
    card = scored("mosei-emotions", id=[str(k) for k in range(60)], **columns)
    assert card.line("sad.weighted_accuracy").mean == sk.balanced_accuracy_score(y[:, 1] > 0, p[:, 1] > 0)
    assert card.line("sad.weighted_f1").mean == pytest.approx(sk.f1_score(y[:, 1] > 0, p[:, 1] > 0, average="weighted"))
    assert np.isnan(card.line("fear.weighted_accuracy").mean)
    assert any("fear.weighted_accuracy" in note for note in card.notes())


def test_several_seeds_give_mean_and_spread() -> None:
    columns: dict[str, Any] = {
        "id": ["a", "b"] * 2,
        "label": [1, 2] * 2,
        "prediction": [1, 2, 2, 4],
        "seed": [7, 7, 11, 11],
    }
    line = scored("regression", **columns).line("mae")
    assert line.by_seed == (0.0, 1.5)
    assert line.mean == 0.75
    assert line.spread == pytest.approx(np.std([0, 1.5], ddof=1))


def test_folds_are_measured_apart_and_averaged() -> None:
    columns: dict[str, Any] = {
        "id": list("abcd"),
        "label": [0, 1, 0, 1],
        "prediction": [0, 1, 50, 60],
        "fold": ["1", "1", "2", "2"],
    }
    assert scored("regression", **columns).line("r").mean == 1.0
    assert scored("regression", **{k: v for k, v in columns.items() if k != "fold"}).line("r").mean < 0.2


def test_the_interval_resamples_groups() -> None:
    rng = np.random.default_rng(0)
    speaker = np.repeat(np.arange(20), 10)
    right = np.repeat(rng.integers(0, 2, 20), 10)  # a speaker is understood or not
    columns: dict[str, Any] = {
        "id": [str(k) for k in range(200)],
        "label": ["x"] * 200,
        "prediction": np.where(right, "x", "y"),
    }
    alone = resampled("classification", 400, columns).line("accuracy").interval
    together = resampled("classification", 400, columns | {"group": speaker}).line("accuracy").interval
    assert together.high - together.low > 2 * (alone.high - alone.low)
    said = [
        " ".join(resampled("classification", 10, columns | {"group": groups}).notes())
        for groups in (speaker, speaker % 3)
    ]
    assert "too few" not in said[0] and "3 are too few" in said[1]


def test_a_table_of_another_size_is_said_to_be_not_comparable() -> None:
    card = scored("sims", id=["a", "b"], label=[0.2, -0.4], prediction=[0.1, 0.3])
    assert "457" in " ".join(card.notes()) and "not comparable" in " ".join(card.notes())


def test_scoring_imports_neither_torch_nor_scikit_learn_nor_onnx() -> None:
    code = "import sys, trivium.cli.score, trivium.evaluate.comparison, trivium.evaluate.plan; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(ran.stdout.split()) & {"torch", "sklearn", "onnxruntime"}


def test_the_probe_stays_a_function_beside_its_module() -> None:
    code = "import trivium.evaluate.probe, trivium.evaluate as e; print(callable(e.probe), len(e.FLOORS) > 3)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "True True\n"


# --- tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_a_table_comes_back_as_it_was_written(ending: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    said = rng.standard_normal(20).astype(np.float32)
    ids = [f'video "{k}", part\t1' for k in range(20)]
    table = PredictionTable({"id": ids, "prediction": said, "label": np.zeros(20)}, {"network": "tfn", "seeds": [1, 2]})
    write_predictions(tmp_path / f"p.{ending}", table)
    back = read_predictions(tmp_path / f"p.{ending}")
    assert np.array_equal(back.numbers("prediction"), said)
    assert back.text("id").tolist() == ids
    assert back.provenance == {"network": "tfn", "seeds": [1, 2]}
    first = (tmp_path / f"p.{ending}").read_bytes()
    write_predictions(tmp_path / f"p.{ending}", table)
    assert (tmp_path / f"p.{ending}").read_bytes() == first


GOOD = {"id": ["a", "b", "c"], "prediction": ["0.5", "-1", "2"], "label": ["1", "-1", "0"]}


@pytest.mark.parametrize(
    ("changed", "protocol", "said"),
    [
        ({"id": ["a", "b", "a"]}, "mosi", r"p\.csv \(line 4, column id\): the id 'a' is there twice"),
        ({"prediction": ["0.5", "nan", "2"]}, "mosi", r"\(line 3, column prediction\): NaN cannot be scored.*Remedy"),
        ({"prediction": ["0.5", "1e60", "2"]}, "mosi", r"line 3.*infinity"),
        ({"prediction": ["0.5", "1_0", "2"]}, "mosi", r"line 3.*'1_0' is no number"),
        ({"prediction": ["0.5", "", "2"]}, "mosi", r"line 3.*is empty"),
        ({"prediction": ["0.5", "good", "2"]}, "mosi", r"line 3, column prediction\): 'good' is no number"),
        ({"label": ["1", "-1", "3.5"]}, "mosi", r"line 4, column label\): 3\.5 is outside -3 \.\.\. 3"),
        ({"label": ["1", "-1", "0.5"], "prediction": ["1", "0", "1"]}, "mustard", r"line 3.*'-1' is none of.*0, 1"),
        ({"label": ["1", "0", "1"], "prediction": ["1", "2", "1"]}, "mustard", r"line 3.*prediction.*'2' is none of"),
        ({"seed": ["1", "1", "2"]}, "mosi", r"seeds 1 and 2 do not predict the same utterances"),
        ({"row": ["x", "x", "y"]}, "mosi", r"choose one of x, y \(--row\)"),
    ],
)
def test_what_cannot_be_scored_is_named_with_its_line(
    changed: dict[str, list[str]], protocol: str, said: str, tmp_path: Path
) -> None:
    file = write_csv(tmp_path / "p.csv", **(GOOD | changed))
    with pytest.raises(TriviumError, match=said):
        run(file, "--protocol", protocol)


@pytest.mark.parametrize("missing", ["id", "prediction", "label"])
def test_a_missing_column_is_named(missing: str, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "p.csv", **{k: v for k, v in GOOD.items() if k != missing})
    with pytest.raises(FormatError, match=f"no column '{missing}'"):
        run(file, "--protocol", "mosi")
    with pytest.raises(FormatError, match="no column 'speaker'"):
        run(write_csv(tmp_path / "q.csv", **GOOD), "--protocol", "mosi", "--group", "speaker")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("p.csv", b"id,prediction,label\na,1\n", "line 2.*2 cells for 3 columns"),
        ("p.csv", b"id,prediction,label\n", "holds no predictions"),
        ("p.csv", b"", "holds no predictions"),
        ("p.csv", b"id,id,label\na,a,1\n", "'id' is there twice"),
        ("p.csv", b"id,prediction,label\n\xff\xfe,1,1\n", "UTF-8"),
        ("p.jsonl", b'{"id": "a"\n', "line 1.*no JSON"),
        ("p.jsonl", b"[1]\n", "line 1.*no JSON object"),
        ("p.jsonl", b'{"id": ' + b"9" * 5000 + b"}\n", "line 1.*no JSON"),
        ("p.csv", b'id,label\n"' + b"a" * 200_000 + b'",1\n', "no readable table"),
        ("p.parquet", b"PAR1 and no more", "no readable table"),
        ("p.xlsx", b"PK", "no table of predictions"),
    ],
)
def test_a_broken_file_is_one_clear_error(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TriviumError, match=said):
        read_predictions(tmp_path / name)


@settings(max_examples=60)
@given(st.binary(max_size=60), st.sampled_from(["csv", "tsv", "jsonl", "parquet"]))
def test_any_bytes_are_a_table_or_one_clear_error(tail: bytes, ending: str) -> None:
    head = {"jsonl": b'{"id": 1, "label": 1, "prediction": ', "parquet": b"PAR1"}.get(ending, b"id,prediction,label\n")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"p.{ending}"
        file.write_bytes(head + tail)
        try:
            answers_of(read_predictions(file), named_protocol("mosi"))
        except TriviumError as error:
            assert error.file is not None


def test_a_number_too_large_for_a_float_is_infinity(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"id": "a", "label": 1, "prediction": ' + "9" * 400 + "}\n")
    with pytest.raises(DataError, match=r"line 1.*infinity"):
        run(tmp_path / "p.jsonl", "--protocol", "mosi")


def test_provenance_that_is_no_object_is_refused(tmp_path: Path) -> None:
    write_csv(tmp_path / "p.csv", **GOOD)
    (tmp_path / "p.csv.provenance.json").write_text("[]")
    with pytest.raises(FormatError, match=r"provenance\.json: is no JSON object"):
        read_predictions(tmp_path / "p.csv")


def test_labels_may_not_depend_on_the_seed() -> None:
    columns: dict[str, Any] = {"id": ["a", "a"], "label": [1, 2], "prediction": [1, 1], "seed": [1, 2]}
    with pytest.raises(DataError, match="another than for the first seed"):
        scored("mosi", **columns)


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_prints_numbers_with_definitions_and_json(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "p.csv", **GOOD, video=["v", "v", "w"])
    shown = run(file, "--protocol", "mosi", "--group", "video", "--resamples", 20)
    assert shown.exit_code == 0
    assert re.search(r"^  acc2_non0 +share right, .*no labels of 0$", shown.output, flags=re.MULTILINE)
    told = json.loads(run(file, "--protocol", "mosi", "--group", "video", "--resamples", 20, "--json").output)
    assert told["scores"]["mae"]["mean"] == pytest.approx(2.5 / 3, abs=1e-6)
    assert told["scores"]["acc2_non0"]["mean"] == 1.0
    assert (told["clusters"], told["group"], told["utterances"]) == (2, "video", 3)
    assert set(told["definitions"]) == set(told["scores"])


def test_every_metric_has_one_short_line_that_fits_a_terminal() -> None:
    briefs = [name for told in BRIEF.values() for name in told]
    assert sorted(briefs) == sorted(METRICS)
    for protocol in NAMED_PROTOCOLS.values():
        lines = definition_lines(protocol.metrics)
        assert max(map(len, lines)) <= 80
        told = [line.split()[0] for line in lines if line.startswith("  ")]
        assert sorted(told) == sorted(protocol.metrics)
    assert not [line for line in definition_lines(["uar", "accuracy"]) if not line.startswith("  ")], "one family"


def test_without_resamples_there_are_no_empty_columns(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "p.csv", **GOOD)
    some, none = (run(file, "-p", "mosi", "-a", file, "--resamples", n).output for n in (20, 0))
    assert some.count("95 % interval") == 2 and "resamples of single utterances" in " ".join(some.split())
    assert "95 % interval" not in none and none.count("no resamples were asked for") == 2
    assert " p " not in none.partition("ours minus theirs")[2]


def test_the_table_of_a_probe_can_be_scored(tmp_path: Path) -> None:
    columns: dict[str, Any] = {
        "row": ["mean"] * 2 + ["cae"] * 2,
        "seed": [0] * 4,
        "fold": ["1"] * 4,
        "id": ["a", "b"] * 2,
        "label": ["calm", "angry"] * 2,
        "prediction": ["calm", "angry", "calm", "calm"],
        "p_angry": [0.1, 0.9, 0.1, 0.2],
        "p_calm": [0.9, 0.1, 0.9, 0.8],
    }
    file = write_csv(tmp_path / "p.csv", **columns)
    told = json.loads(run(file, "--protocol", "classification", "--row", "cae", "--json").output)
    assert told["scores"]["accuracy"]["mean"] == 0.5


def test_the_numbers_of_a_probe_can_be_scored_under_their_labels_name() -> None:
    columns = {"id": ["a", "b"], "label_sentiment": [1, -1], "prediction_sentiment": [0.5, 0.5]}
    assert scored("mosi", **columns).line("acc2_has0").mean == 0.5


def test_an_utterance_without_a_group_is_a_cluster_of_its_own(tmp_path: Path) -> None:
    cells = {"id": list("abcd"), "label": [1, 0, 1, 0], "prediction": [1, 0, 0, 1], "group": ["v", "v", None, None]}
    write_predictions(tmp_path / "p.parquet", PredictionTable(cells))
    answers = answers_of(read_predictions(tmp_path / "p.parquet"), named_protocol("mustard"))
    assert len(np.unique(answers.clusters)) == 3
    assert answers.clusters[0] == answers.clusters[1]


def test_a_group_that_depends_on_the_seed_is_refused() -> None:
    columns = {"id": ["a", "a"], "label": [1, 1], "prediction": [1, 1], "seed": [1, 2], "group": ["v", "w"]}
    with pytest.raises(DataError, match="group differs between seeds"):
        scored("mosi", **columns)


def test_rows_in_another_order_give_the_same_numbers() -> None:
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {
        "id": [str(k) for k in range(40)],
        "label": rng.integers(-3, 4, 40),
        "prediction": rng.normal(0, 2, 40),
    }
    order = rng.permutation(40)
    shuffled = {name: [cells[k] for k in order] for name, cells in columns.items()}
    first, second = (resampled("mosi", 50, c) for c in (columns, shuffled))
    assert first.to_json() == second.to_json()
