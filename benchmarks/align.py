"""Word alignment against the CMU SDK: CPU time, memory, and cost by clip length, on synthetic corpora, as JSON.

Usage: ``python benchmarks/align.py [--out FILE.json] [--runs 7]``. Both corpora are made here (random numbers in the
shape of real ones): words at about 3 a second with a pause after one in five, a 300-d vector per word, 74 voice columns
at 100 Hz, 35 face columns at 30 Hz. Every measurement runs in a process of its own, with one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# CPU seconds of the CMU Multimodal SDK (fd18d71, Python 3.11) on corpora of these sizes, on a machine of this class
# with 2 cores: adding the sequences, aligning to words with the mean, measured 2026-11-21.
SDK_SECONDS = {"100 x 60 s": (20.7, 25.5), "20 x 300 s": (36.0, 36.0)}
CORPORA = {"100 x 60 s": (100, 60), "20 x 300 s": (20, 300)}
WANTED = {"align": 150.0, "read and align": 40.0}


def make_corpus(folder: Path, videos: int, seconds: int, seed: int = 0) -> None:
    """Write three computational sequences of `videos` clips of `seconds` each."""
    import h5py
    import numpy as np

    rng = np.random.default_rng(seed)
    streams = {"glove_vectors": 300, "COVAREP": 74, "FACET_4.2": 35}
    rates = {"COVAREP": 100, "FACET_4.2": 30}
    files = {root: h5py.File(folder / f"{root}.csd", "w") for root in streams}
    for video in range(videos):
        for root, dim in streams.items():
            times = frames(seconds, rates[root]) if root in rates else words(seconds, rng)
            group = files[root].create_group(f"{root}/data/clip{video:04d}")
            group["intervals"] = times
            group["features"] = rng.standard_normal((len(times), dim), dtype=np.float32)
    for root, file in files.items():
        file.create_dataset(f"{root}/metadata/root name", data=[json.dumps(root)], dtype=h5py.string_dtype())
        file.close()


def frames(seconds: int, hz: int) -> Any:
    """Intervals that tile the clip."""
    import numpy as np

    edges = np.arange(seconds * hz + 1) / hz
    return np.stack([edges[:-1], edges[1:]], axis=1)


def words(seconds: int, rng: Any) -> Any:
    """Three words a second of uneven length, with pauses."""
    import numpy as np

    lengths = rng.uniform(0.08, 0.5, 3 * seconds)
    pauses = np.where(rng.random(len(lengths)) < 0.2, rng.uniform(0.02, 0.4, len(lengths)), 0.0)
    ends = np.cumsum(lengths + pauses) - pauses
    return np.stack([ends - lengths, ends], axis=1) * ((seconds - 0.05) / ends[-1])


def measure_speed(folder: Path, runs: int) -> dict[str, Any]:
    """CPU seconds of reading and aligning to all words, and of aligning alone, `runs` times after a first one.

    A corpus that was read is mapped from its files, so the first alignment also pays for bringing it into memory; that
    belongs to reading. Aligning alone is the second pass over the same corpus.
    """
    import trivium
    from trivium.formats import read

    aligning, both = [], []
    for run in range(runs + 1):
        began = time.process_time()
        corpus = read(folder)
        trivium.align(corpus)
        middle = time.process_time()
        trivium.align(corpus)
        ended = time.process_time()
        if run:  # the first run loads the modules
            both.append(middle - began)
            aligning.append(ended - middle)
    return {"align": aligning, "read and align": both}


def measure_memory(folder: Path) -> dict[str, float]:
    """Peak resident memory of reading and aligning above that of the bare import, beside input and output."""
    import h5py  # noqa: F401  (reading imports it, and its 13 MB are no data)
    import numpy as np

    import trivium.align
    from trivium.formats import read

    before = peak_bytes()
    corpus = read(folder)
    aligned = trivium.align(corpus)
    peak = peak_bytes() - before
    streams = [s for utterance in corpus for s in utterance.streams.values()]
    put_in = sum(s.values.nbytes + (0 if s.times is None else s.times.nbytes) for s in streams)
    arrays = (aligned.values, aligned.mask, aligned.cell_mask, aligned.spans, aligned.words, aligned.ids)
    taken_out = sum(np.asarray(a).nbytes for a in arrays)
    return {
        "input_mb": put_in / 1e6,
        "output_mb": taken_out / 1e6,
        "peak_above_import_mb": peak / 1e6,
        "peak_over_input_and_output": peak / (put_in + taken_out),
    }


def peak_bytes() -> int:
    """Highest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def in_own_process(what: str, folder: Path, runs: int) -> Any:
    """Run one measurement in a fresh interpreter with one thread."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, __file__, "--measure", what, "--corpus", str(folder), "--runs", str(runs)]
    done = subprocess.run(command, env={**os.environ, **threads}, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def ratios(name: str, seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Medians, and how many times less that is than the SDK's lower and upper figure."""
    low, high = SDK_SECONDS[name]
    rows = {}
    for what, runs in seconds.items():
        median = statistics.median(runs)
        rows[what] = {
            "cpu_seconds_median": median,
            "cpu_seconds": runs,
            "times_less_than_sdk": [low / median, high / median],
            "reached": low / median >= WANTED[what],
        }
    return rows


def report(runs: int) -> dict[str, Any]:
    """Everything the page shows."""
    import numpy as np

    import trivium

    result: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "threads_used": 1,
        },
        "load_before": os.getloadavg()[0],
        "versions": {"trivium": trivium.__version__, "python": platform.python_version(), "numpy": np.__version__},
        "data": "synthetic",
        "sdk": {"cpu_seconds": SDK_SECONDS, "source": "CMU Multimodal SDK fd18d71, this class of machine, 2026-11-21"},
        "corpora": {},
    }
    for name, (videos, seconds) in CORPORA.items():
        with tempfile.TemporaryDirectory() as folder:
            make_corpus(Path(folder), videos, seconds)
            speed = ratios(name, in_own_process("speed", Path(folder), runs))
            result["corpora"][name] = {**speed, "memory": in_own_process("memory", Path(folder), runs)}
    short, long = (result["corpora"][name]["align"]["cpu_seconds_median"] for name in CORPORA)
    result["cost_of_300_s_clips_over_60_s_clips"] = long / short  # same totals: 1 is linear; the SDK's is 1.4 to 1.7
    result["load_after"] = os.getloadavg()[0]
    return result


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="also write the JSON to this file")
    parser.add_argument("--runs", type=int, default=7, help="timed runs per corpus")
    parser.add_argument("--measure", choices=("speed", "memory"), help=argparse.SUPPRESS)
    parser.add_argument("--corpus", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        found = measure_speed(asked.corpus, asked.runs) if asked.measure == "speed" else measure_memory(asked.corpus)
        print(json.dumps(found))
        return
    text = json.dumps(report(asked.runs), indent=1)
    print(text)
    if asked.out:
        asked.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
