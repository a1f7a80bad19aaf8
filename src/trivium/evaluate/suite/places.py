"""Where the real sets lie, and how what is missing is said."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trivium.errors import DataError, UpstreamError
from trivium.formats.arrays import open_archive
from trivium.upstream import model_folder

__all__ = ["DATA_VARIABLE", "absent_files", "arrays_of", "data_folder", "missing_models", "table_of"]

DATA_VARIABLE = "TRIVIUM_DATA"
"""Environment variable with the folder of all real sets."""


def data_folder(given: str | os.PathLike[str] | None = None) -> Path:
    """Folder of the real sets: the one that is given, else what ``TRIVIUM_DATA`` names.

    Parameters
    ----------
    given : path, optional
        Wins over the variable.

    Raises
    ------
    DataError
        Neither is there, or it is no folder.

    Examples
    --------
    >>> data_folder(".").is_dir()
    True
    """
    named = given or os.environ.get(DATA_VARIABLE)
    remedy = f"set {DATA_VARIABLE}, or name the folder of the real sets with --data"
    if not named:
        raise DataError("no folder of real data is named", remedy=remedy)
    folder = Path(named)
    if not folder.is_dir():
        raise DataError("is no folder of real data", file=folder, remedy=remedy)
    return folder


def absent_files(folder: Path, names: Sequence[str]) -> list[str]:
    """Which of the files and folders that a task reads are not there.

    Parameters
    ----------
    folder : path
        Of all real sets.
    names : sequence of str
        Paths below it.

    Examples
    --------
    >>> absent_files(Path("."), ["no/such.npz"])
    ['no/such.npz']
    """
    return [name for name in names if not (folder / name).exists()]


def missing_models(names: Sequence[str]) -> list[str]:
    """Which upstream models are not on this machine.

    Parameters
    ----------
    names : sequence of str
        Of the catalogue.

    Examples
    --------
    >>> missing_models([])
    []
    """
    found = []
    for name in names:
        try:
            model_folder(name)
        except UpstreamError:
            found.append(name)
    return found


def table_of(file: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    r"""Rows of a CSV file that has the named columns.

    Parameters
    ----------
    file : path
        UTF-8 with a header.
    columns : sequence of str
        What is needed of it.

    Raises
    ------
    DataError
        A column is not there, or there is no row.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "meta.csv"
    ...     _ = file.write_text("id,label\na,1\n")
    ...     table_of(file, ["label"])
    [{'id': 'a', 'label': '1'}]
    """
    try:
        with file.open(encoding="utf-8", newline="") as opened:
            rows = list(csv.DictReader(opened))
    except (OSError, UnicodeDecodeError, csv.Error) as cause:
        raise DataError(f"cannot be read: {cause}", file=file) from cause
    lacking = [name for name in columns if rows and name not in rows[0]]
    if lacking or not rows:
        problem = f"has no column {', '.join(lacking)}" if lacking else "has no row"
        raise DataError(problem, file=file, remedy="take the file of the release as it is")
    return rows


def arrays_of(file: Path, keys: Sequence[str]) -> dict[str, NDArray[np.generic]]:
    """Arrays of a ``.npz`` file, never objects.

    Parameters
    ----------
    file : path
        The file.
    keys : sequence of str
        What is needed of it.

    Returns
    -------
    dict of str to array
        Shapes as stored.

    Raises
    ------
    FormatError
        It cannot be read.
    DataError
        A key is not there.
    """
    found = open_archive(file)
    lacking = [key for key in keys if key not in found]
    if lacking:
        raise DataError(f"has no array {', '.join(lacking)}", file=file, remedy="take the file of the release as it is")
    return {key: np.asarray(found[key]) for key in keys}
