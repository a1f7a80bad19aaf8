"""Every registered network keeps the contract: padding never counts, any modalities, any batch, no NaN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from trivium import registry
from trivium.corpus import Specification, StreamSpecification
from trivium.errors import SpecificationError
from trivium.fuse import Network
from trivium.train import ArraySamples, Objective, Outputs, TensorBatch, Trainer, TrainingClock

NETWORKS = [entry.name for entry in registry.entries("network")]
WIDTHS = {"text": 6, "audio": 3, "vision": 4}
# Sizes that keep a test quick; those that are not named here are the defaults.
SMALL: dict[str, dict[str, Any]] = {
    "lf-dnn": {"hidden": 8, "recurrent_out": 4, "fusion": 8},
    "tfn": {"hidden": 4, "recurrent_out": 3, "fusion": 5},
    "ef-lstm": {"hidden": 6, "layers": 2},
    "mfn": {"hidden": 5, "memory": 4, "attention": 6, "candidate": 5, "retain": 5, "update": 5, "fusion": 6},
    "mult": {"size": 8, "heads": 2, "layers": 1, "self_layers": 1, "kernel": 2},
    "misa": {"size": 8},
    "self-mm": {"fusion": 8},
}
Parts = dict[str, Tensor]


def network_of(name: str, widths: Mapping[str, int] = WIDTHS, outputs: int = 1, **more: Any) -> Network:
    """A small network whose normalisation has seen something."""
    torch.manual_seed(0)
    network: Network = registry.load("network", name)(widths, outputs, **{**SMALL.get(name, {}), **more})
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_(0.0, 0.3)
            module.running_var.uniform_(0.5, 2.0)
    return network.eval()


def batch_of(
    steps: Mapping[str, int] | int, rows: int = 3, seed: int = 0, widths: Mapping[str, int] = WIDTHS
) -> tuple[Parts, Parts]:
    """Random values, and masks with gaps anywhere; the first sample is whole."""
    generator = torch.Generator().manual_seed(seed)
    lengths = dict.fromkeys(widths, steps) if isinstance(steps, int) else dict(steps)
    values = {m: torch.randn(rows, lengths[m], d, generator=generator) for m, d in widths.items()}
    masks = {m: torch.rand(rows, lengths[m], generator=generator) < 0.7 for m in widths}
    for mask in masks.values():
        mask[0] = True
    return values, masks


def assert_same(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], tolerance: float = 1e-6) -> None:
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, atol=tolerance, rtol=tolerance, msg=name)


def padded(parts: Parts, places: list[int], fill: float) -> Parts:
    """Same steps, with unseen ones put in before the given places."""
    grown = {}
    for name, tensor in parts.items():
        pieces = list(tensor.unbind(dim=1))
        for place in sorted(places, reverse=True):
            pieces.insert(min(place, len(pieces)), torch.full_like(pieces[0], fill))
        grown[name] = torch.stack(pieces, dim=1)
    return grown


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> Network:
    return network_of(request.param)


def test_what_stands_in_unseen_steps_changes_nothing(network: Network) -> None:
    values, masks = batch_of(5)
    other = {m: torch.where(masks[m].unsqueeze(2), x, torch.full_like(x, 1e3)) for m, x in values.items()}
    other["audio"] = torch.where(masks["audio"].unsqueeze(2), values["audio"], torch.tensor(float("nan")))
    with torch.no_grad():
        assert_same(network(other, masks), network(values, masks), 0.0)


@pytest.mark.parametrize("name", NETWORKS)
@settings(max_examples=8)
@given(
    places=st.lists(st.integers(0, 6), min_size=1, max_size=4),
    length=st.integers(1, 6),
    seed=st.integers(0, 10),
)
def test_padding_anywhere_changes_nothing(name: str, places: list[int], length: int, seed: int) -> None:
    network = network_of(name)
    values, masks = batch_of(length, rows=2, seed=seed)
    if length == 1 and network.aligned:
        masks = {m: torch.ones_like(mask) for m, mask in masks.items()}
    with torch.no_grad():
        expected = network(values, masks)
        assert_same(network(padded(values, places, 9.0), padded(masks, places, 0.0)), expected)


def test_an_unseen_cell_of_a_seen_step_changes_nothing(network: Network) -> None:
    values, masks = batch_of(4)
    cells = {m: masks[m].unsqueeze(2).repeat(1, 1, d) for m, d in WIDTHS.items()}
    cells["text"][0, 1, 2] = False
    other = {m: x.clone() for m, x in values.items()}
    other["text"][0, 1, 2] = 1e3
    with torch.no_grad():
        found = network(other, cells)
        assert_same(found, network(values, cells), 0.0)
        assert not torch.equal(found["prediction"][0], network(values, masks)["prediction"][0])


def test_modalities_of_different_lengths(network: Network) -> None:
    values, masks = batch_of({"text": 4, "audio": 9, "vision": 2})
    if network.aligned:
        with pytest.raises(SpecificationError, match="numbers of steps: text 4, audio 9, vision 2"):
            network(values, masks)
        return
    with torch.no_grad():
        expected = network(values, masks)
        longer = {"text": [4], "audio": [0, 9], "vision": [1]}
        values = {m: padded({m: x}, longer[m], 7.0)[m] for m, x in values.items()}
        masks = {m: padded({m: x}, longer[m], 0.0)[m] for m, x in masks.items()}
        assert_same(network(values, masks), expected)


def test_an_utterance_level_vector_beside_sequences(network: Network) -> None:
    values, masks = batch_of({"text": 1, "audio": 5, "vision": 5})
    masks["text"][:] = True
    masks["audio"][2], masks["vision"][2] = False, False
    with torch.no_grad():
        found = network(values, masks)
        assert all(bool(torch.isfinite(tensor).all()) for tensor in found.values())
        values["text"][2] += 2.0
        other = network(values, masks)
    assert any(not torch.equal(other[name][2], tensor[2]) for name, tensor in found.items())


def test_the_order_of_samples_does_not_matter(network: Network) -> None:
    values, masks = batch_of(5, rows=4)
    order = torch.tensor([2, 0, 3, 1])
    with torch.no_grad():
        expected = {name: tensor[order] for name, tensor in network(values, masks).items()}
        found = network({m: x[order] for m, x in values.items()}, {m: x[order] for m, x in masks.items()})
    assert_same(found, expected)


def test_a_sample_alone_gives_what_it_gives_among_others(network: Network) -> None:
    values, masks = batch_of(5)
    with torch.no_grad():
        expected = {name: tensor[1:2] for name, tensor in network(values, masks).items()}
        found = network({m: x[1:2] for m, x in values.items()}, {m: x[1:2] for m, x in masks.items()})
    assert_same(found, expected)


def test_a_batch_of_one_step_and_one_sample_trains(network: Network) -> None:
    values, masks = batch_of(1, rows=1)
    network.train()
    sum(tensor.square().sum() for tensor in network(values, masks).values()).backward()
    assert all(p.grad is None or bool(torch.isfinite(p.grad).all()) for p in network.parameters())


@pytest.mark.parametrize("missing", [("text",), ("audio",), ("text", "vision"), ("text", "audio", "vision")])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_modality_that_is_missing_is_a_zero_vector(name: str, missing: tuple[str, ...]) -> None:
    network = network_of(name)
    values, masks = batch_of(4)
    for modality in missing:
        masks[modality][1] = False
    network.train()
    outputs = network(values, masks)
    sum(tensor.square().sum() for tensor in outputs.values()).backward()
    assert all(p.grad is None or bool(torch.isfinite(p.grad).all()) for p in network.parameters())
    for output, tensor in network.eval()(values, masks).items():
        assert bool(torch.isfinite(tensor).all()), output
        if output.removeprefix("raw_") in missing or output.removeprefix("feature_") in missing:
            assert not tensor[1].any(), output


def test_a_modality_that_nobody_in_the_batch_has(network: Network) -> None:
    values, masks = batch_of(4)
    masks["vision"][:] = False
    with torch.no_grad():
        expected = network(values, masks)
        values["vision"], masks["vision"] = torch.zeros(3, 0, 4), torch.zeros(3, 0, dtype=torch.bool)
        assert_same(network(values, masks), expected)


@pytest.mark.parametrize("modalities", [("text",), ("audio", "vision"), ("text", "audio", "vision", "gaze")])
@pytest.mark.parametrize("name", NETWORKS)
def test_any_number_of_modalities_and_outputs(name: str, modalities: tuple[str, ...]) -> None:
    widths = {m: WIDTHS.get(m, 2) for m in modalities}
    network = network_of(name, widths, outputs=3)
    values, masks = batch_of(4, widths=widths)
    with torch.no_grad():
        outputs = network(values, masks)
    assert outputs["prediction"].shape == (3, 3)
    assert all(tensor.shape == (3, 3) for output, tensor in outputs.items() if output.startswith("prediction"))
    assert outputs["fused"].dim() == 2
    named = {output.partition("_")[2] for output in outputs} - {""}
    assert named <= set(modalities)


def test_every_parameter_learns_and_every_modality_counts(network: Network) -> None:
    torch.manual_seed(1)
    values, masks = batch_of(5, rows=8)
    values = {m: x.requires_grad_() for m, x in values.items()}
    outputs = network.train()(values, masks)
    sum(outputs[o].square().sum() for o in outputs if not o.startswith(("raw", "feature", "fused"))).backward()
    assert [n for n, p in network.named_parameters() if p.requires_grad and p.grad is None] == []
    assert [m for m in network.modalities if values[m].grad is None or not values[m].grad.any()] == []  # type: ignore[union-attr]


def test_same_seed_gives_the_same_weights(network: Network) -> None:
    again = network_of(network.name)
    assert_same(dict(again.state_dict()), dict(network.state_dict()), 0.0)


def test_wrong_batches_are_named(network: Network) -> None:
    values, masks = batch_of(4)
    with pytest.raises(SpecificationError, match="no values of the modality 'text'"):
        network({"audio": values["audio"]}, {"audio": masks["audio"]})
    with pytest.raises(SpecificationError, match="no mask of the modality 'text'"):
        network(values, {})
    with pytest.raises(SpecificationError, match=r"takes \(samples, steps, 6\)"):
        network({**values, "text": torch.zeros(3, 4, 5)}, masks)
    with pytest.raises(SpecificationError, match="modalities, columns and outputs"):
        type(network)({})


def test_a_network_comes_from_a_specification() -> None:
    streams = tuple(StreamSpecification.positional(m, "x", d) for m, d in reversed(WIDTHS.items()))
    for name in NETWORKS:
        made = registry.load("network", name).from_specification(Specification(streams), 2, **SMALL.get(name, {}))
        assert list(made.widths.items()) == list(WIDTHS.items())[: len(made.widths)] and made.outputs == 2


class AbsoluteError(Objective):
    name = "l1"

    def loss(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> Tensor:
        return (outputs["prediction"] - batch.labels["sentiment"]).abs().mean()


def test_the_loop_trains_every_network(network: Network) -> None:
    random = np.random.default_rng(0)
    values = {m: random.standard_normal((16, 4, d), dtype=np.float32) for m, d in WIDTHS.items()}
    mask = {m: np.arange(4) < random.integers(2, 5, (16, 1)) for m in WIDTHS}
    label = (values["text"].mean(axis=1)[:, :1] + values["text"][:, 0, 1:2]).clip(-2, 2)
    specification = Specification(tuple(StreamSpecification.positional(m, "x", d) for m, d in WIDTHS.items()))
    samples = ArraySamples(specification, values, mask, {"sentiment": label})
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    run = Trainer([AbsoluteError()], max_epochs=25, batch_size=8, show=False).fit(network, optimizer, samples)
    assert run.curves[-1]["train_loss"] < 0.7 * run.curves[0]["train_loss"]
