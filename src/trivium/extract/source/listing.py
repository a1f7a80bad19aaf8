"""Which clips there are, and what is known about them before they are decoded: transcripts, labels, folds."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from glob import has_magic
from itertools import takewhile
from pathlib import Path
from typing import TypeAlias

from trivium.corpus import LabelSpecification
from trivium.errors import DataError, MediaError, TriviumError
from trivium.extract.source.recording import Recording
from trivium.extract.words.timed_transcript import TimedTranscript
from trivium.extract.words.transcript_files import TRANSCRIPT_ENDINGS, read_transcript_file
from trivium.formats.clips import ClipsFormat
from trivium.wording import counted

__all__ = [
    "MEDIA_ENDINGS",
    "TranscriptSource",
    "Transcripts",
    "find_recordings",
    "labelled_recordings",
    "warn_of_unread",
    "with_transcript",
]

Transcripts: TypeAlias = str | os.PathLike[str] | Mapping[str, str] | None

_MOST_NAMES_SHOWN = 5
_ENDINGS = "3gp aac aif aiff amr avi caf flac flv m4a m4v mkv mov mp3 mp4 mpeg mpg oga ogg ogv opus ts wav webm wma wmv"
MEDIA_ENDINGS = frozenset(f".{ending}" for ending in _ENDINGS.split())


def find_recordings(src: str | os.PathLike[str], transcripts: Transcripts = None) -> list[Recording]:
    """Clips in a folder and its sub-folders, those that match a pattern, or one clip, with their transcripts.

    The id of a clip is its path within the folder without the ending; the folder of a pattern is the part of it before
    the first sign that stands for several names.

    Parameters
    ----------
    src : path
        A media file, a folder, or a pattern such as ``clips/**/*.mp4``; files that are no media are passed over.
    transcripts : path or mapping of str to str, optional
        Text by id; a folder with a file ``ID.txt``, ``.srt``, ``.vtt``, ``.json``, ``.TextGrid`` or ``.eaf`` per clip,
        at any depth; or, for one clip, such a file (see
        :func:`~trivium.extract.words.transcript_files.read_transcript_file`). Where a clip has several, the one that
        knows most about times counts. Clips without one are recognised; one that cannot be read becomes the fault of
        its clip.

    Raises
    ------
    MediaError
        There is no such path, or no clip in it.
    DataError
        Two clips share an id, or there is no such folder of transcripts.
    """
    source = Path(src)
    if source.exists():
        files = [source] if source.is_file() else _media_files(source)
    else:
        source, files = _matching(source)
    if not files:
        raise MediaError("holds no clips", file=source, remedy=f"known endings are {' '.join(sorted(MEDIA_ENDINGS))}")
    found: dict[str, Recording] = {}
    for path in files:
        name = path.stem if path is source else path.relative_to(source).with_suffix("").as_posix()
        if name in found:
            raise DataError(f"two clips have the id {name!r}", file=path, remedy="rename or move one of them")
        found[name] = Recording(path, name)
    texts = TranscriptSource(transcripts, files)
    listed = [with_transcript(one, texts.find(name, one.path.stem)) for name, one in sorted(found.items())]
    # a folder of transcripts may be for more clips than the one that is extracted
    if len(files) > 1 or (listed[0].transcript is None and listed[0].fault is None):
        texts.warn_of_unused(files[0].stem)
    return listed


class TranscriptSource:
    """Where transcripts come from; a file is read once, when it is asked for.

    Parameters
    ----------
    transcripts : path, mapping of str to str, or None
        See :func:`find_recordings`.
    clips : collection of Path
        The clips it is for; one file can only be the transcript of one clip.

    Raises
    ------
    DataError
        There is no such file or folder, or one file for several clips.

    Examples
    --------
    >>> TranscriptSource({"a": "so good"}, ()).find("b", "a")
    'so good'
    """

    def __init__(self, transcripts: Transcripts, clips: Collection[Path]) -> None:
        self._file: Path | None = None
        self._given = transcripts
        self._texts: Mapping[str, str | Path] = {}
        self._read: dict[Path, str | TimedTranscript | TriviumError] = {}
        if isinstance(transcripts, Mapping):
            self._texts = transcripts
        elif transcripts is not None and (path := Path(transcripts)).is_file():
            if len(set(clips)) > 1:
                remedy = "give a folder with one transcript per clip, named like the clip"
                raise DataError("is the transcript of one clip, and there are several clips", file=path, remedy=remedy)
            self._file = path
        elif transcripts is not None:
            self._texts = _transcript_files(Path(transcripts))

    def find(self, *names: str) -> str | TimedTranscript | TriviumError | None:
        """What is said in a clip, under the first of its names that there is; why it cannot be read; or None."""
        return self.named(*names) if self._file is None else self._content(self._file)

    def named(self, *names: str) -> str | TimedTranscript | TriviumError | None:
        """The same, but never the one file that is for the whole clip."""
        return self._content(next((self._texts[name] for name in names if name in self._texts), None))

    def warn_of_unused(self, clip: str) -> None:
        """Warn of transcripts that no clip asked for: a name may be one letter off.

        Parameters
        ----------
        clip : str
            Name of a clip, to show how transcripts are named.
        """
        left = sorted({path.name for path in self._texts.values() if isinstance(path, Path) and path not in self._read})
        if left:
            belong = "belongs" if len(left) == 1 else "belong"
            told = f"{counted(len(left), 'transcript')} of {self._given} {belong} to no clip here: {_first(left)}"
            warnings.warn(f"{told}; a transcript is named like its clip, such as {clip}.txt", stacklevel=3)

    def _content(self, said: str | Path | None) -> str | TimedTranscript | TriviumError | None:
        if not isinstance(said, Path):
            return said
        if said not in self._read:
            self._read[said] = _read(said)
        return self._read[said]


def warn_of_unread(src: str | os.PathLike[str], recordings: Collection[Recording]) -> None:
    """Warn of transcripts that lie beside clips that will be recognised: nobody said that they are to be read.

    Parameters
    ----------
    src : path
        What the recordings were listed from.
    recordings : collection of Recording
        Those with a transcript, or with a fault, are passed over.
    """
    clips = {one.path for one in recordings if one.transcript is None and one.fault is None}
    beside: set[Path] = set()
    for folder in {clip.parent for clip in clips if clip.exists()}:
        names = {clip.stem for clip in clips if clip.parent == folder}
        beside |= {path for path in _with_endings(folder.iterdir()) if path.stem in names}
    if not beside:
        return
    source, files = Path(src), sorted(beside)
    if source.is_file():
        where, clip = files[0], "clip"
    else:
        where, clip = source if source.exists() else _fixed(source), "clips"
    lie, were = ("lies", "was") if len(files) == 1 else ("lie", "were")
    told = f"{counted(len(files), 'transcript')} {lie} beside the {clip} and {were} not read"
    warnings.warn(f"{told}: {_first([path.name for path in files])}; give --transcripts {where}", stacklevel=3)


def _first(names: list[str]) -> str:
    return ", ".join(names[:_MOST_NAMES_SHOWN]) + (" ..." if len(names) > _MOST_NAMES_SHOWN else "")


def _read(path: Path) -> str | TimedTranscript | TriviumError:
    try:
        return read_transcript_file(path)
    except TriviumError as error:
        return DataError(f"its transcript {path.name} {error.problem}", file=path, remedy=error.remedy)


def with_transcript(recording: Recording, said: str | TimedTranscript | TriviumError | None) -> Recording:
    """The recording with what is said in it, or with the fault that this cannot be read.

    Parameters
    ----------
    recording : Recording
        A clip or a span of it.
    said : str, TimedTranscript, TriviumError or None
        From :meth:`TranscriptSource.find`; None and empty text change nothing where the recording has a transcript.
    """
    if isinstance(said, TriviumError):
        return replace(recording, fault=said)
    if said is None:
        return recording
    return replace(recording, transcript=said or recording.transcript or "")


def _media_files(folder: Path) -> list[Path]:
    hidden = (path for path in folder.rglob("*") if not any(p.startswith(".") for p in path.relative_to(folder).parts))
    return sorted(path for path in hidden if path.suffix.lower() in MEDIA_ENDINGS and path.is_file())


def _matching(pattern: Path) -> tuple[Path, list[Path]]:
    """Folder of a pattern, and the media files that match it."""
    folder = _fixed(pattern)
    if folder == pattern:
        raise MediaError(
            "there is no such file or folder", file=pattern, remedy="check the path, and quote a pattern: 'clips/*.mp4'"
        )
    rest = pattern.relative_to(folder).as_posix()
    found = (path for path in folder.glob(rest) if path.suffix.lower() in MEDIA_ENDINGS and path.is_file())
    return folder, sorted(found)


def _fixed(pattern: Path) -> Path:
    """The part of a pattern before the first sign that stands for several names."""
    return Path(*takewhile(lambda part: not has_magic(part), pattern.parts))


def _with_endings(paths: Iterable[Path]) -> list[Path]:
    """The files that may be transcripts, by their endings."""
    return [path for path in paths if path.suffix.lower() in TRANSCRIPT_ENDINGS and path.is_file()]


def _transcript_files(folder: Path) -> dict[str, Path]:
    """Files by id; where a clip has several, the one that knows most about times."""
    if not folder.is_dir():
        raise DataError("there is no such folder or file of transcripts", file=folder, remedy="check --transcripts")
    rank = {ending: place for place, ending in enumerate(TRANSCRIPT_ENDINGS)}
    files = _with_endings(folder.rglob("*"))
    found: dict[str, Path] = {}
    # the last of an id stays
    for path in sorted(files, key=lambda path: (-rank[path.suffix.lower()], path)):
        found[path.stem] = found[path.relative_to(folder).with_suffix("").as_posix()] = path
    return found


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
    recordings = [
        Recording(
            source / (one.clip or f"Raw/{one.id.replace('$_$', '/')}.mp4"),
            one.id,
            transcript=one.text or None,
            labels=one.labels,
            groups=one.groups,
            splits=one.splits,
        )
        for one in corpus
    ]
    texts = TranscriptSource(transcripts, [one.path for one in recordings])
    return [with_transcript(one, texts.find(one.id)) for one in recordings], corpus.specification.labels
