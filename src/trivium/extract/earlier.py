"""What earlier runs left: parts of a run that was stopped, or of the corpus that is replaced, looked up by key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from trivium.corpus import Utterance
from trivium.corpus.staging import Part
from trivium.errors import TriviumError
from trivium.extract.part_notes import are_notes
from trivium.extract.products import Product, product_from_json
from trivium.extract.words.recogniser import ENGLISH

__all__ = ["Earlier"]


class Earlier:
    """Products that parts of earlier runs hold.

    Parameters
    ----------
    parts : iterable of Part
        With the notes of extraction. A damaged one, or one with notes of another shape, counts as absent.

    Examples
    --------
    >>> Earlier().find("1f", "interview") is None
    True
    """

    def __init__(self, parts: Iterable[Part] = ()) -> None:
        self._places: dict[str, tuple[Part, str]] = {}
        self._cuts: dict[str, Part] = {}
        for part in parts:
            notes = _notes(part)
            for name, products in notes.get("products", {}).items():
                self._places |= {product["key"]: (part, name) for product in products}
            if "cut" in notes:
                self._cuts[notes["cut"]["key"]] = part

    def find(self, key: str, name: str, language: str = ENGLISH) -> Product | None:
        """The product of a key.

        Parameters
        ----------
        key : str
            See :class:`~trivium.extract.products.Product`.
        name : str
            Id of the utterance that it becomes part of now.
        language : str
            Of its words, where the product is words.
        """
        if key not in self._places:
            return None
        part, own = self._places[key]
        utterance = _utterances(part).get(own)
        told = next((row for row in _notes(part).get("products", {}).get(own, ()) if row["key"] == key), None)
        return None if utterance is None or told is None else product_from_json(told, utterance, name, language)

    def pieces(self, key: str) -> list[dict[str, Any]] | None:
        """Where a clip was cut, and what is said in each piece.

        Parameters
        ----------
        key : str
            Hash of everything that the cut depends on.
        """
        told = _notes(self._cuts[key]).get("cut") if key in self._cuts else None
        return None if told is None else told["pieces"]


@lru_cache(maxsize=2)
def _notes(part: Part) -> Mapping[str, Any]:
    try:
        notes = part.notes
    except TriviumError:
        return {}
    return notes if are_notes(notes) else {}


@lru_cache(maxsize=2)
def _utterances(part: Part) -> Mapping[str, Utterance]:
    try:
        return {utterance.id: utterance for utterance in part.utterances()}
    except (TriviumError, ValueError, OSError):  # Arrow's own errors are of the last two kinds
        return {}
