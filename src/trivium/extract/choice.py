"""Which extractors make the streams of a corpus: chosen by name for text, audio and vision.

A request names one extractor of the registry or several, separated by commas: ``voice``, ``voice,whisper``. What
follows a colon is an extractor's argument: ``glove:vectors.txt``. The first one makes the stream that is called like
its modality; each further one makes a stream of its own, ``MODALITY_NAME``: ``audio`` and ``audio_whisper``.

Any extractor of sound can be asked for statistics by word with ``:words`` behind it, as in ``whisper:words`` or
``hf:FOLDER:words=mean+spread``: see :mod:`trivium.extract.word_pooling`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Stream, StreamSpecification
from trivium.errors import DataError, SpecificationError, TriviumError
from trivium.extract.word_pooling import asked_by_word, pooled_specification, request_of_pooled
from trivium.extract.words.speech import Heard
from trivium.extract.words.transcript import Transcript
from trivium.registry import entries, load

__all__ = [
    "MODALITIES",
    "USUAL_EXTRACTORS",
    "AudioExtractor",
    "Choice",
    "Extractor",
    "StreamMaker",
    "TextExtractor",
    "choose",
    "requests_for",
]

MODALITIES = ("text", "audio", "vision")
USUAL_EXTRACTORS: Mapping[str, str] = {"text": "minilm-l6", "audio": "voice,whisper:words", "vision": "face"}


class Extractor(Protocol):
    """What every extractor has; its constructor takes its argument and the folder of the user's own models.

    Attributes
    ----------
    models : tuple of str
        Names of the models of the catalogue that it needs.
    takes : str
        What its argument is, for people, such as ``FILE``; empty where it takes none.
    """

    models: tuple[str, ...]
    takes: str

    @property
    def specification(self) -> StreamSpecification:
        """Columns, clock, extractor and version of its streams; two that are equal give the same bytes."""


class TextExtractor(Extractor, Protocol):
    """Gives a vector for every spoken word."""

    def stream(self, transcript: Transcript, times: NDArray[np.float64]) -> Stream:
        """Values (W, D) at the times (W, 2) of the W words."""


class AudioExtractor(Extractor, Protocol):
    """Gives columns of the sound, the same whether or not its words were recognised."""

    def stream(self, sound: NDArray[np.float32], heard: Heard | None) -> Stream:
        """Values (T, D) of mono sound at 16 kHz, in seconds from its beginning.

        What the recogniser heard in this very sound comes along, where it listened; it may spare work, and no more.
        """


@dataclass(frozen=True)
class Choice:
    """One stream of the corpus that is to be, and the extractor that makes it.

    Parameters
    ----------
    modality : str
        ``text``, ``audio`` or ``vision``.
    stream : str
        Name of the stream in the corpus.
    name, argument : str
        Extractor, as the registry calls it, and what followed the colon.
    by_word : tuple of str
        Statistics that become a step of each word; empty for the stream as the extractor makes it.

    Examples
    --------
    >>> Choice("audio", "audio", "voice").specification().dim >= 48
    True
    """

    modality: str
    stream: str
    name: str
    argument: str = ""
    by_word: tuple[str, ...] = ()

    def load(self, local: str | Path | None = None) -> Any:
        """Make the extractor.

        Parameters
        ----------
        local : path, optional
            See :func:`trivium.upstream.model_folder`.

        Raises
        ------
        DataError
            An argument is missing, or there is one too many.
        TriviumError
            There is no such extractor; the message names those that exist.
        """
        made = load(f"{self.modality}-extractor", self.name)
        if bool(self.argument) != bool(made.takes):
            usage = f"{self.name}:{made.takes}" if made.takes else self.name
            raise DataError(f"the extractor {self.name!r} is not used like this", remedy=f"write {usage}")
        return made(self.argument, local)

    def specification(self, local: str | Path | None = None) -> StreamSpecification:
        """Specification of the stream, under its name in the corpus.

        Parameters
        ----------
        local : path, optional
            See :func:`trivium.upstream.model_folder`.
        """
        return self.named(self.load(local).specification)

    def named(self, specification: StreamSpecification) -> StreamSpecification:
        """The extractor's specification under the stream's name, by word where that is asked for.

        Parameters
        ----------
        specification : StreamSpecification
            Of the extractor.
        """
        own = pooled_specification(specification, self.by_word) if self.by_word else specification
        return replace(own, modality=self.stream)


class StreamMaker(NamedTuple):
    """A stream of the corpus, and the extractor that makes it.

    Parameters
    ----------
    choice : Choice
        What was asked for.
    extractor : object
        A text, audio or vision extractor.

    Examples
    --------
    >>> voice = Choice("audio", "audio_voice", "voice")
    >>> StreamMaker(voice, voice.load()).specification.modality
    'audio_voice'
    """

    choice: Choice
    extractor: Any

    @property
    def specification(self) -> StreamSpecification:
        """Specification of the stream under its name in the corpus."""
        return self.choice.named(self.extractor.specification)

    def specifications(self, faces: int) -> list[StreamSpecification]:
        """Specifications of all its streams: one, or one per face.

        Parameters
        ----------
        faces : int
            How many faces are kept.
        """
        own = self.specification
        further = range(2, faces + 1) if self.choice.modality == "vision" else ()
        return [own, *(replace(own, modality=f"{own.modality}_{number}") for number in further)]

    def named(self, stream: Stream, name: str = "") -> Stream:
        """What the extractor gave, under its name in the corpus.

        Parameters
        ----------
        stream : Stream
            Of the extractor.
        name : str
            Where it is not the usual one.
        """
        name = name or self.choice.stream
        if stream.specification.modality == name:
            return stream
        return replace(stream, specification=replace(stream.specification, modality=name))


def choose(modality: str, request: str = "", *, words: bool = True) -> tuple[Choice, ...]:
    """Streams that a request asks for.

    Parameters
    ----------
    modality : str
        ``text``, ``audio`` or ``vision``.
    request : str
        Extractors by name; empty for the usual ones.
    words : bool
        Whether words are found. Without them there are no streams by word: the usual request leaves them out.

    Returns
    -------
    tuple of Choice
        In the order of the request.

    Raises
    ------
    DataError
        There is no such modality, an extractor is named twice, or streams by word cannot be made.
    SpecificationError
        There is no such statistic by word.

    Examples
    --------
    >>> [choice.stream for choice in choose("audio")], [choice.stream for choice in choose("audio", words=False)]
    (['audio', 'audio_whisper'], ['audio'])
    """
    if modality not in MODALITIES:
        raise DataError(f"there is no extractor for {modality}", remedy=f"use {', '.join(MODALITIES)}")
    usual = USUAL_EXTRACTORS[modality]
    asked = [_asked(modality, part.strip()) for part in (request or usual).split(",") if part.strip()]
    names = [choice.name for choice in asked]
    if len(set(names)) != len(names):
        raise DataError(f"{modality} names an extractor twice: {request}", remedy="name each one once")
    if not words and request not in ("", usual) and any(choice.by_word for choice in asked):
        raise DataError(f"{request}: columns by word need the words", remedy="add text to the modalities")
    kept = [choice for choice in asked if words or not choice.by_word]
    return tuple(
        replace(choice, stream=f"{modality}_{choice.name.replace('-', '_')}" if place else modality)
        for place, choice in enumerate(kept)
    )


def _asked(modality: str, part: str) -> Choice:
    request, by_word = asked_by_word(part)
    if by_word and modality != "audio":
        raise DataError(
            f"{part}: only columns of the sound are pooled by word when they are made",
            remedy="take the stream as it is: `trivium align` gives its mean over each word",
        )
    name, _, argument = request.partition(":")
    return Choice(modality, modality, name, argument, by_word)


def requests_for(streams: Sequence[StreamSpecification]) -> dict[str, str]:
    """Requests that make streams like these, by modality: by the extractors that made them.

    Parameters
    ----------
    streams : sequence of StreamSpecification
        Such as those that weights take. Where one names no extractor, it is the usual one of its modality.

    Raises
    ------
    SpecificationError
        A stream comes from an extractor that is not there, or one that cannot be had without a file of the user's.

    Examples
    --------
    >>> requests_for([choose("audio", "voice")[0].specification()])
    {'audio': 'voice'}
    """
    requests: dict[str, list[str]] = {}
    for stream in streams:
        modality = stream.modality.partition("_")[0]
        if modality not in MODALITIES:
            continue
        names = requests.setdefault(modality, [])
        name = _extractor_of(modality, stream)
        if stream.modality == modality:
            names.insert(0, name)
        else:
            names.append(name)
    for modality, names in requests.items():
        if not any(stream.modality == modality for stream in streams):
            names.insert(0, _usual(modality))
    return {modality: ",".join(dict.fromkeys(names)) for modality, names in requests.items()}


def _usual(modality: str) -> str:
    """The usual extractor of the stream that is called like its modality."""
    return choose(modality)[0].name


def _extractor_of(modality: str, stream: StreamSpecification) -> str:
    usual = _usual(modality)
    if not stream.extractor:
        return usual
    extractor, by_word = request_of_pooled(stream)
    refused: TriviumError | None = None
    known = sorted((entry.name for entry in entries(f"{modality}-extractor")), key=lambda name: name != usual)
    for name in known:
        made = load(f"{modality}-extractor", name)
        if made.takes:
            continue
        try:
            if made().specification.extractor == extractor:
                return name + by_word
        except TriviumError as error:
            refused = error if extractor == name else refused
    if refused is not None:
        raise refused
    raise SpecificationError(
        f"{stream.modality} comes from the extractor {stream.extractor!r}, which cannot be chosen for a clip by itself",
        remedy=f"extract the clips with it (`trivium extract --{modality} ...`) and give the corpus",
    )
