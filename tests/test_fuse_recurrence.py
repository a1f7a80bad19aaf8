"""Rows of seen steps, and the backward passes written for them, against torch's own and plain loops."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence

from trivium import registry
from trivium.fuse import attention, dropout, gated_memory, mfn, mult, recurrence, steps, tensor_product, two_layers
from trivium.fuse.gated_memory import Gate, remember
from trivium.fuse.recurrence import StepRows, earlier_rows, last_state, long_short_term
from trivium.fuse.steps import prepare_steps

masks = st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=4)
WIDTHS = {"text": 6, "audio": 3, "vision": 4}
SMALL: dict[str, dict[str, Any]] = {
    "lf-dnn": {"hidden": 8},
    "tfn": {"hidden": 4, "recurrent_out": 3},
    "ef-lstm": {"hidden": 6, "layers": 2},
    "mfn": {"hidden": 5, "memory": 4},
    "mult": {"size": 8, "heads": 2, "layers": 1, "self_layers": 2, "kernel": 2},
    "misa": {"size": 8},
}


def gradients(output: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    """Of a loss that weighs every cell differently."""
    weights = torch.arange(1.0, output.numel() + 1, dtype=output.dtype).view(output.shape).cos()
    return list(torch.autograd.grad((output * weights).sum(), inputs))


def assert_all_close(found: list[Tensor], expected: list[Tensor]) -> None:
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()


@given(masks)
def test_rows_are_the_seen_steps_longest_sample_first(given_mask: list[list[bool]]) -> None:
    mask = torch.tensor(given_mask)
    rows = StepRows.of(mask)
    seen = [[5 * b + t for t in range(5) if mask[b, t]] or [5 * b] for b in range(len(mask))]
    order = sorted(range(len(mask)), key=lambda b: (-len(seen[b]), b))
    expected = [seen[b][t] for t in range(5) for b in order if len(seen[b]) > t]
    assert rows.place.tolist() == expected
    assert rows.sizes == [n for t in range(5) if (n := sum(len(own) > t for own in seen))]
    assert [rows.place[last].item() for last in rows.last] == [own[-1] for own in seen]
    assert rows.sample.tolist() == [place // 5 for place in expected]
    before = earlier_rows(rows.place.double().unsqueeze(1) + 1, rows.sizes).flatten()
    earlier = {place: (own[i - 1] if i else -1) for own in seen for i, place in enumerate(own)}
    assert before.tolist() == [earlier[place] + 1 for place in expected]


@settings(deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=5))
def test_states_cells_and_gradients_are_those_of_a_packed_lstm(lengths: list[int]) -> None:
    lstm = nn.LSTM(3, 4, batch_first=True).double()
    x = random(len(lengths), 6, 3)
    mask = torch.arange(6) < torch.tensor(lengths).unsqueeze(1)
    rows = StepRows.of(mask)
    states, cells = long_short_term(rows.take(x), lstm.all_weights[0], rows.sizes)
    packed, (_, last_cells) = lstm(pack_sequence([own[:n] for own, n in zip(x, lengths, strict=True)], False))
    padded = pad_packed_sequence(packed, batch_first=True, total_length=6)[0]
    expected = padded.flatten(0, 1)[rows.place]
    torch.testing.assert_close(states, expected)
    torch.testing.assert_close(cells[rows.last], last_cells[0])
    inputs = [x, *lstm.parameters()]
    both = gradients(torch.cat([states.flatten(), cells[rows.last].flatten()]), inputs)
    assert_all_close(both, gradients(torch.cat([expected.flatten(), last_cells.flatten()]), inputs))


@pytest.mark.parametrize("layers", [1, 3])
def test_large_batches_end_where_small_ones_do(layers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lstm = nn.LSTM(3, 6, layers, batch_first=True).double()
    mask = torch.tensor([[1, 1, 0, 1, 1], [0, 1, 0, 1, 0], [0, 0, 0, 0, 0], [0, 0, 1, 0, 0]]).bool()
    found = []
    for small in (0, 10**9):
        monkeypatch.setattr(recurrence, "_SMALL", small)
        x = random(4, 5, 3)
        state = last_state(lstm, prepare_steps(x, mask))
        found.append([state, *gradients(state, [x, *lstm.parameters()])])
    assert_all_close(*found)
    assert not found[0][0][2].any()


def test_wide_columns_of_data_are_read_as_torch_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    lstm, x = nn.LSTM(3, 6, batch_first=True).double(), random(4, 5, 3).detach()
    taken: list[Tensor] = []
    lstm.register_forward_pre_hook(lambda _, given: taken.extend(given))
    monkeypatch.setattr(recurrence, "_SMALL", 0)
    found = []
    for wide in (0, 10**9):
        monkeypatch.setattr(recurrence, "_WIDE", wide)
        state = last_state(lstm, prepare_steps(x, torch.ones(4, 5, dtype=torch.bool)))
        found.append([state, *gradients(state, list(lstm.parameters()))])
    assert_all_close(*found)
    assert len(taken) == 1  # of the two ways one is torch's


@pytest.mark.parametrize("drops", [False, True])
def test_the_gated_memory_equals_a_plain_loop(drops: bool) -> None:
    rows, hidden, memory, lengths = 3, (4, 2), 5, [4, 4, 2]
    sizes = [3, 3, 2, 2]
    mask = torch.arange(4) < torch.tensor(lengths).unsqueeze(1)
    order = StepRows.of(mask)
    candidates, firsts = random(rows, 4, memory), [random(rows, 4, h, seed=h) for h in hidden]
    weights = [(random(h, memory, seed=7), random(memory, h, seed=8), random(memory, seed=9)) for h in hidden]
    stays = [(random(rows, 4, h, seed=5).detach() > 0).double() * 2 if drops else None for h in hidden]
    inputs = [candidates, *firsts, *(tensor for three in weights for tensor in three)]

    plain = [Gate(first, *three, stay) for first, three, stay in zip(firsts, weights, stays, strict=True)]
    state, after = torch.zeros(rows, memory, dtype=torch.float64), []
    for step in range(4):
        state = plain[0].at(step, state) * state + plain[1].at(step, state) * candidates[:, step]
        after.append(state)
    expected = order.take(torch.stack(after, dim=1))

    in_rows = [
        Gate(order.take(gate.given), *gate[1:4], None if gate.stays is None else order.take(gate.stays))
        for gate in plain
    ]
    found = remember(order.take(candidates), in_rows[0], in_rows[1], sizes)
    torch.testing.assert_close(found, expected)
    assert_all_close(gradients(found, inputs), gradients(expected, inputs))


@pytest.mark.parametrize("piece", [1, 40, 10**6])
def test_the_layer_on_a_product_equals_one_on_the_whole(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_product, "_PIECE", piece)
    first, rest, weight, bias = random(3, 5), random(3, 7, seed=1), random(4, 35, seed=2), random(4, seed=3)
    expected = F.linear(torch.einsum("bi,bj->bij", first, rest).flatten(1), weight, bias)
    found = tensor_product.linear_of_product(first, rest, weight, bias, 0.0)
    torch.testing.assert_close(found, expected)
    inputs = [first, rest, weight, bias]
    assert_all_close(gradients(found, inputs), gradients(expected, inputs))


def test_cells_of_a_product_that_were_dropped_have_no_gradient() -> None:
    first, rest = random(2, 5), random(2, 7, seed=1)
    weight, bias = torch.eye(35, dtype=torch.float64).requires_grad_(), torch.zeros(35, dtype=torch.float64)
    torch.manual_seed(0)
    found = tensor_product.linear_of_product(first, rest, weight, bias, 0.4)
    stays = (found / torch.einsum("bi,bj->bij", first, rest).flatten(1)).detach()
    assert set(stays.flatten().round(decimals=6).tolist()) == {0.0, round(1 / 0.6, 6)}
    expected = (torch.einsum("bi,bj->bij", first, rest).flatten(1) * stays) @ weight.t()
    inputs = [first, rest, weight]
    assert_all_close(gradients(found, inputs), gradients(expected, inputs))


def every_third(x: Tensor) -> Tensor:
    """What stays: two of three keys, the same ones for every query, so that it does not matter how many are asked."""
    return (torch.arange(x.shape[-1]) % 3 > 0).to(x.dtype).expand(x.shape)


@pytest.mark.parametrize("drops", [False, True])
@pytest.mark.parametrize("together", [2, 24])
@pytest.mark.parametrize("ahead", [0, 2, 9])
def test_short_attention_equals_its_formula(
    drops: bool, together: int, ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [random(3, 2, 5, 4), random(3, 2, 14, 4, seed=1), random(3, 2, 14, 4, seed=2)]
    bias = torch.zeros(3, 1, 5, 14, dtype=torch.float64)
    bias = bias.masked_fill(torch.ones(5, 14).triu(1 + ahead).bool(), -torch.inf)
    bias[1, :, :, 1] = -torch.inf  # a gap, and a longest sequence that is not the first
    monkeypatch.setattr(attention, "_TOGETHER", together)
    monkeypatch.setattr(attention, "drawn", lambda x, rate: (every_third(x).clone(), 2.0))
    monkeypatch.setattr(attention, "dropout", lambda x, rate: x * every_third(x) * 2 if rate else x)
    query, key, value = parts
    rate = 0.5 if drops else 0.0
    looks = attention.glances(bias, 5, 14)
    assert [look.keys for look in looks] == [8 if q + ahead < 9 else 16 for q in ([2, 4, 5] if together == 2 else [5])]
    found = attention._short(query, key, value, looks, [rate])
    expected = attention._weighted(query, key, value, bias, rate)
    torch.testing.assert_close(found, expected)
    assert_all_close(gradients(found, parts), gradients(expected, parts))


def test_parts_of_a_batch_have_their_own_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    rates, count = [0.0, 0.5, 0.5, 0.25], {0.5: 2.0, 0.25: 4.0}
    monkeypatch.setattr(attention, "drawn", lambda x, rate: (every_third(x).clone(), count[rate]))
    monkeypatch.setattr(attention, "dropout", lambda x, rate: x * every_third(x) * count[rate] if rate else x)
    query, key, value = parts = [random(8, 5, 6), random(8, 7, 6, seed=1), random(8, 7, 6, seed=2)]
    found = attention.attend(query, key, value, 2, rates)
    q, k, v = ([own.view(2, -1, 2, 3).transpose(1, 2) for own in part.chunk(4)] for part in parts)
    by_part = [attention._weighted(a, b, c, None, rate) for a, b, c, rate in zip(q, k, v, rates, strict=True)]
    taken = [own.transpose(1, 2).flatten(2) for own in by_part]
    torch.testing.assert_close(found, torch.cat(taken))
    assert_all_close(gradients(found, parts), gradients(torch.cat(taken), parts))
    monkeypatch.setattr(attention, "_SHORT", 0)
    torch.testing.assert_close(attention.attend(query, key, value, 2, rates), found)


def test_a_rate_may_be_a_whole_number() -> None:
    query, key = random(2, 6, 4), random(2, 7, 4, seed=1)
    torch.testing.assert_close(attention.attend(query, key, key, 2, 0), attention.attend(query, key, key, 2, 0.0))


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
def test_large_scores_overflow_nothing(scale: float) -> None:
    doubles = [random(3, 2, 5, 4) * scale, random(3, 2, 7, 4, seed=1), random(3, 2, 7, 4, seed=2)]
    query, key, value = parts = [part.detach().float().requires_grad_() for part in doubles]
    found = attention._short(query, key, value, attention.glances(None, 5, 7), [0.0])
    expected = attention._weighted(query, key, value, None, 0.0)
    assert found.isfinite().all()
    torch.testing.assert_close(found, expected)
    for own, other in zip(
        torch.autograd.grad(found.square().sum(), parts),
        torch.autograd.grad(expected.square().sum(), parts),
        strict=True,
    ):
        torch.testing.assert_close(own, other, rtol=1e-3, atol=1e-3)


def test_two_layers_equal_their_formula() -> None:
    torch.manual_seed(0)
    groups = [(torch.nn.LayerNorm(4), torch.nn.Linear(4, 9), torch.nn.Linear(9, 4)) for _ in range(3)]
    modules = torch.nn.ModuleList([module for group in groups for module in group]).double()
    for parameter in modules.parameters():
        torch.nn.init.normal_(parameter)
    x = random(3, 6, 4)
    inputs = [x, *modules.parameters()]
    found = two_layers.two_layers(x, *zip(*groups, strict=True))
    expected = torch.stack(
        [rows + second(first(norm(rows)).relu()) for rows, (norm, first, second) in zip(x, groups, strict=True)]
    )
    torch.testing.assert_close(found, expected)
    assert_all_close(gradients(found, inputs), gradients(expected, inputs))


def test_mixed_precision_takes_plain_formulas() -> None:
    torch.manual_seed(0)
    network = registry.load("network", "mult")(WIDTHS, 1, **SMALL["mult"]).eval()
    values = {m: random(4, 5, d, seed=d).float() for m, d in WIDTHS.items()}
    masks = {m: torch.ones(4, 5, dtype=torch.bool) for m in WIDTHS}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = network(values, masks)["prediction"]
    torch.autograd.backward(found.float().sum())
    torch.testing.assert_close(found.float(), network(values, masks)["prediction"], rtol=0.1, atol=0.1)


@pytest.mark.parametrize("name", list(SMALL))
def test_a_network_gives_the_same_where_shapes_must_not_depend_on_what_was_seen(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    network = registry.load("network", name)(WIDTHS, 2, **SMALL[name]).double().train()
    for module in network.modules():
        for attribute in ("p", "dropout"):
            if isinstance(getattr(module, attribute, None), float):
                setattr(module, attribute, 0.0)
    seen = {m: torch.rand(4, 5, generator=torch.Generator().manual_seed(i)) < 0.7 for i, m in enumerate(WIDTHS)}
    seen["audio"][1] = False
    for mask in seen.values():
        mask[2] = False
    monkeypatch.setattr(recurrence, "_SMALL", 0)
    found = []
    for eager in (True, False):
        for module in MODULES_THAT_ASK:
            monkeypatch.setattr(module, "is_eager", lambda x, eager=eager: eager)
        values = {m: random(4, 5, d, seed=d) for m, d in WIDTHS.items()}
        outputs = network(values, seen)
        answer = torch.cat([outputs[key] for key in sorted(outputs)], dim=1)
        inputs = [*values.values(), *network.parameters()]
        weights = torch.arange(answer.numel(), dtype=torch.float64).view(answer.shape).cos()
        given = torch.autograd.grad((answer * weights).sum(), inputs, allow_unused=True)
        found.append([answer, *(part for part in given if part is not None)])
    assert_all_close(*found)


MODULES_THAT_ASK: tuple[ModuleType, ...] = (attention, mfn, mult, recurrence, tensor_product)


def test_every_module_that_asks_is_compared() -> None:
    asking = [module for module in (attention, dropout, gated_memory, mfn, mult, recurrence, steps, tensor_product)
              if hasattr(module, "is_eager") and module is not steps]  # fmt: skip
    assert asking == list(MODULES_THAT_ASK)


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("cells", [100, 250_000])
def test_dropout_drops_its_share_and_keeps_the_mean(rate: float, cells: int) -> None:
    torch.manual_seed(0)
    factors = dropout.survivors(torch.empty(cells), rate)
    share = (factors == 0).double().mean().item()
    assert abs(share - rate) < 5 * (rate * (1 - rate) / cells) ** 0.5
    torch.testing.assert_close(factors.max().item(), 1 / (1 - rate), rtol=1e-4, atol=0)
    assert len(set(factors.tolist())) == 2


def test_neighbouring_cells_are_dropped_independently_and_a_seed_repeats_them() -> None:
    torch.manual_seed(1)
    stays = (dropout.dropout(torch.ones(400_000), 0.5) > 0).double()
    for apart in range(1, 9):
        assert abs((stays[apart:] * stays[:-apart]).mean().item() - 0.25) < 0.004
    torch.manual_seed(1)
    assert torch.equal((dropout.dropout(torch.ones(400_000), 0.5) > 0).double(), stays)


def test_dropout_at_its_ends() -> None:
    x = torch.ones(5000)
    assert dropout.dropout(x, 0.0) is x and dropout.dropout(x, 0.5, training=False) is x
    assert not dropout.dropout(x, 1.0).any()
