"""Exported encoders give torch's numbers, for every shape and module, and the same bytes."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from trivium.errors import WeightsError
from trivium.represent import export
from trivium.represent.conv_network import ConvEncoder
from trivium.represent.export import conv_graph, export_encoder, minimal_filter
from trivium.weights import OnnxEncoder
from trivium.weights.onnx_file import inspect_onnx


def trained_like(words: int, width: int, seed: int = 0) -> ConvEncoder:
    torch.manual_seed(seed)
    encoder = ConvEncoder(words, width)
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0.0, 0.2)
            module.running_mean.normal_(0.0, 0.3)  # type: ignore[union-attr]
            module.running_var.uniform_(0.2, 2.0)  # type: ignore[union-attr]
    return encoder.eval()


def matrices(words: int, width: int, rows: int = 3) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(0.5, 1.0, (rows, words, width)).astype(np.float32)


def by_torch(encoder: nn.Module, x: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.inference_mode():
        return np.asarray(encoder(torch.from_numpy(x[:, None])))


# The widths of every modality combination, sizes that leave every remainder at every pool, and matrices with a margin.
SHAPES = [(20, w) for w in (409, 374, 335, 300, 109, 74, 35)] + [(20, 96 + r) for r in range(12)]
SHAPES += [(rows, 60) for rows in range(18, 30)] + [(1, 3), (5, 40), (30, 17)]


@pytest.mark.parametrize(("words", "width"), SHAPES)
def test_the_convolutional_graph_gives_torchs_vectors(words: int, width: int) -> None:
    encoder = trained_like(words, width)
    x = matrices(words, width)
    found = OnnxEncoder(conv_graph(encoder, words, width), threads=1)(x)
    expected = by_torch(encoder, x)
    assert found.shape == (3, encoder.n_features)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(expected).max() > 0.05


def test_the_same_encoder_gives_the_same_bytes() -> None:
    encoder = trained_like(20, 74)
    assert export_encoder(encoder, 20, 74) == export_encoder(encoder, 20, 74)
    assert export_encoder(encoder, 20, 74) != export_encoder(trained_like(20, 74, seed=1), 20, 74)


def test_half_the_products_of_the_paper_are_left() -> None:
    graph = onnx.shape_inference.infer_shapes(onnx.load_from_string(conv_graph(trained_like(20, 409), 20, 409))).graph
    sizes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in graph.value_info}
    kernels = {t.name: list(t.dims) for t in graph.initializer}
    products = sum(
        int(np.prod(kernels[node.input[1]]) * np.prod(sizes[node.output[0]][2:]))
        for node in graph.node
        if node.op_type == "Conv"
    )
    assert products < 0.65 * 182_036_736


class Recurrent(nn.Module):
    """Another kind of network, as later representations may be."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encoder = nn.GRU(width, 5, batch_first=True)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        steps, _ = self.encoder(x.squeeze(1))
        vector: Tensor = self.drop(steps[:, -1])
        return vector


@pytest.fixture(scope="module")
def recurrent() -> tuple[Recurrent, bytes]:
    torch.manual_seed(0)
    module = Recurrent(4).train()
    return module, export_encoder(module, 6, 4)


def test_any_module_is_exported(recurrent: tuple[Recurrent, bytes]) -> None:
    module, model = recurrent
    assert module.training
    x = matrices(6, 4, rows=7)
    found = OnnxEncoder(model)(x)
    module.eval()
    np.testing.assert_allclose(found, by_torch(module, x), atol=1e-5)
    module.train()


def test_a_model_tells_nothing_of_the_machine_it_was_made_on(recurrent: tuple[Recurrent, bytes]) -> None:
    for trace in (b"site-packages", b".py", b"/home", b"stack_trace"):
        assert trace not in recurrent[1]


def test_models_are_plain_onnx_in_one_file(recurrent: tuple[Recurrent, bytes]) -> None:
    for model in (conv_graph(trained_like(20, 35), 20, 35), recurrent[1]):
        found = inspect_onnx(model)
        assert found.domains <= {"", "ai.onnx"}
        assert not found.external


def test_an_export_that_differs_is_refused(monkeypatch: pytest.MonkeyPatch, recurrent: tuple[Recurrent, bytes]) -> None:
    monkeypatch.setattr(export, "torch_graph", lambda *_: recurrent[1])
    torch.manual_seed(1)
    with pytest.raises(WeightsError, match="differs from its module"):
        export_encoder(Recurrent(4), 6, 4)


def test_a_convolutional_graph_that_differs_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = trained_like(20, 35)
    right, other = (conv_graph(e, 20, 35) for e in (encoder, trained_like(20, 35, seed=9)))
    monkeypatch.setattr(export, "conv_graph", lambda *_: other)
    monkeypatch.setattr(export, "torch_graph", lambda *_: right)
    assert export_encoder(encoder, 20, 35) == right


@settings(max_examples=50)
@given(
    st.lists(st.integers(-1000, 1000), min_size=5, max_size=5),
    st.lists(st.integers(-1000, 1000), min_size=7, max_size=7),
)
def test_minimal_filtering_is_correlation(taps: list[int], inputs: list[int]) -> None:
    filters, transform, points = minimal_filter(3, 5)
    products = (filters @ np.array(taps)) * (transform @ np.array(inputs))
    found = [sum(float(a) ** i * m for a, m in zip(points, products, strict=False)) for i in range(3)]
    found[2] += products[6]
    expected = np.correlate(np.array(inputs, float), np.array(taps, float), "valid")
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_minimal_filtering_keeps_to_its_points() -> None:
    assert minimal_filter(3, 5)[2] == [0, 1, -1, 2, -2, Fraction(1, 2)]
    with pytest.raises(ValueError, match="need 5 points"):
        minimal_filter(2, 5)
