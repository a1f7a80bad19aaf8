"""Reproduction on made-up files of the field's layout: what is checked, what is counted, what is said.

The files hold random numbers in the layout of the field's, far smaller; every output has to say so.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from trivium.cli import app
from trivium.errors import DataError, SpecificationError, TriviumError, UnsafeFileError
from trivium.evaluate import ReadLedger, answers_of, named_protocol, read_predictions, score_answers
from trivium.evaluate.reproduction import (
    DATASETS,
    NETWORKS,
    Reproduction,
    files,
    markdown_page,
    open_field_file,
    published_rows,
    reproduce,
    run_settings,
)
from trivium.evaluate.reproduction.settings import FieldFile, field_dataset
from trivium.objectives import objective
from trivium.predict import SentimentRegressor
from trivium.registry import load

_SMALL = {"sizes": (24, 8, 10), "columns": (6, 4, 5)}
_LF_DNN = "lf-dnn:hidden=4:recurrent_out=4:fusion=4"
_TABLE = [(dataset, network) for dataset in DATASETS for network in NETWORKS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("field")


@pytest.fixture(scope="module")
def make(folder: Path) -> Any:
    """Function that writes a small made-up file once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
        maker = import_module("synthetic_field_files")

    def made(dataset: str, *, aligned: bool = True) -> Path:
        path = folder / f"{dataset}-{'aligned' if aligned else 'unaligned'}.pkl"
        steps = (5, 5, 5) if aligned and maker.LAYOUTS[dataset].aligned_steps else (5, 9, 7)
        return path if path.exists() else maker.write_file(path, dataset, aligned=aligned, steps=steps, **_SMALL)

    return made


@pytest.fixture(scope="module")
def mosi(make: Any, folder: Path) -> Reproduction:
    return reproduce(
        "mosi",
        [make("mosi"), make("mosi", aligned=False)],
        [_LF_DNN, "ef-lstm:hidden=4:layers=1"],
        seed_count=2,
        changes={"max_epochs": 2},
        folder=folder / "run",
        ledger=ReadLedger(folder / "reads.jsonl"),
        resamples=20,
        show=False,
    )


@pytest.mark.parametrize(("dataset", "network"), _TABLE)
def test_every_entry_of_the_table_names_what_exists(dataset: str, network: str) -> None:
    settings = run_settings(dataset, network)
    assert settings.source
    SentimentRegressor().set_params(**settings.training)
    widths = {"text": 768, "audio": 33, "vision": 35}
    with torch.device("meta"):
        load("network", network)(widths, 4 if dataset == "iemocap" else 1, **settings.options)
    for request in settings.objectives:
        objective(request, label=field_dataset(dataset).label)


def test_objectives_stand_with_the_networks_of_their_papers() -> None:
    names = {n: [o.partition(":")[0] for o in run_settings("mosi", n).objectives] for n in NETWORKS}
    assert names["self-mm"] == ["unimodal_labels"]
    assert names["misa"] == ["difference", "central_moments", "feature_reconstruction"]
    assert not any(names[network] for network in NETWORKS if network not in ("self-mm", "misa"))


def test_every_published_row_says_where_it_stands_and_what_chose_it() -> None:
    rows = [row for dataset in DATASETS for row in published_rows(dataset)]
    assert len(rows) == 80  # two of MulT on IEMOCAP have four lines each
    assert all(row.source and row.selection and row.values for row in rows)
    assert {row.confidence for row in rows} == {"read in source", "from memory"}
    assert next(row.selection for row in rows if row.model == "almt").startswith("best TEST value")
    measured = {name for row in rows for name in row.values}
    known = {m.name for dataset in DATASETS for m in named_protocol(field_dataset(dataset).protocol).measures}
    assert measured <= known
    assert all(0 <= value <= 1 for row in rows for name, value in row.values.items() if "mae" not in name)


