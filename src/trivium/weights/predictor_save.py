"""Weights of a predictor, written: whole or not at all, every file hashed, with a proof on synthetic sequences."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from trivium.corpus import Batch
from trivium.errors import WeightsError
from trivium.files import atomic_folder, sha256_file, write_json
from trivium.scale import TEXT, StreamScaler
from trivium.weights.card import Card
from trivium.weights.predictor import PredictorWeights, load_predictor
from trivium.weights.predictor_config import TOWER_FILES, PredictorConfig

__all__ = ["replay_sequences", "save_predictor", "synthetic_sequences"]

_ROWS, _MOST_STEPS, _SEED, _SPREAD = 4, 16, 20, 2.0


def save_predictor(
    folder: str | os.PathLike[str],
    config: PredictorConfig,
    *,
    state: Mapping[str, NDArray[Any]],
    graph: bytes | None,
    scaler: StreamScaler,
    card: Card,
    tower: Mapping[str, bytes] | None = None,
    overwrite: bool = False,
) -> PredictorWeights:
    """Write the weights folder of a predictor, with its proof.

    Parameters
    ----------
    folder : path
        Will hold the files.
    config : PredictorConfig
        What it is, takes and answers.
    state : mapping of str to array of any shape
        Parameters of the network.
    graph : bytes, optional
        The exported network (:func:`trivium.fuse.export_network`); None where it cannot be exported.
    scaler : StreamScaler
        Of the training columns.
    card : Card
        What people should know.
    tower : mapping of str to bytes, optional
        The text encoder that was trained along: one of each :data:`TOWER_FILES`, where `config` has one.
    overwrite : bool
        Replace an existing folder.

    Raises
    ------
    WeightsError
        The parts do not fit one another.
    DataError
        The folder exists.
    """
    with atomic_folder(folder, replace="config.json" if overwrite else None) as draft:
        (draft / "model.safetensors").write_bytes(save({k: np.array(v, order="C") for k, v in state.items()}))
        (draft / "scalers.safetensors").write_bytes(save(scaler.to_arrays()))
        for name in TOWER_FILES if tower else ():
            (draft / name).write_bytes((tower or {})[name])
        if graph is not None:
            (draft / "network.onnx").write_bytes(graph)
        (draft / "README.md").write_text(_page(config, card), encoding="utf-8")

        def described() -> PredictorWeights:
            names = sorted(file.name for file in draft.iterdir() if file.name != "config.json")
            hashes = {name: sha256_file(draft / name) for name in names}
            write_json(draft / "config.json", {**config.to_json(), "card": card.to_json(), "files": hashes})
            return PredictorWeights(draft, config, card, hashes)

        weights = described()
        batch = synthetic_sequences(config, scaler)
        arrays = {f"{name}/values": values for name, values in batch.values.items()}
        arrays |= {f"{name}/mask": mask.astype(np.uint8) for name, mask in batch.mask.items()}
        arrays["prediction"] = np.ascontiguousarray(weights.outputs_of(batch)["prediction"], np.float32)
        (draft / "proof.safetensors").write_bytes(save(arrays))
        described()
    return load_predictor(folder)


def synthetic_sequences(config: PredictorConfig, scaler: StreamScaler) -> Batch:
    """Made-up sequences: full, short, without the last modality, and with gaps.

    Parameters
    ----------
    config : PredictorConfig
        Gives modalities, columns and steps.
    scaler : StreamScaler
        Its mean and spread give the values their size.
    """
    rng = np.random.default_rng(_SEED)
    values: dict[str, NDArray[Any]] = {}
    mask: dict[str, NDArray[np.bool_]] = {}
    last = config.specification.modalities[-1]
    for stream in config.specification.streams:
        name, count = stream.modality, min(config.steps[stream.modality], _MOST_STEPS)
        seen = np.ones((_ROWS, count), bool)
        seen[1, (count + 1) // 2 :] = False
        seen[2] = name != last
        seen[3] = rng.random(count) < 0.5
        if config.tower is not None and name == TEXT:
            values[name], mask[name] = _drawn_pieces(rng, seen, config.tower.vocabulary), seen
            continue
        drawn = scaler.mean[name] + _SPREAD * scaler.std[name] * rng.uniform(-1.0, 1.0, (_ROWS, count, stream.dim))
        values[name], mask[name] = np.where(seen[:, :, None], drawn, 0.0).astype(np.float32), seen
    ids = tuple(f"synthetic-{row}" for row in range(_ROWS))
    return Batch(ids, values, mask, config.specification)


def _drawn_pieces(rng: np.random.Generator, seen: NDArray[np.bool_], vocabulary: int) -> NDArray[np.int32]:
    """Words of one and of two pieces by turns, (rows, words, 2)."""
    drawn = rng.integers(0, vocabulary, (*seen.shape, 2), dtype=np.int32)
    drawn[:, ::2, 1] = -1
    return np.where(seen[:, :, None], drawn, np.int32(-1))


def replay_sequences(weights: PredictorWeights) -> float:
    """Largest difference between the proof's predictions and those of now, relative to the largest number above 1.

    Parameters
    ----------
    weights : PredictorWeights
        Opened.

    Raises
    ------
    WeightsError
        The stored arrays are malformed.
    """
    stored = weights.arrays("proof.safetensors")
    try:
        names = weights.specification.modalities
        values = {name: stored[f"{name}/values"] for name in names}
        mask = {name: stored[f"{name}/mask"].astype(bool) for name in names}
        ids = tuple(map(str, range(len(mask[names[0]]))))
        found = weights.outputs_of(Batch(ids, values, mask, weights.specification))["prediction"]
        difference = np.abs(found - stored["prediction"]).max()
    except (KeyError, ValueError) as cause:
        raise WeightsError(f"the proof is malformed: {cause}") from cause
    return float(difference / max(1.0, float(np.abs(stored["prediction"]).max())))


def _page(config: PredictorConfig, card: Card) -> str:
    label = config.label
    says = f"one of {', '.join(config.classes)}" if config.classes else "a number"
    if label.kind == "multilabel":
        says = f"for each of {', '.join(config.classes)} whether it is there"
    told = "; ".join(f"{name} {value}" for name, value in config.learned.items() if value not in ("", None))
    steps = ", ".join(f"{count} of {name}" for name, count in config.steps.items())
    clock = f"aligned to {config.words} words" if config.words else "with every modality on its own clock"
    needs = f"Without torch it takes at most so many steps: {steps}."
    if config.tower is not None:
        needs = (
            f"Its text is the words themselves, read by the text encoder `{config.tower.name}`, which was trained "
            f"along ({', '.join(f'`{name}`' for name in TOWER_FILES)}): it needs torch and transformers."
        )
    if config.levels:
        says = f"a number from {config.levels[0]:g} to {config.levels[-1]:g}, learned as {len(config.levels)} levels"
    lead = (
        f"A predictor of `{label.key}` ({says}): the network `{config.network}` over utterances {clock}. {needs}\n\n"
        f"Learned: {told or 'not stated'}."
    )
    use = 'from trivium.weights import load_predictor\n\nanswers = load_predictor("this folder").predict(corpus)'
    scaling = "Columns are standardised with the mean and spread of the training cells; what is not finite is the mean."
    return card.page(lead, config.columns, use, scaling)
