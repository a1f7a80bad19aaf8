"""The corpus: utterances that share a specification, selected and joined without copying them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from trivium.corpus.batch import Batch, Index, row_numbers
from trivium.corpus.sources import Joined, Memory, Rows, Selected, Source, part_names
from trivium.corpus.specification import LabelSpecification, Specification, choice_remedy
from trivium.corpus.utterance import Utterance
from trivium.errors import DataError, SpecificationError

__all__ = ["Corpus", "concat"]


class Corpus(Sequence[Utterance]):
    """Utterances, their specification, groups, labels and named splits.

    Make one from utterances with :meth:`from_utterances`, from a folder with :meth:`open`, from other people's files
    with :func:`trivium.read`, from clips with :func:`trivium.extract_clips`.

    Parameters
    ----------
    source : Source
        Where the utterances are.
    specification : Specification
        What every utterance keeps to.
    provenance : mapping
        Where the corpus comes from: plain builtins that go into ``corpus.json``.
    rows : integer array of shape (N,), optional
        Rows of the source that belong to this corpus, in order.

    Examples
    --------
    >>> from trivium.corpus import LabelSpecification
    >>> mood = LabelSpecification("mood", "binary", ("calm", "angry"))
    >>> clips = [Utterance("a", labels={"mood": "calm"}), Utterance("b", labels={"mood": "angry"})]
    >>> corpus = Corpus.from_utterances(clips, Specification((), (mood,)))
    >>> corpus.label("mood").tolist(), corpus[np.array([1])].ids.tolist()
    (['calm', 'angry'], ['b'])
    """

    def __init__(
        self,
        source: Source,
        specification: Specification,
        provenance: Mapping[str, Any] | None = None,
        rows: NDArray[np.int64] | None = None,
    ) -> None:
        self.source = source
        self.specification = specification
        self.provenance: dict[str, Any] = dict(provenance or {})
        self.rows = np.arange(len(source), dtype=np.int64) if rows is None else rows

    @classmethod
    def from_utterances(
        cls,
        utterances: Iterable[Utterance],
        specification: Specification,
        provenance: Mapping[str, Any] | None = None,
    ) -> Corpus:
        """Corpus in memory; every utterance is checked against `specification`, ids must be unique.

        Raises
        ------
        DataError
            Names the utterance that does not fit, or the id that appears twice.
        """
        kept = list(utterances)
        seen: set[str] = set()
        for utterance in kept:
            utterance.check(specification)
            if utterance.id in seen:
                raise DataError(f"the id {utterance.id!r} appears twice", remedy="make the ids unique")
            seen.add(utterance.id)
        return cls(Memory(kept, specification), specification, provenance)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Corpus:
        """Open a corpus folder; only ``corpus.json`` and the footers of its shards are read.

        Parameters
        ----------
        path : path
            The folder. Columns and rows are read when they are asked for.

        Raises
        ------
        FormatError
            The folder is no corpus, a shard is missing, cut off, or has other columns than promised.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Corpus.from_utterances([Utterance("a")], Specification(())).save(folder + "/one")
        ...     Corpus.open(folder + "/one").ids.tolist()
        ['a']
        """
        from trivium.corpus.store import Stored

        source = Stored.open(path)
        return cls(source, source.manifest.specification, source.manifest.provenance)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the corpus to a folder, whole or not at all.

        The same corpus gives the same bytes (with one version of pyarrow, which signs its files).

        Parameters
        ----------
        path : path
            The folder that will exist afterwards.
        overwrite : bool
            Whether an existing folder may be replaced.

        Raises
        ------
        DataError
            The folder exists and `overwrite` is false, the provenance is not JSON, or the disk refuses.
        """
        from trivium.corpus.store import save_source

        save_source(Rows(self.source, self.rows), self.specification, self.provenance, path, overwrite=overwrite)

    @property
    def shape(self) -> tuple[int]:
        """(N,). scikit-learn hands objects without a shape to estimators as plain lists."""
        return (len(self),)

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, key: int | np.integer[Any]) -> Utterance: ...
    @overload
    def __getitem__(self, key: slice | NDArray[Any] | list[int] | list[bool] | tuple[Any, ...]) -> Corpus: ...
    def __getitem__(self, key: Index) -> Utterance | Corpus:
        if isinstance(key, int | np.integer):
            return self.source.utterances(self.rows[[int(key)]])[0]
        return Corpus(self.source, self.specification, self.provenance, self.rows[row_numbers(key, len(self))])

    def __iter__(self) -> Iterator[Utterance]:
        for start in range(0, len(self), 256):
            yield from self.source.utterances(self.rows[start : start + 256])

    @property
    def ids(self) -> NDArray[np.str_]:
        """Ids of the utterances, (N,)."""
        return self.column("id")

    def column(self, name: str) -> NDArray[Any]:
        """One scalar column, (N,) or (N, classes).

        Text (``id``, ``clip``, ``text``, ``group.*``, ``split.*`` and labels with classes) is a str array with ``""``
        where missing; numbers (``start``, ``end``, regression and ordinal labels) are float64 with NaN where missing;
        multilabel labels are float64 of shape (N, classes) with NaN rows where missing.
        """
        column: NDArray[Any] = self.source.column(name)[self.rows]
        return column

    def column_names(self) -> list[str]:
        """Names that :meth:`column` takes."""
        return list(self.source.column_names())

    def label(self, key: str) -> NDArray[Any]:
        """Label by key: class names, numbers, or (N, classes); see :meth:`column` for missing ones."""
        self.specification.label(key)
        return self.column(f"label.{key}")

    def labelled(self, key: str) -> NDArray[np.bool_]:
        """Whether each utterance has the label, (N,)."""
        values = self.label(key)
        if values.dtype.kind == "U":
            return np.asarray(values != "", dtype=np.bool_)
        present: NDArray[np.bool_] = ~np.isnan(values)
        return np.asarray(present.all(axis=1) if present.ndim == 2 else present)

    def group(self, name: str) -> NDArray[np.str_]:
        """Group of every utterance, such as its speaker; ``""`` where unknown."""
        return self._named("group", name)

    def groups(self) -> list[str]:
        """Names of the groups."""
        return self._names("group")

    def split(self, name: str) -> NDArray[np.str_]:
        """Fold of every utterance in the named split; ``""`` where it is in none."""
        return self._named("split", name)

    def splits(self) -> list[str]:
        """Names of the splits."""
        return self._names("split")

    def fold(self, fold: str, split: str | None = None) -> Corpus:
        """Part of the corpus that is `fold` (``train``, ``valid`` or ``test``) in `split`.

        Parameters
        ----------
        fold : str
            Name of the fold.
        split : str, optional
            Name of the split; may be left out when there is only one.
        """
        if split is None:
            names = self.splits()
            if len(names) != 1:
                raise SpecificationError(
                    f"the corpus has {len(names)} splits", remedy=f"name one of: {', '.join(names) or 'none'}"
                )
            split = names[0]
        chosen = np.asarray(self.split(split) == fold, dtype=np.bool_)
        if not chosen.any():
            raise SpecificationError(f"no utterance is {fold!r} in the split {split!r}")
        return self[chosen]

    def lengths(self, modality: str) -> NDArray[np.int64]:
        """Steps of one modality by utterance, -1 where it lacks the modality."""
        self.specification.stream(modality)
        return self.source.lengths(modality)[self.rows]

    def select(self, modalities: Iterable[str]) -> Corpus:
        """Keep the named modalities only."""
        kept = self.specification.select(modalities)
        return Corpus(Selected(self.source, kept.modalities), kept, self.provenance, self.rows)

    def batch(self, key: Index = slice(None)) -> Batch:
        """Padded values and masks of the selected utterances, all modalities.

        Parameters
        ----------
        key : slice, integer array or mask
            Which utterances; default all.
        """
        rows = self.rows[row_numbers(key, len(self))]
        values: dict[str, NDArray[Any]] = {}
        mask: dict[str, NDArray[np.bool_]] = {}
        for stream in self.specification.streams:
            found = self.source.values(stream.modality, rows)
            values[stream.modality], mask[stream.modality] = _pad(found, stream.dim, stream.dtype)
        return Batch(tuple(self.source.column("id")[rows].tolist()), values, mask, self.specification)

    def content_hash(self) -> str:
        """SHA-256 of the specification and all utterances, wherever they lie; provenance does not count.

        A folder that was opened whole answers from ``corpus.json``; anything else is read through.
        """
        from trivium.corpus.store import Stored, source_hash

        whole = np.array_equal(self.rows, np.arange(len(self.source)))
        if isinstance(self.source, Stored) and whole:
            return self.source.manifest.content_hash
        return source_hash(Rows(self.source, self.rows), self.specification)

    def _named(self, kind: str, name: str) -> NDArray[np.str_]:
        if name not in self._names(kind):
            raise SpecificationError(f"there is no {kind} {name!r}", remedy=choice_remedy(kind, self._names(kind)))
        return self.column(f"{kind}.{name}")

    def _names(self, kind: str) -> list[str]:
        return part_names(self.source.column_names(), kind)


