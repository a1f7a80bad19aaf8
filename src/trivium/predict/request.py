"""Networks and parts of them as people name them: ``tfn:fusion=32``, ``encoders.audio:learning_rate=0.005``."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Sequence
from typing import Any

from trivium.errors import SpecificationError
from trivium.registry import load

__all__ = ["network_request", "part_requests"]

_NEXT_OPTION = re.compile(r":(?=\w+=)")  # not the colons inside a mapping


def network_request(request: str) -> tuple[str, dict[str, Any]]:
    """Name and options of a network.

    Parameters
    ----------
    request : str
        A name of the registry, then ``:OPTION=VALUE`` as often as wanted. A value is JSON where it can be read as such,
        else text; what the options are stands in the network's constructor.

    Raises
    ------
    TriviumError
        There is no such network; the message names those that exist.
    SpecificationError
        It has no such option.

    Examples
    --------
    >>> network_request('lf-dnn:fusion=32:hidden={"text": 64, "audio": 8}')
    ('lf-dnn', {'fusion': 32, 'hidden': {'text': 64, 'audio': 8}})
    """
    name, *pieces = _NEXT_OPTION.split(request)
    if ":" in name:
        raise SpecificationError(f"{request!r} is no request for a network", remedy="write NAME:OPTION=VALUE")
    known = [key for key in inspect.signature(load("network", name)).parameters if key not in ("widths", "outputs")]
    options: dict[str, Any] = {}
    for piece in pieces:
        option, _, value = piece.partition("=")
        if option not in known:
            raise SpecificationError(f"{name} has no option {option!r}", remedy=f"choose from {', '.join(known)}")
        options[option] = _value(value)
    return name, options


def part_requests(requests: Sequence[str]) -> dict[str, dict[str, float]]:
    """Rates by part of a network, as :class:`trivium.predict.Predictor` takes them under ``parts``.

    Parameters
    ----------
    requests : sequence of str
        Each the name of a part, then ``:learning_rate=NUMBER``, ``:weight_decay=NUMBER`` or both.

    Raises
    ------
    SpecificationError
        One is written otherwise, or a part is named twice.

    Examples
    --------
    >>> part_requests(["encoders.audio:learning_rate=0.005:weight_decay=0", "fusion:weight_decay=0.01"])
    {'encoders.audio': {'learning_rate': 0.005, 'weight_decay': 0.0}, 'fusion': {'weight_decay': 0.01}}
    """
    found: dict[str, dict[str, float]] = {}
    for request in requests:
        part, *pieces = request.split(":")
        if part in found:
            raise SpecificationError(f"the part {part} is named twice", remedy="give both rates at once")
        found[part] = {}
        for piece in pieces:
            option, _, value = piece.partition("=")
            try:
                found[part][option] = float(value)
            except ValueError:
                raise SpecificationError(
                    f"{request!r} is no request for a part",
                    remedy="write PART:learning_rate=NUMBER:weight_decay=NUMBER",
                ) from None
    return found


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    return tuple(value) if isinstance(value, list) else value
