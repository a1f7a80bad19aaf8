"""A late readout as one linear head, which weights can hold.

Regressions whose probabilities are the softmax of linear scores stay so when they are joined by a weighted geometric
mean: the logarithm of a product of powers is the weighted sum of the scores (Genest & Zidek 1986 call it the
logarithmic opinion pool). So what was fitted block by block, each with its own strength, is stored as a single map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from trivium.errors import DataError
from trivium.evaluate.late_readout import LateReadout
from trivium.evaluate.readout import LIMIT
from trivium.weights import LinearHead

__all__ = ["late_head"]


def late_head(
    readout: LateReadout,
    vectors: NDArray[Any],
    places: Mapping[str, tuple[int, int]],
    *,
    label: str,
    modalities: Sequence[str] = (),
) -> LinearHead:
    """Head that gives the probabilities, or the number, of a fitted late readout.

    Equal to rounding, but for probabilities of single blocks below 1e-12, which the readout lifts to that.

    Parameters
    ----------
    readout : LateReadout
        Fitted on some blocks of the vectors, standing side by side.
    vectors : array of shape (N, K)
        Training rows, whole vectors: columns outside the blocks get their mean and spread, and no weight.
    places : mapping of str to (int, int)
        Where each block of the readout lies in a vector: from a column up to another.
    label : str
        What the head answers.
    modalities : sequence of str
        What the vectors are made of; empty: all.

    Returns
    -------
    LinearHead
        Of K numbers, with the blocks by name; its temperature is 1.

    Raises
    ------
    DataError
        The places are not those of the readout's blocks or overlap, or it gives several numbers.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((80, 7)); y = (x[:, 0] + x[:, 4] > 0).astype(str)
    >>> places = {"voice": (0, 3), "face": (4, 7)}
    >>> blocks = np.concatenate([x[:, a:b] for a, b in places.values()], axis=1)
    >>> readout = LateReadout({"voice": 3, "face": 3}).fit(blocks, y, groups=np.arange(80))
    >>> head = late_head(readout, x, places, label="mood")
    >>> bool(np.allclose(head.predict_proba(x), readout.predict_proba(blocks), atol=1e-6)), list(head.blocks)
    (True, ['voice', 'face'])
    """
    if {name: stop - start for name, (start, stop) in places.items()} != dict(readout.widths):
        raise DataError(f"the places {dict(places)} are not those of the blocks {dict(readout.widths)}")
    ordered = sorted(places.values())
    if any(after < before for (_, before), (after, _) in pairwise(ordered)):
        raise DataError(f"the places {dict(places)} overlap", remedy="give every block columns of its own")
    weights = np.asarray(readout.weights_)
    if weights.ndim > 1 and weights.shape[1] > 1:
        raise DataError(f"one head gives one number, the readout gives {weights.shape[1]}")
    scaler = StandardScaler().fit(np.asarray(vectors, dtype=np.float64))
    mean, std = scaler.mean_.copy(), scaler.scale_.copy()
    numbers = readout.task != "classes"
    intercept = np.array(readout.constant_) if numbers else np.zeros(len(readout.classes_))
    coefficients = np.zeros((len(intercept), vectors.shape[1]))
    for weight, (name, one) in zip(weights.ravel(), readout.readouts_.items(), strict=True):
        start, stop = places[name]
        own, constant = one.linear_scores()
        coefficients[:, start:stop], intercept = weight * own, intercept + weight * constant
        mean[start:stop], std[start:stop] = one.scaler_.mean_, one.scaler_.scale_
    classes = () if numbers else tuple(str(name) for name in readout.classes_)
    return LinearHead(
        label,
        classes,
        coefficients,
        intercept,
        mean,
        std,
        modalities=tuple(modalities),
        limit=LIMIT,
        blocks={name: (int(a), int(b)) for name, (a, b) in places.items()},
    )
