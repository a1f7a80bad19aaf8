"""An exported encoder at work: ONNX Runtime, no torch.

A batch is cut into pieces of four rows, which every core takes in turn with a session of one thread. The pieces stay
in the processor's cache, nothing waits for the slowest core at every layer, memory does not grow with the batch, and
a row's vector does not depend on how many cores there are.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from trivium.errors import DataError, WeightsError
from trivium.weights.onnx_file import check_onnx

__all__ = ["OnnxEncoder", "cores", "open_session"]

_PIECE_ROWS = 4
_ERRORS_ONLY = 3


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class OnnxEncoder:
    """Matrices to vectors.

    Parameters
    ----------
    model : bytes
        An ONNX model with one input (B, 1, W, D) and one output (B, K), B free.
    file : path
        How errors call it.
    threads : int, optional
        Pieces encoded at the same time; default is the number of cores.

    Raises
    ------
    WeightsError
        The model cannot be opened, or takes or gives something else.
    UnsafeFileError
        The model reads other files or uses operators outside ONNX.
    """

    def __init__(
        self, model: bytes, *, file: str | os.PathLike[str] = "encoder.onnx", threads: int | None = None
    ) -> None:
        check_onnx(model, file)
        self._session = open_session(model, file)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1 or len(inputs[0].shape) != 4 or len(outputs[0].shape) != 2:
            raise WeightsError("does not map one (B, 1, W, D) to one (B, K)", file=file)
        self._input = inputs[0].name
        self.words, self.width = (int(side) for side in inputs[0].shape[2:])
        self.n_features = int(outputs[0].shape[1])
        self._threads = threads or cores()
        self._pool: ThreadPoolExecutor | None = None

    def __call__(self, matrices: NDArray[np.float32]) -> NDArray[np.float32]:
        """Encode.

        Parameters
        ----------
        matrices : array of shape (N, W, D)
            float32, scaled.

        Returns
        -------
        array of shape (N, K)
            float32.

        Raises
        ------
        DataError
            W or D is not the encoder's.
        """
        if matrices.ndim != 3 or matrices.shape[1:] != (self.words, self.width):
            raise DataError(
                f"matrices of shape {matrices.shape[1:]} do not fit an encoder of ({self.words}, {self.width})",
                remedy=f"align to {self.words} words",
            )
        vectors = np.empty((len(matrices), self.n_features), np.float32)
        pieces = [slice(start, start + _PIECE_ROWS) for start in range(0, len(matrices), _PIECE_ROWS)]

        def encode(piece: slice) -> None:
            vectors[piece] = self._session.run(None, {self._input: matrices[piece, None]})[0]

        if self._threads == 1 or len(pieces) < 2:
            for piece in pieces:
                encode(piece)
        else:
            list(self._workers().map(encode, pieces))
        return vectors

    def _workers(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="encoder")
        return self._pool


def open_session(model: bytes, file: str | os.PathLike[str]) -> Any:
    """Session of one thread for a model that was checked; `file` is how errors call it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as cause:  # ONNX Runtime raises a class of its own for every failure
        raise WeightsError(f"cannot be opened: {str(cause).splitlines()[0]}", file=file) from cause
