"""An exported network at work: batches by modality in, predictions out; ONNX Runtime, no torch."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from trivium.errors import WeightsError
from trivium.weights.encoder import open_session
from trivium.weights.onnx_file import check_onnx

__all__ = ["NetworkGraph"]


class NetworkGraph:
    """Values and masks of sequences to named predictions.

    Parameters
    ----------
    model : bytes
        Of :func:`trivium.fuse.export_network`: inputs ``MODALITY`` (B, T, D) and ``MODALITY_mask`` (B, T), outputs
        ``prediction`` (B, K) and perhaps ``prediction_MODALITY``.
    steps : mapping of str to int
        T by modality of the training data; the graph may take fewer modalities.
    file : path
        How errors call it.

    Raises
    ------
    WeightsError
        The model cannot be opened, or takes something else.
    UnsafeFileError
        The model reads other files or uses operators outside ONNX.
    """

    def __init__(
        self, model: bytes, steps: Mapping[str, int], *, file: str | os.PathLike[str] = "network.onnx"
    ) -> None:
        check_onnx(model, file)
        self._session = open_session(model, file)
        taken = {one.name: one.shape[1] for one in self._session.get_inputs() if len(one.shape) > 1}
        # a network of one modality leaves the others of its corpus alone, and so does its graph
        self._steps = {name: count for name, count in steps.items() if name in taken}
        expected = {f"{name}{end}": count for name, count in self._steps.items() for end in ("", "_mask")}
        self._outputs = [one.name for one in self._session.get_outputs()]
        if not taken or taken != expected or "prediction" not in self._outputs:
            raise WeightsError(f"takes {taken}, the configuration says {expected}", file=file)

    def takes(self, mask: Mapping[str, NDArray[np.bool_]]) -> bool:
        """Whether sequences of these masks (B, T_m) are short enough."""
        return all(mask[name].shape[1] <= count for name, count in self._steps.items())

    def __call__(
        self, values: Mapping[str, NDArray[np.float32]], mask: Mapping[str, NDArray[np.bool_]]
    ) -> dict[str, NDArray[np.float32]]:
        """Predictions of a batch.

        Parameters
        ----------
        values : mapping of str to array of shape (B, T_m, D_m)
            Scaled; shorter sequences are padded here, which changes nothing.
        mask : mapping of str to bool array of shape (B, T_m)
            Real steps.

        Returns
        -------
        dict of str to array of shape (B, K)
            By name of the output.
        """
        given = {}
        for name, count in self._steps.items():
            missing = count - mask[name].shape[1]
            given[name] = np.pad(values[name], ((0, 0), (0, missing), (0, 0)))
            given[f"{name}_mask"] = np.pad(mask[name], ((0, 0), (0, missing)))
        return dict(zip(self._outputs, self._session.run(None, given), strict=True))
