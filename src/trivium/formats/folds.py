"""What the pickled feature files share: a dict of folds, each a dict of arrays with one row per sample."""

from __future__ import annotations

import pickle
import reprlib
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Corpus
from trivium.errors import DataError, FormatError
from trivium.files import atomic_file
from trivium.formats.findings import Finding, Findings
from trivium.formats.pickles import load_pickle

__all__ = [
    "FOLDS",
    "Duplicates",
    "known_modalities",
    "like",
    "load_folds",
    "row_counts",
    "tell_absent",
    "text_of",
    "texts_of",
    "unique",
    "write_pickle",
]

FOLDS = ("train", "valid", "test")
Duplicates = Literal["error", "suffix"]


def load_folds(path: Path) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Folds of a pickled feature file, and what else its top level holds.

    Raises
    ------
    FormatError
        It is no dict, or a fold is none.
    """
    whole = load_pickle(path)
    if not isinstance(whole, dict):
        raise FormatError(f"holds a {type(whole).__name__}, not a dict of folds", file=path)
    folds = {name: whole[name] for name in FOLDS if name in whole}
    for name, fold in folds.items():
        if not isinstance(fold, dict):
            raise FormatError(f"is a {type(fold).__name__}, not a dict of arrays", file=path, place=name)
    return folds, {str(key): value for key, value in whole.items() if key not in FOLDS}


def row_counts(folds: Mapping[str, Mapping[str, Any]], keys: Sequence[str], path: Path) -> dict[str, int]:
    """Samples by fold, after checking that all keys agree.

    Raises
    ------
    FormatError
        Two keys of a fold have different numbers of rows.
    """
    counts = {}
    for name, fold in folds.items():
        found = {key: len(fold[key]) for key in keys if key in fold and hasattr(fold[key], "__len__")}
        if not found:
            raise FormatError(f"has none of the keys {', '.join(keys)}", file=path, place=name)
        if len(set(found.values())) > 1:
            said = ", ".join(f"{key} {count}" for key, count in found.items())
            raise FormatError(f"keys differ in their number of rows: {said}", file=path, place=name)
        counts[name] = next(iter(found.values()))
    return counts


def texts_of(values: Iterable[Any], path: Path, place: str) -> list[str]:
    """Texts of a column of ids, transcripts or words.

    Raises
    ------
    DataError
        One of them is neither text nor a number; its row is named.

    Examples
    --------
    >>> texts_of(["a", None], Path("a.pkl"), "train/id")
    Traceback (most recent call last):
    trivium.errors.DataError: a.pkl (train/id, row 1): None is no text. Remedy: store text there.
    """
    texts = []
    for row, value in enumerate(values):
        try:
            texts.append(text_of(value))
        except DataError as error:
            raise error.located(path, f"{place}, row {row}") from error
    return texts


def text_of(value: Any) -> str:
    """Text of a str, bytes or number; bytes are UTF-8.

    Raises
    ------
    DataError
        It is none of these.

    Examples
    --------
    >>> text_of("café".encode()), text_of(np.str_("a")), text_of(3)
    ('café', 'a', '3')
    """
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if not isinstance(value, str | int | float | np.number) or value != value:
        raise DataError(f"{reprlib.repr(value)} is no text", remedy="store text there")
    return str(value).encode("utf-8", "replace").decode()  # half of a surrogate pair is no text that Parquet can hold


def unique(
    ids: Mapping[str, list[str]], rule: Duplicates, path: Path, findings: Findings
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Ids by fold, each one once.

    Parameters
    ----------
    ids : mapping of str to list of str
        By fold.
    rule : {"error", "suffix"}
        What to do with an id that appears again: refuse it, or call it ``ID#2``, ``ID#3`` ...
    path : Path
        For errors.
    findings : Findings
        Where renamed ids go.

    Returns
    -------
    ids : dict of str to list of str
        By fold.
    renamed : dict of str to str
        New to old.
    """
    places: dict[str, str] = {}
    renamed: dict[str, str] = {}
    kept: dict[str, list[str]] = {}
    for fold, names in ids.items():
        kept[fold] = []
        for row, name in enumerate(names):
            new, place = name, f"{fold}, row {row}" if fold else f"row {row}"
            if name in places and rule == "error":
                raise DataError(
                    f"the id {name!r} is there already ({places[name]})",
                    file=path,
                    place=place,
                    remedy="pass duplicates='suffix' (--duplicates suffix) to call it ID#2",
                )
            number = 1
            while new in places:
                number += 1
                new = f"{name}#{number}"
            if new != name:
                renamed[new] = name
                findings.add(Finding("duplicate", new, row=row, action="renamed with a number"))
            places[new] = place
            kept[fold].append(new)
    return kept, renamed


def tell_absent(
    findings: Findings, key: str, having: Container[str], ids: Mapping[str, Sequence[str]], instead: str
) -> None:
    """Say which utterances lack a key because their fold does not have it, and what stands in its place.

    Parameters
    ----------
    findings : Findings
        Where it goes.
    key : str
        Name in the file.
    having : container of str
        Folds that have the key.
    ids : mapping of str to sequence of str
        Ids of the samples by fold.
    instead : str
        What the utterances get: ``made from fold and row``, ``empty``, ``missing``.
    """
    for fold in [name for name in ids if name not in having]:
        for row, name in enumerate(ids[fold]):
            action = f"{key} is not in the file for this fold, so {instead}"
            findings.add(Finding("missing", name, row=row, column=key, action=action))


def known_modalities(corpus: Corpus, known: Sequence[str], name: str) -> Corpus:
    """The modalities that a format has keys for; what becomes of the others is told with the losses.

    Raises
    ------
    DataError
        There is none of them.
    """
    kept = [m for m in corpus.specification.modalities if m in known]
    if not kept and corpus.specification.modalities:
        other = ", ".join(corpus.specification.modalities)
        raise DataError(f"{name} has no place for {other}", remedy=f"it takes {', '.join(known)}")
    return corpus.select(kept) if len(kept) < len(corpus.specification.modalities) else corpus


def write_pickle(path: Path, value: dict[str, Any]) -> None:
    """Write a dict of plain arrays as a pickle, atomically; protocol 4, as Python 3.4 and later read."""
    with atomic_file(path) as draft, draft.open("wb") as file:
        pickle.dump(value, file, protocol=4)


def like(values: Sequence[str], stored: Any) -> NDArray[Any] | list[str]:
    """Texts as the file had them: a list, or an array of str."""
    return list(values) if stored == "list" else np.array(values, dtype=np.str_)
