"""Padded arrays (N, L, D) to streams without their padding, and back to the stored length, side and type.

The formats that keep a whole fold in one array share this. Padding is a run of all-zero steps at one end of a sample;
which end is found from the data. In an aligned file the modalities share their steps, so a step is padding only where
all of them are zero; a modality that is zero throughout a sample is missing from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Corpus, Stream, StreamSpecification, Utterance
from trivium.corpus.specification import Clock
from trivium.errors import DataError, FormatError
from trivium.formats.findings import Finding, Findings, as_float32
from trivium.formats.options import require_choice

__all__ = [
    "Block",
    "Cutter",
    "chosen_split",
    "distribution",
    "fold_rows",
    "one_clock",
    "pad_fold",
    "positional_streams",
    "side_of",
]

_ROWS_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Block:
    """All samples of one modality in one fold.

    Parameters
    ----------
    modality, key, fold : str
        Our name, the file's name, and the fold.
    values : array of shape (N, L, D)
        float32 or int32, zero padded.
    lengths : int array of shape (N,), optional
        Lengths that the file states.
    """

    modality: str
    key: str
    fold: str
    values: NDArray[Any]
    lengths: NDArray[np.int64] | None = None

    @classmethod
    def of(
        cls,
        modality: str,
        key: str,
        fold: str,
        array: Any,
        file: Path,
        *,
        dtype: str = "float32",
        lengths: Any = None,
    ) -> Block:
        """Block of whatever numeric array the file holds: (N, L, D), or (N, D) for one vector per sample.

        Raises
        ------
        FormatError
            It is no numeric array of two or three axes.
        DataError
            A stated length does not fit, or a number does not fit into the type.
        """
        values = np.asarray(array)
        place = f"{fold}/{key}" if fold else key
        if values.dtype.kind not in "biuf" or values.ndim not in (2, 3):
            raise FormatError(f"is {values.dtype} of shape {values.shape}, not (N, L, D)", file=file, place=place)
        values = values[:, None, :] if values.ndim == 2 else values
        if dtype == "float32":
            values = as_float32(values, file, place, ("row", "step", "column"))
        else:
            _check_whole(values, np.dtype(dtype), file, place)
        stated = None if lengths is None else _checked_lengths(lengths, values, file, f"{place}_lengths")
        return cls(modality, key, fold, values.astype(dtype, copy=False), stated)

    def seen(self) -> NDArray[np.bool_]:
        """Where a step is not all zero, (N, L)."""
        n, length, _ = self.values.shape
        found = np.empty((n, length), bool)
        for start in range(0, n, _ROWS_AT_ONCE):  # in pieces, so that no second array of this size is made
            found[start : start + _ROWS_AT_ONCE] = (self.values[start : start + _ROWS_AT_ONCE] != 0).any(axis=2)
        return found


def _check_whole(values: NDArray[Any], dtype: np.dtype[Any], file: Path, place: str) -> None:
    """Token ids may be stored as floats; NaN and numbers out of range would become arbitrary ids."""
    limits = np.iinfo(dtype)
    wrong = np.argwhere(~((values >= limits.min) & (values <= limits.max)))
    if len(wrong):
        row, step, column = wrong[0].tolist()
        raise DataError(
            f"{values[row, step, column]} is no {dtype} ({len(wrong)} such cells)",
            file=file,
            place=f"{place}, row {row}, step {step}, column {column}",
            remedy="store whole numbers",
        )


def _checked_lengths(lengths: Any, values: NDArray[Any], file: Path, place: str) -> NDArray[np.int64]:
    stated = np.asarray(lengths)
    n, longest, _ = values.shape
    if stated.shape != (n,) or stated.dtype.kind not in "iuf":
        raise DataError(f"has shape {stated.shape} for {n} samples", file=file, place=place)
    wrong = np.flatnonzero(~((stated >= 0) & (stated <= longest)))
    if len(wrong):
        row = int(wrong[0])
        raise DataError(
            f"length {stated[row]} does not lie in 0..{longest} ({len(wrong)} such rows)",
            file=file,
            place=f"{place}, row {row}",
            remedy="correct the lengths, or delete the key to have them found from the padding",
        )
    return stated.astype(np.int64)


def one_clock(blocks: Iterable[Block], aligned: bool | None) -> bool:
    """Whether the modalities of a file share their steps: two or more, of one length above 1, and none stated."""
    if aligned is not None:
        return aligned
    blocks = list(blocks)
    lengths = {block.values.shape[1] for block in blocks}
    several = len({block.modality for block in blocks}) > 1
    return several and len(lengths) == 1 and lengths != {1} and all(block.lengths is None for block in blocks)


def positional_streams(
    blocks: Iterable[Block], source: str, aligned: bool, file: Path
) -> dict[str, StreamSpecification]:
    """Specification by modality for blocks without column names.

    Raises
    ------
    FormatError
        The folds of a modality differ in their number of columns.
    """
    dims: dict[str, int] = {}
    for block in blocks:
        dim = block.values.shape[2]
        if dims.setdefault(block.modality, dim) != dim:
            problem = f"has {dim} columns, another fold {dims[block.modality]}"
            raise FormatError(problem, file=file, place=f"{block.fold}/{block.key}")
    clock: Clock = "words" if aligned else "none"
    return {m: StreamSpecification.positional(m, source, dim, clock=clock) for m, dim in dims.items()}


def distribution(file: Path, source: str | None) -> str:
    """Short name under which positional columns go: the given one, or the file's stem.

    Examples
    --------
    >>> distribution(Path("Data/aligned_50.pkl"), None)
    'aligned-50'
    """
    return source or re.sub(r"[^a-z0-9]+", "-", file.stem.lower()).strip("-") or "file"


def side_of(seen: Iterable[NDArray[np.bool_]]) -> str:
    """``left`` where more samples begin with zeros than end with them, else ``right``.

    Parameters
    ----------
    seen : iterable of bool array of shape (N, L)
        By fold: where a step is not padding.

    Examples
    --------
    >>> side_of([np.array([[False, True, True]])])
    'left'
    """
    leading = trailing = 0
    for found in seen:
        some = found[found.any(axis=1)] if found.size else found
        if some.size:
            leading += int((~some[:, 0]).sum())
            trailing += int((~some[:, -1]).sum())
    return "left" if leading > trailing else "right"


class Cutter:
    """Cuts samples out of blocks; views where the array allows.

    Parameters
    ----------
    blocks : sequence of Block
        Every modality and fold of the file.
    specifications : mapping of str to StreamSpecification
        By modality.
    aligned : bool
        Whether the modalities share their steps.
    findings : Findings
        Where oddities go.
    sides : mapping of str to str, optional
        Pad side by modality, where it is known.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        specifications: Mapping[str, StreamSpecification],
        *,
        aligned: bool,
        findings: Findings,
        sides: Mapping[str, str] | None = None,
    ) -> None:
        self._specifications = specifications
        self._findings = findings
        self._blocks = {(b.fold, b.modality): b for b in blocks}
        self._any = {key: b.seen() for key, b in self._blocks.items()}
        self._steps = self._shared() if aligned else self._any
        self._missing_lengths: dict[str, dict[str, int]] = {}
        self.sides = {m: self._side(m) for m in specifications} | dict(sides or {})

    def _shared(self) -> dict[tuple[str, str], NDArray[np.bool_]]:
        shared: dict[tuple[str, str], NDArray[np.bool_]] = {}
        for fold in {fold for fold, _ in self._any}:
            clocked = [m for f, m in self._any if f == fold and self._specifications[m].clock == "words"]
            joint = np.logical_or.reduce([self._any[fold, m] for m in clocked]) if clocked else None
            for modality in (m for f, m in self._any if f == fold):
                own = self._any[fold, modality]
                shared[fold, modality] = joint if joint is not None and modality in clocked else own
        return shared

    def _side(self, modality: str) -> str:
        return side_of(steps for (_, m), steps in self._steps.items() if m == modality)

    def streams(self, fold: str, row: int, utterance: str) -> dict[str, Stream]:
        """Streams of one sample, by modality, without padding and without missing modalities.

        Parameters
        ----------
        fold : str
            Fold of the sample.
        row : int
            Its row there.
        utterance : str
            Its id, for findings.
        """
        found: dict[str, Stream] = {}
        for modality, specification in self._specifications.items():
            block = self._blocks.get((fold, modality))
            if block is None or not self._any[fold, modality][row].any():
                self._lacks(block, modality, row, utterance)
                continue
            values = block.values[row, self._kept(block, row, utterance)]
            if specification.dtype == "float32":
                values = self._findings.finite(values, utterance, modality, specification.columns)
            found[modality] = Stream(values, specification)
        return found

    def _lacks(self, block: Block | None, modality: str, row: int, utterance: str) -> None:
        action = "not in the file for this fold" if block is None else "all zero, so the utterance lacks it"
        self._findings.add(Finding("missing", utterance, modality, action=action))
        if block is not None and block.lengths is not None and block.lengths[row]:
            self._missing_lengths.setdefault(modality, {})[utterance] = int(block.lengths[row])

    def _kept(self, block: Block, row: int, utterance: str) -> slice:
        steps = self._steps[block.fold, block.modality][row]
        if self.sides[block.modality] == "left":
            return slice(int(steps.argmax()), len(steps))
        content = len(steps) - int(steps[::-1].argmax())
        if block.lengths is None:
            return slice(0, content)
        stated = int(block.lengths[row])
        if content > stated:
            action = "values behind the stated length kept"
            finding = Finding("length", utterance, block.modality, stated, count=content - stated, action=action)
            self._findings.add(finding)
        return slice(0, max(stated, content))

    def layout(self) -> dict[str, Any]:
        """What :func:`pad_fold` needs to restore the arrays; plain builtins."""
        known: dict[str, Any] = {}
        for (fold, modality), block in self._blocks.items():
            entry = known.setdefault(modality, {"key": block.key, "side": self.sides[modality], "length": {}})
            entry["length"][fold] = int(block.values.shape[1])
            entry["missing_lengths"] = self._missing_lengths.get(modality, {})
        return known


