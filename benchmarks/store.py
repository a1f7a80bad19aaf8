"""Cost of a large corpus on disk: memory and time to open it, shuffled batches per second.

The utterances are synthetic: random numbers, no speech. Prints one JSON object. Memory is measured in a fresh process.

    python benchmarks/store.py --utterances 100000
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet as pq

from trivium.corpus import Corpus, LabelSpecification, Specification, Stream, StreamSpecification, Utterance

STEPS, AUDIO, VISION = 20, 74, 35
BATCH = 32

# Runs in a process of its own: what does opening cost above an interpreter that has imported trivium.corpus?
OPENING = """
import json, sys, time
def memory(kind):
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith(kind)).split()[1]) / 1024
import trivium.corpus
bare = memory("VmRSS")
import pyarrow.parquet, trivium.corpus.store
imported = memory("VmRSS")
began = time.perf_counter()
corpus = trivium.corpus.Corpus.open(sys.argv[1])
seconds = time.perf_counter() - began
opened, peak = memory("VmRSS"), memory("VmHWM")
began = time.perf_counter()
ids, labels = corpus.ids, corpus.label("sentiment")
columns_seconds = time.perf_counter() - began
print(json.dumps({
    "utterances": len(corpus),
    "seconds": seconds,
    "megabytes_above_bare_start": opened - bare,
    "peak_megabytes_above_bare_start": peak - bare,
    "of_which_importing_pyarrow": imported - bare,
    "seconds_to_read_ids_and_one_label": columns_seconds,
    "megabytes_above_bare_start_with_ids_and_one_label": memory("VmRSS") - bare,
}))
"""


def synthetic(utterances: int) -> Corpus:
    """Corpus of random numbers: audio 20 x 74 and vision 20 x 35, windows of one random block."""
    random = np.random.default_rng(0)
    audio = StreamSpecification.positional("audio", "synthetic", AUDIO, clock="words")
    vision = StreamSpecification.positional("vision", "synthetic", VISION, clock="words")
    blocks = [random.normal(size=(65536, s.dim)).astype(np.float32) for s in (audio, vision)]
    places = random.integers(0, 65536 - STEPS, size=(utterances, 2))
    sentiment = LabelSpecification("sentiment", "regression", range=(-3.0, 3.0))
    made = [
        Utterance(
            f"synthetic-{number:06d}",
            {
                s.modality: Stream(block[start : start + STEPS], s)
                for s, block, start in zip((audio, vision), blocks, where, strict=True)
            },
            labels={"sentiment": float(number % 7 - 3)},
            groups={"speaker": str(number % 97)},
            splits={"standard": ("train", "train", "valid", "test")[number % 4]},
        )
        for number, where in enumerate(places.tolist())
    ]
    return Corpus.from_utterances(made, Specification((audio, vision), (sentiment,)), {"synthetic": "random numbers"})


def batches_per_second(corpus: Corpus, seconds: float) -> tuple[float, float]:
    """Shuffled batches of 32 per second, and the median milliseconds of one."""
    random = np.random.default_rng(1)
    spent: list[float] = []
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        rows = random.integers(0, len(corpus), BATCH)
        start = time.perf_counter()
        corpus.batch(rows)
        spent.append(time.perf_counter() - start)
    return len(spent) / sum(spent), 1000 * float(np.median(spent))


def parquet_milliseconds(folder: Path, batches: int) -> float:
    """Median milliseconds of a shuffled batch of 32 straight from Parquet: one row group for every row."""
    files = [pq.ParquetFile(path) for path in sorted(folder.glob("*.parquet"))]
    groups = [(file, number) for file in files for number in range(file.num_row_groups)]
    random = np.random.default_rng(2)
    spent = []
    for _ in range(batches):
        start = time.perf_counter()
        for place in random.integers(0, len(groups), BATCH):
            file, number = groups[place]
            table = file.read_row_group(number, columns=["stream.audio", "stream.vision"])
            table.slice(int(random.integers(0, table.num_rows)), 1).to_pydict()
        spent.append(time.perf_counter() - start)
    return 1000 * float(np.median(spent))


def measure(utterances: int, seconds: float) -> dict[str, Any]:
    """Build, open in a fresh process, and draw batches from the cache and from Parquet."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["TRIVIUM_HOME"] = scratch
        folder = Path(scratch) / "corpus"
        began = time.perf_counter()
        synthetic(utterances).save(folder)
        saved = time.perf_counter() - began
        opening = subprocess.run(
            [sys.executable, "-c", OPENING, str(folder)], capture_output=True, text=True, check=True
        )
        corpus = Corpus.open(folder)
        began = time.perf_counter()
        corpus.batch([0])
        cached = time.perf_counter() - began
        rate, median = batches_per_second(corpus, seconds)
        parquet = parquet_milliseconds(folder, 3)
        sizes = [path.stat().st_size for path in folder.glob("*.parquet")]
    return {
        "data": "synthetic random numbers",
        "shape": f"{utterances} x {STEPS} x ({AUDIO} + {VISION})",
        "shards": len(sizes),
        "gigabytes": sum(sizes) / 1e9,
        "save_seconds": saved,
        "open": json.loads(opening.stdout),
        "cache_build_seconds": cached,
        "cache": {"shuffled_batches_per_second": rate, "milliseconds_per_batch_of_32": median},
        "parquet": {"milliseconds_per_batch_of_32": parquet},
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "versions": {"python": platform.python_version(), "pyarrow": pyarrow.__version__, "numpy": np.__version__},
    }


def main() -> None:
    """Parse the command line and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to draw batches from the cache")
    options = parser.parse_args()
    print(json.dumps(measure(options.utterances, options.seconds), indent=1))


if __name__ == "__main__":
    main()
