"""Notes: what extraction knew about an utterance and no stream keeps, such as how its words were timed.

They lie in the corpus' provenance under ``notes``, one list per fact and None where a fact does not apply, so that they
cost little in a corpus of many utterances and change no column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from trivium.errors import FormatError

__all__ = ["ExtractionNote", "pack_notes", "read_notes"]


@dataclass(frozen=True)
class ExtractionNote:
    """What was known when one utterance was extracted; None where it does not apply or was not recorded.

    Parameters
    ----------
    origin : {"given", "recognised"}, optional
        Where its words are from.
    timing : {"aligned", "recognised", "spread", "set"}, optional
        How its words were put in time: forced alignment, the recogniser's own times, an even spread, or given times.
    guessed : int, optional
        Words that alone could not be aligned and were spread between their neighbours.
    unknown : list of str, optional
        Words that the pronouncing dictionary lacks: how they are spoken was guessed. One entry per occurrence.
    frames : int, optional
        Frames of the picture that were looked at, with a face or without.
    peak_db : float, optional
        Highest sample in dB re full scale, of the sound as one channel at 16 kHz; -100 in digital silence.
    clipped : float, optional
        Share of its samples at .99 of full scale or above (our choice).
    missing : mapping of str to str
        Modalities that it lacks, and why.
    doubts : list of str, optional
        Why its transcript may be the wrong one.
    faces : int, optional
        Most faces that were seen at a time.
    shots : int, optional
        Stretches of the picture between cuts.
    speaker_confidence : float, optional
        How sure the choice of the speaking face is, between 0 and 1: the probability that it is this one,
        and neither another one that was seen beside it nor somebody unseen. None where there was nothing to choose.

    Examples
    --------
    >>> ExtractionNote(origin="given", timing="aligned").to_json()
    {'origin': 'given', 'timing': 'aligned'}
    """

    origin: str | None = None
    timing: str | None = None
    guessed: int | None = None
    unknown: list[str] | None = None
    frames: int | None = None
    peak_db: float | None = None
    clipped: float | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    doubts: list[str] | None = None
    faces: int | None = None
    shots: int | None = None
    speaker_confidence: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain builtins, without what is not known."""
        known = {name: getattr(self, name) for name in _FACTS}
        return {name: value for name, value in known.items() if value is not None and value != {}}


_FACTS = tuple(f.name for f in fields(ExtractionNote))
_KINDS: dict[str, type | tuple[type, ...]] = {
    **{"origin": str, "timing": str, "guessed": int, "frames": int},
    **{"faces": int, "shots": int, "speaker_confidence": (int, float)},
    **{"unknown": list, "doubts": list, "peak_db": (int, float), "clipped": (int, float), "missing": dict},
}


def pack_notes(notes: Mapping[str, ExtractionNote]) -> dict[str, list[Any]]:
    """One list per fact, for the provenance.

    Parameters
    ----------
    notes : mapping of str to ExtractionNote
        By id of the utterance.

    Examples
    --------
    >>> pack_notes({"a": ExtractionNote(origin="given"), "b": ExtractionNote(frames=3)})
    {'id': ['a', 'b'], 'origin': ['given', None], 'frames': [None, 3]}
    """
    rows = [note.to_json() for note in notes.values()]
    known = [name for name in _FACTS if any(name in row for row in rows)]
    return {"id": list(notes), **{name: [row.get(name) for row in rows] for name in known}}


def read_notes(provenance: Mapping[str, Any]) -> dict[str, ExtractionNote]:
    """Notes by id of the utterance, also those of corpora that were joined; empty where there are none.

    Parameters
    ----------
    provenance : mapping
        Of the corpus.

    Raises
    ------
    FormatError
        They are not what :func:`pack_notes` makes.

    Examples
    --------
    >>> read_notes({"notes": pack_notes({"a": ExtractionNote(origin="given")})})["a"].origin
    'given'
    """
    found: dict[str, ExtractionNote] = {}
    joined = provenance.get("joined", [])
    for part in joined if isinstance(joined, list) else []:
        found |= read_notes(part) if isinstance(part, dict) else {}
    stored = provenance.get("notes", {"id": []})
    if not _is_whole(stored):
        raise FormatError("the notes of the extraction are malformed", place="provenance, notes")
    for row, name in enumerate(stored["id"]):
        told = {fact: stored[fact][row] for fact in _FACTS if fact in stored and stored[fact][row] is not None}
        found[name] = ExtractionNote(**told)
    return found


def _is_whole(stored: Any) -> bool:
    if not isinstance(stored, dict) or not isinstance(stored.get("id"), list):
        return False
    count = len(stored["id"])
    lists = (stored[name] for name in stored)
    if not all(isinstance(values, list) and len(values) == count for values in lists):
        return False
    known = all(
        value is None or isinstance(value, kind) for name, kind in _KINDS.items() for value in stored.get(name, ())
    )
    texts = [*stored["id"], *(w for key in ("unknown", "doubts") for words in stored.get(key, ()) for w in words or ())]
    texts += [t for why in stored.get("missing", ()) for pair in (why or {}).items() for t in pair]
    return known and all(isinstance(text, str) for text in texts)
