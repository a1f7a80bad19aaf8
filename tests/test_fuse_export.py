"""Every registered network gives the same numbers in ONNX Runtime, for any batch and mask.

One export costs several seconds of torch's own work, whatever the network's size; hence two modalities and two steps,
the fewest of which one can follow, or lack, the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch

from trivium import registry
from trivium.errors import WeightsError
from trivium.fuse import Concat, export_network
from trivium.fuse import export as module

WIDTHS = {"text": 5, "audio": 3}
STEPS = 2
# Sizes that keep a test quick; those that are not named here are the defaults.
SMALL: dict[str, dict[str, Any]] = {
    "tfn": {"hidden": 4, "recurrent_out": 3},
    "ef-lstm": {"layers": 2},
    "mfn": {"hidden": 5, "memory": 4},
    "mult": {"size": 8, "heads": 2, "layers": 1, "self_layers": 1, "kernel": 2},
}


@pytest.mark.parametrize("name", [entry.name for entry in registry.entries("network")])
def test_the_exported_graph_gives_the_same_numbers(name: str) -> None:
    torch.manual_seed(0)
    network = registry.load("network", name)(WIDTHS, 2, **SMALL.get(name, {})).eval()
    session = ort.InferenceSession(export_network(network, STEPS))
    names = [output.name for output in session.get_outputs()]
    wanted = {i.name for i in session.get_inputs()}
    for rows in (1, 5):
        values = {m: torch.randn(rows, STEPS, d) for m, d in WIDTHS.items()}
        masks = {m: torch.rand(rows, STEPS) < 0.6 for m in WIDTHS}
        masks["text"][-1] = False
        with torch.no_grad():
            expected = network(values, masks)
        given = {m: x.numpy() for m, x in values.items()} | {f"{m}_mask": x.numpy() for m, x in masks.items()}
        assert names == [output for output in expected if output.startswith("prediction")]
        numbers = session.run(None, {key: array for key, array in given.items() if key in wanted})
        for output, found in zip(names, numbers, strict=True):
            np.testing.assert_allclose(found, expected[output].numpy(), atol=1e-5, rtol=1e-5)


def test_a_graph_with_other_numbers_is_not_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Concat(WIDTHS, hidden=4).train()
    monkeypatch.setattr(module, "onnx_bytes", lambda *_: b"")
    monkeypatch.setattr(module, "_largest_difference", lambda *_: float("nan"))
    with pytest.raises(WeightsError, match="differs"):
        export_network(network, STEPS)
    assert network.training
