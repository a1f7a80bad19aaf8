"""One clip becomes one utterance: its words, and a stream for text, voice and face.

What a clip lacks (sound, picture, speech, a face) is left out of the utterance and reported; a clip that cannot be read
at all is one error.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from trivium.corpus import Specification, Stream, StreamSpecification, Utterance, Words
from trivium.corpus.notes import ExtractionNote
from trivium.corpus.utterance import LabelValue
from trivium.errors import DataError, MediaError, TriviumError
from trivium.extract.audio import voice_specification, voice_stream
from trivium.extract.face_landmarks import FaceTracker
from trivium.extract.media import Clip, Frame, open_clip
from trivium.extract.notes import Counted, sound_level, unknown_words
from trivium.extract.speech import Timed, recognise, spread_words, time_words
from trivium.extract.text import text_specification, text_stream
from trivium.extract.transcript import Transcript, read_transcript
from trivium.extract.vision import face_specification, face_stream, face_tracker
from trivium.formats.findings import Finding
from trivium.upstream import model_folder

__all__ = ["MODALITIES", "ClipExtractor", "Extracted", "Recording", "extract_clip"]

MODALITIES = ("text", "audio", "vision")
FRAMES_PER_SECOND = 12.5
_MODELS = {"text": ("minilm-l6", "g2p-en"), "vision": ("face-landmarker",)}
_RECOGNITION_MODELS = ("whisper-tiny-en",)


@dataclass(frozen=True)
class Recording:
    """A clip that is to be extracted, and what is known about it beforehand.

    Parameters
    ----------
    path : Path
        The media file.
    id : str
        Id of the utterance; the file's name without its ending where left out.
    transcript : str, optional
        What is said. None: it has to be recognised.
    labels, groups, splits : mapping
        As in :class:`trivium.corpus.Utterance`.
    fault : TriviumError, optional
        Why it cannot be extracted, where that is known beforehand: its transcript cannot be read.

    Examples
    --------
    >>> Recording(Path("clips/interview.mp4")).id
    'interview'
    """

    path: Path
    id: str = ""
    transcript: str | None = None
    labels: Mapping[str, LabelValue] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    splits: Mapping[str, str] = field(default_factory=dict)
    fault: TriviumError | None = None

    def __post_init__(self) -> None:
        if not self.id:
            object.__setattr__(self, "id", self.path.stem)


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

    Raises
    ------
    DataError
        There is no such modality.

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
    ) -> None:
        self.modalities = tuple(dict.fromkeys(modalities))
        unknown = [name for name in self.modalities if name not in MODALITIES]
        if unknown or not self.modalities:
            raise DataError(
                f"there is no extractor for {', '.join(unknown) or 'nothing'}", remedy=f"use {', '.join(MODALITIES)}"
            )
        if not 0 < frames_per_second <= 1000:
            raise DataError(f"{frames_per_second} frames per second are not possible", remedy="use 5 to 30")
        self.frames_per_second = frames_per_second
        self.upstream = upstream
        self._tracker: FaceTracker | None = None

    @property
    def specification(self) -> Specification:
        """Streams that the utterances have, where the clip has them."""
        known: dict[str, StreamSpecification] = {
            "text": text_specification(),
            "audio": voice_specification(),
            "vision": face_specification(),
        }
        return Specification(tuple(known[name] for name in self.modalities))

    def models(self, recordings: Iterable[Recording]) -> list[str]:
        """Names of the models in the catalogue that these recordings need."""
        needed = [name for modality in self.modalities for name in _MODELS.get(modality, ())]
        recognition = "text" in self.modalities and any(r.transcript is None and r.fault is None for r in recordings)
        return [*needed, *_RECOGNITION_MODELS] if recognition else needed

    def require_models(self, recordings: Iterable[Recording]) -> None:
        """Raise an :class:`UpstreamError` now if a model that will be needed is not on this machine."""
        for name in self.models(recordings):
            model_folder(name, self.upstream)

    def extract(self, recording: Recording) -> Extracted:
        """Make the utterance of one clip.

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
        TriviumError
            The recording has a fault.
        """
        if recording.fault is not None:
            raise recording.fault
        with threadpool_limits(limits=1, user_api="blas"):
            return self._extract(recording)

    def _extract(self, recording: Recording) -> Extracted:
        clip = open_clip(recording.path)
        findings: list[Finding] = []
        sound = clip.sound() if {"text", "audio"} & set(self.modalities) else None
        spoken = self._spoken(recording, sound, clip.facts.seconds, findings) if "text" in self.modalities else None
        frames = Counted(clip.frames(self.frames_per_second))
        streams: dict[str, Stream] = {}
        if spoken is not None:
            streams["text"] = text_stream(spoken[0], spoken[1].times, local=self.upstream)
        if "audio" in self.modalities:
            _keep(streams, findings, recording.id, "audio", _voice(sound), "no sound")
        if "vision" in self.modalities:
            why = "no face" if clip.facts.has_picture else "no picture"
            _keep(streams, findings, recording.id, "vision", self._face(clip, frames), why)
        if not streams:
            reasons = ", ".join(f"{f.modality}: {f.action}" for f in findings)
            raise MediaError(f"gives none of the modalities ({reasons})", file=recording.path)
        findings += [Finding("damage", recording.id, action=text) for text in clip.findings]
        note = _note(spoken, sound, frames.count, findings, given=recording.transcript is not None)
        return Extracted(_utterance(recording, streams, spoken, clip.facts.seconds), tuple(findings), note)

    def _spoken(
        self, recording: Recording, sound: NDArray[np.float32] | None, seconds: float, findings: list[Finding]
    ) -> tuple[Transcript, Timed] | None:
        """Words and their times; None where nobody speaks."""
        heard = recognise(sound, local=self.upstream) if recording.transcript is None and sound is not None else None
        transcript = heard.transcript if heard is not None else read_transcript(recording.transcript or "")
        if not transcript.words:
            why = "no sound" if sound is None else "no speech" if heard is not None else "empty transcript"
            findings.append(Finding("missing", recording.id, "text", action=why))
            return None
        if sound is None:
            timed = spread_words(transcript.words, seconds)
        else:
            timed = time_words(sound, transcript.words, heard, local=self.upstream)
        origin = "given" if heard is None else "recognised"
        findings.append(
            Finding("words", recording.id, "text", count=len(timed.times), action=_HOW[origin, timed.timing])
        )
        if timed.guessed and timed.timing == "aligned":
            findings.append(Finding("words", recording.id, "text", count=len(timed.guessed), action="time guessed"))
        return transcript, timed

    def _face(self, clip: Clip, frames: Counted[Frame]) -> Stream | None:
        if not clip.facts.has_picture:
            return None
        if self._tracker is None:
            self._tracker = face_tracker()
        # a frame lasts until the next one; where one is dropped, half as long again
        longest = 1.5 / min(self.frames_per_second, clip.facts.frames_per_second)
        return face_stream(frames, frame_seconds=longest, tracker=self._tracker)


_HOW = {
    ("given", "aligned"): "given, aligned",
    ("given", "spread"): "given, spread evenly because they could not be aligned",
    ("recognised", "aligned"): "recognised, aligned",
    ("recognised", "recognised"): "recognised, with the recogniser's times because they could not be aligned",
}


def _voice(sound: NDArray[np.float32] | None) -> Stream | None:
    return voice_stream(sound) if sound is not None and len(sound) else None


def _keep(
    streams: dict[str, Stream], findings: list[Finding], name: str, modality: str, stream: Stream | None, why: str
) -> None:
    if stream is None:
        findings.append(Finding("missing", name, modality, action=why))
    else:
        streams[modality] = stream


def _utterance(
    recording: Recording, streams: Mapping[str, Stream], spoken: tuple[Transcript, Timed] | None, seconds: float
) -> Utterance:
    words = Words(spoken[0].words, spoken[1].times, spoken[1].confidence) if spoken else None
    return Utterance(
        recording.id,
        streams,
        words,
        text=spoken[0].text if spoken else "",
        labels=recording.labels,
        groups=recording.groups,
        splits=recording.splits,
        clip=recording.path.name,
        start=0.0,
        end=seconds,
    )


def _note(
    spoken: tuple[Transcript, Timed] | None,
    sound: NDArray[np.float32] | None,
    frames: int,
    findings: Iterable[Finding],
    *,
    given: bool,
) -> ExtractionNote:
    told: dict[str, Any] = {"missing": {f.modality: f.action for f in findings if f.kind == "missing"}}
    if spoken is not None:
        transcript, timed = spoken
        told |= {"origin": "given" if given else "recognised", "timing": timed.timing}
        if timed.timing == "aligned":
            told |= {"guessed": len(timed.guessed)}
        if sound is not None:
            told |= {"unknown": unknown_words(transcript.words)}
    if sound is not None and len(sound):
        peak_db, clipped = sound_level(sound)
        told |= {"peak_db": peak_db, "clipped": clipped}
    return ExtractionNote(**told, frames=frames or None)


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
