"""Keys of what is made of a recording: a hash of everything each product depends on, and of nothing else.

Known before anything is decoded: from the content of the file, the span, the transcript, the extractors and options.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from trivium.extract.choice import StreamMaker
from trivium.extract.products import key_of
from trivium.extract.source.recording import Recording
from trivium.extract.words.timed_transcript import TimedTranscript
from trivium.upstream import model

__all__ = ["Keys", "installed_versions", "keys_of", "versions_of"]


@dataclass(frozen=True)
class Keys:
    """Keys of the products of one recording.

    Parameters
    ----------
    sound, words, vision : str
        Level of the sound, words and their times, everything that is seen.
    streams : mapping of str to str
        Streams of text and audio, by their name in the corpus.
    """

    sound: str
    words: str
    vision: str
    streams: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Plain builtins."""
        return asdict(self)


def versions_of(models: Iterable[str]) -> dict[str, str]:
    """Versions of models of the catalogue.

    Parameters
    ----------
    models : iterable of str
        Their names.

    Examples
    --------
    >>> list(versions_of(["g2p-en"]))
    ['g2p-en']
    """
    return {name: model(name).version for name in models}


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of packages, which are not imported for it; empty for those that are not installed.

    Parameters
    ----------
    packages : iterable of str
        As the package index calls them.

    Examples
    --------
    >>> installed_versions(["no-such-package"])
    {'no-such-package': ''}
    """
    return {name: _installed(name) for name in packages}


@lru_cache
def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def keys_of(
    recording: Recording,
    content: str,
    *,
    track: int,
    makers: Iterable[StreamMaker],
    words: Mapping[str, Any],
    vision: Mapping[str, Any],
) -> Keys:
    """Keys of what is made of a recording.

    Parameters
    ----------
    recording : Recording
        The clip or a span of it.
    content : str
        Hash of the file.
    track : int
        Which sound track.
    makers : iterable of StreamMaker
        Extractors of all streams.
    words, vision : mapping
        Options that words and what is seen depend on, plain builtins.
    """
    from trivium import __version__

    span = None if recording.is_whole else [recording.start, recording.end]
    base = [__version__, content, track, span]
    told = recording.transcript
    spoken = key_of(base, "words", told.to_json() if isinstance(told, TimedTranscript) else told, dict(words))
    streams, seen = {}, []
    for maker in makers:
        made_by = [_specification(maker), versions_of(maker.extractor.models)]
        if maker.choice.modality == "vision":
            seen.append(made_by)
        elif maker.choice.modality == "text" or maker.choice.by_word:
            streams[maker.choice.stream] = key_of(spoken, made_by)
        else:
            streams[maker.choice.stream] = key_of(base, made_by, "")
    return Keys(key_of(base, "sound"), spoken, key_of(base, seen, dict(vision)), streams)


def _specification(maker: StreamMaker) -> dict[str, Any]:
    return {**asdict(maker.specification), "columns": list(maker.specification.columns)}
