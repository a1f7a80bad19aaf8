"""Text read from words by an encoder that is trained along: it learns, is stored, goes on, and says what it lacks."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from trivium.align import align
from trivium.cli import app
from trivium.corpus import Corpus, LabelSpecification, Specification, Stream, StreamSpecification, Utterance, Words
from trivium.errors import DataError, DependencyError, SpecificationError, WeightsError
from trivium.predict import EmotionClassifier, SentimentRegressor
from trivium.scale import SpelledSequences
from trivium.train.run_checkpoint import RunCheckpoint
from trivium.weights import check_weights, load_predictor, predictor_answers

transformers = pytest.importorskip("transformers")
FORKS = multiprocessing.get_context("fork")

GOOD, BAD, PLAIN = ("good", "lovely"), ("bad", "awful"), ("the", "film", "was", "seen", "talking")
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", *GOOD, *BAD, *PLAIN[:-1], "talk", "##ing", "."]
TEXT = StreamSpecification("text", ("x", "y"), clock="words")
AUDIO = StreamSpecification("audio", ("f0",), clock="words")
SENTIMENT = LabelSpecification("sentiment", "regression", range=(-1.0, 1.0))
MOOD = LabelSpecification("mood", "binary", ("down", "up"))
LEARNS: dict[str, Any] = {
    "max_epochs": 12,
    "batch_size": 8,
    "learning_rate": 1e-2,
    "text_learning_rate": 1e-2,
    "validation_fraction": 0,
    "progress": False,
    "random_state": 1,
}
QUICK: dict[str, Any] = {**LEARNS, "max_epochs": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers and 17 pieces with random weights, as transformers writes it."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import TemplateProcessing

    place = tmp_path_factory.mktemp("encoders") / "Tiny_BERT"
    tokenizer = Tokenizer(WordPiece({word: number for number, word in enumerate(PIECES)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = BertNormalizer(), BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]"
    ).save_pretrained(place)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    transformers.BertModel(
        transformers.BertConfig(vocab_size=len(PIECES), max_position_embeddings=34, **sizes)
    ).save_pretrained(place)
    return place


def spoken(n: int = 40, seed: int = 0, *, words: bool = True, text: bool = False) -> Corpus:
    """Synthetic: the label lies in one word, columns of text and audio are noise."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(n):
        up = bool(rng.integers(2))
        said = [str(word) for word in rng.choice(PLAIN, int(rng.integers(2, 5)))]
        said.insert(int(rng.integers(len(said) + 1)), str(rng.choice(GOOD if up else BAD)))
        times = np.stack([np.arange(len(said)), np.arange(len(said)) + 1.0], axis=1)
        streams = {s.modality: Stream(rng.standard_normal((len(said), s.dim)).astype(np.float32), s) for s in STREAMS}
        made.append(
            Utterance(
                f"u{i}",
                streams,
                words=Words(tuple(said), times) if words else None,
                text=" ".join(said) + "." if text else "",
                labels={"sentiment": 1.0 if up else -1.0, "mood": "up" if up else "down"},
                splits={"standard": ("train", "train", "valid", "test")[i % 4]},
            )
        )
    return Corpus.from_utterances(made, Specification(STREAMS, (SENTIMENT, MOOD)))


STREAMS = (TEXT, AUDIO)


def regressor(folder: Path, network: str = "self-mm", **settings: Any) -> SentimentRegressor:
    return SentimentRegressor(network, label="sentiment", text_encoder=f"hf:{folder}", **{**LEARNS, **settings})


def test_what_only_words_tell_is_learned_and_columns_alone_do_not_tell_it(folder: Path) -> None:
    corpus, others = spoken(), spoken(24, seed=9)
    read = regressor(folder).fit(corpus)
    assert read.score(others, others.label("sentiment")) > 0.9
    columns = SentimentRegressor("self-mm", label="sentiment", **LEARNS).fit(corpus)
    assert columns.score(others, others.label("sentiment")) < 0.3


