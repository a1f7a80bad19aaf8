"""The smallest weights there are, made up: for documentation, tests and trying out a service."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Aligned, Specification, StreamSpecification
from trivium.scale import ScalerSet
from trivium.weights.card import Card, TrainingCorpus
from trivium.weights.config import WeightsConfig
from trivium.weights.folder import Weights
from trivium.weights.head import LinearHead
from trivium.weights.save import save_weights

__all__ = ["EXAMPLE", "example_weights"]

EXAMPLE = Specification(
    (
        StreamSpecification("text", ("noun", "verb"), clock="words"),
        StreamSpecification("audio", ("pitch", "energy"), clock="words"),
    )
)
"""Two columns of text and two of audio."""
_FEATURES = 3


def example_weights(folder: str | os.PathLike[str], specification: Specification = EXAMPLE, words: int = 6) -> Weights:
    """Write synthetic weights: a random linear map of words x columns to 3 numbers, with a head of two classes.

    Needs the ``onnx`` package (extra ``train``).

    Parameters
    ----------
    folder : path
        Will hold the files.
    specification : Specification
        Columns they take.
    words : int
        Words they take.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     example_weights(Path(folder) / "example").n_features
    3
    """
    rng = np.random.default_rng(0)
    columns = len(specification.columns)
    matrix = rng.normal(size=(words * columns, _FEATURES)).astype(np.float32)
    training = Aligned.from_arrays(rng.normal(size=(16, words, columns)).astype(np.float32), specification)
    head = LinearHead(
        "mood", ("calm", "angry"), rng.normal(size=(2, _FEATURES)), np.zeros(2), np.zeros(_FEATURES), np.ones(_FEATURES)
    )
    return save_weights(
        folder,
        WeightsConfig("example", {"words": words}, specification, words),
        state={"matrix": matrix},
        encoder=_linear_model(matrix, words, columns),
        scalers=ScalerSet.fit(training, np.repeat(["a", "b"], 8)),
        card=Card(
            "The smallest weights there are",
            "CC0-1.0",
            (TrainingCorpus("a", 8, "CC0-1.0", "random numbers"), TrainingCorpus("b", 8, "CC0-1.0", "random numbers")),
            limitations=("Nothing was learned: the map is random.",),
            synthetic=True,
        ),
        head=head,
    )


def _linear_model(matrix: NDArray[np.float32], words: int, columns: int) -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    def value(name: str, *shape: Any) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])

    nodes = [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["vector"])]
    graph = helper.make_graph(
        nodes,
        "example",
        [value("x", 1, words, columns)],
        [value("vector", matrix.shape[1])],
        [numpy_helper.from_array(matrix, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="trivium")
    model.ir_version = 8
    return bytes(model.SerializeToString(deterministic=True))
