"""Pictures of RAVDESS clips from which word boundaries are read by eye, without any aligner's times.

Usage: ``TRIVIUM_DATA=FOLDER python benchmarks/read_boundaries.py PICTURES [--again [--key FILE]]``. Needs matplotlib.

Eighteen clips are drawn by lot (seed 0): eighteen actors, both sentences, all eight emotions. A picture shows the
waveform and a wide-band spectrogram (0 to 8 kHz, windows of 5 ms) of 1.2 seconds, a second row the next 1.2 seconds;
lines stand every 50 ms and ticks every 10 ms. Where a picture begins follows from the energy alone.

What was read lies in ``ravdess_boundaries.csv``. It was read from these pictures by one machine reader that is no
phonetician and saw no aligner's output of these clips; nobody has checked it. A word that begins with a stop begins
where its closure begins; after a silence of more than 0.2 seconds, at its burst. ``start_certain`` and
``end_certain`` are "no" where the picture shows no edge within about 20 ms: a nasal that runs into a closure, a voice
that fades, a glide.

``--again`` draws the boundaries of every third clip for a second reading, each alone: half a second of sound in grey,
on an axis that counts from 0, with the boundary up to 0.15 seconds off the middle, in a shuffled order and without
the clip's name, so that no time and no duration can be carried over. ``--key FILE`` writes what each crop was, for
after the reading; the result is ``start_again`` and ``end_again``. It was the same reader, minutes later, with the
same rules: it says how finely the pictures are read, not whether the rules are right. (An earlier second reading of
whole clips on a moved axis was thrown away: the reader remembered durations, and its differences of 2 ms in the
median meant nothing.)

The times in ``ravdess_boundaries.csv`` are derived from RAVDESS (Livingstone & Russo 2018,
https://doi.org/10.1371/journal.pone.0196391) and are licensed under CC BY-NC-SA 4.0, not under the code's licence.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.extract.source.media import SOUND_RATE, open_clip

BOUNDARIES = Path(__file__).with_name("ravdess_boundaries.csv")
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
        fitting = [name for name in names if (name[5:9], name[11:15], name[-3:]) == wanted and name not in SEEN_BEFORE]
        picked.append(fitting[int(rng.integers(len(fitting)))])
    return picked


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


def panel(
    wave: Any, spectrum: Any, name: str, data: Path, low: float, seconds: float, zero: float, colours: str
) -> None:
    """Draw waveform and spectrogram of the seconds from `low`; `zero` is the second where the axis begins to count."""
    samples = open_clip(data / "ravdess" / "clips" / f"{name}.flac").sound()
    assert samples is not None
    decibels, middle = spectrogram(samples)
    time = np.arange(len(samples)) / SOUND_RATE
    inside = (time >= low) & (time < low + seconds)
    wave.plot(time[inside] - zero, samples[inside], linewidth=0.5, color="black")
    edges = (middle - zero - 0.0005, middle - zero + decibels.shape[1] / 1000 - 0.0005, 0, 8)
    top = decibels.max()
    spectrum.imshow(decibels, aspect="auto", origin="lower", extent=edges, cmap=colours, vmin=top - 65, vmax=top)
    first, last = low - zero, low - zero + seconds
    for axis in (wave, spectrum):
        axis.set_xlim(first, last)
        axis.set_xticks(np.arange(np.ceil(first * 20), last * 20) / 20)
        axis.set_xticks(np.arange(np.ceil(first * 100), last * 100) / 100, minor=True)
        axis.grid(axis="x", color="tab:cyan", linewidth=0.5)
        axis.tick_params(which="both", top=True, labelsize=9)


def draw_clip(name: str, data: Path, path: Path) -> None:
    """Draw one clip in rows of 1.2 seconds."""
    from matplotlib.figure import Figure

    samples = open_clip(data / "ravdess" / "clips" / f"{name}.flac").sound()
    assert samples is not None
    begin, end = speech_begins_and_ends(samples)
    first = round((begin - 0.12) * 20) / 20
    rows = int(np.ceil((end + 0.1 - first) / 1.1))
    figure = Figure(figsize=(15, 6.2 * rows), dpi=100, layout="constrained")
    axes = figure.subplots(2 * rows, 1, height_ratios=[1, 3] * rows)
    for row in range(rows):
        panel(axes[2 * row], axes[2 * row + 1], name, data, first + row * 1.1, 1.2, 0.0, "magma")
    figure.suptitle(f"{name}: {SENTENCES[name.split('-')[4]]}")
    figure.savefig(path)


def crops() -> list[tuple[str, str, float]]:
    """Clip, boundary and first second of every crop of the second reading, in its order."""
    with BOUNDARIES.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rng = np.random.default_rng(SEED + 1)
    found = []
    for name in list(dict.fromkeys(row["clip"] for row in rows))[::AGAIN_EVERY]:
        words = [row for row in rows if row["clip"] == name]
        found.append((name, f"| {words[0]['word']}", float(words[0]["start"])))
        for one, following in itertools.pairwise(words):
            joined = one["end"] == following["start"]
            found.append((name, f"{one['word']} |" + (f" {following['word']}" if joined else ""), float(one["end"])))
            if not joined:
                found.append((name, f"| {following['word']}", float(following["start"])))
        found.append((name, f"{words[-1]['word']} |", float(words[-1]["end"])))
    order = rng.permutation(len(found))
    return [(*found[n][:2], found[n][2] - 0.25 + float(rng.integers(-150, 151)) / 1000) for n in order]


def draw_crops(data: Path, folder: Path) -> None:
    """Draw the crops of the second reading, six to a picture."""
    from matplotlib.figure import Figure

    wanted = crops()
    for first in range(0, len(wanted), 6):
        figure = Figure(figsize=(15, 15), dpi=100, layout="constrained")
        axes = figure.subplots(6, 2, height_ratios=[1, 3] * 3)
        for place, (name, boundary, low) in enumerate(wanted[first : first + 6]):
            row, column = divmod(place, 2)
            wave, spectrum = axes[2 * row : 2 * row + 2, column]
            panel(wave, spectrum, name, data, low, 0.5, low, "gray_r")
            wave.set_title(f"{first + place + 1}: {boundary}")
        for unused in axes.ravel()[[not axis.has_data() for axis in axes.ravel()]]:
            unused.set_visible(False)
        figure.savefig(folder / f"{first // 6 + 1:02d}.png")


def main() -> None:
    """Draw all pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pictures", type=Path, help="folder to write to")
    parser.add_argument("--again", action="store_true", help="single boundaries, for a second reading")
    parser.add_argument("--key", type=Path, help="with --again: what each crop was, for after the reading")
    options = parser.parse_args()
    data = Path(os.environ["TRIVIUM_DATA"])
    options.pictures.mkdir(parents=True, exist_ok=True)
    if options.again:
        draw_crops(data, options.pictures)
        if options.key:
            lines = (f"{n},{name},{what},{low:.3f}\n" for n, (name, what, low) in enumerate(crops(), start=1))
            options.key.write_text("crop,clip,boundary,begins\n" + "".join(lines), encoding="utf-8")
        return
    for number, name in enumerate(chosen(data), start=1):
        draw_clip(name, data, options.pictures / f"{number:02d}_{name}.png")


if __name__ == "__main__":
    main()
