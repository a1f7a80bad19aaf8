"""What fitted predictors say, in the terms of a protocol."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import LabelSpecification
from trivium.evaluate.named_protocols import NamedProtocol
from trivium.evaluate.test_fold import Data

__all__ = ["said_of"]


def said_of(predictor: Any, data: Data, label: LabelSpecification, protocol: NamedProtocol) -> NDArray[Any]:
    """Predictions in the terms of a protocol: what :meth:`EvaluationPlan.table` takes.

    Parameters
    ----------
    predictor : fitted estimator, or stored weights
        With ``predict``, or for classes ``predict_proba`` and ``classes_``.
    data : Aligned or Corpus
        N test rows.
    label : LabelSpecification
        Gives the classes in order.
    protocol : NamedProtocol
        Gives the threshold above which a class of several counts as present.

    Returns
    -------
    array of shape (N,) or (N, K)
        Numbers; or one for each class, the largest of which is the answer, or which is above the threshold exactly
        where the probability is above one half.
    """
    if not label.classes:
        return np.asarray(predictor.predict(data))
    shares = np.asarray(predictor.predict_proba(data))
    found = np.zeros((len(shares), len(label.classes)), np.float32)
    places = [label.classes.index(str(name)) for name in predictor.classes_]
    found[:, places] = shares
    return found + np.float32((protocol.threshold or 0.0) - 0.5) if protocol.is_multilabel else found
