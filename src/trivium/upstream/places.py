"""Where a model of the catalogue lies on this machine: a folder of the user's, the fetched folder, a cache.

Every file found is compared with its pinned SHA-256 before anyone reads it; nothing here uses the network.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from trivium.errors import UpstreamError
from trivium.files import sha256_file, user_folder
from trivium.upstream.catalogue import UpstreamModel, model

__all__ = ["Place", "altered_file", "find", "hub_snapshots", "model_file", "model_folder"]

# In the other places another version is nothing unusual, and is passed over.
_ALTERED_REMEDY = {
    "local": "replace the folder {} there, or unset TRIVIUM_UPSTREAM",
    "fetched": "trivium upstream fetch {} --again",
}


@dataclass(frozen=True)
class Place:
    """A folder that holds all files of a model, unaltered.

    Parameters
    ----------
    kind : {"local", "fetched", "installed", "hub cache"}
        How it came there.
    folder : Path
        The folder.
    """

    kind: str
    folder: Path


def _candidates(row: UpstreamModel, local: str | os.PathLike[str] | None) -> Iterator[Place]:
    own = local or os.environ.get("TRIVIUM_UPSTREAM")
    if own:
        yield Place("local", Path(own) / row.name)
    yield Place("fetched", user_folder("upstream") / row.name)
    try:
        installed = distribution(row.carrier.package).locate_file(row.carrier.folder)
        yield Place("installed", Path(str(installed)))
    except PackageNotFoundError:
        pass
    if row.hub:
        yield from (Place("hub cache", folder) for folder in hub_snapshots(row.hub))


def hub_snapshots(name: str) -> list[Path]:
    """Folders of a model in the cache of the Hugging Face hub on this machine.

    Parameters
    ----------
    name : str
        Its name on the hub, ``OWNER/MODEL``.
    """
    return sorted((_hub_cache() / f"models--{name.replace('/', '--')}" / "snapshots").glob("*"))


def _hub_cache() -> Path:
    if cache := os.environ.get("HF_HUB_CACHE"):
        return Path(cache)
    home = os.environ.get("HF_HOME")
    return (Path(home) if home else Path.home() / ".cache" / "huggingface") / "hub"


@lru_cache(maxsize=256)
def _digest(path: Path, size: int, changed: int) -> str:
    # size and time of change are part of the key: a file that is replaced while we run is hashed again
    return sha256_file(path)


def altered_file(row: UpstreamModel, folder: Path) -> str | None:
    """Name of the first file in `folder` whose content is not the pinned one; None if all are right.

    Parameters
    ----------
    row : UpstreamModel
        The catalogue's row.
    folder : Path
        Must hold every file of the row.
    """
    for file in row.files:
        path = folder / file.name
        status = path.stat()
        if status.st_size != file.size or _digest(path, status.st_size, status.st_mtime_ns) != file.sha256:
            return file.name
    return None


def find(row: UpstreamModel, local: str | os.PathLike[str] | None = None) -> Place | None:
    """First place that holds the model whole and unaltered; None if there is none.

    Order: `local` (or ``TRIVIUM_UPSTREAM``), the fetched folder, a carrier that happens to be installed, the cache of
    the hub.

    Parameters
    ----------
    row : UpstreamModel
        What to look for.
    local : path, optional
        Folder with one sub-folder per model name.

    Raises
    ------
    UpstreamError
        A local or fetched file is there but altered. (A carrier or cache that holds another version is passed over.)
    """
    for place in _candidates(row, local):
        if not all((place.folder / file.name).is_file() for file in row.files):
            continue
        wrong = altered_file(row, place.folder)
        if wrong is None:
            return place
        if place.kind in _ALTERED_REMEDY:
            raise UpstreamError(
                f"{row.name} is altered: its SHA-256 is not the pinned one",
                file=place.folder / wrong,
                remedy=_ALTERED_REMEDY[place.kind].format(row.name),
            )
    return None


def model_folder(name: str, local: str | os.PathLike[str] | None = None) -> Path:
    """Folder that holds all files of a model, verified.

    Parameters
    ----------
    name : str
        Name in the catalogue.
    local : path, optional
        Folder of the user's own, looked at first; otherwise ``TRIVIUM_UPSTREAM``.

    Raises
    ------
    UpstreamError
        `local` is no folder, or the model is nowhere on this machine, or altered; the remedy is the command that
        fetches it.
    """
    if local is not None and not Path(local).is_dir():
        raise UpstreamError(
            "there is no such folder of models", file=Path(local), remedy="name a folder, or leave it out"
        )
    row = model(name)
    place = find(row, local)
    if place is None:
        raise UpstreamError(
            f"the model {name} ({row.gives}, {row.size / 1e6:.0f} MB) is not on this machine",
            remedy=f"trivium upstream fetch {name}",
        )
    return place.folder


def model_file(name: str, local: str | os.PathLike[str] | None = None) -> Path:
    """Path of the file of a model that has only one.

    Parameters
    ----------
    name : str
        Name in the catalogue.
    local : path, optional
        See :func:`model_folder`.

    Raises
    ------
    UpstreamError
        As :func:`model_folder`, or the model has several files.
    """
    files = model(name).files
    if len(files) != 1:
        raise UpstreamError(f"{name} has {len(files)} files, not one", remedy="use model_folder")
    return model_folder(name, local) / files[0].name
