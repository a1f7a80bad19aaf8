"""Objectives on two views of every utterance, and between modalities that predict one another; none sees a label.

Sources: the uni-modal contrastive coding and the cross-modal contrastive prediction of MMCL (Lin & Hu, 2022, arXiv
2210.14556), of which the presence and the roles of the terms are known to us and the formulas are not: NT-Xent (Chen et
al., 2020, arXiv 2002.05709) and InfoNCE (van den Oord et al., 2018, arXiv 1807.03748) are their usual forms. MMCL's
third term contrasts by sentiment; it needs labels and has no place in a representation without. VICReg: Bardes et al.
(2022, arXiv 2105.04906), equations 1 to 6 and their weights. The projections are trained with the network and left
behind. A sample counts for a modality where it was seen in both views; fewer than two such samples add nothing.

All of them compare the samples of a batch, so training in several processes is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import permutations
from typing import ClassVar

import torch
from torch import Tensor, nn

from trivium.errors import SpecificationError
from trivium.objectives.distances import contrast, nt_xent, vicreg
from trivium.train import Objective, Outputs, TensorBatch, TrainingClock, require_weight

__all__ = ["CrossModalPrediction", "TwoViews", "Vicreg", "ViewContrast"]

_LEAST_ROWS = 2
_VIEWS = ("first", "second")


class _Projections(nn.Module):
    """Maps with a hidden layer, each of which turns one or several of the network's outputs into ``OBJECTIVE.NAME``.

    `routes` says for each map how wide its input is and, by the name of what it gives, what it takes.
    """

    def __init__(self, objective: str, routes: Mapping[str, tuple[int, Mapping[str, str]]], width: int) -> None:
        super().__init__()
        self._routes = {
            name: {f"{objective}.{made}": source for made, source in taken.items()}
            for name, (_, taken) in routes.items()
        }
        self.maps = nn.ModuleDict(
            {
                name: nn.Sequential(nn.Linear(own, width), nn.GELU(), nn.Linear(width, width))
                for name, (own, _) in routes.items()
            }
        )

    def forward(self, outputs: Outputs) -> dict[str, Tensor]:
        return {
            made: self.maps[name](outputs[source])
            for name, taken in self._routes.items()
            for made, source in taken.items()
        }


class TwoViews(Objective):
    """Base of objectives on two views: the sum over modalities of how far the views are apart (`apart`).

    Reads ``first_MODALITY`` and ``second_MODALITY`` (B, F) of :class:`trivium.represent.ShownSteps`.

    Parameters
    ----------
    width : int
        Width of the projection.
    weight : float
        Factor in the sum of losses.
    """

    name: ClassVar[str]

    def __init__(self, width: int = 64, weight: float = 1.0) -> None:
        if width < 1:
            raise SpecificationError(f"{self.name}: width cannot be {width}", remedy="give at least 1")
        self.width, self.weight = width, require_weight(self.name, weight)

    def heads(self, outputs: Outputs) -> nn.Module | None:
        """A projection for each modality, shared by its views."""
        widths = {name: outputs[f"first_{name}"].shape[-1] for name in _of(outputs, "first_")}
        if not widths:
            raise SpecificationError(
                f"{self.name}: the network gives no two views", remedy="use it with trivium.represent.MaskedSteps"
            )
        routes = {
            name: (width, {f"{view}_{name}": f"{view}_{name}" for view in _VIEWS}) for name, width in widths.items()
        }
        return _Projections(self.name, routes, self.width)

    def loss(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> Tensor:
        """Mean over the modalities."""
        terms = []
        for modality in _of(outputs, "first_"):
            rows = _seen(outputs[f"first_{modality}"]) & _seen(outputs[f"second_{modality}"])
            x, y = (outputs[f"{self.name}.{view}_{modality}"] for view in _VIEWS)
            terms.append(_where_enough(self.apart, x, y, rows))
        return torch.stack(terms).mean()

    def apart(self, x: Tensor, y: Tensor) -> Tensor:
        """How far two views (n, W) are apart, n >= 2: a scalar."""
        raise NotImplementedError


class ViewContrast(TwoViews):
    """Uni-modal contrastive coding: the two views of an utterance find each other among all views of the batch.

    Parameters
    ----------
    width, weight
        See :class:`TwoViews`.
    temperature : float
        Divides the cosines; above 0.

    Examples
    --------
    >>> objective = ViewContrast(temperature=1.0)
    >>> x = torch.eye(2)
    >>> outputs = {"first_audio": x, "second_audio": x, "view_contrast.first_audio": x, "view_contrast.second_audio": x}
    >>> round(objective.loss(outputs, TensorBatch(torch.arange(2), {}, {}, {}), TrainingClock(0, 0)).item(), 4)
    0.5514
    """

    name: ClassVar[str] = "view_contrast"

    def __init__(self, width: int = 64, temperature: float = 0.2, weight: float = 1.0) -> None:
        super().__init__(width, weight)
        self.temperature = _positive(self.name, temperature)

    def apart(self, x: Tensor, y: Tensor) -> Tensor:
        """NT-Xent over the 2 n views."""
        return nt_xent(x, y, self.temperature)


class Vicreg(TwoViews):
    """VICReg: views alike, every number of the projection varying, no two numbers telling the same.

    Parameters
    ----------
    width, weight
        See :class:`TwoViews`.
    invariance, variance, covariance : float
        Weights of the three terms; the paper's by default.

    Examples
    --------
    >>> Vicreg().variance
    25.0
    """

    name: ClassVar[str] = "vicreg"

    def __init__(
        self,
        width: int = 128,
        invariance: float = 25.0,
        variance: float = 25.0,
        covariance: float = 1.0,
        weight: float = 1.0,
    ) -> None:
        super().__init__(width, weight)
        self.invariance, self.variance, self.covariance = invariance, variance, covariance

    def apart(self, x: Tensor, y: Tensor) -> Tensor:
        """Weighted sum of the three terms."""
        return vicreg(x, y, self.invariance, self.variance, self.covariance)


class CrossModalPrediction(Objective):
    """Cross-modal contrastive prediction: each modality predicts each other one, and must find it in the batch.

    Reads ``feature_MODALITY`` (B, F) of :class:`trivium.represent.ShownSteps`. For every ordered pair a predictor makes
    a vector of one modality, and InfoNCE compares it by cosine with the other's projections over the samples that have
    both. The towers share their structure and no weights (our reading of "pseudo-siamese").

    Parameters
    ----------
    width : int
        Width of predictions and projections.
    temperature : float
        Divides the cosines; above 0.
    weight : float
        Factor in the sum of losses.

    Examples
    --------
    >>> CrossModalPrediction(temperature=0.5).temperature
    0.5
    """

    name: ClassVar[str] = "cross_modal_prediction"

    def __init__(self, width: int = 64, temperature: float = 0.2, weight: float = 1.0) -> None:
        if width < 1:
            raise SpecificationError(f"{self.name}: width cannot be {width}", remedy="give at least 1")
        self.width, self.weight = width, require_weight(self.name, weight)
        self.temperature = _positive(self.name, temperature)

    def heads(self, outputs: Outputs) -> nn.Module | None:
        """A predictor for every ordered pair and a projection for every modality."""
        widths = {name: outputs[f"feature_{name}"].shape[-1] for name in _of(outputs, "feature_")}
        if len(widths) < _LEAST_ROWS:
            raise SpecificationError(
                f"{self.name}: there is no second modality to predict", remedy="give at least two modalities"
            )
        routes = {name: (width, {name: f"feature_{name}"}) for name, width in widths.items()}
        routes |= {f"{a}>{b}": (widths[a], {f"{a}>{b}": f"feature_{a}"}) for a, b in permutations(widths, 2)}
        return _Projections(self.name, routes, self.width)

    def loss(self, outputs: Outputs, batch: TensorBatch, clock: TrainingClock) -> Tensor:
        """Mean over the ordered pairs."""
        terms = []
        for one, other in permutations(_of(outputs, "feature_"), 2):
            rows = _seen(outputs[f"feature_{one}"]) & _seen(outputs[f"feature_{other}"])
            predicted, found = outputs[f"{self.name}.{one}>{other}"], outputs[f"{self.name}.{other}"]
            terms.append(_where_enough(self._found, predicted, found, rows))
        return torch.stack(terms).mean()

    def _found(self, predicted: Tensor, found: Tensor) -> Tensor:
        return contrast(predicted, found, self.temperature)


def _of(outputs: Iterable[str], prefix: str) -> list[str]:
    return [name.removeprefix(prefix) for name in outputs if name.startswith(prefix)]


def _seen(features: Tensor) -> Tensor:
    """Rows of a modality that was there: one that was not gives zeros."""
    return (features != 0).any(dim=1)


def _where_enough(apart: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor, rows: Tensor) -> Tensor:
    return apart(x[rows], y[rows]) if int(rows.sum()) >= _LEAST_ROWS else (x.sum() + y.sum()) * 0.0


def _positive(name: str, temperature: float) -> float:
    if temperature <= 0:
        raise SpecificationError(f"{name}: temperature cannot be {temperature}", remedy="give a number above 0")
    return temperature
