"""The project's own corpus folder, so that every command that reads files reads it too."""

from __future__ import annotations

from pathlib import Path

from trivium.corpus import Corpus
from trivium.formats.losses import Kept

__all__ = ["CorpusFormat"]


class CorpusFormat:
    """Reader and writer of corpus folders."""

    name = "corpus"

    def detect(self, path: Path) -> str | None:
        """Why the path is of this format, or None."""
        return "a folder with corpus.json" if (path / "corpus.json").is_file() else None

    def read(self, path: Path) -> Corpus:
        """Open the folder; only footers are read."""
        return Corpus.open(path)

    def write(self, corpus: Corpus, path: Path, *, overwrite: bool = False) -> Kept:
        """Write the folder.

        Parameters
        ----------
        corpus : Corpus
            What to write.
        path : Path
            The folder to make.
        overwrite : bool
            Whether an existing folder is replaced.
        """
        corpus.save(path, overwrite=overwrite)
        return Kept()