def test_a_file_is_known_by_its_hash(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make("mosi")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    known = replace(field_dataset("mosi"), files=(FieldFile("MOSI/Processed/aligned_50.pkl", digest),))
    found = open_field_file(path, known)
    assert (found.published, found.sha256) == ("MOSI/Processed/aligned_50.pkl", digest)
    assert any("byte for byte" in note for note in found.notes())
    other = open_field_file(path, field_dataset("mosi"))
    assert not other.published and any("none of the files whose SHA-256" in note for note in other.notes())
    monkeypatch.setattr(files, "field_dataset", lambda name: replace(known, name=name))
    with pytest.raises(DataError, match=r"is MOSI/Processed/aligned_50.pkl. Remedy: trivium reproduce mosi"):
        open_field_file(path, replace(field_dataset("mosei"), files=()))


def test_where_no_hash_is_published_that_is_said(make: Any) -> None:
    notes = open_field_file(make("simsv2"), field_dataset("simsv2")).notes()
    assert any("No SHA-256 of this dataset's files is published" in note for note in notes)


@pytest.mark.parametrize("name", DATASETS)
def test_what_is_no_pickle_is_told_which_file_is_wanted(name: str, folder: Path) -> None:
    (folder / "own.csv").write_text("id,label\na,1\n")
    for given in (folder / "own.csv", folder):
        with pytest.raises(DataError) as refused:
            reproduce(name, [given], show=False)
        dataset = field_dataset(name)
        assert str(given) in str(refused.value) and f"is no pickle, and reproduce {name} wants" in str(refused.value)
        assert dataset.wants in str(refused.value) and f"--protocol {dataset.protocol}" in str(refused.value)
        assert all(Path(known.name).name in dataset.wants for known in dataset.files)


def test_other_sizes_are_named(make: Any) -> None:
    found = open_field_file(make("mosi"), field_dataset("mosi"))
    assert found.sizes == {"train": 24, "valid": 8, "test": 10}
    assert any("24 / 8 / 10 utterances, the known distribution 1,284 / 229 / 686" in note for note in found.notes())


def test_oddities_of_a_file_are_named_and_stop_nothing(make: Any, folder: Path) -> None:
    whole = pickle.loads(make("mosi").read_bytes())
    whole["train"]["audio"][3, 0, 0] = -np.inf
    whole["train"]["id"][1] = whole["train"]["id"][0]
    (folder / "odd.pkl").write_bytes(pickle.dumps(whole))
    found = open_field_file(folder / "odd.pkl", field_dataset("mosi"))
    told = [note for note in found.notes() if note.startswith("Found on reading")]
    assert told[0].endswith("duplicate, 1 in 1 places: renamed with a number.")
    assert told[1].endswith("nonfinite audio, 1 in 1 places: infinite cells set to 0, NaN kept.")
    assert len(found.corpus) == 42


def test_networks_take_the_file_of_their_kind(mosi: Reproduction) -> None:
    assert {r.network: r.file.is_aligned for r in mosi.results} == {"lf-dnn": False, "ef-lstm": True}
    assert not mosi.left_out


def test_the_test_fold_is_read_once_per_seed_and_counted(mosi: Reproduction, folder: Path) -> None:
    lines = [json.loads(line) for line in (folder / "reads.jsonl").read_text().splitlines()]
    assert [line["seed"] for line in lines] == [1111, 1112, 1111, 1112]
    assert len({line["configuration"] for line in lines}) == 2
    for result in mosi.results:
        assert any("read this test fold 2 times; 2 configurations" in n for n in result.experiment.card.notes()) or (
            any("read this test fold 2 times; 1 configuration has" in n for n in result.experiment.card.notes())
        )


def test_the_numbers_are_those_of_score(mosi: Reproduction, folder: Path) -> None:
    protocol = named_protocol("mosi")
    for result in mosi.results:
        table = read_predictions(folder / "run" / result.network / "predictions.csv")
        card = score_answers(answers_of(table, protocol), protocol, times=0)
        assert [line.by_seed for line in card.lines] == [line.by_seed for line in result.experiment.card.lines]


def test_a_second_run_reads_nothing_again(mosi: Reproduction, make: Any, folder: Path) -> None:
    before = (folder / "reads.jsonl").read_text()
    again = reproduce(
        "mosi",
        [make("mosi"), make("mosi", aligned=False)],
        [_LF_DNN],
        seed_count=2,
        changes={"max_epochs": 2},
        folder=folder / "run",
        ledger=ReadLedger(folder / "reads.jsonl"),
        resamples=20,
        show=False,
    )
    assert (folder / "reads.jsonl").read_text() == before
    ours = [line.by_seed for line in again.results[0].experiment.card.lines]
    assert ours == [line.by_seed for line in mosi.results[0].experiment.card.lines]


def test_every_output_says_that_the_data_are_made_up(mosi: Reproduction, folder: Path) -> None:
    page, told = markdown_page(mosi), json.loads((folder / "run" / "reproduction.json").read_text())
    heads = [line for line in page.splitlines() if line.startswith(("# ", "## ")) and "mosi" in line]
    assert len(heads) == 3 and all("SYNTHETIC" in head for head in heads)
    assert told["synthetic"] is True and told["notes"][0].startswith("SYNTHETIC")
    for place in ("run", "run/lf-dnn", "run/ef-lstm"):
        assert "random numbers" in (folder / place / "SYNTHETIC.txt").read_text()


def test_the_page_holds_ours_theirs_and_every_definition(mosi: Reproduction) -> None:
    page = markdown_page(mosi)
    assert "| acc2_non0, % |" in page and "78.63" in page  # MMSA's lf-dnn
    assert "best TEST value over all epochs" in page  # a system that is not ours
    assert "Changed by you: max_epochs = 2, hidden = 4" in page
    for name in named_protocol("mosi").metrics:
        assert f"- `{name}`: " in page


def test_a_network_that_needs_aligned_steps_is_left_out_and_named(make: Any, folder: Path) -> None:
    found = reproduce(
        "sims",
        [make("sims")],
        [_LF_DNN, "mfn"],
        seed_count=1,
        changes={"max_epochs": 1},
        ledger=ReadLedger(folder / "sims.jsonl"),
        resamples=0,
        show=False,
    )
    assert list(found.left_out) == ["mfn"] and [r.network for r in found.results] == ["lf-dnn"]
    assert any("mfn was left out" in note for note in found.notes())
    with pytest.raises(SpecificationError, match="no network can be run"):
        reproduce("sims", [make("sims")], ["mfn"], show=False)


def test_a_network_that_cannot_be_built_is_told_before_anything_is_trained(make: Any, folder: Path) -> None:
    ledger = ReadLedger(folder / "none.jsonl")
    for request in ("mult:size=4:heads=3", "lf-dnn:fusion=wide"):
        with pytest.raises(SpecificationError, match=request.partition(":")[0] if "fusion" in request else "heads"):
            reproduce("mosi", [make("mosi")], [_LF_DNN.replace("lf-dnn", "tfn"), request], ledger=ledger, show=False)
    assert not ledger.file.exists()


def test_four_emotions_stand_beside_published_ones(make: Any, folder: Path) -> None:
    small = "mult:size=4:heads=2:layers=1:self_layers=1"
    found = reproduce(
        "iemocap",
        [make("iemocap")],
        [small],
        seed_count=1,
        changes={"max_epochs": 1},
        ledger=ReadLedger(folder / "iemocap.jsonl"),
        resamples=0,
        show=False,
    )
    names = [line.measure.name for line in found.results[0].experiment.card.lines]
    assert names[:2] == ["neutral.accuracy", "neutral.weighted_f1"] and len(names) == 8
    assert "| happy.accuracy, % |" in markdown_page(found) and "90.70" in markdown_page(found)


def test_files_that_do_not_serve_are_refused(make: Any, folder: Path) -> None:
    class Harmful:
        def __reduce__(self) -> Any:
            return os.system, ("touch harmed",)

    (folder / "harmful.pkl").write_bytes(pickle.dumps({"train": Harmful(), "text": 0, "regression_labels": 0}))
    with pytest.raises(UnsafeFileError):
        reproduce("mosi", [folder / "harmful.pkl"], show=False)
    whole = pickle.loads(make("mosi").read_bytes())
    (folder / "no-test.pkl").write_bytes(pickle.dumps({k: v for k, v in whole.items() if k != "test"}))
    with pytest.raises(DataError, match="24 / 8 / 0 utterances"):
        reproduce("mosi", [folder / "no-test.pkl"], show=False)
    for fold in whole.values():
        del fold["audio"]
    (folder / "no-audio.pkl").write_bytes(pickle.dumps(whole))
    with pytest.raises(DataError, match="lacks audio"):
        reproduce("mosi", [folder / "no-audio.pkl"], show=False)
    with pytest.raises(TriviumError, match="cannot be read"):
        reproduce("mosi", [folder / "absent.pkl"], show=False)
    with pytest.raises(SpecificationError, match="both files are aligned"):
        reproduce("mosi", [make("mosi"), make("mosi")], show=False)


def test_the_command_prints_tables_and_writes_the_page(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    words = ["reproduce", "mosi", "--data", str(make("mosi")), "--network", _LF_DNN, "--seeds", "1", "--set"]
    words += ["max_epochs=1", "--resamples", "0", "--out", str(tmp_path / "run")]
    ran = CliRunner().invoke(app, words, env={"COLUMNS": "160"}, catch_exceptions=False)
    assert ran.exit_code == 0
    for said in (
        "SYNTHETIC DATA, mosi: lf-dnn, 1 seed",
        "acc2_non0, %",
        "Chosen by: lowest validation",
        "  acc7  ",
    ):
        assert said in ran.output
    assert "95 % interval" not in ran.output
    assert "SYNTHETIC" in (tmp_path / "run" / "reproduction.md").read_text()
    told = json.loads(CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False).stdout)
    assert told["networks"][0]["scores"]["scores"]["acc7"]["mean"] is not None


def test_the_command_names_what_cannot_be_set(make: Any) -> None:
    for option, says in (("speed=3", "has no option speed"), ("max_epochs=many", "max_epochs cannot be")):
        words = ["reproduce", "mosi", "--data", str(make("mosi")), "--set", option]
        with pytest.raises(SpecificationError, match=says):
            CliRunner().invoke(app, words, catch_exceptions=False)
