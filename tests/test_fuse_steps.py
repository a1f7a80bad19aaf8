"""Steps without padding: against packed sequences, against plain loops, and hand-computed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from trivium.errors import SpecificationError
from trivium.fuse import attention
from trivium.fuse.attention import Attention, sinusoids, visible_steps
from trivium.fuse.network import by_modality
from trivium.fuse.steps import (
    Steps,
    compact,
    join_steps,
    last_step,
    mean_of_steps,
    prepare_steps,
    reverse,
    spread_of_steps,
)
from trivium.fuse.subnetworks import BidirectionalLSTM, MaskedBatchNorm, RecurrentSubnetwork

masks = st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=4)


def steps_of(mask: list[list[bool]], width: int = 3) -> Steps:
    values = torch.randn(len(mask), len(mask[0]), width, generator=torch.Generator().manual_seed(0))
    return prepare_steps(values, torch.tensor(mask))


@given(masks)
def test_compact_steps_are_the_seen_ones_in_order(mask: list[list[bool]]) -> None:
    steps = steps_of(mask)
    found = compact(steps)
    for row, seen in enumerate(steps.mask):
        count = int(seen.sum())
        assert torch.equal(found.values[row, :count], steps.values[row, seen])
        assert not found.values[row, count:].any()
        assert found.mask[row].tolist() == [True] * count + [False] * (5 - count)


@given(masks)
def test_means_and_spreads_are_those_of_the_seen_steps(mask: list[list[bool]]) -> None:
    steps = steps_of(mask)
    for row, seen in enumerate(steps.mask):
        own = steps.values[row, seen].numpy()
        mean = own.mean(axis=0) if len(own) else np.zeros(3)
        spread = own.std(axis=0) if len(own) else np.zeros(3)
        np.testing.assert_allclose(mean_of_steps(steps)[row].numpy(), mean, atol=1e-6)
        np.testing.assert_allclose(spread_of_steps(steps)[row].numpy(), spread, atol=1e-5)


def test_a_spread_of_nothing_has_a_finite_gradient() -> None:
    values = torch.ones(1, 3, 2, requires_grad=True)
    spread_of_steps(prepare_steps(values, torch.ones(1, 3, dtype=torch.bool))).sum().backward()  # type: ignore[no-untyped-call]
    assert values.grad is not None and bool(torch.isfinite(values.grad).all())


LENGTHS = torch.tensor([5, 2, 4, 1])


@pytest.mark.parametrize("layers", [1, 3])
def test_an_lstm_without_packing_ends_where_a_packed_one_does(layers: int) -> None:
    lstm = nn.LSTM(3, 6, layers, batch_first=True)
    x = torch.randn(4, 5, 3)
    packed = pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    _, (expected, _) = lstm(packed)
    torch.testing.assert_close(last_step(lstm(x)[0], LENGTHS), expected[-1])


def test_the_recurrent_subnetwork_equals_a_packed_one_wherever_padding_stands() -> None:
    network = RecurrentSubnetwork(3, 6, 2, 0.0)
    mask = torch.tensor([[1, 1, 1, 1, 1], [0, 1, 0, 1, 0], [1, 1, 0, 1, 1], [0, 0, 1, 0, 0]]).bool()
    x = torch.randn(4, 5, 3)
    packed = nn.utils.rnn.pack_sequence([x[row, seen] for row, seen in enumerate(mask)], enforce_sorted=False)
    _, (state, _) = network.lstm(packed)
    torch.testing.assert_close(network(prepare_steps(x, mask)), network.linear(state[-1]))


def test_the_bidirectional_lstm_equals_a_packed_one() -> None:
    ours, theirs = BidirectionalLSTM(3, 6), nn.LSTM(3, 6, bidirectional=True, batch_first=True)
    given_weights = {f"{name}{end}": part for end, module in (("", ours.forwards), ("_reverse", ours.backwards))
                     for name, part in module.state_dict().items()}  # fmt: skip
    theirs.load_state_dict(given_weights)
    x = torch.randn(4, 5, 3)
    packed, (last, _) = theirs(pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False))
    expected, _ = pad_packed_sequence(packed, batch_first=True)
    states, found = ours(x, LENGTHS)
    torch.testing.assert_close(found, last.transpose(0, 1))
    for row, length in enumerate(LENGTHS):
        torch.testing.assert_close(states[row, :length], expected[row, :length])


def test_reverse_leaves_padding_behind() -> None:
    x = torch.arange(10.0).reshape(2, 5, 1)
    assert reverse(x, torch.tensor([5, 3]))[0].flatten().tolist() == [4, 3, 2, 1, 0]
    assert reverse(x, torch.tensor([5, 3]))[1, :3].flatten().tolist() == [7, 6, 5]


def test_batch_normalisation_counts_rows_that_count() -> None:
    ours, theirs = MaskedBatchNorm(3), nn.BatchNorm1d(3)
    x = torch.randn(6, 3)
    counts = torch.tensor([True, False, True, True, False, True])
    expected = theirs(x[counts])
    found = ours(x, counts)
    torch.testing.assert_close(found[counts], expected)
    assert not found[~counts].any()
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)


def test_one_row_is_normalised_with_what_was_seen_before() -> None:
    norm = MaskedBatchNorm(3)
    before = norm.running_mean.clone()  # type: ignore[union-attr]
    x = torch.randn(1, 3)
    torch.testing.assert_close(norm(x), norm.eval()(x))
    torch.testing.assert_close(norm.running_mean, before)


def test_modalities_are_joined_on_the_steps_that_anyone_was_seen_at() -> None:
    text = prepare_steps(torch.tensor([[[1.0], [2.0], [3.0], [4.0]]]), torch.tensor([[True, False, False, True]]))
    face = prepare_steps(torch.tensor([[[5.0], [6.0], [7.0], [8.0]]]), torch.tensor([[False, False, True, True]]))
    speaker = prepare_steps(torch.tensor([[[9.0]]]), torch.tensor([[True]]))
    joined, mask = join_steps({"text": text, "vision": face, "speaker": speaker})
    assert mask.tolist() == [[True, True, True, False]]
    assert joined["text"].values.flatten().tolist() == [1, 0, 4, 0]
    assert joined["vision"].values.flatten().tolist() == [0, 7, 8, 0]
    assert joined["speaker"].values.flatten().tolist() == [9, 9, 9, 0]


def test_attention_equals_torchs_own() -> None:
    ours, theirs = Attention(8, 2, 0.0), nn.MultiheadAttention(8, 2, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": ours.into.weight,
            "in_proj_bias": ours.into.bias,
            "out_proj.weight": ours.out.weight,
            "out_proj.bias": ours.out.bias,
        }
    )
    x, source = torch.randn(3, 4, 8), torch.randn(3, 6, 8)
    length = torch.tensor([6, 2, 4])
    expected, _ = theirs(x, source, source, key_padding_mask=torch.arange(6) >= length.unsqueeze(1))
    bias = visible_steps(torch.tensor([4, 4, 4]), 4, length, 6, future=True)
    torch.testing.assert_close(ours(x, source, bias), expected)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_long_sequences_give_what_short_ones_would(dropout: float, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = Attention(8, 2, dropout)
    x, source = torch.randn(2, 6, 8), torch.randn(2, 7, 8)
    bias = visible_steps(torch.tensor([6, 3]), 6, torch.tensor([7, 2]), 7, future=False)
    stays = (torch.arange(8) % 3 > 0).float()
    monkeypatch.setattr(attention, "drawn", lambda x, rate: (stays[: x.shape[2]].expand(x.shape).clone(), 2.0))
    monkeypatch.setattr(attention, "dropout", lambda x, rate: x * stays[: x.shape[3]] * 2 if rate else x)
    found = []
    for short in (10_000, 1):
        monkeypatch.setattr(attention, "_SHORT", short)
        torch.manual_seed(0)
        layer.zero_grad()
        output = layer(x, source, bias)
        output.square().sum().backward()
        found.append((output.detach(), *(p.grad.clone() for p in layer.parameters() if p.grad is not None)))
    for short_way, long_way in zip(*found, strict=True):
        torch.testing.assert_close(long_way, short_way)


def test_steps_see_as_far_ahead_as_lengths_differ() -> None:
    seen = visible_steps(torch.tensor([3, 2]), 3, torch.tensor([4, 0]), 5, future=False)[:, 0] == 0
    assert seen[0].int().tolist() == [[1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0]]
    assert seen[1].int().tolist() == [[1, 0, 0, 0, 0]] * 3  # of a missing sequence only the zero step, not used


@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_sinusoids_follow_their_formula(size: int) -> None:
    half = size // 2
    expected = np.zeros((4, size))
    for position in range(4):
        for column in range(half):
            angle = (position + 1) / 10_000 ** (column / max(half - 1, 1))
            expected[position, column], expected[position, half + column] = np.sin(angle), np.cos(angle)
    np.testing.assert_allclose(sinusoids(4, size).numpy(), expected, atol=1e-5)


def test_hyper_parameters_by_modality() -> None:
    defaults = {"text": 1, "audio": 2, "vision": 3}
    assert by_modality(7, defaults, ("text", "gaze")) == {"text": 7, "gaze": 7}
    assert by_modality({"gaze": 9}, defaults, ("text", "gaze")) == {"text": 1, "gaze": 9}
    with pytest.raises(SpecificationError, match="no modality 'txt'"):
        by_modality({"txt": 9}, defaults, ("text",))
