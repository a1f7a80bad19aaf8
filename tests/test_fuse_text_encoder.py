"""A language model in front of a network: a tiny random BERT, trained along; padding, gaps and windows never count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from trivium.errors import SpecificationError, TriviumError, UpstreamError, WeightsError
from trivium.fuse import SelfMM, TextEncoder, WithTextEncoder, open_text_encoder, parameter_groups
from trivium.scale import WordPieces

transformers = pytest.importorskip("transformers")

_CLS, _SEP = 2, 3


def model(positions: int = 32) -> Any:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=50,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=12,
        max_position_embeddings=positions,
    )
    return transformers.BertModel(config).eval()


def tower(steps: Any = "words", positions: int = 32, marks: bool = True) -> TextEncoder:
    pieces = WordPieces("{}", (_CLS,) if marks else (), (_SEP,) if marks else (), 0)
    made = model(positions)
    return TextEncoder(made, pieces, "tiny", steps=steps, config=made.config.to_dict())


@pytest.fixture
def both() -> WithTextEncoder:
    torch.manual_seed(1)
    return tower().in_front_of(SelfMM({"text": 8, "audio": 3})).eval()


def words(*spelled: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Numbers (B, W, K), -1 where there are fewer, and which words have any."""
    longest, most = max(map(len, spelled)), max(len(word) for one in spelled for word in one)
    values = np.full((len(spelled), longest, most), -1, np.int32)
    for row, one in enumerate(spelled):
        for place, word in enumerate(one):
            values[row, place, : len(word)] = word
    found = torch.from_numpy(values)
    return found, (found >= 0).any(dim=2)


SPOKEN = ([[5], [6, 7], [8]], [[9, 10, 11], [12]], [[13]])


def direct(made: TextEncoder, ids: list[int]) -> Tensor:
    with torch.no_grad():
        states: Tensor = made.model(input_ids=torch.tensor([ids])).last_hidden_state[0]
    return states


def test_a_word_is_the_mean_of_its_pieces_in_the_models_own_pass_over_the_text() -> None:
    made = tower()
    with torch.no_grad():
        steps = made(*words(*SPOKEN))
    states = direct(made, [_CLS, 5, 6, 7, 8, _SEP])
    expected = torch.stack([states[1], states[2:4].mean(dim=0), states[4]])
    torch.testing.assert_close(steps.values[0], expected)
    assert steps.mask.tolist() == [[True, True, True], [True, True, False], [True, False, False]]
    assert not steps.values[1, 2].any() and not steps.values[2, 1:].any()


def test_an_utterance_is_the_state_of_the_mark_before_it_or_the_mean_where_there_is_none() -> None:
    given = words(*SPOKEN, [[]])
    with torch.no_grad():
        marked, bare = (one(*given) for one in (tower("utterance"), tower("utterance", marks=False)))
    torch.testing.assert_close(marked.values[1, 0], direct(tower(), [_CLS, 9, 10, 11, 12, _SEP])[0])
    torch.testing.assert_close(bare.values[1, 0], direct(tower(), [9, 10, 11, 12]).mean(dim=0))
    assert marked.mask.tolist() == bare.mask.tolist() == [[True], [True], [True], [False]]
    assert not marked.values[3].any()


@pytest.mark.parametrize("steps", ["words", "utterance"])
def test_company_order_and_padding_change_nothing(steps: Any) -> None:
    made = tower(steps)
    values, mask = words(*SPOKEN)
    with torch.no_grad():
        together = made(values, mask)
        turned = made(values.flip(0), mask.flip(0))
        torch.testing.assert_close(turned.values.flip(0), together.values)
        for row, one in enumerate(SPOKEN):
            alone = made(*words(one))
            torch.testing.assert_close(alone.values[0], together.values[row, : alone.values.shape[1]])
        wide = torch.full((3, 5, 4), 7, dtype=torch.int32)  # what stands at unseen words is not read
        wide[:, 2:, :3], seen = values, torch.zeros(3, 5, dtype=torch.bool)
        wide[:, 2:, 3], seen[:, 2:] = -1, mask
        padded = made(wide, seen)
    kept = padded.values[:, 2:] if steps == "words" else padded.values
    torch.testing.assert_close(kept, together.values)


def test_a_long_text_is_read_in_windows_and_a_short_one_is_not_cut() -> None:
    short, long = tower(positions=14), tower(positions=34)
    long.model.load_state_dict(
        {**short.model.state_dict(), "embeddings.position_embeddings.weight": torch.zeros(34, 8)}
    )
    short.model.load_state_dict(
        {**short.model.state_dict(), "embeddings.position_embeddings.weight": torch.zeros(14, 8)}
    )
    assert (short.window, long.window) == (10, 30)
    given = words([[n] for n in range(5, 25)])
    with torch.no_grad():
        cut, whole = short(*given).values[0], long(*given).values[0]
    assert cut.shape == (20, 8) and not torch.allclose(cut, whole)
    torch.testing.assert_close(cut[0], direct(short, [_CLS, *range(5, 15), _SEP])[1])
    torch.testing.assert_close(cut[10], direct(short, [_CLS, *range(10, 20), _SEP])[6])
    torch.testing.assert_close(cut[19], direct(short, [_CLS, *range(15, 25), _SEP])[10])


