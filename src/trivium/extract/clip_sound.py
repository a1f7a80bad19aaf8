"""What is heard in a clip: its level, and the streams of its words and its sound."""

from __future__ import annotations

from dataclasses import replace

from trivium.corpus import Stream
from trivium.extract.choice import StreamMaker
from trivium.extract.keys import Keys
from trivium.extract.notes import facts_of_sound
from trivium.extract.opened import OpenedClip
from trivium.extract.products import Product
from trivium.extract.scratch import let_go
from trivium.extract.source.recording import Recording
from trivium.extract.word_pooling import pooled_by_word
from trivium.extract.words.spoken import Spoken
from trivium.formats.findings import Finding

__all__ = ["damage_findings", "level_product", "stream_product"]


def level_product(source: OpenedClip, recording: Recording, keys: Keys) -> Product:
    """How loud a recording is, and what of its sound is damaged.

    Parameters
    ----------
    source : OpenedClip
        With its sound.
    recording : Recording
        The clip or a span of it.
    keys : Keys
        Of its products.

    Raises
    ------
    MediaError
        Too much of it is damaged.
    """
    kept = source.earlier.find(keys.sound, recording.id)
    if kept is not None:
        return kept
    facts = facts_of_sound(source.part(recording))
    return Product("sound", keys.sound, findings=damage_findings(source, recording, "audio"), facts=facts)


def damage_findings(source: OpenedClip, recording: Recording, track: str) -> tuple[Finding, ...]:
    """What of a recording could not be decoded, but can be lived with.

    Parameters
    ----------
    source : OpenedClip
        The clip.
    recording : Recording
        It or a span of it.
    track : {"audio", "video"}
        Which.

    Raises
    ------
    MediaError
        It is too much.
    """
    told = source.damage(recording, track)
    return (Finding("damage", recording.id, action=told),) if told else ()


def stream_product(
    maker: StreamMaker, source: OpenedClip, recording: Recording, spoken: Spoken | None, keys: Keys
) -> Product:
    """A stream of text or audio, or why there is none; that nobody speaks was told with the words.

    Parameters
    ----------
    maker : StreamMaker
        Of text or audio.
    source : OpenedClip
        With its sound.
    recording : Recording
        The clip or a span of it.
    spoken : Spoken or None
        Its words.
    keys : Keys
        Of its products.
    """
    name = maker.choice.stream
    kept = source.earlier.find(keys.streams[name], recording.id)
    if kept is not None:
        return kept
    findings: tuple[Finding, ...] = ()
    stream = None
    if maker.choice.modality == "text":
        stream = maker.extractor.stream(spoken.transcript, spoken.timed.times) if spoken else None
    elif spoken or not maker.choice.by_word:
        stream = _stream_of_sound(maker, source, recording, spoken)
        findings = () if stream else (Finding("missing", recording.id, name, action="no sound"),)
    return Product(name, keys.streams[name], {} if stream is None else {name: maker.named(stream)}, findings)


def _stream_of_sound(
    maker: StreamMaker, source: OpenedClip, recording: Recording, spoken: Spoken | None
) -> Stream | None:
    """Steps in seconds of the clip, or of its words where that is asked for; None where there is no sound."""
    sound = source.part(recording)
    if sound is None or not len(sound):
        return None
    made = maker.extractor.stream(sound, spoken.heard if spoken else None)
    stream = _later(made, source.begin(recording))
    if spoken and maker.choice.by_word:
        stream = pooled_by_word(stream, spoken.timed.times, maker.choice.by_word)
    let_go(sound)
    return stream


def _later(stream: Stream, seconds: float) -> Stream:
    return replace(stream, times=stream.times + seconds) if seconds and stream.times is not None else stream
