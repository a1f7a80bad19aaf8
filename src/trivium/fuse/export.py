"""Networks to ONNX, so that predicting needs no torch."""

from __future__ import annotations

import logging
import math
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import Tensor, nn

from trivium.errors import WeightsError
from trivium.fuse.network import Network

__all__ = ["OPSET", "export_network", "onnx_bytes"]

OPSET = 20  # the first with Gelu
_CLOSE = 1e-5


def export_network(network: Network, steps: int | Mapping[str, int]) -> bytes:
    """ONNX model of a network, checked against it.

    Inputs are ``MODALITY`` (batch, T_m, D_m) float32 and ``MODALITY_mask`` (batch, T_m) bool; outputs are
    ``prediction`` and, where the network has them, ``prediction_MODALITY``.

    Parameters
    ----------
    network : Network
        In any mode; it is left in the mode it was in.
    steps : int or mapping of str to int
        T_m, for all modalities or by name. The graph is made for so many steps; shorter sequences are padded up to
        them, which changes nothing, since unseen steps do not count.

    Returns
    -------
    bytes
        One file; the batch axis is free.

    Raises
    ------
    WeightsError
        ONNX Runtime's numbers differ from the network's by more than 1e-5 (relative to the largest, where above 1).

    Examples
    --------
    >>> from trivium.fuse import Concat
    >>> model = export_network(Concat({"audio": 4}, hidden=3), steps=5)
    >>> [(i.name, i.shape) for i in ort.InferenceSession(model).get_inputs()]
    [('audio', ['batch', 5, 4]), ('audio_mask', ['batch', 5])]
    """
    lengths = dict.fromkeys(network.widths, steps) if isinstance(steps, int) else dict(steps)
    was_training = network.training
    network.eval()
    try:
        example = _example(network, lengths)
        wrapped = _Flat(network, list(_predictions(network, example)))
        # all inputs are one variable argument, hence one axis description per input within one tuple
        axes = (tuple({0: torch.export.Dim("batch", min=1)} for _ in example),)
        model = onnx_bytes(wrapped, tuple(example.values()), list(example), wrapped.names, axes)
        difference = _largest_difference(model, wrapped, example)
    finally:
        network.train(was_training)
    if not difference <= _CLOSE:
        raise WeightsError(f"the exported network differs from its module by {difference:.1e}")
    return model


class _Flat(nn.Module):
    """A network as the exporter wants it: tensors in, tensors out."""

    def __init__(self, network: Network, names: list[str]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        values = dict(zip(self.network.modalities, tensors[::2], strict=True))
        masks = dict(zip(self.network.modalities, tensors[1::2], strict=True))
        outputs = self.network(values, masks)
        return tuple(outputs[name] for name in self.names)


def _example(network: Network, steps: Mapping[str, int]) -> dict[str, Tensor]:
    """Random steps of three samples, of which the second lacks one and the third all but one."""
    generator = torch.Generator().manual_seed(0)
    example: dict[str, Tensor] = {}
    for name, width in network.widths.items():
        lengths = torch.tensor([steps[name], max(steps[name] - 1, 1), 1])
        example[name] = torch.randn(len(lengths), steps[name], width, generator=generator)
        example[f"{name}_mask"] = torch.arange(steps[name]) < lengths.unsqueeze(1)
    return example


def _predictions(network: Network, example: Mapping[str, Tensor]) -> dict[str, Tensor]:
    values = {name: example[name] for name in network.widths}
    with torch.inference_mode():
        outputs = network(values, {name: example[f"{name}_mask"] for name in network.widths})
    return {name: tensor for name, tensor in outputs.items() if name.startswith("prediction")}


def _largest_difference(model: bytes, module: nn.Module, example: Mapping[str, Tensor]) -> float:
    """Largest difference on the example and on its first sample alone, which shows whether the batch axis is free."""
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    differences = [0.0]
    for rows in (None, 1):
        given = {name: tensor[:rows] for name, tensor in example.items()}
        found = session.run(None, {name: tensor.numpy() for name, tensor in given.items()})
        with torch.inference_mode():
            expected = [tensor.numpy() for tensor in module(*given.values())]
        for a, b in zip(found, expected, strict=True):
            differences.append(float(np.abs(a - b).max() / max(1.0, float(np.abs(b).max()))))
    return max(differences, key=lambda difference: (math.isnan(difference), difference))


def onnx_bytes(
    module: nn.Module, arguments: tuple[Tensor, ...], inputs: list[str], outputs: list[str], axes: Any
) -> bytes:
    """ONNX model of any module as torch writes it, without traces of the machine it was written on.

    Parameters
    ----------
    module : module
        Takes tensors, gives a tensor or several.
    arguments : tuple of tensor
        An example of its input.
    inputs, outputs : list of str
        Names, in order.
    axes : nested sequences of mappings
        Free axes of every argument, as ``torch.export`` writes them.
    """
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")
        path = Path(folder) / "network.onnx"
        torch.onnx.export(
            module,
            arguments,
            path,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=axes,
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        model = onnx.load(path, load_external_data=False)
    _forget_origin(model)
    return bytes(model.SerializeToString(deterministic=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter from naming packages that nothing here needs."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _forget_origin(message: Any) -> None:
    """Drop documentation and metadata, which hold stack traces with paths."""
    for field, value in message.ListFields():
        if field.name in ("doc_string", "metadata_props", "producer_version"):
            message.ClearField(field.name)
        elif field.message_type is not None:
            for child in [value] if hasattr(value, "ListFields") else value:
                if hasattr(child, "ListFields"):
                    _forget_origin(child)
