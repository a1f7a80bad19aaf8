"""Representations: what turns an aligned utterance into one vector without labels."""

from trivium.represent.conv_autoencoder import ConvAutoencoder
from trivium.represent.conv_network import ConvAutoencoderNetwork, ConvDecoder, ConvEncoder

__all__ = ["ConvAutoencoder", "ConvAutoencoderNetwork", "ConvDecoder", "ConvEncoder"]
