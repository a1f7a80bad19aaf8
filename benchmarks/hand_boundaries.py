"""Word times of real voices against boundaries that were read from pictures, as JSON.

Usage: ``TRIVIUM_DATA=FOLDER python benchmarks/hand_boundaries.py [--out FILE.json]``. Needs the extra ``extract`` and
the models (``trivium upstream fetch``); half a minute.

``ravdess_boundaries.csv`` holds 108 words of 18 RAVDESS clips; who read them and how stands in
``read_boundaries.py``. Compared are the aligner, given the words; the recogniser's own times of the words it heard as
they were said; and the alignment table that lies beside the clips (another run of the same aligner family). The error
of a boundary is the found time minus the read one. A boundary between two words counts twice, as the end of one and
the start of the next, because what is compared may put a pause between them.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from difflib import SequenceMatcher
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.errors import TriviumError
from trivium.extract.source.media import open_clip
from trivium.extract.words.speech import align_words, recognise

BOUNDARIES = Path(__file__).with_name("ravdess_boundaries.csv")

Times = NDArray[np.float64]
Rows = Sequence[dict[str, str]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    data = Path(os.environ["TRIVIUM_DATA"]) / "ravdess"
    with BOUNDARIES.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    read = columns(rows, "start", "end")
    certain = np.array([[row["start_certain"] == "yes", row["end_certain"] == "yes"] for row in rows])
    aligned, heard = (np.concatenate(times) for times in zip(*found(rows, data), strict=True))
    known = ~np.isnan(heard).any(axis=1)
    methods = {
        "aligner": aligned,
        "recogniser": heard,
        "given_table": table(rows, data / "word_alignment_pocketsphinx.csv"),
    }
    report = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "versions": {name: version(name) for name in ("trivium", "pocketsphinx", "faster-whisper", "numpy")},
        "data": "RAVDESS, 18 clips, boundaries read from pictures (benchmarks/ravdess_boundaries.csv)",
        "words": len(rows),
        "certain_boundaries": int(certain.sum()),
        "reader": repeatability(rows, certain),
        "share_heard_as_said": round(float(known.mean()), 3),
        "results": {name: scores(times - read, certain) for name, times in methods.items()},
        "worst": worst(rows, aligned - read),
    }
    text = json.dumps(report, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


def columns(rows: Rows, start: str, end: str) -> Times:
    """Times of the words, shape (W, 2); NaN where nothing was read."""
    return np.array([[float(row[start] or "nan"), float(row[end] or "nan")] for row in rows])


def found(rows: Rows, data: Path) -> list[tuple[Times, Times]]:
    """Times of the aligner and of the recogniser, one pair a clip."""
    times = []
    for name in dict.fromkeys(row["clip"] for row in rows):
        words = [row["word"] for row in rows if row["clip"] == name]
        sound = open_clip(data / "clips" / f"{name}.flac").sound()
        assert sound is not None
        timed, heard = align_words(sound, words), recognise(sound)
        recognised = np.full((len(words), 2), np.nan)
        matcher = SequenceMatcher(None, words, heard.transcript.words, autojunk=False)
        for first, other, size in matcher.get_matching_blocks():
            recognised[first : first + size] = heard.times[other : other + size]
        times.append((np.full((len(words), 2), np.nan) if timed is None else timed.times, recognised))
    return times


def table(rows: Rows, path: Path) -> Times:
    """Times of the given alignment table; NaN where it has none."""
    with path.open(encoding="utf-8") as file:
        known = {(row["id"], row["word"]): (float(row["start"]), float(row["end"])) for row in csv.DictReader(file)}
    return np.array([known.get((row["clip"], row["word"]), (np.nan, np.nan)) for row in rows])


def repeatability(rows: Rows, certain: NDArray[np.bool_]) -> dict[str, Any]:
    """Differences between the two readings; a boundary that two words share counts once."""
    apart = np.abs(columns(rows, "start_again", "end_again") - columns(rows, "start", "end"))
    shared = [
        n > 0 and (rows[n - 1]["clip"], rows[n - 1]["end"]) == (row["clip"], row["start"]) for n, row in enumerate(rows)
    ]
    apart[shared, 0] = np.nan
    return {"all": spread(apart), "certain": spread(apart[certain]), "uncertain": spread(apart[~certain])}


def scores(errors: Times, certain: NDArray[np.bool_]) -> dict[str, Any]:
    """Errors of all boundaries, of starts and ends, of certain and uncertain ones."""
    return {
        "all": spread(errors),
        "starts": spread(errors[:, 0]),
        "ends": spread(errors[:, 1]),
        "certain": spread(errors[certain]),
        "certain_starts": spread(errors[:, 0][certain[:, 0]]),
        "certain_ends": spread(errors[:, 1][certain[:, 1]]),
        "uncertain": spread(errors[~certain]),
    }


def spread(errors: Times) -> dict[str, float]:
    """Count, and in ms the median and 95th percentile of the absolute error and the median error; NaN is left out."""
    known = 1000 * errors[~np.isnan(errors)]
    median, p95 = np.percentile(np.abs(known), [50, 95])
    numbers = {"median_ms": median, "p95_ms": p95, "median_error_ms": np.median(known)}
    within = {f"share_within_{limit}_ms": np.mean(np.abs(known) <= limit) for limit in (20, 50)}
    return (
        {"n": len(known)}
        | {name: round(float(x), 1) for name, x in numbers.items()}
        | {name: round(float(x), 3) for name, x in within.items()}
    )


def worst(rows: Rows, errors: Times) -> list[str]:
    """Name the ten words that are furthest off."""
    order = np.argsort(-np.nan_to_num(np.abs(errors)).max(axis=1), kind="stable")[:10]
    return [
        f"{rows[n]['clip']} {rows[n]['word']}: start {1000 * errors[n, 0]:+.0f} ms ({rows[n]['start_certain']}), "
        f"end {1000 * errors[n, 1]:+.0f} ms ({rows[n]['end_certain']})"
        for n in order
    ]


if __name__ == "__main__":
    try:
        main()
    except TriviumError as error:
        raise SystemExit(str(error)) from error
