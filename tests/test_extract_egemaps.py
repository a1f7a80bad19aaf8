"""eGeMAPS: the licence has to be accepted; openSMILE's rows on our clock."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trivium.errors import DependencyError
from trivium.extract.audio.egemaps import COLUMNS, EgemapsExtractor


class _Smile:
    """Stands in for openSMILE: as many frames as it gives, each with its number in every column."""

    def __init__(self, **options: Any) -> None:
        assert options == {"feature_set": "eGeMAPSv02", "feature_level": "lld"}

    def process_signal(self, sound: np.ndarray, rate: int) -> pd.DataFrame:
        steps = len(sound) // 160 - 4
        values = np.full((1, 25), np.nan) if steps < 1 else np.repeat(np.arange(steps)[:, None], 25, axis=1)
        return pd.DataFrame(values, columns=list(COLUMNS))


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module = SimpleNamespace(
        Smile=_Smile,
        FeatureSet=SimpleNamespace(eGeMAPSv02="eGeMAPSv02"),
        FeatureLevel=SimpleNamespace(LowLevelDescriptors="lld"),
        __version__="0.0",
    )
    monkeypatch.setitem(sys.modules, "opensmile", module)
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path))
    monkeypatch.delenv("TRIVIUM_ACCEPT_OPENSMILE", raising=False)


@pytest.mark.usefixtures("stand_in")
def test_without_acceptance_nothing_runs_and_the_terms_are_quoted() -> None:
    with pytest.raises(DependencyError, match="non-commercial") as error:
        EgemapsExtractor()
    assert "audEERING" in str(error.value) and "https://" in str(error.value)
    assert error.value.remedy is not None and "TRIVIUM_ACCEPT_OPENSMILE=1" in error.value.remedy


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(("answer", "accepted"), [("yes\n", True), ("no\n", False), ("", False)])
def test_an_answer_on_a_terminal_is_remembered(
    monkeypatch: pytest.MonkeyPatch, answer: str, accepted: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = io.StringIO(answer)
    asked.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdin", asked)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    if accepted:
        EgemapsExtractor()
        assert "audEERING" in capsys.readouterr().err
        EgemapsExtractor()  # nothing is left to read: it is not asked again
    for _ in range(1 - accepted):
        with pytest.raises(DependencyError):
            EgemapsExtractor()


@pytest.mark.usefixtures("stand_in")
def test_rows_lie_on_our_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIVIUM_ACCEPT_OPENSMILE", "1")
    extractor = EgemapsExtractor()
    stream = extractor.stream(np.zeros(1600, np.float32), None)
    assert stream.values[:, 0].tolist() == [0, 1, 2, 3, 4, 5] and stream.times is not None
    np.testing.assert_allclose(stream.times[:2], [[0.005, 0.015], [0.015, 0.025]])
    assert stream.specification.version == "v02, openSMILE 0.0" and stream.specification.dim == 25
    assert extractor.stream(np.zeros(100, np.float32), None).values.shape == (0, 25)


def test_opensmile_has_these_columns_and_a_tone_lies_where_it_sounds(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("opensmile", reason="opensmile is not installed: its licence forbids commercial use")
    monkeypatch.setenv("TRIVIUM_ACCEPT_OPENSMILE", "1")
    seconds = np.arange(48000) / 16000
    pulses = 0.3 * np.sign(np.sin(2 * np.pi * 150 * seconds)) * ((seconds >= 1) & (seconds < 2))
    stream = EgemapsExtractor().stream(pulses.astype(np.float32), None)
    assert stream.times is not None and np.isfinite(stream.values).all()
    middle = stream.times.mean(axis=1)
    loud = middle[stream.values[:, COLUMNS.index("Loudness_sma3")] > 0.01]
    assert loud[0] == pytest.approx(1.0, abs=0.03) and loud[-1] == pytest.approx(2.0, abs=0.03)
    pitch = stream.values[:, COLUMNS.index("F0semitoneFrom27.5Hz_sma3nz")]
    np.testing.assert_allclose(np.median(pitch[pitch > 0]), 12 * np.log2(150 / 27.5), atol=0.1)
