"""The suite of real tasks, on synthetic files in the layouts of the releases: nothing here is real data."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from typer.testing import CliRunner

from trivium.corpus import (
    Aligned,
    Corpus,
    LabelSpecification,
    Specification,
    Stream,
    StreamSpecification,
    Utterance,
    Words,
)
from trivium.errors import DataError, SpecificationError
from trivium.evaluate.bootstrap import Interval, percentile_interval
from trivium.evaluate.late_readout import LateReadout
from trivium.evaluate.protocols import Fold
from trivium.evaluate.report import Predictions, TestReads
from trivium.evaluate.several_tests import bootstrap_p, holm
from trivium.evaluate.suite import ravdess as ravdess_reader
from trivium.evaluate.suite.cells import Bench, Cut
from trivium.evaluate.suite.contrast import PICKED_HARDER, Contrast, corrected, picked_floor, verdict_of
from trivium.evaluate.suite.declared import Division, read_suite
from trivium.evaluate.suite.folds import protocol_of
from trivium.evaluate.suite.material import Material
from trivium.evaluate.suite.mosi import letter_columns, mosi_words
from trivium.evaluate.suite.parts import Learning, PartVectors
from trivium.evaluate.suite.places import data_folder
from trivium.evaluate.suite.ravdess import LUNA_JIMENEZ
from trivium.evaluate.suite.real_life import Timed, extracted_folder, real_life
from trivium.evaluate.suite.requests import PartRequest, parsed_row
from trivium.evaluate.suite.results import SuiteResult
from trivium.evaluate.suite.runs import SuiteRun
from trivium.evaluate.suite.sequences import equal_parts, kept_sequences, padded, side_by_side, thinned
from trivium.evaluate.suite.tables import markdown_page, terminal_tables
from trivium.evaluate.suite.word_level import SENTINEL, ict_mmmo, pom
from trivium.evaluate.target import target_of

pytestmark = pytest.mark.usefixtures("few_strengths")
REAL = read_suite("real")
FLOORS, ROWS = ("majority", "missingness", "mean", "mean-std"), ("statistics", "mean-std")


def write_word_level(folder: Path, name: str, audio: int, labels: tuple[int, ...]) -> None:
    """Synthetic arrays by fold, with columns that tell the label."""
    rng = np.random.default_rng(0)
    arrays: dict[str, NDArray[np.float64]] = {}
    for fold, count in (("train", 40), ("valid", 8), ("test", 16)):
        y = rng.uniform(1, 5, (count, *labels))
        first = y.reshape(count, -1)[:, :1]
        voice = rng.standard_normal((count, 20, audio)) + first[:, :, None]
        voice[:, ::4, 0] = SENTINEL
        face = rng.standard_normal((count, 20, 5))
        face[:: 2 if labels else 5] = 0
        arrays |= {f"audio_{fold}": voice, f"video_{fold}": face, f"label_{fold}": y}
    folder.mkdir(parents=True, exist_ok=True)
    single: dict[str, Any] = {key: value.astype(np.float32) for key, value in arrays.items()}
    np.savez(folder / f"{name}.npz", **single)


def write_mosi(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    folds = ["train"] * 40 + ["valid"] * 12 + ["test"] * 20
    with (folder / "mosi_meta.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "video", "text", "label", "split_std"])
        for number, fold in enumerate(folds):
            label = float(rng.uniform(-3, 3))
            word = "GOOD" if label > 0 else "AWFUL"
            writer.writerow([f"v{number // 4}_{number % 4}", f"v{number // 4}", f"IT IS {word}", label, fold])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    write_word_level(folder / "word-level", "mmmo", 9, ())
    write_word_level(folder / "word-level", "pom", 9, (3,))
    write_mosi(folder / "mosi")
    return folder


def asked(data: Path, work: Path, **changes: Any) -> SuiteRun:
    suite = replace(REAL, floors=FLOORS, rows=ROWS, resamples=50)
    usual: dict[str, Any] = {"tracks": ("H",), "rows": ROWS, "seeds": 1, "progress": False}
    return SuiteRun(suite, data=data, work=work, **{**usual, **changes})


class Memory(BaseEstimator):  # type: ignore[misc]
    """Gives 1 for every utterance that it was fitted on, else 0: whoever shows it test rows is found out."""

    def fit(self, X: Aligned, y: object = None) -> Self:
        self.known_ = set(X.ids.tolist())
        return self

    def transform(self, X: Aligned) -> NDArray[np.float32]:
        return np.array([[float(name in self.known_)] for name in X.ids.tolist()], np.float32)


def small_material(count: int = 40) -> Material:
    rng = np.random.default_rng(0)
    label = LabelSpecification("mood", "binary", ("calm", "angry"))
    mood = np.where(np.arange(count) % 2, "calm", "angry")
    values = rng.standard_normal((count, 12, 2)).astype(np.float32) + (mood == "angry")[:, None, None]
    table = {"label.mood": mood, "group.speaker": (np.arange(count) // 4).astype(str)}
    steps = side_by_side({"audio": values}, "toy", [f"u{i}" for i in range(count)], (label,), table)
    return Material(steps, steps)


def bench_of(material: Material, folder: Path | None = None, **given: Any) -> Bench:
    vectors = PartVectors(material, REAL.parts, {}, given, "speaker", folder)
    return Bench(vectors, target_of(material.steps, "mood"), material.steps.group("speaker"), folder, TestReads())


def speaker_folds(material: Material) -> tuple[Fold, ...]:
    return protocol_of(Division("folds", "grouped", 5, "speaker"), material.steps, "speaker", [0]).folds


def test_a_representation_is_fitted_on_the_training_rows_of_its_fold_alone() -> None:
    material = small_material()
    bench = bench_of(material, memory=Memory())
    for fold in speaker_folds(material):
        vectors = bench.vectors.of(PartRequest("memory"), 0, Learning(fold.train, fold.valid))[:, 0]
        assert not vectors[fold.test].any()
        assert vectors[fold.train].all()


def test_a_representation_that_memorises_scores_no_more_than_chance() -> None:
    material = small_material()
    bench = bench_of(material, memory=Memory())
    truth = material.steps.label("mood")
    for fold in speaker_folds(material):
        cell = bench.cell(parsed_row("memory"), 0, fold, material.steps.group("speaker"))
        said = bench.target.classes[int(cell.output[0, 0].argmax())]
        assert np.allclose(cell.output[0], cell.output[0, :1])  # nothing tells its test rows apart
        assert np.mean(truth[fold.test] == said) == 0.5


def test_changed_labels_of_test_rows_change_no_answer() -> None:
    material = small_material()
    fold = speaker_folds(material)[0]
    table = dict(material.steps.table)
    table["label.mood"] = table["label.mood"].copy()
    table["label.mood"][fold.test] = "calm"
    steps = replace(material.steps, table=table)
    answers = [
        bench_of(one).cell(parsed_row("mean+fisher-vectors"), 0, fold, one.steps.group("speaker"))
        for one in (material, Material(steps, steps))
    ]
    np.testing.assert_array_equal(answers[0].output, answers[1].output)
    assert answers[0].validation == answers[1].validation


def test_a_transductive_row_is_centred_by_speaker_and_named_so() -> None:
    material = small_material()
    fold, clusters = speaker_folds(material)[0], material.steps.group("speaker")
    row = parsed_row("transductive mean")
    plain = bench_of(material).cell(parsed_row("mean"), 0, fold, clusters)
    centred = bench_of(material).cell(row, 0, fold, clusters)
    assert row.text.startswith("transductive") and not np.allclose(plain.output, centred.output)


def two_modalities() -> Material:
    made = small_material()
    face = np.random.default_rng(1).standard_normal((len(made), 12, 3)).astype(np.float32)
    table = dict(made.steps.table)
    parts = {"audio": made.steps.values, "vision": face}
    steps = side_by_side(parts, "toy", made.steps.ids.tolist(), made.steps.specification.labels, table)
    fixed = {"functionals": {"audio": face[:, 0], "layer1": face[:, 1]}, "metadata": {"": face[:, 2]}}
    return Material(steps, steps, fixed)


def test_a_row_that_is_read_late_has_a_block_for_every_modality() -> None:
    material = two_modalities()
    bench, clusters = bench_of(material), material.steps.group("speaker")
    bench.regression = "ridge"
    fold = speaker_folds(material)[0]
    said = bench.cell(parsed_row("mean@late"), 0, fold, clusters).output[0]
    means = [material.steps.select([name]).values.mean(axis=1) for name in ("audio", "vision")]
    x, learned = np.concatenate(means, axis=1), np.concatenate([fold.train, fold.valid])
    valid = np.arange(len(fold.train), len(learned))
    readout = LateReadout({"audio": 2, "vision": 3}, regression="ridge")
    readout.fit(x[learned], material.steps.label("mood")[learned], groups=clusters[learned], valid=valid)
    np.testing.assert_allclose(said, readout.predict_proba(x[fold.test]), atol=1e-5)
    assert not np.allclose(said, bench.cell(parsed_row("mean"), 0, fold, clusters).output[0], atol=1e-3)


@pytest.mark.parametrize(
    ("part", "blocks"),
    [
        (PartRequest("functionals"), ["functionals[audio]", "functionals[layer1]"]),
        (PartRequest("functionals", ("layer1",)), ["functionals[layer1]"]),
        (PartRequest("statistics"), ["statistics[audio]", "statistics[vision]"]),
        (PartRequest("metadata"), ["metadata"]),
        (PartRequest("majority"), ["majority"]),
    ],
)
def test_blocks_are_the_modalities_that_a_part_tells_of(part: PartRequest, blocks: list[str]) -> None:
    assert [block.text for block in bench_of(two_modalities()).vectors.by_modality(part)] == blocks


def test_another_regression_takes_no_cell_of_this_one(tmp_path: Path) -> None:
    material = small_material()
    fold, clusters = speaker_folds(material)[0], material.steps.group("speaker")
    for regression in ("logistic", "ridge"):
        bench = bench_of(material, tmp_path)
        bench.regression = regression
        bench.cell(parsed_row("mean"), 0, fold, clusters)
    assert len(list(tmp_path.glob("*.npz"))) == 2


def test_fewer_labels_are_drawn_with_every_class_and_no_test_row() -> None:
    material = small_material()
    fold, clusters = speaker_folds(material)[0], material.steps.group("speaker")
    cell = bench_of(material).cell(parsed_row("mean"), 0, fold, clusters, Cut(labels=2, draws=6))
    assert cell.output.shape == (6, len(fold.test), 2)
    assert (cell.output > 0).all()  # both classes were in every draw of two
    assert len({tuple(draw.ravel()) for draw in cell.output.round(6)}) > 1


def test_a_share_of_unlabelled_data_keeps_whole_clusters() -> None:
    material = small_material()
    fold, clusters = speaker_folds(material)[0], material.steps.group("speaker")
    seen: list[set[str]] = []

    class Watching(Memory):
        def fit(self, X: Aligned, y: object = None) -> Self:
            seen.append(set(X.ids.tolist()))
            return super().fit(X)

    bench_of(material, watching=Watching()).cell(parsed_row("watching"), 0, fold, clusters, Cut(unlabelled=0.5))
    kept = np.isin(material.steps.ids, sorted(seen[0]))
    assert kept.sum() == 16 and not kept[fold.test].any()
    assert set(clusters[kept]).isdisjoint(clusters[~kept])


def test_a_second_run_reads_its_cells_and_gives_the_same(data: Path, tmp_path: Path) -> None:
    run = asked(data, tmp_path, tasks=("ict-mmmo",), out=tmp_path / "run")
    first = run.run()
    reads = (tmp_path / "run" / "test_reads.jsonl").read_text()
    second = run.run()
    assert (tmp_path / "run" / "test_reads.jsonl").read_text() == reads  # no test fold was read again
    assert first.to_json()["tracks"] == second.to_json()["tracks"]


def test_a_killed_run_goes_on_with_the_cells_it_has(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Bench._answers
    count = 0

    def stops(self: Bench, *given: Any) -> Any:
        nonlocal count
        count += 1
        if count > 7:
            raise KeyboardInterrupt
        return made(self, *given)

    run = asked(data, tmp_path, tasks=("ict-mmmo",), first_division=True)
    monkeypatch.setattr(Bench, "_answers", stops)
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert len(list((tmp_path / "cells").glob("*.npz"))) == 7
    count = -1000
    run.run()
    assert count == -1000 + 5 * 6 - 7 - 5  # mean-std stands among floors and rows and is measured once


def test_tables_of_what_was_kept_compute_nothing_and_name_the_rest(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual: dict[str, Any] = {"tasks": ("ict-mmmo",), "first_division": True}
    first = asked(data, tmp_path, leave_out=("missingness",), rows=("statistics",), **usual).run()

    def fails(*given: Any) -> Any:
        raise AssertionError("a test fold was read")

    monkeypatch.setattr(Bench, "_answers", fails)
    found = asked(data, tmp_path, kept=True, rows=("statistics", "fisher-vectors"), **usual).run()
    assert found.tasks[0].divisions[0].not_run == ("missingness", "fisher-vectors")
    assert found.tasks[0].contrast == first.tasks[0].contrast
    assert "not run yet: `missingness`, `fisher-vectors`" in markdown_page(found)
    other = asked(data, tmp_path, kept=True, rows=("fisher-vectors",), **usual).run()
    assert not other.tasks and "fisher-vectors or its floors have not been run" in other.skipped[0].why


def test_other_data_take_no_cell_of_these(tmp_path: Path) -> None:
    material, other = small_material(), small_material()
    steps = replace(other.steps, values=other.steps.values + 1)
    fold, clusters = speaker_folds(material)[0], material.steps.group("speaker")
    for one in (material, Material(steps, steps)):
        bench_of(one, tmp_path).cell(parsed_row("mean"), 0, fold, clusters)
    assert len(list(tmp_path.glob("*.npz"))) == 2


def test_tasks_without_data_or_track_are_named_and_skipped(data: Path, tmp_path: Path) -> None:
    result = asked(data, tmp_path, tasks=("ict-mmmo", "ravdess"), tracks=("F", "H"), first_division=True).run()
    why = {(one.task, one.track): one.why for one in result.skipped}
    assert "no sound, no picture" in why["ict-mmmo", "F"]
    assert "ravdess/meta.csv" in why["ravdess", "H"] and "comes with RAVDESS" in why["ravdess", "H"]
    assert [one.task.name for one in result.tasks] == ["ict-mmmo"]
    assert "not measured here" in markdown_page(result)


def test_a_set_that_cannot_be_read_costs_only_itself(data: Path, tmp_path: Path) -> None:
    (tmp_path / "mosi").mkdir()
    (tmp_path / "mosi" / "mosi_meta.csv").write_text("id,label\na,1\n")
    (tmp_path / "word-level").symlink_to(data / "word-level")
    result = asked(tmp_path, tmp_path / "work", tasks=("ict-mmmo", "mosi"), first_division=True).run()
    assert [one.task.name for one in result.tasks] == ["ict-mmmo"]
    assert "has no column video, text, split_std" in result.skipped[0].why


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"tracks": ("Z",)}, "no track Z"),
        ({"tasks": ("sims",)}, "no task 'sims'"),
        ({"leave_out": ("shine",)}, "no row 'shine'"),
        ({"labels": (1,)}, "at least 2"),
        ({"unlabelled": (0.0,)}, "between 0 and 1"),
        ({"rows": ("mean+bogus",)}, "bogus"),
    ],
)
def test_what_cannot_be_asked_is_told_before_anything_runs(
    data: Path, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(SpecificationError, match=told):
        asked(data, tmp_path, **changes)


def test_a_row_that_is_a_floor_already_is_no_representation(data: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecificationError, match="left without a representation"):
        asked(data, tmp_path, tasks=("ict-mmmo",), rows=("mean",)).run()


def test_no_folder_of_data_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRIVIUM_DATA", raising=False)
    with pytest.raises(DataError, match="TRIVIUM_DATA, or name the folder"):
        data_folder()
    with pytest.raises(DataError, match="is no folder of real data"):
        data_folder(tmp_path / "none")


def test_sentinels_of_the_voice_are_not_seen(data: Path, tmp_path: Path) -> None:
    steps = ict_mmmo(data, tmp_path, "H").steps
    assert steps.shape == (64, 20, 14)
    audio = steps.values[:, :, :9]
    assert np.isnan(audio[:, ::4, 0]).all() and np.isfinite(audio[:, 1::4, 0]).all()
    assert not steps.cell_mask[:, :, 1].all()  # faces that are zero throughout are missing


def test_all_attributes_are_measured_at_once(data: Path, tmp_path: Path) -> None:
    assert len(pom(data, tmp_path, "H").steps.specification.labels) == 3
    result = asked(data, tmp_path, tasks=("pom",)).run()
    assert result.tasks[0].divisions[0].metrics[0] == "mean_r"


def test_words_alone_are_read_with_their_split(data: Path, tmp_path: Path) -> None:
    material = mosi_words(data, tmp_path, "H")
    assert material.steps.shape == (72, 40, 256) and material.frames.shape == (72, 3, 256)
    result = asked(data, tmp_path, tasks=("mosi",)).run()
    division = result.tasks[0].divisions[0]
    assert division.metrics == ("r", "mae", "acc2_has0", "acc2_non0")
    row = division.row("statistics")
    assert row is not None and row.mean("r") > 0.8  # letters tell these two words apart
    assert result.tasks[0].facts["clusters"] == 18


def test_what_a_word_looks_like_depends_on_its_letters_alone() -> None:
    first, again, other = letter_columns(["good", "good", "bad"])
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def write_ravdess(folder: Path) -> None:
    """Names of clips without sound, and action units in an order of their own."""
    (folder / "clips").mkdir(parents=True)
    stems = [f"03-01-0{1 + number % 2}-01-0{1 + number % 2}-01-{1 + number // 2:02d}" for number in range(8)]
    with (folder / "meta.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["stem", "emotion_name", "statement", "actor"])
        for stem in stems:
            (folder / "clips" / f"{stem}.flac").touch()
            writer.writerow([stem, "calm" if "-02-" in stem[5:9] else "sad", stem[13:14], stem[-2:]])
    units = np.arange(8.0)[:, None] + np.zeros((8, 35))
    np.savez(folder / "ravdess_av_features.npz", ids=[f"01{stem[2:]}" for stem in stems[::-1]], visual=units[::-1])


def test_layers_of_the_recogniser_are_functionals_beside_voice_states_and_face(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ravdess(tmp_path / "ravdess")
    widths = {"voice": (30, 61), "states": (15, 384), "layers": (2, 4 * 384)}

    def columns(files: Any, kind: str, folder: Path, *, show: bool) -> list[NDArray[np.float32]]:
        shape = widths[kind]
        return [np.arange(np.prod(shape)).reshape(shape).astype(np.float32) + n for n in range(len(files))]

    monkeypatch.setattr(ravdess_reader, "sound_columns", columns)
    material = ravdess_reader.ravdess_units(tmp_path, tmp_path, "F", show=False)
    assert set(material.modalities) == {"audio", "speech", "vision"}
    layers = material.fixed["functionals"]
    assert [name for name in layers if name.startswith("layer")] == ["layer1", "layer2", "layer3", "layer4"]
    # the third layer's means, then its spreads, of the first clip
    assert layers["layer3"][0, [0, 383, 384, 767]].tolist() == [768, 1151, 4 * 384 + 768, 4 * 384 + 1151]
    stems = [row["stem"] for row in csv.DictReader((tmp_path / "ravdess" / "meta.csv").open())]
    order = [float(stems.index(str(name))) for name in material.steps.ids]
    assert layers["vision"][:, 0].tolist() == order  # joined by name
    assert "layer1" not in ravdess_reader.ravdess(tmp_path, tmp_path, "H", show=False).fixed["functionals"]


def test_actors_of_the_published_folds_are_all_24_once() -> None:
    assert sorted(actor for fold in LUNA_JIMENEZ for actor in fold) == list(range(1, 25))


def test_leaving_a_modality_out_leaves_it_out_everywhere(data: Path, tmp_path: Path) -> None:
    run = asked(data, tmp_path, tasks=("ict-mmmo",), modalities=("vision",), first_division=True)
    assert run.run().tasks[0].facts["columns"] == {"vision": 5}
    with pytest.raises(SpecificationError, match="none of the modalities text"):
        asked(data, tmp_path, tasks=("ict-mmmo",), modalities=("text",)).run()


def test_ablations_are_told_by_row_and_cut(data: Path, tmp_path: Path) -> None:
    run = asked(
        data, tmp_path, tasks=("ict-mmmo",), labels=(10,), draws=4, unlabelled=(0.5,), first_division=True,
        leave_out=("missingness",),
    )  # fmt: skip
    result = run.run()
    points = {(p.row, p.cut): p for p in result.tasks[0].ablations}
    assert points["mean", "10 labels"].count == 4 and points["mean", "all"].count == 1
    assert points["mean", "10 labels"].mean < points["mean", "all"].mean
    assert ("statistics", "50% unlabelled") in points
    assert "10 labels" in markdown_page(result)


@pytest.fixture
def twice_compared(data: Path, tmp_path: Path) -> SuiteResult:
    twins = {"unlearned": "mean@late", "untrained": "mean+untrained-fisher@late"}
    task = replace(REAL.task("ict-mmmo"), primary={"H": "mean+fisher-vectors@late"}, twins={"H": twins})
    suite = replace(REAL, tasks=(task,), floors=FLOORS, rows=ROWS, harder=("untrained-fisher",), resamples=50)
    return SuiteRun(suite, data=data, work=tmp_path, tracks=("H",), seeds=1, progress=False).run()


def test_what_learning_adds_is_told_beside_both_twins_and_counts_for_nothing(twice_compared: SuiteResult) -> None:
    one = twice_compared.tasks[0]
    scores = {row.name: row.mean("r") for row in one.divisions[0].rows}
    assert list(one.contrasts.learned) == ["unlearned", "untrained"]
    for name, twin in (("unlearned", "mean@late"), ("untrained", "mean+untrained-fisher@late")):
        assert one.contrasts.learned[name].value == pytest.approx(scores["mean+fisher-vectors@late"] - scores[twin])
        assert one.to_json()["learned"][name]["picked"] == {twin: 0}
    assert "What the learned part adds" in markdown_page(twice_compared)
    assert twice_compared.verdict("H") == verdict_of({"ict-mmmo": one.contrast})


def test_harder_floors_are_picked_from_floors_late_ones_and_twins(twice_compared: SuiteResult) -> None:
    one = twice_compared.tasks[0]
    harder = one.contrasts.harder
    assert harder is not None
    known = {*FLOORS, "untrained-fisher", "mean@late", "mean+untrained-fisher@late"}
    assert set(harder.picked) <= known and sum(harder.picked.values()) == 5
    scores = {row.name: row.mean("r") for row in one.divisions[0].rows}
    assert harder.value == pytest.approx(scores["mean+fisher-vectors@late"] - scores[PICKED_HARDER])
    assert twice_compared.verdict("H", harder=True) == verdict_of({"ict-mmmo": harder})
    assert "Beside harder floors" in markdown_page(twice_compared)


def test_other_rows_than_the_declared_have_no_twins_and_no_harder_floors(data: Path, tmp_path: Path) -> None:
    result = asked(data, tmp_path, tasks=("mosi",), rows=("mean[text]",)).run()
    assert result.tasks[0].contrasts.harder is None
    assert not result.tasks[0].contrasts.learned
    assert "Beside harder floors" not in markdown_page(result)


def test_a_contrast_by_seed_stands_below_the_division_that_counts(data: Path, tmp_path: Path) -> None:
    page = markdown_page(asked(data, tmp_path, tasks=("ict-mmmo",), rows=("statistics",), seeds=2).run())
    assert page.count("Contrast by seed: ") == 1
    assert page.index("**five folds over all clips") < page.index("Contrast by seed: ") < page.index("**official test")


def test_tables_are_readable_in_100_columns(data: Path, tmp_path: Path) -> None:
    from rich.console import Console

    result = asked(data, tmp_path, tasks=("mosi",), rows=("mean-std+statistics", "mean[text]")).run()
    console = Console(width=100, record=True, file=(tmp_path / "x").open("w"))
    for one in terminal_tables(result):
        console.print(one)
    text = console.export_text()
    assert "Not reached" in text or "Reached" in text
    assert "mean[text]" in text  # brackets are no markup
    assert "…" not in text and max(len(line.rstrip()) for line in text.splitlines() if "│" not in line) <= 100


def two_floors() -> tuple[dict[str, Predictions], dict[str, dict[tuple[int, str], float]]]:
    folds = np.array([["1", "1", "2"]])
    floors = {name: Predictions((0,), np.full((1, 3, 1), value), folds) for name, value in (("a", 1.0), ("b", 2.0))}
    return floors, {"a": {(0, "1"): 0.3, (0, "2"): 0.1}, "b": {(0, "1"): 0.2, (0, "2"): 0.2}}


def test_validation_picks_a_floor_in_every_fold_by_itself() -> None:
    floors, validation = two_floors()
    found, picked = picked_floor(floors, validation, [0, 1])
    assert found.output[:, :, 0].tolist() == [[1, 1, 2]] * 2 and picked == {"a": 2, "b": 2}


def test_a_floor_without_a_score_is_picked_only_where_there_is_no_other() -> None:
    floors, validation = two_floors()
    validation["a"] = {(0, "1"): float("nan"), (0, "2"): float("nan")}
    assert picked_floor(floors, validation, [0])[1] == {"b": 2}
    with pytest.raises(DataError, match="no floor"):
        picked_floor({}, {}, [0])


def test_holm_gives_what_one_gets_by_hand() -> None:
    # sorted .01 .02 .03 .04 .05, times 5 4 3 2 1, never falling
    assert holm([0.04, 0.01, 0.05, 0.03, 0.02]) == pytest.approx([0.09, 0.05, 0.09, 0.09, 0.08])
    assert holm([0.9, 0.6]) == [1.0, 1.0] and holm([]) == []
    with pytest.raises(DataError, match="probabilities"):
        holm([1.2])


def test_p_is_below_the_level_where_the_interval_leaves_out_zero() -> None:
    rng = np.random.default_rng(0)
    for centre in np.linspace(-4, 4, 17):
        drawn = rng.normal(centre, 1, 4000)
        interval = percentile_interval(drawn)
        if abs(centre) < 1.7 or abs(centre) > 2.2:
            assert (bootstrap_p(drawn) < 0.05) == interval.excludes_zero


def contrast(value: float, p: float) -> Contrast:
    return Contrast("ours", "r", value, Interval(value - 0.1, value + 0.1), p, p, (value,), {"mean": 1})


def test_the_bar_wants_two_better_and_none_worse_after_correction() -> None:
    good = {"a": contrast(0.1, 0.001), "b": contrast(0.1, 0.004), "c": contrast(0.0, 0.9)}
    assert verdict_of(corrected(good, list(good))).reached
    assert not verdict_of(corrected({**good, "c": contrast(-0.1, 0.001)}, list(good))).reached
    told = verdict_of(corrected(good, list(good)), ["d"]).text
    assert told == "Reached so far: better on a, b; undecided on c; not measured: d."
    weak = {name: contrast(0.1, 0.02) for name in "abc"}
    assert not verdict_of(corrected(weak, list(weak))).reached  # .02 times three
    beside = corrected({**good, "d": contrast(0.1, 0.03)}, list(good))
    assert beside["d"].corrected == 0.03 and beside["a"].corrected == pytest.approx(0.003)


@pytest.mark.parametrize(
    ("row", "told"),
    [("mean++flatten", "is no row"), ("mean+mean", "twice"), ("mean@sharp", "no readout"), ("mean[", "is no row")],
)
def test_a_row_that_cannot_be_read_is_told(row: str, told: str) -> None:
    with pytest.raises(SpecificationError, match=told):
        parsed_row(row)


def test_a_part_that_does_not_exist_is_told_with_those_that_do() -> None:
    with pytest.raises(SpecificationError, match=r"no part 'shine'.*masked-steps.*untrained"):
        bench_of(small_material()).vectors.made("shine")


def test_a_suite_that_does_not_exist_or_is_malformed_is_told(tmp_path: Path) -> None:
    with pytest.raises(SpecificationError, match="no suite 'unreal'"):
        read_suite("unreal")
    (tmp_path / "own.toml").write_text("title = 3")
    with pytest.raises(SpecificationError, match="is no declaration"):
        read_suite(tmp_path / "own.toml")


def test_kept_sequences_are_made_once_and_a_block_at_a_time(tmp_path: Path) -> None:
    made: list[int] = []

    def make(number: int) -> dict[str, NDArray[np.float32]]:
        if number == 61 and 61 not in made:
            made.append(number)
            raise KeyboardInterrupt
        made.append(number)
        return {"x": np.full((number % 3 + 1, 2), number, np.float32)}

    names = [str(number) for number in range(62)]
    with pytest.raises(KeyboardInterrupt):
        kept_sequences(names, "k", make, tmp_path, title="x", show=False)
    found = kept_sequences(names, "k", make, tmp_path, title="x", show=False)["x"]
    assert made.count(0) == 1 and made.count(60) == 2
    assert [len(one) for one in found] == [number % 3 + 1 for number in range(62)]


def test_parts_thinning_and_padding_agree_with_means_by_hand() -> None:
    steps = np.array([[1.0], [np.nan], [3.0], [5.0], [7.0]], np.float32)
    np.testing.assert_allclose(equal_parts(steps, 2), [[2.0], [6.0]])
    np.testing.assert_allclose(thinned(steps, 2), [[1.0], [4.0], [7.0]])
    assert np.isnan(equal_parts(steps[:1], 2)[1]).all()
    assert padded([steps, steps[:2]], 3).shape == (2, 3, 1)


def test_timed_steps_are_spread_over_equal_stretches() -> None:
    timed = Timed(np.array([[1.0], [3.0], [9.0]], np.float32), np.array([0.1, 0.4, 1.9]), 2.0)
    found = timed.spread_over(4)
    np.testing.assert_allclose(found[[0, 3], 0], [2.0, 9.0])
    assert np.isnan(found[1:3]).all()


def test_real_life_clips_have_no_states_of_the_recogniser_among_columns_made_by_formula(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    seconds = np.stack([np.arange(30.0), np.arange(1, 31.0)], axis=1) / 10
    streams = [
        StreamSpecification.positional(name, "toy", width, clock="seconds")
        for name, width in (("text", 4), ("audio", 61), ("audio_whisper", 5), ("vision", 3))
    ]
    clips = [
        Utterance(
            f"clip{i}",
            {s.modality: Stream(rng.standard_normal((30, s.dim)).astype(np.float32), s, seconds) for s in streams},
            Words(("so", "it", "was"), seconds[:3]),
        )
        for i in range(2)
    ]
    home = tmp_path / "data" / "real-life-trial"
    made = extracted_folder(home, tmp_path / "work")
    Corpus.from_utterances(clips, Specification(tuple(streams))).save(made / "corpus")
    home.mkdir(parents=True)
    rows = "".join(f"clip{i},{verdict},3,30,4,4,9\n" for i, verdict in enumerate(("deceptive", "truthful")))
    (home / "meta.csv").write_text("id,label,dur,fps,w,h,sr\n" + rows)
    (home / "speakers.csv").write_text("clip,speaker\nclip0,a\nclip1,b\n")
    found = real_life(tmp_path / "data", tmp_path / "work", "H", show=False)
    assert found.modalities == ("text", "audio", "vision")
    assert found.steps.specification.stream("audio").dim == 61


@pytest.fixture
def runner(data: Path, tmp_path: Path) -> Iterator[Any]:
    from trivium.cli import app

    def run(*words: str) -> Any:
        given = ["probe", "--suite", "real", "--data", str(data), "--work", str(tmp_path / "work"), *words]
        return CliRunner().invoke(app, given)

    yield run


def test_the_command_prints_tables_and_writes_json_and_pages(runner: Any, tmp_path: Path) -> None:
    words = ["--track", "H", "--task", "ict-mmmo", "-r", "statistics", "--seeds", "1", "--resamples", "20"]
    left = [f"--leave-out={name}" for name in REAL.floors if name not in ("mean", "flatten")]
    out, html = tmp_path / "run", tmp_path / "suite.html"
    shown = runner(*words, *left, "--out", str(out), "--html", str(html))
    assert shown.exit_code == 0, shown.output
    assert "Track H" in shown.output and "minus picked floor" in shown.output
    told = json.loads((out / "suite.json").read_text())
    assert told["settings"]["declared"] is False and "ict-mmmo" in told["tracks"]["H"]["tasks"]
    assert "not the declared contrasts" in (out / "suite.md").read_text()
    assert html.read_text().count("ICT-MMMO") >= 1
    printed = json.loads(runner(*words, *left, "--json").output)["tracks"]["H"]["tasks"]["ict-mmmo"]
    assert printed["divisions"] == told["tracks"]["H"]["tasks"]["ict-mmmo"]["divisions"]


def test_a_quick_look_needs_no_long_row(runner: Any) -> None:
    shown = runner("--quick")
    assert shown.exit_code == 0, shown.output
    assert "ravdess is skipped" in shown.output and "masked" not in shown.output


def test_a_run_in_which_nothing_is_measured_does_not_look_like_a_good_one(runner: Any) -> None:
    shown = runner("--task", "ravdess", "--track", "H")
    assert shown.exit_code == 1, shown.output
    assert "ravdess is skipped" in shown.output and "nothing was measured" in shown.output


def test_a_suite_takes_no_corpus_of_its_own_and_a_probe_no_less(runner: Any) -> None:
    from trivium.cli import app

    assert "leave out --label" in runner("--label", "x").output.replace("\n", " ").replace("│ ", "")
    assert CliRunner().invoke(app, ["probe", "--label", "x"]).exit_code == 2


def test_validation_rows_of_a_split_may_join_the_training_rows(data: Path, tmp_path: Path) -> None:
    material = mosi_words(data, tmp_path, "H", show=False)
    split = {"folds": "given", "split": "standard"}
    whole = protocol_of(Division("a", **split), material.steps, "video", (0,)).folds[0]  # type: ignore[arg-type]
    inner = protocol_of(Division("b", inner=True, **split), material.steps, "video", (0,)).folds[0]  # type: ignore[arg-type]
    assert len(whole.valid) and not len(inner.valid)
    assert inner.train.tolist() == [*whole.train, *whole.valid]
    assert inner.test.tolist() == whole.test.tolist()


def test_rows_of_the_contrast_are_read_with_every_seed_and_others_with_the_first() -> None:
    material = small_material()
    ours, other, plain = map(parsed_row, ("fisher-vectors", "untrained-fisher", "mean"))
    bench = bench_of(material)
    bench.contrasted = frozenset((ours, plain))
    fixed = protocol_of(Division("a", "grouped", 2, group="speaker"), material.steps, "speaker", (0, 1, 2))
    assert [bench.seeds_of(row, fixed, (0, 1, 2)) for row in (ours, other, plain)] == [(0, 1, 2), (0,), (0,)]
    anew = protocol_of(Division("b", "repeated", 2), material.steps, "speaker", (0, 1, 2))
    assert bench.seeds_of(other, anew, (0, 1, 2)) == (0, 1, 2)
