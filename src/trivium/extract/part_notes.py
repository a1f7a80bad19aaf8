"""The shape of what is told beside a staged part: its products, findings, and where the clip was cut.

The file may have been edited by hand or be half of another program's; what has another shape counts as absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["are_notes"]

_NUMBER = (int, float)
_TEXT_OR_NONE = (str, type(None))
# A mapping names its keys, those with "?" may be missing; a list holds one shape; a tuple of types is a choice.
_FINDING = {
    **{"kind": str, "utterance": str, "modality?": str, "row?": (int, type(None))},
    **{"column?": str, "count?": int, "action?": str},
}
_FACTS = {
    **{"origin?": str, "timing?": str, "guessed?": int, "unknown?": [str], "frames?": int, "faces?": int},
    **{"shots?": int, "speaker_confidence?": _NUMBER, "peak_db?": _NUMBER, "clipped?": _NUMBER},
}
_PRODUCT = {"name": str, "key": str, "streams?": [str], "findings?": [_FINDING], "facts?": _FACTS}
_WORD = {"text": str, "start": _NUMBER, "end": _NUMBER, "confidence": (*_NUMBER, type(None))}
_SEGMENT = {"start": _NUMBER, "end": _NUMBER, "text": str, "words": [_WORD]}
_TRANSCRIPT = {"segments": [_SEGMENT], "word_times": str, "findings": [list]}
_PIECE = {"start": _NUMBER, "end": _NUMBER, "transcript": object}
_NOTES = {"products": dict, "findings": [_FINDING], "cut?": {"key": str, "pieces": [_PIECE]}}


def are_notes(told: Any) -> bool:
    """Whether notes have the shape that extraction gives them.

    Parameters
    ----------
    told : object
        What the file beside a part holds.

    Examples
    --------
    >>> are_notes({"products": {"a": [{"name": "audio", "key": "1f"}]}, "findings": []})
    True
    >>> are_notes({"products": {"a": [{"name": "audio", "key": 3}]}, "findings": []}), are_notes([])
    (False, False)
    """
    if not _fits(told, _NOTES) or not all(_fits(products, [_PRODUCT]) for products in told["products"].values()):
        return False
    return all(_is_said(piece["transcript"]) for piece in told.get("cut", {}).get("pieces", ()))


def _is_said(transcript: Any) -> bool:
    if not isinstance(transcript, dict):
        return isinstance(transcript, _TEXT_OR_NONE)
    mended = transcript.get("findings")
    return _fits(transcript, _TRANSCRIPT) and all(_is_mended(row) for row in mended or ())


def _is_mended(row: list[Any]) -> bool:
    return len(row) == 2 and _fits(row[0], str) and _fits(row[1], int)


def _fits(value: Any, shape: Any) -> bool:
    if isinstance(shape, Mapping):
        return isinstance(value, dict) and _fits_keys(value, shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(_fits(one, shape[0]) for one in value)
    return isinstance(value, shape) and not isinstance(value, bool)


def _fits_keys(value: Mapping[str, Any], shape: Mapping[str, Any]) -> bool:
    known = {key.rstrip("?") for key in shape}
    needed = {key for key in shape if not key.endswith("?")}
    return needed <= value.keys() <= known and all(
        _fits(value[key.rstrip("?")], one) for key, one in shape.items() if key.rstrip("?") in value
    )
