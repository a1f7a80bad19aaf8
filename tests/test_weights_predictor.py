"""Weights of a predictor: the network's own numbers without torch, columns matched by name, altered files refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from trivium.align import align
from trivium.cli import app
from trivium.corpus import Corpus, LabelSpecification, Specification, Stream, StreamSpecification, Utterance, Words
from trivium.errors import SpecificationError, WeightsError
from trivium.evaluate import keep_modalities
from trivium.extract import ClipExtractor
from trivium.predict import EmotionClassifier, SentimentRegressor
from trivium.weights import PredictorWeights, check_weights, load_predictor, load_weights, open_weights

QUICK: dict[str, Any] = {"max_epochs": 2, "batch_size": 8, "progress": False, "random_state": 1}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """Filled once: the regressor, its corpus and its folder (exporting a network takes seconds)."""
    return []


@pytest.fixture
def stored(
    made: list[Any], make_spoken: Callable[..., Corpus], tmp_path_factory: pytest.TempPathFactory
) -> tuple[SentimentRegressor, Corpus, Path]:
    if not made:
        corpus = make_spoken()
        regressor = SentimentRegressor("self-mm", label="sentiment", **QUICK).fit(corpus)
        folder = tmp_path_factory.mktemp("predictor") / "weights"
        regressor.save(folder, learned={"corpus": "synthetic"})
        made += [regressor, corpus, folder]
    return made[0], made[1], made[2]


def copied(folder: Path, place: Path) -> Path:
    place.mkdir()
    for file in folder.iterdir():
        (place / file.name).write_bytes(file.read_bytes())
    return place


def test_the_graph_gives_the_networks_numbers_and_its_unimodal_parts(stored: Any) -> None:
    regressor, corpus, folder = stored
    weights = load_predictor(folder)
    np.testing.assert_allclose(weights.predict(corpus), regressor.predict(corpus), atol=1e-5)
    ours, theirs = weights.unimodal(weights.outputs(corpus)), regressor.unimodal(corpus)
    assert set(ours) == {"text", "audio"}
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-5)
    assert weights.graph is not None and check_weights(folder).ok


def test_sequences_longer_than_the_graph_takes_go_through_torch(stored: Any) -> None:
    regressor, corpus, folder = stored
    spec = corpus.specification.stream("audio")
    rng = np.random.default_rng(5)
    long = Corpus.from_utterances(
        [Utterance("long", {"audio": Stream(rng.standard_normal((40, 1)).astype(np.float32), spec)})],
        corpus.specification,
    )
    weights = load_predictor(folder)
    assert weights.config.steps["audio"] < 40
    np.testing.assert_allclose(weights.predict(long), regressor.predict(long), atol=1e-5)


def test_predicting_imports_neither_torch_nor_sklearn(stored: Any, tmp_path: Path) -> None:
    _, corpus, folder = stored
    corpus.save(tmp_path / "c")
    code = (
        "import sys\nfrom trivium.corpus import Corpus\nfrom trivium.weights import load_predictor, predictor_answers\n"
        f"rows = predictor_answers(Corpus.open({str(tmp_path / 'c')!r}), load_predictor({str(folder)!r}))\n"
        "print(len(rows), sorted({'torch', 'sklearn'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["60", "[]"]


def test_columns_are_matched_by_name_and_a_missing_modality_is_masked(stored: Any) -> None:
    _, corpus, folder = stored
    weights = load_predictor(folder)
    text = replace(corpus.specification.stream("text"), columns=("y", "extra", "x"))
    other = [
        replace(u, streams={"text": Stream(u.streams["text"].values[:, [1, 0, 0]], text), "audio": u.streams["audio"]})
        for u in corpus
    ]
    specification = Specification((text, corpus.specification.stream("audio")), corpus.specification.labels)
    turned = Corpus.from_utterances(other, specification)
    np.testing.assert_array_equal(weights.predict(turned), weights.predict(corpus))
    alone = weights.altered(partial(keep_modalities, modalities=["text"])).predict(corpus)
    np.testing.assert_allclose(weights.predict(corpus.select(["text"])), alone, atol=1e-6)
    with pytest.raises(SpecificationError, match=r"audio of the data lacks columns .*f0"):
        weights.predict(_other_audio(corpus, StreamSpecification("audio", ("energy",))))
    with pytest.raises(SpecificationError, match="a step of audio is seconds"):
        weights.predict(_other_audio(corpus, StreamSpecification("audio", ("f0",), clock="seconds")))
    with pytest.raises(SpecificationError, match="the data have no modality"):
        weights.predict(corpus.select([]))


def _other_audio(corpus: Corpus, audio: StreamSpecification) -> Corpus:
    times = np.array([[0.0, 1.0]]) if audio.clock == "seconds" else None
    clips = [Utterance("u", {"audio": Stream(np.ones((1, 1), np.float32), audio, times)})]
    return Corpus.from_utterances(clips, Specification((audio,)))


def test_what_was_learned_aligned_is_predicted_aligned(make_spoken: Callable[..., Corpus], tmp_path: Path) -> None:
    times = np.stack([np.arange(3.0), np.arange(3.0) + 1], axis=1)
    audio = StreamSpecification("audio", ("f0",), clock="seconds")
    rng = np.random.default_rng(0)
    label = make_spoken().specification.label("mood")
    clips = [
        Utterance(
            f"u{i}",
            {"audio": Stream(rng.standard_normal((3, 1)).astype(np.float32), audio, times)},
            words=Words(("we", "say", "so"), times),
            labels={"mood": label.classes[i % 3]},
        )
        for i in range(12)
    ]
    corpus = Corpus.from_utterances(clips, Specification((audio,), (label,)))
    learned = align(corpus, words=4, show=False)
    classifier = EmotionClassifier("ef-lstm", label="mood", **QUICK).fit(learned)
    weights = classifier.save(tmp_path / "w", export=False)
    np.testing.assert_allclose(weights.predict_proba(corpus), classifier.predict_proba(learned), atol=1e-6)
    assert weights.predict(corpus).tolist() == classifier.predict(learned).tolist()
    assert weights.window == 4 and weights.graph is None


def test_an_altered_missing_or_strange_file_is_refused(stored: Any, tmp_path: Path) -> None:
    folder = stored[2]
    for name in ("model.safetensors", "network.onnx", "scalers.safetensors", "proof.safetensors", "README.md"):
        place = copied(folder, tmp_path / f"altered-{name}")
        data = bytearray((place / name).read_bytes())
        data[len(data) // 2] ^= 1
        (place / name).write_bytes(bytes(data))
        assert any(name in problem for problem in check_weights(place).problems)
    place = copied(folder, tmp_path / "missing")
    (place / "network.onnx").unlink()
    with pytest.raises(WeightsError, match=r"lacks network\.onnx"):
        load_predictor(place)
    with pytest.raises(WeightsError, match="holds a predictor"):
        load_weights(folder)
    assert isinstance(open_weights(folder), PredictorWeights)


def test_a_network_that_reads_one_of_several_modalities_is_saved_and_opened(
    make_spoken: Callable[..., Corpus], tmp_path: Path
) -> None:
    corpus = make_spoken()
    regressor = SentimentRegressor("unimodal:modality=audio", label="sentiment", **QUICK).fit(corpus)
    regressor.save(tmp_path / "weights")
    weights = load_predictor(tmp_path / "weights")
    assert weights.graph is not None
    np.testing.assert_allclose(weights.predict(corpus), regressor.predict(corpus), atol=1e-5)
    np.testing.assert_array_equal(weights.predict(corpus), weights.predict(corpus.select(["audio"])))


def test_predictors_of_plain_arrays_are_saved_too(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((16, 3, 2)).astype(np.float32)
    made = EmotionClassifier("concat", **QUICK).fit(x, np.where(x[:, 0, 0] > 0, "up", "down"))
    weights = made.save(tmp_path / "w", export=False)
    assert (weights.config.label.key, weights.classes_) == ("y", ("down", "up"))
    assert check_weights(tmp_path / "w").ok


@pytest.mark.parametrize("field", ["network", "label", "steps", "classes", "specification", "schema"])
def test_a_malformed_configuration_is_one_error(stored: Any, tmp_path: Path, field: str) -> None:
    place = copied(stored[2], tmp_path / "w")
    value = json.loads((place / "config.json").read_text())
    value.pop("specification" if field == "label" else field)
    (place / "config.json").write_text(json.dumps(value))
    with pytest.raises(WeightsError, match=r"config\.json: the configuration is malformed"):
        load_predictor(place)


def test_the_card_says_what_it_answers_and_the_command_shows_it(stored: Any) -> None:
    folder = stored[2]
    card = (folder / "README.md").read_text()
    assert "A predictor of `sentiment` (a number): the network `self-mm`" in card and "corpus synthetic" in card
    shown = CliRunner().invoke(app, ["weights", "show", str(folder), "--json"])
    assert json.loads(shown.output)["network"] == "self-mm"
    assert CliRunner().invoke(app, ["weights", "check", str(folder)]).exit_code == 0


def test_a_raw_clip_is_answered_with_each_modality_alone(
    make_clip: Callable[..., Path], need_models: Callable[..., None], tmp_path: Path
) -> None:
    need_models("minilm-l6", "g2p-en")
    streams = ClipExtractor(["text", "audio"], audio="voice").specification.streams
    rng = np.random.default_rng(0)
    times = np.stack([np.arange(6.0), np.arange(6.0) + 1], axis=1)
    mood = LabelSpecification("mood", "binary", ("calm", "angry"))
    clips = [
        Utterance(
            f"u{i}",
            {
                s.modality: Stream(
                    rng.standard_normal((6, s.dim)).astype(np.float32), s, times if s.clock == "seconds" else None
                )
                for s in streams
            },
            labels={"mood": mood.classes[i % 2]},
        )
        for i in range(8)
    ]
    corpus = Corpus.from_utterances(clips, Specification(streams, (mood,)))
    classifier = EmotionClassifier("self-mm", label="mood", **QUICK).fit(corpus)
    classifier.save(tmp_path / "w", export=False)
    clip = make_clip("talk.wav", seconds=3.0, fps=None)
    asked = ["predict", str(clip), "-w", str(tmp_path / "w"), "-t", "kids are talking by the door"]
    (row,) = json.loads(CliRunner().invoke(app, [*asked, "--json"], catch_exceptions=False).stdout)
    assert row["modalities"] == ["text", "audio"] and set(row["unimodal"]) == {"text", "audio"}
    for part in (row, *row["unimodal"].values()):
        assert part["answer"] in mood.classes and sum(part["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    table = CliRunner().invoke(app, asked, catch_exceptions=False, env={"COLUMNS": "200"}).output
    assert "each alone" in table and "mood: " in table
