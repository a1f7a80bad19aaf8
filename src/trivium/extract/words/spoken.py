"""What is said in a recording: given or recognised, with or without times, and how that went."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trivium.errors import DataError
from trivium.extract.source.media import SOUND_RATE
from trivium.extract.source.recording import Recording
from trivium.extract.words.cutting import heard_transcript
from trivium.extract.words.doubts import (
    ANOTHER_CLIP,
    ANOTHER_LANGUAGE,
    LISTEN_SECONDS,
    MOST_SAID,
    SAID_SHARE,
    UNSURE,
    fits_badly,
    hears_other_words,
    is_foreign,
    listen,
    said_share,
    segments_fit_badly,
    subtitles_say_other_words,
)
from trivium.extract.words.recogniser import ENGLISH
from trivium.extract.words.segment_times import time_segments
from trivium.extract.words.speech import (
    LONGEST_ALIGNED_SECONDS,
    Heard,
    Timed,
    recognise,
    spread_words,
    time_words,
    times_as_heard,
)
from trivium.extract.words.timed_transcript import TimedTranscript, sentences
from trivium.extract.words.transcript import Transcript, read_transcript
from trivium.formats.findings import Finding

__all__ = ["WORDS_VERSION", "Spoken", "transcript_to_cut", "words_in_time"]

WORDS_VERSION = 4  # raised when recognition or alignment changes, so that words of earlier runs are made again

_HOW = {
    ("given", "aligned"): "given, aligned",
    ("given", "spread"): "given, spread evenly because they could not be aligned",
    ("given", "recognised"): "given, with the times of the same words as recognised because they could not be aligned",
    ("recognised", "aligned"): "recognised, aligned",
    ("recognised", "recognised"): "recognised, with the recogniser's times because they could not be aligned",
}
_IN_SEGMENTS = "given with times, aligned within their segments"
_TIMED_HOW = {
    ("none", "aligned"): _IN_SEGMENTS,
    ("recognised", "aligned"): _IN_SEGMENTS,
    ("heard", "aligned"): _HOW["recognised", "aligned"],
    ("none", "spread"): "given with times, spread evenly within their segments because they could not be aligned",
    ("recognised", "recognised"): "given, with the recogniser's times because they could not be aligned",
    ("heard", "recognised"): _HOW["recognised", "recognised"],
    ("set", "set"): "given with their times",
    ("aligned", "set"): _HOW["given", "aligned"],
}
_NOT_ALIGNED = "because they could not be aligned"


class Spoken(NamedTuple):
    """Words of a recording, and what the recogniser heard where it listened to this very sound.

    Parameters
    ----------
    transcript : Transcript
        Tokens and W spoken words.
    timed : Timed
        Times in seconds of the clip.
    heard : Heard or None
        Its times are seconds of the sound.
    """

    transcript: Transcript
    timed: Timed
    heard: Heard | None = None


def words_in_time(
    recording: Recording,
    sound: NDArray[np.float32] | None,
    span: tuple[float, float],
    findings: list[Finding],
    *,
    model: str | Path | None = None,
    language: str = ENGLISH,
    local: str | Path | None = None,
    states: bool = False,
) -> Spoken | None:
    """Words of a recording and their times.

    Recognised words of more than 15 minutes are aligned sentence by sentence. Words of other languages than English are
    not aligned: they have the recogniser's times, and the finding says so.

    Given words that cannot be aligned, fit badly or look like another language are compared with what the recogniser
    hears, if it is on this machine: where it hears the same words, those that could not be aligned get its times; where
    it hears others, a finding says that the transcript may belong to another clip or be in another language. A
    transcript with times is compared only if it is that of a whole clip, and its words have no times of their own.

    Parameters
    ----------
    recording : Recording
        A clip or a span of it; without a transcript its words are recognised.
    sound : array of shape (n,), float32, or None
        Mono sound of the span at 16 kHz.
    span : (float, float)
        Seconds of the clip.
    findings : list of Finding
        How the words were found and timed is added to it, or why there are none.
    model, language, local
        See :func:`~trivium.extract.words.speech.recognise`, whose errors it raises too where it has to recognise.
    states : bool
        Whether what the catalogue's recogniser hears comes with the states of its encoder.

    Returns
    -------
    Spoken or None
        None where nobody speaks.
    """
    if isinstance(recording.transcript, TimedTranscript):
        told, whole = recording.transcript, recording.is_whole
        return _timed(recording.id, told, sound, span, findings, language, local, model, whole=whole)
    heard = None
    if recording.transcript is None and sound is not None:
        heard = recognise(sound, model=model, language=language, local=local, states=states)
    transcript = heard.transcript if heard is not None else read_transcript(recording.transcript or "", language)
    if not transcript.words:
        why = "no sound" if sound is None else "no speech" if heard is not None else "empty transcript"
        findings.append(Finding("missing", recording.id, "text", action=why))
        return None
    if heard is not None and sound is not None and len(sound) > LONGEST_ALIGNED_SECONDS * SOUND_RATE:
        told = heard_transcript(transcript, heard, span[0], "heard")
        told = replace(told, segments=sentences(told))
        spoken = _timed(recording.id, told, sound, span, findings, language, local)
        return spoken and spoken._replace(heard=heard)
    if sound is None:
        timed = spread_words(transcript.words, span[1] - span[0])
    else:
        timed = time_words(sound, transcript.words, heard, model=model, language=language, local=local)
        if heard is None and language == ENGLISH:
            timed = _doubted(recording.id, transcript, timed, sound, findings, model, local)
    if span[0]:
        timed = replace(timed, times=timed.times + span[0])
    how = _HOW["given" if heard is None else "recognised", timed.timing]
    _tell_words(findings, recording.id, timed, how, language)
    return Spoken(transcript, timed, heard)


def _doubted(
    name: str,
    transcript: Transcript,
    timed: Timed,
    sound: NDArray[np.float32],
    findings: list[Finding],
    model: str | Path | None,
    local: str | Path | None,
) -> Timed:
    """Say whether given words may belong to something else; better times for those that could not be aligned."""
    foreign = is_foreign(transcript.words)
    if not foreign and not fits_badly(timed):
        return timed
    lost = timed.timing == "spread"
    heard = listen(sound, whole=lost, model=model, local=local)
    said = transcript.words if lost else transcript.words[:MOST_SAID]
    if foreign and not _heard_so(said, heard):
        findings.append(Finding("doubt", name, "text", action=ANOTHER_LANGUAGE))
    elif heard is None:
        findings += [] if lost else [Finding("doubt", name, "text", action=UNSURE)]
    elif hears_other_words(said, heard):
        findings.append(Finding("doubt", name, "text", action=ANOTHER_CLIP))
    elif lost and heard.transcript.words:
        return times_as_heard(transcript.words, heard, len(sound) / SOUND_RATE)
    return timed


def _heard_so(said: Sequence[str], heard: Heard | None) -> bool:
    """Whether somebody listened, heard words, and they are those of the transcript."""
    if heard is None or not heard.transcript.words:
        return False
    return said_share(said, heard) >= SAID_SHARE


def _timed(
    name: str,
    told: TimedTranscript,
    sound: NDArray[np.float32] | None,
    span: tuple[float, float],
    findings: list[Finding],
    language: str,
    local: str | Path | None,
    model: str | Path | None = None,
    *,
    whole: bool = False,
) -> Spoken | None:
    """Words of a transcript with times, as far as they lie in the span."""
    findings += [Finding("transcript", name, "text", count=n, action=what) for what, n in told.findings]
    inside = told.within(*span)
    late = sum(segment.start >= span[1] for segment in told.segments)
    if late and not span[0]:
        action = "segments begin after the end of the clip, left out"
        findings.append(Finding("transcript", name, "text", count=late, action=action))
    spoken = None if inside is None else time_segments(sound, inside, *span, language=language, local=local)
    if spoken is None or not spoken[0].words:
        findings.append(Finding("missing", name, "text", action="the transcript has no words at this time"))
        return None
    if told.word_times != "heard" and language == ENGLISH:
        # the sound of a span may hold words of its neighbours, where subtitles are late
        comparable = whole and told.word_times == "none"
        listening = partial(listen, sound, whole=False, model=model, local=local) if sound is not None else _deaf
        findings += _doubts(name, *spoken, span[0], comparable, listening)
    how = _TIMED_HOW.get((told.word_times, spoken[1].timing), spoken[1].timing)
    _tell_words(findings, name, spoken[1], how, language)
    return Spoken(*spoken)


def _deaf(**_: float) -> None:
    """What is heard where there is no sound."""


def _doubts(
    name: str,
    transcript: Transcript,
    timed: Timed,
    offset: float,
    comparable: bool,
    listening: Callable[..., Heard | None],
) -> list[Finding]:
    """Whether a transcript with times may belong to something else, by its first words and what is heard then."""
    foreign = is_foreign(transcript.words)
    suspicious = comparable and segments_fit_badly(timed)
    starts = timed.times[:, 0]
    heard = listening(start=float(starts[0]) - offset) if foreign or suspicious else None
    said = transcript.words[: int(np.searchsorted(starts, starts[0] + LISTEN_SECONDS))]
    if foreign and not _heard_so(said, heard):
        return [Finding("doubt", name, "text", action=ANOTHER_LANGUAGE)]
    if suspicious and heard is not None and subtitles_say_other_words(said, heard):
        return [Finding("doubt", name, "text", action=ANOTHER_CLIP)]
    return []


def _tell_words(findings: list[Finding], name: str, timed: Timed, how: str, language: str) -> None:
    if language != ENGLISH:
        how = how.replace(_NOT_ALIGNED, f"(language {language}; the aligner knows English only)")
    findings.append(Finding("words", name, "text", count=len(timed.times), action=how))
    if timed.guessed and timed.timing != "spread":
        findings.append(Finding("words", name, "text", count=len(timed.guessed), action="time guessed"))


def transcript_to_cut(
    recording: Recording,
    sound: NDArray[np.float32] | None,
    span: tuple[float, float],
    *,
    model: str | Path | None = None,
    language: str = ENGLISH,
    local: str | Path | None = None,
) -> TimedTranscript | None:
    """What is said in a recording that is to be cut, with times.

    Parameters
    ----------
    recording : Recording
        A clip or a span of it.
    sound : array of shape (n,), float32, or None
        Mono sound of the span at 16 kHz.
    span : (float, float)
        Seconds of the clip.
    model, language, local
        See :func:`~trivium.extract.words.speech.recognise`, whose errors it raises too where it has to recognise.

    Returns
    -------
    TimedTranscript or None
        None where nothing is said.

    Raises
    ------
    DataError
        The transcript has no times and cannot be aligned.
    """
    if isinstance(recording.transcript, TimedTranscript):
        return recording.transcript.within(*span)
    if sound is None:
        return None
    if recording.transcript is None:
        heard = recognise(sound, model=model, language=language, local=local)
        return heard_transcript(heard.transcript, heard, span[0], "heard") if heard.transcript.words else None
    transcript = read_transcript(recording.transcript, language)
    if not transcript.words:
        return None
    timed = time_words(sound, transcript.words, model=model, language=language, local=local)
    if timed.timing == "spread":
        remedy = "give one with times (srt, vtt, TextGrid), or none"
        raise DataError("its transcript could not be aligned, so it cannot be cut", file=recording.path, remedy=remedy)
    return heard_transcript(transcript, timed, span[0], "aligned" if timed.timing == "aligned" else "recognised")
