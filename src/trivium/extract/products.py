"""What is made of a clip at once and may be taken over from an earlier run: its words, a stream, its loudness.

Every product has a key, the hash of everything it depends on. Two products with the same key are the same bytes, so a
run with other options makes only those anew whose key is another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from trivium.corpus import Stream, Utterance
from trivium.extract.words.recogniser import ENGLISH
from trivium.extract.words.speech import Timed
from trivium.extract.words.spoken import Spoken
from trivium.extract.words.transcript import read_transcript
from trivium.formats.findings import Finding

__all__ = ["WORDS", "Product", "finding_to_json", "key_of", "product_from_json"]

WORDS = "words"
_KEY_DIGITS = 20
_USUAL = {f.name: f.default for f in fields(Finding)}


@dataclass(frozen=True, eq=False)
class Product:
    """One thing that was made of a recording.

    Parameters
    ----------
    name : str
        ``words``, ``sound``, ``vision``, or the name of a stream of text or audio.
    key : str
        Hash of everything it depends on.
    streams : mapping of str to Stream
        By their name in the corpus.
    findings : tuple of Finding
        What was found while making it, also why there is no stream.
    facts : mapping
        Its share of the :class:`~trivium.corpus.notes.ExtractionNote`.
    spoken : Spoken, optional
        Of the product ``words``, where somebody speaks.
    taken : bool
        Whether it was taken over from an earlier run.

    Examples
    --------
    >>> Product("audio", "1f", findings=(Finding("missing", "a", "audio", action="no sound"),)).to_json()["findings"]
    [{'kind': 'missing', 'utterance': 'a', 'modality': 'audio', 'action': 'no sound'}]
    """

    name: str
    key: str
    streams: Mapping[str, Stream] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    spoken: Spoken | None = None
    taken: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there are neither streams nor words, but only the reason why, or a level."""
        return not self.streams and self.spoken is None

    def to_json(self) -> dict[str, Any]:
        """Plain builtins; values of streams and words lie in the utterance."""
        told = {
            "name": self.name,
            "key": self.key,
            "streams": list(self.streams),
            "findings": [finding_to_json(finding) for finding in self.findings],
            "facts": dict(self.facts),
        }
        return {name: value for name, value in told.items() if value}


def finding_to_json(finding: Finding) -> dict[str, Any]:
    """A finding as plain builtins, without what is usual.

    Parameters
    ----------
    finding : Finding
        What was found.
    """
    return {name: value for name, value in asdict(finding).items() if value != _USUAL[name]}


def product_from_json(
    told: Mapping[str, Any], utterance: Utterance, name: str = "", language: str = ENGLISH
) -> Product | None:
    """A product of an earlier run.

    Parameters
    ----------
    told : mapping
        What :meth:`Product.to_json` gave.
    utterance : Utterance
        Holds its values.
    name : str, optional
        Id of the utterance that it becomes part of now.
    language : str
        In which its words were read from the transcript.

    Returns
    -------
    Product or None
        None where the words cannot be told from the text any more, or the utterance lacks a stream: to be made again.
    """
    spoken = None
    if told["name"] == WORDS and utterance.words is not None:
        spoken = _spoken(utterance, told.get("facts", {}), language)
        if spoken is None:
            return None
    findings = (
        Finding(**{"action": "", **row, "utterance": name or row["utterance"]}) for row in told.get("findings", ())
    )
    named = told.get("streams", ())
    if not all(modality in utterance.streams for modality in named):
        return None
    streams = {modality: utterance.streams[modality] for modality in named}
    return Product(told["name"], told["key"], streams, tuple(findings), told.get("facts", {}), spoken, taken=True)


def _spoken(utterance: Utterance, facts: Mapping[str, Any], language: str) -> Spoken | None:
    words = utterance.words
    transcript = read_transcript(utterance.text, language)
    if words is None or words.times is None or words.confidence is None:
        return None
    if transcript.words != words.text or transcript.text != utterance.text:
        return None
    return Spoken(transcript, Timed(words.times, words.confidence, facts.get("timing", "aligned")))


def key_of(*facts: Any) -> str:
    """Short hash of plain builtins.

    Parameters
    ----------
    *facts
        Everything that a product depends on.

    Examples
    --------
    >>> key_of("a", 1) == key_of("a", 1) != key_of("a", 2)
    True
    """
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:_KEY_DIGITS]
