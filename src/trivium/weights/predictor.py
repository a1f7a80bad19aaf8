"""Weights of a predictor, opened: utterances to answers with their unimodal parts, in ONNX Runtime and NumPy.

The exported graph takes as many steps of each modality as its training had, and a quarter more. Longer sequences, and
networks that cannot be exported, need torch; then the network is made anew from ``model.safetensors``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Aligned, Batch, Corpus, Specification
from trivium.errors import DependencyError, SpecificationError, WeightsError
from trivium.registry import load
from trivium.scale import TEXT, Sequences, SpelledSequences, StreamScaler, WordPieces, sequences, spoken_rows
from trivium.weights.answers import class_shares, expected_level
from trivium.weights.card import Card, read_described
from trivium.weights.config import PREDICTOR, read_config
from trivium.weights.files import Arrays, read_arrays, read_checked, require_files
from trivium.weights.hub import find_weights
from trivium.weights.matching import require_clock, require_columns, shared_modalities
from trivium.weights.network_graph import NetworkGraph
from trivium.weights.predictor_config import TOWER_FILES, PredictorConfig

__all__ = ["PredictorWeights", "load_predictor"]

_NEEDED = ("model.safetensors", "scalers.safetensors", "proof.safetensors", "README.md")
_GRAPH = "network.onnx"
_ROWS_AT_ONCE = 16
_UNIMODAL = "prediction_"
_OPENED = ("scaler", "graph", "pieces", "_network")
Outputs = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class PredictorWeights:
    """A trained predictor, ready to use; made by :func:`load_predictor`.

    Parameters
    ----------
    folder : Path
        Where it is.
    config : PredictorConfig
        What it is, takes and answers.
    card : Card
        What people should know.
    hashes : mapping of str to str
        SHA-256 by file name.
    alter : callable, optional
        What is done to every batch before it is predicted from; see :meth:`altered`.
    """

    folder: Path
    config: PredictorConfig
    card: Card
    hashes: Mapping[str, str] = field(default_factory=dict)
    alter: Callable[[Batch], Batch] | None = None

    @property
    def specification(self) -> Specification:
        """Modalities and columns."""
        return self.config.specification

    @property
    def columns(self) -> Specification:
        """What data must bring: all modalities but a text that is read from words."""
        return self.config.columns

    @property
    def window(self) -> int:
        """Most words of a stretch that clips are cut into; 0 does not cut."""
        return self.config.window

    @property
    def classes_(self) -> tuple[str, ...]:
        """Classes in the order of the probabilities; empty for a number."""
        return self.config.classes

    @property
    def is_multilabel(self) -> bool:
        """Whether several classes may be true at once."""
        return self.config.label.kind == "multilabel"

    @cached_property
    def scaler(self) -> StreamScaler:
        """Mean and spread of the training columns."""
        return StreamScaler.from_arrays(self.arrays("scalers.safetensors"), self.columns)

    @cached_property
    def graph(self) -> NetworkGraph | None:
        """The exported network, or None where it cannot be exported."""
        if _GRAPH not in self.hashes:
            return None
        return NetworkGraph(self.read(_GRAPH), self.config.steps, file=self.folder / _GRAPH)

    @cached_property
    def pieces(self) -> WordPieces:
        """Tokenizer of the text encoder that was trained along.

        Raises
        ------
        WeightsError
            There is none.
        """
        tower = self.config.tower
        if tower is None:
            raise WeightsError("holds no text encoder", file=self.folder)
        text = self.read("tokenizer.json").decode("utf-8", "replace")
        return WordPieces(text, tower.begin, tower.end, tower.pad)

    def state(self) -> Arrays:
        """Parameters of the network by name."""
        return self.arrays("model.safetensors")

    def read(self, name: str) -> bytes:
        """Bytes of a file, checked by size and hash."""
        return read_checked(self.folder, self.hashes, name)

    def arrays(self, name: str) -> Arrays:
        """Arrays of a safetensors file, checked like :meth:`read`."""
        return read_arrays(self.folder, self.hashes, name)

    def prepare(self, data: Corpus | Aligned) -> Sequences:
        """Utterances as the network takes them: aligned where it learned so, columns matched by name.

        Parameters
        ----------
        data : Corpus or Aligned
            N utterances; a modality that they lack altogether is masked, further ones are left out.

        Raises
        ------
        SpecificationError
            A modality is there with other columns (they are named), another clock, or by another extractor.
        DataError
            The weights read words, and utterances with columns of text have lost them.
        """
        shared = self._shared(data)
        if isinstance(data, Corpus):
            data = self._on_words(data, shared)
        own = data.specification
        for modality in shared:
            require_columns(own, self.columns, modality)
            require_clock(own, self.columns, modality)
        if self.config.tower is None:
            return _Fitted(sequences(data), self.specification)
        spelled = SpelledSequences(data, self.pieces, self.specification.stream(TEXT))
        return _Fitted(spelled, self.specification)

    def _on_words(self, corpus: Corpus, shared: Sequence[str]) -> Corpus | Aligned:
        """The corpus with one step per word wherever training had that; other modalities keep their clocks."""
        from trivium.align import align, by_word

        own = corpus.specification
        if self.config.words:
            # a text that is read from words stays, to tell whether words are lost
            kept = [m for m in own.modalities if m in (*shared, *self._spelled)]
            return align(corpus, words=self.config.words, modalities=kept, need_words=False, show=False)
        clocks = {m: (own.stream(m).clock, self.columns.stream(m).clock) for m in shared}
        timed = [m for m, clock in clocks.items() if clock == ("seconds", "words")]
        return by_word(corpus, timed) if timed else corpus

    @property
    def _spelled(self) -> tuple[str, ...]:
        return () if self.config.tower is None else (TEXT,)

    def _shared(self, data: Corpus | Aligned) -> list[str]:
        """Modalities whose columns the network takes and the data have."""
        own = data.specification
        if self._spelled:  # the words may be all that there is
            return [m for m in self.columns.modalities if m in own.modalities]
        return shared_modalities(own, self.columns)

    def there(self, data: Corpus | Aligned) -> dict[str, NDArray[np.bool_]]:
        """Which of N utterances have each modality that the weights take, by modality.

        Parameters
        ----------
        data : Corpus or Aligned
            N utterances.
        """
        if isinstance(data, Aligned):
            names = data.specification.modalities
            cells = {name: data.cell_mask[:, :, names.index(name)] for name in self._shared(data)}
            found = {name: np.asarray(cell.any(axis=1)) for name, cell in cells.items()}
        else:
            found = {name: data.lengths(name) > 0 for name in self._shared(data)}
        found |= {name: spoken_rows(data) for name in self._spelled}
        return {name: found[name] for name in self.specification.modalities if name in found}

    def outputs(self, data: Corpus | Aligned) -> Outputs:
        """Everything the network predicts of utterances.

        Parameters
        ----------
        data : Corpus or Aligned
            N utterances.

        Returns
        -------
        dict of str to array of shape (N, K)
            ``prediction``, and ``prediction_MODALITY`` where the network has such heads; before the softmax or sigmoid.
        """
        x = self.prepare(data)
        alter = self.alter or (lambda batch: batch)
        parts = [self.outputs_of(alter(batch)) for batch in _pieces(x)]
        if not parts:
            return {"prediction": np.zeros((0, self.config.outputs), np.float32)}
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def outputs_of(self, batch: Batch) -> Outputs:
        """Outputs of one batch whose columns are those of the weights; see :meth:`outputs`."""
        values = {
            name: self.scaler.transform(name, found, batch.mask[name]) if name in self.scaler.mean else found
            for name, found in batch.values.items()
        }
        if self.graph is not None and self.graph.takes(batch.mask):
            return self.graph(values, batch.mask)
        return self._network(values, batch.mask)

    @cached_property
    def _network(self) -> Callable[[Mapping[str, Any], Mapping[str, Any]], Outputs]:
        """The network itself, for sequences that the graph does not take."""
        try:
            import torch
        except ImportError as cause:
            raise DependencyError(self._why_torch(), file=self.folder, remedy=self._instead_of_torch()) from cause
        network = self._built()

        def run(values: Mapping[str, Any], mask: Mapping[str, Any]) -> Outputs:
            with torch.inference_mode():
                given = [
                    {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in part.items()} for part in (values, mask)
                ]
                found = network(*given)
            return {name: tensor.numpy() for name, tensor in found.items() if name.startswith("prediction")}

        return run

    def _built(self) -> Any:
        """The network of torch, with its text encoder in front of it where it has one."""
        import torch

        widths = {stream.modality: stream.dim for stream in self.specification.streams}
        try:
            network = load("network", self.config.network)(widths, self.config.outputs, **self.config.options)
            network.load_state_dict({name: torch.from_numpy(value) for name, value in self.state().items()})
        except (TypeError, RuntimeError, SpecificationError) as cause:
            raise WeightsError(f"the parts do not fit together: {cause}", file=self.folder) from cause
        tower = self.config.tower
        if tower is not None:
            read, state = self.read("encoder.json"), self.arrays("encoder.safetensors")
            encoder = load("text-encoder", tower.encoder)
            network = encoder.restored(_json_of(read), state, self.pieces, tower.name, tower.steps).in_front_of(network)
        return network.eval()

    def _why_torch(self) -> str:
        if self.config.tower is not None:
            return f"the text encoder {self.config.tower.name}, which was trained along, needs torch and transformers"
        most = ", ".join(f"{count} of {name}" for name, count in self.config.steps.items())
        return f"sequences longer than the exported network takes ({most} steps) need torch"

    def _instead_of_torch(self) -> str:
        if self.config.tower is not None:
            return "pip install 'trivium[encoders]', after torch for your machine"
        return "cut the utterances, or install torch"

    def altered(self, alter: Callable[[Batch], Batch]) -> PredictorWeights:
        """The same predictor on input that was changed, such as by dropping modalities.

        Parameters
        ----------
        alter : callable
            Batch to batch.
        """
        changed = replace(self, alter=alter)
        # what was opened stays open: cached properties live in the instance
        changed.__dict__.update({k: v for k, v in self.__dict__.items() if k in _OPENED})
        return changed

    def predict_proba(self, data: Corpus | Aligned) -> NDArray[np.float32]:
        """Probabilities (N, K) of the classes; where several may be true at once, each for itself."""
        self._require_classes()
        return class_shares(self.outputs(data)["prediction"], multilabel=self.is_multilabel)

    def predict(self, data: Corpus | Aligned) -> NDArray[Any]:
        """Numbers (N,), class names (N,), or 0 or 1 for each class (N, K)."""
        return self.told(self.outputs(data)["prediction"])

    def told(self, scores: NDArray[np.float32]) -> NDArray[Any]:
        """Answers of outputs.

        Parameters
        ----------
        scores : array of shape (N, K)
            One of :meth:`outputs`.
        """
        if self.config.levels:
            return expected_level(scores, self.config.levels)
        if not self.classes_:
            return scores[:, 0]
        if self.is_multilabel:
            return (scores > 0).astype(np.int64)
        return np.asarray(np.array(self.classes_)[scores.argmax(axis=1)])

    def unimodal(self, outputs: Outputs) -> Outputs:
        """The parts of outputs that one modality says alone, by modality; empty where the network has no such heads."""
        found = {name: part for name, part in outputs.items() if name.startswith(_UNIMODAL)}
        return {name.removeprefix(_UNIMODAL): part for name, part in found.items()}

    def facts(self) -> dict[str, Any]:
        """What ``trivium weights show --json`` prints."""
        return {**self.config.to_json(), "card": self.card.to_json(), "files": dict(self.hashes)}

    def _require_classes(self) -> None:
        if not self.classes_:
            raise WeightsError(f"answers a number, {self.config.label.key}", file=self.folder, remedy="use predict")


@dataclass(frozen=True, eq=False)
class _Fitted:
    """Sequences with exactly the columns of the weights."""

    x: Sequences
    specification: Specification

    @property
    def ids(self) -> NDArray[np.str_]:
        return self.x.ids

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, key: Any) -> Batch:
        found = self.x.batch(key)
        values: dict[str, NDArray[Any]] = {}
        mask: dict[str, NDArray[np.bool_]] = {}
        for stream in self.specification.streams:
            name, n = stream.modality, len(found)
            if name == TEXT and isinstance(self.x, SpelledSequences):  # pieces of words, which have no columns
                values[name], mask[name] = found.values[name], found.mask[name]
                continue
            if name not in found.values:
                values[name], mask[name] = np.zeros((n, 1, stream.dim), np.float32), np.zeros((n, 1), bool)
                continue
            place = {column: i for i, column in enumerate(self.x.specification.stream(name).columns)}
            values[name] = found.values[name][:, :, [place[column] for column in stream.columns]]
            mask[name] = found.mask[name]
        return replace(found, values=values, mask=mask, specification=self.specification)


def _pieces(x: Sequences) -> Iterator[Batch]:
    for start in range(0, len(x), _ROWS_AT_ONCE):
        yield x.batch(np.arange(start, min(start + _ROWS_AT_ONCE, len(x))))


def _json_of(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError as cause:
        raise WeightsError(f"the text encoder's configuration is no JSON: {cause}") from cause
    if not isinstance(found, dict):
        raise WeightsError("the text encoder's configuration is no JSON object")
    return found


def load_predictor(where: str | os.PathLike[str]) -> PredictorWeights:
    """Open weights of a predictor: a folder, a name in the user's folder of weights, or ``owner/name`` of a model hub.

    Only ``config.json`` is read at once; every other file is read, and its hash compared, when it is first needed.

    Parameters
    ----------
    where : path or str
        See :func:`trivium.weights.find_weights`.

    Raises
    ------
    WeightsError
        The folder is incomplete, malformed, or holds no predictor.
    """
    folder = find_weights(where)
    path = folder / "config.json"
    value = read_config(path)
    if value.get("kind") != PREDICTOR:
        raise WeightsError("holds no predictor", file=folder, remedy="for an encoder: trivium embed or predict")
    config, card, hashes = read_described(path, value, PredictorConfig.from_json)
    tower = () if config.tower is None else TOWER_FILES
    require_files(folder, {*_NEEDED, *tower, *({_GRAPH} & set(hashes))})
    return PredictorWeights(folder, config, card, hashes)
