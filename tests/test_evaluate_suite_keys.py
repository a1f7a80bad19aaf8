"""Names of what the bench keeps: whatever changes a number changes them. The data are synthetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from trivium.corpus import Aligned, LabelSpecification, StreamSpecification
from trivium.evaluate.protocols import Fold
from trivium.evaluate.report import TestReads
from trivium.evaluate.suite import cells as cells_module
from trivium.evaluate.suite import parts as parts_module
from trivium.evaluate.suite import real_life as real_life_module
from trivium.evaluate.suite import sound_columns as sound_module
from trivium.evaluate.suite.cells import EVERYTHING, Bench, Cut
from trivium.evaluate.suite.declared import Division, read_suite
from trivium.evaluate.suite.folds import protocol_of
from trivium.evaluate.suite.material import Material
from trivium.evaluate.suite.parts import Learning, PartVectors
from trivium.evaluate.suite.requests import PartRequest, parsed_row
from trivium.evaluate.suite.sequences import side_by_side
from trivium.evaluate.target import target_of
from trivium.represent import Flatten, Statistics

pytestmark = pytest.mark.usefixtures("few_strengths")
REAL = read_suite("real")
DIVISION = Division("folds", "grouped", 5, "speaker")
MEAN = parsed_row("mean")


def small_material(count: int = 40) -> Material:
    rng = np.random.default_rng(0)
    label = LabelSpecification("mood", "binary", ("calm", "angry"))
    mood = np.where(np.arange(count) % 2, "calm", "angry")
    values = rng.standard_normal((count, 6, 2)).astype(np.float32)
    table = {"label.mood": mood, "group.speaker": (np.arange(count) // 4).astype(str)}
    steps = side_by_side({"audio": values}, "toy", [f"u{i}" for i in range(count)], (label,), table)
    numbers = np.arange(count, dtype=np.float64)[:, None]
    return Material(steps, steps, {"functionals": {"layer1": numbers, "layer2": numbers + 1}})


def bench_of(material: Material, folder: Path | None = None, **given: Any) -> Bench:
    vectors = PartVectors(material, REAL.parts, {}, given, "speaker", folder)
    return Bench(vectors, target_of(material.steps, "mood"), material.steps.group("speaker"), folder, TestReads())


def folds_of(material: Material) -> tuple[Fold, ...]:
    return protocol_of(DIVISION, material.steps, "speaker", [0]).folds


def key_of(bench: Bench, fold: Fold | None = None, seed: int = 0, clusters: NDArray[Any] | None = None) -> str:
    material = bench.vectors.material
    fold = folds_of(material)[0] if fold is None else fold
    return bench._key(MEAN, seed, fold, bench.speakers if clusters is None else clusters, EVERYTHING)


def test_a_cell_is_named_by_each_of_its_kinds_of_rows_its_seed_and_its_clusters() -> None:
    bench = bench_of(small_material())
    fold = folds_of(bench.vectors.material)[0]
    clusters = bench.speakers
    keys = [
        key_of(bench, fold),
        key_of(bench, replace(fold, test=fold.test[1:])),
        key_of(bench, replace(fold, train=fold.train[1:])),
        key_of(bench, replace(fold, valid=fold.test[:1])),
        key_of(bench, fold, seed=1),
        key_of(bench, fold, clusters=np.arange(len(clusters))),
    ]
    assert len(set(keys)) == len(keys)
    assert key_of(bench, fold, clusters=clusters.astype("<U40")) == keys[0]


def test_a_cell_is_named_by_how_much_takes_part() -> None:
    bench = bench_of(small_material())
    fold = folds_of(bench.vectors.material)[0]
    labels = [Cut(labels=10), Cut(labels=20), Cut(labels=10, draws=5)]
    shares = [Cut(unlabelled=0.5), Cut(unlabelled=0.25), Cut(labels=10, unlabelled=0.5)]
    keys = [bench._key(MEAN, 0, fold, bench.speakers, cut) for cut in (EVERYTHING, *labels, *shares)]
    assert len(set(keys)) == len(keys)
    assert bench._key(MEAN, 0, fold, bench.speakers, Cut(draws=5)) == keys[0]  # nothing is drawn


def test_a_cell_is_named_by_the_code_of_the_bench_and_of_its_readout(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, asked = bench_of(small_material()), []

    def told(*modules: str) -> str:
        asked.append(modules)
        return "one"

    before = key_of(bench)
    monkeypatch.setattr(cells_module, "source_digest", told)
    one = key_of(bench)
    monkeypatch.setattr(cells_module, "source_digest", lambda *modules: "other")
    assert len({before, one, key_of(bench)}) == 3
    assert asked == [("trivium.evaluate.suite.cells", "trivium.evaluate.readout")]


def test_a_cell_is_named_by_the_code_of_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = bench_of(small_material())
    before = key_of(bench)
    monkeypatch.setattr(cells_module, "estimator_digest", lambda estimator: "other")
    assert key_of(bench) != before


@pytest.mark.parametrize("name", ["estimator_digest", "module_digest"])
@pytest.mark.parametrize("part", ["mean", "fisher-vectors"])
def test_vectors_are_named_by_the_code_that_made_them(monkeypatch: pytest.MonkeyPatch, name: str, part: str) -> None:
    vectors = bench_of(small_material()).vectors
    estimator, learning = vectors.made(part)[1], Learning(np.arange(8))
    before = vectors._key(PartRequest(part), estimator, learning)
    monkeypatch.setattr(parts_module, name, lambda one: "other")
    assert vectors._key(PartRequest(part), estimator, learning) != before


def of_steps(change: Callable[[Aligned], Aligned]) -> Callable[[Material], Material]:
    return lambda made: replace(made, steps=change(made.steps))


def of_frames(change: Callable[[Aligned], Aligned]) -> Callable[[Material], Material]:
    return lambda made: replace(made, frames=change(made.frames))


def renamed(made: Material, names: tuple[str, str]) -> Material:
    return replace(made, fixed={"functionals": dict(zip(names, made.fixed["functionals"].values(), strict=True))})


def other_labels(steps: Aligned) -> Aligned:
    return replace(steps, table=dict(steps.table) | {"label.mood": steps.table["label.mood"][::-1].copy()})


def renamed_group(steps: Aligned) -> Aligned:
    table = dict(steps.table)
    return replace(steps, table=table | {"group.video": table.pop("group.speaker")})


def other_source(steps: Aligned) -> Aligned:
    first = steps.specification.streams[0]
    stream = StreamSpecification(first.modality, ("loudness", "pitch"), clock=first.clock)
    return replace(steps, specification=replace(steps.specification, streams=(stream,)))


CHANGES: dict[str, Callable[[Material], Material]] = {
    "values": of_steps(lambda steps: replace(steps, values=steps.values + 1)),
    "mask": of_steps(lambda steps: replace(steps, mask=~steps.mask)),
    "seen cells": of_steps(lambda steps: replace(steps, cell_mask=~steps.cell_mask)),
    "ids": of_steps(lambda steps: replace(steps, ids=steps.ids[::-1].copy())),
    "words": of_steps(lambda steps: replace(steps, words=np.full(steps.words.shape, "so"))),
    "labels": of_steps(other_labels),
    "name in the table": of_steps(renamed_group),
    "specification": of_steps(other_source),
    "frames": of_frames(lambda frames: replace(frames, values=frames.values + 1)),
    "length of frames": of_frames(
        lambda frames: replace(
            frames, **{n: getattr(frames, n)[:, :3] for n in ("values", "mask", "cell_mask", "spans", "words")}
        )
    ),
    "names of fixed vectors": lambda made: renamed(made, ("layer2", "layer3")),
    "order of fixed vectors": lambda made: replace(
        made, fixed={"functionals": dict(list(made.fixed["functionals"].items())[::-1])}
    ),
    "numbers of fixed vectors": lambda made: replace(
        made, fixed={"functionals": {n: v * 2 for n, v in made.fixed["functionals"].items()}}
    ),
    "shape of fixed vectors": lambda made: replace(
        made, fixed={"functionals": {n: v.reshape(20, 2) for n, v in made.fixed["functionals"].items()}}
    ),
    "kind of fixed vectors": lambda made: replace(
        made, fixed={"functionals": {n: v.view(np.int64) for n, v in made.fixed["functionals"].items()}}
    ),
    "kind of vectors": lambda made: replace(made, fixed={"metadata": made.fixed["functionals"]}),
    "no fixed vectors": lambda made: replace(made, fixed={}),
}


@pytest.mark.parametrize("what", CHANGES)
def test_data_are_named_by_all_they_hold(what: str) -> None:
    made = small_material()
    assert CHANGES[what](made).digest != made.digest


def test_the_same_data_have_the_same_name_objects_among_them() -> None:
    def made() -> Material:
        material = small_material()
        table = dict(material.steps.table) | {"group.take": np.array([f"take {i}" for i in range(40)], object)}
        return replace(material, steps=replace(material.steps, table=table))

    assert made().digest == made().digest and small_material().digest == small_material().digest


class Remembers(Statistics):
    """What learns, derived from what learns nothing: 1 for every row that it was fitted on."""

    def fit(self, X: Any, y: object = None) -> Self:
        super().fit(X)
        self.known_ = set(X.ids.tolist())
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        return np.array([[float(name in self.known_)] for name in X.ids.tolist()], np.float32)


def test_what_is_derived_from_a_part_that_learns_nothing_is_fitted_in_every_fold() -> None:
    material = small_material()
    vectors = bench_of(material, own=Remembers()).vectors
    for fold in folds_of(material):
        found = vectors.of(PartRequest("own"), 0, Learning(fold.train))[:, 0]
        assert not found[fold.test].any() and found[fold.train].all()


def test_what_learns_nothing_is_made_once_for_all_folds() -> None:
    material = small_material()
    vectors = bench_of(material, plain=Flatten()).vectors
    first, second = (vectors.of(PartRequest("plain"), 0, Learning(fold.train)) for fold in folds_of(material)[:2])
    assert first is second


class Own(BaseEstimator):  # type: ignore[misc]
    """A representation of somebody else, whose code changes without its name."""

    factor = 1.0

    def fit(self, X: Aligned, y: object = None) -> Self:
        return self

    def transform(self, X: Aligned) -> NDArray[np.float32]:
        return np.asarray(X.values.mean(axis=1) * self.factor, np.float32)


def test_neither_vectors_nor_cells_of_code_that_no_hash_names_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts_module, "_WORTH_KEEPING", -1.0)
    material, row = small_material(), parsed_row("mean+own")
    protocol = protocol_of(DIVISION, material.steps, "speaker", [0])
    found = []
    for factor in (1.0, 0.0):
        monkeypatch.setattr(Own, "factor", factor)
        bench = bench_of(material, tmp_path, own=Own())
        found.append(bench.vectors.of(PartRequest("own"), 0, Learning(protocol.folds[0].train)))
        for fold in protocol.folds:
            bench.cell(row, 0, fold, protocol.clusters)
        assert not bench.has(row, protocol, (0,))
    assert found[0].any() and not found[1].any()
    assert not list(tmp_path.glob("*.npz"))
    assert len(list(tmp_path.glob("*.npy"))) == 1  # of the mean, which learns nothing
    bench.cell(MEAN, 0, protocol.folds[0], protocol.clusters)
    assert len(list(tmp_path.glob("*.npz"))) == 1


def test_cells_are_counted_once_whether_they_were_kept_or_not(tmp_path: Path) -> None:
    material = small_material()
    clusters = material.steps.group("speaker")
    counts = []
    for _ in range(2):
        bench = bench_of(material, tmp_path)
        for fold in (*folds_of(material), folds_of(material)[0]):
            bench.cell(MEAN, 0, fold, clusters)
        counts.append((len(bench.used), bench.reads.total))
    assert counts == [(5, 5), (5, 0)]


def test_every_seed_is_run_where_its_folds_are_its_own_and_one_where_nothing_differs() -> None:
    material = small_material()
    bench = bench_of(material)
    fixed = protocol_of(DIVISION, material.steps, "speaker", [0, 1])
    repeated = protocol_of(Division("again", "repeated", 5), material.steps, "speaker", [0, 1])
    fisher = parsed_row("fisher-vectors")
    if hasattr(bench, "contrasted"):  # rows whose every seed is wanted
        bench.contrasted = frozenset((fisher,))
    assert bench.seeds_of(MEAN, repeated, (0, 1)) == (0, 1)
    assert bench.seeds_of(fisher, fixed, (0, 1)) == (0, 1)
    assert bench.seeds_of(MEAN, fixed, (0, 1)) == (0,)


def test_inner_folds_keep_clusters_together() -> None:
    material = small_material(80)
    speakers = material.steps.group("speaker")
    random = np.random.default_rng(1)
    mood = np.where(random.permutation(20) % 2, "calm", "angry")[np.arange(80) // 4]  # one mood a speaker, by chance
    voice = random.standard_normal((20, 30))[np.arange(80) // 4]  # so who has heard the speaker knows the mood
    steps = replace(material.steps, table=dict(material.steps.table) | {"label.mood": mood})
    told = Material(steps, steps, {"functionals": {"audio": voice}})
    scores = [bench_of(told).cell(parsed_row("functionals"), 0, fold, speakers).validation for fold in folds_of(told)]
    by_row = [
        bench_of(told).cell(parsed_row("functionals"), 0, fold, np.arange(80)).validation for fold in folds_of(told)
    ]
    assert np.mean(by_row) > 0.95 and np.mean(scores) < 0.75


def test_columns_of_sound_are_made_anew_when_the_code_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, found = tmp_path / "a.flac", set[str]()
    clip.write_bytes(b"sound")
    monkeypatch.setattr(sound_module, "_decoded", lambda file: np.zeros((3, 1), np.float32))
    monkeypatch.setattr(sound_module, "_maker", lambda kind: lambda sound: sound)
    for digest in ("before", "before", "after"):
        monkeypatch.setattr(sound_module, "source_digest", lambda *modules, digest=digest: digest)
        sound_module.sound_columns([clip], "voice", tmp_path / "work", show=False)
        found.update(path.name for path in (tmp_path / "work" / "sound").iterdir())
    assert len(found) == 2


def test_the_folder_of_extracted_clips_follows_code_and_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    found = [real_life_module.extracted_folder(tmp_path, tmp_path)]
    (clips / "one.mp4").write_bytes(b"picture")
    found.append(real_life_module.extracted_folder(tmp_path, tmp_path))
    assert real_life_module.extracted_folder(tmp_path, tmp_path) == found[-1]
    monkeypatch.setattr(real_life_module, "source_digest", lambda *modules: "another")
    found.append(real_life_module.extracted_folder(tmp_path, tmp_path))
    assert len(set(found)) == 3
