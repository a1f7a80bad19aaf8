"""What extraction notes about a clip beside its streams: see :class:`trivium.corpus.notes.ExtractionNote`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.corpus.notes import ExtractionNote
from trivium.errors import DependencyError
from trivium.extract.face_recorder import FacesFound
from trivium.extract.recording import Recording
from trivium.extract.speech import Timed
from trivium.extract.spoken import Spoken
from trivium.extract.timed_transcript import TimedTranscript
from trivium.formats.findings import Finding

__all__ = ["note_of", "several_faces", "sound_level", "unknown_words"]

_FULL_SCALE = 0.99
_SILENCE_DB = -100.0
_SURE = 0.8


def note_of(
    recording: Recording,
    spoken: Spoken | None,
    sound: NDArray[np.float32] | None,
    faces: FacesFound,
    findings: Iterable[Finding],
) -> ExtractionNote:
    """Note of one utterance.

    Parameters
    ----------
    recording : Recording
        What it was made of.
    spoken : Spoken or None
        Its words and their times.
    sound : array of shape (n,), float32, or None
        Mono sound at 16 kHz.
    faces : FacesFound
        What was seen in the picture.
    findings : iterable of Finding
        Say what is missing.
    """
    told: dict[str, Any] = {"missing": {f.modality: f.action for f in findings if f.kind == "missing"}}
    if spoken is not None:
        transcript, timed = spoken.transcript, spoken.timed
        told |= _times_of(recording, timed)
        if sound is not None:
            told["unknown"] = unknown_words(transcript.words)
    if sound is not None and len(sound):
        told["peak_db"], told["clipped"] = sound_level(sound)
    if faces.frames:
        told |= {"frames": faces.frames, "faces": faces.faces, "shots": faces.shots}
    return ExtractionNote(**told, speaker_confidence=faces.confidence)


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
    sure = confidence >= _SURE
    return (
        "several faces, the one that speaks was chosen"
        if sure
        else "several faces, and it is not sure which one speaks"
    )


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
    loud = np.abs(samples)
    peak = float(loud.max())
    peak_db = max(_SILENCE_DB, 20 * float(np.log10(peak))) if peak > 0 else _SILENCE_DB
    return round(peak_db, 2), round(float((loud >= _FULL_SCALE).mean()), 6)


def unknown_words(words: Sequence[str]) -> list[str]:
    """Those of the words that the aligner's dictionary lacks, in order.

    Parameters
    ----------
    words : sequence of str
        Spoken words, lower case.

    Examples
    --------
    >>> unknown_words(["hello", "trivium"])  # doctest: +SKIP
    ['trivium']
    """
    known = _dictionary()
    return [word for word in words if word not in known]


@lru_cache(maxsize=1)
def _dictionary() -> frozenset[str]:
    try:
        from pocketsphinx import get_model_path
    except ImportError as cause:
        raise DependencyError("pocketsphinx is not installed", remedy="pip install 'trivium[extract]'") from cause
    text = Path(get_model_path("en-us/cmudict-en-us.dict")).read_text(encoding="utf-8")
    return frozenset(line.partition(" ")[0] for line in text.splitlines())
