"""Representations: what turns an aligned utterance into one vector without labels.

Names load when they are first used, so that pooling needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME = {
    "Beside": "trivium.represent.beside",
    "ConvAutoencoder": "trivium.represent.conv_autoencoder",
    "ConvAutoencoderNetwork": "trivium.represent.conv_network",
    "ConvDecoder": "trivium.represent.conv_network",
    "ConvEncoder": "trivium.represent.conv_network",
    "FisherVectors": "trivium.represent.fisher",
    "Flatten": "trivium.represent.pooling",
    "FlattenPCA": "trivium.represent.pooling",
    "MaskedSteps": "trivium.represent.masked_steps",
    "MeanPooling": "trivium.represent.pooling",
    "MeanStdPooling": "trivium.represent.pooling",
    "MiniRocket": "trivium.represent.minirocket",
    "Missingness": "trivium.represent.pooling",
    "ShownSteps": "trivium.represent.views",
    "Statistics": "trivium.represent.statistics",
    "StepEncoder": "trivium.represent.step_network",
    "StepTower": "trivium.represent.step_network",
}

__all__ = list(_HOME)

if TYPE_CHECKING:
    from trivium.represent.beside import Beside as Beside
    from trivium.represent.conv_autoencoder import ConvAutoencoder as ConvAutoencoder
    from trivium.represent.conv_network import ConvAutoencoderNetwork as ConvAutoencoderNetwork
    from trivium.represent.conv_network import ConvDecoder as ConvDecoder
    from trivium.represent.conv_network import ConvEncoder as ConvEncoder
    from trivium.represent.fisher import FisherVectors as FisherVectors
    from trivium.represent.masked_steps import MaskedSteps as MaskedSteps
    from trivium.represent.minirocket import MiniRocket as MiniRocket
    from trivium.represent.pooling import Flatten as Flatten
    from trivium.represent.pooling import FlattenPCA as FlattenPCA
    from trivium.represent.pooling import MeanPooling as MeanPooling
    from trivium.represent.pooling import MeanStdPooling as MeanStdPooling
    from trivium.represent.pooling import Missingness as Missingness
    from trivium.represent.statistics import Statistics as Statistics
    from trivium.represent.step_network import StepEncoder as StepEncoder
    from trivium.represent.step_network import StepTower as StepTower
    from trivium.represent.views import ShownSteps as ShownSteps


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
