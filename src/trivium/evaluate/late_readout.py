"""Late fusion of readouts: one regularised regression for each block of columns, their answers weighted and joined.

A block is what belongs together: a modality, a layer of an encoder, a kind of statistics. In one regression over all
columns a large block drowns a small one, because one strength of regularisation has to suit both; here each block has
its own, and all that is learned on top is one weight a block. The weights are fitted to answers of models that had not
learned from the rows in question (stacked generalisation, Wolpert 1992; weights not below zero, Breiman 1996; for
classes the weighted geometric mean of probabilities is the logarithmic opinion pool, Genest & Zidek 1986).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from trivium.errors import DataError
from trivium.evaluate.opinion_pool import pooled_probabilities, pooling_weights
from trivium.evaluate.readout import LinearReadout, Readout

__all__ = ["LateReadout"]

Floats = NDArray[np.float64]


class LateReadout(Readout):
    """A :class:`LinearReadout` for every block of columns, joined with one weight a block.

    Classes: the probability of a class is proportional to the product over the blocks of its probability there to the
    power of the block's weight. Numbers: the weighted sum of the blocks' numbers and a constant. Weights are at least
    zero and least in cross entropy, or in squared error, on the rows that chose the strengths, each answered by models
    that had not learned from it (``held_out_`` of the readouts): a convex problem without anything to tune. The same
    rows chose the strengths, one number a block; they never include a test row.

    The weights are fitted to what answers add to the mean of the rows that their model had learned from, and the answer
    is the mean of all rows and the weighted sum of what the readouts add to it (our choice). Otherwise means get in the
    way of weights: the mean of the rows that are left is low where those left out are high, so that weights go to zero
    where labels are few; and a block that was told to say next to nothing may have a weight of hundreds, which would
    make as many units of error of the distance between two means. The readouts that are kept learned from more rows
    than those that chose; where one fold validates and strengths are high, their answers go up to twice as far.

    Parameters
    ----------
    widths : mapping of str to int
        Blocks in the order of the columns of X, and how many columns each has.
    task : {"classes", "numbers"}
        What to predict.
    random_state : int
        Of the solver.
    strengths : sequence of float, optional
        As for :class:`LinearReadout`.
    regression : {"logistic", "ridge"}
        As for :class:`LinearReadout`.
    weighting : {"fitted", "equal"}
        ``equal`` multiplies the probabilities of the blocks, or averages their numbers, as they are.

    Attributes
    ----------
    readouts_ : dict of str to LinearReadout
        By block.
    classes_ : array of shape (C,)
        For classes.
    weights_ : array of shape (B,), or (B, L) for numbers
        Of the blocks, in their order.
    constant_ : array of shape (L,)
        For numbers.
    validation_score_ : float
        Balanced accuracy, or minus the mean squared error, of the joined answers on the rows that chose.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((80, 6)); y = (x[:, 0] + x[:, 3] > 0).astype(str)
    >>> readout = LateReadout({"voice": 3, "face": 3}).fit(x, y, groups=np.arange(80))
    >>> float((readout.predict(x) == y).mean()) > 0.9, bool((readout.weights_ > 0).all())
    (True, True)
    """

    def __init__(
        self,
        widths: Mapping[str, int],
        task: str = "classes",
        random_state: int = 0,
        strengths: Sequence[float] | None = None,
        regression: str = "logistic",
        weighting: str = "fitted",
    ) -> None:
        self.widths = widths
        self.task = task
        self.random_state = random_state
        self.strengths = strengths
        self.regression = regression
        self.weighting = weighting

    def fit(
        self, X: NDArray[Any], y: NDArray[Any], *, groups: NDArray[Any], valid: NDArray[np.int64] | None = None
    ) -> Self:
        """Fit a readout for every block, then the weights.

        Parameters
        ----------
        X : array of shape (N, K)
            Vectors of training and validation rows, the blocks side by side.
        y : array of shape (N,) or (N, L)
            Class names, or numbers.
        groups : array of shape (N,)
            What stays together in inner folds.
        valid : int array, optional
            Rows that choose strengths and weights; inner folds do without them.

        Raises
        ------
        DataError
            The widths are not those of X, there is one class only, or task, regression or weighting are unknown.
        """
        readouts = {
            name: LinearReadout(self.task, self.random_state, self.strengths, self.regression).fit(
                part, y, groups=groups, valid=valid
            )
            for name, part in self._blocks(np.asarray(X)).items()
        }
        return self.join(readouts, y)

    def join(self, readouts: Mapping[str, LinearReadout], y: NDArray[Any]) -> Self:
        """Weigh readouts that are fitted already, all on the same rows: several joint readouts may share them.

        Parameters
        ----------
        readouts : mapping of str to LinearReadout
            By block, in the order of ``widths``.
        y : array of shape (N,) or (N, L)
            What they were fitted to.
        """
        self.readouts_ = dict(readouts)
        held_out = np.stack([readout.held_out_ for readout in self.readouts_.values()])
        known = np.isfinite(held_out).all(axis=(0, 2))
        if self.task == "classes":
            self._weigh_classes(held_out[:, known], np.asarray(y)[known])
        else:
            self._weigh_numbers(held_out, np.asarray(y, np.float64).reshape(len(known), -1), known)
        return self

    def _numbers(self, x: NDArray[Any]) -> Floats:
        said = np.stack([self.readouts_[name].predict(part) for name, part in self._blocks(x).items()])
        return np.asarray((self.weights_[:, None] * said).sum(axis=0) + self.constant_)

    def predict_proba(self, X: NDArray[Any]) -> Floats:
        """Probability of every class; see :meth:`Readout.predict_proba`."""
        shares = [self.readouts_[name].predict_proba(x) for name, x in self._blocks(X).items()]
        return pooled_probabilities(np.stack(shares), self.weights_)

    def _blocks(self, x: NDArray[Any]) -> dict[str, NDArray[Any]]:
        if self.weighting not in ("fitted", "equal"):
            raise DataError(f"the weighting {self.weighting!r} is neither fitted nor equal")
        edges = np.cumsum([0, *self.widths.values()])
        if not self.widths or min(self.widths.values()) < 1 or edges[-1] != x.shape[1]:
            raise DataError(f"blocks of {list(self.widths.values())} columns do not make up the {x.shape[1]} there are")
        return {name: x[:, a:b] for name, a, b in zip(self.widths, edges[:-1], edges[1:], strict=True)}

    def _weigh_classes(self, held_out: Floats, y: NDArray[Any]) -> None:
        self.classes_ = next(iter(self.readouts_.values())).classes_
        equal, truth = np.ones(len(held_out)), np.searchsorted(self.classes_, y)
        self.weights_ = equal if self.weighting == "equal" else pooling_weights(held_out, truth)
        said = self.classes_[pooled_probabilities(held_out, self.weights_).argmax(axis=1)]
        self.validation_score_ = float(np.mean([np.mean(said[y == c] == c) for c in np.unique(y)]))

    def _weigh_numbers(self, held_out: Floats, y: Floats, known: NDArray[np.bool_]) -> None:
        from scipy.optimize import nnls

        learned = next(iter(self.readouts_.values())).held_out_mean_[known]
        said, truth = held_out[:, known], y[known]
        if self.weighting == "equal":
            self.weights_ = np.full((len(said), y.shape[1]), 1 / len(said))
            missed = said.mean(axis=0) - truth
        else:
            added, wanted = _centred(said - learned), _centred(truth - learned)
            found = [nnls(added[:, :, k].T, wanted[:, k])[0] for k in range(y.shape[1])]
            self.weights_ = np.stack(found, axis=1)
            missed = (self.weights_[:, None] * added).sum(axis=0) - wanted
        self.constant_ = (1 - self.weights_.sum(axis=0)) * y.mean(axis=0)
        self.validation_score_ = -float((missed**2).mean())


def _centred(numbers: Floats) -> Floats:
    """Less their mean over the rows."""
    apart: Floats = numbers - numbers.mean(axis=-2, keepdims=True)
    return apart
