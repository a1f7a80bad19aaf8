"""Extraction of whole sets of real clips: what it covers, what fails and why, and what it costs, as JSON.

Usage: ``TRIVIUM_DATA=FOLDER python benchmarks/real_clips.py ravdess|real-life-trial --work CORPUS [--workers N]
[--limit N] [--out FILE.json]``. Needs the extra ``extract`` and the models (``trivium upstream fetch``).

``ravdess``: 1,440 clips of sound with their given sentences. ``real-life-trial``: 102 videos with sound, talking people
in court and on television, with given transcripts (some of them are not what is said). Both are extracted in one run
each, with all modalities that they have; an existing corpus at CORPUS is refused. Only totals are printed: the people
in these clips are identifiable, and nothing about one of them is for publication.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import time
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from trivium.corpus import Corpus
from trivium.extract import Recording, extract_clips, find_recordings
from trivium.files import sha256_bytes
from trivium.report.quality import UtteranceQuality, corpus_quality

SETS = ("ravdess", "real-life-trial")


def ravdess(data: Path) -> list[Recording]:
    """Clips of sound, each with the sentence it was given."""
    with (data / "meta.csv").open(encoding="utf-8", newline="") as file:
        return [
            Recording(data / "clips" / f"{row['stem']}.flac", row["stem"], transcript=row["statement"])
            for row in csv.DictReader(file)
        ]


def real_life_trial(data: Path) -> list[Recording]:
    """Videos, each with its transcript where there is one."""
    texts = {path.stem: path.read_text(encoding="utf-8", errors="replace") for path in data.glob("transcripts/*/*.txt")}
    found = find_recordings(data / "clips")
    return [Recording(one.path, one.id, transcript=texts.get(one.id)) for one in found]


def cpu_seconds() -> float:
    """Processor seconds of this process and of its children that have ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def coverage(rows: Iterable[UtteranceQuality]) -> dict[str, Any]:
    """Totals over the utterances."""
    rows = list(rows)
    words, timed = sum(one.words for one in rows), sum(one.timed for one in rows)
    facts = [(one.faced, one.timed) for one in rows if one.faced is not None]
    frames = [(one.face_steps or 0, one.frames) for one in rows if one.frames]
    confident = [one.confidence for one in rows if one.confidence is not None]
    return {
        "utterances": len(rows),
        "minutes": round(sum(one.seconds or 0.0 for one in rows) / 60, 2),
        "words": words,
        "words_with_times": timed,
        "words_with_guessed_times": sum(one.guessed or 0 for one in rows),
        "unknown_words": sum(len(one.unknown or ()) for one in rows),
        "timing": dict(Counter(str(one.timing) for one in rows)),
        "median_confidence": None if not confident else round(float(np.median(confident)), 3),
        "mean_voiced_share": _mean(one.voiced for one in rows),
        "words_with_a_face": None
        if not facts
        else round(sum(a for a, _ in facts) / max(sum(b for _, b in facts), 1), 4),
        "frames_with_a_face": None
        if not frames
        else round(sum(a for a, _ in frames) / sum(b or 0 for _, b in frames), 4),
        "clips_with_clipped_samples": sum(bool(one.clipped) for one in rows),
        "missing": dict(Counter(f"{modality}: {why}" for one in rows for modality, why in one.missing.items())),
    }


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(float(np.mean(known)), 4) if known else None


def findings(corpus: Corpus) -> list[dict[str, Any]]:
    """What was found, without the utterances it was found in."""
    return [
        {key: row[key] for key in ("kind", "modality", "action", "utterances")} for row in corpus.provenance["findings"]
    ]


def main() -> None:
    """Extract, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--work", type=Path, required=True, help="corpus folder to write")
    parser.add_argument("--workers", type=int, help="processes; as many as there are cores where left out")
    parser.add_argument("--limit", type=int, help="only so many clips, for a trial")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    given = parser.parse_args()
    data = Path(os.environ["TRIVIUM_DATA"]) / given.set
    recordings = (ravdess(data) if given.set == "ravdess" else real_life_trial(data))[: given.limit]
    modalities = ("text", "audio") if given.set == "ravdess" else ("text", "audio", "vision")
    begin, used = time.perf_counter(), cpu_seconds()
    corpus = extract_clips(recordings, given.work, modalities=modalities, workers=given.workers)
    wall, cpu = time.perf_counter() - begin, cpu_seconds() - used
    covered = coverage(corpus_quality(given.work, show=False).utterances)
    report = {
        "set": given.set,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "versions": {name: version(name) for name in ("trivium", "pocketsphinx", "faster-whisper", "av", "numpy")},
        "data": sha256_bytes("".join(f"{r.path.name} {r.path.stat().st_size}\n" for r in recordings).encode())[:16],
        "cores": os.cpu_count(),
        "workers": given.workers or os.cpu_count(),
        "clips": len(recordings),
        "failures": Counter(row["reason"] for row in corpus.provenance["failures"]),
        "wall_seconds": round(wall, 1),
        "cpu_seconds": round(cpu, 1),
        "minutes_per_hour_of_clip": round(wall / max(covered["minutes"], 1e-9), 2),
        "times_faster_than_real_time": round(covered["minutes"] * 60 / wall, 2),
        "coverage": covered,
        "findings": findings(corpus),
    }
    text = json.dumps(report, indent=1)
    print(text)
    if given.out is not None:
        given.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
