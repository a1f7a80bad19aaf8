"""The convolutional autoencoder's network: a matrix of words x columns to one vector, and back.

Paper: Koromilas & Giannakopoulos (2021), arXiv 2110.03007; layers as in its public code. Faithful: four blocks
(convolution, batch normalisation, GELU, max pooling), the mirrored decoder, 272,207 + 272,193 parameters whatever the
matrix, 255 numbers for 20 x 409. Different, as options: ``unpooling="none"`` spreads each cell over its window in place
of handing the decoder the positions of the input's maxima, which go round the bottleneck; matrices too small for the
four pools get a margin of zeros.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trivium.errors import SpecificationError
from trivium.train import ALIGNED, TensorBatch

__all__ = ["SMALLEST_SIDE", "ConvAutoencoderNetwork", "ConvDecoder", "ConvEncoder", "Unpooling"]

Unpooling = Literal["switches", "none"]
Size = tuple[int, int]

_BLOCKS = ((32, 3, 2), (64, 3, 2), (128, 5, 3), (15, 5, 2))  # channels, kernel, pool
_MARGIN = 2  # zeros around every convolution's input
SMALLEST_SIDE = 18
"""Fewest rows or columns that leave a cell after four pools; smaller matrices are filled up with zeros."""


class ConvEncoder(nn.Module):
    """Four blocks of convolution, normalisation, GELU and max pooling, then a flat vector.

    Parameters
    ----------
    words, width : int
        Rows W and columns D of the matrix. Below 18, zeros are put before the words and behind the columns.

    Attributes
    ----------
    n_features : int
        Length K of the vector: 15 channels times the cells that the pools leave; 255 for 20 x 409.

    Examples
    --------
    >>> encoder = ConvEncoder(20, 409).eval()
    >>> encoder.n_features, encoder(torch.zeros(2, 1, 20, 409)).shape
    (255, torch.Size([2, 255]))
    """

    def __init__(self, words: int, width: int) -> None:
        super().__init__()
        self.margin: Size = (max(SMALLEST_SIDE - words, 0), max(SMALLEST_SIDE - width, 0))
        self.before_pooling: list[Size] = []
        blocks: list[nn.Module] = []
        rows, columns, incoming = words + self.margin[0], width + self.margin[1], 1
        for channels, kernel, pool in _BLOCKS:
            rows, columns = (side + 2 * _MARGIN - kernel + 1 for side in (rows, columns))
            self.before_pooling.append((rows, columns))
            rows, columns = rows // pool, columns // pool
            conv = nn.Conv2d(incoming, channels, kernel, padding=_MARGIN)
            last = len(blocks) + 1 == len(_BLOCKS)
            blocks.append(conv if last else nn.Sequential(conv, nn.BatchNorm2d(channels), nn.GELU()))
            incoming = channels
        self.blocks = nn.ModuleList(blocks)
        self.code_shape = (incoming, rows, columns)
        self.n_features = incoming * rows * columns

    def forward(self, x: Tensor) -> Tensor:
        """Vectors (B, K) of matrices (B, 1, W, D)."""
        x = self._fill_up(x)
        for block, (_, _, pool) in zip(self.blocks, _BLOCKS, strict=True):
            x = F.max_pool2d(block(x), pool)
        return x.flatten(1)

    def with_switches(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Codes (B, 15, H, V) before flattening, and where each pooled maximum lay, one tensor per pool."""
        x = self._fill_up(x)
        switches: list[Tensor] = []
        for block, (_, _, pool) in zip(self.blocks, _BLOCKS, strict=True):
            x, where = F.max_pool2d(block(x), pool, return_indices=True)
            switches.append(where)
        return x, switches

    def _fill_up(self, x: Tensor) -> Tensor:
        above, right = self.margin
        return F.pad(x, (0, right, above, 0)) if above or right else x


class ConvDecoder(nn.Module):
    """The encoder's mirror: unpooling and transposed convolutions.

    Parameters
    ----------
    encoder : ConvEncoder
        Gives the sizes to return to.
    unpooling : {"switches", "none"}
        ``switches``, the paper's: every value goes back to where the input's maximum lay. ``none``: every value fills
        its whole window, so that the vector is all the decoder knows.

    Examples
    --------
    >>> encoder = ConvEncoder(20, 74)
    >>> ConvDecoder(encoder, "none")(torch.zeros(1, *encoder.code_shape)).shape
    torch.Size([1, 1, 20, 74])
    """

    def __init__(self, encoder: ConvEncoder, unpooling: Unpooling = "switches") -> None:
        super().__init__()
        if unpooling not in get_args(Unpooling):
            raise SpecificationError(f"unpooling cannot be {unpooling!r}", remedy="choose from switches, none")
        self.unpooling = unpooling
        self.margin, self.sizes = encoder.margin, encoder.before_pooling[::-1]
        outgoing = [channels for channels, _, _ in _BLOCKS[-2::-1]]
        blocks: list[nn.Module] = []
        for (incoming, kernel, _), channels in zip(_BLOCKS[::-1], [*outgoing, 1], strict=True):
            conv = nn.ConvTranspose2d(incoming, channels, kernel, padding=_MARGIN)
            last = len(blocks) + 1 == len(_BLOCKS)
            blocks.append(conv if last else nn.Sequential(conv, nn.BatchNorm2d(channels), nn.GELU()))
        self.blocks = nn.ModuleList(blocks)

    def extra_repr(self) -> str:
        """What the layers do not show; a run goes on only with the same."""
        return f"unpooling={self.unpooling!r}"

    def forward(self, code: Tensor, switches: list[Tensor] | None = None) -> Tensor:
        """Matrices (B, 1, W, D) of codes (B, 15, H, V); `switches` are the encoder's, first pool first."""
        x = code
        for step, (block, size) in enumerate(zip(self.blocks, self.sizes, strict=True)):
            if self.unpooling == "none":
                x = F.interpolate(x, size=size, mode="nearest")
            elif switches is not None:
                pool = _BLOCKS[-1 - step][2]
                x = F.max_unpool2d(x, switches[-1 - step], (pool, pool), output_size=size)
            else:
                raise SpecificationError("this decoder needs the encoder's switches", remedy="use unpooling none")
            x = block(x)
        above, right = self.margin
        return x[:, :, above:, : x.shape[3] - right]


class ConvAutoencoderNetwork(nn.Module):
    """Encoder and decoder as the training loop calls them.

    Parameters
    ----------
    words, width : int
        Rows W and columns D of the matrix.
    unpooling : {"switches", "none"}
        See :class:`ConvDecoder`.

    Examples
    --------
    >>> network = ConvAutoencoderNetwork(20, 409)
    >>> sum(p.numel() for p in network.parameters())
    544400
    """

    def __init__(self, words: int, width: int, unpooling: Unpooling = "switches") -> None:
        super().__init__()
        self.encoder = ConvEncoder(words, width)
        self.decoder = ConvDecoder(self.encoder, unpooling)
        self.apply(_initialise)

    def forward(self, batch: TensorBatch) -> dict[str, Tensor]:
        """``representation`` (B, K) and ``reconstruction`` (B, W, D) of the batch's aligned matrices (B, W, D)."""
        x = batch.values[ALIGNED].unsqueeze(1)
        code, switches = self.encoder.with_switches(x)
        return {"representation": code.flatten(1), "reconstruction": self.decoder(code, switches).squeeze(1)}


@torch.no_grad()
def _initialise(module: nn.Module) -> None:
    """Xavier weights and zero biases: the public code's own function is not known, so this is our choice."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