def test_gradient_reaches_the_encoder_at_a_learning_rate_of_its_own(folder: Path) -> None:
    corpus = spoken(16)
    start = transformers.BertModel.from_pretrained(folder).state_dict()

    def moved(**settings: Any) -> float:
        made = regressor(folder, **{**QUICK, **settings}).fit(corpus)
        assert made.text_encoder_ is not None
        ends = made.text_encoder_.model.state_dict()
        return max(float((ends[name] - start[name]).abs().max()) for name in ends)

    still = {"text_learning_rate": 0.0, "text_weight_decay": 0.0}
    assert moved(**still) == 0 < moved(text_learning_rate=1e-5) < 1e-4 < moved(text_learning_rate=1e-2)
    assert moved(freeze_layers=2) == 0 < moved(freeze_layers=1)


def test_company_and_order_change_no_prediction(folder: Path) -> None:
    corpus = spoken(12)
    made = regressor(folder, **QUICK).fit(corpus)
    together = made.predict(corpus)
    alone = [made.predict(corpus[[row]])[0] for row in range(len(corpus))]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(made.predict(corpus[::-1])[::-1], together, atol=1e-5)


@pytest.mark.parametrize("network", ["mult", "ef-lstm"])
def test_a_step_stays_a_word_whatever_the_network_reads(folder: Path, network: str) -> None:
    corpus = spoken(10)
    made = regressor(folder, network, **{**QUICK, "max_epochs": 1}).fit(corpus)
    assert np.isfinite(made.predict(corpus)).all()
    aligned = align(corpus, words=4, show=False)
    again = regressor(folder, network, **{**QUICK, "max_epochs": 1, "text_steps": "utterance"}).fit(aligned)
    assert np.isfinite(again.predict(aligned)).all()


def test_a_pause_and_a_padded_step_are_no_words(folder: Path) -> None:
    corpus = spoken(8)
    made = regressor(folder, **QUICK).fit(corpus)
    one = corpus[0]
    assert one.words is not None
    spread = replace(one, streams={}, words=Words(("sp", *one.words.text, "sp")))
    bare = Corpus.from_utterances([replace(one, streams={})], corpus.specification)
    with_pauses = Corpus.from_utterances([spread], corpus.specification)
    np.testing.assert_allclose(made.predict(with_pauses), made.predict(bare), atol=1e-6)


def test_a_transcript_stands_in_for_words_and_who_says_nothing_lacks_the_modality(folder: Path) -> None:
    written = spoken(24, words=False, text=True)
    silent = replace(written[0], id="silent", text="", streams={"audio": written[0].streams["audio"]})
    corpus = Corpus.from_utterances([*written, silent], written.specification)
    made = regressor(folder).fit(corpus)
    assert made.score(written, written.label("sentiment")) > 0.9
    assert made.text_encoder_ is not None
    x = SpelledSequences(corpus, made.text_encoder_.pieces, made.text_encoder_.stream)
    assert x.spoken.tolist() == [True] * 24 + [False] and not x.batch(np.array([24])).mask["text"].any()


def test_words_that_are_missing_are_named(folder: Path) -> None:
    corpus = spoken(12)
    lost = Corpus.from_utterances(
        [replace(u, words=None) if i in (3, 7) else u for i, u in enumerate(corpus)], corpus.specification
    )
    with pytest.raises(DataError, match=r"2 of 12 utterances have columns of text but no words: u3, u7") as caught:
        regressor(folder).fit(lost)
    assert "keeps its words" in str(caught.value)
    with pytest.raises(DataError, match="none of the 12 utterances has any"):
        regressor(folder).fit(nobody(corpus))
    with pytest.raises(SpecificationError, match="an array of numbers has none"):
        regressor(folder).fit(np.zeros((8, 3, 2), np.float32), np.arange(8.0))
    with pytest.raises(SpecificationError, match="an array of numbers has none"):
        regressor(folder).fit(np.zeros((8, 3), np.float32), np.arange(8.0))


