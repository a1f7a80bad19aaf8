"""A language model in front of a network: a tiny random BERT, trained along, padding never counts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from trivium.errors import SpecificationError, UpstreamError
from trivium.fuse import SelfMM, TextEncoder, WithTextEncoder

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=50,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=12,
        max_position_embeddings=16,
    )
    return TextEncoder(transformers.BertModel(config, add_pooling_layer=False).eval())


@pytest.fixture
def both(encoder: TextEncoder) -> WithTextEncoder:
    torch.manual_seed(1)
    return WithTextEncoder(SelfMM({"text": 8, "audio": 3}, text_pooling="first"), encoder).eval()


def batch() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(2)
    values = {
        "text": torch.randint(1, 50, (3, 5, 1), generator=generator, dtype=torch.int32),
        "audio": torch.randn(3, 4, 3, generator=generator),
    }
    text = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]]).bool()
    return values, {"text": text, "audio": torch.ones(3, 4, dtype=torch.bool)}


def test_states_are_those_of_the_model_without_padding(encoder: TextEncoder) -> None:
    values, masks = batch()
    with torch.no_grad():
        states = encoder(values["text"], masks["text"]).values
        alone = encoder.model(input_ids=values["text"][1:2, :2, 0].long()).last_hidden_state
    torch.testing.assert_close(states[1:2, :2], alone)
    assert not states[1, 2:].any() and not states[2].any()


def test_padding_before_words_changes_nothing(both: WithTextEncoder) -> None:
    values, masks = batch()
    longer = {**values, "text": torch.cat([torch.full((3, 2, 1), 7, dtype=torch.int32), values["text"]], dim=1)}
    unseen = {**masks, "text": torch.cat([torch.zeros(3, 2, dtype=torch.bool), masks["text"]], dim=1)}
    with torch.no_grad():
        torch.testing.assert_close(both(longer, unseen)["prediction"], both(values, masks)["prediction"])


def test_it_learns_end_to_end_at_its_own_pace(both: WithTextEncoder) -> None:
    groups = both.parameter_groups(1e-3, encoder_learning_rate=5e-5, weight_decay=0.01)
    assert sum(len(group["params"]) for group in groups) == len(list(both.parameters()))
    assert [group["weight_decay"] for group in groups] == [0.01, 0.01, 0.0]
    assert all(parameter.dim() == 1 for parameter in groups[2]["params"])
    values, masks = batch()
    both(values, masks)["prediction"].square().sum().backward()
    gradients = [parameter.grad for parameter in both.encoder.parameters() if parameter.grad is not None]
    assert gradients and all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
    assert any(bool(gradient.any()) for gradient in gradients)


def test_nobody_in_the_batch_speaks(both: WithTextEncoder) -> None:
    values, masks = batch()
    values["text"], masks["text"] = values["text"][:, :0], masks["text"][:, :0]
    outputs = both(values, masks)
    assert bool(torch.isfinite(outputs["prediction"]).all()) and not outputs["raw_text"].any()


def test_it_comes_from_a_local_folder(encoder: TextEncoder, tmp_path: Path) -> None:
    encoder.model.save_pretrained(tmp_path / "bert")  # type: ignore[operator]
    values, masks = batch()
    again = TextEncoder.from_pretrained(tmp_path / "bert", offline=True).eval()
    with torch.no_grad():
        found, expected = (e(values["text"], masks["text"]).values for e in (again, encoder))
    torch.testing.assert_close(found, expected)


def test_what_cannot_be_is_refused(encoder: TextEncoder, tmp_path: Path) -> None:
    with pytest.raises(UpstreamError, match="cannot be opened"):
        TextEncoder.from_pretrained(tmp_path / "nothing", offline=True)
    with pytest.raises(SpecificationError, match="encoder gives 8"):
        WithTextEncoder(SelfMM({"text": 4}), encoder)
    seen = torch.ones(1, 2, dtype=torch.bool)
    with pytest.raises(SpecificationError, match="vocabulary of 50"):
        encoder(torch.tensor([[[3], [50]]]), seen)
    with pytest.raises(SpecificationError, match="one id per step"):
        encoder(torch.zeros(1, 2, 3, dtype=torch.int32), seen)
