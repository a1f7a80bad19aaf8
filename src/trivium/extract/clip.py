"""A clip becomes one utterance or several: their words, and a stream for text, voice and face.

What a clip lacks (sound, picture, speech, a face) is left out of the utterance and reported; a clip that cannot be read
at all is one error. All times are seconds of the clip, also where an utterance is only a span of it. However many spans
a clip has, it is decoded once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from trivium.corpus import Specification, Stream, StreamSpecification, Utterance, Words
from trivium.corpus.notes import ExtractionNote
from trivium.errors import DataError, MediaError
from trivium.extract.choice import MODALITIES, Choice, choose
from trivium.extract.cutting import CUTS, Cut, pieces_of, voiced_spans
from trivium.extract.face_landmarks import FaceTracker
from trivium.extract.media import SOUND_RATE, Clip, open_clip
from trivium.extract.notes import note_of
from trivium.extract.recording import Recording
from trivium.extract.spoken import Spoken, transcript_to_cut, words_in_time
from trivium.extract.vision import FaceRecorder
from trivium.formats.findings import Finding
from trivium.upstream import model_folder

__all__ = ["FRAMES_PER_SECOND", "ClipExtractor", "Extracted", "extract_clip"]

FRAMES_PER_SECOND = 12.5
_TIMING_MODELS = ("g2p-en",)
_RECOGNITION_MODELS = ("whisper-tiny-en",)


@dataclass(frozen=True, eq=False)
class Extracted:
    """An utterance and what was found while making it.

    Parameters
    ----------
    utterance : Utterance
        With the streams that the clip has.
    findings : tuple of Finding
        Modalities it lacks and why, how its words were found and timed, damage in the file.
    note : ExtractionNote
        What no stream keeps: how its words were timed, which were unknown, how many frames were seen, how loud it is.
    """

    utterance: Utterance
    findings: tuple[Finding, ...]
    note: ExtractionNote = field(default_factory=ExtractionNote)


class _Face(NamedTuple):
    stream: Stream | None
    frames: int


class ClipExtractor:
    """Turns clips into utterances; its models are loaded once and used for all clips.

    Parameters
    ----------
    modalities : iterable of str
        Which of ``text``, ``audio`` and ``vision`` to extract.
    frames_per_second : float
        How many frames of the picture are looked at.
    upstream : path, optional
        Folder with models of the catalogue; see :func:`trivium.upstream.model_folder`.
    track : int
        Which sound track of the clips, counted from 1.
    cut : {"whole", "sentences", "voice"}
        Whether a clip, or a span of it, is one utterance, or one for each sentence or voiced stretch.
    text, audio, vision : str
        Extractors of each modality, such as ``voice,whisper`` (see :mod:`trivium.extract.choice`); empty: the usual.

    Raises
    ------
    DataError
        There is no such modality, no such way to cut, or an extractor is used wrongly.
    TriviumError
        There is no such extractor.

    Examples
    --------
    >>> ClipExtractor(modalities=["audio"]).specification.modalities
    ('audio',)
    """

    def __init__(
        self,
        modalities: Iterable[str] = MODALITIES,
        *,
        frames_per_second: float = FRAMES_PER_SECOND,
        upstream: str | Path | None = None,
        track: int = 1,
        cut: Cut = "whole",
        text: str = "",
        audio: str = "",
        vision: str = "",
    ) -> None:
        self.modalities = tuple(dict.fromkeys(modalities))
        unknown = [name for name in self.modalities if name not in MODALITIES]
        if unknown or not self.modalities:
            raise DataError(
                f"there is no extractor for {', '.join(unknown) or 'nothing'}", remedy=f"use {', '.join(MODALITIES)}"
            )
        if not 0 < frames_per_second <= 1000:
            raise DataError(f"{frames_per_second} frames per second are not possible", remedy="use 5 to 30")
        if cut not in CUTS:
            raise DataError(f"clips cannot be cut at {cut!r}", remedy=f"use {', '.join(CUTS)}")
        self.frames_per_second = frames_per_second
        self.upstream = upstream
        self.track, self.cut = track, cut
        self._tracker: FaceTracker | None = None
        requests = {"text": text, "audio": audio, "vision": vision}
        self._makers = [
            _Maker(choice, choice.load(upstream))
            for modality in self.modalities
            for choice in choose(modality, requests[modality])
        ]
        self._states = any(getattr(maker.extractor, "takes_states", False) for maker in self._makers)
        self.specification = Specification(tuple(maker.specification for maker in self._makers))

    def models(self, recordings: Iterable[Recording]) -> list[str]:
        """Names of the models in the catalogue that these recordings need."""
        needed = [name for maker in self._makers for name in maker.extractor.models]
        if "text" in self.modalities or self.cut == "sentences":
            needed += _TIMING_MODELS
            if any(r.transcript is None and r.fault is None for r in recordings):
                needed += _RECOGNITION_MODELS
        return list(dict.fromkeys(needed))

    def require_models(self, recordings: Iterable[Recording]) -> None:
        """Raise an :class:`UpstreamError` now if a model that will be needed is not on this machine."""
        for name in self.models(recordings):
            model_folder(name, self.upstream)

    def extract(self, recording: Recording) -> Extracted:
        """Make the utterance of one clip, or of one span of it.

        Linear algebra runs in one thread: its rounding depends on the number of threads, and one rounding can change a
        recognised word. The same clip therefore gives the same bytes on a machine, whatever its settings.

        Parameters
        ----------
        recording : Recording
            The clip and what is known about it.

        Raises
        ------
        MediaError
            It cannot be decoded, or gives none of the modalities.
        DataError
            Its span is empty or lies outside the clip.
        TriviumError
            The recording has a fault.
        """
        ((_, result),) = self.extract_spans([recording])
        if isinstance(result, Exception):
            raise result
        (extracted,) = result
        return extracted

    def extract_spans(
        self, recordings: Sequence[Recording]
    ) -> Iterator[tuple[Recording, tuple[Extracted, ...] | Exception]]:
        """Make the utterances of several spans of one clip, which is decoded once.

        A span's utterance does not depend on the other spans: what lies outside it is silence, and faces are followed
        anew from its first frame.

        Parameters
        ----------
        recordings : sequence of Recording
            Spans of one clip; they may overlap.

        Yields
        ------
        recording : Recording
            One after the other.
        result : tuple of Extracted, or Exception
            One utterance, or several where clips are cut; or why there is none.

        Raises
        ------
        MediaError
            The clip cannot be decoded: none of the spans can be extracted.
        """
        usable = [recording for recording in recordings if recording.fault is None]
        yield from ((recording, recording.fault) for recording in recordings if recording.fault is not None)
        if not usable:
            return
        with _one_thread():
            source = self._open(usable[0].path)
            cut = [self._cut(recording, source) for recording in usable]
            faces = iter(self._faces(source.clip, [piece for pieces in cut for piece in _listed(pieces)]))
        for recording, pieces in zip(usable, cut, strict=True):
            own = [(piece, next(faces)) for piece in _listed(pieces)]
            with _one_thread():
                result = pieces if isinstance(pieces, Exception) else self._results(source, own)
            yield recording, result

    def _open(self, path: Path) -> _Source:
        clip = open_clip(path, track=self.track)
        heard = self.cut != "whole" or {"text", "audio"} & set(self.modalities)
        return _Source(clip, clip.sound() if heard else None)

    def _cut(self, recording: Recording, source: _Source) -> list[Recording] | Exception:
        """The recording itself, or its pieces; an error where there is nothing to extract."""
        try:
            span = recording.span(source.seconds)
            if self.cut == "whole":
                return [recording]
            samples = source.part(recording)
            words = "text" in self.modalities or self.cut == "sentences"
            told = transcript_to_cut(recording, samples, span, local=self.upstream) if words else None
            spans = None
            if self.cut == "voice":
                spans = [] if samples is None else [(span[0] + a, span[0] + b) for a, b in voiced_spans(samples)]
            return pieces_of(recording, told, spans, span)
        except Exception as error:
            return error

    def _results(self, source: _Source, pieces: Sequence[tuple[Recording, _Face]]) -> tuple[Extracted, ...] | Exception:
        made: list[Extracted] = []
        empty: list[Finding] = []
        last: Exception | None = None
        for piece, face in pieces:
            try:
                made.append(self._utterance(source, piece, face))
            except Exception as error:
                last = error
                reason = getattr(error, "problem", f"{type(error).__name__}: {error}")
                empty.append(Finding("dropped", piece.id, action=reason))
        if not made and last is not None:
            return last
        return (replace(made[0], findings=(*made[0].findings, *empty)), *made[1:])

    def _utterance(self, source: _Source, recording: Recording, face: _Face) -> Extracted:
        findings: list[Finding] = []
        start, end = recording.span(source.seconds)
        if recording.end > source.seconds:
            findings.append(Finding("span", recording.id, action="ends after the clip, cut at its end"))
        sound = source.part(recording)
        spoken = (
            words_in_time(recording, sound, (start, end), findings, local=self.upstream, states=self._states)
            if "text" in self.modalities
            else None
        )
        streams: dict[str, Stream] = {}
        for maker in self._makers:
            stream, why = self._stream(maker, source, recording, spoken, face)
            if stream is not None:
                streams[maker.choice.stream] = maker.named(stream)
            elif why:
                findings.append(Finding("missing", recording.id, maker.choice.stream, action=why))
        if not streams:
            reasons = ", ".join(f"{f.modality}: {f.action}" for f in findings if f.kind == "missing")
            raise MediaError(f"gives none of the modalities ({reasons})", file=recording.path)
        findings += [Finding("damage", recording.id, action=text) for text in source.clip.findings]
        note = note_of(recording, spoken, sound, face.frames, findings)
        return Extracted(_utterance(recording, streams, spoken, start, end), tuple(findings), note)

    def _stream(
        self, maker: _Maker, source: _Source, recording: Recording, spoken: Spoken | None, face: _Face
    ) -> tuple[Stream | None, str]:
        """One stream, or none and why; why is empty where that was told already."""
        if maker.choice.modality == "text":
            return (maker.extractor.stream(spoken.transcript, spoken.timed.times) if spoken else None), ""
        if maker.choice.modality == "vision":
            return face.stream, "no face" if source.clip.facts.has_picture else "no picture"
        sound = source.part(recording)
        if sound is None or not len(sound):
            return None, "no sound"
        stream = maker.extractor.stream(sound, spoken.heard if spoken else None)
        return _later(stream, source.begin(recording)), ""

    def _faces(self, clip: Clip, recordings: Sequence[Recording]) -> list[_Face]:
        """Faces of several spans, found in one pass over the frames."""
        if "vision" not in self.modalities or not clip.facts.has_picture:
            return [_Face(None, 0)] * len(recordings)
        if self._tracker is None:
            self._tracker = next(m.extractor for m in self._makers if m.choice.modality == "vision").tracker()
        # a frame lasts until the next one; where one is dropped, half as long again
        longest = 1.5 / min(self.frames_per_second, clip.facts.frames_per_second)
        spans = [_WHOLE if one.is_whole else one.span(clip.facts.seconds) for one in recordings]
        recorders = [FaceRecorder(self._tracker, longest) for _ in recordings]
        for frame in clip.frames(self.frames_per_second, () if _WHOLE in spans else spans):
            for (start, end), recorder in zip(spans, recorders, strict=True):
                if start <= frame.time < end:
                    recorder.add(frame.time, frame.rgb)
        return [_Face(one.stream(end), one.frames) for one, (_, end) in zip(recorders, spans, strict=True)]


class _Maker(NamedTuple):
    """A stream of the corpus and what makes it."""

    choice: Choice
    extractor: Any

    @property
    def specification(self) -> StreamSpecification:
        return self.choice.named(self.extractor.specification)

    def named(self, stream: Stream) -> Stream:
        """The stream under its name in the corpus."""
        return (
            stream
            if stream.specification.modality == self.choice.stream
            else replace(stream, specification=self.specification)
        )


@dataclass(frozen=True, eq=False)
class _Source:
    """A clip that is open, and its sound."""

    clip: Clip
    sound: NDArray[np.float32] | None

    @property
    def seconds(self) -> float:
        return self.clip.facts.seconds

    def begin(self, recording: Recording) -> float:
        """Second of the clip at which the first sample of the recording lies."""
        return round(recording.span(self.seconds)[0] * SOUND_RATE) / SOUND_RATE

    def part(self, recording: Recording) -> NDArray[np.float32] | None:
        """Sound of the recording; None where there is none."""
        if self.sound is None or recording.is_whole:
            return self.sound
        first, last = (round(edge * SOUND_RATE) for edge in recording.span(self.seconds))
        part = self.sound[first:last]
        return part if len(part) else None


_WHOLE = (float("-inf"), float("inf"))


def _one_thread() -> AbstractContextManager[object]:
    limits: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="blas")
    return limits


def _listed(pieces: list[Recording] | Exception) -> list[Recording]:
    return [] if isinstance(pieces, Exception) else pieces


def _later(stream: Stream, seconds: float) -> Stream:
    return replace(stream, times=stream.times + seconds) if seconds and stream.times is not None else stream


def _utterance(
    recording: Recording,
    streams: Mapping[str, Stream],
    spoken: Spoken | None,
    start: float,
    end: float,
) -> Utterance:
    words = Words(spoken.transcript.words, spoken.timed.times, spoken.timed.confidence) if spoken else None
    return Utterance(
        recording.id,
        streams,
        words,
        text=spoken.transcript.text if spoken else "",
        labels=recording.labels,
        groups=recording.groups,
        splits=recording.splits,
        clip=recording.path.name,
        start=start,
        end=end,
    )


def extract_clip(
    path: str | os.PathLike[str],
    *,
    transcript: str | None = None,
    modalities: Iterable[str] = MODALITIES,
    frames_per_second: float = FRAMES_PER_SECOND,
    upstream: str | Path | None = None,
) -> Utterance:
    """Words, voice and face of one clip.

    Parameters
    ----------
    path : path
        A video or sound file.
    transcript : str, optional
        What is said; recognised where left out.
    modalities : iterable of str
        Which of ``text``, ``audio`` and ``vision`` to extract.
    frames_per_second : float
        How many frames of the picture are looked at.
    upstream : path, optional
        Folder with models of the catalogue; see :func:`trivium.upstream.model_folder`.

    Returns
    -------
    Utterance
        Streams ``text`` (W, 384) at the words' times, ``audio`` (T, 48) every 10 ms, ``vision`` (T', 63) per frame
        with a face; those that the clip lacks are absent.

    Raises
    ------
    MediaError
        The file cannot be decoded, or gives none of the modalities.
    UpstreamError
        A model is not on this machine; the message says how to fetch it.

    Examples
    --------
    >>> extract_clip("interview.mp4").words.text[:3]  # doctest: +SKIP
    ('kids', 'are', 'talking')
    """
    extractor = ClipExtractor(modalities, frames_per_second=frames_per_second, upstream=upstream)
    recording = Recording(Path(path), transcript=transcript)
    extractor.require_models([recording])
    return extractor.extract(recording).utterance
