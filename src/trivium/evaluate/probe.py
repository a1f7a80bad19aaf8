"""The probe: how much a frozen vector tells a linear model about a label, always beside its floors.

Every representation is fitted anew inside every outer fold, without labels and without test rows; its vectors are then
frozen, standardised and read by logistic or ridge regression. All rows of the table share folds, readout and grid.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from trivium import registry
from trivium.align import align
from trivium.corpus import Aligned, Corpus
from trivium.errors import DataError
from trivium.evaluate.protocols import Protocol, given_split, grouped_folds, repeated_folds
from trivium.evaluate.report import ProbeResult, TestReads
from trivium.evaluate.scores import rows_of
from trivium.evaluate.study import FLOORS, Representation, Study
from trivium.evaluate.target import target_of
from trivium.files import sha256_bytes
from trivium.weights import Weights

__all__ = ["data_hash", "probe"]


def probe(
    representation: Representation | Mapping[str, Representation] | None,
    data: Aligned | Corpus,
    label: str | Sequence[str],
    *,
    group: str | None = None,
    split: str | None = None,
    folds: int = 5,
    repeated: bool = False,
    seeds: int | Sequence[int] = 5,
    protocol: Protocol | None = None,
    floors: Sequence[str] = FLOORS,
    metrics: Sequence[str] | None = None,
    evaluated: NDArray[np.bool_] | None = None,
    pretraining: NDArray[np.bool_] | None = None,
    words: int = 20,
    resamples: int = 1000,
    out: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> ProbeResult:
    """Read frozen vectors with a linear model, and every floor with the same one.

    Parameters
    ----------
    representation : estimator, str, Weights, or mapping of str to these
        Anything with ``fit`` and ``transform`` that scikit-learn can clone, the name of a registered one, or opened
        weights (which are not fitted again). None: the floors alone.
    data : Aligned or Corpus
        Utterances; a corpus is aligned to `words` steps.
    label : str or sequence of str
        What to predict; several labels of numbers give ``mean_r``.
    group : str, optional
        Group that stays together in folds, inner folds and the bootstrap: ``speaker``, ``actor``, ``video``.
    split : str, optional
        Take the folds of a named split instead of making some.
    folds : int
        Outer folds. With `group`: whole groups in their order, the same for every seed; else partitions at random,
        another for every seed.
    repeated : bool
        With `group`: partition the groups at random, anew for every seed.
    seeds : int or sequence of int
        Seeds; an int n means 0 ... n-1. They set ``random_state`` of representations, and random partitions.
    protocol : Protocol, optional
        Instead of the arguments above, with N rows.
    floors : sequence of str
        Which of :data:`FLOORS`.
    metrics : sequence of str, optional
        Names from :data:`trivium.metrics.METRICS`; the first one gets the intervals.
    evaluated : bool array of shape (N,), optional
        Utterances that are classified; default all with a label.
    pretraining : bool array of shape (N,), optional
        Utterances that representations may be fitted on (never those of a test fold); default the evaluated ones.
    words : int
        Steps of a corpus.
    resamples : int
        Of the bootstrap.
    out : path, optional
        Folder of the run: ``result.json``, ``result.md``, ``predictions.csv`` and ``test_reads.jsonl``, which counts
        every read of a test fold, across runs into the same folder.
    progress : bool
        Show progress.

    Returns
    -------
    ProbeResult
        Mean and spread over seeds, intervals over clusters, differences to every floor, predictions.

    Raises
    ------
    DataError
        Too few utterances or groups, or a fold without two classes.
    SpecificationError
        A label, group or split does not exist.

    Notes
    -----
    Measures are taken within each test fold and averaged over folds, because the readouts of different folds have
    different intercepts. Source: our choice; the readout follows Koromilas & Giannakopoulos (2021), on a smaller grid.

    Examples
    --------
    >>> from trivium.corpus import LabelSpecification, Specification, StreamSpecification
    >>> rng = np.random.default_rng(0)
    >>> mood = LabelSpecification("mood", "binary", ("calm", "angry"))
    >>> spec = Specification((StreamSpecification("audio", ("f0", "energy"), clock="words"),), (mood,))
    >>> y = np.array(["calm", "angry"] * 30)
    >>> x = rng.standard_normal((60, 3, 2)).astype(np.float32) + (y == "angry")[:, None, None]
    >>> table = {"label.mood": y, "group.speaker": np.arange(60).astype(str)}
    >>> data = Aligned.from_arrays(x, spec, table=table)
    >>> result = probe(None, data, "mood", group="speaker", floors=["majority", "mean"], progress=False)
    >>> result.row("majority").mean("uar"), result.row("mean").mean("uar") > 0.8
    (0.5, True)
    """
    aligned = align(data, words=words) if isinstance(data, Corpus) else data
    target = target_of(aligned, label)
    target = target if metrics is None else replace(target, metrics=tuple(metrics))
    chosen = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    plan = protocol or _protocol(aligned, group, split, folds, repeated, chosen)
    evaluated = target.known if evaluated is None else target.known & evaluated
    plan = plan.without(~evaluated)
    if not plan.folds:
        raise DataError("no utterance with a label is in a test fold")
    study = Study(aligned, target, plan, chosen, evaluated if pretraining is None else pretraining, TestReads(out))
    predictions = study.run(_named(representation), floors, progress)
    settings = {
        "seeds": list(chosen),
        "resamples": resamples,
        "clusters": group or "utterance",
        "grid": "C 1e-5 ... 1e1, or alpha 1e-1 ... 1e6, in powers of ten",
        "representations": study.described,
        "data": data_hash(aligned),
    }
    rows = rows_of(predictions, study.features, target, plan.clusters, floors, resamples)
    result = ProbeResult(
        target.label,
        plan.description,
        target.metrics,
        rows,
        target.classes,
        aligned.ids,
        target.values,
        settings,
        study.reads.total,
    )
    if out is not None:
        result.write(out)
    return result


def data_hash(data: Aligned) -> str:
    """SHA-256 over ids, values and masks.

    Parameters
    ----------
    data : Aligned
        N utterances.
    """
    parts = (data.ids.astype("U"), data.values, data.mask, data.cell_mask)
    return sha256_bytes(b"".join(sha256_bytes(np.ascontiguousarray(part).tobytes()).encode() for part in parts))


def _protocol(
    data: Aligned, group: str | None, split: str | None, folds: int, repeated: bool, seeds: Sequence[int]
) -> Protocol:
    clusters = data.ids if group is None else data.group(group)
    if split is not None:
        return given_split(data.split(split), clusters, name=split)
    if group is None or repeated:
        return repeated_folds(clusters, folds, seeds)
    return grouped_folds(clusters, folds, name=group)


def _named(representation: Representation | Mapping[str, Representation] | None) -> dict[str, Representation]:
    if representation is None:
        return {}
    if isinstance(representation, str):
        return {representation: registry.load("representation", representation)()}
    if isinstance(representation, Weights):
        return {representation.folder.name: representation}
    if isinstance(representation, Mapping):
        return {name: next(iter(_named(value).values())) for name, value in representation.items()}
    return {type(representation).__name__: representation}
