"""Folds, seeds, clusters and requests: each is scored for what it is, or refused before anything is fitted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from typer.testing import CliRunner

from trivium.cli import app
from trivium.corpus import (
    Aligned,
    Corpus,
    LabelSpecification,
    Specification,
    Stream,
    StreamSpecification,
    Utterance,
)
from trivium.errors import AlignmentError, DataError, FormatError, SpecificationError, TriviumError, WeightsError
from trivium.evaluate import (
    Fold,
    Protocol,
    across,
    clusters_of,
    grouped_folds,
    pretraining_combinations,
    probe,
    repeated_folds,
)
from trivium.evaluate.report import Predictions
from trivium.evaluate.scores import rows_of
from trivium.evaluate.target import target_of

MOOD, FEEL = LabelSpecification("mood", "binary", ("calm", "angry")), LabelSpecification("feel", "regression")
SPEC = Specification((StreamSpecification("audio", ("a0", "a1"), clock="words"),), (MOOD, FEEL))
pytestmark = pytest.mark.usefixtures("few_strengths")
QUICK: dict[str, Any] = {"progress": False, "floors": ("majority", "mean"), "seeds": 1, "resamples": 20}


def acted(n: int = 96) -> Aligned:
    """Synthetic: 12 speakers of 8 utterances, two sentences in turn, the first 6 speakers in the corpus ``near``."""
    rng, rows = np.random.default_rng(0), np.arange(n)
    kind = rows // 2 % 2
    x = rng.standard_normal((n, 3, 2)).astype(np.float32) + kind[:, None, None].astype(np.float32)
    table: dict[str, NDArray[Any]] = {
        "label.mood": np.array(MOOD.classes)[kind],
        "label.feel": x.mean(axis=(1, 2)).astype(np.float64),
        "group.speaker": (rows // 8).astype(str),
        "group.sentence": (rows % 2).astype(str),
        "group.corpus": np.where(rows // 8 < 6, "near", "far"),
    }
    return Aligned.from_arrays(x, SPEC, ids=np.array([f"u{i}" for i in rows]), table=table)


class Watcher(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Means, and a note of what was fitted on."""

    fits: list[set[str]] = []  # noqa: RUF012  # shared by clones on purpose

    def fit(self, X: Aligned, y: object = None) -> Self:
        Watcher.fits.append(set(X.ids.tolist()))
        return self

    def transform(self, X: Aligned) -> NDArray[np.float32]:
        return np.asarray(X.values.mean(axis=1))


class Stored:
    """Something without ``fit``."""

    def transform(self, X: Aligned) -> NDArray[np.float32]:
        return np.asarray(X.values.mean(axis=1))


@pytest.fixture(autouse=True)
def _forget() -> None:
    Watcher.fits.clear()


def fixed(*folds: Fold, clusters: NDArray[Any]) -> Protocol:
    return Protocol("folds made by hand", folds, clusters)


def test_every_seed_is_scored_on_the_rows_that_it_tested() -> None:
    data, rows = acted(), np.arange(96)
    # seed 0 tests the last rows with labels that training contradicts, seed 1 the first ones
    first, second = Fold("a", rows[:64], rows[64:], seed=0), Fold("b", rows[32:], rows[:32], seed=1)
    both = probe(None, data, "feel", protocol=fixed(first, second, clusters=data.ids), **{**QUICK, "seeds": 2})
    alone = [
        probe(None, data, "feel", protocol=fixed(one, clusters=data.ids), **{**QUICK, "seeds": [one.seed]})
        for one in (first, second)
    ]
    for metric in both.metrics:
        assert both.row("mean").scores[metric] == tuple(one.row("mean").scores[metric][0] for one in alone)
    assert both.row("mean").mean("r") > 0.9
    tested = [line.split(",")[1:4] for line in both.predictions_csv().splitlines() if line.startswith("mean,")]
    assert len(tested) == 64 and {tuple(t[:2]) for t in tested} == {("0", "a"), ("1", "b")}


