"""The probe: how much a frozen vector tells a linear model about a label, always beside its floors.

Every representation is fitted anew inside every outer fold, without labels, test rows and other rows of their clusters
(stored weights are not fitted again, and the table says so); its vectors are then frozen, standardised and read by
logistic or ridge regression. All rows of the table share folds, readout and grid.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.align import align
from trivium.corpus import Aligned, Corpus
from trivium.errors import DataError
from trivium.evaluate.clusters import clusters_of
from trivium.evaluate.describe import Representation
from trivium.evaluate.entry import chosen_seeds, require_folds, require_rows, row_mask
from trivium.evaluate.protocols import Protocol, given_split, grouped_folds, repeated_folds
from trivium.evaluate.report import ProbeResult, TestReads
from trivium.evaluate.scores import rows_of
from trivium.evaluate.study import FLOORS, READOUTS, Study, data_hash
from trivium.evaluate.target import require_known, target_of
from trivium.represent.request import representation as made
from trivium.weights import Weights

__all__ = ["named", "probe"]


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
    readout: str = "linear",
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
        Group that stays together in folds, inner folds and the bootstrap: ``speaker``, ``actor``, ``video``. Equal
        names in two corpora are two groups, and utterances without a group are groups of their own.
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
        Instead of the arguments above, with N rows and folds for every seed; `group` is then only the name of its
        clusters.
    floors : sequence of str
        Which of :data:`FLOORS`.
    metrics : sequence of str, optional
        Names from :data:`trivium.metrics.METRICS` that suit the label; the first one gets the intervals.
    readout : {"linear", "late"}
        One :class:`LinearReadout` for the whole vector, or a :class:`LateReadout` over the modalities, of which each
        is represented by itself; floors get the same.
    evaluated : bool array of shape (N,), optional
        Utterances that are classified; default all with a label.
    pretraining : bool array of shape (N,), optional
        Utterances that representations may be fitted on; default the evaluated ones. Those of any fold must be in the
        train or valid rows of the fold at hand, and none may share a cluster with its test rows; a remark says how
        many are left out for that.
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
        Too few utterances or groups, a fold without two classes, a seed without folds, folds that learn from their
        test rows or test a row twice, masks of another length, no resamples.
    SpecificationError
        A label, group, split or readout does not exist, a metric does not suit the label, or stored weights, which read
        all modalities at once, are to be read late.

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
    require_known(data, label, *((group, split) if protocol is None else ()))
    aligned = align(data, words=words) if isinstance(data, Corpus) else data
    target = target_of(aligned, label)
    target = target if metrics is None else target.measured_by(metrics)
    chosen = chosen_seeds(seeds)
    if resamples < 1:
        raise DataError(f"{resamples} resamples give no interval", remedy="ask for at least 1")
    evaluated = target.known if evaluated is None else target.known & row_mask("evaluated", evaluated, len(aligned))
    material = evaluated if pretraining is None else row_mask("pretraining", pretraining, len(aligned))
    if not evaluated.any():
        raise DataError("no utterance with a label is evaluated")
    plan = protocol or _protocol(aligned, np.flatnonzero(evaluated), group, split, folds, repeated, chosen)
    require_rows(plan, len(aligned))
    plan = replace(plan, clusters=clusters_of(plan.clusters)).without(~evaluated)
    if not plan.folds:
        raise DataError("no utterance with a label is in a test fold")
    require_folds(plan, chosen)
    study = Study(aligned, target, plan, chosen, material, TestReads(out), readout)
    predictions = study.run(named(representation), floors, progress)
    settings = {
        "seeds": list(chosen),
        "resamples": resamples,
        "clusters": _cluster_name(plan, aligned, group),
        "grid": READOUTS[readout],
        "steps": aligned.shape[1],
        "representations": study.described,
        "remarks": study.remarks,
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


def _protocol(
    data: Aligned,
    evaluated: NDArray[np.int64],
    group: str | None,
    split: str | None,
    folds: int,
    repeated: bool,
    seeds: Sequence[int],
) -> Protocol:
    """Protocol of the evaluated rows alone, in the row numbers of all: rows beside them must not shape the folds."""
    clusters = data.ids if group is None else _groups(data, group)
    own = clusters[evaluated]
    if split is not None:
        made = given_split(data.split(split)[evaluated], own, name=split)
    elif group is None or repeated:
        made = repeated_folds(own, folds, seeds)
    else:
        made = grouped_folds(own, folds, name=group)
    return made.placed(evaluated, clusters)


def _groups(data: Aligned, name: str) -> NDArray[Any]:
    return clusters_of(data.group(name), data.table.get("group.corpus"))


def _cluster_name(plan: Protocol, data: Aligned, group: str | None) -> str:
    """What the intervals resample; the name of a group counts only where the protocol's clusters are that group."""
    if group is not None and _same_parts(_groups(data, group), plan.clusters):
        return group
    count = len(np.unique(plan.clusters))
    return "utterance" if count == len(data) else f"{count} clusters that the protocol names"


def _same_parts(ours: NDArray[Any], theirs: NDArray[Any]) -> bool:
    """Whether two groupings put the same utterances together, whatever they call them."""
    pairs = len(set(zip(ours.tolist(), theirs.tolist(), strict=True)))
    return pairs == len(np.unique(ours)) == len(np.unique(theirs))


def named(representation: Representation | Mapping[str, Representation] | None) -> dict[str, Representation]:
    """Representations by the name of their row: registered names are resolved, one alone is called by its class.

    Parameters
    ----------
    representation : estimator, str, Weights, mapping of str to these, or None
        As :func:`probe` takes them.

    Examples
    --------
    >>> from trivium.represent.pooling import MeanPooling
    >>> list(named(MeanPooling())), named(None)
    (['MeanPooling'], {})
    """
    if representation is None:
        return {}
    if isinstance(representation, str):
        return {representation: made(representation)}
    if isinstance(representation, Weights):
        return {representation.folder.name: representation}
    if isinstance(representation, Mapping):
        return {name: next(iter(named(value).values())) for name, value in representation.items()}
    return {type(representation).__name__: representation}
