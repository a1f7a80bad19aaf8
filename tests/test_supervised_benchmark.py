"""The supervised tables compute what their pages say: floors, averages over seeds, folds as published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from trivium.corpus import Aligned, LabelSpecification, Specification, StreamSpecification
from trivium.errors import SpecificationError
from trivium.evaluate import (
    Answers,
    LateReadout,
    LinearReadout,
    PredictionTable,
    ReadLedger,
    answers_of,
    compare,
    grouped_folds,
    named_protocol,
    plan_evaluation,
)
from trivium.evaluate.experiment import Experiment, train_and_score
from trivium.files import read_json

PUBLISHED = ("ravdess", "ict-mmmo", "mosi-words", "real-life", "mosi-contaminated", "foundation", "shared-private")


@pytest.fixture
def systems(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return loaded("supervised_systems", monkeypatch)


def loaded(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    from importlib import import_module

    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    return import_module(name)


def moods(n: int = 90) -> Aligned:
    """Two modalities of one step, three moods that both tell a little of; synthetic."""
    rng = np.random.default_rng(0)
    mood = rng.integers(3, size=n)
    values = rng.standard_normal((n, 1, 6)).astype(np.float32)
    values[np.arange(n), 0, mood] += 2
    values[np.arange(n), 0, 3 + mood] += 1
    streams = (StreamSpecification("audio", ("a", "b", "c")), StreamSpecification("vision", ("d", "e", "f")))
    label = LabelSpecification("mood", "multiclass", ("bad", "fair", "good"))
    names = np.array(["bad", "fair", "good"])[mood]
    table = {"label.mood": names, "group.speaker": (np.arange(n) % 9).astype(str)}
    return Aligned.from_arrays(values, Specification(streams, (label,)), table=table)


def test_a_late_floor_multiplies_the_probabilities_of_a_readout_each(systems: ModuleType) -> None:
    data = moods()
    y, groups = data.label("mood"), data.group("speaker")
    floor = systems.Floor("late", strengths=[0.1]).fit(data, y, groups=groups)
    shares = [
        LinearReadout("classes", strengths=[0.1]).fit(x, y, groups=groups).predict_proba(x)
        for x in (data.values[:, 0, :3], data.values[:, 0, 3:])
    ]
    product = shares[0] * shares[1]
    np.testing.assert_allclose(floor.predict_proba(data), product / product.sum(axis=1, keepdims=True), atol=1e-6)
    assert 0.3 < floor.best_value_ < 1


@pytest.mark.parametrize("kind", ["together", "multiplied", "weighted"])
def test_blocks_are_joined_as_their_row_says_whether_or_not_they_were_fitted_before(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fused, data = loaded("foundation_systems", monkeypatch), moods()
    y, groups, x = data.label("mood"), data.group("speaker"), data.values[:, 0]
    options = {"strengths": fused.CLASSES, "regression": "ridge"}
    widths = {"all": 6} if kind == "together" else {"audio": 3, "vision": 3}
    weighting = "fitted" if kind == "weighted" else "equal"
    wanted = LateReadout(widths, weighting=weighting, **options).fit(x, y, groups=groups)
    for _ in range(2):
        found = fused.Fused(kind=kind).fit(data, y, groups=groups)
        np.testing.assert_allclose(found.predict_proba(data), wanted.predict_proba(x), atol=1e-6)
        assert found.best_value_ == pytest.approx(wanted.validation_score_)
    assert list(found.weights) == (["audio+vision"] if kind == "together" else ["audio", "vision"])
    other = np.roll(y, 1)
    again = fused.Fused(kind=kind).fit(data, other, groups=groups)
    assert not np.allclose(again.predict_proba(data), found.predict_proba(data))


def test_pooled_columns_are_zero_where_a_modality_is_missing(systems: ModuleType) -> None:
    data = moods(4)
    data.cell_mask[1, 0, 1] = False
    assert systems.pooled(data, ["vision"])[1].tolist() == [0, 0, 0]
    assert systems.pooled(data, ["vision"])[0].tolist() == data.values[0, 0, 3:].tolist()


def test_an_average_is_the_mean_of_its_members_and_goes_through_a_protocol(systems: ModuleType, tmp_path: Path) -> None:
    data = moods()
    settings = {"network": "concat", "max_epochs": 3, "network_options": {"hidden": 4}, "validation_fraction": 0.2}
    average = systems.Averaged(settings, members=2, refit=True, modalities=["audio"])
    ledger = ReadLedger(tmp_path / "reads.jsonl")
    folds = grouped_folds(data.group("speaker"), 3)
    plan = plan_evaluation(data, named_protocol("classification"), "mood", folds=folds, ledger=ledger)
    done = train_and_score(plan, average, seeds=[1], show=False, resamples=10)
    assert len(done.table) == 90
    assert done.reads["1"].times == 1
    average.set_params(label="mood").fit(data, data.label("mood"), groups=data.group("speaker"))
    heard = data.select(["audio"])
    expected = np.mean([member.predict_proba(heard) for member in average.members_], axis=0)
    np.testing.assert_allclose(average.predict_proba(data), expected)
    assert all(np.isnan(member.best_value_) for member in average.members_)  # trained again on all rows
    assert np.isfinite(average.best_value_)


def test_seeds_are_averaged_by_utterance_before_the_class_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    page = loaded("supervised_page", monkeypatch)
    cells: dict[str, Any] = {
        "id": ["u", "v", "v", "u"],
        "prediction_no": [0.6, 0.2, 0.3, 0.1],
        "prediction_yes": [0.4, 0.8, 0.7, 0.9],
        "label": ["yes", "yes", "yes", "yes"],
        "fold": ["1", "2", "2", "1"],
        "seed": [1, 1, 2, 2],
    }
    protocol = named_protocol("classification")
    one = Experiment(card=None, table=PredictionTable(cells), runs=(), reads={})  # type: ignore[arg-type]
    found = page.averaged_over_seeds(one, protocol)
    assert found.table.columns["id"] == ["u", "v"]
    np.testing.assert_allclose(found.table.columns["prediction_yes"], [0.65, 0.75])
    assert found.card.line("accuracy").mean == 1.0


def test_the_published_folds_hold_every_actor_once_and_centring_takes_out_each_speaker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = loaded("supervised_data", monkeypatch)
    assert sorted(actor for fold in data.LUNA_JIMENEZ for actor in fold) == list(range(1, 25))
    centred = data.speaker_centred(moods())
    for speaker in np.unique(centred.group("speaker")):
        np.testing.assert_allclose(centred.values[centred.group("speaker") == speaker].mean(axis=0), 0, atol=1e-6)


def test_pages_say_what_was_declared_in_the_words_of_their_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    declared, page = loaded("supervised_declared", monkeypatch), loaded("supervised_page", monkeypatch)
    folder = Path(__file__).parents[1] / "docs" / "results"
    told = {name: folder / f"{file}.md" for name, file in page.FILES.items()}
    made = {name: path.read_text(encoding="utf-8") for name, path in told.items() if path.exists()}
    assert {"ravdess", "ict-mmmo"} <= set(made)
    for name, text in made.items():
        assert all(paragraph in text for paragraph in declared.DECLARED[name]), name
    for name in ("ravdess", "ict-mmmo"):  # their clips had been in the trials that chose the network
        assert "not in ignorance of their clips" in made[name] and "before a test fold was read" not in made[name]


def said(seeds: int, wrong: Sequence[int], n: int = 40) -> Answers:
    """Moods of speakers of four clips each, right but for some clips; the same in every seed."""
    truth = np.array(["bad", "good"])[np.arange(n) % 2]
    answers = truth.copy()
    answers[list(wrong)] = np.array(["good", "bad"])[np.array(wrong) % 2]
    cells = {"id": np.arange(n).astype(str), "prediction": answers, "label": truth, "group": np.arange(n) // 4}
    rows = {name: np.tile(values, seeds).tolist() for name, values in cells.items()}
    table = PredictionTable({**rows, "fold": ["1"] * n * seeds, "seed": np.repeat(np.arange(seeds), n).tolist()})
    return answers_of(table, named_protocol("classification"))


def test_a_floor_that_was_fitted_once_is_compared_as_if_every_seed_had_said_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page, protocol = loaded("supervised_page", monkeypatch), named_protocol("classification")
    ours, once, thrice = said(3, [0, 5]), said(1, range(0, 40, 3)), said(3, range(0, 40, 3))
    found = page.difference(ours, once, protocol)
    wanted = compare(ours, thrice, protocol).to_json()["differences"]
    assert np.isnan(compare(ours, once, protocol).differences[0].p)  # other numbers of seeds: not tested
    assert {name: value for name, value in found.items() if name != "others"} == wanted["uar"]
    assert found["others"]["accuracy"] == wanted["accuracy"]
    assert found["p"] < 0.05


@pytest.mark.parametrize(
    ("interval", "p", "heading"),
    [
        ([0.01, 0.02], 0.049, "ABOVE"),
        ([-0.02, -0.01], 0.001, "BELOW"),
        ([0.001, 0.074], 0.154, "UNDECIDED"),
        ([-0.02, -0.01], 0.05, "UNDECIDED"),
        ([-0.001, 0.074], 0.03, "UNDECIDED"),
        ([-0.01, 0.02], 0.5, "OPEN"),
    ],
)
def test_a_difference_is_shown_only_where_interval_and_permutation_test_agree(
    interval: list[float], p: float, heading: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = loaded("supervised_page", monkeypatch)
    assert page.verdict({"interval": interval, "p": p}) == getattr(page, heading)
    told = {"systems": {"floor": {"minus": {}}, "net": {"minus": {"floor": {"interval": interval, "p": p}}}}}
    sentence = page.verdicts(told, ["floor"], "floor")
    assert f"{getattr(page, heading)}: net" in sentence
    assert sentence.count("none") == 3


def test_every_published_table_has_a_floor_and_a_p_for_every_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    page = loaded("supervised_page", monkeypatch)
    folder = Path(__file__).parents[1] / "docs" / "results"
    made = {name: read_json(folder / f"{file}.json") for name, file in page.FILES.items() if name in PUBLISHED}
    assert sorted(made) == sorted(PUBLISHED)
    for name, told in made.items():
        for title, part in told["tables"].items():
            floors = [system for system, one in part["systems"].items() if one["floor"]]
            assert {"majority", part["picked_floor"], part["best_floor_on_test"]} <= set(floors), (name, title)
            others = [one for system, one in part["systems"].items() if system not in floors]
            assert others, (name, title)
            for one in others:
                assert {part["picked_floor"], part["best_floor_on_test"]} <= set(one["minus"]), (name, title)
                assert all(0 < found["p"] <= 1 for found in one["minus"].values()), (name, title)


def test_a_page_that_is_laid_out_again_trains_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    supervised, systems = loaded("supervised", monkeypatch), loaded("supervised_systems", monkeypatch)

    def folds(data: Aligned, seeds: Sequence[int]) -> Any:
        return grouped_folds(data.group("speaker"), 3)

    def both(data: Aligned) -> dict[str, Any]:
        return {"one linear model": systems.Floor(strengths=[0.1]), "concat": systems.Averaged({"network": "concat"})}

    table = supervised.Table("Moods", "Synthetic.", moods, named_protocol("classification"), folds, both, "one")
    asked = SimpleNamespace(seeds=1, work=tmp_path, again=True)
    with pytest.raises(SpecificationError, match="concat of Moods is not stored"):
        supervised.run(table, "moods", asked)
    assert (tmp_path / "moods" / "moods" / "one-linear-model" / "predictions.csv").is_file()
    assert not (tmp_path / "moods" / "moods" / "concat").exists()
