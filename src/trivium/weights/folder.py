"""The weights folder, opened: files are read, and their hashes compared, when they are first needed. No torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Aligned, Corpus, Specification
from trivium.errors import SpecificationError, WeightsError
from trivium.scale import POOLED, ScalerSet
from trivium.weights.card import Card, read_described
from trivium.weights.config import PREDICTOR, WeightsConfig, read_config
from trivium.weights.encoder import OnnxEncoder
from trivium.weights.files import Arrays, read_arrays, read_checked, require_files
from trivium.weights.head import LinearHead
from trivium.weights.hub import find_weights
from trivium.weights.matching import fit_columns

__all__ = ["Weights", "load_weights"]

_NEEDED = ("model.safetensors", "encoder.onnx", "scalers.safetensors", "proof.safetensors", "README.md")
_HEAD = ("head.json", "head.safetensors")


@dataclass(frozen=True, eq=False)
class Weights:
    """A trained representation, ready to use: aligned utterances to vectors, and to answers where there is a head.

    Made by :func:`load_weights`.

    Parameters
    ----------
    folder : Path
        Where it is.
    config : WeightsConfig
        What it takes.
    card : Card
        What people should know.
    hashes : mapping of str to str
        SHA-256 by file name.

    Examples
    --------
    >>> import tempfile
    >>> from trivium.weights.example import example_weights
    >>> from trivium.weights.proof import proof_input
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     weights = example_weights(Path(folder) / "example")
    ...     aligned = proof_input(weights.config, weights.scalers)  # synthetic
    ...     weights.transform(aligned).shape, weights.predict_proba(aligned).shape
    ((4, 3), (4, 2))
    """

    folder: Path
    config: WeightsConfig
    card: Card
    hashes: Mapping[str, str] = field(default_factory=dict)

    @property
    def specification(self) -> Specification:
        """Modalities and columns, in the order the encoder takes them."""
        return self.config.specification

    @property
    def window(self) -> int:
        """Most words of a stretch that clips are cut into."""
        return self.config.words

    @property
    def n_features(self) -> int:
        """Length K of a vector."""
        return self.encoder.n_features

    @cached_property
    def encoder(self) -> OnnxEncoder:
        """The encoder; opened, and its hash compared, on first use."""
        file = self.folder / "encoder.onnx"
        encoder = OnnxEncoder(self.read("encoder.onnx"), file=file)
        expected = (self.config.words, len(self.specification.columns))
        if (encoder.words, encoder.width) != expected:
            raise WeightsError(f"takes {encoder.words} x {encoder.width}, the configuration says {expected}", file=file)
        return encoder

    @cached_property
    def scalers(self) -> ScalerSet:
        """One scaler per pretraining corpus, and ``pooled``."""
        scalers = ScalerSet.from_arrays(self.arrays("scalers.safetensors"))
        if scalers.columns != self.specification.columns:
            raise WeightsError("are of other columns than the configuration", file=self.folder / "scalers.safetensors")
        return scalers

    @cached_property
    def head(self) -> LinearHead | None:
        """The head, or None."""
        if _HEAD[0] not in self.hashes:
            return None
        self.read(_HEAD[0])
        return LinearHead.from_stored(read_config(self.folder / _HEAD[0]), self.arrays(_HEAD[1]))

    def state(self) -> Arrays:
        """Parameters of the trained network by name, for going on with training."""
        return self.arrays("model.safetensors")

    def facts(self) -> dict[str, Any]:
        """What ``trivium weights show --json`` prints."""
        return {
            **self.config.to_json(),
            "features": self.n_features,
            "scalers": list(self.scalers.names),
            "head": None if self.head is None else self.head.to_json(),
            "card": self.card.to_json(),
            "files": dict(self.hashes),
        }

    def align(self, corpus: Corpus, *, need_words: bool = True, show: bool = True) -> Aligned:
        """Corpus onto its words, as many and padded on the side that the weights were trained with.

        `need_words` and `show` are those of :func:`trivium.align`.
        """
        from trivium.align import align

        chosen = [m for m in corpus.specification.modalities if m in self.specification.modalities]
        pad, words = self.config.pad, self.config.words
        return align(corpus, words=words, pad=pad, modalities=chosen, need_words=need_words, show=show)

    def fit_columns(self, aligned: Aligned | Corpus) -> Aligned:
        """Utterances with exactly the columns of the weights, matched by name.

        A modality that the data lack altogether is masked. Modalities that the weights do not know are left out.

        Parameters
        ----------
        aligned : Aligned or Corpus
            N utterances of W steps; a corpus is aligned first (:meth:`align`).

        Raises
        ------
        SpecificationError
            A modality is there with other columns (they are named) or by another extractor or version, no modality is
            shared, or W differs.
        """
        if isinstance(aligned, Corpus):
            aligned = self.align(aligned)
        if not isinstance(aligned, Aligned):
            raise SpecificationError(
                f"weights take aligned utterances or a corpus, not {type(aligned).__name__}",
                remedy="open a folder with trivium.Corpus.open; arrays become utterances with Aligned.from_arrays",
            )
        if aligned.shape[1] != self.config.words:
            raise SpecificationError(
                f"the data have {aligned.shape[1]} steps, the weights take {self.config.words}",
                remedy=f"align with words={self.config.words}",
            )
        return fit_columns(aligned, self.specification)

    def transform(self, aligned: Aligned | Corpus, scaler: str = POOLED) -> NDArray[np.float32]:
        """Vectors of utterances; ONNX Runtime and NumPy only.

        Parameters
        ----------
        aligned : Aligned or Corpus
            N utterances; columns are matched by name, a missing modality is masked (:meth:`fit_columns`). Of a corpus,
            an utterance with more words than the weights take is cropped (clips that ``trivium embed`` extracts are cut
            into several).
        scaler : str
            ``pooled``, the name of a pretraining corpus, or ``refit``: statistics of `aligned` itself.

        Returns
        -------
        array of shape (N, K)
            float32.

        Raises
        ------
        SpecificationError
            The data do not fit, or there is no such scaler.
        WeightsError
            A file is missing, altered or malformed.
        """
        return self.encoder(self.scalers.transform(self.fit_columns(aligned), scaler))

    def predict_proba(self, aligned: Aligned | Corpus, scaler: str = POOLED) -> NDArray[np.float64]:
        """Probabilities (N, C) of the head's classes; see :meth:`transform`."""
        return self.require_head().predict_proba(self.transform(self._heard(aligned), scaler))

    def predict(self, aligned: Aligned | Corpus, scaler: str = POOLED) -> NDArray[Any]:
        """Answers (N,) of the head; see :meth:`transform`."""
        return self.require_head().predict(self.transform(self._heard(aligned), scaler))

    def _heard(self, aligned: Aligned | Corpus) -> Aligned | Corpus:
        """What the head's vectors are made of."""
        kept = self.require_head().modalities
        return self.fit_columns(aligned).only(kept) if kept else aligned

    def require_head(self) -> LinearHead:
        """The head; its absence is a :class:`WeightsError`."""
        if self.head is None:
            raise WeightsError("has no head", file=self.folder, remedy="use transform, or train a head on the vectors")
        return self.head

    def read(self, name: str) -> bytes:
        """Bytes of a file, once it is below the limit and has the hash that the configuration names.

        Raises
        ------
        WeightsError
            It is missing, too large, or altered.
        """
        return read_checked(self.folder, self.hashes, name)

    def arrays(self, name: str) -> Arrays:
        """Arrays of a safetensors file, checked like :meth:`read`."""
        return read_arrays(self.folder, self.hashes, name)


def load_weights(where: str | os.PathLike[str]) -> Weights:
    """Open weights: a folder, a name in the user's folder of weights, or ``owner/name`` of a model hub.

    Only ``config.json`` is read at once; every other file is read, and its hash compared, when it is first needed.

    Parameters
    ----------
    where : path or str
        See :func:`trivium.weights.find_weights`.

    Raises
    ------
    WeightsError
        The folder is incomplete or malformed.

    Examples
    --------
    >>> import tempfile
    >>> from trivium.weights.example import example_weights
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     load_weights(example_weights(Path(folder) / "example").folder).config.words
    6
    """
    folder = find_weights(where)
    path = folder / "config.json"
    value = read_config(path)
    if value.get("kind") == PREDICTOR:
        raise WeightsError(
            "holds a predictor, which gives answers and no vectors", file=folder, remedy="use it with trivium predict"
        )
    config, card, hashes = read_described(path, value, WeightsConfig.from_json)
    expected = {*_NEEDED, *(_HEAD if _HEAD[0] in hashes else ())}
    require_files(folder, expected)
    return Weights(folder, config, card, hashes)
