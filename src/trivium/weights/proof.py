"""The proof: a synthetic input and the vectors it must give, so that anyone can see that weights work as saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Aligned
from trivium.errors import WeightsError
from trivium.scale import ScalerSet
from trivium.weights.config import WeightsConfig

__all__ = ["TOLERANCE", "make_proof", "proof_input", "replay_proof"]

TOLERANCE = 1e-5
_ROWS = 4
_SEED = 20
_SPREAD = 2.0  # standard deviations, so that values also leave the range seen in training
Transform = Callable[[Aligned], NDArray[np.float32]]


def proof_input(config: WeightsConfig, scalers: ScalerSet, seed: int = _SEED) -> Aligned:
    """Synthetic utterances: full, short, without the last modality, and with gaps.

    Parameters
    ----------
    config : WeightsConfig
        Gives words and columns.
    scalers : ScalerSet
        Its pooled mean and spread give the values their size.
    seed : int
        Of the random values.

    Returns
    -------
    Aligned
        4 utterances.
    """
    rng = np.random.default_rng(seed)
    spec, words = config.specification, config.words
    pooled = scalers.scalers["pooled"]
    mask = np.ones((_ROWS, words), bool)
    padded = slice(0, words // 2) if config.pad == "left" else slice(words - words // 2, words)
    mask[1, padded] = False
    cells = np.repeat(mask[:, :, None], len(spec.modalities), axis=2)
    cells[2, :, -1] = False
    cells[3] &= rng.random(cells[3].shape) < 0.5
    values = pooled.mean + _SPREAD * pooled.std * rng.uniform(-1.0, 1.0, (_ROWS, words, len(spec.columns)))
    seen = np.repeat(cells, [s.dim for s in spec.streams], axis=2)
    ids = np.array([f"synthetic-{seed}-{row}" for row in range(_ROWS)])
    return Aligned.from_arrays(
        np.where(seen, values, 0.0).astype(np.float32), spec, mask=mask, cell_mask=cells, ids=ids
    )


def make_proof(aligned: Aligned, transform: Transform, seed: int = _SEED) -> dict[str, NDArray[Any]]:
    """Arrays of ``proof.safetensors``: the synthetic input, its seed, and the vectors it must give.

    Parameters
    ----------
    aligned : Aligned
        Of :func:`proof_input`.
    transform : callable
        Aligned to vectors (N, K).
    seed : int
        That of the input.
    """
    return {
        "seed": np.array([seed], np.int64),
        "values": aligned.values,
        "mask": aligned.mask.astype(np.uint8),
        "cell_mask": aligned.cell_mask.astype(np.uint8),
        "vectors": np.ascontiguousarray(transform(aligned), np.float32),
    }


def replay_proof(stored: Mapping[str, NDArray[Any]], config: WeightsConfig, transform: Transform) -> float:
    """Largest difference between the stored vectors and those of now, relative to the largest number above 1.

    Parameters
    ----------
    stored : mapping
        Content of ``proof.safetensors``.
    config : WeightsConfig
        Names the columns.
    transform : callable
        Aligned to vectors (N, K).

    Raises
    ------
    WeightsError
        The stored arrays are malformed.
    """
    try:
        aligned = Aligned.from_arrays(
            stored["values"],
            config.specification,
            mask=stored["mask"].astype(bool),
            cell_mask=stored["cell_mask"].astype(bool),
        )
        expected = stored["vectors"]
        difference = np.abs(transform(aligned) - expected).max()
    except (KeyError, ValueError) as cause:
        raise WeightsError(f"the proof is malformed: {cause}") from cause
    return float(difference / max(1.0, float(np.abs(expected).max())))