def _pad(arrays: list[NDArray[Any] | None], dim: int, dtype: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    lengths = np.array([0 if a is None else len(a) for a in arrays], dtype=np.int64)
    longest = int(lengths.max(initial=0))
    values = np.empty((len(arrays), longest, dim), dtype=dtype)
    for row, array, length in zip(values, arrays, lengths.tolist(), strict=True):
        if array is not None:
            row[:length] = array
        row[length:] = 0
    return values, np.arange(longest) < lengths[:, None]


def concat(corpora: Sequence[Corpus], names: Sequence[str]) -> Corpus:
    """Join corpora behind one another; the group ``corpus`` says where each utterance is from.

    Parameters
    ----------
    corpora : sequence of Corpus
        They must agree on modalities, columns, clocks and types; a label that several have must be the same label.
    names : sequence of str
        One distinct name per corpus.

    Raises
    ------
    SpecificationError
        Names the columns that differ.
    DataError
        Two corpora share an id.
    """
    if not corpora or len(corpora) != len(names) or len(set(names)) != len(names):
        raise SpecificationError("joining needs at least one corpus and a distinct name for each")
    first = corpora[0]
    labels: dict[str, LabelSpecification] = {}
    for corpus, name in zip(corpora, names, strict=True):
        first.specification.require_same_streams(corpus.specification, ours=names[0], theirs=name)
        for label in corpus.specification.labels:
            if labels.setdefault(label.key, label) != label:
                raise SpecificationError(f"the label {label.key!r} of {name} is defined otherwise before it")
    ids = np.concatenate([c.ids for c in corpora])
    unique, counts = np.unique(ids, return_counts=True)
    if len(unique) != len(ids):
        raise DataError(f"the id {str(unique[counts > 1][0])!r} is in two corpora", remedy="make the ids unique")
    source = Joined([Rows(c.source, c.rows) for c in corpora], names, list(labels.values()))
    provenance = {"joined": [{"name": n, **c.provenance} for n, c in zip(names, corpora, strict=True)]}
    return Corpus(source, Specification(first.specification.streams, tuple(labels.values())), provenance)
