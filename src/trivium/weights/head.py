"""The linear head: from a vector to an answer with probabilities, in NumPy alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from trivium.errors import DataError, WeightsError

__all__ = ["HeadKind", "LinearHead"]

HeadKind = Literal["classes", "number"]
_TEMPERATURES = np.geomspace(0.05, 20.0, 241)  # 2.5 % apart: finer than any validation fold can tell
_ARRAYS = ("coefficients", "intercept", "mean", "std")


@dataclass(frozen=True, eq=False)
class LinearHead:
    """Standardise, one linear map, and a softmax with a temperature (or a number).

    With v a vector, z = (v - mean) / std, kept within the limit if there is one, and s = coefficients z + intercept,
    the probabilities of the C classes are softmax(s / temperature), and the number of a regression is s.

    Parameters
    ----------
    label : str
        What it answers, such as ``emotion``.
    classes : tuple of str
        C names; empty for a number.
    coefficients : array of shape (C, K), or (1, K) for a number
        float64.
    intercept : array of shape (C,) or (1,)
    mean, std : arrays of shape (K,)
        Of the training vectors.
    temperature : float
        Above 1 makes the head less sure; see :meth:`calibrated`.
    modalities : tuple of str
        What the vectors are made of: the others are masked before the encoder, in training and in use. Empty: all.
    limit : float
        Most standard deviations of a number, so that one far from training does not decide alone.
    blocks : mapping of str to (int, int)
        Parts of the vector by name, each from a place up to another, in their order: what :meth:`by_block` tells apart.

    Examples
    --------
    >>> head = LinearHead("mood", ("calm", "angry"), np.array([[0.0], [2.0]]), np.zeros(2), np.zeros(1), np.ones(1))
    >>> head.predict_proba(np.array([[0.0], [1.0]])).round(2).tolist()
    [[0.5, 0.5], [0.12, 0.88]]
    >>> head.predict(np.array([[1.0]])).tolist()
    ['angry']
    """

    label: str
    classes: tuple[str, ...]
    coefficients: NDArray[np.float64]
    intercept: NDArray[np.float64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    temperature: float = 1.0
    modalities: tuple[str, ...] = ()
    limit: float = math.inf
    blocks: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows, features = max(len(self.classes), 1), self.mean.shape[-1:]
        shapes = {"coefficients": (rows, *features), "intercept": (rows,), "mean": features, "std": features}
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value.shape != shape or not np.isfinite(value).all():
                raise WeightsError(f"{name} of the head have shape {value.shape} or are not finite, expected {shape}")
        if not self.temperature > 0 or (self.std <= 0).any():
            raise WeightsError("the head's temperature and standard deviations must be above 0")
        outside = [name for name, (start, stop) in self.blocks.items() if not 0 <= start < stop <= features[0]]
        if not self.limit > 0 or outside:
            raise WeightsError(f"the head's limit must be above 0, its blocks within the vector: {outside or 'limit'}")

    @classmethod
    def from_fitted(cls, scaler: Any, model: Any, *, label: str, modalities: Sequence[str] = ()) -> Self:
        """Head of a fitted scikit-learn scaler and linear model.

        Parameters
        ----------
        scaler : StandardScaler
            Fitted on the training vectors.
        model : LogisticRegression or Ridge
            Fitted on the scaled vectors; any linear model with ``coef_``, ``intercept_`` and, for classes,
            ``classes_``.
        label : str
            What it answers.
        modalities : sequence of str
            What the vectors are made of; empty: all.

        Notes
        -----
        A binary logistic regression holds one row; its sigmoid is the softmax of that row and zeros.
        """
        coefficients = np.atleast_2d(np.asarray(model.coef_, np.float64))
        intercept = np.atleast_1d(np.asarray(model.intercept_, np.float64))
        classes = tuple(str(name) for name in getattr(model, "classes_", ()))
        if len(classes) == 2 and len(coefficients) == 1:
            coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
            intercept = np.concatenate([np.zeros_like(intercept), intercept])
        mean, std = np.asarray(scaler.mean_, np.float64), np.asarray(scaler.scale_, np.float64)
        return cls(label, classes, coefficients, intercept, mean, std, modalities=tuple(modalities))

    @property
    def kind(self) -> HeadKind:
        """``classes`` or ``number``."""
        return "classes" if self.classes else "number"

    def decision(self, vectors: NDArray[Any]) -> NDArray[np.float64]:
        """Scores (N, C) of vectors (N, K), before temperature and softmax; (N, 1) for a number."""
        scores: NDArray[np.float64] = self._limited(vectors) @ self.coefficients.T + self.intercept
        return scores

    def by_block(self, vectors: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
        """What each block adds to the logarithm of every class's probability: (N, C) of vectors (N, K) by block.

        Each row has the mean 0 over the classes. As the blocks' shares in the score are summed, the exponentials are
        factors: the odds of two classes are the product of what every block, and the intercept, says of them.

        Examples
        --------
        >>> head = LinearHead("mood", ("calm", "angry"), np.array([[0.0, 0.0], [2.0, 4.0]]), np.zeros(2), np.zeros(2),
        ...                   np.ones(2), blocks={"voice": (0, 1), "face": (1, 2)})
        >>> {name: part.tolist() for name, part in head.by_block(np.array([[1.0, -1.0]])).items()}
        {'voice': [[-1.0, 1.0]], 'face': [[2.0, -2.0]]}
        """
        z = self._limited(vectors)
        parts = {name: z[:, a:b] @ self.coefficients[:, a:b].T for name, (a, b) in self.blocks.items()}
        return {name: (p - p.mean(axis=1, keepdims=True)) / self.temperature for name, p in parts.items()}

    def distance(self, vectors: NDArray[Any]) -> NDArray[np.float64]:
        """How far vectors (N, K) lie from the middle of the training vectors: (N,), where theirs lie at 1.

        The root mean square of z over the features that the head reads (all where it reads none), whose mean square
        over the training vectors is 1. A softmax is sure of itself far outside what it learned from; this number says
        that it is there (our choice). A modality that is masked has numbers that never vary and are not read.

        Examples
        --------
        >>> head = LinearHead("mood", (), np.zeros((1, 2)), np.zeros(1), np.zeros(2), np.array([1.0, 2.0]))
        >>> head.distance(np.array([[1.0, 2.0], [3.0, -6.0]])).tolist()
        [1.0, 3.0]
        """
        read = self.coefficients.any(axis=0)
        z = self._standardised(vectors)
        return np.asarray(np.sqrt(np.mean(z[:, read if read.any() else ~read] ** 2, axis=1)))

    def _limited(self, vectors: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(np.clip(self._standardised(vectors), -self.limit, self.limit))

    def _standardised(self, vectors: NDArray[Any]) -> NDArray[np.float64]:
        if vectors.ndim != 2 or vectors.shape[1] != len(self.mean):
            raise DataError(f"vectors of shape {vectors.shape} do not fit a head of {len(self.mean)} features")
        standard: NDArray[np.float64] = (vectors.astype(np.float64) - self.mean) / self.std
        return standard

    def predict_proba(self, vectors: NDArray[Any]) -> NDArray[np.float64]:
        """Probabilities (N, C) of vectors (N, K).

        Raises
        ------
        WeightsError
            The head gives a number.
        """
        if self.kind == "number":
            raise WeightsError(f"the head gives a number ({self.label}), not classes", remedy="use predict")
        return _softmax(self.decision(vectors) / self.temperature)

    def predict(self, vectors: NDArray[Any]) -> NDArray[Any]:
        """Class names (N,), or numbers (N,), of vectors (N, K)."""
        scores = self.decision(vectors)
        if self.kind == "number":
            return scores.reshape(len(scores))
        return np.array([self.classes[best] for best in scores.argmax(axis=1)], dtype=np.str_)

    def calibrated(self, vectors: NDArray[Any], answers: Sequence[str] | NDArray[np.str_]) -> LinearHead:
        """Head whose temperature makes held-out answers most likely.

        Parameters
        ----------
        vectors : array of shape (N, K)
            Held out: neither the head nor its strength was chosen on them.
        answers : sequence of N str
            Their classes.

        Notes
        -----
        Source: Guo et al. (2017), On calibration of modern neural networks; searched on a grid (our choice).
        """
        scores = self.decision(vectors)
        right = np.array([self.classes.index(answer) for answer in answers])
        rows = np.arange(len(right))
        losses = [-np.log(_softmax(scores / t)[rows, right] + 1e-300).mean() for t in _TEMPERATURES]
        return replace(self, temperature=float(_TEMPERATURES[int(np.argmin(losses))]))

    def to_arrays(self) -> dict[str, NDArray[np.float64]]:
        """Arrays for ``head.safetensors``."""
        return {name: np.ascontiguousarray(getattr(self, name)) for name in _ARRAYS}

    def to_json(self) -> dict[str, Any]:
        """Plain builtins for ``head.json``."""
        further: dict[str, Any] = {} if math.isinf(self.limit) else {"limit": self.limit}
        if self.blocks:
            further["blocks"] = {name: list(places) for name, places in self.blocks.items()}
        return {
            "label": self.label,
            "classes": list(self.classes),
            "calibration": {"method": "temperature", "temperature": self.temperature},
            "modalities": list(self.modalities),
            **further,  # heads of earlier versions have neither
        }

    @classmethod
    def from_stored(cls, value: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Inverse of :meth:`to_json` and :meth:`to_arrays`; a malformed head is one :class:`WeightsError`."""
        try:
            coefficients, intercept, mean, std = (np.asarray(arrays[name], np.float64) for name in _ARRAYS)
            classes = tuple(str(name) for name in value["classes"])
            temperature = float(value["calibration"]["temperature"])
            modalities = tuple(str(name) for name in value["modalities"])
            limit = float(value.get("limit", math.inf))
            stored = sorted(value.get("blocks", {}).items(), key=lambda block: block[1])
            blocks = {str(name): (int(start), int(stop)) for name, (start, stop) in stored}
            arrays_of_it = (coefficients, intercept, mean, std)
            return cls(str(value["label"]), classes, *arrays_of_it, temperature, modalities, limit, blocks)
        except (AttributeError, KeyError, TypeError, ValueError) as cause:
            raise WeightsError(f"the head is malformed: {cause}") from cause


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
    return shares
