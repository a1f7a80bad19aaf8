"""Word times of a corpus beside a table of word times that someone else made: agreement, not accuracy, as JSON.

Usage: ``python benchmarks/agreement.py CORPUS TABLE.csv [--out FILE.json]``. ``CORPUS`` is a corpus folder, or a table
of ``trivium write CORPUS --format words`` as CSV or Parquet; ``TABLE.csv`` has the columns id, word, start and end,
sorted by time within an id.

The words of an utterance are matched in order (longest common runs), so that another way to write a number costs only
itself. A difference is the corpus' time minus the table's. Both may be wrong together: the two tables beside
the clips of RAVDESS and of the real-life trials come from the same family of aligner as trivium's own times, and nobody
has checked them.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Corpus
from trivium.errors import TriviumError

WITHIN_MS = (10, 20, 50, 100)
FURTHEST = 10

Word: TypeAlias = tuple[str, float, float]
Words: TypeAlias = Mapping[str, list[Word]]


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    text = json.dumps(compared(of_corpus(options.corpus), of_table(options.table)), indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


def of_corpus(path: Path) -> Words:
    """Words with times, by id of the utterance."""
    if not path.is_dir():
        return of_table(path)
    return {
        one.id: [
            (word.lower(), start, end)
            for word, (start, end) in zip(one.words.text, one.words.times.tolist(), strict=True)
        ]
        for one in Corpus.open(path)
        if one.words is not None and one.words.times is not None
    }


def of_table(path: Path) -> Words:
    """Words with times, by id, of a CSV or Parquet file."""
    found: dict[str, list[Word]] = {}
    for row in _rows(path):
        found.setdefault(str(row["id"]), []).append((str(row["word"]).lower(), float(row["start"]), float(row["end"])))
    return found


def _rows(path: Path) -> Iterable[Mapping[str, Any]]:
    if path.suffix == ".parquet":
        from pyarrow.parquet import read_table

        return list(read_table(path, columns=["id", "word", "start", "end"]).to_pylist())
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def compared(ours: Words, theirs: Words) -> dict[str, Any]:
    """How many words match, and how far apart their times are."""
    shared = [name for name in ours if name in theirs]
    apart = {name: differences(ours[name], theirs[name]) for name in shared}
    every = np.concatenate([*apart.values(), np.empty((0, 2))])
    matched = sum(len(one) for one in apart.values())
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "what": "agreement, not accuracy: nobody has checked either side",
        "utterances": {
            "in both": len(shared),
            "in the corpus only": len(ours) - len(shared),
            "in the table only": len(theirs) - len(shared),
        },
        "words": {
            "matched": matched,
            "in the corpus without a match": sum(len(ours[name]) for name in shared) - matched,
            "in the table without a match": sum(len(theirs[name]) for name in shared) - matched,
        },
        "starts": spread(every[:, 0]),
        "ends": spread(every[:, 1]),
        "words_by_their_worse_boundary": spread(np.abs(every).max(axis=1)),
        "furthest": furthest(apart),
    }


def differences(ours: list[Word], theirs: list[Word]) -> NDArray[np.float64]:
    """Differences of the starts and ends of the words that match, shape (n, 2), in seconds."""
    matcher = SequenceMatcher(None, [word for word, *_ in ours], [word for word, *_ in theirs], autojunk=False)
    pairs = [
        (ours[first + step], theirs[other + step])
        for first, other, size in matcher.get_matching_blocks()
        for step in range(size)
    ]
    return np.array([[a[1] - b[1], a[2] - b[2]] for a, b in pairs], np.float64).reshape(-1, 2)


def spread(errors: NDArray[np.float64]) -> dict[str, float]:
    """Median and 95th percentile of the absolute difference, the median difference, and shares within some limits."""
    if not len(errors):
        return {}
    known = 1000 * errors
    median, p95 = np.percentile(np.abs(known), [50, 95])
    numbers = {"median_ms": median, "p95_ms": p95, "median_difference_ms": np.median(known)}
    within = {f"share_within_{limit}_ms": np.mean(np.abs(known) <= limit + 1e-6) for limit in WITHIN_MS}
    return {name: round(float(x), 1) for name, x in numbers.items()} | {
        name: round(float(x), 3) for name, x in within.items()
    }


def furthest(apart: Mapping[str, NDArray[np.float64]]) -> list[str]:
    """Name the utterances that differ most, by the median of their words' worse boundaries."""
    medians = {name: float(np.median(np.abs(one).max(axis=1))) for name, one in apart.items() if len(one)}
    worst = sorted(medians, key=lambda name: (-medians[name], name))[:FURTHEST]
    return [f"{name}: median {1000 * medians[name]:.0f} ms" for name in worst]


if __name__ == "__main__":
    try:
        main()
    except TriviumError as error:
        raise SystemExit(str(error)) from error
