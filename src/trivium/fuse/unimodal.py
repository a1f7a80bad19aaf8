"""One modality alone, as a floor: an LSTM over its steps and a head; the other modalities are not looked at.

Our choice, so that what several modalities give together can be compared with what each gives alone. The head is that
of the self-supervised multi-task network (arXiv 2102.04830): its features have the same names and the same depth.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from trivium.errors import SpecificationError
from trivium.fuse.network import Network
from trivium.fuse.steps import Steps
from trivium.fuse.subnetworks import RecurrentSubnetwork, TaskHead

__all__ = ["Unimodal"]


class Unimodal(Network):
    """LSTM and head for one modality.

    Parameters
    ----------
    widths : mapping of str to int
        Columns by modality; all but one may be there for nothing.
    outputs : int
        K.
    modality : str, optional
        The one that is read; default: the first.
    hidden, size : int
        State of the LSTM, and columns it is mapped to.
    dropout : float
        On the state and before the head.

    Raises
    ------
    SpecificationError
        The modality does not exist.

    Examples
    --------
    >>> import torch
    >>> network = Unimodal({"text": 300, "audio": 74}, modality="audio")
    >>> seen = torch.ones(2, 20, dtype=torch.bool)
    >>> outputs = network({"audio": torch.zeros(2, 20, 74)}, {"audio": seen})
    >>> list(outputs)
    ['prediction', 'prediction_audio', 'raw_audio', 'feature_audio', 'fused']
    """

    name: ClassVar[str] = "unimodal"

    def __init__(
        self,
        widths: Mapping[str, int],
        outputs: int = 1,
        *,
        modality: str | None = None,
        hidden: int = 64,
        size: int = 64,
        dropout: float = 0.2,
    ) -> None:
        chosen = next(iter(widths), "") if modality is None else modality
        if widths and chosen not in widths:
            raise SpecificationError(
                f"the network of one modality cannot read {chosen!r}", remedy=f"choose from {', '.join(widths)}"
            )
        super().__init__({chosen: widths[chosen]} if widths else {}, outputs)
        self.encoder = RecurrentSubnetwork(self.widths[chosen], hidden, size, dropout)
        self.head = TaskHead(size, size, outputs, dropout)

    def fuse(self, inputs: Mapping[str, Steps]) -> dict[str, Tensor]:
        """All outputs of one modality; ``prediction`` is its own, ``fused`` its feature."""
        ((name, steps),) = inputs.items()
        raw = self.encoder(steps)
        feature = self.head.feature(raw) * steps.seen
        prediction = self.head(feature)
        own = {f"prediction_{name}": prediction, f"raw_{name}": raw, f"feature_{name}": feature}
        return {"prediction": prediction, **own, "fused": feature}
