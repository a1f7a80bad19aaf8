"""Weights: a folder that needs nothing else to be used, with card, head and proof; ONNX Runtime in place of torch."""

from trivium.weights.answers import expected_level
from trivium.weights.card import Card, Score, TrainingCorpus
from trivium.weights.check import WeightsCheck, check_weights
from trivium.weights.config import WeightsConfig
from trivium.weights.encoder import OnnxEncoder
from trivium.weights.folder import Weights, load_weights
from trivium.weights.head import LinearHead
from trivium.weights.hub import find_weights
from trivium.weights.opened import open_weights
from trivium.weights.predictor import PredictorWeights, load_predictor
from trivium.weights.predictor_config import PredictorConfig, TextTower
from trivium.weights.predictor_save import save_predictor
from trivium.weights.save import save_weights
from trivium.weights.told import predictor_answers

__all__ = [
    "Card",
    "LinearHead",
    "OnnxEncoder",
    "PredictorConfig",
    "PredictorWeights",
    "Score",
    "TextTower",
    "TrainingCorpus",
    "Weights",
    "WeightsCheck",
    "WeightsConfig",
    "check_weights",
    "expected_level",
    "find_weights",
    "load_predictor",
    "load_weights",
    "open_weights",
    "predictor_answers",
    "save_predictor",
    "save_weights",
]
