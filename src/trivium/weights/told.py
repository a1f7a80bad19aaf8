"""What a predictor says of every utterance, as plain builtins: answer, probabilities, and each modality alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Corpus
from trivium.errors import DataError
from trivium.weights.answers import class_shares
from trivium.weights.predictor import PredictorWeights

__all__ = ["predictor_answers"]


def predictor_answers(corpus: Corpus, weights: PredictorWeights) -> list[dict[str, Any]]:
    """Answers of a predictor by utterance.

    Parameters
    ----------
    corpus : Corpus
        N utterances with the modalities of the weights, or some of them.
    weights : PredictorWeights
        Opened.

    Returns
    -------
    list of dict
        ``id``, ``clip``, ``start`` and ``end`` in seconds (None where unknown), ``modalities`` that were there and that
        the predictor takes, ``label``, ``answer`` (a number, a class, or the list of classes that are there), for
        classes ``probabilities`` by class, and ``unimodal``: answer and probabilities of each modality alone, empty for
        networks without such heads and for modalities that were not there.

    Raises
    ------
    SpecificationError
        The columns do not fit the weights; they are named.
    DataError
        A prediction is not finite.
    """
    outputs = weights.outputs(corpus)
    scores = outputs["prediction"]
    if not np.isfinite(scores).all():
        bad = corpus.ids[~np.isfinite(scores).all(axis=1)]
        raise DataError(
            f"{len(bad)} predictions are not finite", place=f"utterance {bad[0]}", remedy="check its values"
        )
    there = weights.there(corpus)
    alone = weights.unimodal(outputs)
    spans = [corpus.column(name) for name in ("start", "end")]
    told = []
    for k, (name, clip) in enumerate(zip(corpus.ids.tolist(), corpus.column("clip").tolist(), strict=True)):
        seen = [name for name, present in there.items() if present[k]]
        times = {key: None if math.isnan(v[k]) else float(v[k]) for key, v in zip(("start", "end"), spans, strict=True)}
        row = {"id": name, "clip": clip, **times, "modalities": seen, "label": weights.config.label.key}
        parts = {m: _answer(weights, part[k : k + 1]) for m, part in alone.items() if m in seen}
        told.append(row | _answer(weights, scores[k : k + 1]) | {"unimodal": parts})
    return told


def _answer(weights: PredictorWeights, scores: NDArray[np.float32]) -> dict[str, Any]:
    """Answer and, for classes, probabilities of one row (1, K)."""
    said = weights.told(scores)[0]
    if not weights.classes_:
        return {"answer": float(said)}
    shares = class_shares(scores, multilabel=weights.is_multilabel)[0]
    chosen = [n for n, yes in zip(weights.classes_, said, strict=True) if yes] if weights.is_multilabel else str(said)
    return {"answer": chosen, "probabilities": dict(zip(weights.classes_, shares.tolist(), strict=True))}
