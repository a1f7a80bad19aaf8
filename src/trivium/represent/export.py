"""Encoders to ONNX, so that using a representation needs no torch.

The convolutional encoder (Koromilas & Giannakopoulos, 2021, arXiv 2110.03007) gets a graph of its own that gives the
same numbers, to rounding, with half the multiplications:

- batch normalisation is part of the convolution before it (float64 arithmetic, once);
- rows and columns that the pooling after a convolution drops are never computed;
- a convolution of 5 columns before a pool of 3 works in tiles of 3 outputs by minimal filtering (Winograd, 1980;
  Toom and Cook's interpolation at 0, 1, -1, 2, -2, 1/2 and infinity): 7 products in place of 15 per row of the kernel.
  The tile is the pool's window, so the pool becomes the largest of three tensors.

Every other module goes through ``torch.onnx.export``. Both are compared with the module before they are handed out.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import nn

from trivium.errors import WeightsError
from trivium.fuse.export import OPSET, onnx_bytes
from trivium.represent.conv_network import _BLOCKS, ConvEncoder
from trivium.weights.encoder import OnnxEncoder

__all__ = ["conv_graph", "export_encoder", "minimal_filter", "torch_graph"]

_IR_VERSION = 9
_CLOSE = 1e-5
_MARGIN = 2
_PAIRS, _ALONE = (1, 2), Fraction(1, 2)  # points +-1, +-2 and 1/2, beside 0 and infinity
Floats = NDArray[np.float64]


def export_encoder(encoder: nn.Module, words: int, width: int) -> bytes:
    """ONNX model of an encoder, checked against it.

    Parameters
    ----------
    encoder : module
        Maps (B, 1, W, D) to (B, K), without side effects in evaluation mode.
    words, width : int
        W and D.

    Returns
    -------
    bytes
        One file, batch axis free. The same module gives the same bytes.

    Raises
    ------
    WeightsError
        ONNX Runtime's vectors differ from the module's by more than 1e-5 (relative to the largest, where above 1).

    Examples
    --------
    >>> model = export_encoder(ConvEncoder(20, 35), 20, 35)
    >>> OnnxEncoder(model)(np.zeros((2, 20, 35), np.float32)).shape
    (2, 15)
    """
    was_training = encoder.training
    encoder.eval()
    try:
        if isinstance(encoder, ConvEncoder):
            model = conv_graph(encoder, words, width)
            if _largest_difference(model, encoder, words, width) <= _CLOSE:
                return model
        model = torch_graph(encoder, words, width)
        difference = _largest_difference(model, encoder, words, width)
    finally:
        encoder.train(was_training)
    if not difference <= _CLOSE:
        raise WeightsError(f"the exported encoder differs from its module by {difference:.1e}")
    return model


def _largest_difference(model: bytes, encoder: nn.Module, words: int, width: int) -> float:
    """Largest difference on three random matrices, relative to the largest number where that is above 1.

    Of an encoder that takes holes (cells that are NaN) one matrix is short and one lacks its first columns.
    """
    x = np.random.default_rng(0).random((3, words, width), dtype=np.float32)
    if getattr(encoder, "takes_holes", False):
        x[1, : words // 2] = np.nan
        x[2, :, : (width + 1) // 2] = np.nan
    with torch.inference_mode():
        expected = encoder(torch.from_numpy(x[:, None])).numpy()
    difference = np.abs(OnnxEncoder(model, threads=1)(x) - expected).max()
    return float(difference / max(1.0, float(np.abs(expected).max())))


def torch_graph(encoder: nn.Module, words: int, width: int) -> bytes:
    """ONNX model of any module as torch writes it, without traces of the machine it was written on.

    Parameters
    ----------
    encoder : module
        Maps (B, 1, W, D) to (B, K).
    words, width : int
        W and D.
    """
    example = torch.zeros(2, 1, words, width)
    return onnx_bytes(encoder, (example,), ["matrix"], ["vector"], ({0: torch.export.Dim("batch", min=1)},))


def conv_graph(encoder: ConvEncoder, words: int, width: int) -> bytes:
    """ONNX model of the convolutional encoder, as the head of this file describes it.

    Parameters
    ----------
    encoder : ConvEncoder
        In any state; batch normalisation uses its running statistics.
    words, width : int
        W and D.
    """
    graph = _Graph()
    x, rows, columns, above = "matrix", words, width, encoder.margin[0]
    for block, size, (_, _, pool) in zip(encoder.blocks, encoder.before_pooling, _BLOCKS, strict=True):
        kernel, bias, activated = _folded(block)
        kept = (size[0] // pool * pool, size[1] // pool * pool)
        # what the convolution must see beyond its input to fill the rows and columns that the pool keeps
        below = kept[0] - 1 + kernel.shape[2] - rows - above - _MARGIN
        behind = kept[1] - 1 + kernel.shape[3] - columns - _MARGIN
        if activated and _tiles_pay(kernel, pool):
            x = _tiled_block(graph, x, kernel, bias, kept[1] // pool, (_MARGIN + above, below, behind))
        else:
            x = graph.conv(x, kernel, bias, (_MARGIN + above, _MARGIN, below, behind))
            x = graph.node("Gelu", x) if activated else x
            x = graph.node("MaxPool", x, kernel_shape=[pool, pool], strides=[pool, pool])
        rows, columns, above = kept[0] // pool, kept[1] // pool, 0
    graph.node("Flatten", x)
    return graph.model(words, width, encoder.n_features)


def _folded(block: nn.Module) -> tuple[Floats, Floats, bool]:
    """Kernel (O, C, H, V) and bias (O,) of a block with its normalisation in them, and whether a GELU follows."""
    stored = {name: value.detach().double().cpu().numpy() for name, value in block.state_dict().items()}
    if not isinstance(block, nn.Sequential):
        return stored["weight"], stored["bias"], False
    factor = stored["1.weight"] / np.sqrt(stored["1.running_var"] + block[1].eps)
    bias = (stored["0.bias"] - stored["1.running_mean"]) * factor + stored["1.bias"]
    return stored["0.weight"] * factor[:, None, None, None], bias, True


def _tiles_pay(kernel: Floats, pool: int) -> bool:
    """Whether tiles of the pool's width at least halve the products; larger tiles than these would lose digits."""
    return kernel.shape[3] == 5 and pool == 3


