"""Synthetic sounds whose answers are known: vowels of a source and a filter, pulses that shiver, mixed harmonics."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Sound = NDArray[np.float32]
Exact = NDArray[np.floating[Any]]
RATE = 16_000
# Means of Peterson & Barney (1952) for men; the fourth and fifth resonance are added.
VOWELS = {
    "i": (270, 2290, 3010),
    "e": (530, 1840, 2480),
    "ae": (660, 1720, 2410),
    "a": (730, 1090, 2440),
    "u": (300, 870, 2240),
}
PITCHES = (100, 140, 200, 260)
BANDWIDTHS = (80, 100, 140, 200, 250)
JITTERS, SHIMMERS = (1.0, 2.0, 4.0), (0.5, 1.0, 2.0)
HARMONICS_DB = (0.0, -9.0, -20.0)
QUIET = 0.1


def vowel(formants: tuple[float, ...], pitch: float) -> Sound:
    """One second: pulses through a falling glottis spectrum and five resonators, with a breath of noise."""
    filters = np.array([1, -0.95])
    for hertz, width in zip((*formants, 3500, 4500), BANDWIDTHS, strict=True):
        radius = np.exp(-np.pi * width / RATE)
        filters = np.convolve(filters, [1, -2 * radius * np.cos(2 * np.pi * hertz / RATE), radius**2])
    moments = np.arange(0, 1, 1 / pitch) * RATE
    pulses = np.zeros(RATE + 1)
    np.add.at(pulses, moments.astype(int), 1 - moments % 1)
    np.add.at(pulses, moments.astype(int) + 1, moments % 1)
    sound = lfilter([1], filters, pulses)
    sound = 0.3 * sound / np.abs(sound).max() + np.random.default_rng(0).normal(0, 1e-5, sound.size)
    return np.asarray(sound, np.float32)


def pulses(periods: Exact, heights: Exact) -> Sound:
    """Bell-shaped pulses at given distances, placed between samples."""
    moments = np.cumsum(periods)
    samples = np.arange(int(moments[-1]) + 400)
    sound = sum(h * np.exp(-0.5 * ((samples - m) / 6) ** 2) for m, h in zip(moments, heights, strict=True))
    return np.asarray(0.5 * (sound - np.mean(sound)), np.float32)


def signals() -> dict[str, Sound]:
    """All sounds by name."""
    turns = (-1.0) ** np.arange(220)
    made = {f"vowel {v} {pitch}": vowel(VOWELS[v], pitch) for v in VOWELS for pitch in PITCHES}
    made |= {f"jitter {p:g}": pulses(140 * (1 + p / 200 * turns), np.ones(220)) for p in JITTERS}
    made |= {f"shimmer {db:g}": pulses(np.full(220, 140.0), 10 ** (db / 40 * turns)) for db in SHIMMERS}
    time = np.arange(2 * RATE) / RATE
    tones = [10 ** (db / 20) * np.sin(2 * np.pi * 180 * k * time) for k, db in enumerate(HARMONICS_DB, start=1)]
    made["harmonics"] = (0.3 * np.sum(tones, axis=0)).astype(np.float32)
    made["quiet vowel"] = np.float32(QUIET) * made["vowel ae 140"]
    return made
