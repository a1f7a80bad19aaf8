"""Predictors: one network and any objectives joined to an estimator. Needs torch and scikit-learn.

Names load when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME = {
    "EmotionClassifier": "trivium.predict.estimators",
    "Predictor": "trivium.predict.predictor",
    "SentimentRegressor": "trivium.predict.estimators",
    "network_request": "trivium.predict.request",
    "part_requests": "trivium.predict.request",
    "predictor_for": "trivium.predict.choice",
}

__all__ = list(_HOME)

if TYPE_CHECKING:
    from trivium.predict.choice import predictor_for as predictor_for
    from trivium.predict.estimators import EmotionClassifier as EmotionClassifier
    from trivium.predict.estimators import SentimentRegressor as SentimentRegressor
    from trivium.predict.predictor import Predictor as Predictor
    from trivium.predict.request import network_request as network_request
    from trivium.predict.request import part_requests as part_requests


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
