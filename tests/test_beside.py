"""Representations beside one another: the joint vector, its parameters, requests with ``+``, weights, commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks
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
    Words,
    concat,
)
from trivium.errors import SpecificationError, TriviumError
from trivium.evaluate import pretraining_combinations, probe
from trivium.represent import Beside, Flatten, MaskedSteps, MeanPooling, Missingness, Statistics
from trivium.represent.request import representation, representation_names
from trivium.weights import load_weights

torch.set_num_threads(1)

VOICE = StreamSpecification("audio", ("f0", "energy"), clock="words")
FACE = StreamSpecification("vision", ("smile",), clock="words")


def aligned(n: int = 20, *, steps: int = 6, **table: Any) -> Aligned:
    rng = np.random.default_rng(0)
    mask = np.arange(steps) >= rng.integers(0, steps - 1, n)[:, None]
    cells = np.repeat(mask[:, :, None], 2, axis=2)
    cells[0, :, 1] = False
    values = np.where(np.repeat(cells, (2, 1), axis=2), rng.normal(200, 30, (n, steps, 3)), 0).astype(np.float32)
    values[3, -1, 0] = np.nan
    return Aligned.from_arrays(values, Specification((VOICE, FACE)), mask=mask, cell_mask=cells, table=table)


def joint(**options: Any) -> Beside:
    learned = MaskedSteps(channels=4, layers=1, max_epochs=1, progress=False)
    return Beside((("statistics", Statistics()), ("masked-steps", learned))).set_params(**options)


@parametrize_with_checks([Beside((("mean", MeanPooling()), ("missingness", Missingness())))])  # type: ignore[untyped-decorator]
def test_scikit_learn_s_own_checks_without_a_single_expected_failure(estimator: Beside, check: Any) -> None:
    check(estimator)


def test_the_joint_vector_is_the_parts_vectors_standardised_by_training() -> None:
    x = aligned()
    train, test = x[np.arange(15)], x[np.arange(15, 20)]
    fitted = Beside((("mean", MeanPooling()), ("flat", Flatten()))).fit(train)
    seen = train.column_mask() & np.isfinite(train.values)
    columns = [train.values[..., c][seen[..., c]].astype(float) for c in range(3)]
    centre, spread = np.array([c.mean() for c in columns]), np.array([c.std() for c in columns])

    def parts(data: Aligned) -> Any:
        scaled = np.where(data.column_mask(), (data.values - centre) / spread, 0).astype(np.float32)
        one = Aligned.from_arrays(scaled, data.specification, mask=data.mask, cell_mask=data.cell_mask)
        return np.concatenate([kind().fit(one).transform(one) for kind in (MeanPooling, Flatten)], axis=1)

    learned = parts(train)
    scale = np.where(learned.std(axis=0) > 1e-6, learned.std(axis=0), 1)
    np.testing.assert_allclose(fitted.transform(test), (parts(test) - learned.mean(axis=0)) / scale, atol=1e-3)
    assert fitted.get_feature_names_out().shape == (3 + 18,)


def test_a_bare_parameter_reaches_every_part_that_has_it_and_a_prefix_reaches_one() -> None:
    both = Beside((("a", MaskedSteps()), ("b", MaskedSteps()), ("c", MeanPooling())))
    both.set_params(max_epochs=3, b__channels=5, words=7)
    assert [part.max_epochs for _, part in both.parts[:2]] == [3, 3]
    assert (both.get_params()["a__channels"], both.get_params()["b__channels"]) == (64, 5)
    assert both.words == 7 and both.parts[2][1].words == 20, "the combination aligns, not its parts"
    with pytest.raises(ValueError, match="depth"):
        both.set_params(depth=1)
    assert clone(both).get_params()["b__channels"] == 5
    assert not hasattr(clone(both.set_params(max_epochs=0)), "parts_")


def test_checkpoints_of_the_parts_lie_apart_and_training_goes_on(tmp_path: Path) -> None:
    x = aligned()
    straight = joint(max_epochs=2).fit(x)
    joint(max_epochs=1, folder=str(tmp_path)).fit(x)
    resumed = joint(max_epochs=2, folder=str(tmp_path), resume=True).fit(x)
    assert [folder.name for folder in tmp_path.iterdir()] == ["masked-steps"]
    np.testing.assert_array_equal(resumed.transform(x), straight.transform(x))
    assert (len(straight.loss_curves_), straight.n_iter_, straight.corpora_) == (2, 2, {"unnamed": 20})


def test_order_company_and_missing_modalities() -> None:
    x = aligned()
    fitted = joint().fit(x)
    whole = fitted.transform(x)
    np.testing.assert_allclose(fitted.transform(x[np.array([4, 2])]), whole[[4, 2]], atol=1e-5)
    np.testing.assert_allclose(fitted.transform(x.select(["audio"])), fitted.transform(x.only(["audio"])), atol=1e-5)


def test_several_corpora_are_scaled_each_by_its_own() -> None:
    table: Any = {"group.corpus": np.repeat(["near", "far"], 10)}
    x = aligned(**table)
    fitted = joint().fit(x)
    assert fitted.scalers_.names == ("pooled", "far", "near")
    far = x[np.arange(10, 20)]
    assert not np.allclose(fitted.transform(far), fitted.set_params(scaler="far").transform(far))


def test_parts_without_names_are_one_error_that_shows_how_they_are_written() -> None:
    with pytest.raises(SpecificationError, match="pairs of a name and a representation"):
        Beside([Statistics(), MeanPooling()]).fit(np.zeros((3, 2, 2), np.float32))


class _Rounding(MeanPooling):
    """Numbers that differ from one utterance to the next by 1e-9 or so."""

    def transform(self, X: Any) -> Any:
        return super().transform(X) * np.float32(1e-9)


def test_what_varies_by_rounding_alone_is_zero_and_stays_so_when_stored(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(9, 4, 2)).astype(np.float32)
    joint = Beside([("mean", MeanPooling()), ("rounding", _Rounding())]).fit(x)
    np.testing.assert_array_equal(joint.transform(x)[:, 2:], 0)
    assert (joint.transform(x)[:, :2].std(axis=0) > 0.9).all()
    stored = Beside([("mean", MeanPooling())]).fit(spoken("u"))
    stored.scale_[0] = np.inf
    stored.save(tmp_path / "stored")
    again = Beside.from_pretrained(tmp_path / "stored")
    assert "# mean of " in (tmp_path / "stored" / "README.md").read_text()
    assert np.isinf(again.scale_[0]) and np.isfinite(again.scale_[1:]).all()
    np.testing.assert_array_equal(again.transform(spoken("u"))[:, 0], 0)
    np.testing.assert_allclose(again.transform(spoken("u")), stored.transform(spoken("u")), atol=1e-6)


def test_an_indicator_that_was_always_on_in_training_still_tells_of_what_is_missing() -> None:
    values = np.random.default_rng(0).normal(size=(8, 4, 3)).astype(np.float32)
    seen = np.ones((8, 4, 2), bool)
    joint = Beside([("statistics", Statistics("mean"))])
    told = joint.fit(Aligned.from_arrays(values, Specification((VOICE, FACE)), cell_mask=seen))
    place = joint.get_feature_names_out().tolist().index("statistics.vision.seen")
    assert told.scale_[place] == 1
    seen[:, :, 1] = False
    without = Aligned.from_arrays(np.where([True, True, False], values, 0), told.specification_, cell_mask=seen)
    np.testing.assert_array_equal(told.transform(without)[:, place], -1)


def test_requests_with_a_plus() -> None:
    assert isinstance(representation("masked-steps"), MaskedSteps)
    made = representation("statistics+masked-steps")
    assert [name for name, _ in made.parts] == ["statistics", "masked-steps"]
    assert representation_names("mean+nothing") == []
    with pytest.raises(TriviumError, match="there is no representation 'nothing'"):
        representation("mean+nothing")
    with pytest.raises(SpecificationError, match="twice"):
        representation("mean+mean")
    with pytest.raises(SpecificationError, match="at least one"):
        Beside(()).fit(aligned())


def test_the_graph_of_the_combination_gives_the_vectors_of_its_parts() -> None:
    x = aligned()
    fitted = joint(random_state=5).fit(x)
    graph = fitted._graph(fitted.parts_)
    with torch.no_grad():
        marked = torch.from_numpy(fitted.scalers_.transform(x)[:, None])
        found = graph.get_submodule("encoder")(marked).numpy()
    np.testing.assert_allclose(found, fitted.transform(x), atol=1e-4)
    assert len(graph.state_dict()) > 10
    with pytest.raises(SpecificationError, match="flatten cannot be saved"):
        Beside((("flatten", Flatten()),)).fit(x).save("nowhere")


def spoken(prefix: str, n: int = 24) -> Corpus:
    rng = np.random.default_rng(n)
    mood = LabelSpecification("mood", "binary", ("calm", "angry"))
    clips = []
    for i in range(n):
        shift = 2.0 * (i % 2)
        streams = {"audio": Stream(rng.normal(shift, 1, (4, 2)).astype(np.float32), VOICE)}
        streams["vision"] = Stream(rng.normal(0, 1, (4, 1)).astype(np.float32), FACE)
        labels: Any = {"mood": "angry" if i % 2 else "calm"}
        clips.append(Utterance(f"{prefix}{i}", streams, Words(("we", "do", "say", "so")), labels=labels))
    return Corpus.from_utterances(clips, Specification((VOICE, FACE), (mood,)))


def test_the_probe_takes_a_request_and_its_untrained_floor() -> None:
    result = probe(
        {"both": joint()}, spoken("u"), "mood", folds=2, seeds=2, words=4, resamples=10, progress=False,
        floors=["majority", "untrained"],
    )  # fmt: skip
    assert [row.name for row in result.rows] == ["majority", "untrained", "both"]
    assert len(result.row("both").scores["uar"]) == 2 and result.row("both").mean("uar") > 0.7
    assert "Statistics(" in result.settings["representations"]["both"]
    assert "max_epochs=0" in result.settings["representations"]["untrained"]


def test_runners_scale_a_combination_like_any_representation() -> None:
    both = concat([spoken("a", 16), spoken("b", 12)], ["near", "far"])
    options: Any = {"folds": 2, "seeds": 1, "words": 4, "resamples": 5, "progress": False, "floors": ["majority"]}
    found = pretraining_combinations({"both": joint(max_epochs=0)}, both, "mood", target="near", **options)
    assert set(found) == {"near", "far", "near+far"}
    assert any("scaled by near" in note for note in found["near+far"].notes())


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_commands_take_a_request(tmp_path: Path) -> None:
    spoken("u").save(tmp_path / "corpus")
    options = ["--set", "max_epochs=1", "--set", "progress=false", "--set", "channels=4", "--set", "layers=1"]
    request = "statistics+masked-steps"
    told = run("fit", str(tmp_path / "corpus"), "-o", str(tmp_path / "w"), "-r", request, "-w", "4", *options, "--json")
    facts = json.loads(told[told.index("{") :])
    assert (facts["features"], len(facts["losses"]), facts["corpora"]) == (11 + 16, 1, {"corpus": 24})
    assert (tmp_path / "w.run" / "masked-steps" / "losses.csv").is_file()
    corpus, weights = Corpus.open(tmp_path / "corpus"), load_weights(tmp_path / "w")
    again = Beside.from_pretrained(tmp_path / "w")
    np.testing.assert_allclose(weights.transform(weights.align(corpus)), again.transform(corpus), atol=1e-4)
    assert (again.get_params()["masked-steps__channels"], again.get_params()["random_state"]) == (4, 42)
    straight = joint(words=4).fit(corpus)
    np.testing.assert_allclose(again.transform(corpus), straight.transform(corpus), atol=1e-4)
    told = run(
        "probe", str(tmp_path / "corpus"), "-l", "mood", "-r", request, "-w", "4", "--folds", "2", "--seeds", "1",
        "--resamples", "5", "--json", *options,
    )  # fmt: skip
    assert request in told[told.index("{") :]


def test_what_has_nothing_to_keep_is_refused_and_statistics_alone_are_kept() -> None:
    from trivium.cli.fit import _estimator

    alone = _estimator("statistics", {"words": 4, "random_state": 3, "folder": None, "resume": False})
    assert isinstance(alone, Beside) and alone.words == 4
    assert alone.fit(spoken("u")).transform(spoken("u")).shape == (24, 11)
    assert _estimator("statistics", {"which": "mean"}).fit(spoken("u")).transform(spoken("u")).shape == (24, 5)
    with pytest.raises(SpecificationError, match="no graph that weights could hold"):
        _estimator("flatten", {})
    with pytest.raises(SpecificationError, match="no option depth"):
        _estimator("statistics", {"depth": 3})
