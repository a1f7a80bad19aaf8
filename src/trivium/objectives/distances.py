"""How far two modalities of a batch are apart: pure functions of two feature matrices whose rows are the same samples.

Some of them see which row belongs to which (:func:`barlow_twins`, :func:`canonical_distance`, :func:`cka_distance`,
:func:`info_nce`); :func:`covariance_distance` and :func:`moment_distance` do not: they compare two populations, and
shuffling the rows of one changes nothing. Each is a scalar with a gradient, 0 or more, except the contrastive ones and
:func:`barlow_twins`, whose least values depend on the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "barlow_twins",
    "canonical_distance",
    "cka_distance",
    "contrast",
    "covariance",
    "covariance_distance",
    "info_nce",
    "moment_distance",
    "nt_xent",
    "standardised",
    "vicreg",
]

_TINY = 1e-8
_NOTHING, _ROUNDING = 1e-20, 1e-6
_VICREG_TINY = 1e-4  # the paper's


def covariance(x: Tensor) -> Tensor:
    """Covariance matrix (D, D) of the rows of `x` (N, D), with N - 1 in the denominator; N is at least 2.

    Examples
    --------
    >>> covariance(torch.tensor([[0.0, 1.0], [2.0, 1.0]])).tolist()
    [[2.0, 0.0], [0.0, 0.0]]
    """
    centred = x - x.mean(dim=0)
    return centred.T @ centred / (len(x) - 1)


def covariance_distance(c: Tensor, d: Tensor) -> Tensor:
    r"""Squared Frobenius distance of two covariance matrices (D, D), divided by :math:`4 D^2`.

    Notes
    -----
    Source: Sun and Saenko (2016), Deep CORAL, equation 1.

    Examples
    --------
    >>> covariance_distance(torch.eye(2), torch.zeros(2, 2)).item()
    0.125
    """
    return (c - d).square().sum() / (4 * len(c) ** 2)


def moment_distance(x: Tensor, y: Tensor, moments: int = 5) -> Tensor:
    """Central moment discrepancy of features (N, D) that lie in [0, 1]: distances of the mean and of K - 1 moments.

    Parameters
    ----------
    x, y : tensor of shape (N, D)
        Features of two modalities.
    moments : int
        K, the mean included.

    Notes
    -----
    Source: Zellinger et al. (2017), Central Moment Discrepancy, equation 2 with b - a = 1; MISA uses K = 5.

    Examples
    --------
    >>> moment_distance(torch.tensor([[0.0], [1.0]]), torch.tensor([[0.5], [0.5]]), moments=2).item()
    0.25
    """
    a, b = x - x.mean(dim=0), y - y.mean(dim=0)
    apart = _length(x.mean(dim=0) - y.mean(dim=0))
    for power in range(2, moments + 1):
        apart = apart + _length((a**power).mean(dim=0) - (b**power).mean(dim=0))
    return apart


def _length(v: Tensor) -> Tensor:
    """Euclidean length with a gradient of 0 at 0, where that of the norm is not defined."""
    squared = v.square().sum()
    return torch.where(squared > 0, squared.clamp(min=torch.finfo(v.dtype).tiny).sqrt(), squared)


def cka_distance(x: Tensor, y: Tensor, kernel: str = "linear") -> Tensor:
    r"""One minus the centred kernel alignment (the normalised Hilbert-Schmidt independence criterion).

    With the linear kernel it is :math:`1 - \|C_{xy}\|_F^2 / (\|C_{xx}\|_F \|C_{yy}\|_F)`: the cross-covariance on the
    scale of the two covariances. The Gaussian kernel takes the median distance of the batch as its width.

    Parameters
    ----------
    x, y : tensor of shape (N, D) and (N, E)
        Features of two modalities; widths may differ.
    kernel : {"linear", "gaussian"}
        How alike two samples are.

    Notes
    -----
    Source: Kornblith et al. (2019), Similarity of Neural Network Representations Revisited, equations 3 and 4.

    Examples
    --------
    >>> x = torch.tensor([[0.0, 1.0], [2.0, 1.0], [1.0, 0.0]])
    >>> round(cka_distance(x, 3 * x).item(), 6)
    0.0
    """
    k, m = (_centred_kernel(_at_unit_scale(part), kernel) for part in (x, y))
    return 1 - (k * m).sum() / (k.square().sum() * m.square().sum()).clamp(min=_TINY**2).sqrt()


def _centred_kernel(x: Tensor, kernel: str) -> Tensor:
    if kernel == "linear":
        return x @ x.T
    squared = (x[:, None] - x[None]).square().sum(dim=-1)
    apart = squared[~torch.eye(len(x), dtype=torch.bool, device=x.device)]
    k = torch.exp(-squared / (2 * apart.detach().median().clamp(min=_TINY)))
    return k - k.mean(dim=0) - k.mean(dim=1, keepdim=True) + k.mean()


def canonical_distance(x: Tensor, y: Tensor, ridge: float = 1e-2) -> Tensor:
    """One minus the mean canonical correlation of two feature matrices (deep CCA).

    Parameters
    ----------
    x, y : tensor of shape (N, D) and (N, E)
        Features of two modalities; N should be several times D and E.
    ridge : float
        Added to both covariances, relative to their mean variance; without it a small batch is always correlated.

    Notes
    -----
    Source: Andrew et al. (2013), Deep Canonical Correlation Analysis; the mean, instead of the sum, and the relative
    ridge are our choice. The square root is that of a Cholesky factor, which gives the same singular values.

    Examples
    --------
    >>> x = torch.tensor([[0.0, 1.0], [2.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    >>> canonical_distance(x, x @ torch.tensor([[2.0, 1.0], [0.0, 1.0]]), ridge=1e-5).item() < 1e-3
    True
    """
    a, b = _at_unit_scale(x), _at_unit_scale(y)
    between = _whitened(a, ridge) @ _whitened(b, ridge).T
    if not bool(torch.isfinite(between).all()):  # features that are not finite, or too large: told as such a loss
        return between.sum() * torch.nan
    found = torch.linalg.svdvals(between)
    distance: Tensor = 1 - found.sum() / min(x.shape[1], y.shape[1])
    return distance


def _whitened(centred: Tensor, ridge: float) -> Tensor:
    """Rows of unit covariance (D, N): L^-1 X^T / sqrt(N - 1), where L L^T is the ridged covariance."""
    spread = centred.T @ centred / (len(centred) - 1)
    size = (spread.diagonal().mean() * ridge).clamp(min=_TINY)
    ridged = spread + size * torch.eye(len(spread), dtype=spread.dtype, device=spread.device)
    factor, failed = torch.linalg.cholesky_ex(ridged)
    factor = factor.masked_fill(failed > 0, torch.nan)
    rows: Tensor = torch.linalg.solve_triangular(factor, centred.T, upper=False) / (len(centred) - 1) ** 0.5
    return rows


def barlow_twins(x: Tensor, y: Tensor, redundancy: float = 0.005) -> Tensor:
    """Distance of the cross-correlation matrix from the identity, divided by the width.

    Parameters
    ----------
    x, y : tensor of shape (N, D)
        Features of two modalities.
    redundancy : float
        Weight of the cells outside the diagonal.

    Notes
    -----
    Source: Zbontar et al. (2021), Barlow Twins, equations 1 and 2; dividing by D is our choice.

    Examples
    --------
    >>> x = torch.tensor([[1.0], [2.0], [4.0]])
    >>> round(barlow_twins(x, -x).item(), 4)
    4.0
    """
    a, b = (standardised(part, correction=0) for part in (x, y))
    correlation = a.T @ b / len(x)
    on = (correlation.diagonal() - 1).square().sum()
    off = correlation.square().sum() - correlation.diagonal().square().sum()
    return (on + redundancy * off) / len(correlation)


def standardised(x: Tensor, correction: int = 1) -> Tensor:
    """Columns of `x` (N, D) with mean 0 and variance 1, whatever the scale of `x`; constant ones are 0.

    What keeps from dividing by 0 is relative to the mean variance of all columns, so a column much narrower than the
    others is drawn towards 0: one of a ten-thousandth of their spread gets the variance .68.

    Parameters
    ----------
    x : tensor of shape (N, D)
        Features.
    correction : int
        The variance is the sum of squares over N minus this.

    Examples
    --------
    >>> x = torch.tensor([[1.0, 5.0], [3.0, 5.0], [5.0, 5.0]])
    >>> standardised(x * 1e-6).round(decimals=4).tolist()
    [[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]
    """
    centred = _at_unit_scale(x)
    squares = centred.square()
    missing = (1 - squares.detach().mean()).clamp(min=0)  # 0, and nearly 1 where all is constant but for rounding
    return centred / (squares.sum(dim=0) / (len(x) - correction) + missing + _TINY).sqrt()


def _at_unit_scale(x: Tensor) -> Tensor:
    """Centred columns, all divided by their one root mean square, so that what keeps from dividing by 0 is relative.

    What rounding leaves of constant columns is not brought to that scale. The divisor has no gradient: what is
    measured behind it does not depend on the scale. Columns without any spread at all get no gradient either: there is
    no direction in which they would have to move, and a huge one would come out.
    """
    centred = x - x.mean(dim=0)
    with torch.no_grad():
        noise = _ROUNDING * x.abs().max()
        spread = centred.square().mean().sqrt()
        scale = torch.where(spread > 0, spread.clamp(min=_NOTHING).maximum(noise), torch.inf)
    return centred / scale


def info_nce(x: Tensor, y: Tensor, temperature: float = 0.1) -> Tensor:
    """Contrastive loss both ways: every row must find its partner among all rows of the other modality.

    Parameters
    ----------
    x, y : tensor of shape (N, D)
        Features of two modalities, compared by cosine.
    temperature : float
        Divides the cosines.

    Notes
    -----
    Source: van den Oord et al. (2018), Contrastive Predictive Coding; symmetric as in Radford et al. (2021), CLIP.

    Examples
    --------
    >>> round(info_nce(torch.eye(2), torch.eye(2), temperature=1.0).item(), 4)  # log(1 + exp(-1))
    0.3133
    """
    return (contrast(x, y, temperature) + contrast(y, x, temperature)) / 2


def contrast(x: Tensor, y: Tensor, temperature: float = 0.1) -> Tensor:
    """InfoNCE one way: every row of `x` must find its partner among the rows of `y`.

    Parameters
    ----------
    x, y : tensor of shape (N, D)
        Queries and keys, compared by cosine.
    temperature : float
        Divides the cosines.

    Notes
    -----
    Source: van den Oord et al. (2018), Contrastive Predictive Coding, equation 4.

    Examples
    --------
    >>> round(contrast(torch.eye(2), torch.eye(2), temperature=1.0).item(), 4)  # log(1 + exp(-1))
    0.3133
    """
    alike = _directions(x) @ _directions(y).T / temperature
    return functional.cross_entropy(alike, torch.arange(len(x), device=x.device))


def _directions(x: Tensor) -> Tensor:
    """Rows of length 1; a row of zeros, which has no direction, stays and gets no gradient, where torch's is huge."""
    length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    return x / torch.where(length > 0, length, torch.inf)


def nt_xent(x: Tensor, y: Tensor, temperature: float = 0.2) -> Tensor:
    """Normalised temperature-scaled cross entropy: each of 2 N views must find its partner among the other 2 N - 1.

    Parameters
    ----------
    x, y : tensor of shape (N, D)
        Two views of the same samples, compared by cosine.
    temperature : float
        Divides the cosines.

    Notes
    -----
    Source: Chen et al. (2020), SimCLR, equation 1.

    Examples
    --------
    >>> round(nt_xent(torch.eye(2), torch.eye(2), temperature=1.0).item(), 4)  # log(1 + 2 exp(-1))
    0.5514
    """
    views = _directions(torch.cat([x, y]))
    alike = views @ views.T / temperature
    alike = alike.masked_fill(torch.eye(len(views), dtype=torch.bool, device=x.device), -torch.inf)
    partner = torch.arange(len(views), device=x.device).roll(len(x))
    return functional.cross_entropy(alike, partner)


def vicreg(x: Tensor, y: Tensor, invariance: float = 25.0, variance: float = 25.0, covariances: float = 1.0) -> Tensor:
    """Variance-invariance-covariance regularisation of two views.

    Parameters
    ----------
    x, y : tensor of shape (N, D)
        Two views of the same samples; N is at least 2.
    invariance : float
        Weight of the mean squared difference of the views.
    variance : float
        Weight of how far every column's standard deviation lies below 1.
    covariances : float
        Weight of the squared covariances between different columns, divided by D.

    Notes
    -----
    Source: Bardes et al. (2022), VICReg, equations 1 to 6; the mean over both views of the variance term, the sum over
    both of the covariance term and the mean over columns in the first are those of its public code.

    Examples
    --------
    >>> x = torch.tensor([[2.0, -2.0], [-2.0, 2.0], [2.0, 2.0], [-2.0, -2.0]])
    >>> round(vicreg(x, x).item(), 4)
    0.0
    """
    low = [functional.relu(1 - (part.var(dim=0) + _VICREG_TINY).sqrt()).mean() for part in (x, y)]
    off = [covariance(part) for part in (x, y)]
    shared = [(c.square().sum() - c.diagonal().square().sum()) / len(c) for c in off]
    spread = (low[0] + low[1]) / 2
    return invariance * functional.mse_loss(x, y) + variance * spread + covariances * (shared[0] + shared[1])
