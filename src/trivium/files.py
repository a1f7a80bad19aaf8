"""Files and folders that are whole or absent: atomic writing, canonical JSON, hashes, size limits."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trivium.errors import DataError, DiskError, FormatError, LimitError, TriviumError

__all__ = [
    "atomic_file",
    "atomic_folder",
    "canonical_json",
    "check_size",
    "named",
    "read_json",
    "require_free",
    "require_place",
    "sha256_bytes",
    "sha256_file",
    "sha256_folder",
    "user_folder",
    "write_json",
]

_CHUNK_BYTES = 1 << 20
_STALE_SECONDS = 24 * 3600.0


def user_folder(kind: str) -> Path:
    """Folder of this user for things that trivium can fetch or derive again.

    ``TRIVIUM_HOME`` moves it; otherwise ``~/.cache/trivium``.

    Parameters
    ----------
    kind : str
        Name of the sub-folder, such as ``"upstream"`` or ``"cache"``.
    """
    home = os.environ.get("TRIVIUM_HOME")
    return (Path(home) if home else Path.home() / ".cache" / "trivium") / kind


@contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`; move it into place only if the block succeeds.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     target = Path(folder) / "a.txt"
    ...     with atomic_file(target) as draft:
    ...         _ = draft.write_text("whole")
    ...     target.read_text()
    'whole'
    """
    target = Path(path)
    with _said(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
        os.close(handle)
    draft = Path(name)
    try:
        with _said(target):
            yield draft
            draft.chmod(0o666 & ~_umask())
            draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def atomic_folder(
    path: str | os.PathLike[str], *, replace: str | None = None, drafts: Path | None = None
) -> Iterator[Path]:
    """Give a temporary folder beside `path`; rename it into place only if the block succeeds.

    Parameters
    ----------
    path : path
        The folder that will exist afterwards.
    replace : str, optional
        What may be replaced: a folder that holds a file of this name, or an empty one. None: nothing.
    drafts : Path, optional
        Where the temporary folder lies, on the same disk; beside `path` where left out.

    Raises
    ------
    DataError
        Something is there that may not be replaced, or the disk refuses.
    """
    target = named(path)
    with _said(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
    require_place(target, replace)
    with _said(target):
        draft = Path(tempfile.mkdtemp(dir=drafts or target.parent, prefix=f".{target.name}.", suffix=".part"))
    try:
        with _said(target):
            yield draft
            draft.chmod(0o777 & ~_umask())
            _swap(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def named(path: str | os.PathLike[str]) -> Path:
    """The path, spelled out where its last part is no name (``.`` or ``..``), so that drafts can lie beside it."""
    given = Path(path)
    return given if given.name not in ("", "..") else given.resolve()


def require_free(path: Path, *, overwrite: bool) -> None:
    """Raise a :class:`DataError` where a file to be written exists and may not be replaced, or is a folder."""
    if path.is_dir():
        raise DataError("is a folder", file=path, remedy="name a file")
    if path.exists() and not overwrite:
        raise DataError("exists already", file=path, remedy="choose another file or pass --overwrite")


def require_place(path: Path, replace: str | None = None) -> None:
    """Raise a :class:`DataError` unless a folder may be written at `path`; see :func:`atomic_folder`."""
    if not path.exists():
        return
    if replace is None:
        raise DataError("exists already", file=path, remedy="choose another folder or pass --overwrite")
    replaceable = path.is_dir() and ((path / replace).is_file() or not any(path.iterdir()))
    if not replaceable:
        raise DataError(
            f"is not replaced: it holds other things than a folder with {replace}",
            file=path,
            remedy="choose another folder, or remove it yourself",
        )


@contextmanager
def _said(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as cause:
        remedy = "check the folder, its permissions and the space left"
        raise DiskError(f"cannot be written: {cause.strerror or cause}", file=target, remedy=remedy) from cause


def _sweep(target: Path) -> None:
    """Mend what killed runs left: a target that had just been moved aside, drafts nothing was written to for a day."""
    prefix = f".{target.name}."
    for old in sorted(target.parent.glob(f"{glob.escape(prefix)}*.old")):
        if not old.name[len(prefix) : -len(".old")].isdigit():
            continue  # of another target, whose name begins with this one's
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(target)
    for draft in target.parent.glob(f"{glob.escape(prefix)}*.part"):
        try:
            newest = max(path.stat().st_mtime for path in (draft, *draft.rglob("*")))
        except OSError:  # another process is at work there
            continue
        if time.time() - newest < _STALE_SECONDS:
            continue
        if draft.is_dir():
            shutil.rmtree(draft, ignore_errors=True)
        else:
            draft.unlink(missing_ok=True)


def _swap(draft: Path, target: Path) -> None:
    if not target.exists():
        draft.rename(target)
        return
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    target.rename(old)
    draft.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def canonical_json(value: Any) -> str:
    """JSON text with sorted keys and fixed separators, so that equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as canonical JSON, atomically."""
    with atomic_file(path) as draft:
        draft.write_text(canonical_json(value), encoding="utf-8")


def read_json(path: str | os.PathLike[str], *, max_bytes: int = 64 << 20) -> Any:
    """Read a JSON file below `max_bytes`; anything else is one clear error."""
    check_size(path, max_bytes)
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as cause:
        raise FormatError(f"is not readable JSON: {cause}", file=path) from cause


def check_size(path: str | os.PathLike[str], max_bytes: int) -> int:
    """Size of a file in bytes, after checking that it exists and is not above `max_bytes`."""
    try:
        size = Path(path).stat().st_size
    except OSError as cause:
        raise FormatError(
            f"cannot be opened: {cause.strerror}", file=path, remedy="check the path, and that the file may be read"
        ) from cause
    if size > max_bytes:
        raise LimitError(
            f"has {size} bytes, above the limit of {max_bytes}", file=path, remedy="raise the limit if you trust it"
        )
    return size


def sha256_bytes(data: bytes | memoryview) -> str:
    """Hexadecimal SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file, read in pieces of 1 MiB."""
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as cause:
        raise TriviumError(f"cannot be read: {cause.strerror}", file=path) from cause
    return digest.hexdigest()


def sha256_folder(path: str | os.PathLike[str], *, pattern: str = "**/*") -> str:
    """SHA-256 over the relative names and contents of the files below a folder, in name order."""
    root = Path(path)
    digest = hashlib.sha256()
    for file in sorted(p for p in root.glob(pattern) if p.is_file()):
        digest.update(f"{file.relative_to(root).as_posix()}\0{sha256_file(file)}\n".encode())
    return digest.hexdigest()
