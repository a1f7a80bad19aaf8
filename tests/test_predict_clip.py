"""One raw video in, an answer with its unimodal parts out: words, voice and face, and what happens where one lacks."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from trivium import upstream
from trivium.cli import app
from trivium.corpus import Corpus, LabelSpecification, Specification, Stream, Utterance, Words
from trivium.errors import MediaError, SpecificationError
from trivium.extract import ClipExtractor
from trivium.predict import EmotionClassifier, SentimentRegressor
from trivium.weights import PredictorWeights

MOOD = LabelSpecification("mood", "binary", ("calm", "angry"))
STARS = LabelSpecification("stars", "ordinal", range=(1.0, 5.0))
QUICK: dict[str, Any] = {"max_epochs": 1, "batch_size": 8, "progress": False, "random_state": 1}
SAID = "unless to be rather cold-hearted"


@pytest.fixture(scope="module")
def learned() -> list[Corpus]:
    """Filled once: synthetic utterances with the very columns that extraction gives."""
    return []


@pytest.fixture
def corpus(learned: list[Corpus], need_models: Callable[..., None]) -> Corpus:
    need_models("whisper-tiny-en", "minilm-l6", "g2p-en", "face-landmarker", "sample-face", "sample-voice")
    if not learned:
        streams = ClipExtractor(audio="voice").specification.streams
        assert [s.modality for s in streams] == ["text", "audio", "vision"]
        rng = np.random.default_rng(0)
        times = np.stack([np.arange(6.0), np.arange(6.0) + 1], axis=1)
        made = [
            Utterance(
                f"u{i}",
                {s.modality: Stream(rng.standard_normal((6, s.dim)).astype(np.float32), s, times) for s in streams},
                labels={"mood": MOOD.classes[i % 2], "stars": float(1 + i % 5)},
            )
            for i in range(16)
        ]
        learned.append(Corpus.from_utterances(made, Specification(streams, (MOOD, STARS))))
    return learned[0]


@pytest.fixture
def weights(corpus: Corpus, tmp_path: Path) -> PredictorWeights:
    made = EmotionClassifier("self-mm", label="mood", class_weight={"angry": 2}, **QUICK).fit(corpus)
    return made.save(tmp_path / "w", export=False)


def predict(clip: Path, weights: PredictorWeights, *more: str) -> str:
    asked = ["predict", str(clip), "-w", str(weights.folder), *more]
    done = CliRunner().invoke(app, asked, catch_exceptions=False, env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.stdout


def read(clip: Path, weights: PredictorWeights, *more: str) -> dict[str, Any]:
    (row,) = json.loads(predict(clip, weights, *more, "--json"))
    return dict(row)


def test_a_video_with_words_voice_and_face_is_answered_by_all_and_by_each(
    weights: PredictorWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parent.parent / "demo"))
    clip = importlib.import_module("clip").assemble_clip(tmp_path / "talk.mp4")
    row = read(clip, weights)  # the words are recognised
    assert row["modalities"] == ["text", "audio", "vision"] and row["clip"] == "talk.mp4"
    assert set(row["unimodal"]) == {"text", "audio", "vision"}
    for part in (row, *row["unimodal"].values()):
        assert part["answer"] in MOOD.classes and sum(part["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert len({str(part["probabilities"]) for part in (row, *row["unimodal"].values())}) == 4


def test_a_clip_without_sound_is_answered_by_its_face(weights: PredictorWeights) -> None:
    face = upstream.model_file("sample-face")
    row = read(face, weights)
    assert row["modalities"] == ["vision"] and set(row["unimodal"]) == {"vision"}
    table = predict(face, weights)
    assert "each alone" in table and "words" not in table


def test_a_clip_without_a_face_is_answered_by_words_and_voice(
    weights: PredictorWeights, make_clip: Callable[..., Path]
) -> None:
    row = read(make_clip("grey.mp4", seconds=2.0), weights, "-t", SAID)
    assert row["modalities"] == ["text", "audio"] and set(row["unimodal"]) == {"text", "audio"}


def test_a_clip_with_nothing_that_the_weights_take_is_named(
    weights: PredictorWeights, make_clip: Callable[..., Path]
) -> None:
    with pytest.raises(MediaError, match=r"blank\.mp4.*no face"):
        predict(make_clip("blank.mp4", tone=None), weights)


def test_where_words_are_the_steps_a_silent_clip_is_refused_by_name(corpus: Corpus, tmp_path: Path) -> None:
    from trivium.align import align

    aligned = align(corpus, words=4, reference="text", show=False)
    made = SentimentRegressor("tfn", label="stars", loss="ordinal", **QUICK).fit(aligned)
    with pytest.raises(MediaError, match="no speech was found"):
        predict(upstream.model_file("sample-face"), made.save(tmp_path / "words", export=False))


def test_a_number_has_no_column_of_probabilities_and_stays_in_its_range(
    corpus: Corpus, make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    made = SentimentRegressor("self-mm", label="stars", loss="ordinal", **QUICK).fit(corpus)
    stored = made.save(tmp_path / "stars", export=False)
    clip = make_clip("talk.wav", seconds=2.0, fps=None)
    table = predict(clip, stored, "-t", SAID)
    assert "stars: " in table and "probabilities" not in table
    row = read(clip, stored, "-t", SAID)
    assert all(1 < part["answer"] < 5 for part in (row, *row["unimodal"].values()))


@pytest.fixture
def of_words(corpus: Corpus, tmp_path: Path) -> PredictorWeights:
    """Weights of a corpus that has one step per word on disk: training took no `--words`."""
    streams = tuple(replace(stream, clock="words") for stream in corpus.specification.streams)
    made = [
        replace(u, streams={s.modality: Stream(u.streams[s.modality].values, s) for s in streams})
        for u in corpus  # its six steps stand for six words
    ]
    words = Corpus.from_utterances(made, Specification(streams, (MOOD, STARS)))
    return EmotionClassifier("self-mm", label="mood", **QUICK).fit(words).save(tmp_path / "of-words", export=False)


def test_weights_of_a_corpus_with_one_step_per_word_align_a_clip_by_themselves(
    of_words: PredictorWeights, make_clip: Callable[..., Path]
) -> None:
    assert of_words.config.words == 0, "utterances keep their own lengths"
    row = read(make_clip("grey.mp4", seconds=2.0), of_words, "-t", SAID)
    assert row["modalities"] == ["text", "audio"] and set(row["unimodal"]) == {"text", "audio"}
    with pytest.raises(MediaError, match="no speech was found"):
        predict(upstream.model_file("sample-face"), of_words)


def test_what_they_answer_is_read_from_the_means_over_the_words(of_words: PredictorWeights) -> None:
    rng = np.random.default_rng(5)
    times = np.stack([np.arange(8.0), np.arange(8.0) + 1], axis=1) / 4
    spoken = Words(("so", "far"), np.array([[0.0, 1.0], [1.0, 2.0]]))
    timed, pooled = {}, {}
    for stream in of_words.specification.streams:
        values = rng.standard_normal((8, stream.dim)).astype(np.float32)
        timed[stream.modality] = Stream(values, replace(stream, clock="seconds"), times)
        pooled[stream.modality] = Stream(values.reshape(2, 4, -1).mean(axis=1), stream)
    one, other = (_one_utterance(made, spoken) for made in (timed, pooled))
    np.testing.assert_allclose(of_words.predict_proba(one), of_words.predict_proba(other), atol=1e-5)
    with pytest.raises(SpecificationError, match="none in the data, words in what the weights learned from"):
        whole = {m: Stream(s.values, replace(s.specification, clock="none")) for m, s in pooled.items()}
        of_words.predict(_one_utterance(whole, None))


def _one_utterance(streams: dict[str, Stream], words: Words | None) -> Corpus:
    specification = Specification(tuple(stream.specification for stream in streams.values()))
    return Corpus.from_utterances([Utterance("u", streams, words)], specification)
