"""What an ONNX file asks for, read from its bytes before anything runs it.

A model can name other files to read (external data) and operators that only some libraries have (custom domains).
Both are refused. ONNX is protocol buffers; only the few fields that matter are followed, so neither the ``onnx``
package nor its generated code is needed to use weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from os import PathLike

from trivium.errors import UnsafeFileError, WeightsError

__all__ = ["ALLOWED_DOMAINS", "OnnxContents", "check_onnx", "inspect_onnx"]

ALLOWED_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
_DEEPEST = 16
# Message -> {field number: message inside it}, of onnx.proto.
_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 11: "attribute"},
    "tensor": {},
}
_OPERATOR, _DOMAIN = ("node", 4), ("node", 7)
_EXTERNAL_DATA, _DATA_LOCATION = ("tensor", 13), ("tensor", 14)


@dataclass
class OnnxContents:
    """What a model uses.

    Parameters
    ----------
    operators : set of str
        Names of the operators.
    domains : set of str
        Domains they belong to; ``""`` is ONNX itself.
    external : bool
        Whether a tensor lies in another file.
    """

    operators: set[str] = field(default_factory=set)
    domains: set[str] = field(default_factory=set)
    external: bool = False


def inspect_onnx(model: bytes) -> OnnxContents:
    """Operators, domains and external data of a model.

    Parameters
    ----------
    model : bytes
        The file.

    Raises
    ------
    WeightsError
        The bytes are no protocol buffer, or nest too deep.

    Examples
    --------
    >>> inspect_onnx(b"").operators
    set()
    """
    found = OnnxContents()
    _walk(memoryview(model), "model", found, 0)
    return found


def check_onnx(model: bytes, file: str | PathLike[str]) -> OnnxContents:
    """Contents of a model that is safe to open.

    Parameters
    ----------
    model : bytes
        The file.
    file : path
        How errors call it.

    Raises
    ------
    UnsafeFileError
        The model reads other files, or uses operators outside ONNX.
    WeightsError
        The bytes are no ONNX model.
    """
    try:
        found = inspect_onnx(model)
    except WeightsError as error:
        raise WeightsError(error.problem, file=file, remedy="fetch or export the weights again") from error
    if not found.operators:
        raise WeightsError("is no ONNX model", file=file, remedy="fetch or export the weights again")
    if found.external:
        raise UnsafeFileError("reads values from another file", file=file, remedy="export it as one file")
    custom = sorted(found.domains - ALLOWED_DOMAINS)
    if custom:
        raise UnsafeFileError(
            f"uses operators of {', '.join(custom)}", file=file, remedy="export it with ONNX operators only"
        )
    return found


def _walk(message: memoryview, kind: str, found: OnnxContents, depth: int) -> None:
    if depth > _DEEPEST:
        raise WeightsError("nests too deep to be an ONNX model")
    if kind == "node":
        found.domains.add("")  # a node without a domain belongs to ONNX itself
    inside = _INSIDE[kind]
    for number, value in _fields(message):
        place = (kind, number)
        if isinstance(value, memoryview):
            if number in inside:
                _walk(value, inside[number], found, depth + 1)
            elif place == _OPERATOR:
                found.operators.add(_text(value))
            elif place == _DOMAIN:
                found.domains.add(_text(value))
        found.external |= place == _EXTERNAL_DATA or (place == _DATA_LOCATION and value == 1)


def _text(value: memoryview) -> str:
    return bytes(value).decode("utf-8", "replace")


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Number and value of every field; fixed-size numbers, which nothing here needs, count as 0."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        wire = tag & 7
        value: memoryview | int = 0
        if wire == 0:
            value, place = _varint(message, place)
        elif wire == 2:
            length, place = _varint(message, place)
            value, place = message[place : place + length], place + length
        elif wire in (1, 5):
            place += 8 if wire == 1 else 4
        else:
            raise WeightsError("is no ONNX model")
        if place > len(message):
            raise WeightsError("is cut off")
        yield tag >> 3, value


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            raise WeightsError("is cut off")
        byte = message[place]
        place += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, place
    raise WeightsError("is no ONNX model")
