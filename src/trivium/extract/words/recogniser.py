"""The recogniser, the catalogue's small English one or a Whisper model in a folder of the user's; what it speaks."""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from trivium.errors import DataError, DependencyError, UpstreamError
from trivium.files import canonical_json, sha256_bytes, sha256_file
from trivium.upstream import model as catalogue_model
from trivium.upstream import model_folder

__all__ = [
    "ENGLISH",
    "WITHOUT_SPACES",
    "load_recogniser",
    "open_recogniser",
    "recogniser_version",
    "require_recogniser",
]

ENGLISH = "en"
# Whisper's codes of languages that put no spaces between words
WITHOUT_SPACES = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
_FILES = ("config.json", "model.bin", "tokenizer.json")
# how the sound is turned into what the model reads, where it is not as usual
_MAY_BE_THERE = ("preprocessor_config.json",)
_VOCABULARIES = ("vocabulary.txt", "vocabulary.json")
_FIRST_MULTILINGUAL = 51865  # size of the vocabulary of Whisper's smallest multilingual model
_LARGEST_VOCABULARY = 100_000_000
_FORMAT = "a Whisper model in CTranslate2's format"
_CONVERT = "convert the model anew with ct2-transformers-converter"


def require_recogniser(
    model: str | Path | None = None, language: str = ENGLISH, *, local: str | Path | None = None
) -> Path:
    """Make sure, without loading it, that there is a recogniser and that it speaks the language.

    Parameters
    ----------
    model : path, optional
        Folder of a Whisper model in CTranslate2's format, with ``model.bin``, ``config.json``, ``tokenizer.json`` and
        a vocabulary; the catalogue's ``whisper-tiny-en`` where left out.
    language : str
        Whisper's code of the language, such as ``en`` or ``de``.
    local : path, optional
        See :func:`trivium.upstream.model_folder`.

    Returns
    -------
    Path
        The model's folder.

    Raises
    ------
    UpstreamError
        There is no such model on this machine, or the folder is none.
    DataError
        The model does not speak the language, or there is no such language.

    Examples
    --------
    >>> require_recogniser(language="de")  # doctest: +SKIP
    Traceback (most recent call last):
    trivium.errors.DataError: the recogniser whisper-tiny-en knows English only, not 'de'. Remedy: ...
    """
    folder = model_folder("whisper-tiny-en", local) if model is None else Path(model)
    missing = [name for name in _FILES if not (folder / name).is_file()]
    vocabulary = next((folder / name for name in _VOCABULARIES if (folder / name).is_file()), None)
    if missing or vocabulary is None:
        lacks = ", ".join(missing or _VOCABULARIES[:1])
        raise UpstreamError(f"is no folder of {_FORMAT}: it lacks {lacks}", file=folder, remedy="name another folder")
    if language == ENGLISH:
        return folder
    if _vocabulary_size(vocabulary) < _FIRST_MULTILINGUAL:
        raise DataError(
            f"the recogniser {folder.name} knows English only, not {language!r}",
            remedy=f"name the folder of a multilingual one, {_FORMAT} (--recogniser FOLDER), or give timed transcripts",
        )
    if not _speaks(folder / "tokenizer.json", language):
        raise DataError(
            f"the recogniser {folder.name} knows no language {language!r}",
            remedy="use one of Whisper's codes, such as de, es, fr or zh",
        )
    return folder


@lru_cache(maxsize=2)
def _vocabulary_size(path: Path) -> int:
    if path.stat().st_size > _LARGEST_VOCABULARY:
        raise UpstreamError("the vocabulary is too large to be one of Whisper's", file=path, remedy=_CONVERT)
    try:
        text = path.read_text(encoding="utf-8")
        return len(json.loads(text)) if path.suffix == ".json" else text.count("\n") + (not text.endswith("\n"))
    except (ValueError, TypeError) as cause:
        raise UpstreamError("the vocabulary cannot be read", file=path, remedy=f"name {_FORMAT}") from cause


@lru_cache(maxsize=2)
def _speaks(path: Path, language: str) -> bool:
    """Whether the tokenizer has a mark for the language."""
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(path)).token_to_id(f"<|{language}|>") is not None
    except Exception as cause:  # the library raises nothing more special
        raise UpstreamError("the tokenizer cannot be read", file=path, remedy=f"name {_FORMAT}") from cause


def recogniser_version(
    model: str | Path | None = None, language: str = ENGLISH, *, local: str | Path | None = None
) -> str:
    """Twelve hexadecimal digits that change with the recogniser's files; empty where none on this machine speaks it.

    Parameters
    ----------
    model, language, local
        See :func:`require_recogniser`.

    Examples
    --------
    >>> len(recogniser_version()) in (0, 12)
    True
    """
    try:
        folder = require_recogniser(model, language, local=local)
    except (UpstreamError, DataError):
        return ""
    return catalogue_model("whisper-tiny-en").version if model is None else _folder_version(folder)


@lru_cache(maxsize=2)
def _folder_version(folder: Path) -> str:
    read = [*_FILES, *_MAY_BE_THERE, *(file.name for file in folder.glob("vocabulary.*"))]
    hashes = {name: sha256_file(folder / name) for name in read if (folder / name).is_file()}
    return sha256_bytes(canonical_json(hashes).encode())[:12]


def load_recogniser(
    model: str | Path | None = None, language: str = ENGLISH, *, local: str | Path | None = None
) -> Any:
    """The loaded recogniser; a second call gives the same one.

    Parameters
    ----------
    model, language, local
        See :func:`require_recogniser`, whose errors it raises too.

    Returns
    -------
    faster_whisper.WhisperModel
        On the processor, with 8-bit weights.

    Examples
    --------
    >>> load_recogniser().supported_languages  # doctest: +SKIP
    ['en']
    """
    return _loaded(require_recogniser(model, language, local=local))


@lru_cache(maxsize=2)
def _loaded(folder: Path) -> Any:
    return open_recogniser(folder)


def open_recogniser(folder: Path) -> Any:
    """Read a recogniser from its folder, a new one at every call.

    Parameters
    ----------
    folder : Path
        A Whisper model in CTranslate2's format.

    Returns
    -------
    faster_whisper.WhisperModel
        On the processor, with 8-bit weights.

    Raises
    ------
    UpstreamError
        It cannot be loaded.
    DependencyError
        faster-whisper is not installed.
    """
    try:
        from faster_whisper import WhisperModel
    except ImportError as cause:
        raise DependencyError("faster-whisper is not installed", remedy="pip install 'trivium[extract]'") from cause
    # the number changes no byte (tested); several processes take one each
    threads = _threads()
    try:
        return WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True)
    except (RuntimeError, ValueError) as cause:
        raise UpstreamError(f"cannot be loaded as {_FORMAT}: {cause}", file=folder, remedy=_CONVERT) from cause


def _threads() -> int:
    """What ``OMP_NUM_THREADS`` asks for, of a list for nested levels (``2,1``) the first; else up to four cores."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else min(os.cpu_count() or 1, 4)
