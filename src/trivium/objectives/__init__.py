"""Objectives: what training makes smaller. Each is a plug-in of the training loop; needs torch."""

from trivium.objectives.hidden_steps import HiddenSteps
from trivium.objectives.misa import CentralMoments, Difference, FeatureReconstruction
from trivium.objectives.modal_alignment import ModalAlignment
from trivium.objectives.paired import BarlowTwins, CanonicalCorrelation, KernelAlignment, PairContrast
from trivium.objectives.pairs import PairObjective
from trivium.objectives.reconstruction import Reconstruction
from trivium.objectives.request import objective
from trivium.objectives.task import Classes, Multilabel, Ordinal, Regression
from trivium.objectives.unimodal_labels import UnimodalLabels
from trivium.objectives.views import CrossModalPrediction, TwoViews, Vicreg, ViewContrast

__all__ = [
    "BarlowTwins",
    "CanonicalCorrelation",
    "CentralMoments",
    "Classes",
    "CrossModalPrediction",
    "Difference",
    "FeatureReconstruction",
    "HiddenSteps",
    "KernelAlignment",
    "ModalAlignment",
    "Multilabel",
    "Ordinal",
    "PairContrast",
    "PairObjective",
    "Reconstruction",
    "Regression",
    "TwoViews",
    "UnimodalLabels",
    "Vicreg",
    "ViewContrast",
    "objective",
]
