"""Folds of a task as its declaration wants them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Aligned
from trivium.evaluate.clusters import clusters_of
from trivium.evaluate.entry import require_folds, require_rows
from trivium.evaluate.protocols import Protocol, across, given_split, grouped_folds, repeated_folds
from trivium.evaluate.suite.declared import Division

__all__ = ["protocol_of"]


def protocol_of(division: Division, data: Aligned, cluster: str, seeds: Sequence[int]) -> Protocol:
    """Folds of one division, whose clusters are the task's.

    Parameters
    ----------
    division : Division
        What is wanted.
    data : Aligned
        N utterances with groups and splits.
    cluster : str
        Group that inner folds keep together and the bootstrap resamples; empty: utterances.
    seeds : sequence of int
        Partitions at random are made anew for each.

    Raises
    ------
    SpecificationError
        A group or split does not exist.
    DataError
        Folds cannot be made.

    Examples
    --------
    >>> from trivium.represent.inputs import array_to_aligned
    >>> made = protocol_of(Division("at random", "repeated", 2), array_to_aligned(np.ones((4, 2, 1))), "", [0, 1])
    >>> len(made.folds)
    4
    """
    clusters = clusters_of(data.group(cluster)) if cluster else data.ids
    made = _folds(division, data, clusters, seeds)
    if division.across:
        made = across(made, data.group(division.across), name=division.across)
    if division.inner:
        made = _chosen_within(made)
    told = made.description.replace(f"inner folds by {division.group}", f"inner folds by {cluster or 'utterance'}")
    made = replace(made, clusters=clusters, description=told)
    require_rows(made, len(data))
    require_folds(made, tuple(seeds))
    return made


def _folds(division: Division, data: Aligned, clusters: NDArray[Any], seeds: Sequence[int]) -> Protocol:
    if division.folds == "repeated":
        return repeated_folds(clusters, division.count, seeds)
    if division.folds == "grouped":
        return grouped_folds(np.asarray(data.group(division.group)), division.count, name=division.group)
    return given_split(data.split(division.split), clusters, name=division.split)


def _chosen_within(protocol: Protocol) -> Protocol:
    """Validation rows join the training rows, whose inner folds choose."""
    folds = tuple(replace(f, train=np.concatenate([f.train, f.valid]), valid=f.valid[:0]) for f in protocol.folds)
    told = protocol.description.replace(
        "strength chosen on the valid fold", "strength chosen on inner folds of the rest"
    )
    return replace(protocol, folds=folds, description=told)
