"""Objectives: what training makes smaller. Each is a plug-in of the training loop; needs torch."""

from trivium.objectives.reconstruction import Reconstruction

__all__ = ["Reconstruction"]
