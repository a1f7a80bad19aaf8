"""What extraction notes: levels of known signals, words that the dictionary lacks, and the note of a clip."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from trivium.corpus.notes import read_notes
from trivium.extract.notes import sound_level
from trivium.extract.words.pronunciation import unknown_words


def test_the_peak_of_a_sine_at_half_of_full_scale_is_6_db_down() -> None:
    sine = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    assert sound_level(sine.astype(np.float32)) == (-6.02, 0.0)


def test_the_clipped_share_of_a_sine_is_that_of_its_arcs() -> None:
    sine = np.clip(2 * np.sin(2 * np.pi * 100 * np.arange(16000) / 16000), -1, 1)
    peak, share = sound_level(sine.astype(np.float32))
    assert peak == 0.0 and share == pytest.approx(1 - 2 * np.arcsin(0.99 / 2) / np.pi, abs=0.01)


def test_digital_silence_has_a_floor() -> None:
    assert sound_level(np.zeros(100, np.float32)) == (-100.0, 0.0)


def test_words_outside_the_dictionary_are_named_each_time() -> None:
    pytest.importorskip("pocketsphinx")
    assert unknown_words(["the", "xylotrivium", "door", "xylotrivium"]) == ["xylotrivium", "xylotrivium"]


def test_the_corpus_of_a_clip_keeps_its_note(make_clip: Callable[..., Path], tmp_path: Path) -> None:
    from trivium.extract import extract_clips

    make_clip("clips/a.wav", fps=None, seconds=0.5)
    corpus = extract_clips(tmp_path / "clips", tmp_path / "out", modalities=["audio"], show=False)
    note = read_notes(corpus.provenance)["a"]
    assert note.peak_db == pytest.approx(-6.02, abs=0.1) and note.clipped == 0.0
    assert note.timing is None and note.frames is None and note.missing == {}