def minimal_filter(tile: int, taps: int) -> tuple[Floats, Floats, list[Fraction]]:
    """Matrices of one-dimensional minimal filtering: `tile` outputs of a filter of `taps` from tile + taps - 1 inputs.

    With G and B the matrices, g the filter, x the inputs and m = (G g) * (B x), output i is the sum over the points a
    of a**i m[a], plus the last m for the last output.

    Parameters
    ----------
    tile : int
        Outputs.
    taps : int
        Length of the filter; ``tile + taps`` must be 8.

    Returns
    -------
    filters : array of shape (7, taps)
        G.
    inputs : array of shape (7, 7)
        B.
    points : list of Fraction
        The six finite points.

    Examples
    --------
    >>> filters, inputs, points = minimal_filter(3, 5)
    >>> g, x = np.arange(5.0), np.arange(7.0) ** 2
    >>> m = (filters @ g) * (inputs @ x)
    >>> y = [sum(float(a) ** i * v for a, v in zip(points, m)) for i in range(3)]
    >>> y[2] += m[6]
    >>> np.allclose(y, np.correlate(x, g, "valid"))
    True
    """
    points = [Fraction(0), *(Fraction(sign * a) for a in _PAIRS for sign in (1, -1)), _ALONE]
    if tile + taps != len(points) + 2:
        raise ValueError(f"{tile} outputs and {taps} taps need {tile + taps - 2} points, not {len(points)}")
    filters = np.zeros((len(points) + 1, taps))
    inputs = np.zeros((len(points) + 1, len(points) + 1))
    for row, a in enumerate(points):
        others = [b for b in points if b != a]
        scale = math.prod(a - b for b in others)
        filters[row] = [float(a**power / scale) for power in range(taps)]
        inputs[row, :-1] = _coefficients(others)
    filters[-1, -1] = 1.0
    inputs[-1] = _coefficients(points)
    return filters, inputs, points


