"""The network against the sizes and parameter counts of the paper's public code."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from trivium.errors import SpecificationError
from trivium.objectives import Reconstruction
from trivium.represent import ConvAutoencoderNetwork, ConvDecoder, ConvEncoder
from trivium.train import TensorBatch, TrainingClock

torch.set_num_threads(1)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def batch(x: Tensor, seen: Tensor | None = None) -> TensorBatch:
    return TensorBatch(torch.arange(len(x)), {"aligned": x}, {} if seen is None else {"aligned": seen}, {})


@pytest.mark.parametrize("unpooling", ["switches", "none"])
@pytest.mark.parametrize("width", [409, 35])
def test_parameters_are_those_of_the_public_code_whatever_the_width(unpooling: str, width: int) -> None:
    network = ConvAutoencoderNetwork(20, width, unpooling)  # type: ignore[arg-type]
    assert (count(network.encoder), count(network.decoder), count(network)) == (272_207, 272_193, 544_400)


@pytest.mark.parametrize(
    ("width", "numbers"), [(409, 255), (374, 225), (335, 210), (109, 60), (300, 180), (74, 45), (35, 15)]
)
def test_length_of_the_vector_by_width(width: int, numbers: int) -> None:
    encoder = ConvEncoder(20, width).eval()
    assert encoder.n_features == numbers
    assert encoder(torch.zeros(1, 1, 20, width)).shape == (1, numbers)


def test_sizes_on_the_way_are_those_of_the_table() -> None:
    encoder = ConvEncoder(20, 409)
    assert encoder.before_pooling == [(22, 411), (13, 207), (6, 103), (2, 34)]
    assert encoder.code_shape == (15, 1, 17)
    code, switches = encoder.with_switches(torch.zeros(2, 1, 20, 409))
    assert code.shape == (2, 15, 1, 17)
    assert [tuple(s.shape[1:]) for s in switches] == [(32, 11, 205), (64, 6, 103), (128, 2, 34), (15, 1, 17)]


class WrittenByHand(nn.Module):
    """The table of the paper's public code, layer by layer, from torch's own layers."""

    def __init__(self) -> None:
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(1, 32, 3, padding=2), nn.BatchNorm2d(32)
        self.c2, self.b2 = nn.Conv2d(32, 64, 3, padding=2), nn.BatchNorm2d(64)
        self.c3, self.b3 = nn.Conv2d(64, 128, 5, padding=2), nn.BatchNorm2d(128)
        self.c4 = nn.Conv2d(128, 15, 5, padding=2)
        self.t1, self.d1 = nn.ConvTranspose2d(15, 128, 5, padding=2), nn.BatchNorm2d(128)
        self.t2, self.d2 = nn.ConvTranspose2d(128, 64, 5, padding=2), nn.BatchNorm2d(64)
        self.t3, self.d3 = nn.ConvTranspose2d(64, 32, 3, padding=2), nn.BatchNorm2d(32)
        self.t4 = nn.ConvTranspose2d(32, 1, 3, padding=2)
        self.pool2, self.pool3 = nn.MaxPool2d(2, return_indices=True), nn.MaxPool2d(3, return_indices=True)
        self.unpool2, self.unpool3 = nn.MaxUnpool2d(2), nn.MaxUnpool2d(3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        gelu = nn.functional.gelu
        one = gelu(self.b1(self.c1(x)))
        x, i1 = self.pool2(one)
        two = gelu(self.b2(self.c2(x)))
        x, i2 = self.pool2(two)
        three = gelu(self.b3(self.c3(x)))
        x, i3 = self.pool3(three)
        four = self.c4(x)
        code, i4 = self.pool2(four)
        x = gelu(self.d1(self.t1(self.unpool2(code, i4, output_size=four.size()))))
        x = gelu(self.d2(self.t2(self.unpool3(x, i3, output_size=three.size()))))
        x = gelu(self.d3(self.t3(self.unpool2(x, i2, output_size=two.size()))))
        return code.flatten(1), self.t4(self.unpool2(x, i1, output_size=one.size()))


def twin(network: ConvAutoencoderNetwork) -> WrittenByHand:
    """The same network written by hand, with the same weights (both list their layers in the same order)."""
    other = WrittenByHand()
    other.load_state_dict(dict(zip(other.state_dict(), network.state_dict().values(), strict=True)))
    return other


def test_network_and_first_training_steps_are_those_of_a_loop_written_by_hand() -> None:
    torch.manual_seed(0)
    network = ConvAutoencoderNetwork(20, 50)
    other = twin(network)
    x = torch.rand(3, 6, 20, 50)
    ours = torch.optim.Adam(network.parameters(), lr=2e-2, weight_decay=1e-3)
    theirs = torch.optim.Adam(other.parameters(), lr=2e-2, weight_decay=1e-3)
    for step in range(3):
        loss = Reconstruction("count").loss(network(batch(x[step])), batch(x[step]), TrainingClock(0, step))
        _, rebuilt = other(x[step].unsqueeze(1))
        hand = nn.functional.mse_loss(rebuilt, x[step].unsqueeze(1))
        assert loss.item() == pytest.approx(hand.item(), rel=1e-5)
        for optimizer, value in ((ours, loss), (theirs, hand)):
            optimizer.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    network.eval(), other.eval()
    with torch.no_grad():
        torch.testing.assert_close(
            network.encoder(x[0].unsqueeze(1)), other(x[0].unsqueeze(1))[0], rtol=1e-3, atol=1e-4
        )


def test_both_ways_through_the_encoder_agree() -> None:
    encoder = ConvEncoder(20, 74).eval()
    x = torch.rand(2, 1, 20, 74)
    torch.testing.assert_close(encoder(x), encoder.with_switches(x)[0].flatten(1))


def test_with_switches_the_decoder_sees_more_than_the_vector_and_without_them_it_does_not() -> None:
    """The slip of the public code, shown: the same vector with other switches gives another reconstruction."""
    torch.manual_seed(0)
    x = torch.rand(2, 1, 20, 74)
    for unpooling, same in (("switches", False), ("none", True)):
        network = ConvAutoencoderNetwork(20, 74, unpooling).eval()  # type: ignore[arg-type]
        code, switches = network.encoder.with_switches(x)
        a = network.decoder(code, switches)
        b = network.decoder(code, [s.flip(0) for s in switches])
        assert torch.equal(a, b) is same


def test_a_decoder_of_switches_says_when_they_are_missing() -> None:
    encoder = ConvEncoder(20, 35)
    with pytest.raises(SpecificationError, match="switches"):
        ConvDecoder(encoder)(torch.zeros(1, *encoder.code_shape))
    with pytest.raises(SpecificationError, match="choose from switches, none"):
        ConvDecoder(encoder, "nearest")  # type: ignore[arg-type]


@pytest.mark.parametrize(("words", "width"), [(1, 1), (17, 409), (20, 17), (18, 18), (3, 74), (50, 20)])
@pytest.mark.parametrize("unpooling", ["switches", "none"])
def test_small_matrices_are_filled_up_and_come_back_at_their_size(words: int, width: int, unpooling: str) -> None:
    network = ConvAutoencoderNetwork(words, width, unpooling).train()  # type: ignore[arg-type]
    outputs = network(batch(torch.rand(1, words, width)))  # one row, in training mode
    assert outputs["reconstruction"].shape == (1, words, width)
    assert outputs["representation"].shape == (1, network.encoder.n_features)


def test_the_margin_is_zeros_before_the_words_and_behind_the_columns() -> None:
    torch.manual_seed(0)
    small, large = ConvEncoder(15, 10).eval(), ConvEncoder(18, 18).eval()
    large.load_state_dict(small.state_dict())
    x = torch.rand(2, 1, 15, 10)
    filled = torch.zeros(2, 1, 18, 18)
    filled[:, :, 3:, :10] = x
    torch.testing.assert_close(small(x), large(filled))


def test_eighteen_is_the_smallest_side_that_four_pools_leave_something_of() -> None:
    def after_pools(side: int) -> int:
        for kernel, pool in ((3, 2), (3, 2), (5, 3), (5, 2)):
            side = (side + 4 - kernel + 1) // pool
        return side

    assert (after_pools(17), after_pools(18)) == (0, 1)


def test_convolutions_begin_with_xavier_weights_and_zero_biases() -> None:
    network = ConvAutoencoderNetwork(20, 35)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            fan = (module.weight.shape[0] + module.weight.shape[1]) * module.weight[0, 0].numel()
            assert module.weight.abs().max() <= np.sqrt(6 / fan) + 1e-7
            assert module.weight.std().item() == pytest.approx(np.sqrt(2 / fan), rel=0.1)
            assert module.bias is not None and not module.bias.any()


def test_the_loss_that_ignores_padding_is_the_mean_over_seen_cells_of_each_utterance() -> None:
    rng = np.random.default_rng(0)
    x, rebuilt = rng.random((3, 4, 5), np.float32), rng.random((3, 4, 5), np.float32)
    seen = rng.random((3, 4, 5)) < 0.6
    seen[2] = False
    expected = np.mean([((x[n] - rebuilt[n]) ** 2)[seen[n]].mean() if seen[n].any() else 0 for n in range(3)])
    data = batch(torch.from_numpy(x), torch.from_numpy(seen))
    found = Reconstruction("ignore").loss({"reconstruction": torch.from_numpy(rebuilt)}, data, TrainingClock(0, 0))
    assert found.item() == pytest.approx(expected, rel=1e-6)
    counted = Reconstruction("count").loss({"reconstruction": torch.from_numpy(rebuilt)}, data, TrainingClock(0, 0))
    assert counted.item() == pytest.approx(((x - rebuilt) ** 2).mean(), rel=1e-6)


def test_an_unknown_padding_is_one_clear_error() -> None:
    with pytest.raises(SpecificationError, match="count, ignore"):
        Reconstruction("skip")  # type: ignore[arg-type]
