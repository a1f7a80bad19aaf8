"""What a probe says of its representations: parameters, a description, and what a reader must know of each."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any, TypeAlias

from trivium.scale import POOLED, REFIT
from trivium.weights import Weights

__all__ = ["Representation", "description", "parameters", "remarks", "takes_validation"]

Representation: TypeAlias = Any  # fit and transform, as scikit-learn has them; Weights; or None for the majority
_UNTOLD = ("progress", "folder", "resume", "tensorboard", "random_state")  # they decide no prediction, or the seed does
_TRANSDUCTIVE = "transductive: scaled with the statistics of all utterances, test rows among them"
_STORED = "not refitted: transductive if it was trained on these utterances"


def parameters(representation: Representation) -> dict[str, Any]:
    """Constructor's arguments; none where it is no estimator.

    Parameters
    ----------
    representation : estimator, Weights or None
        Row of a table.
    """
    if not hasattr(representation, "get_params"):
        return {}
    if not _is_joined(representation):
        return dict(representation.get_params(deep=False))
    joined = {name for name, _ in representation.parts} | {"parts"}
    return {k: v for k, v in representation.get_params().items() if k not in joined and "__" not in k}


def takes_validation(representation: Representation) -> bool:
    """Whether ``fit`` can be given the rows that stop it.

    Parameters
    ----------
    representation : estimator, Weights or None
        Row of a table.
    """
    return hasattr(representation, "fit") and "validation" in signature(representation.fit).parameters


def description(representation: Representation, task: str) -> str:
    """One line: class and parameters, or the folder of the weights, and whether it is transductive.

    Parameters
    ----------
    representation : estimator, Weights or None
        None is the constant answer.
    task : {"classes", "numbers"}
        What is predicted.

    Examples
    --------
    >>> description(None, "numbers")
    'mean of the training labels'
    """
    if representation is None:
        return "most frequent class" if task == "classes" else "mean of the training labels"
    if isinstance(representation, Weights):
        return f"weights {representation.folder.name} ({_STORED})"
    if _is_joined(representation):
        parts = " + ".join(description(part, task) for _, part in representation.parts)
        text = f"{parts}, standardised"
        return f"{text} ({_TRANSDUCTIVE})" if representation.scaler == REFIT else text
    told = sorted((k, v) for k, v in parameters(representation).items() if k not in _UNTOLD)
    text = f"{type(representation).__name__}({', '.join(f'{k}={v!r}' for k, v in told)})"
    if not hasattr(representation, "fit"):
        return f"{text} ({_STORED})"
    return f"{text} ({_TRANSDUCTIVE})" if dict(told).get("scaler") == REFIT else text


def _is_joined(representation: Representation) -> bool:
    """Whether it is a :class:`trivium.represent.Beside`, told without importing torch."""
    return isinstance(getattr(representation, "parts", None), list | tuple)


def remarks(plan: Mapping[str, Representation]) -> list[str]:
    """Sentences that must stand under the table of these rows.

    Parameters
    ----------
    plan : mapping of str to representation
        Rows of the table by name.

    Examples
    --------
    >>> remarks({"majority": None})
    ['There is no untrained floor: nothing here tells what the architecture gives without training.']
    """
    found = []
    for name, representation in plan.items():
        scaler = parameters(representation).get("scaler", POOLED)
        if representation is not None and not hasattr(representation, "fit"):
            found.append(f"{name} is {_STORED}.")
        elif scaler == REFIT:
            found.append(f"{name} is {_TRANSDUCTIVE}.")
        elif scaler != POOLED:
            found.append(f"{name} is scaled by {scaler}.")
    if "untrained" not in plan:
        found.append("There is no untrained floor: nothing here tells what the architecture gives without training.")
    return found
