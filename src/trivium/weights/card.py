"""The card of a set of weights: what it learned from, under which licence, how good it is beside its floors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from trivium.corpus import Specification
from trivium.errors import WeightsError
from trivium.weights.config import WeightsConfig
from trivium.weights.files import AGAIN

__all__ = ["Card", "Score", "TrainingCorpus", "read_described"]

_Config = TypeVar("_Config")

_COLUMNS_SHOWN = 8


@dataclass(frozen=True)
class TrainingCorpus:
    """A corpus that took part in pretraining.

    Parameters
    ----------
    name : str
        As its scaler is called.
    utterances : int
        How many of it were used.
    licence : str
        Terms of the corpus itself.
    source : str
        Who made it, and where it is described.
    """

    name: str
    utterances: int
    licence: str
    source: str = ""


@dataclass(frozen=True)
class Score:
    """A measured number, next to what needs no representation at all.

    Parameters
    ----------
    task : str
        Label, corpus and protocol.
    metric : str
        Name of the metric.
    value, spread : float
        Mean and standard deviation over seeds or folds.
    floors : mapping of str to float
        The same metric, classifier and search for ``majority``, ``mean pooling`` and so on.
    """

    task: str
    metric: str
    value: float
    spread: float
    floors: Mapping[str, float]


@dataclass(frozen=True)
class Card:
    """What people should know before they use the weights.

    Parameters
    ----------
    title : str
        One line.
    licence : str
        Licence of the weights, which need not be the toolkit's.
    corpora : sequence of TrainingCorpus
        What they learned from.
    paper : str
        The method's source.
    scores : sequence of Score
        What was measured.
    pooled : str
        What scaling with pooled statistics costs against the scaler of the own corpus.
    limitations : sequence of str
        What they do not fit.
    synthetic : bool
        True when the training data were made up.
    evidence : sequence of str
        What was measured elsewhere of the same method, each with its source.

    Examples
    --------
    >>> card = Card("An example", "CC0-1.0", (TrainingCorpus("made-up", 8, "CC0-1.0"),), synthetic=True)
    >>> Card.from_json(card.to_json()) == card
    True
    """

    title: str
    licence: str
    corpora: Sequence[TrainingCorpus]
    paper: str = ""
    scores: Sequence[Score] = ()
    pooled: str = ""
    limitations: Sequence[str] = ()
    synthetic: bool = False
    evidence: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain builtins."""
        value = asdict(self)
        return value | {name: list(value[name]) for name in ("corpora", "scores", "limitations", "evidence")}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Card:
        """Inverse of :meth:`to_json`; a malformed value is one :class:`WeightsError`."""
        try:
            corpora = tuple(TrainingCorpus(**corpus) for corpus in value["corpora"])
            scores = tuple(Score(**score) for score in value["scores"])
            limitations, evidence = tuple(value["limitations"]), tuple(value.get("evidence", ()))
            listed = ("corpora", "scores", "limitations", "evidence")
            rest = {k: v for k, v in value.items() if k not in listed}
            return cls(corpora=corpora, scores=scores, limitations=limitations, evidence=evidence, **rest)
        except (KeyError, TypeError) as cause:
            raise WeightsError(f"the card is malformed: {cause}") from cause

    def markdown(self, config: WeightsConfig, features: int) -> str:
        """The card as ``README.md``, with the front matter that model hubs read.

        Parameters
        ----------
        config : WeightsConfig
            What the weights take.
        features : int
            Length K of a vector.
        """
        lead = (
            f"One vector of {features} numbers per utterance of {config.words} words (padded on the {config.pad}), by "
            f"`{config.representation}`{f' ({self.paper})' if self.paper else ''}."
        )
        use = (
            "from trivium import Corpus, load_weights\n\n"
            'vectors = load_weights("this folder").transform(Corpus.open("corpus"))'
        )
        scaling = (
            "What it costs that all data are scaled alike, and not each corpus by its own spread, was not measured."
        )
        return self.page(lead, config.specification, use, self.pooled or scaling)

    def page(self, lead: str, specification: Specification, use: str, scaling: str) -> str:
        """The card of any weights.

        Parameters
        ----------
        lead : str
            What the weights give.
        specification : Specification
            Columns they take.
        use : str
            Lines of Python that use them.
        scaling : str
            What columns are scaled by.
        """
        licence = json.dumps(self.licence)
        parts = [
            f"---\nlicense: other\nlicense_name: {licence}\nlibrary_name: trivium\ntags: [trivium]\n---",
            f"# {self.title}",
            *(["**The training data are synthetic: these weights are for tests.**"] if self.synthetic else []),
            lead,
            f"Licence of the weights: {self.licence}.",
            "## Trained on\n\n" + _table(["corpus", "utterances", "its licence", "source"], self._corpus_rows()),
            "## Columns\n\n" + "\n".join(_columns(specification)),
            "\n\n".join(["## Measured", self._score_table(), *self.evidence]),
            "## Scaling\n\n" + scaling,
            "## Limitations\n\n" + ("\n".join(f"- {line}" for line in self.limitations) or "None were named."),
            f"## Use\n\n```python\n{use}\n```",
        ]
        return "\n\n".join(parts) + "\n"

    def _corpus_rows(self) -> list[list[str]]:
        return [[c.name, str(c.utterances), c.licence, c.source] for c in self.corpora]

    def _score_table(self) -> str:
        if not self.scores:
            return "Nothing was measured."
        floors = list(dict.fromkeys(name for score in self.scores for name in score.floors))
        rows = [
            [s.task, s.metric, f"{s.value:.3f} ± {s.spread:.3f}"]
            + [f"{s.floors[name]:.3f}" if name in s.floors else "" for name in floors]
            for s in self.scores
        ]
        return _table(["task", "metric", "these weights", *floors], rows)


def _columns(specification: Specification) -> list[str]:
    lines = []
    for stream in specification.streams:
        names = ", ".join(f"`{name}`" for name in stream.columns[:_COLUMNS_SHOWN])
        more = f" and {stream.dim - _COLUMNS_SHOWN} more" if stream.dim > _COLUMNS_SHOWN else ""
        by = f" by {stream.extractor} {stream.version}".rstrip() if stream.extractor else ""
        lines.append(f"- {stream.modality}, {stream.dim} columns{by}: {names}{more}")
    return lines


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def read_described(
    path: Path, value: Mapping[str, Any], parse: Callable[[Mapping[str, Any]], _Config]
) -> tuple[_Config, Card, dict[str, str]]:
    """Configuration, card and hashes by file name, of the content of a ``config.json``.

    Parameters
    ----------
    path : Path
        The file, for messages.
    value : mapping
        Its content.
    parse : callable
        Makes the configuration of one kind of weights.

    Raises
    ------
    WeightsError
        Something is missing or malformed.
    """
    try:
        hashes = {str(name): str(digest) for name, digest in dict(value["files"]).items()}
        return parse(value), Card.from_json(value["card"]), hashes
    except (KeyError, TypeError, ValueError) as cause:
        raise WeightsError(f"the configuration is malformed: {cause!r}", file=path, remedy=AGAIN) from cause
    except WeightsError as cause:
        raise WeightsError(cause.problem, file=path, remedy=cause.remedy or AGAIN) from cause
