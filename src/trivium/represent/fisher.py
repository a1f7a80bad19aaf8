"""Fisher vectors: how the frames of an utterance would move a mixture of Gaussians that was fitted to many frames.

Source: Perronnin, Sanchez and Mensink (2010), Improving the Fisher kernel for large-scale image classification, in the
closed form of Sanchez et al. (2013), equations 16 to 18: gradients by means and deviations, divided by the number of
frames and the root of the Fisher information's diagonal; then the signed square root and the Euclidean norm. Different:
no principal components first, no gradient by the weights, frames are standardised and limited to five deviations, and
each modality has a mixture of its own and is normalised by itself, so that a missing one leaves zeros (all our choice).
The mixture is scikit-learn's. No torch.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.utils import check_random_state

from trivium.corpus import Specification
from trivium.errors import SpecificationError
from trivium.represent.by_modality import Block, ByModality
from trivium.represent.inputs import ModalitySteps

__all__ = ["FisherVectors", "FrameMixture", "fisher_vector"]

Floats = NDArray[np.float64]
_LIMIT = 5.0
_LEAST_FRAMES = 2
_TINY = 1e-12


def fisher_vector(frames: Floats, weights: Floats, means: Floats, deviations: Floats) -> Floats:
    """Gradient of the mean log-likelihood of frames, on the scale of the Fisher information.

    Parameters
    ----------
    frames : array of shape (T, D)
        At least one frame.
    weights : array of shape (C,)
        Of the Gaussians; they sum to 1.
    means, deviations : arrays of shape (C, D)
        Of the Gaussians, whose covariances are diagonal.

    Returns
    -------
    array of shape (2 * C * D,)
        By mean, one Gaussian after the other, then by deviation; not yet normalised.

    Examples
    --------
    >>> one = np.ones((1, 1))
    >>> fisher_vector(np.array([[3.0]]), np.ones(1), one, one).round(4).tolist()  # 2, and (4 - 1) / sqrt(2)
    [2.0, 2.1213]
    """
    apart = (frames[:, None, :] - means) / deviations
    log = np.log(weights) - np.log(deviations).sum(axis=1) - (apart**2).sum(axis=2) / 2
    shares = np.exp(log - log.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    by_mean = np.einsum("tc,tcd->cd", shares, apart) / np.sqrt(weights)[:, None]
    by_deviation = np.einsum("tc,tcd->cd", shares, apart**2 - 1) / np.sqrt(2 * weights)[:, None]
    found: Floats = np.concatenate([by_mean.ravel(), by_deviation.ravel()]) / len(frames)
    return found


@dataclass(frozen=True, eq=False)
class FrameMixture:
    """What was learned of the frames of one modality.

    Parameters
    ----------
    centre, spread : array of shape (D,)
        Of the frames' columns.
    mixture : GaussianMixture
        Of the standardised frames; diagonal covariances.
    """

    centre: Floats
    spread: Floats
    mixture: GaussianMixture

    @property
    def parameters(self) -> tuple[Floats, Floats, Floats]:
        """Weights (C,), means and deviations (C, D) of the Gaussians."""
        return self.mixture.weights_, self.mixture.means_, np.sqrt(self.mixture.covariances_)

    def standardised(self, values: NDArray[Any], seen: NDArray[np.bool_]) -> Floats:
        """Frames (T, D) in deviations from the mean, within five; 0 for cells that were not seen."""
        frames = np.clip((np.where(seen, values, 0) - self.centre) / self.spread, -_LIMIT, _LIMIT)
        return np.where(seen, frames, 0.0)


class FisherVectors(ByModality):
    """Improved Fisher vectors of the frames of each modality.

    Parameters
    ----------
    n_components : int
        Gaussians C. Where training has fewer frames there are fewer, and zeros in the places of the others.
    n_frames : int
        Frames that a mixture is fitted to, drawn from all of training.
    words : int
        Steps that a corpus is cropped or padded to where `native` is false; aligned sets and arrays bring their own.
    native : bool
        Read the streams of a corpus as they are: every frame of the voice and the face.
    random_state : int, RandomState or None
        Draws frames and starts the mixtures.
    modalities : str
        Modalities that are mixed, joined with commas, such as ``audio,vision``; the others have no part in the vector.
        Empty: all. A vector grows with the columns: 384 of them cost six times what the voice does.
    trained : bool
        Fit the mixture by expectation maximisation. If not, frames drawn from training are the means, the deviations
        are 1 and the weights alike: a floor for what training the mixture adds.

    Attributes
    ----------
    mixtures_ : dict of str to FrameMixture or None
        By modality that is mixed; None where training had fewer than two frames.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((10, 30, 3)).astype(np.float32)
    >>> vectors = FisherVectors(n_components=2).fit_transform(x)
    >>> vectors.shape, np.linalg.norm(vectors, axis=1).round(4).max()
    ((10, 12), np.float32(1.0))
    """

    def __init__(
        self,
        n_components: int = 8,
        n_frames: int = 20_000,
        words: int = 20,
        native: bool = True,
        random_state: int | np.random.RandomState | None = 0,
        modalities: str = "",
        trained: bool = True,
    ) -> None:
        super().__init__(words, native)
        self.n_components = n_components
        self.n_frames = n_frames
        self.random_state = random_state
        self.modalities = modalities
        self.trained = trained

    def as_module(self, specification: Specification) -> Any:
        """Same vectors as a torch module; see :class:`trivium.represent.Beside`."""
        from trivium.represent.fisher_module import FisherModule

        widths = {stream.modality: stream.dim for stream in specification.streams}
        made = FisherModule(widths, self._mixed(widths), self.n_components, _LIMIT)
        for name, learned in getattr(self, "mixtures_", {}).items():
            if learned is not None:
                made.mixture(name).learn(learned.centre, learned.spread, *learned.parameters)
        return made

    def _mixed(self, widths: Mapping[str, int]) -> list[str]:
        """Modalities that have a mixture, in the order of the columns."""
        asked = [name.strip() for name in str(self.modalities).split(",") if name.strip()]
        unknown = [name for name in asked if name not in widths]
        if unknown:
            raise SpecificationError(
                f"there is no {', '.join(unknown)} to mix", remedy=f"choose from {', '.join(widths)}, or leave it empty"
            )
        return [name for name in widths if name in asked or not asked]

    def _learn(self, blocks: Iterator[Block]) -> None:
        if self.n_components < 1 or self.n_frames < _LEAST_FRAMES:
            raise SpecificationError(
                f"{self.n_components} Gaussians of {self.n_frames} frames are no mixture",
                remedy="give at least one Gaussian and two frames",
            )
        random = check_random_state(self.random_state)
        drawn = {name: _Draw(self.n_frames, random) for name in self._mixed(self.widths_)}
        for block in blocks:
            for name, draw in drawn.items():
                draw.add(block[name])
        seed = int(random.randint(np.iinfo(np.int32).max))
        self.mixtures_ = {name: self._mixture(draw.frames, seed) for name, draw in drawn.items()}

    def _mixture(self, frames: Floats | None, seed: int) -> FrameMixture | None:
        if frames is None or len(frames) < _LEAST_FRAMES:
            return None
        seen = np.isfinite(frames)
        counts = np.maximum(seen.sum(axis=0), 1)
        centre = np.where(seen, frames, 0).sum(axis=0) / counts
        spread = np.sqrt(np.where(seen, (frames - centre) ** 2, 0).sum(axis=0) / counts)
        mixture = GaussianMixture(
            min(self.n_components, len(frames)),
            covariance_type="diag",
            reg_covar=1e-3,
            random_state=seed,
        )
        made = FrameMixture(centre, np.where(spread > _TINY, spread, 1.0), mixture)
        if not self.trained:
            _draw_means(mixture, made.standardised(frames, seen))
            return made
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a mixture that is not quite done serves as well
            mixture.fit(made.standardised(frames, seen))
        return made

    def _block_vectors(self, block: Block) -> Floats:
        return np.concatenate([self._of_modality(name, block[name]) for name in self.mixtures_], axis=1)

    def _of_modality(self, name: str, steps: ModalitySteps) -> Floats:
        learned = self.mixtures_[name]
        found = np.zeros((len(steps.values), self._width(name)))
        if learned is None:
            return found
        half, used = found.shape[1] // 2, learned.mixture.means_.size
        places = np.concatenate([np.arange(used), half + np.arange(used)])
        for row, (values, seen) in enumerate(zip(steps.values, steps.seen, strict=True)):
            there = seen.any(axis=1)
            if there.any():
                vector = fisher_vector(learned.standardised(values[there], seen[there]), *learned.parameters)
                vector = np.sign(vector) * np.sqrt(np.abs(vector))
                found[row, places] = vector / max(float(np.linalg.norm(vector)), _TINY)
        return found

    def _width(self, name: str) -> int:
        return int(2 * self.n_components * self.widths_[name])

    def _names(self, columns: Sequence[str] | None = None) -> list[str]:
        return [f"fisher.{name}.{number}" for name in self.mixtures_ for number in range(self._width(name))]


def _draw_means(mixture: GaussianMixture, frames: Floats) -> None:
    """Set a mixture as it is before training: some frames as means, all else alike."""
    count = mixture.n_components
    rows = np.random.default_rng(mixture.random_state).choice(len(frames), count, replace=False)
    mixture.weights_ = np.full(count, 1 / count)
    mixture.means_ = frames[rows]
    mixture.covariances_ = np.ones_like(mixture.means_)
    mixture.precisions_cholesky_ = np.ones_like(mixture.means_)


class _Draw:
    """Frames drawn from a stream of blocks, each with the same chance, however many there are."""

    def __init__(self, count: int, random: np.random.RandomState) -> None:
        self._count, self._random = count, random
        self._keys = np.empty(0)
        self.frames: Floats | None = None

    def add(self, steps: ModalitySteps) -> None:
        """Frames of a block, their unseen cells NaN."""
        there = steps.seen.any(axis=2)
        frames = np.where(steps.seen[there], steps.values[there], np.nan).astype(np.float64)
        keys = np.concatenate([self._keys, self._random.random_sample(len(frames))])
        every = frames if self.frames is None else np.concatenate([self.frames, frames])
        kept = np.sort(np.argsort(keys, kind="stable")[: self._count])
        self._keys, self.frames = keys[kept], every[kept]
