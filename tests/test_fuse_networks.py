"""What single networks promise: formulas by hand, options, and refusals."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from trivium.errors import SpecificationError
from trivium.fuse import EFLSTM, LFDNN, LMF, MFN, MISA, TFN, Concat, MulT, SelfMM, Unimodal
from trivium.fuse.steps import Steps, prepare_steps

WIDTHS = {"text": 4, "audio": 3, "vision": 2}


def whole_batch(steps: int = 3, rows: int = 2) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(3)
    values = {m: torch.randn(rows, steps, d, generator=generator) for m, d in WIDTHS.items()}
    return values, {m: torch.ones(rows, steps, dtype=torch.bool) for m in WIDTHS}


def test_tensor_fusion_holds_every_product() -> None:
    network = TFN(WIDTHS, hidden={"audio": 2, "vision": 3, "text": 4}, recurrent_out=2, fusion=5).eval()
    values, masks = whole_batch()
    outputs = network(values, masks)
    t, a, v = (torch.cat([torch.ones(2, 1), outputs[f"feature_{m}"]], dim=1) for m in WIDTHS)
    product = torch.einsum("bi,bj,bk->bijk", t, a, v).flatten(1)
    assert product.shape[1] == 3 * 3 * 4
    torch.testing.assert_close(network.fusion(product), outputs["prediction"])


def test_tensor_fusion_keeps_its_range_and_refuses_a_product_that_explodes() -> None:
    network = TFN(WIDTHS, hidden=2, recurrent_out=2, output_range=(-1, 1)).eval()
    nn.init.constant_(network.fusion.last.bias, 50.0)
    assert network(*whole_batch())["prediction"].tolist() == [[1.0], [1.0]]
    with pytest.raises(SpecificationError, match="cells"):
        TFN({**WIDTHS, "gaze": 2, "hands": 2})


def test_low_rank_fusion_is_tensor_fusion_with_weights_of_low_rank() -> None:
    network = LMF(WIDTHS, 2, hidden=4, rank=3).eval()
    outputs = network(*whole_batch())
    t, a, v = (torch.cat([torch.ones(2, 1), outputs[f"feature_{m}"]], dim=1) for m in WIDTHS)
    f, ranks = network.factors, network.rank_weights[0]
    weights = torch.einsum("r,rio,rjo,rko->ijko", ranks, f["text"], f["audio"], f["vision"])
    expected = torch.einsum("bi,bj,bk,ijko->bo", t, a, v, weights) + network.bias
    torch.testing.assert_close(outputs["prediction"], expected)


def test_a_missing_modality_leaves_the_products_of_the_others() -> None:
    network = TFN(WIDTHS, hidden=3, recurrent_out=3, fusion=4).eval()
    values, masks = whole_batch()
    masks["vision"][:] = False
    outputs = network(values, masks)
    t, a = (torch.cat([torch.ones(2, 1), outputs[f"feature_{m}"]], dim=1) for m in ("text", "audio"))
    product = torch.einsum("bi,bj,bk->bijk", t, a, torch.eye(4)[:1].expand(2, -1)).flatten(1)
    torch.testing.assert_close(network.fusion(product), outputs["prediction"])


def test_the_memory_of_the_memory_fusion_network_step_by_step() -> None:
    network = MFN(WIDTHS, hidden=3, memory=4, attention=5, candidate=5, retain=5, update=5).eval()
    values, masks = whole_batch(steps=4)
    state = {m: (torch.zeros(2, 3), torch.zeros(2, 3)) for m in WIDTHS}
    memory = torch.zeros(2, 4)
    for step in range(4):
        before = torch.cat([cell for _, cell in state.values()], dim=1)
        state = {m: network.cells[m](values[m][:, step], state[m]) for m in WIDTHS}
        window = torch.cat([before, *(cell for _, cell in state.values())], dim=1)
        attended = window * network.attention(window).softmax(dim=1)
        both = torch.cat([attended, memory], dim=1)
        kept = network.retain(both).sigmoid() * memory
        memory = kept + network.update(both).sigmoid() * network.candidate(attended).tanh()
    expected = torch.cat([*(hidden for hidden, _ in state.values()), memory], dim=1)
    torch.testing.assert_close(network(values, masks)["fused"], expected)


def test_the_transformer_without_other_modalities_attends_to_itself() -> None:
    network = MulT({"audio": 3}, size=4, heads=2, layers=1, self_layers=2).eval()
    assert len(network.crossmodal["audio"]) == 0  # type: ignore[arg-type]
    values, masks = whole_batch(steps=6)
    outputs = network({"audio": values["audio"]}, {"audio": masks["audio"]})
    assert outputs["feature_audio"].shape == (2, 4)


def test_a_causal_transformer_does_not_see_later_steps_of_equal_sequences() -> None:
    network = MulT({"audio": 3, "vision": 2}, size=4, heads=2, layers=2, self_layers=1, kernel=1).eval()
    values, masks = whole_batch(steps=5)
    mapped = {m: network.projections[m](prepare_steps(values[m], masks[m])) for m in ("audio", "vision")}
    expected = network._crossmodal(mapped)["audio"][0]
    later = mapped["vision"].values.clone()
    later[:, 3:] *= -2.0
    found = network._crossmodal({**mapped, "vision": Steps(later, mapped["vision"].mask)})["audio"][0]
    torch.testing.assert_close(found[:, :3], expected[:, :3])
    assert not torch.allclose(found[:, 3:], expected[:, 3:])


def test_sequences_shorter_than_the_convolution() -> None:
    network = MulT(WIDTHS, size=4, heads=2, layers=1, self_layers=1, kernel=5).eval()
    values, masks = whole_batch(steps=2)
    longer = {m: torch.cat([x, torch.ones(2, 6, x.shape[2])], dim=1) for m, x in values.items()}
    unseen = {m: torch.cat([x, torch.zeros(2, 6, dtype=torch.bool)], dim=1) for m, x in masks.items()}
    torch.testing.assert_close(network(longer, unseen)["prediction"], network(values, masks)["prediction"])


def test_positions_tell_two_orders_of_steps_apart() -> None:
    values, masks = whole_batch(steps=4)
    turned = {m: torch.cat([x[:, 2:3], x[:, :2], x[:, 3:]], dim=1) for m, x in values.items()}
    for positions, same in ((True, False), (False, True)):
        torch.manual_seed(0)
        sizes = {"size": 8, "heads": 2, "layers": 1, "self_layers": 1, "kernel": 1}
        network = MulT(WIDTHS, positions=positions, causal=False, **sizes).eval()
        a, b = network(values, masks)["prediction"], network(turned, masks)["prediction"]
        assert torch.allclose(a, b, atol=1e-6) == same


def test_misa_shares_one_encoder_and_decodes_private_plus_shared() -> None:
    network = MISA(WIDTHS, size=6).eval()
    outputs = network(*whole_batch())
    for name in WIDTHS:
        raw = outputs[f"raw_{name}"]
        torch.testing.assert_close(outputs[f"shared_{name}"], network.shared(raw).sigmoid())
        torch.testing.assert_close(outputs[f"private_{name}"], network.private[name](raw).sigmoid())
        both = outputs[f"private_{name}"] + outputs[f"shared_{name}"]
        torch.testing.assert_close(outputs[f"reconstruction_{name}"], network.decoders[name](both))


def test_misas_layer_equals_torchs_transformer_layer() -> None:
    network = MISA(WIDTHS, size=6)
    ours = network.transformer.eval()
    theirs = nn.TransformerEncoderLayer(6, 2, batch_first=True).eval()
    names = {"attention.into.": "self_attn.in_proj_", "attention.out": "self_attn.out_proj", "first": "linear1"}
    names |= {"second": "linear2", "norm_attention": "norm1", "norm_layers": "norm2"}
    state = {}
    for name, tensor in ours.state_dict().items():
        old = next(prefix for prefix in names if name.startswith(prefix))
        state[names[old] + name.removeprefix(old)] = tensor
    theirs.load_state_dict(state)
    x = torch.randn(3, 6, 6)
    torch.testing.assert_close(ours(x), theirs(x))


def test_self_mm_takes_the_first_or_the_mean_of_the_words() -> None:
    values, masks = whole_batch()
    masks["text"][0, 0] = False
    first = SelfMM(WIDTHS, text_pooling="first")(values, masks)["raw_text"]
    torch.testing.assert_close(first, torch.stack([values["text"][0, 1], values["text"][1, 0]]))
    mean = SelfMM(WIDTHS)(values, masks)["raw_text"]
    torch.testing.assert_close(mean[0], values["text"][0, 1:].mean(dim=0))


def test_self_mms_heads_do_not_mix_modalities() -> None:
    network = SelfMM(WIDTHS).eval()
    values, masks = whole_batch()
    before = network(values, masks)
    after = network({**values, "audio": values["audio"] + 1}, masks)
    assert torch.equal(before["prediction_text"], after["prediction_text"])
    assert not torch.equal(before["prediction_audio"], after["prediction_audio"])
    assert not torch.equal(before["prediction"], after["prediction"])


def test_one_modality_alone_ignores_the_others() -> None:
    network = Unimodal(WIDTHS, modality="vision").eval()
    values, masks = whole_batch()
    assert torch.equal(
        network(values, masks)["prediction"], network({**values, "text": values["text"] * 2}, masks)["prediction"]
    )
    assert Unimodal(WIDTHS).modalities == ("text",)
    with pytest.raises(SpecificationError, match="cannot read 'gaze'"):
        Unimodal(WIDTHS, modality="gaze")


def test_concat_sees_means_and_deviations() -> None:
    values, masks = whole_batch()
    pooled = Concat(WIDTHS).eval()(values, masks)["raw_audio"]
    mean, spread = values["audio"].mean(dim=1), values["audio"].std(dim=1, correction=0)
    torch.testing.assert_close(pooled, torch.cat([mean, spread], dim=1) / math.sqrt(1 + 1e-5), atol=1e-5, rtol=1e-5)
    assert Concat(WIDTHS, pooling="mean").eval()(values, masks)["raw_audio"].shape == (2, 3)


def test_balanced_modalities_have_the_same_total_variance() -> None:
    torch.manual_seed(0)
    network = Concat({"audio": 90, "vision": 10}, pooling="mean", balanced=True).train()
    values = {"audio": torch.randn(64, 1, 90), "vision": 7 * torch.randn(64, 1, 10)}
    vectors = network(values, {m: torch.ones(64, 1, dtype=torch.bool) for m in values})
    spread = {m: vectors[f"raw_{m}"].var(dim=0, correction=0).sum().item() for m in values}
    assert spread["audio"] == pytest.approx(50, rel=1e-3) and spread["vision"] == pytest.approx(50, rel=1e-3)


def test_early_fusion_equals_an_lstm_over_joined_columns() -> None:
    network = EFLSTM(WIDTHS, hidden=5, layers=2).eval()
    values, masks = whole_batch()
    joined = torch.cat(list(values.values()), dim=2) / math.sqrt(1 + 1e-5)
    _, (state, _) = network.lstm(joined)
    torch.testing.assert_close(network(values, masks)["fused"], network.linear(state[-1]).relu())


def test_any_modality_may_be_read_by_an_lstm() -> None:
    network = LFDNN(WIDTHS, recurrent=("text", "audio"), recurrent_out=7)
    assert network.subnetworks.sizes == {"text": 7, "audio": 7, "vision": 128}


@pytest.mark.parametrize(
    ("cls", "option"),
    [
        (LFDNN, {"recurrent": ("gaze",)}),
        (LFDNN, {"recurrent": "text"}),
        (SelfMM, {"pooled": ("gaze",)}),
        (SelfMM, {"text_pooling": "last"}),
        (Concat, {"pooling": "max"}),
        (MulT, {"size": 50, "heads": 7}),
        (MISA, {"size": 5}),
        (TFN, {"hidden": {"gaze": 3}}),
        (MFN, {"outputs": 0}),
    ],
)
def test_options_that_cannot_be_are_refused(cls: type[nn.Module], option: dict[str, object]) -> None:
    with pytest.raises(SpecificationError):
        cls(WIDTHS, **option)
