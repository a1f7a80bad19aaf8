"""Pictures of RAVDESS clips from which word boundaries are read by eye, without any aligner's times.

Usage: ``TRIVIUM_DATA=FOLDER python benchmarks/read_boundaries.py PICTURES [--again]``. Needs matplotlib.

Eighteen clips are drawn by lot (seed 0): eighteen actors, both sentences, all eight emotions. A picture shows the
waveform and a wide-band spectrogram (0 to 8 kHz, windows of 5 ms) of 1.2 seconds, a second row the next 1.2 seconds;
lines stand every 50 ms and ticks every 10 ms. Where a picture begins follows from the energy alone.

``--again`` draws every third clip anew for a second reading, in grey, in rows of 1.0 seconds, on an axis whose zero was moved
by a hidden amount: a reader cannot repeat the numbers of the first reading from memory. :func:`hidden_shift` gives
that amount.
"""

from __future__ import annotations

import argparse
import csv
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trivium.extract.media import SOUND_RATE, open_clip

SEED = 0
CLIPS = 18
AGAIN_EVERY = 3
SENTENCES = {"01": "kids are talking by the door", "02": "dogs are sitting by the door"}
EMOTIONS = 8
# their times were seen in the given alignment table before the pictures were read
SEEN_BEFORE = {"03-01-05-02-02-01-01", "03-01-06-02-01-02-18", "03-01-08-02-01-01-21"}


def chosen(data: Path) -> list[str]:
    """Names of the clips: another actor each, emotions in turn, sentences in turn."""
    with (data / "ravdess" / "meta.csv").open(encoding="utf-8") as file:
        names = sorted(row["stem"] for row in csv.DictReader(file))
    rng = np.random.default_rng(SEED)
    actors = rng.permutation(24)[:CLIPS] + 1
    picked = []
    for number, actor in enumerate(actors):
        emotion, sentence = number % EMOTIONS + 1, number // 2 % 2 + 1
        wanted = f"-{emotion:02d}-", f"-{sentence:02d}-", f"-{actor:02d}"
        fitting = [
            name
            for name in names
            if (name[5:9], name[11:15], name[-3:]) == wanted and name not in SEEN_BEFORE
        ]
        picked.append(fitting[int(rng.integers(len(fitting)))])
    return picked


def hidden_shift(name: str) -> float:
    """Seconds by which the axis of the second reading was moved; multiples of 1 ms below half a second."""
    seed = [SEED + 1, *(int(part) for part in name.split("-"))]
    return float(np.random.default_rng(seed).integers(500)) / 1000


def spectrogram(samples: NDArray[np.float32]) -> tuple[NDArray[np.float64], float]:
    """Decibels of shape (257, frames), windows of 5 ms every millisecond; the second of the first window's middle."""
    width, step = SOUND_RATE * 5 // 1000, SOUND_RATE // 1000
    emphasised = np.append(samples[:1], samples[1:] - 0.97 * samples[:-1])
    frames = np.lib.stride_tricks.sliding_window_view(emphasised, width)[::step] * np.hanning(width)
    power = np.abs(np.fft.rfft(frames, 512)) ** 2
    return 10 * np.log10(power.T + 1e-10), width / 2 / SOUND_RATE


def speech_begins_and_ends(samples: NDArray[np.float32]) -> tuple[float, float]:
    """Seconds between which 10 ms of sound are within 35 dB of the loudest."""
    steps = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    level = 10 * np.log10(np.mean(steps**2, axis=1) + 1e-12)
    loud = np.flatnonzero(level > level.max() - 35)
    return float(loud[0]) / 100, float(loud[-1] + 1) / 100


def draw(name: str, data: Path, path: Path, *, again: bool) -> None:
    """Draw one clip."""
    from matplotlib.figure import Figure

    samples = open_clip(data / "ravdess" / "clips" / f"{name}.flac").sound()
    assert samples is not None
    begin, end = speech_begins_and_ends(samples)
    seconds, shift, colours = (1.0, hidden_shift(name), "gray_r") if again else (1.2, 0.0, "magma")
    first = round((begin - 0.12) * 20) / 20
    rows = int(np.ceil((end + 0.1 - first) / (seconds - 0.1)))
    decibels, middle = spectrogram(samples)
    figure = Figure(figsize=(15, 6.2 * rows), dpi=100, layout="constrained")
    axes = figure.subplots(2 * rows, 1, height_ratios=[1, 3] * rows)
    for row in range(rows):
        low = first + row * (seconds - 0.1)
        wave, spectrum = axes[2 * row : 2 * row + 2]
        time = np.arange(len(samples)) / SOUND_RATE + shift
        inside = (time >= low + shift) & (time < low + seconds + shift)
        wave.plot(time[inside], samples[inside], linewidth=0.5, color="black")
        edges = (middle + shift - 0.0005, middle + shift + decibels.shape[1] / 1000 - 0.0005, 0, 8)
        top = decibels.max()
        spectrum.imshow(decibels, aspect="auto", origin="lower", extent=edges, cmap=colours, vmin=top - 65, vmax=top)
        for axis in (wave, spectrum):
            axis.set_xlim(low + shift, low + seconds + shift)
            axis.set_xticks(np.arange(np.ceil((low + shift) * 20), (low + seconds + shift) * 20) / 20)
            axis.set_xticks(np.arange(np.ceil((low + shift) * 100), (low + seconds + shift) * 100) / 100, minor=True)
            axis.grid(axis="x", color="tab:cyan", linewidth=0.5)
            axis.tick_params(which="both", top=True, labelsize=9)
        spectrum.set_ylabel("kHz")
    figure.suptitle(f"{name}: {SENTENCES[name.split('-')[4]]}{' (axis moved)' if again else ''}")
    figure.savefig(path)


def main() -> None:
    """Draw all pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pictures", type=Path, help="folder to write to")
    parser.add_argument("--again", action="store_true", help="every third clip, for a second reading")
    options = parser.parse_args()
    data = Path(os.environ["TRIVIUM_DATA"])
    options.pictures.mkdir(parents=True, exist_ok=True)
    names = chosen(data)[:: AGAIN_EVERY if options.again else 1]
    for number, name in enumerate(names, start=1):
        draw(name, data, options.pictures / f"{number:02d}_{name}.png", again=options.again)


if __name__ == "__main__":
    main()
