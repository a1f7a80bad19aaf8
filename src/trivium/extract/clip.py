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
from typing import Any

from threadpoolctl import threadpool_limits

from trivium.corpus import Specification, Utterance
from trivium.errors import DataError, MediaError
from trivium.extract.choice import MODALITIES, StreamMaker, choose
from trivium.extract.clip_picture import ClipPicture, Seen
from trivium.extract.clip_sound import level_product, stream_product
from trivium.extract.clip_words import ClipWords
from trivium.extract.earlier import Earlier
from trivium.extract.extracted import Extracted, put_together
from trivium.extract.keys import Keys, keys_of
from trivium.extract.opened import OpenedClip
from trivium.extract.products import WORDS, Product, key_of
from trivium.extract.source.media import open_clip
from trivium.extract.source.recording import Recording
from trivium.extract.vision.tracks import MOST_FACES
from trivium.extract.words.cutting import CUTS, Cut
from trivium.extract.words.recogniser import ENGLISH
from trivium.formats.findings import Finding
from trivium.upstream import model_folder

__all__ = ["FRAMES_PER_SECOND", "ClipExtractor", "Extracted", "extract_clip"]

FRAMES_PER_SECOND = 12.5
_CUT_NAMES = {"sentences": "sentences", "voice": "voice 2"}  # changes with the way to cut


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
        requests = {"text": text, "audio": audio, "vision": vision}
        self._makers = [
            StreamMaker(choice, choice.load(upstream))
            for modality in self.modalities
            for choice in choose(modality, requests[modality], words="text" in self.modalities)
        ]
        states = any(getattr(maker.extractor, "takes_states", False) for maker in self._makers)
        self._words = ClipWords("text" in self.modalities, cut, recogniser, language, upstream, states)
        looking = [maker for maker in self._makers if maker.choice.modality == "vision"]
        self._picture = ClipPicture(looking, frames_per_second, faces)
        self.specification = Specification(
            tuple(specification for maker in self._makers for specification in maker.specifications(faces))
        )

    def recogniser_told(self) -> dict[str, dict[str, str]]:
        """What the provenance says of the recogniser; see :meth:`~trivium.extract.clip_words.ClipWords.told`."""
        return self._words.told()

    def models(self, recordings: Iterable[Recording]) -> list[str]:
        """Names of the models in the catalogue that these recordings need."""
        needed = [name for maker in self._makers for name in maker.extractor.models]
        return list(dict.fromkeys([*needed, *self._words.models(recordings)]))

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
        self._words.require_recogniser(recordings)

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
    def _looking(self, source: OpenedClip, pieces: Sequence[Recording]) -> Iterator[Future[list[Seen]]]:
        """What is seen, made first or beside the rest; whoever leaves early does not wait for the other frames."""
        if not self.side_by_side:
            seen: Future[list[Seen]] = Future()
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

        Parameters
        ----------
        recording : Recording
            The clip or a span of it.
        content : str
            Hash of the file.
        """
        facts = {"words": self._words.key_facts(), "vision": self._picture.key_facts()}
        return keys_of(recording, content, track=self.track, makers=self._makers, **facts)

    def cut_key(self, recording: Recording, content: str) -> str:
        """Key of the pieces of a recording; empty where it is not cut.

        Parameters
        ----------
        recording : Recording
            The clip or a span of it.
        content : str
            Hash of the file.
        """
        return "" if self.cut == "whole" else key_of(_CUT_NAMES[self.cut], self.keys(recording, content).words)

    def _cut(self, recording: Recording, source: OpenedClip) -> list[Recording] | Exception:
        """The recording itself, or its pieces; an error where there is nothing to extract."""
        try:
            return self._words.pieces(recording, source, self.cut_key(recording, source.content))
        except Exception as error:
            return error

    def _results(
        self, source: OpenedClip, pieces: Sequence[Recording], seen: Future[list[Seen]], place: int
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
            products.append(self._words.product(source, recording, keys))
        spoken = next((product.spoken for product in products if product.name == WORDS), None)
        products += [
            stream_product(maker, source, recording, spoken, keys)
            for maker in self._makers
            if maker.choice.modality != "vision"
        ]
        if self.cut != "whole" or {"text", "audio"} & set(self.modalities):
            products.append(level_product(source, recording, keys))
        seen = look()  # last, so that it can be made beside the others
        products += [] if seen is None else [seen]
        made = {name for product in products for name in product.streams}
        findings = [finding for product in products for finding in product.findings]
        if not made:
            reasons = ", ".join(f"{f.modality}: {f.action}" for f in findings if f.kind == "missing")
            raise MediaError(
                f"gives none of the modalities ({reasons})",
                file=recording.path,
                remedy="leave the clip out, or ask for modalities that it has",
            )
        if recording.end > source.seconds:
            findings.append(Finding("span", recording.id, action="ends after the clip, cut at its end"))
        return put_together(
            recording, [m for m in self.specification.modalities if m in made], products, findings, (start, end)
        )

    def _seen(self, source: OpenedClip, recordings: Sequence[Recording]) -> list[Seen]:
        keys = [self.keys(recording, source.content).vision for recording in recordings]
        return self._picture.seen(source, recordings, keys)


def _product_at(seen: Future[list[Seen]], place: int) -> Product | None:
    product = seen.result()[place]
    if isinstance(product, MediaError):
        raise product
    return product


def _one_thread() -> AbstractContextManager[object]:
    limits: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="blas")
    return limits


def _listed(pieces: list[Recording] | Exception) -> list[Recording]:
    return [] if isinstance(pieces, Exception) else pieces


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
