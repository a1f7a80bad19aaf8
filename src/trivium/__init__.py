"""Words, voice and face of a person speaking on one timeline, and one vector per utterance.

The journey of a clip: clip -> streams -> words -> vector -> answer. Names load when they are first used, so
``import trivium`` costs almost nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name -> module that defines it.
_HOME: dict[str, str] = {
    "Aligned": "trivium.corpus",
    "Batch": "trivium.corpus",
    "Beside": "trivium.represent",
    "ConvAutoencoder": "trivium.represent",
    "Corpus": "trivium.corpus",
    "FisherVectors": "trivium.represent",
    "LabelSpecification": "trivium.corpus",
    "Specification": "trivium.corpus",
    "Statistics": "trivium.represent",
    "Stream": "trivium.corpus",
    "StreamSpecification": "trivium.corpus",
    "TriviumError": "trivium.errors",
    "Utterance": "trivium.corpus",
    "Words": "trivium.corpus",
    "align": "trivium.align",
    "concat": "trivium.corpus",
    "extract_clip": "trivium.extract",
    "extract_clips": "trivium.extract",
    "embed": "trivium.embed",
    "load_weights": "trivium.weights",
    "read": "trivium.formats",
    "write": "trivium.formats",
}

__all__ = [*_HOME, "__version__"]

if TYPE_CHECKING:
    from trivium.align import align as align
    from trivium.corpus import Aligned as Aligned
    from trivium.corpus import Batch as Batch
    from trivium.corpus import Corpus as Corpus
    from trivium.corpus import LabelSpecification as LabelSpecification
    from trivium.corpus import Specification as Specification
    from trivium.corpus import Stream as Stream
    from trivium.corpus import StreamSpecification as StreamSpecification
    from trivium.corpus import Utterance as Utterance
    from trivium.corpus import Words as Words
    from trivium.corpus import concat as concat
    from trivium.embed import embed as embed
    from trivium.errors import TriviumError as TriviumError
    from trivium.extract import extract_clip as extract_clip
    from trivium.extract import extract_clips as extract_clips
    from trivium.formats import read as read
    from trivium.formats import write as write
    from trivium.represent import Beside as Beside
    from trivium.represent import ConvAutoencoder as ConvAutoencoder
    from trivium.represent import FisherVectors as FisherVectors
    from trivium.represent import Statistics as Statistics
    from trivium.weights import load_weights as load_weights


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'trivium' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])


class _Toolkit(ModuleType):
    """Keeps ``trivium.align`` the function once the part of the same name, the package ``trivium.align``, is imported.

    Python sets every imported submodule as an attribute of its parent; here a public name wins. Modules are reached
    with ``from trivium.align import ...`` as always.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Toolkit