def _coefficients(roots: list[Fraction]) -> list[float]:
    """Coefficients of the polynomial with these roots, constant first."""
    product = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *product]
        product = [high - root * low for high, low in zip(shifted, [*product, Fraction(0)], strict=True)]
    return [float(c) for c in product]


def _tiled_block(graph: _Graph, x: str, kernel: Floats, bias: Floats, tiles: int, pads: tuple[int, int, int]) -> str:
    """Convolution by minimal filtering, GELU and a pool whose window is the tile; `pads` are above, below, behind."""
    above, below, behind = pads
    _, incoming, _, taps = kernel.shape
    tile = _BLOCKS[2][2]
    filters, inputs, _ = minimal_filter(tile, taps)
    products = []
    for number, (filter_, row) in enumerate(zip(filters, inputs, strict=True)):
        first, last = np.flatnonzero(row)[[0, -1]]
        seen = np.broadcast_to(row[first : last + 1], (incoming, 1, 1, last + 1 - first))
        # a negative margin behind is left to the stride, which never reaches that far
        margin = (0, _MARGIN - first, 0, max(behind - (len(row) - 1 - last), 0))
        tiled = graph.conv(x, seen, None, margin, stride=tile, groups=incoming)
        narrow = np.einsum("v,ochv->och", filter_, kernel)[..., None]
        products.append(graph.conv(tiled, narrow, bias if number == 0 else None, (above, 0, below, 0)))
    outputs = _interpolated(graph, products, bias, tile)
    rows = [graph.node("MaxPool", graph.node("Gelu", y), kernel_shape=[tile, 1], strides=[tile, 1]) for y in outputs]
    return graph.node("Max", *rows)


def _interpolated(graph: _Graph, products: list[str], bias: Floats, tile: int) -> list[str]:
    """The outputs of a tile from the products at 0, 1, -1, 2, -2, 1/2 and infinity; the first product has the bias."""
    at_zero, *paired, at_half, at_infinity = products
    one = np.ones_like(bias)
    even = [graph.node("Add", plus, minus) for plus, minus in zip(paired[::2], paired[1::2], strict=True)]
    odd = [graph.scaled_sum(plus, minus, -one) for plus, minus in zip(paired[::2], paired[1::2], strict=True)]
    total = graph.node("Add", even[0], at_zero)
    outputs = [graph.node("Add", graph.node("Add", total, even[1]), at_half)]
    for power in range(1, tile):
        near, far = odd if power % 2 else even
        total = graph.node("Add", near, at_infinity) if power == tile - 1 else near
        total = graph.scaled_sum(total, far, one * _PAIRS[1] ** power)
        outputs.append(graph.scaled_sum(total, at_half, one * float(_ALONE**power), bias))
    return outputs


class _Graph:
    """A growing list of nodes and constants with plain names."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self._constants: list[Any] = []

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def _constant(self, value: Floats) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name))
        return name

    def conv(
        self,
        x: str,
        kernel: Floats,
        bias: Floats | None,
        pads: tuple[int, int, int, int],
        *,
        stride: int = 1,
        groups: int = 1,
    ) -> str:
        """Convolution; `pads` are above, before, below, behind, and the stride is along the columns."""
        inputs = [x, self._constant(kernel), *([] if bias is None else [self._constant(bias)])]
        return self.node("Conv", *inputs, pads=[int(p) for p in pads], strides=[1, stride], group=groups)

    def scaled_sum(self, x: str, y: str, factor: Floats, bias: Floats | None = None) -> str:
        """Give x + factor y + bias; the product is a convolution by channel, which the runtime joins with the sum."""
        scaled = self.conv(y, factor[:, None, None, None], bias, (0, 0, 0, 0), groups=len(factor))
        return self.node("Add", x, scaled)

    def model(self, words: int, width: int, features: int) -> bytes:
        """The model that ends in the last node."""
        self.nodes[-1].output[0] = "vector"
        graph = helper.make_graph(
            self.nodes,
            "encoder",
            [helper.make_tensor_value_info("matrix", onnx.TensorProto.FLOAT, ["batch", 1, words, width])],
            [helper.make_tensor_value_info("vector", onnx.TensorProto.FLOAT, ["batch", features])],
            self._constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="trivium")
        model.ir_version = _IR_VERSION
        onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString(deterministic=True))
