"""Reconstruction: the squared difference between a matrix and what a decoder makes of its vector.

Paper: Koromilas & Giannakopoulos (2021), Unsupervised multimodal language representations with convolutional
autoencoders, arXiv 2110.03007. Faithful: ``padding="count"``, the mean over all W x D cells, padding included, as in
the public code. Different: ``padding="ignore"`` averages over the cells that were seen, because the decoder otherwise
earns most of its score by drawing the zeros of short utterances.
"""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

from torch import Tensor

from trivium.errors import SpecificationError
from trivium.train import ALIGNED, Objective, Outputs, TensorBatch, TrainingClock, require_weight

__all__ = ["Padding", "Reconstruction"]

Padding = Literal["count", "ignore"]


class Reconstruction(Objective):
    r"""Mean squared error of a reconstructed matrix.

    With x the matrix, :math:`\hat x` the reconstruction and S_n the cells of sample n that count,
    :math:`L = \frac{1}{B} \sum_n \frac{1}{|S_n|} \sum_{(w, d) \in S_n} (\hat x_{nwd} - x_{nwd})^2`.
    ``count``: S_n is all W x D cells, which makes L the plain mean. ``ignore``: S_n is the cells that were seen;
    every utterance weighs the same, however long, and one without a seen cell adds nothing.

    ========================  ===============  ================================================
    input                     shape            meaning
    ========================  ===============  ================================================
    outputs reconstruction    (B, W, D)        what the network made of the matrix
    batch.values aligned      (B, W, D)        the scaled matrix
    batch.mask aligned        (B, W, D), bool  True where a cell was seen; only for ``ignore``
    ========================  ===============  ================================================

    It has no state, owns no steps, and is safe under data parallelism. It is the only objective of
    :class:`trivium.represent.ConvAutoencoder`; beside objectives that use labels it keeps a representation from
    forgetting its input.

    Parameters
    ----------
    padding : {"count", "ignore"}
        Which cells count.
    weight : float
        Factor in the sum of losses.

    Notes
    -----
    Source: Koromilas & Giannakopoulos (2021), public code, for ``count``; ``ignore`` is our choice.

    Examples
    --------
    >>> import torch
    >>> from trivium.train import TensorBatch, TrainingClock
    >>> x, seen = torch.tensor([[[1.0], [0.0]]]), torch.tensor([[[True], [False]]])
    >>> batch = TensorBatch(torch.tensor([0]), {"aligned": x}, {"aligned": seen}, {})
    >>> outputs = {"reconstruction": torch.tensor([[[3.0], [2.0]]])}
    >>> [Reconstruction(p).loss(outputs, batch, TrainingClock(0, 0)).item() for p in ("count", "ignore")]
    [4.0, 4.0]
    """

    name: ClassVar[str] = "reconstruction"
    data_parallel: ClassVar[bool] = True

    def __init__(self, padding: Padding = "count", weight: float = 1.0) -> None:
        if padding not in get_args(Padding):
            raise SpecificationError(f"padding cannot be {padding!r}", remedy="choose from count, ignore")
        self.padding, self.weight = padding, require_weight(self.name, weight)

    def loss(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> Tensor:
        """Mean squared error of the cells that count."""
        error = (outputs["reconstruction"] - batch.values[ALIGNED]).square()
        if self.padding == "count":
            return error.mean()
        seen = batch.mask[ALIGNED]
        by_sample = (error * seen).sum(dim=(1, 2)) / seen.sum(dim=(1, 2)).clamp(min=1)
        return by_sample.mean()
