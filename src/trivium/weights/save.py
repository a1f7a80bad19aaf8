"""The weights folder, written: whole or not at all, every file hashed, with a proof."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from trivium.files import atomic_folder, sha256_file, write_json
from trivium.scale import ScalerSet
from trivium.weights.card import Card
from trivium.weights.config import WeightsConfig
from trivium.weights.folder import Weights, load_weights
from trivium.weights.head import LinearHead
from trivium.weights.proof import make_proof, proof_input

__all__ = ["save_weights"]


def save_weights(
    folder: str | os.PathLike[str],
    config: WeightsConfig,
    *,
    state: Mapping[str, NDArray[Any]],
    encoder: bytes,
    scalers: ScalerSet,
    card: Card,
    head: LinearHead | None = None,
    overwrite: bool = False,
) -> Weights:
    """Write a weights folder, whole or not at all, with its proof.

    Parameters
    ----------
    folder : path
        Will hold the files.
    config : WeightsConfig
        What the weights are of, and what they take.
    state : mapping of str to array of any shape
        Parameters of the network.
    encoder : bytes
        The exported encoder (:func:`trivium.represent.export.export_encoder`).
    scalers : ScalerSet
        On the columns of `config`.
    card : Card
        What people should know.
    head : LinearHead, optional
        From vectors to answers.
    overwrite : bool
        Replace an existing folder.

    Returns
    -------
    Weights
        The folder, opened.

    Raises
    ------
    WeightsError
        The parts do not fit one another.
    DataError
        The folder exists.
    """
    with atomic_folder(folder, replace="config.json" if overwrite else None) as draft:
        files: dict[str, bytes] = {
            "model.safetensors": save({name: np.array(value, order="C") for name, value in state.items()}),
            "encoder.onnx": encoder,
            "scalers.safetensors": save(scalers.to_arrays()),
        }
        if head is not None:
            files["head.safetensors"] = save(head.to_arrays())
            write_json(draft / "head.json", head.to_json())
        for name, data in files.items():
            (draft / name).write_bytes(data)
        weights = _described(draft, config, card)
        proof = make_proof(proof_input(config, scalers), weights.transform)
        (draft / "proof.safetensors").write_bytes(save(proof))
        (draft / "README.md").write_text(card.markdown(config, weights.n_features), encoding="utf-8")
        if head is not None:
            head.decision(proof["vectors"])
        _described(draft, config, card)
    return load_weights(folder)


def _described(draft: Path, config: WeightsConfig, card: Card) -> Weights:
    """Write ``config.json`` for what is in `draft` so far, and open it."""
    names = sorted(file.name for file in draft.iterdir() if file.name != "config.json")
    hashes = {name: sha256_file(draft / name) for name in names}
    write_json(draft / "config.json", {**config.to_json(), "card": card.to_json(), "files": hashes})
    return Weights(draft, config, card, hashes)
