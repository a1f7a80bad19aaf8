"""Sequences of uneven length: kept on disk block by block, cut into equal parts, thinned, and joined side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Aligned, LabelSpecification, Specification, StreamSpecification
from trivium.errors import DataError
from trivium.files import atomic_file, sha256_bytes
from trivium.formats.arrays import open_archive
from trivium.progress import progress_bar

__all__ = ["Steps", "equal_parts", "kept_sequences", "layers_apart", "padded", "side_by_side", "thinned"]

Steps = NDArray[np.float32]
"""One sequence (T, D); what is not finite was not seen."""
_ITEMS_AT_ONCE = 60


def kept_sequences(
    names: Sequence[str],
    key: str,
    make: Callable[[int], Mapping[str, Steps]],
    folder: Path,
    *,
    title: str,
    show: bool = True,
) -> dict[str, list[Steps]]:
    """Sequences that are made once, sixty at a time, and then read back.

    A run that was killed loses the block at hand only.

    Parameters
    ----------
    names : sequence of N str
        What they are made from: names and hashes of files, or texts.
    key : str
        What they depend on besides.
    make : callable
        Gives the named sequences of one item by its number.
    folder : path
        Where blocks are kept.
    title : str
        Of the progress bar.
    show : bool
        Show progress.

    Returns
    -------
    dict of str to list of N arrays of shape (T_i, D)
        By name, in the order of the items.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = kept_sequences(
    ...         ["a", "b"], "example", lambda i: {"number": np.full((i + 1, 1), i, np.float32)}, Path(folder),
    ...         title="numbers", show=False,
    ...     )
    >>> made["number"][1].tolist()
    [[1.0], [1.0]]
    """
    told = "\n".join([key, *names])
    home = folder / sha256_bytes(told.encode())[:16]
    found: dict[str, list[Steps]] = {}
    with progress_bar(title, len(names), show=show) as bar:
        for start in range(0, len(names), _ITEMS_AT_ONCE):
            block, file = range(start, min(start + _ITEMS_AT_ONCE, len(names))), home / f"{start:06d}.npz"
            there = file.is_file()
            if not there:
                _write(file, [make(item) for item in block])
            for kind, sequences in _read(file).items():
                found.setdefault(kind, []).extend(sequences)
            bar.advance(len(block), worked=not there)
    return found


def _write(file: Path, made: Sequence[Mapping[str, Steps]]) -> None:
    arrays: dict[str, Any] = {}
    for name in made[0]:
        parts = [np.asarray(one[name], np.float32) for one in made]
        arrays[f"values.{name}"] = np.concatenate(parts)
        arrays[f"lengths.{name}"] = np.array([len(part) for part in parts], np.int64)
    with atomic_file(file) as draft, draft.open("wb") as opened:
        np.savez(opened, allow_pickle=False, **arrays)


def _read(file: Path) -> dict[str, list[Steps]]:
    stored = open_archive(file)
    names = [key.removeprefix("values.") for key in stored if key.startswith("values.")]
    return {n: np.split(stored[f"values.{n}"], np.cumsum(stored[f"lengths.{n}"])[:-1]) for n in names}


def layers_apart(sequences: Sequence[Steps], layers: Sequence[int]) -> dict[str, Steps]:
    """Mean and spread of each layer of an encoder, by the names ``layer1`` and so on.

    Parameters
    ----------
    sequences : sequence of N arrays of shape (2, L x D)
        Means, then spreads, of L layers side by side.
    layers : sequence of L int
        Numbers of the layers.

    Returns
    -------
    dict of str to array of shape (N, 2 x D)

    Examples
    --------
    >>> layers_apart([np.array([[1.0, 2.0], [0.1, 0.2]], np.float32)], [3, 4])["layer4"].tolist()
    [[2.0, 0.20000000298023224]]
    """
    both = np.array(sequences).reshape(len(sequences), 2, len(layers), -1)
    return {f"layer{n}": both[:, :, place].reshape(len(both), -1) for place, n in enumerate(layers)}


def equal_parts(sequence: Steps, parts: int) -> Steps:
    """Means of equal parts; a part without a step is not seen (NaN).

    Parameters
    ----------
    sequence : array of shape (T, D)
        Any unit.
    parts : int
        P.

    Returns
    -------
    array of shape (P, D)

    Examples
    --------
    >>> equal_parts(np.array([[1.0], [3.0], [5.0], [7.0]], np.float32), 2).tolist()
    [[2.0], [6.0]]
    """
    pieces = np.array_split(sequence, parts)
    return np.array([_mean(piece, sequence.shape[1]) for piece in pieces], np.float32)


def thinned(sequence: Steps, every: int) -> Steps:
    """Means of each `every` steps in a row, the last of what is left.

    Parameters
    ----------
    sequence : array of shape (T, D)
        Any unit.
    every : int
        Steps that become one.

    Returns
    -------
    array of shape (ceil(T / every), D)

    Examples
    --------
    >>> thinned(np.array([[1.0], [3.0], [5.0]], np.float32), 2).tolist()
    [[2.0], [5.0]]
    """
    starts = range(0, len(sequence), every)
    width = sequence.shape[1]
    return np.array([_mean(sequence[i : i + every], width) for i in starts], np.float32).reshape(-1, width)


def _mean(piece: Steps, width: int) -> NDArray[np.float64]:
    """Mean of the finite cells of each column, NaN where there is none."""
    seen = np.isfinite(piece)
    counts = seen.sum(axis=0)
    sums = np.where(seen, piece, 0).sum(axis=0, dtype=np.float64)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan).reshape(width)


def padded(sequences: Sequence[Steps], length: int | None = None) -> Steps:
    """Sequences in one array, NaN behind their ends.

    Parameters
    ----------
    sequences : sequence of N arrays of shape (T_i, D)
        Of one width.
    length : int, optional
        T; the longest where left out. Longer sequences are cut.

    Returns
    -------
    array of shape (N, T, D)

    Examples
    --------
    >>> padded([np.ones((1, 1), np.float32), np.ones((2, 1), np.float32)])[0].ravel().tolist()
    [1.0, nan]
    """
    longest = max(len(sequence) for sequence in sequences) if length is None else length
    found = np.full((len(sequences), longest, sequences[0].shape[1]), np.nan, np.float32)
    for row, sequence in enumerate(sequences):
        found[row, : min(len(sequence), longest)] = sequence[:longest]
    return found


def side_by_side(
    parts: Mapping[str, Steps],
    source: str,
    ids: Sequence[str],
    labels: Sequence[LabelSpecification],
    table: Mapping[str, NDArray[Any]],
) -> Aligned:
    """Modalities on shared steps; shorter ones are not seen behind their ends.

    Parameters
    ----------
    parts : mapping of str to array of shape (N, T_m, D_m)
        By modality; NaN where not seen.
    source : str
        What positional names of columns begin with.
    ids : sequence of N str
        Distinct.
    labels : sequence of LabelSpecification
        What ``label.*`` in the table are.
    table : mapping of str to array of shape (N,)
        Labels, groups and splits.

    Raises
    ------
    DataError
        There is no modality, or ids repeat.

    Examples
    --------
    >>> data = side_by_side({"audio": np.array([[[1.0], [np.nan]]], np.float32)}, "toy", ["a"], (), {})
    >>> data.cell_mask.ravel().tolist(), data.values.ravel().tolist()
    ([True, False], [1.0, 0.0])
    """
    if not parts or len(set(ids)) < len(ids):
        raise DataError("utterances need a modality, and ids of their own")
    streams = tuple(StreamSpecification.positional(name, source, part.shape[2]) for name, part in parts.items())
    specification = Specification(streams, tuple(labels))
    longest = max(part.shape[1] for part in parts.values())
    values, seen = [], []
    for name in specification.modalities:
        part = parts[name]
        there = np.zeros((len(part), longest), bool)
        there[:, : part.shape[1]] = np.isfinite(part).any(axis=2)
        filled = np.zeros((len(part), longest, part.shape[2]), np.float32)
        filled[:, : part.shape[1]] = part
        filled[~there] = 0
        values.append(filled)
        seen.append(there)
    cells = np.stack(seen, axis=2)
    return Aligned.from_arrays(
        np.concatenate(values, axis=2), specification, mask=np.asarray(cells.any(axis=2)), cell_mask=cells,
        ids=np.array(ids), table=dict(table),
    )  # fmt: skip
