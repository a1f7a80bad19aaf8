"""What extraction notes about a clip beside its streams: see :class:`trivium.corpus.notes.ExtractionNote`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.corpus.notes import ExtractionNote
from trivium.extract.scratch import let_go
from trivium.extract.source.recording import Recording
from trivium.extract.vision.recorder import FacesFound
from trivium.extract.words.pronunciation import unknown_words
from trivium.extract.words.speech import Timed
from trivium.extract.words.spoken import Spoken
from trivium.extract.words.timed_transcript import TimedTranscript
from trivium.formats.findings import Finding

__all__ = [
    "facts_of_faces",
    "facts_of_sound",
    "facts_of_words",
    "note_of",
    "several_faces",
    "sound_level",
]

_FULL_SCALE = 0.99
_SILENCE_DB = -100.0
_SURE = 0.8
_BLOCK = 1 << 20  # samples at a time


def facts_of_words(recording: Recording, spoken: Spoken | None, *, heard: bool) -> dict[str, Any]:
    """What is noted about the words of an utterance.

    Parameters
    ----------
    recording : Recording
        What it was made of.
    spoken : Spoken or None
        Its words and their times; None where nobody speaks.
    heard : bool
        Whether there is sound.
    """
    if spoken is None:
        return {}
    told = _times_of(recording, spoken.timed)
    return told | ({"unknown": unknown_words(spoken.transcript.words)} if heard else {})


def facts_of_sound(sound: NDArray[np.float32] | None) -> dict[str, Any]:
    """What is noted about the sound of an utterance.

    Parameters
    ----------
    sound : array of shape (n,), float32, or None
        Mono sound at 16 kHz.

    Examples
    --------
    >>> facts_of_sound(np.zeros(3, np.float32))
    {'peak_db': -100.0, 'clipped': 0.0}
    """
    if sound is None or not len(sound):
        return {}
    peak_db, clipped = sound_level(sound)
    return {"peak_db": peak_db, "clipped": clipped}


def facts_of_faces(found: FacesFound) -> dict[str, Any]:
    """What is noted about the picture of an utterance.

    Parameters
    ----------
    found : FacesFound
        What was seen.

    Examples
    --------
    >>> facts_of_faces(FacesFound((), frames=12, faces=1, shots=1))
    {'frames': 12, 'faces': 1, 'shots': 1}
    """
    if not found.frames:
        return {}
    told: dict[str, Any] = {"frames": found.frames, "faces": found.faces, "shots": found.shots}
    return told if found.confidence is None else told | {"speaker_confidence": found.confidence}


def several_faces(confidence: float) -> str:
    """What a finding says of a choice between faces.

    Parameters
    ----------
    confidence : float
        Of the choice.

    Examples
    --------
    >>> several_faces(0.6)
    'several faces, and it is not sure which one speaks'
    """
    if confidence >= _SURE:
        return "several faces, the one that speaks was chosen"
    return "several faces, and it is not sure which one speaks"


def note_of(facts: Iterable[Mapping[str, Any]], findings: Iterable[Finding]) -> ExtractionNote:
    """Note of one utterance.

    Parameters
    ----------
    facts : iterable of mapping
        From what it is put together.
    findings : iterable of Finding
        Say what is missing.

    Examples
    --------
    >>> note_of([{"frames": 3}], [Finding("missing", "a", "audio", action="no sound")]).missing
    {'audio': 'no sound'}
    """
    told = list(findings)
    missing = {finding.modality: finding.action for finding in told if finding.kind == "missing"}
    doubts = [finding.action for finding in told if finding.kind == "doubt"] or None
    known = {name: value for own in facts for name, value in own.items()}
    return ExtractionNote(**known, missing=missing, doubts=doubts)


def _times_of(recording: Recording, timed: Timed) -> dict[str, Any]:
    known = recording.transcript.word_times if isinstance(recording.transcript, TimedTranscript) else ""
    told: dict[str, Any] = {
        "origin": "recognised" if recording.transcript is None or known == "heard" else "given",
        # the piece of a clip that was cut has the times that the whole clip was aligned with
        "timing": "aligned" if (known, timed.timing) == ("aligned", "set") else timed.timing,
    }
    return told | ({"guessed": len(timed.guessed)} if timed.timing == "aligned" else {})


def sound_level(samples: NDArray[np.float32]) -> tuple[float, float]:
    """Peak of a sound in dB re full scale, and the share of its samples that are clipped.

    Parameters
    ----------
    samples : array of shape (n,), float32
        Between -1 and 1, n >= 1.

    Returns
    -------
    peak_db : float
        Not below -100; two decimals.
    clipped : float
        Share of the samples at .99 of full scale or above, six decimals (our choice: a sound that was clipped before it
        was compressed no longer reaches full scale exactly).

    Examples
    --------
    >>> sound_level(np.array([0.0, 0.5, -1.0, 1.0], np.float32))
    (0.0, 0.5)
    """
    peak, clipped = 0.0, 0
    for first in range(0, len(samples), _BLOCK):
        loud = np.abs(samples[first : first + _BLOCK])
        peak, clipped = max(peak, float(loud.max())), clipped + int(np.count_nonzero(loud >= _FULL_SCALE))
        let_go(samples)
    peak_db = max(_SILENCE_DB, 20 * float(np.log10(peak))) if peak > 0 else _SILENCE_DB
    return round(peak_db, 2), round(clipped / len(samples), 6)