def test_the_bootstrap_draws_from_the_rows_of_all_seeds_and_scores_each_seed_on_its_own() -> None:
    data, rows = acted(), np.arange(96)
    truth, clusters = data.label("feel"), data.group("speaker")
    folds = np.stack([np.where(rows < 48, "", "a"), np.where(rows < 48, "b", "")])
    said = np.stack([np.where(rows < 48, np.nan, truth), np.where(rows < 48, -truth, np.nan)])
    made = {"x": Predictions((0, 1), said[:, :, None], folds)}
    (row,) = rows_of(made, {"x": 1}, target_of(data, "feel"), clusters, (), 200)
    assert row.scores["r"] == pytest.approx((1, -1))
    # whichever clusters are drawn, seed 0 is always right and seed 1 always wrong
    assert row.interval.low == pytest.approx(0) and row.interval.high == pytest.approx(0)


def test_names_of_folds_are_kept_whole() -> None:
    data = acted()
    sentence = np.where(data.group("sentence") == "0", "words that all sentences share " * 4 + "one", "w" * 130)
    sentence = np.where(sentence == "w" * 130, "words that all sentences share " * 4 + "two", sentence)
    plan = across(grouped_folds(data.group("speaker"), 2), sentence)
    result = probe(None, data, "feel", protocol=plan, **QUICK)
    assert set(result.row("mean").predictions.folds[0]) == {fold.name for fold in plan.folds}


ROWS = np.arange(96)
APART = (Fold("1", ROWS[:48], ROWS[48:]), Fold("2", ROWS[48:], ROWS[:48]))


