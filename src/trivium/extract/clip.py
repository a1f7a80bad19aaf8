"""A clip becomes one utterance or several: their words, and a stream for text, voice and face.

What a clip lacks (sound, picture, speech, a face) is left out of the utterance and reported; a clip that cannot be read
at all is one error. All times are seconds of the clip, also where an utterance is only a span of it. However many spans
a clip has, it is decoded once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from threadpoolctl import threadpool_limits

from trivium.corpus import Specification, Stream, Utterance
from trivium.errors import DataError, MediaError
from trivium.extract.choice import MODALITIES, StreamMaker, choose
from trivium.extract.earlier import Earlier
from trivium.extract.extracted import Extracted, put_together
from trivium.extract.keys import Keys, installed_versions, keys_of, versions_of
from trivium.extract.notes import facts_of_faces, facts_of_sound, facts_of_words, several_faces
from trivium.extract.opened import OpenedClip
from trivium.extract.products import WORDS, Product, key_of
from trivium.extract.source.media import open_clip
from trivium.extract.source.recording import Recording
from trivium.extract.vision.faces import see_faces
from trivium.extract.vision.landmarks import FaceTracker
from trivium.extract.vision.recorder import NO_FURTHER_FACE, FacesFound
from trivium.extract.vision.speaker import FURTHER_FACES_VERSION
from trivium.extract.vision.tracks import MOST_FACES
from trivium.extract.words.cutting import CUTS, Cut, pieces_from_json, pieces_of, voiced_spans
from trivium.extract.words.recogniser import ENGLISH, recogniser_version, require_recogniser
from trivium.extract.words.spoken import WORDS_VERSION, Spoken, transcript_to_cut, words_in_time
from trivium.formats.findings import Finding
from trivium.upstream import model_folder

__all__ = ["FRAMES_PER_SECOND", "ClipExtractor", "Extracted", "extract_clip"]

FRAMES_PER_SECOND = 12.5
_TIMING_MODELS = ("g2p-en",)
_RECOGNITION_MODELS = ("whisper-tiny-en",)
_WORD_PACKAGES = ("faster-whisper", "pocketsphinx")
_Seen: TypeAlias = Product | MediaError | None


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
    faces : int
        How many faces are kept: that of the speaker as ``vision``, the next best as ``vision_2`` and so on.
    language : str
        What is spoken, by Whisper's code; words of other languages than English have the recogniser's times.
    recogniser : path, optional
        Folder of a Whisper model in CTranslate2's format; the catalogue's where left out, which knows English only.
    side_by_side : bool
        Whether what is heard and what is seen in a clip is made at the same time, in two threads: same bytes, sooner.

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
        faces: int = 1,
        language: str = ENGLISH,
        recogniser: str | Path | None = None,
        side_by_side: bool = False,
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
        if not 1 <= faces <= MOST_FACES:
            raise DataError(f"{faces} faces cannot be kept", remedy=f"use 1 to {MOST_FACES}")
        self.frames_per_second, self.faces = frames_per_second, faces
        self.upstream = upstream
        self.track, self.cut = track, cut
        self.side_by_side = side_by_side
        # what makes the same extractor in another process
        self.options: dict[str, Any] = {
            "modalities": list(self.modalities),
            "frames_per_second": frames_per_second,
            "upstream": None if upstream is None else str(upstream),
            "track": track,
            "cut": cut,
            "text": text,
            "audio": audio,
            "vision": vision,
            "faces": faces,
            "language": language,
            "recogniser": None if recogniser is None else str(recogniser),
        }
        self.language = language
        self._hearing: dict[str, Any] = {"model": recogniser, "language": language, "local": upstream}
        self._tracker: FaceTracker | None = None
        requests = {"text": text, "audio": audio, "vision": vision}
        self._makers = [
            StreamMaker(choice, choice.load(upstream))
            for modality in self.modalities
            for choice in choose(modality, requests[modality])
        ]
        self._states = any(getattr(maker.extractor, "takes_states", False) for maker in self._makers)
        self.specification = Specification(
            tuple(specification for maker in self._makers for specification in maker.specifications(faces))
        )

    @property
    def recogniser_version(self) -> str:
        """Version of the recogniser that listens; empty where none on this machine speaks the language."""
        return recogniser_version(**self._hearing)

    def recogniser_told(self) -> dict[str, dict[str, str]]:
        """What the provenance says of the recogniser: given words that fit badly are compared with what it hears.

        A folder of the user's is told by its name alone, and by what it holds.
        """
        version, model = self.recogniser_version, self._hearing["model"]
        if not version or not self._finds_words:
            return {}
        if model is None:
            return {"models": {name: version for name in _RECOGNITION_MODELS}}
        return {"recogniser": {"name": Path(model).resolve().name, "version": version}}

    @property
    def _finds_words(self) -> bool:
        return "text" in self.modalities or self.cut == "sentences"

    def models(self, recordings: Iterable[Recording]) -> list[str]:
        """Names of the models in the catalogue that these recordings need."""
        needed = [name for maker in self._makers for name in maker.extractor.models]
        if self._finds_words:
            needed += _TIMING_MODELS
            if self._hearing["model"] is None and self._listens(recordings):
                needed += _RECOGNITION_MODELS
        return list(dict.fromkeys(needed))

    def _listens(self, recordings: Iterable[Recording]) -> bool:
        return self._finds_words and any(r.transcript is None and r.fault is None for r in recordings)

    def require_models(self, recordings: Sequence[Recording]) -> None:
        """Raise an error now if a model that will be needed is not on this machine.

        Parameters
        ----------
        recordings : sequence of Recording
            What is to be extracted.

        Raises
        ------
        UpstreamError
            A model is missing or altered.
        DataError
            The recogniser does not speak the language.
        """
        for name in self.models(recordings):
            model_folder(name, self.upstream)
        if self._listens(recordings):
            require_recogniser(**self._hearing)

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
        self, recordings: Sequence[Recording], content: str = "", earlier: Earlier | None = None
    ) -> Iterator[tuple[Recording, tuple[Extracted, ...] | Exception]]:
        """Make the utterances of several spans of one clip, which is decoded once.

        A span's utterance does not depend on the other spans: what lies outside it is silence, and faces are followed
        anew from its first frame.

        Parameters
        ----------
        recordings : sequence of Recording
            Spans of one clip; they may overlap.
        content : str
            Hash of the file, where something may be taken over.
        earlier : Earlier, optional
            What earlier runs made: products with the same key are taken over, whatever else changed.

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
            source = OpenedClip(open_clip(usable[0].path, track=self.track), content, earlier or Earlier())
            cut = [self._cut(recording, source) for recording in usable]
        with self._looking(source, [piece for pieces in cut for piece in _listed(pieces)]) as seen:
            place = 0
            for recording, pieces in zip(usable, cut, strict=True):
                with _one_thread():
                    result = pieces if isinstance(pieces, Exception) else self._results(source, pieces, seen, place)
                place += len(_listed(pieces))
                yield recording, result

    @contextmanager
    def _looking(self, source: OpenedClip, pieces: Sequence[Recording]) -> Iterator[Future[list[_Seen]]]:
        """What is seen, made first or beside the rest; whoever leaves early does not wait for the other frames."""
        if not self.side_by_side:
            seen: Future[list[_Seen]] = Future()
            with _one_thread():
                seen.set_result(self._seen(source, pieces))
            yield seen
            return
        with ThreadPoolExecutor(1) as beside, _one_thread():
            try:
                yield beside.submit(self._seen, source, pieces)
            finally:
                source.stopped.set()

    def keys(self, recording: Recording, content: str) -> Keys:
        """Keys of what is made of a recording: what they do not change with may be taken over from another run.

        Every option that changes words or what is seen has to be among the facts here.

        Parameters
        ----------
        recording : Recording
            The clip or a span of it.
        content : str
            Hash of the file.
        """
        words = {
            "asked": "text" in self.modalities,
            "algorithm": WORDS_VERSION,
            "models": versions_of(_TIMING_MODELS),
            "packages": installed_versions(_WORD_PACKAGES),
            "language": self._hearing["language"],
            # given words that fit badly are compared with what it hears, so that it counts for them too
            "recogniser": self.recogniser_version,
        }
        vision: dict[str, Any] = {"frames_per_second": self.frames_per_second, "faces": self.faces}
        vision |= {"further": FURTHER_FACES_VERSION} if self.faces > 1 else {}
        return keys_of(recording, content, track=self.track, makers=self._makers, words=words, vision=vision)

    def cut_key(self, recording: Recording, content: str) -> str:
        """Key of the pieces of a recording; empty where it is not cut.

        Parameters
        ----------
        recording : Recording
            The clip or a span of it.
        content : str
            Hash of the file.
        """
        return "" if self.cut == "whole" else key_of(self.cut, self.keys(recording, content).words)

    def _cut(self, recording: Recording, source: OpenedClip) -> list[Recording] | Exception:
        """The recording itself, or its pieces; an error where there is nothing to extract."""
        try:
            span = recording.span(source.seconds)
            if self.cut == "whole":
                return [recording]
            kept = source.earlier.pieces(self.cut_key(recording, source.content))
            if kept is not None:
                return pieces_from_json(recording, kept)
            samples = source.part(recording)
            words = "text" in self.modalities or self.cut == "sentences"
            told = transcript_to_cut(recording, samples, span, **self._hearing) if words else None
            spans = None
            if self.cut == "voice":
                spans = [] if samples is None else [(span[0] + a, span[0] + b) for a, b in voiced_spans(samples)]
            return pieces_of(recording, told, spans, span)
        except Exception as error:
            return error

    def _results(
        self, source: OpenedClip, pieces: Sequence[Recording], seen: Future[list[_Seen]], place: int
    ) -> tuple[Extracted, ...] | Exception:
        made: list[Extracted] = []
        empty: list[Finding] = []
        last: Exception | None = None
        for number, piece in enumerate(pieces, start=place):
            try:
                made.append(self._utterance(source, piece, partial(_product_at, seen, number)))
            except Exception as error:
                last = error
                reason = getattr(error, "problem", f"{type(error).__name__}: {error}")
                empty.append(Finding("dropped", piece.id, action=reason))
        if not made and last is not None:
            return last
        told = () if self.cut == "whole" else tuple(pieces)
        return (replace(made[0], findings=(*made[0].findings, *empty), pieces=told), *made[1:])

    def _utterance(self, source: OpenedClip, recording: Recording, look: Callable[[], Product | None]) -> Extracted:
        start, end = recording.span(source.seconds)
        keys = self.keys(recording, source.content)
        products: list[Product] = []
        if "text" in self.modalities:
            products.append(self._words(source, recording, keys))
        spoken = next((product.spoken for product in products if product.name == WORDS), None)
        products += [
            source.earlier.find(keys.streams[maker.choice.stream], recording.id)
            or self._stream(maker, source, recording, spoken, keys)
            for maker in self._makers
            if maker.choice.modality != "vision"
        ]
        if self.cut != "whole" or {"text", "audio"} & set(self.modalities):
            products.append(source.earlier.find(keys.sound, recording.id) or _sound(source, recording, keys))
        seen = look()  # last, so that it can be made beside the others
        products += [] if seen is None else [seen]
        made = {name for product in products for name in product.streams}
        findings = [finding for product in products for finding in product.findings]
        if not made:
            reasons = ", ".join(f"{f.modality}: {f.action}" for f in findings if f.kind == "missing")
            raise MediaError(
                f"gives none of the modalities ({reasons})",
                file=recording.path,
                remedy="ask for others with --modalities, or leave the clip out",
            )
        if recording.end > source.seconds:
            findings.append(Finding("span", recording.id, action="ends after the clip, cut at its end"))
        return put_together(
            recording, [m for m in self.specification.modalities if m in made], products, findings, (start, end)
        )

    def _words(self, source: OpenedClip, recording: Recording, keys: Keys) -> Product:
        """Words and their times: of an earlier run, unless somebody needs what the recogniser heard."""
        listened = recording.transcript is None and any(
            maker.uses_heard and not source.earlier.has(keys.streams[maker.choice.stream]) for maker in self._makers
        )
        kept = None if listened else source.earlier.find(keys.words, recording.id, self._hearing["language"])
        if kept is not None:
            return kept
        findings: list[Finding] = []
        sound = source.part(recording)
        span = recording.span(source.seconds)
        states = self._states and self._hearing["model"] is None
        spoken = words_in_time(recording, sound, span, findings, **self._hearing, states=states)
        facts = facts_of_words(recording, spoken, heard=sound is not None)
        return Product(WORDS, keys.words, findings=tuple(findings), facts=facts, spoken=spoken)

    def _stream(
        self, maker: StreamMaker, source: OpenedClip, recording: Recording, spoken: Spoken | None, keys: Keys
    ) -> Product:
        """A stream of text or audio, or why there is none; that nobody speaks was told with the words."""
        name = maker.choice.stream
        findings: tuple[Finding, ...] = ()
        stream = None
        if maker.choice.modality == "text":
            stream = maker.extractor.stream(spoken.transcript, spoken.timed.times) if spoken else None
        else:
            sound = source.part(recording)
            if sound is None or not len(sound):
                findings = (Finding("missing", recording.id, name, action="no sound"),)
            else:
                heard = spoken.heard if spoken else None
                stream = _later(maker.extractor.stream(sound, heard), source.begin(recording))
        return Product(name, keys.streams[name], {} if stream is None else {name: maker.named(stream)}, findings)

    def _seen(self, source: OpenedClip, recordings: Sequence[Recording]) -> list[_Seen]:
        """What is seen in several spans; what no earlier run saw is found in one pass over the frames."""
        if "vision" not in self.modalities:
            return [None] * len(recordings)
        keys = [self.keys(recording, source.content).vision for recording in recordings]
        kept = [source.earlier.find(key, recording.id) for key, recording in zip(keys, recordings, strict=True)]
        left = [recording for recording, one in zip(recordings, kept, strict=True) if one is None]
        anew = iter(self._faces(source, left))
        return [
            one or self._vision(source, recording, key, next(anew))
            for recording, key, one in zip(recordings, keys, kept, strict=True)
        ]

    def _vision(self, source: OpenedClip, recording: Recording, key: str, found: FacesFound) -> Product | MediaError:
        """Streams of the faces that are kept, for every extractor, or why there are none; an error is the span's."""
        try:
            damage = _damage(source, recording, "video")
        except MediaError as error:
            return error
        none = "no face" if source.clip.facts.has_picture else "no picture"
        streams: dict[str, Stream] = {}
        findings: list[Finding] = []
        for place, maker in enumerate(self._vision_makers):
            for number, specification in enumerate(maker.specifications(self.faces)):
                stream, name = found.streams[number][place], specification.modality
                if stream is not None:
                    streams[name] = maker.named(stream, name)
                else:
                    why = NO_FURTHER_FACE if number else none
                    findings.append(Finding("missing", recording.id, name, action=why))
        if found.confidence is not None:
            findings.append(Finding("faces", recording.id, "vision", action=several_faces(found.confidence)))
        findings += damage
        return Product("vision", key, streams, tuple(findings), facts_of_faces(found))

    @property
    def _vision_makers(self) -> list[StreamMaker]:
        return [maker for maker in self._makers if maker.choice.modality == "vision"]

    def _faces(self, source: OpenedClip, recordings: Sequence[Recording]) -> list[FacesFound]:
        extractors = [maker.extractor for maker in self._vision_makers]
        if not recordings or not source.clip.facts.has_picture:
            return [FacesFound.none(self.faces, len(extractors))] * len(recordings)
        if self._tracker is None:
            self._tracker = extractors[0].tracker()
        rate = self.frames_per_second
        return see_faces(source, recordings, self._tracker, extractors, frames_per_second=rate, faces=self.faces)


def _product_at(seen: Future[list[_Seen]], place: int) -> Product | None:
    product = seen.result()[place]
    if isinstance(product, MediaError):
        raise product
    return product


def _sound(source: OpenedClip, recording: Recording, keys: Keys) -> Product:
    facts = facts_of_sound(source.part(recording))
    return Product("sound", keys.sound, findings=_damage(source, recording, "audio"), facts=facts)


def _damage(source: OpenedClip, recording: Recording, kind: str) -> tuple[Finding, ...]:
    told = source.damage(recording, kind)
    return (Finding("damage", recording.id, action=told),) if told else ()


def _one_thread() -> AbstractContextManager[object]:
    limits: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="blas")
    return limits


def _listed(pieces: list[Recording] | Exception) -> list[Recording]:
    return [] if isinstance(pieces, Exception) else pieces


def _later(stream: Stream, seconds: float) -> Stream:
    return replace(stream, times=stream.times + seconds) if seconds and stream.times is not None else stream


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
        Streams ``text`` (W, 384) at the words' times, ``audio`` (T, 61) every 10 ms, ``vision`` (T', 66) per frame
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