def chosen_split(corpus: Corpus, split: str | None) -> str:
    """The split that makes the folds: the named one, or the only one; ``""`` where there is neither."""
    return split or (corpus.splits()[0] if len(corpus.splits()) == 1 else "")


def fold_rows(
    corpus: Corpus, split: str | None, fold: str | None, names: Sequence[str] = ("train", "valid", "test")
) -> dict[str, list[Utterance]]:
    """Utterances by fold, every one in exactly one.

    Parameters
    ----------
    corpus : Corpus
        What is to be written.
    split : str, optional
        Which split to use; may be left out when there is only one.
    fold : str, optional
        Fold for utterances that the split leaves out, or for all where the corpus has no split.
    names : sequence of str
        Folds that the format knows.

    Raises
    ------
    DataError
        An utterance is in no fold, or in one that the format does not know.
    TriviumError
        The corpus has no such split, or the format no such fold; the message lists what there is.
    """
    if split is not None:
        require_choice("split", split, corpus.splits())
    if fold is not None:
        require_choice("fold", fold, names)
    chosen = chosen_split(corpus, split)
    if not chosen and fold is None:
        raise DataError(
            f"the corpus has {len(corpus.splits())} splits, and this format needs one",
            remedy=f"name one of {', '.join(corpus.splits())}"
            if corpus.splits()
            else "name the fold for all: fold=, or --fold train",
        )
    found: dict[str, list[Utterance]] = {name: [] for name in names}
    for utterance in corpus:
        own = utterance.splits.get(chosen, "") or fold or ""
        if own not in found:
            raise DataError(
                f"is in the fold {own!r}; the format knows {', '.join(names)}",
                place=f"utterance {utterance.id}",
                remedy="name the fold for such utterances (fold=, or --fold train), or leave them out",
            )
        found[own].append(utterance)
    return found


def pad_fold(
    utterances: Sequence[Utterance], specification: StreamSpecification, *, side: str, length: int | None = None
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Pad one modality of one fold with zeros.

    Parameters
    ----------
    utterances : sequence of N Utterance
        The samples.
    specification : StreamSpecification
        Names the modality, its D columns and its type.
    side : {"left", "right"}
        Where the zeros go.
    length : int, optional
        Length L; the longest sample where left out or where samples are longer.

    Returns
    -------
    values : array of shape (N, L, D)
        float32 or int32.
    lengths : int array of shape (N,)
        Steps of every sample, 0 where it lacks the modality.
    """
    streams = [u.streams.get(specification.modality) for u in utterances]
    lengths = np.array([0 if s is None else s.steps for s in streams], dtype=np.int64)
    longest = max(int(lengths.max(initial=0)), length or 0)
    values = np.zeros((len(utterances), longest, specification.dim), dtype=specification.dtype)
    for row, stream in zip(values, streams, strict=True):
        if stream is not None and stream.steps:
            row[slice(longest - stream.steps, None) if side == "left" else slice(0, stream.steps)] = stream.values
    return values, lengths
