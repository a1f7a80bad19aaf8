"""Clips become streams: decoding, speech to words, words in time, and columns for text, voice and face.

Names load when they are first used: the definitions of the columns can be read without the decoders.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME = {
    "ClipExtractor": "trivium.extract.clip",
    "Extracted": "trivium.extract.extracted",
    "Recording": "trivium.extract.source.recording",
    "extract_clip": "trivium.extract.clip",
    "extract_clips": "trivium.extract.run.folder",
    "find_recordings": "trivium.extract.source.listing",
}

__all__ = ["ClipExtractor", "Extracted", "Recording", "extract_clip", "extract_clips", "find_recordings"]

if TYPE_CHECKING:
    from trivium.extract.clip import ClipExtractor, extract_clip
    from trivium.extract.extracted import Extracted
    from trivium.extract.run.folder import extract_clips
    from trivium.extract.source.listing import find_recordings
    from trivium.extract.source.recording import Recording


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'trivium.extract' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
