"""A long clip is cut into utterances: at its sentences, or where somebody speaks.

Voice activity is Silero's detector (Silero Team, "Silero VAD: pre-trained enterprise-grade voice activity detector"),
in the ONNX form that faster-whisper carries. Its thresholds are its own defaults; the rest is our choice: a pause of
half a second ends an utterance, and none is longer than 30 seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal, TypeAlias

from trivium.errors import DataError, DependencyError
from trivium.extract.scratch import let_go
from trivium.extract.source.media import SOUND_RATE
from trivium.extract.source.recording import Recording
from trivium.extract.words.speech import Heard, Sound, Timed, sound_blocks
from trivium.extract.words.timed_transcript import Segment, TimedTranscript, TimedWord, WordTimes, sentences, tidy
from trivium.extract.words.transcript import Transcript, read_transcript

__all__ = [
    "CUTS",
    "Cut",
    "heard_transcript",
    "piece_of",
    "pieces_from_json",
    "pieces_of",
    "pieces_to_json",
    "voiced_spans",
]

Cut: TypeAlias = Literal["whole", "sentences", "voice"]
CUTS: tuple[Cut, ...] = ("whole", "sentences", "voice")

_MARGIN_SECONDS = 0.2
_SHORTEST_PAUSE_MS = 500
_LONGEST_SECONDS = 30.0
_PAD_MS = 200


def voiced_spans(samples: Sound) -> list[tuple[float, float]]:
    """Stretches of sound in which somebody speaks; sound of more than ten minutes is listened to in blocks.

    Parameters
    ----------
    samples : array of shape (n,), float32
        Mono sound at 16 kHz.

    Returns
    -------
    list of (float, float)
        Start and end in seconds, in order, apart, each at most 30 seconds long.

    Examples
    --------
    >>> import numpy as np
    >>> voiced_spans(np.zeros(16000, np.float32))  # doctest: +SKIP
    []
    """
    try:
        from faster_whisper.vad import VadOptions, get_speech_timestamps
    except ImportError as cause:
        raise DependencyError("faster-whisper is not installed", remedy="pip install 'trivium[extract]'") from cause
    options = VadOptions(
        max_speech_duration_s=_LONGEST_SECONDS, min_silence_duration_ms=_SHORTEST_PAUSE_MS, speech_pad_ms=_PAD_MS
    )
    found: list[tuple[float, float]] = []
    for first, last in sound_blocks(samples) if len(samples) else ():
        parts = get_speech_timestamps(samples[first:last], options)
        found += [((first + part["start"]) / SOUND_RATE, (first + part["end"]) / SOUND_RATE) for part in parts]
        let_go(samples)
    return found


def heard_transcript(transcript: Transcript, timed: Heard | Timed, start: float, kind: WordTimes) -> TimedTranscript:
    """Words in time as one segment that can be cut.

    Parameters
    ----------
    transcript : Transcript
        Tokens and words.
    timed : Heard or Timed
        Times and confidence of its words.
    start : float
        Second of the clip at which the times begin.
    kind : {"heard", "aligned"}
        Where the times come from.
    """
    words: list[TimedWord] = []
    spans: dict[int, list[Any]] = {}
    for place, (begin, end), sure in zip(
        transcript.source, timed.times.tolist(), timed.confidence.tolist(), strict=True
    ):
        span = spans.setdefault(place, [begin, end, sure])
        span[1] = end
    for place, (begin, end, sure) in spans.items():
        words.append(TimedWord(transcript.tokens[place], begin + start, end + start, sure))
    text = " ".join(word.text for word in words)
    return tidy([Segment(words[0].start, max(word.end for word in words), text, tuple(words))], kind)


def pieces_of(
    recording: Recording,
    told: TimedTranscript | None,
    spans: Iterable[tuple[float, float]] | None,
    bounds: tuple[float, float],
) -> list[Recording]:
    """Recordings of the utterances of a clip, named ``ID$_$0001`` and so on, in the group ``video`` of their clip.

    Parameters
    ----------
    recording : Recording
        The clip, or a span of it.
    told : TimedTranscript, optional
        What is said; needed for cutting at sentences. Segments without a spoken word are left out.
    spans : iterable of (float, float), optional
        Where to cut, in seconds of the clip; None: at the sentences of the transcript.
    bounds : (float, float)
        Start and end of the recording, in seconds of the clip; no piece reaches over them.

    Raises
    ------
    DataError
        There is nothing to cut.
    """
    if spans is None:
        spans = [] if told is None else _sentence_spans(told)
    inside = [(max(start, bounds[0]), min(end, bounds[1])) for start, end in spans]
    inside = [(start, end) for start, end in inside if end > start]
    if not inside:
        raise DataError(
            "nobody speaks in it, so there is nothing to cut",
            file=recording.path,
            remedy="leave the clip out, or extract it whole",
        )
    return [
        piece_of(recording, number, start, end, None if told is None else told.within(start, end) or "")
        for number, (start, end) in enumerate(inside, start=1)
    ]


def piece_of(
    recording: Recording, number: int, start: float, end: float, transcript: str | TimedTranscript | None
) -> Recording:
    """One piece of a recording.

    Parameters
    ----------
    recording : Recording
        The clip, or a span of it.
    number : int
        Counted from 1.
    start, end : float
        Seconds of the clip.
    transcript : str, TimedTranscript or None
        What is said in it; None where nobody asked.

    Examples
    --------
    >>> from pathlib import Path
    >>> piece_of(Recording(Path("a.mp4")), 1, 0.5, 2.0, None).id
    'a$_$0001'
    """
    return replace(
        recording,
        id=f"{recording.id}$_${number:04d}",
        transcript=transcript,
        groups={"video": recording.id, **recording.groups},
        start=start,
        end=end,
    )


def pieces_to_json(pieces: Iterable[Recording]) -> list[dict[str, Any]]:
    """Where a recording was cut, and what is said in each piece, as plain builtins.

    Parameters
    ----------
    pieces : iterable of Recording
        From :func:`pieces_of`.
    """
    return [{name: piece.to_json()[name] for name in ("start", "end", "transcript")} for piece in pieces]


def pieces_from_json(recording: Recording, told: Iterable[Mapping[str, Any]]) -> list[Recording]:
    """The pieces of a recording again.

    Parameters
    ----------
    recording : Recording
        The clip, or a span of it.
    told : iterable of mapping
        What :func:`pieces_to_json` gave.

    Examples
    --------
    >>> from pathlib import Path
    >>> whole = Recording(Path("a.mp4"))
    >>> pieces = pieces_of(whole, None, [(0.5, 2.0)], (0.0, 3.0))
    >>> [piece.start for piece in pieces_from_json(whole, pieces_to_json(pieces))]
    [0.5]
    """
    found = []
    for number, row in enumerate(told, start=1):
        spoken = row["transcript"]
        spoken = TimedTranscript.from_json(spoken) if isinstance(spoken, dict) else spoken
        found.append(piece_of(recording, number, row["start"], row["end"], spoken))
    return found


def _sentence_spans(told: TimedTranscript) -> list[tuple[float, float]]:
    """Sentences with a little sound around them, as far as their neighbours leave room; set times stay as they are."""
    spoken = tuple(segment for segment in told.segments if read_transcript(segment.text).words)
    said = sentences(replace(told, segments=spoken))
    if told.word_times == "set":
        return [(sentence.start, sentence.end) for sentence in said]
    middles = [(a.end + b.start) / 2 for a, b in pairwise(said)]
    lows, highs = [0.0, *middles], [*middles, float("inf")]
    return [
        (max(low, sentence.start - _MARGIN_SECONDS), min(high, sentence.end + _MARGIN_SECONDS))
        for sentence, low, high in zip(said, lows, highs, strict=True)
    ]
