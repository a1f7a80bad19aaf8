"""Representations: what turns an aligned utterance into one vector without labels.

Names load when they are first used, so that pooling needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME = {
    "ConvAutoencoder": "trivium.represent.conv_autoencoder",
    "ConvAutoencoderNetwork": "trivium.represent.conv_network",
    "ConvDecoder": "trivium.represent.conv_network",
    "ConvEncoder": "trivium.represent.conv_network",
    "Flatten": "trivium.represent.pooling",
    "FlattenPCA": "trivium.represent.pooling",
    "MeanPooling": "trivium.represent.pooling",
    "MeanStdPooling": "trivium.represent.pooling",
    "Missingness": "trivium.represent.pooling",
}

__all__ = list(_HOME)

if TYPE_CHECKING:
    from trivium.represent.conv_autoencoder import ConvAutoencoder as ConvAutoencoder
    from trivium.represent.conv_network import ConvAutoencoderNetwork as ConvAutoencoderNetwork
    from trivium.represent.conv_network import ConvDecoder as ConvDecoder
    from trivium.represent.conv_network import ConvEncoder as ConvEncoder
    from trivium.represent.pooling import Flatten as Flatten
    from trivium.represent.pooling import FlattenPCA as FlattenPCA
    from trivium.represent.pooling import MeanPooling as MeanPooling
    from trivium.represent.pooling import MeanStdPooling as MeanStdPooling
    from trivium.represent.pooling import Missingness as Missingness


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
