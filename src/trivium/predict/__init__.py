"""Predictors: one network and any objectives joined to an estimator. Needs torch and scikit-learn."""

from trivium.predict.estimators import EmotionClassifier, SentimentRegressor

__all__ = ["EmotionClassifier", "SentimentRegressor"]
