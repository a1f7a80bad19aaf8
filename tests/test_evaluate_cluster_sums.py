"""Measures from sums by cluster against the measures themselves on the rows that were drawn or exchanged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trivium.evaluate import NAMED_PROTOCOLS, Answers, NamedProtocol
from trivium.evaluate.bootstrap import drawn_counts, resamples
from trivium.evaluate.cluster_sums import ClusterSums
from trivium.evaluate.scorecard import values_of
from trivium.metrics import METRICS

GRID = np.array([-3, -2.5, -1.5, -0.5, 0, 0.1, 0.5, 0.7, 1, 1.5, 3], np.float32)


def drawn(protocol: NamedProtocol, rng: np.random.Generator, folds: int = 1) -> Answers:
    """Answers of two seeds on thirty utterances in eight clusters, on edges and between."""
    shape: tuple[int, ...] = (30, len(protocol.classes)) if protocol.is_multilabel else (30,)
    truth: Any
    said: Any
    if protocol.is_number:
        truth = rng.choice(GRID, shape)
        said = np.where(rng.random((2, 30)) < 0.5, rng.choice(GRID, (2, 30)), rng.normal(0, 1, (2, 30)))
        said = said.astype(np.float32)
    elif protocol.is_multilabel:
        truth, said = rng.random(shape) < 0.4, rng.random((2, *shape)) < 0.4
    else:
        names = np.array(protocol.classes or ("calm", "angry", "sad"))
        truth, said = rng.choice(names, shape), rng.choice(names, (2, *shape))
    tested = np.broadcast_to(rng.integers(0, folds, 30).astype(str), (2, 30))
    return Answers(np.arange(30).astype(str), ("0", "1"), said, truth, tested, rng.integers(0, 8, 30))


@pytest.mark.parametrize("protocol", NAMED_PROTOCOLS.values(), ids=list(NAMED_PROTOCOLS))
@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), folds=st.integers(1, 3))
def test_a_resample_of_sums_equals_the_measures_of_its_rows(protocol: NamedProtocol, seed: int, folds: int) -> None:
    rng = np.random.default_rng(seed)
    answers = drawn(protocol, rng, folds)
    names = np.unique(answers.clusters)
    draw = rng.integers(len(names), size=len(names))
    rows = np.concatenate([np.flatnonzero(answers.clusters == names[c]) for c in draw])
    counts = np.bincount(draw, minlength=len(names)).astype(float)
    found = ClusterSums.of(answers, protocol).values(counts[None])[0]
    assert found == pytest.approx(values_of(answers, protocol, rows).mean(axis=1), abs=2e-6, nan_ok=True)


@pytest.mark.parametrize("protocol", NAMED_PROTOCOLS.values(), ids=list(NAMED_PROTOCOLS))
@settings(max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_an_exchange_of_sums_equals_the_measures_of_exchanged_answers(protocol: NamedProtocol, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ours = drawn(protocol, rng)
    theirs = replace(ours, said=ours.said[:, rng.permutation(30)])
    names, cluster = np.unique(ours.clusters, return_inverse=True)
    swapped = rng.integers(2, size=len(names))
    where = swapped[cluster].astype(bool).reshape(1, -1, *([1] * (ours.said.ndim - 2)))
    mixed = replace(ours, said=np.where(where, theirs.said, ours.said))
    a, b = ClusterSums.of(ours, protocol, beside=[theirs]), ClusterSums.of(theirs, protocol, beside=[ours])
    expected = values_of(mixed, protocol, np.arange(30)).mean(axis=1)
    found = a.exchanged(b, swapped[None].astype(float))[0]
    assert found == pytest.approx(expected, abs=2e-6, nan_ok=True)


def test_the_three_steps_of_a_metric_are_the_metric() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.choice(GRID, 50), rng.choice(GRID, 50)
    for name, found in METRICS.items():
        if found.base is not None:
            kept = np.ones(50, bool) if found.kept is None else found.kept(y)
            truth, said = found.rows(y, p)
            assert found.base(truth[kept], said[kept]) == found.function(y, p), name


def test_counts_are_those_of_resampled_rows() -> None:
    clusters = np.repeat(np.arange(5), [1, 2, 3, 4, 5])
    (block,) = drawn_counts(5, 40, seed=3)
    by_rows = [np.bincount(clusters[rows], minlength=5) / np.bincount(clusters) for rows in resamples(clusters, 40, 3)]
    assert block.tolist() == np.array(by_rows).tolist()


def test_many_clusters_come_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    (whole,) = drawn_counts(4, 10, seed=0)
    monkeypatch.setattr("trivium.evaluate.bootstrap._BLOCK", 12)
    blocks = list(drawn_counts(4, 10, seed=0))
    assert [len(block) for block in blocks] == [3, 3, 3, 1]
    assert np.concatenate(blocks).tolist() == whole.tolist()