def nobody(corpus: Corpus) -> Corpus:
    """The same without words and without columns of text."""
    kept = [replace(u, words=None, streams={"audio": u.streams["audio"]}) for u in corpus]
    return Corpus.from_utterances(kept, Specification((AUDIO,), (SENTIMENT, MOOD)))


def test_weights_hold_the_encoder_as_data_and_answer_the_same(folder: Path, tmp_path: Path) -> None:
    corpus = spoken(16)
    made = EmotionClassifier("self-mm", label="mood", text_encoder=f"hf:{folder}", **QUICK).fit(corpus)
    weights = made.save(tmp_path / "w")
    names = {file.name for file in (tmp_path / "w").iterdir()}
    assert {"encoder.safetensors", "encoder.json", "tokenizer.json"} <= names and "network.onnx" not in names
    assert all(file.suffix in (".safetensors", ".json", ".md") for file in (tmp_path / "w").iterdir())
    assert str(folder) not in "".join(f.read_text() for f in (tmp_path / "w").iterdir() if f.suffix != ".safetensors")
    np.testing.assert_allclose(weights.predict_proba(corpus), made.predict_proba(corpus), atol=1e-6)
    told = predictor_answers(corpus, load_predictor(tmp_path / "w"))
    assert told[0]["modalities"] == ["text", "audio"] and set(told[0]["unimodal"]) == {"text", "audio"}
    assert check_weights(tmp_path / "w").ok
    assert "read by the text encoder `tiny-bert`" in (tmp_path / "w" / "README.md").read_text()
    # columns of text no longer matter, words do
    bare = Corpus.from_utterances([replace(u, streams={"audio": u.streams["audio"]}) for u in corpus], without_text())
    np.testing.assert_allclose(weights.predict_proba(bare), made.predict_proba(corpus), atol=1e-6)
    with pytest.raises(DataError, match="columns of text but no words: u0, u1"):
        weights.predict(Corpus.from_utterances([replace(u, words=None) for u in corpus], corpus.specification))


def without_text() -> Specification:
    return Specification((AUDIO,), (SENTIMENT, MOOD))


def test_what_was_learned_aligned_is_predicted_aligned(folder: Path, tmp_path: Path) -> None:
    corpus = spoken(12)
    aligned = align(corpus, words=3, show=False)
    made = regressor(folder, "tfn", **QUICK).fit(aligned)
    weights = made.save(tmp_path / "w")
    np.testing.assert_allclose(weights.predict(corpus), made.predict(aligned), atol=1e-6)


def test_damaged_encoders_and_missing_libraries_are_said(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = spoken(8)
    place = regressor(folder, **QUICK).fit(corpus).save(tmp_path / "w").folder
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "torch", None)
        with pytest.raises(DependencyError, match="text encoder tiny-bert, which was trained along, needs torch"):
            load_predictor(place).predict(corpus)
    stored = (place / "encoder.json").read_bytes()
    (place / "encoder.json").write_bytes(stored.replace(b'"bert"', b'"tree"'))
    with pytest.raises(WeightsError, match=r"encoder\.json: differs from its hash"):
        load_predictor(place).predict(corpus)
    (place / "encoder.json").unlink()
    with pytest.raises(WeightsError, match=r"lacks encoder\.json"):
        load_predictor(place)


# the commands

ASKED = ["-l", "sentiment", "-p", "regression", "--epochs", "4", "--batch-size", "8", "--lr", "0.01", "--seed", "3"]


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    spoken(48).save(tmp_path / "spoken")
    return tmp_path / "spoken"


def run(*arguments: object) -> Result:
    done = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


def train(corpus: Path, folder: Path, out: Path, *more: object) -> Result:
    tower = ["--text-encoder", f"hf:{folder}", "--text-learning-rate", "0.01", "--network", "self-mm"]
    return run("train", corpus, *ASKED, *tower, "--out", out, *more)


