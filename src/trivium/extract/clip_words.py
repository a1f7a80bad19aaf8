"""The words of a clip: recognised or given, put in time, taken over from earlier runs, and where they cut the clip."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trivium.extract.keys import Keys, installed_versions, versions_of
from trivium.extract.notes import facts_of_words
from trivium.extract.opened import OpenedClip
from trivium.extract.products import WORDS, Product
from trivium.extract.source.recording import Recording
from trivium.extract.words.cutting import Cut, pieces_from_json, pieces_of, voiced_spans
from trivium.extract.words.recogniser import recogniser_version, require_recogniser
from trivium.extract.words.spoken import WORDS_VERSION, transcript_to_cut, words_in_time
from trivium.formats.findings import Finding

__all__ = ["ClipWords"]

_TIMING_MODELS = ("g2p-en",)
_RECOGNITION_MODELS = ("whisper-tiny-en",)
_PACKAGES = ("faster-whisper", "pocketsphinx")


@dataclass(frozen=True)
class ClipWords:
    """Finds the words of clips.

    Parameters
    ----------
    asked : bool
        Whether text is extracted.
    cut : {"whole", "sentences", "voice"}
        Whether a clip, or a span of it, is one utterance, or one for each sentence or voiced stretch.
    model, language, local
        See :func:`~trivium.extract.words.speech.recognise`.
    states : bool
        Whether somebody wants what the catalogue's encoder makes of the sound.

    Examples
    --------
    >>> ClipWords(asked=False).needed
    False
    """

    asked: bool
    cut: Cut = "whole"
    model: str | Path | None = None
    language: str = "en"
    local: str | Path | None = None
    states: bool = False

    @property
    def needed(self) -> bool:
        """Whether anybody asks for words."""
        return self.asked or self.cut == "sentences"

    @property
    def version(self) -> str:
        """Version of the recogniser that listens; empty where none on this machine speaks the language."""
        return recogniser_version(**self._hearing)

    @property
    def _hearing(self) -> dict[str, Any]:
        return {"model": self.model, "language": self.language, "local": self.local}

    def told(self) -> dict[str, dict[str, str]]:
        """What the provenance says of the recogniser: given words that fit badly are compared with what it hears.

        A folder of the user's is told by its name alone, and by what it holds.
        """
        if not self.version or not self.needed:
            return {}
        if self.model is None:
            return {"models": {name: self.version for name in _RECOGNITION_MODELS}}
        return {"recogniser": {"name": Path(self.model).resolve().name, "version": self.version}}

    def models(self, recordings: Iterable[Recording]) -> list[str]:
        """Names of the models in the catalogue that the words of these recordings need.

        Parameters
        ----------
        recordings : iterable of Recording
            What is to be extracted.
        """
        if not self.needed:
            return []
        listens = self.model is None and self._listens(recordings)
        return [*_TIMING_MODELS, *(_RECOGNITION_MODELS if listens else ())]

    def _listens(self, recordings: Iterable[Recording]) -> bool:
        return self.needed and any(r.transcript is None and r.fault is None for r in recordings)

    def require_recogniser(self, recordings: Iterable[Recording]) -> None:
        """Raise an error now if somebody has to listen to these recordings and cannot.

        Parameters
        ----------
        recordings : iterable of Recording
            What is to be extracted.

        Raises
        ------
        UpstreamError
            The recogniser is missing or altered.
        DataError
            It does not speak the language.
        """
        if self._listens(recordings):
            require_recogniser(**self._hearing)

    def key_facts(self) -> dict[str, Any]:
        """Options that the words depend on; every one that changes them has to be here."""
        return {
            "asked": self.asked,
            "algorithm": WORDS_VERSION,
            "models": versions_of(_TIMING_MODELS),
            "packages": installed_versions(_PACKAGES),
            "language": self.language,
            # given words that fit badly are compared with what it hears, so that it counts for them too
            "recogniser": self.version,
        }

    def pieces(self, recording: Recording, source: OpenedClip, key: str) -> list[Recording]:
        """The recording itself, or the pieces that it is cut into.

        Parameters
        ----------
        recording : Recording
            The clip or a span of it.
        source : OpenedClip
            With its sound.
        key : str
            Of the pieces, which an earlier run may have found.

        Raises
        ------
        DataError
            Its span is empty or lies outside the clip, or there is nothing to cut.
        """
        span = recording.span(source.seconds)
        if self.cut == "whole":
            return [recording]
        kept = source.earlier.pieces(key)
        if kept is not None:
            return pieces_from_json(recording, kept)
        samples = source.part(recording)
        told = transcript_to_cut(recording, samples, span, **self._hearing) if self.needed else None
        spans = None
        if self.cut == "voice":
            spans = [] if samples is None else [(span[0] + a, span[0] + b) for a, b in voiced_spans(samples)]
        return pieces_of(recording, told, spans, span)

    def product(self, source: OpenedClip, recording: Recording, keys: Keys) -> Product:
        """Words and their times, of an earlier run where there is one.

        Parameters
        ----------
        source : OpenedClip
            With its sound.
        recording : Recording
            The clip or a span of it.
        keys : Keys
            Of its products.
        """
        kept = source.earlier.find(keys.words, recording.id, self.language)
        if kept is not None:
            return kept
        findings: list[Finding] = []
        sound = source.part(recording)
        span = recording.span(source.seconds)
        states = self.states and self.model is None
        spoken = words_in_time(recording, sound, span, findings, **self._hearing, states=states)
        facts = facts_of_words(recording, spoken, heard=sound is not None)
        return Product(WORDS, keys.words, findings=tuple(findings), facts=facts, spoken=spoken)