@pytest.mark.parametrize(
    ("folds", "said"),
    [
        ((replace(APART[0], seed=0),), "no fold with a test row for seed 1.*seeds \\[0\\]"),
        ((APART[0], replace(APART[1], test=ROWS[:49], train=ROWS[49:])), "several folds of seed 0 test the same"),
        ((replace(APART[0], train=ROWS),), "fold 1 learns from 48 of its test rows"),
        ((replace(APART[0], train=ROWS[:0]),), "fold 1 has no training row"),
        ((replace(APART[0], train=ROWS[:24], valid=ROWS[24:50]),), "fold 1 learns from 2 of its test rows"),
        ((APART[0], replace(APART[1], name="1")), "names of their own: '1', '1'"),
        ((replace(APART[0], name=""),), "names of their own"),
        ((replace(APART[0], train=ROWS[:48] + 96),), "row numbers below 96"),
        ((replace(APART[0], train=ROWS[:48] - 96),), "row numbers below 96"),
        ((replace(APART[0], train=np.ones(96, bool)),), "row numbers below 96"),
    ],
)
def test_folds_that_would_be_scored_for_what_they_are_not_are_refused(folds: tuple[Fold, ...], said: str) -> None:
    data = acted()
    with pytest.raises(DataError, match=said):
        probe(None, data, "feel", protocol=fixed(*folds, clusters=data.ids), **{**QUICK, "seeds": 2})


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"seeds": 0}, "0 gives no seeds"),
        ({"seeds": []}, "gives no seeds"),
        ({"seeds": [1, 1]}, "gives no seeds"),
        ({"seeds": [-1]}, "gives no seeds"),
        ({"resamples": 0}, "0 resamples"),
        ({"resamples": -1}, "-1 resamples"),
        ({"evaluated": np.ones(3, bool)}, "evaluated is an array of bool and shape \\(3,\\).*96"),
        ({"evaluated": np.ones(96)}, "evaluated is an array of float64"),
        ({"pretraining": np.ones(3, bool)}, "pretraining is an array of bool and shape \\(3,\\).*96"),
        ({"protocol": Protocol("short", APART, np.arange(5))}, "clusters of shape \\(5,\\) for 96"),
        ({"metrics": []}, "no metric is asked for"),
        ({"metrics": ["r"]}, "no metric 'r' for a label of classes.*uar"),
        ({"metrics": ["uar", "acc"]}, "no metric 'acc'"),
        ({"floors": []}, "nothing to probe"),
        ({"floors": ["untrained"]}, "nothing to probe"),
    ],
)
def test_what_makes_no_sense_is_one_clear_error_before_anything_is_fitted(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(TriviumError, match=said):
        probe(None, acted(), "mood", **{**QUICK, **asked})


@pytest.mark.parametrize(
    ("label", "metrics", "said"),
    [
        ([], None, "no label is asked for"),
        ("feel", ["uar"], "no metric 'uar' for one label of numbers"),
        (["feel", "warm"], ["r"], "no metric 'r' for several numbers at once.*mae, mean_r"),
    ],
)
def test_labels_and_metrics_must_suit_each_other(label: Any, metrics: list[str] | None, said: str) -> None:
    data = acted()
    warm = LabelSpecification("warm", "regression")
    spec = Specification(data.specification.streams, (*data.specification.labels, warm))
    data = replace(data, specification=spec, table={**data.table, "label.warm": data.label("feel")})
    with pytest.raises(SpecificationError, match=said):
        probe(None, data, label, metrics=metrics, **QUICK)


def test_an_infinite_label_is_an_error() -> None:
    data = acted()
    data.table["label.feel"][3] = np.inf
    with pytest.raises(DataError, match="feel is infinite for 1"):
        probe(None, data, "feel", **QUICK)


def test_other_metrics_than_the_usual_ones_can_be_asked_for() -> None:
    assert probe(None, acted(), "mood", metrics=["weighted_f1"], **QUICK).metrics == ("weighted_f1",)
    assert probe(None, acted(), "feel", metrics=["acc3", "mae"], **QUICK).metrics == ("acc3", "mae")


def test_a_folder_that_is_a_file_and_a_row_that_is_none_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(FormatError, match="file: is no folder"):
            probe(Watcher(), acted(), "feel", out=folder, **QUICK)
    assert not Watcher.fits
    with pytest.raises(SpecificationError, match=r"no row 'none'.*majority, mean"):
        probe(None, acted(), "feel", folds=2, **QUICK).row("none")


def namesakes() -> Aligned:
    """Synthetic: the six speakers of the corpus ``far`` have the names of those of ``near``."""
    data = acted()
    data.table["group.speaker"][:] = (np.arange(96) // 8 % 6).astype(str)
    return data


def test_equal_names_in_two_corpora_are_two_clusters_and_no_name_is_one_of_its_own() -> None:
    groups, corpora = np.array(["1", "1", "", "", "2", "1"]), np.array(["a", "a", "a", "a", "b", "b"])
    found = clusters_of(groups, corpora)
    assert np.unique(found, return_counts=True)[1].tolist().count(1) == 4 and found[0] == found[1]
    apart = [0, 1, 4]  # no name of these is in both corpora
    np.testing.assert_array_equal(clusters_of(groups[apart], corpora[apart]), groups[apart])
    assert len(np.unique(clusters_of(np.array(["/c", "b/c"]), np.array(["a/b", "a/"])))) == 2


def test_namesakes_of_another_corpus_are_pretrained_on() -> None:
    data = namesakes()
    far = set(data.ids[data.group("corpus") == "far"].tolist())
    found = pretraining_combinations(Watcher(), data, "feel", target="near", group="speaker", folds=2, **QUICK)
    assert len(Watcher.fits) == 5 and Watcher.fits[2] == far  # the same for both folds: none left out for a name
    assert "Of 48 pretraining rows, 0 are left out" in found["far"].markdown()
    assert found["far"].settings["clusters"] == "speaker"


def test_folds_of_joined_corpora_take_namesakes_apart_in_the_order_of_corpus_and_number() -> None:
    data = namesakes()
    data.table["group.speaker"][data.group("speaker") == "1"] = "10"
    folds = probe(None, data, "feel", group="speaker", folds=12, **QUICK).row("mean").predictions.folds[0]
    for fold in map(str, range(1, 13)):
        assert len(set(data.group("corpus")[folds == fold])) == 1 and (folds == fold).sum() == 8
    assert set(data.group("corpus")[np.isin(folds, ["1", "6"])]) == {"far"}
    assert set(data.group("speaker")[np.isin(folds, ["6", "12"])]) == {"10"}


def test_utterances_without_a_group_fall_into_folds_one_by_one() -> None:
    data = acted()
    data.table["group.speaker"][:48] = ""
    result = probe(None, data, "feel", group="speaker", folds=6, **QUICK)
    unnamed = result.row("mean").predictions.folds[0][:48]
    assert len(set(unnamed)) > 1 and "54 of them" in result.protocol
    plan = fixed(*APART, clusters=data.group("speaker"))
    assert probe(None, data, "feel", protocol=plan, **QUICK).settings["clusters"].startswith("54 clusters")
    tested = [fold.test for fold in repeated_folds(np.array([""] * 6), 3, [0]).folds]
    assert sorted(np.concatenate(tested).tolist()) == list(range(6))


def test_the_notes_say_how_many_pretraining_rows_share_a_cluster_with_test_rows() -> None:
    data = acted()
    data.table["label.feel"][::8] = np.nan  # one row without a label by speaker
    data.table["label.feel"][1:8] = np.nan  # the first speaker has none
    every = np.ones(len(data), bool)
    options: dict[str, Any] = {"group": "speaker", "folds": 2, "pretraining": every, **QUICK}
    said = "Of 96 pretraining rows, 5 to 6 are left out of a fold because they share a cluster with its test rows."
    assert said in probe(Watcher(), data, "feel", **options).notes()
    assert not any(
        "left out" in note for note in probe({"old": Stored()}, data, "feel", **{**options, "floors": ()}).notes()
    )


def test_a_representation_that_says_what_a_floor_says_differs_by_exactly_nothing() -> None:
    data = acted()
    said = (data.label("feel") + np.random.default_rng(1).standard_normal(96))[None, :, None]
    made = {name: Predictions((0,), said, np.full((1, 96), "1")) for name in ("floor", "same")}
    _, row = rows_of(made, dict.fromkeys(made, 1), target_of(data, "feel"), data.group("speaker"), ("floor",), 50)
    difference, interval = row.differences["floor"]
    assert row.interval.high - row.interval.low > 0.05  # the score itself varies with the draw
    assert (difference, interval.low, interval.high) == (0, 0, 0)  # as both are scored on the same draw


def unaligned(clock: Any) -> Corpus:
    """Synthetic: eight utterances of one modality, five steps each, without words."""
    spec = StreamSpecification("audio", ("a0", "a1"), clock=clock)
    edges = np.arange(6.0)
    times = np.stack([edges[:-1], edges[1:]], axis=1) if clock == "seconds" else None
    rng = np.random.default_rng(0)
    made = [
        Utterance(
            f"u{i}",
            {"audio": Stream(rng.standard_normal((5, 2)).astype(np.float32), spec, times)},
            labels={"mood": MOOD.classes[i % 2]},
            groups={"speaker": str(i)},
        )
        for i in range(8)
    ]
    return Corpus.from_utterances(made, Specification((spec,), (MOOD,)))


def asked(*words: Any) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"label": "moood"}, "no label 'moood'.*choose from mood"),
        ({"label": "mood", "group": "who"}, "no group 'who'.*choose from speaker"),
        ({"label": "mood", "split": "mine"}, "no split 'mine'"),
    ],
)
def test_a_wrong_name_is_told_before_missing_words(names: dict[str, str], said: str, tmp_path: Path) -> None:
    corpus = unaligned("none")
    corpus.save(tmp_path / "corpus")
    with pytest.raises(SpecificationError, match=said):
        probe(None, corpus, **{**QUICK, **names})
    with pytest.raises(SpecificationError, match=said):
        asked("probe", tmp_path / "corpus", *(word for name, value in names.items() for word in (f"--{name}", value)))