def test_the_commands_train_evaluate_and_predict_with_it(stored: Path, folder: Path, tmp_path: Path) -> None:
    told = train(stored, folder, tmp_path / "w", "--epochs", 12, "--text-steps", "utterance").output
    assert "self-mm, its text read by tiny-bert, 12 epochs" in told
    facts = json.loads(
        run("evaluate", stored, "-w", tmp_path / "w", "--json", "--resamples", 0, "--missing", "--draws", 1).stdout
    )
    assert facts["scores"]["r"]["mean"] > 0.7
    subsets = facts["missing"]["subsets"]
    assert subsets["text"]["mae"] < 0.5 * subsets["audio"]["mae"]
    row = json.loads(run("predict", stored, "-w", tmp_path / "w", "--json").stdout)[0]
    assert row["modalities"] == ["text", "audio"]


def train_until_killed(corpus: Path, folder: Path, out: Path) -> None:
    torch.set_num_threads(1)  # a pool of threads does not survive the fork
    save, calls = RunCheckpoint.save, []

    def save_and_die(self: RunCheckpoint, *rest: Any) -> None:
        save(self, *rest)
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    RunCheckpoint.save = save_and_die  # type: ignore[method-assign, assignment]
    train(corpus, folder, out)


def test_a_run_that_was_killed_goes_on_and_ends_with_the_same_bytes(stored: Path, folder: Path, tmp_path: Path) -> None:
    train(stored, folder, tmp_path / "straight")
    process = FORKS.Process(target=train_until_killed, args=(stored, folder, tmp_path / "killed"))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL and not (tmp_path / "killed").exists()
    with pytest.raises(WeightsError, match=r"other settings \(text_learning_rate"):
        train(stored, folder, tmp_path / "killed", "--resume", "--text-learning-rate", "0.02")
    train(stored, folder, tmp_path / "killed", "--resume")
    for name in ("encoder.safetensors", "model.safetensors", "proof.safetensors", "config.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()


def test_its_learning_rate_can_be_tuned(stored: Path, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    asked = ["tune", stored, "-l", "sentiment", "-p", "regression", "--network", "concat", "--trials", 1]
    asked += ["--set", f"text_encoder=hf:{folder}", "--set", "max_epochs=1", "--set", "batch_size=16"]
    done = run(*asked, "--try", "text_learning_rate=log(1e-4, 1e-2)", "--out", tmp_path / "t", "--json")
    best = json.loads(done.stdout)
    assert f"--text-encoder hf:{folder}" in best["command"]


def test_a_raw_clip_is_answered_by_its_words(
    folder: Path, make_clip: Callable[..., Path], need_models: Callable[..., None], tmp_path: Path
) -> None:
    need_models("minilm-l6", "g2p-en")
    from trivium.extract import ClipExtractor

    (audio,) = (s for s in ClipExtractor(["text", "audio"]).specification.streams if s.modality == "audio")
    corpus = spoken(16)
    streams = {"audio": Stream(np.zeros((2, audio.dim), np.float32), audio, np.array([[0.0, 0.5], [0.5, 1.0]]))}
    heard = [replace(u, streams=streams) for u in corpus]
    learned = Corpus.from_utterances(heard, Specification((audio,), (SENTIMENT, MOOD)))
    regressor(folder).fit(learned).save(tmp_path / "w")
    clip = make_clip("talk.wav", seconds=3.0, fps=None)
    answers = {}
    for said in ("the film was lovely", "the film was awful"):
        done = run("predict", clip, "-w", tmp_path / "w", "-t", said, "--json")
        (row,) = json.loads(done.stdout)
        assert row["modalities"] == ["text", "audio"]
        answers[said] = row["answer"]
    assert answers["the film was lovely"] > 0.5 > -0.5 > answers["the film was awful"]
