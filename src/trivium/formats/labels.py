"""Label arrays of other people's files to label values, and back to the stored shape and type.

What an array means is read from its shape and values: (N,), (N, 1) and (N, 1, 1) hold one number, 0/1 throughout is a
binary label, integers are classes, one 1 per row of (N, K) is a class, (N, K, 2) is one-hot per class, and any other
(N, K) is K numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Corpus, LabelSpecification, Utterance
from trivium.errors import DataError, FormatError
from trivium.formats.findings import Finding, Findings
from trivium.formats.folds import tell_absent

__all__ = ["LabelArray", "encode", "outside", "stated_outside"]

IEMOCAP = ("neutral", "happy", "sad", "angry")
_MOST_CLASSES = 100


class LabelArray:
    """One label key of a file, all folds together.

    Parameters
    ----------
    name : str
        Name that the label gets.
    key : str
        Name in the file.
    arrays : mapping of str to array
        By fold, N rows each.
    file : Path
        For errors.
    range : (float, float), optional
        Customary range of a regression label; dropped where the values leave it.
    modality : str, optional
        Set where the label speaks of one modality.
    number : bool
        Whether one value per row is known to be a number, even if all are 0 or 1.

    Examples
    --------
    >>> rows = LabelArray("mood", "label", {"train": np.array([[0, 1], [1, 0]])}, Path("a.npz"))
    >>> rows.specifications[0].kind, rows.values("train", 0)
    ('multiclass', {'mood': '1'})
    """

    def __init__(
        self,
        name: str,
        key: str,
        arrays: Mapping[str, Any],
        file: Path,
        *,
        range: tuple[float, float] | None = None,
        modality: str | None = None,
        number: bool = False,
    ) -> None:
        whole = {fold: np.asarray(values) for fold, values in arrays.items()}
        self._tail = _one_tail(whole, key, file)
        self._arrays = {fold: values.reshape(len(values), *self._flat_tail()) for fold, values in whole.items()}
        self.key, self._range = key, range
        every = np.concatenate(list(self._arrays.values()))
        self._dtype = str(every.dtype)
        self.kind = "number" if number and every.ndim == 1 else _kind(every)
        self.specifications = _specifications(self.kind, name, every, range, modality)

    def _flat_tail(self) -> tuple[int, ...]:
        return () if int(np.prod(self._tail)) == 1 else self._tail

    def count(self, fold: str) -> int | None:
        """Rows in a fold, None where the key is not in it."""
        return len(self._arrays[fold]) if fold in self._arrays else None

    def values(self, fold: str, row: int) -> dict[str, Any]:
        """Label values of one sample, by key; a label that is missing has no entry."""
        if fold not in self._arrays:
            return {}
        value = self._arrays[fold][row]
        keys = [s.key for s in self.specifications]
        if self.kind == "numbers":
            return {k: float(v) for k, v in zip(keys, value, strict=True) if np.isfinite(v)}
        if self.kind == "pairs":
            return {keys[0]: tuple((value[:, 1] > value[:, 0]).astype(float).tolist())}
        if self.kind == "one-hot":
            return {keys[0]: self.specifications[0].classes[int(value.argmax())]} if value.any() else {}
        if not np.isfinite(value):
            return {}
        return {keys[0]: float(value) if self.kind == "number" else str(int(value))}

    def tell(self, findings: Findings, names: Mapping[str, Sequence[str]]) -> None:
        """Say which labels are missing (not finite, or not in the file for a fold) or outside the customary range.

        Parameters
        ----------
        findings : Findings
            Where they go.
        names : mapping of str to sequence of N str
            Ids of the samples by fold.
        """
        tell_absent(findings, self.key, self._arrays, names, "missing")
        if self.kind == "number" and self._range is not None:
            for fold, values in self._arrays.items():
                findings.extend(outside(values, names[fold], self.key, self._range, stated=False))
        for fold, values in self._arrays.items():
            odd = ~np.isfinite(values).reshape(len(values), int(np.prod(values.shape[1:])))
            for row in np.flatnonzero(odd.any(axis=1)).tolist():
                count = int(odd[row].sum())
                action = "not finite, so missing"
                findings.add(Finding("label", names[fold][row], column=self.key, count=count, action=action))

    def layout(self) -> dict[str, Any]:
        """What :func:`encode` needs to restore the array; plain builtins."""
        keys = [s.key for s in self.specifications]
        return {"key": self.key, "kind": self.kind, "tail": list(self._tail), "dtype": self._dtype, "labels": keys}


def _one_tail(arrays: Mapping[str, NDArray[Any]], key: str, file: Path) -> tuple[int, ...]:
    tails = {values.shape[1:] for values in arrays.values()}
    if len(tails) != 1 or any(values.dtype.kind not in "biuf" for values in arrays.values()):
        kinds = ", ".join(f"{fold} {v.dtype} {v.shape}" for fold, v in arrays.items())
        raise FormatError(f"label arrays do not fit together: {kinds}", file=file, place=key)
    return tails.pop()


def _kind(every: NDArray[Any]) -> str:
    if every.ndim == 3 and every.shape[2] == 2 and _is_one_hot(every.reshape(-1, 2), empty=False):
        return "pairs"
    if every.ndim == 2 and every.shape[1] > 1:
        return "one-hot" if _is_one_hot(every, empty=True) else "numbers"
    if every.ndim != 1:
        return "numbers"
    if len(every) and np.isin(every, (0, 1)).all():
        return "binary"
    return "class" if every.dtype.kind in "iub" and len(np.unique(every)) <= _MOST_CLASSES else "number"


def _is_one_hot(rows: NDArray[Any], *, empty: bool) -> bool:
    ones = (rows == 1).sum(axis=1)
    zeros = (rows == 0).sum(axis=1)
    whole = ones + zeros == rows.shape[1]
    return bool(len(rows) and (whole & ((ones == 1) | ((ones == 0) & empty))).all() and ones.any())


def _specifications(
    kind: str, name: str, every: NDArray[Any], range: tuple[float, float] | None, modality: str | None
) -> tuple[LabelSpecification, ...]:
    if kind == "pairs":
        classes = IEMOCAP if every.shape[1] == len(IEMOCAP) else tuple(f"class-{i}" for i in np.arange(every.shape[1]))
        return (LabelSpecification(name, "multilabel", classes, modality=modality),)
    if kind == "one-hot":
        classes = tuple(str(i) for i in np.arange(every.shape[1]))
        return (LabelSpecification(name, "multiclass", classes, modality=modality),)
    if kind == "binary":
        return (LabelSpecification(name, "binary", ("0", "1"), modality=modality),)
    if kind == "class":
        classes = tuple(str(int(v)) for v in np.unique(every))
        return (LabelSpecification(name, "multiclass", classes, modality=modality),)
    if kind == "number":
        known = range if range is None or _within(every, range) else None
        return (LabelSpecification(name, "regression", range=known, modality=modality),)
    every = every.reshape(len(every), -1)
    width = len(str(every.shape[1] - 1))
    names = [f"{name}-{i:0{max(2, width)}d}" for i in np.arange(every.shape[1])]
    return tuple(LabelSpecification(n, "regression", modality=modality) for n in names)


def _within(values: NDArray[Any], range: tuple[float, float]) -> bool:
    finite = values[np.isfinite(values)]
    return not len(finite) or bool(finite.min() >= range[0] and finite.max() <= range[1])


def outside(
    values: NDArray[Any], names: Sequence[str], key: str, range: tuple[float, float], *, stated: bool
) -> list[Finding]:
    """Findings on label values outside a range; the values stay as they are.

    Parameters
    ----------
    values : array of shape (N,)
        NaN where missing.
    names : sequence of N str
        Ids of the samples.
    key : str
        Name of the label.
    range : (float, float)
        Lowest and highest.
    stated : bool
        Whether the file itself states the range, or it is the customary one of the format.

    Examples
    --------
    >>> outside(np.array([1.0, 99.0]), ["a", "b"], "sentiment", (-3, 3), stated=True)[0].action
    'outside the stated range -3 to 3, kept'
    """
    what = "stated range" if stated else "customary range"
    action = f"outside the {what} {range[0]:g} to {range[1]:g}, kept"
    rows = np.flatnonzero(np.isfinite(values) & ((values < range[0]) | (values > range[1])))
    return [Finding("label", str(names[row]), row=row, column=key, action=action) for row in rows.tolist()]


def stated_outside(corpus: Corpus) -> list[Finding]:
    """Findings on the label values of a corpus outside the ranges that it states itself."""
    return [
        finding
        for label in corpus.specification.labels
        if label.range is not None and label.is_number
        for finding in outside(corpus.label(label.key), corpus.ids.tolist(), label.key, label.range, stated=True)
    ]


def encode(
    utterances: Sequence[Utterance], labels: Sequence[LabelSpecification], layout: Mapping[str, Any] | None = None
) -> NDArray[Any]:
    """Array of one label key, with the stored shape and type where `layout` tells them.

    Parameters
    ----------
    utterances : sequence of N Utterance
        The samples; missing labels become NaN, or zeros in one-hot rows.
    labels : sequence of LabelSpecification
        The labels that the key holds: one, or several numbers.
    layout : mapping, optional
        From :meth:`LabelArray.layout`.

    Returns
    -------
    array of shape (N, *tail)
        Numbers; class numbers for binary and multiclass labels; (N, K, 2) for multilabel ones.
    """
    rows = [_row(u, labels, (layout or {}).get("kind")) for u in utterances]
    if layout is None:
        return np.array(rows, dtype=np.float32)
    return np.array(rows).reshape(len(rows), *layout["tail"]).astype(layout["dtype"])


def _row(utterance: Utterance, labels: Sequence[LabelSpecification], kind: str | None) -> Any:
    values = [utterance.labels.get(label.key) for label in labels]
    if len(labels) > 1 or kind == "numbers":
        return [np.nan if v is None else v for v in values]
    value, label = values[0], labels[0]
    if label.kind == "multilabel":
        if value is None:
            raise DataError(f"has no label {label.key!r}, which cannot be missing here", place=utterance.id)
        return [[1 - float(v), float(v)] for v in value]  # type: ignore[union-attr]
    if kind == "one-hot":
        return [float(c == value) for c in label.classes]
    if kind == "class":
        return int(str(value))
    if label.is_number:
        return np.nan if value is None else value
    return np.nan if value is None else label.classes.index(str(value))
