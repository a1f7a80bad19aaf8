"""The predictor that suits a label."""

from __future__ import annotations

from typing import Any

from trivium.corpus import LabelSpecification
from trivium.predict.estimators import EmotionClassifier, SentimentRegressor

__all__ = ["predictor_for"]


def predictor_for(label: LabelSpecification, **settings: Any) -> SentimentRegressor | EmotionClassifier:
    """Estimator for a label: a regressor for numbers (ordinal ones too), a classifier for classes.

    Parameters
    ----------
    label : LabelSpecification
        Of the corpus.
    **settings
        Arguments of the estimator: network, objectives, learning_rate ...

    Examples
    --------
    >>> mood = LabelSpecification("mood", "multiclass", ("down", "up"))
    >>> predictor_for(mood, network="tfn:fusion=32", objectives=["modal_alignment"]).label
    'mood'
    """
    kind = SentimentRegressor if label.is_number else EmotionClassifier
    return kind(label=label.key, **settings)
