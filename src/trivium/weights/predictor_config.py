"""What a predictor's weights say about themselves in ``config.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from trivium import __version__
from trivium.corpus import LabelSpecification, Specification
from trivium.errors import SpecificationError, WeightsError
from trivium.scale import TEXT
from trivium.weights.config import PREDICTOR, SCHEMA

__all__ = ["TOWER_FILES", "PredictorConfig", "TextTower"]

TOWER_FILES = ("encoder.json", "encoder.safetensors", "tokenizer.json")
"""A text encoder in a weights folder, as Hugging Face's transformers and tokenizers write theirs; all of it data."""


@dataclass(frozen=True)
class TextTower:
    """A text encoder that was trained along; its parts lie in :data:`TOWER_FILES`.

    Parameters
    ----------
    encoder : str
        Registered name of its kind.
    name : str
        How its columns are called.
    steps : str
        ``words`` or ``utterance``: what it gives a vector for.
    begin, end : tuple of int
        Marks before and after a text.
    pad : int
        What fills up shorter texts.
    vocabulary : int
        How many pieces it knows.

    Examples
    --------
    >>> tower = TextTower("hf", "tiny-bert", "words", (2,), (3,), 0, 25)
    >>> TextTower.from_json(tower.to_json()) == tower
    True
    """

    encoder: str
    name: str
    steps: str
    begin: tuple[int, ...]
    end: tuple[int, ...]
    pad: int
    vocabulary: int

    def to_json(self) -> dict[str, Any]:
        """Plain builtins."""
        return {**asdict(self), "begin": list(self.begin), "end": list(self.end)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TextTower:
        """Inverse of :meth:`to_json`."""
        begin, end = (tuple(int(mark) for mark in value[key]) for key in ("begin", "end"))
        encoder, name, steps = (str(value[key]) for key in ("encoder", "name", "steps"))
        return cls(encoder, name, steps, begin, end, int(value["pad"]), int(value["vocabulary"]))


@dataclass(frozen=True)
class PredictorConfig:
    """What a predictor is, takes and answers.

    Parameters
    ----------
    estimator : str
        ``SentimentRegressor`` or ``EmotionClassifier``.
    network : str
        Registered name.
    options : mapping
        What the network's constructor takes besides widths and outputs.
    specification : Specification
        Modalities and columns.
    label : LabelSpecification
        What is answered.
    classes : tuple of str
        In the order of the outputs; empty for a number.
    outputs : int
        K: numbers that the network gives by utterance.
    steps : mapping of str to int
        Most steps by modality that the exported graph takes.
    words : int
        Words that utterances are aligned to; 0 where every modality keeps its own clock.
    window : int
        Most words of a stretch that clips are cut into; 0 does not cut.
    parameters : mapping
        The estimator's settings.
    learned : mapping
        From what: corpus, protocol, split, fold, seed, fingerprint of the training rows, the kept epoch.
    levels : tuple of float
        Of an ordered answer, from the lowest: there are K + 1, and the network's K numbers say how surely it lies above
        each but the highest. Empty otherwise.
    tower : TextTower, optional
        The text encoder that was trained along; the text of `specification` is then what it makes of words.

    Examples
    --------
    >>> from trivium.corpus import StreamSpecification
    >>> voice = Specification((StreamSpecification("audio", ("f0",), clock="words"),))
    >>> mood = LabelSpecification("mood", "regression", range=(-1.0, 1.0))
    >>> config = PredictorConfig("SentimentRegressor", "concat", {}, voice, mood, (), 1, {"audio": 8})
    >>> PredictorConfig.from_json(config.to_json()) == config
    True
    """

    estimator: str
    network: str
    options: Mapping[str, Any]
    specification: Specification
    label: LabelSpecification
    classes: tuple[str, ...]
    outputs: int
    steps: Mapping[str, int]
    words: int = 0
    window: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    learned: Mapping[str, Any] = field(default_factory=dict)
    levels: tuple[float, ...] = ()
    tower: TextTower | None = None
    version: str = field(default=__version__)

    @property
    def columns(self) -> Specification:
        """What data must bring: all modalities but a text that is read from words."""
        return Specification(tuple(s for s in self.specification.streams if self.tower is None or s.modality != TEXT))

    def to_json(self) -> dict[str, Any]:
        """Plain builtins."""
        both = Specification(self.specification.streams, (self.label,)).to_json()
        kept = ("estimator", "network", "outputs", "words", "window")
        mappings = ("options", "steps", "parameters", "learned")
        return {
            "schema": SCHEMA,
            "kind": PREDICTOR,
            **{name: getattr(self, name) for name in kept},
            **{name: dict(getattr(self, name)) for name in mappings},
            "classes": list(self.classes),
            "levels": list(self.levels),
            "tower": None if self.tower is None else self.tower.to_json(),
            "specification": both,
            "trivium": self.version,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> PredictorConfig:
        """Inverse of :meth:`to_json`.

        Raises
        ------
        WeightsError
            A field is missing or malformed, or the schema is of a later trivium.
        """
        try:
            if value["schema"] != SCHEMA or value["kind"] != PREDICTOR:
                raise WeightsError(
                    f"has schema {value['schema']} of the kind {value['kind']!r}, not {SCHEMA} of a predictor",
                    remedy="update trivium",
                )
            both = Specification.from_json(value["specification"])
            return cls(
                str(value["estimator"]),
                str(value["network"]),
                dict(value["options"]),
                Specification(both.streams),
                both.labels[0],
                tuple(str(name) for name in value["classes"]),
                int(value["outputs"]),
                {stream.modality: int(value["steps"][stream.modality]) for stream in both.streams},
                int(value["words"]),
                int(value["window"]),
                dict(value["parameters"]),
                dict(value["learned"]),
                tuple(float(level) for level in value.get("levels", ())),
                TextTower.from_json(value["tower"]) if value.get("tower") else None,
                str(value["trivium"]),
            )
        except (KeyError, TypeError, ValueError, IndexError, SpecificationError) as cause:
            raise WeightsError(f"the configuration is malformed: {cause!r}") from cause
