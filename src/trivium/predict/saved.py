"""A fitted predictor as a weights folder."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save

from trivium.corpus import LabelSpecification, Specification
from trivium.corpus.specification import LabelKind
from trivium.errors import SpecificationError, WeightsError
from trivium.fuse import Network, TextEncoder, WithTextEncoder, export_network
from trivium.predict.request import network_request
from trivium.scale import StreamScaler
from trivium.weights import Card, PredictorConfig, PredictorWeights, TextTower, TrainingCorpus, save_predictor

__all__ = ["save_fitted"]

_OF_THE_MACHINE = ("device", "folder", "resume", "tensorboard", "progress")


class _Fitted(Protocol):
    """What is asked of a fitted :class:`trivium.predict.Predictor`."""

    network: str
    network_options: Mapping[str, Any] | None
    label: str | None
    selection: str
    network_: Network | WithTextEncoder
    specification_: Specification
    scaler_: StreamScaler
    label_: LabelSpecification | None
    steps_: dict[str, int]
    words_: int
    window_: int
    learned_: int
    seed_: int
    n_iter_: int
    best_epoch_: int
    best_value_: float

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Settings."""


def save_fitted(
    predictor: _Fitted,
    folder: str | os.PathLike[str],
    *,
    learned: Mapping[str, Any] | None = None,
    card: Card | None = None,
    export: bool = True,
    overwrite: bool = False,
) -> PredictorWeights:
    """Write a fitted predictor as weights; parameters and errors: see :meth:`trivium.predict.Predictor.save`."""
    name, options = network_request(predictor.network)
    whole = predictor.network_
    if not hasattr(predictor, "best_value_"):
        raise WeightsError("weights of a training that did not end are not saved", remedy="fit again")
    if not all(bool(torch.isfinite(parameter).all()) for parameter in whole.parameters()):
        raise WeightsError("weights that are not finite are not saved", remedy="train with a lower learning rate")
    network, encoder = (whole.network, whole.encoder) if isinstance(whole, WithTextEncoder) else (whole, None)
    classes = tuple(str(one) for one in getattr(predictor, "classes_", ()))
    config = PredictorConfig(
        type(predictor).__name__,
        name,
        options | dict(predictor.network_options or {}),
        Specification(predictor.specification_.streams),
        predictor.label_ or _made_up_label(predictor, classes),
        classes,
        network.outputs,
        predictor.steps_,
        predictor.words_,
        predictor.window_,
        _parameters(predictor),
        {**(learned or {}), "utterances": predictor.learned_, **_kept(predictor)},
        tuple(getattr(predictor, "levels_", ())),
        None if encoder is None else _tower(encoder),
    )
    return save_predictor(
        folder,
        config,
        state=_arrays(network),
        graph=_graph(network, predictor.steps_) if export and encoder is None else None,
        scaler=predictor.scaler_,
        tower=None if encoder is None else _tower_files(encoder),
        card=_default_card(config) if card is None else card,
        overwrite=overwrite,
    )


def _arrays(module: torch.nn.Module) -> dict[str, NDArray[Any]]:
    """Parameters and buffers by name, in memory of their own."""
    return {name: np.array(tensor.detach().cpu().numpy(), order="C") for name, tensor in module.state_dict().items()}


def _tower(encoder: TextEncoder) -> TextTower:
    pieces = encoder.pieces
    return TextTower(
        encoder.name, encoder.called, encoder.steps, pieces.begin, pieces.end, pieces.pad, encoder.vocabulary
    )


def _tower_files(encoder: TextEncoder) -> dict[str, bytes]:
    """The encoder as it was trained, its configuration and its tokenizer: data, nothing that is run."""
    return {
        "encoder.json": json.dumps(encoder.config, indent=1, sort_keys=True, default=str).encode(),
        "encoder.safetensors": save(_arrays(encoder.model)),
        "tokenizer.json": encoder.pieces.tokenizer.encode(),
    }


def _made_up_label(predictor: _Fitted, classes: tuple[str, ...]) -> LabelSpecification:
    """What is said of a target that was given as an array."""
    if not classes:
        return LabelSpecification(predictor.label or "y", "regression")
    kind: LabelKind = "multilabel" if getattr(predictor, "multilabel_", False) else "multiclass"
    return LabelSpecification(predictor.label or "y", kind, classes)


def _graph(network: Network, steps: Mapping[str, int]) -> bytes | None:
    """The exported network, or None where it has no graph and predicting needs torch."""
    device = next(network.parameters()).device
    network.cpu()
    try:
        return export_network(network, steps)
    except (SpecificationError, torch.onnx.OnnxExporterError):
        return None
    finally:
        network.to(device)


def _parameters(predictor: _Fitted) -> dict[str, Any]:
    given = {**predictor.get_params(deep=False), "random_state": predictor.seed_}
    kept = {name: value for name, value in given.items() if name not in _OF_THE_MACHINE}
    if isinstance(predictor.network_, WithTextEncoder):  # by its name: the folder it came from is of the machine
        kept["text_encoder"] = f"{predictor.network_.encoder.name}:{predictor.network_.encoder.called}"
    return {name: list(value) if isinstance(value, tuple) else value for name, value in kept.items()}


def _kept(predictor: _Fitted) -> dict[str, Any]:
    value, rule = predictor.best_value_, f"valid_{predictor.selection}"
    facts = {"epochs": predictor.n_iter_, "kept_epoch": predictor.best_epoch_ + 1}
    return facts if math.isnan(value) else facts | {rule: float(value)}


def _default_card(config: PredictorConfig) -> Card:
    name = str(config.learned.get("corpus", "a corpus"))
    return Card(
        f"{config.network} for {config.label.key}",
        "not stated; the terms of the training corpus apply",
        (TrainingCorpus(name, int(config.learned["utterances"]), "not stated"),),
        limitations=("Fits data with these very columns only.",),
    )
