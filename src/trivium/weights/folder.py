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

__all__ = ["Weights", "fit_columns", "load_weights", "require_columns"]

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

    def fit_columns(self, aligned: Aligned) -> Aligned:
        """Utterances with exactly the columns of the weights, matched by name.

        A modality that the data lack altogether is masked. Modalities that the weights do not know are left out.

        Parameters
        ----------
        aligned : Aligned
            N utterances of W steps.

        Raises
        ------
        SpecificationError
            A modality is there with other columns (they are named) or by another extractor or version, no modality is
            shared, or W differs.
        """
        if aligned.shape[1] != self.config.words:
            raise SpecificationError(
                f"the data have {aligned.shape[1]} steps, the weights take {self.config.words}",
                remedy=f"align with words={self.config.words}",
            )
        return fit_columns(aligned, self.specification)

    def transform(self, aligned: Aligned, scaler: str = POOLED) -> NDArray[np.float32]:
        """Vectors of utterances; ONNX Runtime and NumPy only.

        Parameters
        ----------
        aligned : Aligned
            N utterances; columns are matched by name, a missing modality is masked (:meth:`fit_columns`).
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

    def predict_proba(self, aligned: Aligned, scaler: str = POOLED) -> NDArray[np.float64]:
        """Probabilities (N, C) of the head's classes; see :meth:`transform`."""
        return self.require_head().predict_proba(self.transform(self._heard(aligned), scaler))

    def predict(self, aligned: Aligned, scaler: str = POOLED) -> NDArray[Any]:
        """Answers (N,) of the head; see :meth:`transform`."""
        return self.require_head().predict(self.transform(self._heard(aligned), scaler))

    def _heard(self, aligned: Aligned) -> Aligned:
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


def fit_columns(aligned: Aligned, spec: Specification) -> Aligned:
    """Utterances with exactly the columns of `spec`; see :meth:`Weights.fit_columns`.

    Parameters
    ----------
    aligned : Aligned
        N utterances of any number of steps.
    spec : Specification
        Modalities and columns in the order that is wanted.

    Examples
    --------
    >>> from trivium.corpus import StreamSpecification
    >>> voice, face = (StreamSpecification(m, ("c",), clock="words") for m in ("audio", "vision"))
    >>> x = Aligned.from_arrays(np.ones((1, 2, 1), np.float32), Specification((face,)))
    >>> fit_columns(x, Specification((voice, face))).cell_mask[0].tolist()
    [[False, True], [False, True]]
    """
    own = aligned.specification
    shared = [m for m in spec.modalities if m in own.modalities]
    if not shared:
        raise SpecificationError(
            f"the data have {', '.join(own.modalities) or 'no modality'}, the weights take {', '.join(spec.modalities)}"
        )
    for modality in shared:
        require_columns(own, spec, modality)
    if own.columns == spec.columns:
        return aligned
    place = {name: i for i, name in enumerate(own.columns)}
    n, w, _ = aligned.shape
    values = np.zeros((n, w, len(spec.columns)), np.float32)
    kept = [i for i, name in enumerate(spec.columns) if name in place]
    values[:, :, kept] = aligned.values[:, :, [place[spec.columns[i]] for i in kept]]
    cells = np.zeros((n, w, len(spec.modalities)), bool)
    for number, modality in enumerate(spec.modalities):
        if modality in shared:
            cells[:, :, number] = aligned.cell_mask[:, :, own.modalities.index(modality)]
    return Aligned.from_arrays(
        values, spec, mask=aligned.mask, cell_mask=cells, ids=aligned.ids, table=dict(aligned.table)
    )


def require_columns(own: Specification, spec: Specification, modality: str) -> None:
    """Raise unless the data's modality holds every column of the weights' modality, made by the same extractor.

    Parameters
    ----------
    own, spec : Specification
        Of the data, of the weights.
    modality : str
        That both have.
    """
    ours, theirs = spec.stream(modality), own.stream(modality)
    missing = [c for c in ours.columns if c not in set(theirs.columns)]
    if missing:
        shown = ", ".join(missing[:6]) + (f" and {len(missing) - 6} more" if len(missing) > 6 else "")
        raise SpecificationError(
            f"{modality} of the data lacks columns that the weights take: {shown}",
            remedy="extract or read the same columns (they are matched by name), or leave the modality out",
        )
    makers = [(s.extractor, s.version) for s in (ours, theirs)]
    if all(name for name, _ in makers) and makers[0] != makers[1]:
        names = [" ".join(maker).strip() for maker in makers]
        raise SpecificationError(
            f"{modality} of the weights is by {names[0]}, of the data by {names[1]}",
            remedy="extract the data again, or use weights of that version",
        )


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
