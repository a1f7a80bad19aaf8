"""Which clips there are, and what is known about them before they are decoded: transcripts, labels, folds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from trivium.corpus import LabelSpecification
from trivium.errors import DataError, LimitError, MediaError, TriviumError
from trivium.extract.clip import Recording
from trivium.files import check_size
from trivium.formats.clips import ClipsFormat

__all__ = ["MEDIA_ENDINGS", "Transcripts", "find_recordings", "labelled_recordings"]

Transcripts: TypeAlias = str | os.PathLike[str] | Mapping[str, str] | None

_ENDINGS = "3gp aac aif aiff amr avi caf flac flv m4a m4v mkv mov mp3 mp4 mpeg mpg oga ogg ogv opus ts wav webm wma wmv"
MEDIA_ENDINGS = frozenset(f".{ending}" for ending in _ENDINGS.split())
_MOST_TRANSCRIPT_BYTES = 4 << 20


def find_recordings(src: str | os.PathLike[str], transcripts: Transcripts = None) -> list[Recording]:
    """Clips in a folder and its sub-folders, or one clip, with their transcripts.

    The id of a clip is its path within the folder without the ending.

    Parameters
    ----------
    src : path
        A media file, or a folder; other files in it are passed over.
    transcripts : path or mapping of str to str, optional
        Text by id, or a folder with a text file ``ID.txt`` per clip, at any depth. Clips without one are recognised;
        one that is no text in UTF-8 becomes the fault of its clip.

    Raises
    ------
    MediaError
        There is no such path, or no clip in it.
    DataError
        Two clips share an id, or there is no such folder of transcripts.
    """
    source = Path(src)
    if not source.exists():
        raise MediaError("there is no such file or folder", file=source)
    files = [source] if source.is_file() else _media_files(source)
    if not files:
        raise MediaError("holds no clips", file=source, remedy=f"known endings are {' '.join(sorted(MEDIA_ENDINGS))}")
    found: dict[str, Recording] = {}
    for path in files:
        name = path.stem if path is source else path.relative_to(source).with_suffix("").as_posix()
        if name in found:
            raise DataError(f"two clips have the id {name!r}", file=path, remedy="rename or move one of them")
        found[name] = Recording(path, name)
    texts = _texts(transcripts)
    return [_with_text(r, texts.get(name, texts.get(r.path.stem))) for name, r in sorted(found.items())]


def _with_text(recording: Recording, text: str | TriviumError | None) -> Recording:
    return replace(recording, fault=text) if isinstance(text, TriviumError) else replace(recording, transcript=text)


def _media_files(folder: Path) -> list[Path]:
    hidden = (path for path in folder.rglob("*") if not any(p.startswith(".") for p in path.relative_to(folder).parts))
    return sorted(path for path in hidden if path.suffix.lower() in MEDIA_ENDINGS and path.is_file())


def _texts(transcripts: Transcripts) -> Mapping[str, str | TriviumError]:
    """Text by id, or why it cannot be read."""
    if transcripts is None or isinstance(transcripts, Mapping):
        return transcripts or {}
    folder = Path(transcripts)
    if not folder.is_dir():
        raise DataError("there is no such folder of transcripts", file=folder)
    found: dict[str, str | TriviumError] = {}
    for path in sorted(folder.rglob("*.txt")):
        found[path.stem] = found[path.relative_to(folder).with_suffix("").as_posix()] = _text(path)
    return found


def _text(path: Path) -> str | TriviumError:
    try:
        check_size(path, _MOST_TRANSCRIPT_BYTES)
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        return DataError(f"its transcript {path.name} is no text in UTF-8", file=path, remedy="convert it")
    except (OSError, LimitError) as cause:
        why = cause.problem if isinstance(cause, LimitError) else cause.strerror
        return DataError(f"its transcript {path.name} cannot be read: {why}", file=path)


def labelled_recordings(
    src: str | os.PathLike[str], transcripts: Transcripts = None
) -> tuple[list[Recording], tuple[LabelSpecification, ...]]:
    """Clips with the labels, folds and transcripts of their ``label.csv``; without one, as :func:`find_recordings`.

    Parameters
    ----------
    src : path
        A media file or a folder.
    transcripts : path or mapping of str to str, optional
        Goes before the transcripts of ``label.csv``.

    Returns
    -------
    recordings : list of Recording
        A row whose clip is missing is among them, and fails when it is extracted.
    labels : tuple of LabelSpecification
        What the labels are.
    """
    source = Path(src)
    table = ClipsFormat()
    if not source.is_dir() or table.detect(source) is None:
        return find_recordings(source, transcripts), ()
    corpus = table.read(source)
    texts = _texts(transcripts)
    recordings = [
        _with_text(
            Recording(
                source / (one.clip or f"Raw/{one.id.replace('$_$', '/')}.mp4"),
                one.id,
                labels=one.labels,
                groups=one.groups,
                splits=one.splits,
            ),
            texts.get(one.id) or one.text or None,
        )
        for one in corpus
    ]
    return recordings, corpus.specification.labels
