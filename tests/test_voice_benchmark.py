"""The comparison of voice columns measures what it says: statistics by hand, and frames that meet in time."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from trivium.extract.audio.voice import VOICE_COLUMNS, voice_stream

PLACE = {column.name: i for i, column in enumerate(VOICE_COLUMNS)}
RATE = 16_000


@pytest.fixture
def benchmark_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))


def load(name: str) -> ModuleType:
    from importlib import import_module

    return import_module(name)


def test_statistics_of_a_clip_are_those_worked_out_by_hand() -> None:
    module = load("trivium.evaluate.suite.voice_functionals")
    pitch, loudness = np.array([0.0, 10, 12, 0, 0, 20]), np.array([1.0, 2, 5, 3, 4, 2])
    layout = module.Layout(voice=[0], other=[1], pitch=0, loudness=1)
    found = module.statistics(np.stack([pitch, loudness], axis=1), layout)
    voiced = np.array([10.0, 12, 20])
    spoken = np.array([2.0, 5, 2])
    truth = [voiced.mean(), voiced.std(), *np.percentile(voiced, [20, 50, 80])]
    truth += [loudness.mean(), loudness.std(), *np.percentile(loudness, [20, 50, 80])]
    truth += [spoken.mean(), spoken.std()]
    truth += [
        0.5,
        2 / 0.06,
        0.015,
        0.005,
        0.015,
        0.005,
        2 / 0.06,
        0.06,
    ]  # pieces 2 and 1 long, pauses 1 and 2, peaks 5 and 4
    truth += [5 / 3, np.std([1, 3, 1]), -2, 0]  # rises and falls of loudness
    truth += [5, 3, 0, 0]  # of the pitch
    assert found == pytest.approx(truth)


def test_an_unvoiced_clip_has_statistics_too() -> None:
    module = load("trivium.evaluate.suite.voice_functionals")
    found = module.statistics(np.zeros((50, 3)), module.Layout([0], [1, 2], 0, 1))
    assert np.isfinite(found).all()
    assert module.flattened(np.zeros((50, 3))).shape == (60,)


@pytest.mark.usefixtures("benchmark_module")
def test_a_descriptor_that_is_one_of_our_columns_seen_later_agrees_wholly() -> None:
    module = load("voice_agreement")
    time = np.arange(3 * RATE) / RATE
    phase = 2 * np.pi * np.cumsum(150 + 60 * np.sin(2 * np.pi * 1.5 * time)) / RATE
    sound = np.sum([np.sin(k * phase) / k for k in range(1, 8)], axis=0) * (1.2 + np.sin(2 * np.pi * 2 * time))
    ours = voice_stream((0.1 * sound).astype(np.float32)).values
    # another extractor, whose steps of 60 ms begin with them: row i is what trivium sees at 30 + 10 i ms
    middles = (np.arange(len(ours)) + 0.5) * 0.01
    theirs = np.zeros((len(ours) - 6, len(module.PAIRS)))
    for i, pair in enumerate(module.PAIRS):
        seen = ours[:, PLACE[pair.ours]].astype(np.float64)
        theirs[:, i] = np.interp(np.arange(len(theirs)) * 0.01 + pair.middle, middles, seen)
    for name in ("F0semitoneFrom27.5Hz", "HNRdBACF", "Loudness", "mfcc1", "F1frequency"):
        place = module.DESCRIPTOR[name]
        row = module.agreement(place, {"a": ours}, {"a": theirs}, module.PAIRS[place].ours)
        assert row["median"] > 0.95, row
        other = module.agreement(place, {"a": ours}, {"a": np.roll(theirs, 9, axis=0)}, module.PAIRS[place].ours)
        assert other["median"] < row["median"] - 0.02, other
