"""Objectives that see which sample belongs to which: comparators of the modal alignment, of the same kind and options.

Each is one formula of :mod:`trivium.objectives.distances`, whose sources stand there. None of them is part of a
published system for these corpora in exactly this form; they answer the question whether knowing the pairing helps.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal, get_args

from torch import Tensor

from trivium.errors import SpecificationError
from trivium.objectives.distances import barlow_twins, canonical_distance, cka_distance, info_nce
from trivium.objectives.pairs import PairObjective

__all__ = ["BarlowTwins", "CanonicalCorrelation", "Kernel", "KernelAlignment", "PairContrast"]

Kernel = Literal["linear", "gaussian"]
_LEAST_RIDGE = 1e-5


class CanonicalCorrelation(PairObjective):
    """Deep CCA: one minus the mean canonical correlation of two modalities' features.

    Parameters
    ----------
    pairs, layer, width, shuffled, weight
        See :class:`trivium.objectives.PairObjective`. Canonical correlations need batches of several times the width,
        which is 8 by default (our choice).
    ridge : float
        Added to both covariances, relative to their mean variance; at least 1e-5, below which single precision cannot
        take the root of a covariance.

    Examples
    --------
    >>> CanonicalCorrelation(width=4).name
    'canonical_correlation'
    """

    name: ClassVar[str] = "canonical_correlation"
    same_width: ClassVar[bool] = False

    def __init__(
        self,
        pairs: str = "",
        layer: str = "feature",
        width: int = 8,
        ridge: float = 1e-2,
        shuffled: bool = False,
        weight: float = 1.0,
    ) -> None:
        super().__init__(pairs, layer, width, shuffled, weight)
        if not _LEAST_RIDGE <= ridge < math.inf:
            raise SpecificationError(f"ridge cannot be {ridge}", remedy=f"give a number of at least {_LEAST_RIDGE:g}")
        self.ridge = ridge

    def apart(self, x: Tensor, y: Tensor, pair: tuple[str, str]) -> Tensor:
        """One minus the mean canonical correlation."""
        return canonical_distance(x, y, self.ridge)


class KernelAlignment(PairObjective):
    """Centred kernel alignment: the normalised cross-covariance (linear kernel), or HSIC with a Gaussian one.

    Parameters
    ----------
    pairs, layer, width, shuffled, weight
        See :class:`trivium.objectives.PairObjective`.
    kernel : {"linear", "gaussian"}
        How alike two samples are.

    Examples
    --------
    >>> KernelAlignment(kernel="gaussian").kernel
    'gaussian'
    """

    name: ClassVar[str] = "kernel_alignment"
    same_width: ClassVar[bool] = False

    def __init__(
        self,
        pairs: str = "",
        layer: str = "feature",
        width: int = 0,
        kernel: Kernel = "linear",
        shuffled: bool = False,
        weight: float = 1.0,
    ) -> None:
        super().__init__(pairs, layer, width, shuffled, weight)
        if kernel not in get_args(Kernel):
            raise SpecificationError(f"kernel cannot be {kernel!r}", remedy="choose from linear, gaussian")
        self.kernel = kernel

    def apart(self, x: Tensor, y: Tensor, pair: tuple[str, str]) -> Tensor:
        """One minus the alignment."""
        return cka_distance(x, y, self.kernel)


class BarlowTwins(PairObjective):
    """Barlow Twins between modalities: their cross-correlation matrix becomes the identity.

    Parameters
    ----------
    pairs, layer, width, shuffled, weight
        See :class:`trivium.objectives.PairObjective`.
    redundancy : float
        Weight of the cells outside the diagonal; at least 0.

    Examples
    --------
    >>> BarlowTwins().redundancy
    0.005
    """

    name: ClassVar[str] = "barlow_twins"

    def __init__(
        self,
        pairs: str = "",
        layer: str = "feature",
        width: int = 32,
        redundancy: float = 0.005,
        shuffled: bool = False,
        weight: float = 1.0,
    ) -> None:
        super().__init__(pairs, layer, width, shuffled, weight)
        if not 0 <= redundancy < math.inf:
            raise SpecificationError(f"redundancy cannot be {redundancy}", remedy="give a number of at least 0")
        self.redundancy = redundancy

    def apart(self, x: Tensor, y: Tensor, pair: tuple[str, str]) -> Tensor:
        """Distance of the cross-correlation from the identity."""
        return barlow_twins(x, y, self.redundancy)


class PairContrast(PairObjective):
    """InfoNCE between modalities: every utterance must find its own partner in the batch.

    Parameters
    ----------
    pairs, layer, width, shuffled, weight
        See :class:`trivium.objectives.PairObjective`.
    temperature : float
        Divides the cosines; above 0.

    Examples
    --------
    >>> PairContrast(temperature=0.2).name
    'pair_contrast'
    """

    name: ClassVar[str] = "pair_contrast"

    def __init__(
        self,
        pairs: str = "",
        layer: str = "feature",
        width: int = 32,
        temperature: float = 0.1,
        shuffled: bool = False,
        weight: float = 1.0,
    ) -> None:
        super().__init__(pairs, layer, width, shuffled, weight)
        if temperature <= 0:
            raise SpecificationError(f"temperature cannot be {temperature}", remedy="give a number above 0")
        self.temperature = temperature

    def apart(self, x: Tensor, y: Tensor, pair: tuple[str, str]) -> Tensor:
        """Contrastive loss, both ways."""
        return info_nce(x, y, self.temperature)
