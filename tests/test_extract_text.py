"""Contextual word vectors, against the same network built from another library's layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from trivium.errors import DataError
from trivium.extract.text.minilm import WordEncoder, load_word_encoder, text_specification, text_stream
from trivium.extract.words.transcript import read_transcript

NeedModels = Callable[..., None]


@pytest.fixture(scope="module")
def encoder(need_models: NeedModels) -> WordEncoder:
    need_models("minilm-l6")
    return load_word_encoder()


def _torch_encoder(weights: dict[str, Any], torch: Any) -> Any:
    """Six layers of torch's own transformer with the published weights."""
    layer = torch.nn.TransformerEncoderLayer(
        384, 12, 1536, dropout=0.0, activation="gelu", layer_norm_eps=1e-12, batch_first=True
    )
    network = torch.nn.TransformerEncoder(layer, 6, enable_nested_tensor=False).eval()
    for number, own in enumerate(network.layers):
        name = f"encoder.layer.{number}."
        state = {}
        for kind in ("weight", "bias"):
            parts = [weights[f"{name}attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
            state[f"self_attn.in_proj_{kind}"] = torch.cat(parts)
            state[f"self_attn.out_proj.{kind}"] = weights[f"{name}attention.output.dense.{kind}"]
            state[f"norm1.{kind}"] = weights[f"{name}attention.output.LayerNorm.{kind}"]
            state[f"linear1.{kind}"] = weights[f"{name}intermediate.dense.{kind}"]
            state[f"linear2.{kind}"] = weights[f"{name}output.dense.{kind}"]
            state[f"norm2.{kind}"] = weights[f"{name}output.LayerNorm.{kind}"]
        own.load_state_dict(state)
    return network


def test_hidden_states_equal_those_of_torch(encoder: WordEncoder) -> None:
    torch = pytest.importorskip("torch")
    weights = {name: torch.tensor(value) for name, value in encoder._weights.items()}
    ids = encoder._tokenizer.encode("Kids are talking by the door, aren't they?").ids
    given = (
        weights["embeddings.word_embeddings.weight"][ids]
        + weights["embeddings.position_embeddings.weight"][: len(ids)]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    norm = (weights["embeddings.LayerNorm.weight"], weights["embeddings.LayerNorm.bias"])
    with torch.no_grad():
        given = torch.nn.functional.layer_norm(given, (384,), *norm, 1e-12)
        expected = _torch_encoder(weights, torch)(given[None])[0].numpy()
    np.testing.assert_allclose(encoder.hidden_states(ids), expected, atol=1e-5)


def test_hidden_states_equal_those_of_transformers(encoder: WordEncoder) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    torch = pytest.importorskip("torch")
    shape = transformers.BertConfig(
        hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536, vocab_size=30522
    )
    network = transformers.BertModel(shape).eval()
    network.load_state_dict({k: torch.tensor(v) for k, v in encoder._weights.items()}, strict=False)
    ids = encoder._tokenizer.encode("Kids are talking by the door.").ids
    with torch.no_grad():
        expected = network(torch.tensor([ids])).last_hidden_state[0].numpy()
    np.testing.assert_allclose(encoder.hidden_states(ids), expected, atol=1e-4)


def test_a_word_is_the_mean_of_its_pieces(encoder: WordEncoder) -> None:
    whole = encoder._tokenizer.encode("kids aren't unfathomable")
    states = encoder.hidden_states(whole.ids)
    vectors = encoder.encode(["Kids", "aren't", "unfathomable"])
    pieces = {0: [1], 1: [2, 3, 4], 2: list(range(5, len(whole.ids) - 1))}
    for word, places in pieces.items():
        np.testing.assert_allclose(vectors[word], states[places].mean(axis=0), atol=1e-5)


def test_the_same_word_differs_by_context(encoder: WordEncoder) -> None:
    money, river = encoder.encode("the bank lent money".split())[1], encoder.encode("the bank of a river".split())[1]
    assert not np.allclose(money, river, atol=0.05)


def test_a_long_text_is_covered_and_its_middle_sees_both_sides(encoder: WordEncoder) -> None:
    tokens = "he said that the old dog was asleep on the porch again".split() * 40
    vectors = encoder.encode(tokens)
    assert vectors.shape == (480, 384)
    assert np.all(np.linalg.norm(vectors, axis=1) > 1)
    np.testing.assert_allclose(vectors[:50], encoder.encode(tokens[:253])[:50], atol=0.5)


@pytest.mark.parametrize("count", [0, 1, 254, 255])
def test_any_length_gives_a_vector_per_token(encoder: WordEncoder, count: int) -> None:
    vectors = encoder.encode(["word"] * count)
    assert vectors.shape == (count, 384) and vectors.dtype == np.float32 and np.isfinite(vectors).all()


def test_the_stream_has_a_step_per_spoken_word_at_its_time(encoder: WordEncoder) -> None:
    transcript = read_transcript("She paid $5.")
    times = np.array([[0.0, 0.2], [0.2, 0.5], [0.5, 0.8], [0.8, 1.0]])
    stream = text_stream(transcript, times)
    assert stream.values.shape == (4, 384) and stream.times is times
    assert stream.specification == text_specification()
    np.testing.assert_array_equal(stream.values[2], stream.values[3])  # both are spoken for "$5."


def test_a_missing_time_is_an_error() -> None:
    with pytest.raises(DataError, match="2 words"):
        text_stream(read_transcript("two words"), np.zeros((1, 2)))
