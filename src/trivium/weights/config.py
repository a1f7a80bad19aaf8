"""What a weights folder says about itself in ``config.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, Literal, get_args

from trivium import __version__
from trivium.corpus import Specification
from trivium.errors import SpecificationError, TriviumError, WeightsError
from trivium.files import read_json

__all__ = ["PREDICTOR", "SCHEMA", "WeightsConfig", "read_config"]

SCHEMA = 1
PREDICTOR = "predictor"
"""``kind`` of a folder that holds a predictor; one of an encoder names none."""
_MOST_BYTES = 16 << 20
Pad = Literal["left", "right"]


@dataclass(frozen=True)
class WeightsConfig:
    """What the weights are of, and what they take.

    Parameters
    ----------
    representation : str
        Registered name of the class that was trained, such as ``conv-autoencoder``.
    parameters : mapping
        Its constructor's arguments, as plain builtins.
    specification : Specification
        Modalities and columns, in the order the encoder takes them.
    words : int
        Steps W of a matrix.
    pad : {"left", "right"}
        Side that is padded; the other side is where longer utterances lose words.

    Examples
    --------
    >>> from trivium.corpus import StreamSpecification
    >>> voice = Specification((StreamSpecification("audio", ("f0",), clock="words"),))
    >>> config = WeightsConfig("conv-autoencoder", {"words": 20}, voice, 20)
    >>> WeightsConfig.from_json(config.to_json()) == config
    True
    """

    representation: str
    parameters: Mapping[str, Any]
    specification: Specification
    words: int
    pad: Pad = "left"
    version: str = field(default=__version__)

    def __post_init__(self) -> None:
        if self.words < 1 or self.pad not in get_args(Pad):
            raise SpecificationError(f"weights cannot take {self.words} words padded on the {self.pad!r}")

    def to_json(self) -> dict[str, Any]:
        """Plain builtins."""
        return {
            "schema": SCHEMA,
            "representation": self.representation,
            "parameters": dict(self.parameters),
            "specification": self.specification.to_json(),
            "words": self.words,
            "pad": self.pad,
            "trivium": self.version,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> WeightsConfig:
        """Inverse of :meth:`to_json`.

        Raises
        ------
        WeightsError
            A field is missing or malformed, or the schema is of a later trivium.
        """
        try:
            if value["schema"] != SCHEMA:
                raise WeightsError(
                    f"has schema {value['schema']}, this trivium reads {SCHEMA}", remedy="update trivium"
                )
            return cls(
                str(value["representation"]),
                dict(value["parameters"]),
                Specification.from_json(value["specification"]),
                int(value["words"]),
                value["pad"],
                str(value["trivium"]),
            )
        except (KeyError, TypeError, ValueError, SpecificationError) as cause:
            raise WeightsError(f"the configuration is malformed: {cause}") from cause


def read_config(path: str | PathLike[str]) -> dict[str, Any]:
    """Content of ``config.json``; anything but an object is one :class:`WeightsError`."""
    try:
        value = read_json(path, max_bytes=_MOST_BYTES)
    except TriviumError as cause:
        raise WeightsError(cause.problem, file=path, remedy="fetch the weights again") from cause
    if not isinstance(value, dict):
        raise WeightsError("is no configuration of weights", file=path)
    return value
