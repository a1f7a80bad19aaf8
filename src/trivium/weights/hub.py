"""Where weights are: a local folder, the user's folder of weights, or a model hub, offline first."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from trivium.errors import DependencyError, WeightsError
from trivium.files import user_folder

__all__ = ["find_weights"]

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
_FILES = ("*.json", "*.safetensors", "*.onnx", "README.md")


def find_weights(where: str | os.PathLike[str]) -> Path:
    """Folder of the weights that a path or a name means.

    Parameters
    ----------
    where : path or str
        A folder; a name in the user's folder of weights; or ``owner/name`` or ``owner/name@revision`` of a model hub,
        which is looked for on this machine first and fetched only if it is not there (never when ``HF_HUB_OFFLINE``
        is set).

    Raises
    ------
    WeightsError
        Nothing is there.
    DependencyError
        A hub is meant and ``huggingface_hub`` is not installed.
    """
    for folder in (Path(where), user_folder("weights") / where):
        if (folder / "config.json").is_file():
            return folder
    if Path(where).exists() or not _HUB_NAME.fullmatch(os.fspath(where)):
        inner = sorted(file.parent.name for file in Path(where).glob("*/config.json"))
        remedy = f"it holds several: name one, such as {inner[0]}" if inner else "name a folder that holds config.json"
        raise WeightsError("is no folder of weights", file=where, remedy=remedy)
    return _from_hub(os.fspath(where))


def _from_hub(name: str) -> Path:
    try:
        import huggingface_hub as hub
    except ImportError as cause:
        raise DependencyError(
            "is no folder, and fetching from a hub needs huggingface_hub",
            file=name,
            remedy="check the path, or install huggingface_hub",
        ) from cause
    owner, _, revision = name.partition("@")
    wanted: dict[str, Any] = {"repo_id": owner, "revision": revision or None, "allow_patterns": list(_FILES)}
    try:
        return Path(hub.snapshot_download(**wanted, local_files_only=True))
    except Exception:  # not here yet; the hub has many errors for that
        return _fetch(hub, name, wanted)


def _fetch(hub: Any, name: str, wanted: dict[str, Any]) -> Path:
    try:
        return Path(hub.snapshot_download(**wanted))
    except Exception as cause:
        raise WeightsError(
            f"is no folder, and the hub does not give it: {str(cause).splitlines()[0]}",
            file=name,
            remedy="check the name, or copy the folder here",
        ) from cause
