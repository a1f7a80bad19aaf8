"""Files of a weights folder, read only once they are below the limit and have the hash that ``config.json`` names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from trivium.errors import TriviumError, WeightsError
from trivium.files import check_size, sha256_bytes

__all__ = ["AGAIN", "Arrays", "read_arrays", "read_checked", "require_files"]

_MOST_BYTES = 1 << 30
Arrays = dict[str, NDArray[Any]]
AGAIN = "fetch or save the weights again"
"""Remedy for files that are missing or altered."""


def read_checked(folder: Path, hashes: Mapping[str, str], name: str) -> bytes:
    """Bytes of a file, once it is below the limit and has its hash.

    Parameters
    ----------
    folder : Path
        The weights folder.
    hashes : mapping of str to str
        SHA-256 by file name.
    name : str
        Of the file.

    Raises
    ------
    WeightsError
        It is missing, too large, or altered.
    """
    path = folder / name
    if name not in hashes:
        raise WeightsError(f"names no hash of {name}", file=folder / "config.json", remedy=AGAIN)
    if Path(name).name != name or not path.is_file():
        raise WeightsError("is missing, or no plain file", file=path, remedy=AGAIN)
    try:
        check_size(path, _MOST_BYTES)
        data = path.read_bytes()
    except (OSError, TriviumError) as cause:
        problem = cause.problem if isinstance(cause, TriviumError) else str(cause.strerror)
        raise WeightsError(problem, file=path, remedy=AGAIN) from cause
    if sha256_bytes(data) != hashes[name]:
        raise WeightsError("differs from its hash in config.json", file=path, remedy=AGAIN)
    return data


def read_arrays(folder: Path, hashes: Mapping[str, str], name: str) -> Arrays:
    """Arrays of a safetensors file, checked like :func:`read_checked`."""
    try:
        return dict(load(read_checked(folder, hashes, name)))
    except (SafetensorError, KeyError, ValueError) as cause:
        raise WeightsError(f"is no safetensors file: {cause}", file=folder / name, remedy=AGAIN) from cause


def require_files(folder: Path, expected: Collection[str]) -> None:
    """Raise a :class:`WeightsError` that names files that are not there."""
    missing = sorted(name for name in expected if not (folder / name).is_file())
    if missing:
        raise WeightsError(f"lacks {', '.join(missing)}", file=folder, remedy=AGAIN)
