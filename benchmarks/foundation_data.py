"""Columns for ``foundation.py``: blocks by name, a vector an utterance, made once and kept outside the repository.

Nothing here looks at a label. Layers of the recogniser's encoder come from the extractor ``whisper-layers``, words from
the encoder and the vectors of the catalogue; a block is what gets a regression of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from supervised_data import folder_of, joined, kept, ravdess
from voice import decoded

from trivium.corpus import Aligned
from trivium.extract.audio.whisper_layers import WhisperLayersExtractor
from trivium.files import sha256_bytes, sha256_file

__all__ = ["LAYERS", "acted_speech", "layer_statistics"]

Values = NDArray[Any]
LAYERS = (1, 2, 3, 4)


def layer_statistics(work: Path, *, begin: int = 0) -> Values:
    """Mean and spread of the states of each layer, (1440, 4, 2, 384), clips in the order of their names.

    Kept by actor, so that a run that was stopped goes on, and several may begin at different actors.
    """
    files = sorted((folder_of("ravdess") / "clips").glob("*.flac"))
    actors: dict[str, list[Path]] = {}
    for file in files:
        actors.setdefault(file.stem.split("-")[6], []).append(file)
    version = WhisperLayersExtractor("+".join(map(str, LAYERS))).specification.version
    found: dict[Path, Values] = {}
    for actor in sorted(actors)[begin:] + sorted(actors)[:begin]:
        hashed = sha256_bytes("".join(sha256_file(file) for file in actors[actor]).encode())
        key = f"ravdess whisper layers {LAYERS} {version} {hashed}"
        made = kept(work, key, partial(_layers, actors[actor]))["layers"]
        found |= {file: row for file, row in zip(actors[actor], made, strict=True)}
    return np.array([found[file] for file in files])


def _layers(files: Sequence[Path]) -> dict[str, Values]:
    extractor = WhisperLayersExtractor("+".join(map(str, LAYERS)))
    rows = []
    for file in files:
        states = extractor.stream(decoded(file), None).values
        both = np.stack([states.mean(axis=0), states.std(axis=0)])
        rows.append(both.reshape(2, len(LAYERS), -1).transpose(1, 0, 2))
    return {"layers": np.array(rows, np.float32)}


def acted_speech(work: Path) -> Aligned:
    """1,440 acted clips, a vector a block: voice, face, last states of the recogniser (all and means alone), layers."""
    given = ravdess(work, whisper=True)
    parts = {name: _part(given, name) for name in given.specification.modalities}
    last = parts.pop("speech")
    layers = layer_statistics(work)
    blocks = {"voice": parts["audio"], "face": parts["vision"], "last": last, "lastmean": last[:, : last.shape[1] // 2]}
    blocks |= {f"layer{layer}": layers[:, place].reshape(len(layers), -1) for place, layer in enumerate(LAYERS)}
    sentence = np.array([name.split("-")[4] for name in given.ids.tolist()])
    return joined(
        blocks,
        "ravdess",
        given.ids.tolist(),
        given.specification.labels[0],
        {**given.table, "group.sentence": sentence},
    )


def _part(given: Aligned, name: str) -> Values:
    return given.select([name]).values[:, 0]