def test_steps_without_times_are_named_with_what_takes_them(tmp_path: Path) -> None:
    unaligned("none").save(tmp_path / "corpus")
    with pytest.raises(AlignmentError, match=r"no utterance has words.*steps of audio.*`trivium train` takes such"):
        asked("probe", tmp_path / "corpus", "-l", "mood")


def test_streams_in_seconds_without_words_are_probed_by_the_steps_that_the_error_names(tmp_path: Path) -> None:
    unaligned("seconds").save(tmp_path / "corpus")
    with pytest.raises(AlignmentError, match=r"`trivium align CORPUS --reference audio --out FILE.npz`"):
        asked("probe", tmp_path / "corpus", "-l", "mood")
    assert asked("align", tmp_path / "corpus", "--reference", "audio", "--out", tmp_path / "x.npz").exit_code == 0
    done = asked("probe", tmp_path / "x.npz", "-l", "mood", "--folds", 2, "--seeds", 1, "--resamples", 5, "--json")
    assert {row["name"] for row in json.loads(done.stdout)["rows"]} >= {"majority", "mean"}


@pytest.mark.parametrize("name", ["nope", "statistics+nope"])
def test_a_representation_that_does_not_exist_is_told_beside_those_that_do(name: str, tmp_path: Path) -> None:
    with pytest.raises(SpecificationError, match=r"choose from conv-autoencoder, mean,.*folder of weights") as refused:
        asked("probe", tmp_path / "corpus", "-l", "mood", "-r", name)
    assert f"no representation {name!r}" in str(refused.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match="is no folder of weights"):
        asked("probe", tmp_path / "corpus", "-l", "mood", "-r", tmp_path / "empty")
