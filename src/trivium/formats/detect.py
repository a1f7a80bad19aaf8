"""Which format a file or folder has, by its content, and the two doors ``read`` and ``write``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol, cast

from trivium import registry
from trivium.corpus import Corpus
from trivium.corpus.manifest import way_in
from trivium.errors import FormatError, TriviumError
from trivium.formats.findings import Findings
from trivium.formats.labels import stated_outside
from trivium.formats.losses import Kept, losses
from trivium.formats.options import check_options
from trivium.formats.pickles import load_pickle, scan_pickle

__all__ = ["Format", "detect", "read", "write"]


class Format(Protocol):
    """What a registered format can do."""

    name: str

    def detect(self, path: Path) -> str | None:
        """Why `path` is of this format, or None; cheap, and never an error for a file of another format."""

    def read(self, path: Path, **options: Any) -> Corpus:
        """Read the file or folder."""

    def write(self, corpus: Corpus, path: Path, **options: Any) -> Kept | None:
        """Write the corpus, atomically, and say what the file keeps of it; None where that is not known."""


def _format(name: str) -> Format:
    return cast(Format, registry.load("format", name)())


def detect(path: str | os.PathLike[str]) -> str:
    """Name of the format of a file or folder, found from its content and never from its name.

    Parameters
    ----------
    path : path
        The file or folder.

    Raises
    ------
    FormatError
        It does not exist, is empty, or is of no format that trivium knows.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     detect(folder)
    Traceback (most recent call last):
    trivium.errors.FormatError: ...: the folder is empty...
    """
    source = Path(path)
    _require_content(source)
    for entry in registry.entries("format"):
        if _format(entry.name).detect(source) is not None:
            return entry.name
    if source.is_file() and scan_pickle(source) is not None:
        load_pickle(source)  # hostile or cut off: says so
    advice = way_in(source)
    known = ", ".join(entry.name for entry in registry.entries("format"))
    raise FormatError(
        f"is of no format that trivium knows ({known}), or is cut off",
        file=source,
        remedy=advice if "extract" in advice else "check the download, or name the format to see why it does not read",
    )


def _require_content(source: Path) -> None:
    if not source.exists():
        raise FormatError("does not exist", file=source, remedy="check the path")
    if source.is_dir():
        if not any(source.iterdir()):
            raise FormatError("the folder is empty", file=source, remedy="check the path")
    elif source.stat().st_size == 0:
        raise FormatError("the file is empty", file=source, remedy="check the download")


def read(src: str | os.PathLike[str], *, format: str | None = None, **options: Any) -> Corpus:
    """Read a file or folder of any known format into a corpus.

    What the reading found (non-finite cells, missing modalities, dropped keys ...) is in
    ``corpus.provenance["findings"]``; what writing needs to restore the file is in ``provenance["layout"]``.

    Parameters
    ----------
    src : path
        A file, or a folder of several.
    format : str, optional
        Name of the format; found from the content where left out.
    **options
        Options of that format, such as ``nonfinite="zero"``; ``docs/formats.md`` lists them.

    Returns
    -------
    Corpus
        In memory, float32 streams of shape (T, D), with its specification, labels, groups and splits.

    Raises
    ------
    FormatError
        The file is of no known format, cut off, inconsistent, hostile (:class:`UnsafeFileError`) or too large
        (:class:`LimitError`).
    DataError
        Values that cannot be used; the message names row and column.
    TriviumError
        An option that the format does not have, or a value that is none of its choices; the message lists them.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "a.npz"
    ...     np.savez(file, audio_train=np.ones((2, 5, 3), np.float32), label_train=np.array([1.0, -1.0]))
    ...     corpus = read(file)
    >>> len(corpus), corpus.lengths("audio").tolist()
    (2, [5, 5])
    """
    source = Path(src)
    _require_content(source)
    name = format or detect(source)
    reader = _format(name)
    check_options(reader.read, options, name, 1)
    corpus = reader.read(source, **options)
    corpus.provenance.setdefault("source", source.name)
    if name != "corpus":  # trivium inspect tells it of our own
        _tell_ranges(corpus)
    return corpus


def _tell_ranges(corpus: Corpus) -> None:
    found = Findings()
    found.extend(stated_outside(corpus))
    if told := found.to_json():
        corpus.provenance["findings"] = [*corpus.provenance.get("findings", []), *told]


def write(corpus: Corpus, path: str | os.PathLike[str], *, format: str, **options: Any) -> list[dict[str, Any]]:
    """Write a corpus in a format of other tools, atomically.

    Parameters
    ----------
    corpus : Corpus
        What to write. A corpus that was read from the same format is restored with the stored lengths, pad side and
        types of its source.
    path : path
        The file or folder to make.
    format : str
        Name of the format: ``mmsa``, ``mult``, ``multibench``, ``npz``, ``csd``, ``pandas``, ``huggingface`` ...
    **options
        Options of that format; ``docs/formats.md`` lists them.

    Returns
    -------
    list of dict
        What the corpus has and the file cannot hold, in the form of ``corpus.provenance["findings"]``; provenance
        itself stays behind in every format but ``corpus``.

    Raises
    ------
    DataError
        The format cannot hold this corpus; the message says what is missing.

    Examples
    --------
    >>> import tempfile
    >>> from trivium.corpus import Specification, Stream, StreamSpecification, Utterance
    >>> import numpy as np
    >>> voice = StreamSpecification("audio", ("f0",))
    >>> one = Utterance("a", {"audio": Stream(np.ones((4, 1), np.float32), voice)})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "a.npz"
    ...     lost = write(Corpus.from_utterances([one], Specification((voice,))), file, format="npz")
    ...     read(file).lengths("audio").tolist()
    [4]
    >>> lost
    []
    """
    writer = _format(format)
    check_options(writer.write, options, format, 2)
    try:
        kept = writer.write(corpus, Path(path), **options)
    except TriviumError as error:
        raise error.located(path) from error
    return [] if kept is None else losses(corpus, kept, format)