def test_it_learns_end_to_end_at_its_own_pace(both: WithTextEncoder) -> None:
    groups = parameter_groups(both, 1e-3, 0.01, text_learning_rate=5e-5, text_weight_decay=0.02)
    assert sum(len(group["params"]) for group in groups) == len(list(both.parameters()))
    assert [(group["lr"], group["weight_decay"]) for group in groups] == [(1e-3, 0.01), (5e-5, 0.02), (5e-5, 0.0)]
    assert all(parameter.dim() == 1 for parameter in groups[2]["params"])
    values, mask = words(*SPOKEN)
    audio = {"audio": torch.zeros(3, 1, 3)}, {"audio": torch.zeros(3, 1, dtype=torch.bool)}
    both({"text": values, **audio[0]}, {"text": mask, **audio[1]})["prediction"].square().sum().backward()
    gradients = [parameter.grad for parameter in both.encoder.parameters()]
    assert all(gradient is not None and bool(torch.isfinite(gradient).all()) for gradient in gradients)
    assert any(bool(gradient.any()) for gradient in gradients if gradient is not None)


def test_frozen_layers_take_no_part_and_their_number_is_checked(both: WithTextEncoder) -> None:
    both.encoder.freeze(1)
    learning = {name for name, parameter in both.encoder.named_parameters() if parameter.requires_grad}
    assert learning and all(name.startswith("model.encoder.layer.1.") for name in learning)
    groups = parameter_groups(both, 1e-3, 0.0, text_learning_rate=5e-5, text_weight_decay=0.0)
    assert sum(len(group["params"]) for group in groups[1:]) == len(learning)
    with pytest.raises(SpecificationError, match="3 layers of tiny cannot be frozen, it has 2"):
        both.encoder.freeze(3)


def test_nobody_in_the_batch_speaks(both: WithTextEncoder) -> None:
    values = {"text": torch.full((2, 0, 0), -1, dtype=torch.int32), "audio": torch.ones(2, 4, 3)}
    masks = {"text": torch.zeros(2, 0, dtype=torch.bool), "audio": torch.ones(2, 4, dtype=torch.bool)}
    outputs = both(values, masks)
    assert bool(torch.isfinite(outputs["prediction"]).all()) and not outputs["raw_text"].any()
    outputs["prediction"].sum().backward()  # every parameter has a gradient, which several processes need
    assert all(parameter.grad is not None for parameter in both.encoder.parameters())


def test_it_is_restored_from_data_alone() -> None:
    made = tower()
    state = {name: tensor.numpy() for name, tensor in made.model.state_dict().items()}
    evil = {**made.config, "auto_map": {"AutoModel": "evil.Evil"}, "attn_implementation": "evil/kernels"}
    before = torch.get_rng_state()
    again = TextEncoder.restored(evil, state, made.pieces, "tiny")
    assert torch.equal(torch.get_rng_state(), before)
    with torch.no_grad():
        torch.testing.assert_close(again(*words(*SPOKEN)).values, made(*words(*SPOKEN)).values)
    with pytest.raises(WeightsError, match="does not fit together"):
        TextEncoder.restored({**made.config, "hidden_size": 16}, state, made.pieces, "tiny")
    with pytest.raises(WeightsError, match="does not fit together"):
        TextEncoder.restored({"model_type": "none-such"}, state, made.pieces, "tiny")


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UpstreamError, match="there is no encoder"):
        open_text_encoder(f"hf:{tmp_path / 'nothing'}")
    with pytest.raises(SpecificationError, match="write hf:FOLDER"):
        open_text_encoder("hf")
    with pytest.raises(SpecificationError, match="write minilm-l6"):
        open_text_encoder("minilm-l6:large")
    with pytest.raises(TriviumError, match=r"no text-encoder 'bert'.*hf, minilm-l6"):
        open_text_encoder("bert")
    with pytest.raises(SpecificationError, match="text_steps cannot be 'pieces'"):
        tower("pieces")
    with pytest.raises(SpecificationError, match="encoder gives 8"):
        WithTextEncoder(SelfMM({"text": 4}), tower())
    with pytest.raises(SpecificationError, match="vocabulary of 50"):
        tower()(*words([[50]]))
    with pytest.raises(SpecificationError, match="whole numbers of pieces"):
        tower()(torch.zeros(1, 2, 3), torch.ones(1, 2, dtype=torch.bool))


def test_the_catalogues_encoder_gives_the_columns_of_its_extractor(need_models: Any) -> None:
    need_models("minilm-l6")
    from trivium.extract.text.minilm import load_word_encoder

    made = open_text_encoder("minilm-l6").eval()
    said = ["kids", "are", "unfathomably", "talking", "by", "the", "door"]
    with torch.no_grad():
        found = made(*words(made.pieces.of_words(said))).values[0]
    np.testing.assert_allclose(found.numpy(), load_word_encoder().encode(said), atol=2e-5)
