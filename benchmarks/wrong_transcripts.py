"""Is the transcript of another clip found out? Right and wrong words on real clips, as JSON.

Usage: ``TRIVIUM_DATA=FOLDER python benchmarks/wrong_transcripts.py [--out FILE.json] [--rows FILE.json]``. Needs the
extra ``extract`` and the models; about fifteen minutes of one core. ``--rows`` keeps what was measured of each clip
(and goes on from it): ids and numbers, no words.

60 RAVDESS clips and 40 talking videos, drawn by lot (seed 0), are aligned with their own words, with those of another
clip (for RAVDESS: the other of its two sentences, which shares four words of six), and with as many words from
elsewhere; every second clip is recognised as well. Clips of speakers with odd numbers are the half on which
thresholds were chosen (``tuning``), the others the half that is ``reported``.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from trivium.errors import TriviumError
from trivium.extract.source.media import open_clip
from trivium.extract.words.doubts import SAID_SHARE, WEAK_FIT, mean_fit, said_share
from trivium.extract.words.speech import align_words, recognise
from trivium.extract.words.transcript import read_transcript

SEED = 0
ACTED, REAL = 60, 40
SENTENCES = {"01": "kids are talking by the door", "02": "dogs are sitting by the door"}
HALVES = ("reported", "tuning")


class Case(NamedTuple):
    """A clip, its speaker's number, and transcripts by kind."""

    path: Path
    speaker: int
    transcripts: dict[str, tuple[str, ...]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rows", type=Path)
    options = parser.parse_args()
    data = Path(os.environ["TRIVIUM_DATA"])
    rows: list[dict[str, Any]] = json.loads(options.rows.read_text()) if options.rows and options.rows.exists() else []
    done = {row["clip"] for row in rows}
    for cases in (talks(data), acted(data)):
        for number, case in enumerate(cases):
            if case.path.stem not in done:
                rows += measured(case, listen=number % 2 == 0)
                if options.rows:
                    options.rows.write_text(json.dumps(rows), encoding="utf-8")
    text = json.dumps(summary(rows), indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


def texts(data: Path) -> dict[str, tuple[str, ...]]:
    """Words of the talking videos."""
    paths = sorted((data / "real-life-trial" / "transcripts").glob("*/*.txt"))
    return {path.stem: read_transcript(path.read_text(encoding="utf-8", errors="replace")).words for path in paths}


def talks(data: Path) -> Iterator[Case]:
    """Talking videos."""
    told = texts(data)
    clips = [path for path in sorted((data / "real-life-trial" / "clips").glob("*.mp4")) if path.stem in told]
    with (data / "real-life-trial" / "speakers.csv").open(encoding="utf-8") as file:
        speakers = {row["clip"]: int(row["speaker"].strip("s")) for row in csv.DictReader(file)}
    rng = np.random.default_rng(SEED)
    picked = [clips[n] for n in np.sort(rng.permutation(len(clips))[:REAL])]
    every = [word for words in told.values() for word in words]
    for number, path in enumerate(picked):
        right, other = told[path.stem], told[picked[(number + 1) % len(picked)].stem]
        begin = int(rng.integers(len(every) - len(right)))
        wrong = {"another clip's": other, "as many words": tuple(every[begin : begin + len(right)])}
        yield Case(path, speakers[path.stem], {"right": right, **wrong})


def acted(data: Path) -> Iterator[Case]:
    """RAVDESS clips."""
    paths = sorted((data / "ravdess" / "clips").glob("*.flac"))
    told = list(texts(data).values())
    rng = np.random.default_rng(SEED)
    for number in np.sort(rng.permutation(len(paths))[:ACTED]):
        path = paths[number]
        own = path.stem.split("-")[4]
        other = next(sentence for key, sentence in SENTENCES.items() if key != own)
        text = told[int(rng.integers(len(told)))]
        begin = int(rng.integers(max(len(text) - 6, 1)))
        wrong = {"the other sentence": tuple(other.split()), "as many words": text[begin : begin + 6]}
        yield Case(path, int(path.stem[-2:]), {"right": tuple(SENTENCES[own].split()), **wrong})


def measured(case: Case, *, listen: bool) -> list[dict[str, Any]]:
    """One row per transcript: its fit, None where it cannot be aligned, and the share of what was heard."""
    sound = open_clip(case.path).sound()
    assert sound is not None
    heard = recognise(sound) if listen else None
    rows = []
    for kind, words in case.transcripts.items():
        timed = align_words(sound, words)
        fit = None if timed is None else round(mean_fit(timed), 4)
        share = None if heard is None else round(said_share(words, heard), 3)
        row = {"clip": case.path.stem, "kind": kind, "half": HALVES[case.speaker % 2], "fit": fit, "share": share}
        rows.append(row | {"acted": case.path.suffix == ".flac"})
    return rows


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Rates by half, kind of clip and kind of transcript."""
    groups: dict[tuple[str, bool, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["half"], row["acted"], row["kind"]), []).append(row)
    return {
        "weak_fit": WEAK_FIT,
        "said_share": SAID_SHARE,
        "results": [
            {"half": half, "clips": "RAVDESS" if acted else "talking videos", "transcript": kind} | rates(own)
            for (half, acted, kind), own in sorted(groups.items(), key=lambda pair: (pair[0][0], pair[0][1]))
        ],
    }


def rates(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Counts of one kind: those that cannot be aligned or fit badly are listened to; the heard words decide."""
    fits = [row["fit"] for row in rows if row["fit"] is not None]
    asked = [row for row in rows if row["fit"] is None or row["fit"] < WEAK_FIT]
    told = [row["share"] for row in rows if row["share"] is not None]
    decided = [row["share"] for row in asked if row["share"] is not None]
    return {
        "n": len(rows),
        "not_aligned": len(rows) - len(fits),
        "weak_fit": len(asked) - (len(rows) - len(fits)),
        "fit_5_50_95": [round(float(x), 3) for x in np.percentile(fits, [5, 50, 95])] if fits else [],
        "heard": len(told),
        "share_min_50_max": [round(float(x), 2) for x in np.percentile(told, [0, 50, 100])] if told else [],
        "heard_share_below": sum(share < SAID_SHARE for share in told),
        "asked_and_heard": len(decided),
        "doubted_of_these": sum(share < SAID_SHARE for share in decided),
    }


if __name__ == "__main__":
    try:
        main()
    except TriviumError as error:
        raise SystemExit(str(error)) from error
