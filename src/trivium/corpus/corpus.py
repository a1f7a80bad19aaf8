"""The corpus: utterances that share a specification, selected and joined without copying them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from trivium.corpus.batch import Batch, Index, row_numbers
from trivium.corpus.specification import LabelSpecification, Specification
from trivium.corpus.utterance import Utterance
from trivium.errors import DataError, SpecificationError

__all__ = ["Corpus", "Source", "concat"]


class Source(Protocol):
    """Where a corpus finds its utterances: in memory, on disk, or in several other sources."""

    def __len__(self) -> int:
        """Count the utterances."""

    def column_names(self) -> Sequence[str]:
        """Names of the scalar columns: ``id clip text start end``, then ``group.*``, ``split.*`` and ``label.*``."""

    def column(self, name: str) -> NDArray[Any]:
        """One scalar column for all utterances (see :meth:`Corpus.column` for types)."""

    def lengths(self, modality: str) -> NDArray[np.int64]:
        """Steps of one modality, -1 where the utterance lacks it."""

    def utterances(self, rows: NDArray[np.int64]) -> list[Utterance]:
        """Read whole utterances by row number, in the order asked for."""


class Corpus(Sequence[Utterance]):
    """Utterances, their specification, groups, labels and named splits.

    Make one from utterances with :meth:`from_utterances`, from a folder with :meth:`open`, from other people's files
    with :func:`trivium.read`, from clips with :func:`trivium.extract`.

    Parameters
    ----------
    source : Source
        Where the utterances are.
    specification : Specification
        What every utterance keeps to.
    provenance : mapping
        Where the corpus comes from: plain builtins that go into ``corpus.json``.
    rows : integer array, optional
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
        return cls(_Memory(kept, specification), specification, provenance)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Corpus:
        """Open a corpus folder; only footers are read."""
        from trivium.corpus.store import open_corpus

        return open_corpus(path)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the corpus to a folder, atomically."""
        from trivium.corpus.store import save_corpus

        save_corpus(self, path, overwrite=overwrite)

    @property
    def shape(self) -> tuple[int]:
        """(N,). scikit-learn hands objects without a shape to estimators as plain lists."""
        return (len(self),)

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, key: int) -> Utterance: ...
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
            return np.asarray(values != "")
        return ~np.isnan(values.reshape(len(self), -1)).any(axis=1)

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
        chosen = self.split(split) == fold
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
        return Corpus(_Selected(self.source, kept.modalities), kept, self.provenance, self.rows)

    def batch(self, key: Index = slice(None)) -> Batch:
        """Padded values and masks of the selected utterances, all modalities.

        Parameters
        ----------
        key : slice, integer array or mask
            Which utterances; default all.
        """
        rows = self.rows[row_numbers(key, len(self))]
        utterances = self.source.utterances(rows)
        values: dict[str, NDArray[Any]] = {}
        mask: dict[str, NDArray[np.bool_]] = {}
        for stream in self.specification.streams:
            values[stream.modality], mask[stream.modality] = _pad(utterances, stream.modality, stream.dim, stream.dtype)
        return Batch(tuple(u.id for u in utterances), values, mask, self.specification)

    def _named(self, kind: str, name: str) -> NDArray[np.str_]:
        if name not in self._names(kind):
            raise SpecificationError(
                f"there is no {kind} {name!r}", remedy=f"choose from {', '.join(self._names(kind)) or 'none'}"
            )
        return self.column(f"{kind}.{name}")

    def _names(self, kind: str) -> list[str]:
        return [n.partition(".")[2] for n in self.source.column_names() if n.startswith(f"{kind}.")]


def _pad(utterances: list[Utterance], modality: str, dim: int, dtype: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    streams = [u.streams.get(modality) for u in utterances]
    lengths = np.array([0 if s is None else s.steps for s in streams], dtype=np.int64)
    longest = int(lengths.max(initial=0))
    values = np.zeros((len(utterances), longest, dim), dtype=dtype)
    for row, stream in zip(values, streams, strict=True):
        if stream is not None:
            row[: stream.steps] = stream.values
    return values, np.arange(longest) < lengths[:, None]


class _Memory:
    """Utterances held in a list."""

    def __init__(self, utterances: list[Utterance], specification: Specification) -> None:
        self._utterances = utterances
        self._specification = specification
        self._names = ["id", "clip", "text", "start", "end"]
        for kind, maps in (("group", [u.groups for u in utterances]), ("split", [u.splits for u in utterances])):
            self._names += [f"{kind}.{name}" for name in sorted({name for m in maps for name in m})]
        self._names += [f"label.{label.key}" for label in specification.labels]

    def __len__(self) -> int:
        return len(self._utterances)

    def column_names(self) -> Sequence[str]:
        return self._names

    def column(self, name: str) -> NDArray[Any]:
        kind, _, rest = name.partition(".")
        if kind == "label":
            return label_column([u.labels.get(rest) for u in self._utterances], self._specification.label(rest))
        if kind in ("start", "end"):
            return np.array([getattr(u, kind) for u in self._utterances], dtype=np.float64)
        if kind in ("group", "split"):
            return np.array([getattr(u, f"{kind}s").get(rest, "") for u in self._utterances], dtype=np.str_)
        return np.array([getattr(u, name) for u in self._utterances], dtype=np.str_)

    def lengths(self, modality: str) -> NDArray[np.int64]:
        streams = (u.streams.get(modality) for u in self._utterances)
        return np.array([-1 if s is None else s.steps for s in streams], dtype=np.int64)

    def utterances(self, rows: NDArray[np.int64]) -> list[Utterance]:
        return [self._utterances[row] for row in rows]


def label_column(values: Sequence[Any], label: LabelSpecification) -> NDArray[Any]:
    """Column of one label, with NaN or ``""`` where a value is None.

    Parameters
    ----------
    values : sequence of N values or None
        As stored in :class:`Utterance`.
    label : LabelSpecification
        Says which type the column has.
    """
    if label.kind == "multilabel":
        absent = (np.nan,) * len(label.classes)
        return np.array([absent if v is None else v for v in values], np.float64).reshape(-1, len(label.classes))
    if label.is_number:
        return np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    return np.array(["" if v is None else v for v in values], dtype=np.str_)


class _Selected:
    """A source that hides modalities."""

    def __init__(self, source: Source, modalities: tuple[str, ...]) -> None:
        self._source, self._modalities = source, modalities

    def __len__(self) -> int:
        return len(self._source)

    def column_names(self) -> Sequence[str]:
        return self._source.column_names()

    def column(self, name: str) -> NDArray[Any]:
        return self._source.column(name)

    def lengths(self, modality: str) -> NDArray[np.int64]:
        return self._source.lengths(modality)

    def utterances(self, rows: NDArray[np.int64]) -> list[Utterance]:
        from dataclasses import replace

        kept = self._modalities
        return [
            replace(u, streams={m: u.streams[m] for m in kept if m in u.streams}) for u in self._source.utterances(rows)
        ]


class _Joined:
    """Several corpora behind one another, with their name as the group ``corpus``."""

    def __init__(self, corpora: Sequence[Corpus], names: Sequence[str], labels: Sequence[LabelSpecification]) -> None:
        self._corpora, self._corpus_names = list(corpora), list(names)
        self._ends = np.cumsum([len(c) for c in corpora])
        self._labels = {f"label.{label.key}": label for label in labels}
        found = dict.fromkeys(n for c in corpora for n in c.column_names() if not n.startswith("label."))
        self._names = [*dict.fromkeys([*found, "group.corpus"]), *self._labels]

    def __len__(self) -> int:
        return int(self._ends[-1])

    def column_names(self) -> Sequence[str]:
        return self._names

    def column(self, name: str) -> NDArray[Any]:
        parts: list[NDArray[Any]] = []
        for corpus, own in zip(self._corpora, self._corpus_names, strict=True):
            if name == "group.corpus":
                parts.append(np.full(len(corpus), own, dtype=np.str_))
            elif name in corpus.column_names():
                parts.append(corpus.column(name))
            elif name in self._labels:
                parts.append(label_column([None] * len(corpus), self._labels[name]))
            else:
                parts.append(np.full(len(corpus), "", dtype=np.str_))
        return np.concatenate(parts)

    def lengths(self, modality: str) -> NDArray[np.int64]:
        return np.concatenate([c.lengths(modality) for c in self._corpora])

    def utterances(self, rows: NDArray[np.int64]) -> list[Utterance]:
        from dataclasses import replace

        which = np.searchsorted(self._ends, rows, side="right")
        found: list[Utterance | None] = [None] * len(rows)
        for number in np.unique(which):
            places = np.flatnonzero(which == number)
            corpus, name = self._corpora[number], self._corpus_names[number]
            begin = self._ends[number] - len(corpus)
            for place, u in zip(places, corpus.source.utterances(corpus.rows[rows[places] - begin]), strict=True):
                found[place] = replace(u, groups={**u.groups, "corpus": name})
        return [u for u in found if u is not None]


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
        raise DataError(f"the id {unique[counts > 1][0]!r} is in two corpora", remedy="make the ids unique")
    source = _Joined(corpora, names, list(labels.values()))
    provenance = {"joined": [{"name": n, **c.provenance} for n, c in zip(names, corpora, strict=True)]}
    return Corpus(source, Specification(first.specification.streams, tuple(labels.values())), provenance)
