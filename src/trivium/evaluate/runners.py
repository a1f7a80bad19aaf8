"""The runners of the paper: every combination of modalities, of pretraining corpora, and leave-one-corpus-out.

Paper: Koromilas & Giannakopoulos (2021), arXiv 2110.03007. Each gives one probe per combination, all on the same folds.
Different: in the public code training and test parts of the other corpora go into pretraining; here all utterances of
the other corpora do, and of the target corpus only those outside the test fold. As there, the target corpus is read
with its own scaler where it took part in pretraining; where it did not, with that of all pretraining corpora together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

from trivium.align import align
from trivium.corpus import Aligned, Corpus
from trivium.errors import SpecificationError
from trivium.evaluate.describe import Representation, parameters
from trivium.evaluate.probe import named, probe
from trivium.evaluate.report import ProbeResult
from trivium.scale import POOLED

__all__ = ["leave_one_corpus_out", "modality_combinations", "pretraining_combinations"]


def modality_combinations(
    representation: Representation | Mapping[str, Representation],
    data: Aligned | Corpus,
    label: str | Sequence[str],
    *,
    words: int = 20,
    out: str | Path | None = None,
    **options: Any,
) -> dict[str, ProbeResult]:
    """Probe every non-empty combination of modalities.

    Parameters
    ----------
    representation : estimator, str, or mapping of str to these
        Fitted anew on the columns of each combination.
    data : Aligned or Corpus
        Utterances.
    label : str or sequence of str
        What to predict.
    words : int
        Steps of a corpus.
    out : path, optional
        Each combination gets a folder of its own below.
    **options
        Of :func:`trivium.evaluate.probe`.

    Returns
    -------
    dict of str to ProbeResult
        By names joined with ``+``, single modalities first.
    """
    aligned = align(data, words=words) if isinstance(data, Corpus) else data
    names = aligned.specification.modalities

    def run(kept: tuple[str, ...], folder: Path | None) -> ProbeResult:
        return probe(representation, aligned.select(kept), label, out=folder, **options)

    return dict(_each(names, run, out))


def pretraining_combinations(
    representation: Representation | Mapping[str, Representation],
    data: Aligned | Corpus,
    label: str | Sequence[str],
    *,
    target: str,
    words: int = 20,
    out: str | Path | None = None,
    **options: Any,
) -> dict[str, ProbeResult]:
    """Probe one corpus with every non-empty combination of corpora as pretraining material.

    Parameters
    ----------
    representation : estimator, str, or mapping of str to these
        Fitted on each combination; test folds of the target never take part. One whose ``scaler`` is ``pooled``
        scales with that of the target where the target is in the combination, and a remark names it.
    data : Aligned or Corpus
        Several corpora joined with :func:`trivium.concat`, so that the group ``corpus`` tells them apart.
    label : str or sequence of str
        What to predict.
    target : str
        Corpus that is evaluated.
    words : int
        Steps of a corpus.
    out : path, optional
        Each combination gets a folder of its own below.
    **options
        Of :func:`trivium.evaluate.probe`.

    Returns
    -------
    dict of str to ProbeResult
        By names of corpora joined with ``+``.

    Raises
    ------
    SpecificationError
        There is no such corpus.
    """
    aligned = align(data, words=words) if isinstance(data, Corpus) else data
    corpora = aligned.group("corpus")
    names = tuple(dict.fromkeys(corpora.tolist()))
    _require(target, names)

    def run(kept: tuple[str, ...], folder: Path | None) -> ProbeResult:
        rows = np.isin(corpora, kept)
        own = _scaled_by(target, representation) if target in kept else representation
        return probe(own, aligned, label, evaluated=corpora == target, pretraining=rows, out=folder, **options)

    return dict(_each(names, run, out))


def leave_one_corpus_out(
    representation: Representation | Mapping[str, Representation],
    data: Aligned | Corpus,
    label: str | Sequence[str] | Mapping[str, str],
    *,
    words: int = 20,
    out: str | Path | None = None,
    **options: Any,
) -> dict[str, ProbeResult]:
    """Probe every labelled corpus with a representation that was pretrained on all the others.

    Parameters
    ----------
    representation : estimator, str, or mapping of str to these
        Fitted on the other corpora.
    data : Aligned or Corpus
        Several corpora joined with :func:`trivium.concat`.
    label : str, sequence of str, or mapping of str to str
        What to predict; a mapping names the label of each corpus that is to be evaluated.
    words : int
        Steps of a corpus.
    out : path, optional
        Each corpus gets a folder of its own below.
    **options
        Of :func:`trivium.evaluate.probe`.

    Returns
    -------
    dict of str to ProbeResult
        By the corpus left out of pretraining.

    Raises
    ------
    SpecificationError
        There is one corpus only, or no such corpus.
    """
    aligned = align(data, words=words) if isinstance(data, Corpus) else data
    corpora = aligned.group("corpus")
    names = tuple(dict.fromkeys(corpora.tolist()))
    if len(names) < 2:
        raise SpecificationError("leaving one corpus out needs at least two", remedy="join several with concat")
    labels = label if isinstance(label, Mapping) else dict.fromkeys(names, label)
    found = {}
    for target, own in labels.items():
        _require(target, names)
        folder = None if out is None else Path(out) / target
        left = corpora == target
        found[target] = probe(representation, aligned, own, evaluated=left, pretraining=~left, out=folder, **options)
    return found


def _each(
    names: Sequence[str], run: Callable[[tuple[str, ...], Path | None], ProbeResult], out: str | Path | None
) -> Iterator[tuple[str, ProbeResult]]:
    for count in range(1, len(names) + 1):
        for kept in combinations(names, count):
            name = "+".join(kept)
            yield name, run(kept, None if out is None else Path(out) / name)


def _scaled_by(
    corpus: str, representation: Representation | Mapping[str, Representation] | None
) -> dict[str, Representation]:
    """The representations, those that scale by all corpora together now by one."""
    return {
        name: clone(one).set_params(scaler=corpus) if parameters(one).get("scaler") == POOLED else one
        for name, one in named(representation).items()
    }


def _require(target: str, names: Sequence[str]) -> None:
    if target not in names:
        raise SpecificationError(f"there is no corpus {target!r}", remedy=f"choose from {', '.join(names)}")
