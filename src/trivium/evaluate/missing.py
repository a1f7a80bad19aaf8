"""Missing modalities: drop whole modalities or single steps at a rate, and sum up what the loss of them costs.

What is dropped is decided by the seed, the utterance's id and the modality alone: not by the batch, its order, its
padding or the other utterances. And it is nested: what is missing at one rate is missing at every higher one, so a
curve falls because more is gone and not because something else is. What was dropped is zero and masked, as everywhere.

Sources: the area under the curve against the missing rate is TFR-Net's AUILC (Yuan et al., 2021); relative and
effective robustness are MultiBench's definitions (Liang et al., 2021) without its rescaling against a table of other
methods. Deciding by id, and nesting, are our choices.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trivium.corpus import Aligned, Batch
from trivium.errors import DataError

__all__ = [
    "RATES",
    "MissingCurve",
    "area_under_curve",
    "drop_modalities",
    "drop_steps",
    "effective_robustness",
    "keep_modalities",
    "missing_curve",
    "modality_subsets",
    "relative_robustness",
]

RATES = tuple(k / 10 for k in range(11))
"""Rates of a curve: 0.0, 0.1 ... 1.0."""

Data = TypeVar("Data", Aligned, Batch)
_Kept = Callable[[str, str, NDArray[np.bool_]], NDArray[np.bool_]]  # id, modality, mask (T,) -> mask (T,)


def drop_modalities(data: Data, rate: float, *, seed: int = 0, modalities: Sequence[str] | None = None) -> Data:
    """Drop every modality of every utterance with probability `rate`.

    Parameters
    ----------
    data : Batch or Aligned
        N utterances.
    rate : float
        From 0 (nothing is dropped) to 1 (everything is).
    seed : int
        Of the draw.
    modalities : sequence of str, optional
        Which may be dropped; default all.

    Raises
    ------
    DataError
        The rate is not between 0 and 1, or a modality does not exist.

    Examples
    --------
    >>> from trivium.corpus import Specification, StreamSpecification
    >>> spec = Specification((StreamSpecification("audio", ("f0",), clock="words"),))
    >>> x = Aligned.from_arrays(np.ones((1000, 2, 1), np.float32), spec)
    >>> float(drop_modalities(x, 0.3, seed=1).cell_mask.any(axis=(1, 2)).mean().round(1))
    0.7
    """
    _require_rate(rate)

    def kept(utterance: str, modality: str, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return mask if _draw("modality", seed, utterance, modality) >= rate else np.zeros_like(mask)

    return _masked(data, kept, modalities)


def drop_steps(data: Data, rate: float, *, seed: int = 0, modalities: Sequence[str] | None = None) -> Data:
    """Drop every step of every modality with probability `rate`, each by itself.

    Parameters
    ----------
    data : Batch or Aligned
        N utterances; of an aligned set the words stay, and their cells are emptied.
    rate : float
        From 0 (nothing is dropped) to 1 (everything is).
    seed : int
        Of the draw.
    modalities : sequence of str, optional
        Which may be dropped; default all.

    Raises
    ------
    DataError
        The rate is not between 0 and 1, or a modality does not exist.

    Notes
    -----
    A draw belongs to the k-th real step of the utterance, wherever padding has moved it.
    """
    _require_rate(rate)

    def kept(utterance: str, modality: str, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        steps = np.flatnonzero(mask)
        draws = np.random.default_rng(_number("steps", seed, utterance, modality)).random(len(steps))
        found = np.zeros_like(mask)
        found[steps[draws >= rate]] = True
        return found

    return _masked(data, kept, modalities)


def keep_modalities(data: Data, modalities: Sequence[str]) -> Data:
    """Drop all modalities but the named ones, of every utterance.

    Parameters
    ----------
    data : Batch or Aligned
        N utterances.
    modalities : sequence of str
        What stays.

    Raises
    ------
    DataError
        A modality does not exist.
    """
    dropped = [name for name in data.specification.modalities if name not in _existing(data, modalities)]
    return _masked(data, lambda _id, _name, mask: np.zeros_like(mask), dropped)


def modality_subsets(modalities: Sequence[str]) -> list[tuple[str, ...]]:
    """Every non-empty choice of modalities, small ones first.

    Parameters
    ----------
    modalities : sequence of str
        In order.

    Examples
    --------
    >>> modality_subsets(["text", "audio"])
    [('text',), ('audio',), ('text', 'audio')]
    """
    return [kept for count in range(1, len(modalities) + 1) for kept in combinations(modalities, count)]


def _masked(data: Data, kept: _Kept, modalities: Sequence[str] | None) -> Data:
    names = data.specification.modalities if modalities is None else _existing(data, modalities)
    if isinstance(data, Aligned):
        return _masked_cells(data, kept, names)
    mask = {
        name: _rows(data.ids, name, data.mask[name], kept) if name in names else data.mask[name] for name in data.mask
    }
    values = {
        name: np.where(mask[name][:, :, None], found, np.zeros((), found.dtype)) if name in names else found
        for name, found in data.values.items()
    }
    return replace(data, values=values, mask=mask)


def _masked_cells(data: Aligned, kept: _Kept, names: Sequence[str]) -> Aligned:
    cell_mask = data.cell_mask.copy()
    ids = tuple(data.ids.tolist())
    for place, name in enumerate(data.specification.modalities):
        if name in names:  # the draw counts words, not cells that were seen: words are the steps here
            cell_mask[:, :, place] &= _rows(ids, name, data.mask, kept)
    columns = np.repeat(cell_mask, [stream.dim for stream in data.specification.streams], axis=2)
    return replace(data, values=np.where(columns, data.values, np.float32(0)), cell_mask=cell_mask)


def _rows(ids: Sequence[str], modality: str, mask: NDArray[np.bool_], kept: _Kept) -> NDArray[np.bool_]:
    rows = [kept(utterance, modality, row) for utterance, row in zip(ids, mask, strict=True)]
    return np.array(rows, dtype=bool).reshape(mask.shape)


def _existing(data: Aligned | Batch, modalities: Sequence[str]) -> Sequence[str]:
    unknown = [name for name in modalities if name not in data.specification.modalities]
    if unknown:
        known = ", ".join(data.specification.modalities)
        raise DataError(f"there is no modality {unknown[0]!r}", remedy=f"choose from {known}")
    return modalities


def _require_rate(rate: float) -> None:
    if not 0 <= rate <= 1:
        raise DataError(f"{rate} is no rate", remedy="give a number from 0 to 1")


def _number(kind: str, seed: int, utterance: str, modality: str) -> int:
    key = f"{kind}\0{seed}\0{modality}\0{utterance}".encode()
    return int.from_bytes(hashlib.sha256(key).digest()[:8])


def _draw(kind: str, seed: int, utterance: str, modality: str) -> float:
    """A number from 0 up to 1, always the same for the same names."""
    return (_number(kind, seed, utterance, modality) >> 11) / (1 << 53)


@dataclass(frozen=True)
class MissingCurve:
    """Scores against the rate of what is missing.

    Parameters
    ----------
    rates : tuple of float
        R rates, rising.
    scores : mapping of str to tuple of tuple of float
        By measure: for each rate one value per seed.
    """

    rates: tuple[float, ...]
    scores: Mapping[str, tuple[tuple[float, ...], ...]]

    def means(self, name: str) -> tuple[float, ...]:
        """Mean over seeds for every rate."""
        return tuple(float(np.mean(values)) for values in self.scores[name])

    def defined_to(self, name: str) -> float:
        """The last rate before the first at which the means are not defined; NaN where none is.

        Where everything is missing all answers are the same, and a correlation of constant answers is not defined.
        """
        missing = np.flatnonzero(np.isnan(self.means(name)))
        count = int(missing[0]) if len(missing) else len(self.rates)
        return self.rates[count - 1] if count else float("nan")

    def area(self, name: str) -> float:
        """Area under the means up to :meth:`defined_to`; NaN where fewer than two rates are left.

        See :func:`area_under_curve`. An area to .9 is not comparable with one to 1.0.
        """
        count = sum(rate <= self.defined_to(name) for rate in self.rates)
        return area_under_curve(self.rates[:count], self.means(name)[:count]) if count > 1 else float("nan")

    def to_json(self) -> dict[str, Any]:
        """Rates, and by measure the values, their means, the area and the rate that it goes to, as plain builtins."""
        return {
            "rates": list(self.rates),
            "scores": {
                name: {
                    "by_seed": [list(v) for v in values],
                    "mean": list(self.means(name)),
                    "area": self.area(name),
                    "area_to": self.defined_to(name),
                }
                for name, values in self.scores.items()
            },
        }


def missing_curve(
    measure: Callable[[float, int], Mapping[str, float]], *, rates: Sequence[float] = RATES, seeds: Sequence[int] = (0,)
) -> MissingCurve:
    """Measure at every rate with every seed.

    Parameters
    ----------
    measure : callable
        Of (rate, seed): drops, predicts, and gives scores by measure.
    rates : sequence of float
        Rising, from 0 to 1.
    seeds : sequence of int
        Of the draws.

    Raises
    ------
    DataError
        Rates do not rise, there is one only, or no seed.

    Examples
    --------
    >>> curve = missing_curve(lambda rate, seed: {"acc2": 0.9 - 0.4 * rate})
    >>> round(curve.area("acc2"), 6)
    0.7
    """
    _require_curve(rates, rates)
    if not len(seeds):
        raise DataError("a curve needs a seed")
    found = [[measure(rate, seed) for seed in seeds] for rate in rates]
    names = found[0][0]
    scores = {name: tuple(tuple(float(one[name]) for one in at_rate) for at_rate in found) for name in names}
    return MissingCurve(tuple(rates), scores)


def area_under_curve(rates: ArrayLike, scores: ArrayLike) -> float:
    """Area under scores against rates by the trapezoid rule: AUILC where the rates go from 0 to 1.

    Parameters
    ----------
    rates : array of shape (R,)
        Rising.
    scores : array of shape (R,)
        One value by rate.

    Raises
    ------
    DataError
        Shapes differ, there are fewer than two rates, or they do not rise.

    Examples
    --------
    >>> area_under_curve([0, 0.5, 1], [1, 1, 0])
    0.75
    """
    x, y = _require_curve(rates, scores)
    return float(np.sum((x[1:] - x[:-1]) * (y[1:] + y[:-1]) / 2))


def relative_robustness(scores: ArrayLike, *, step: float = 0.1) -> float:
    """Area under the scores at rates 0, `step`, 2 `step` ...: MultiBench's relative robustness, not rescaled.

    Parameters
    ----------
    scores : array of shape (R,)
        The first one without noise. MultiBench has ten, up to .9, so a perfect curve has .9.
    step : float
        Between rates.

    Raises
    ------
    DataError
        There are fewer than two scores.

    Examples
    --------
    >>> round(relative_robustness([1.0] * 10), 6)
    0.9
    """
    y = np.asarray(scores, dtype=np.float64)
    return area_under_curve(step * np.arange(len(y)), y)


def effective_robustness(scores: ArrayLike, reference: ArrayLike) -> float:
    """What a curve holds above that of a reference moved to the same start: MultiBench's, with late fusion there.

    Parameters
    ----------
    scores, reference : arrays of shape (R,)
        At the same rates, the first one without noise: sum over i of s_i - (l_i + s_0 - l_0).

    Raises
    ------
    DataError
        Shapes differ.

    Examples
    --------
    >>> effective_robustness([0.75, 0.75, 0.5], [0.5, 0.25, 0.25])
    0.25
    """
    s, late = np.asarray(scores, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if s.shape != late.shape or s.ndim != 1 or not len(s):
        raise DataError(f"curves have the shapes {s.shape} and {late.shape}", remedy="give both at the same rates")
    return float(np.sum(s - (late + s[0] - late[0])))


def _require_curve(rates: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = np.asarray(rates, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1 or len(x) < 2 or not (np.diff(x) > 0).all():
        raise DataError(
            f"{x.shape} rates and {y.shape} scores are no curve", remedy="give rising rates and one score for each"
        )
    return x, y
