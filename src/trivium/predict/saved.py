"""A fitted predictor as a weights folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from trivium.corpus import Aligned, Corpus, LabelSpecification, Specification
from trivium.errors import SpecificationError
from trivium.fuse import Network, export_network
from trivium.predict.predictor import Predictor
from trivium.predict.request import network_request
from trivium.weights import Card, PredictorConfig, PredictorWeights, TrainingCorpus, save_predictor

__all__ = ["longest_steps", "save_fitted"]

_OF_THE_MACHINE = ("device", "folder", "resume", "tensorboard", "progress")
_MARGIN = 1.25  # our choice: utterances of a test fold or of a clip are somewhat longer than any in training


def save_fitted(
    predictor: Predictor,
    folder: str | os.PathLike[str],
    learned_from: Corpus | Aligned,
    *,
    label: LabelSpecification,
    learned: Mapping[str, Any] | None = None,
    card: Card | None = None,
    export: bool = True,
    overwrite: bool = False,
) -> PredictorWeights:
    """Write a fitted predictor as weights that `trivium predict`, `evaluate` and `weights check` take.

    Parameters
    ----------
    predictor : SentimentRegressor or EmotionClassifier
        Fitted on a corpus or an aligned set.
    folder : path
        Will hold the files.
    learned_from : Corpus or Aligned
        Its training data; says how long sequences are.
    label : LabelSpecification
        What it answers.
    learned : mapping, optional
        From what it learned: protocol, fold, seed ..., as plain builtins.
    card : Card, optional
        What people should know; default names the corpus and says that nothing was measured.
    export : bool
        Export the network too, so that predicting needs no torch; takes seconds, of deep networks half a minute.
    overwrite : bool
        Replace an existing folder.

    Raises
    ------
    DataError
        The folder exists.
    WeightsError
        The network's exported graph gives other numbers.
    """
    specification = Specification(predictor.specification_.streams)
    steps = longest_steps(learned_from)
    words = learned_from.shape[1] if isinstance(learned_from, Aligned) else 0
    name, options = network_request(predictor.network)
    classes = tuple(str(one) for one in getattr(predictor, "classes_", ()))
    config = PredictorConfig(
        type(predictor).__name__,
        name,
        options | dict(predictor.network_options or {}),
        specification,
        label,
        classes,
        predictor.network_.outputs,
        steps,
        words,
        words or _most_words(learned_from),
        _parameters(predictor),
        {**(learned or {}), "utterances": len(learned_from), **_kept(predictor)},
    )
    return save_predictor(
        folder,
        config,
        state={key: tensor.detach().cpu().numpy() for key, tensor in predictor.network_.state_dict().items()},
        graph=_graph(predictor.network_, steps) if export else None,
        scaler=predictor.scaler_,
        card=_default_card(config) if card is None else card,
        overwrite=overwrite,
    )


def longest_steps(data: Corpus | Aligned) -> dict[str, int]:
    """Steps by modality that an exported graph should take: those of the longest utterance and a quarter more.

    Parameters
    ----------
    data : Corpus or Aligned
        Training data; all utterances of an aligned set have the same steps, and nothing is added.
    """
    if isinstance(data, Aligned):
        return dict.fromkeys(data.specification.modalities, data.shape[1])
    longest = {name: int(data.lengths(name).max(initial=1)) for name in data.specification.modalities}
    clocks = {stream.modality: stream.clock for stream in data.specification.streams}
    of_words = max((count for name, count in longest.items() if clocks[name] == "words"), default=1)
    # modalities whose steps are words share them, and networks may ask for that
    even = {name: of_words if clocks[name] == "words" and longest[name] > 1 else longest[name] for name in longest}
    return {name: 1 if count <= 1 else int(np.ceil(count * _MARGIN)) for name, count in even.items()}


def _most_words(data: Corpus | Aligned) -> int:
    """Words of the longest utterance, where a modality has one step per word; 0 where none tells."""
    of_words = [stream.modality for stream in data.specification.streams if stream.clock == "words"]
    lengths = data.lengths(of_words[0]) if of_words and isinstance(data, Corpus) else np.zeros(1, np.int64)
    return max(int(lengths.max(initial=0)), 0)


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


def _parameters(predictor: Predictor) -> dict[str, Any]:
    given = {**predictor.get_params(deep=False), "random_state": predictor.seed_}
    found = {}
    for name, value in given.items():
        if name not in _OF_THE_MACHINE:
            found[name] = list(value) if isinstance(value, tuple) else value
    return found


def _kept(predictor: Predictor) -> dict[str, Any]:
    best = predictor.best_epoch_
    value = predictor.best_value_
    rule = f"valid_{predictor.selection}"
    return {"epochs": predictor.n_iter_, "kept_epoch": best + 1} | ({} if np.isnan(value) else {rule: float(value)})


def _default_card(config: PredictorConfig) -> Card:
    name = str(config.learned.get("corpus", "a corpus"))
    return Card(
        f"{config.network} for {config.label.key}",
        "not stated; the terms of the training corpus apply",
        (TrainingCorpus(name, int(config.learned["utterances"]), "not stated"),),
        limitations=("Fits data with these very columns only.",),
    )
