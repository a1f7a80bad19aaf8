"""Does a bad fit betray the transcript of another clip? Alignments with right and wrong words, as JSON.

Usage: ``TRIVIUM_DATA=FOLDER python benchmarks/wrong_transcripts.py [--out FILE.json]``. Needs the extra ``extract`` and the
models; ten minutes of one core.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.errors import TriviumError
from trivium.extract.media import SOUND_RATE, open_clip
from trivium.extract.speech import align_words
from trivium.extract.transcript import read_transcript

SEED = 0
ACTED, REAL = 60, 40
SENTENCES = {"01": "kids are talking by the door", "02": "dogs are sitting by the door"}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rows", type=Path, help="measure only, and write a row for each alignment as JSON")
    options = parser.parse_args()
    rows = []
    for name, group, path, kinds in [*real(Path(os.environ["TRIVIUM_DATA"])), *acted(Path(os.environ["TRIVIUM_DATA"]))]:
        sound = open_clip(path).sound()
        assert sound is not None
        for kind, words in kinds.items():
            timed = align_words(sound, words)
            row: dict[str, Any] = {"clip": name, "group": group, "kind": kind, "words": len(words), "seconds": len(sound) / SOUND_RATE}
            if timed is not None:
                row["confidence"] = [round(float(x), 4) for x in timed.confidence]
                row["times"] = [[round(float(a), 2), round(float(b), 2)] for a, b in timed.times]
            rows.append(row)
            options.rows.write_text(json.dumps(rows))


def real(data: Path) -> Iterator[tuple[str, str, Path, dict[str, tuple[str, ...]]]]:
    folder = data / "real-life-trial"
    texts = {path.stem: read_transcript(path.read_text(encoding="utf-8", errors="replace")).words for path in sorted((folder / "transcripts").glob("*/*.txt"))}
    clips = [p for p in sorted((folder / "clips").glob("*.mp4")) if p.stem in texts]
    rng = np.random.default_rng(SEED)
    picked = [clips[n] for n in np.sort(rng.permutation(len(clips))[:REAL])]
    with (folder / "speakers.csv").open() as file:
        speakers = {list(row.values())[0].split(".")[0]: list(row.values())[1] for row in csv.DictReader(file)}
    long = [word for words in texts.values() for word in words]
    for n, path in enumerate(picked):
        right, other = texts[path.stem], texts[picked[(n + 1) % len(picked)].stem]
        while speakers.get(path.stem) == speakers.get(picked[(n + 1) % len(picked)].stem) and False:
            pass
        begin = int(rng.integers(len(long) - len(right)))
        yield path.stem, speakers[path.stem], path, {"right": right, "another clip's": other, "as many words of others": tuple(long[begin : begin + len(right)])}


def acted(data: Path) -> Iterator[tuple[str, str, Path, dict[str, tuple[str, ...]]]]:
    paths = sorted((data / "ravdess" / "clips").glob("*.flac"))
    texts = [read_transcript(path.read_text(encoding="utf-8", errors="replace")).words for path in sorted((data / "real-life-trial" / "transcripts").glob("*/*.txt"))]
    rng = np.random.default_rng(SEED)
    for n in np.sort(rng.permutation(len(paths))[:ACTED]):
        path = paths[n]
        right = SENTENCES[path.stem.split("-")[4]]
        wrong = SENTENCES[f"{3 - int(path.stem.split('-')[4]):02d}"]
        text = texts[int(rng.integers(len(texts)))]
        begin = int(rng.integers(max(len(text) - 6, 1)))
        yield path.stem, path.stem[-2:], path, {"right": tuple(right.split()), "the other sentence": tuple(wrong.split()), "six words of others": text[begin : begin + 6]}


if __name__ == "__main__":
    main()
