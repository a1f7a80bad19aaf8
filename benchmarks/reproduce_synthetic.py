"""`trivium reproduce mosi` on a made-up file of MOSI's layout and sizes: that it runs, what it costs, what it says.

usage: python benchmarks/reproduce_synthetic.py [--out docs/results] [--networks tfn ...] [--epochs 1]

1,284 / 229 / 686 utterances, 50 shared steps, 768 / 5 / 20 columns, random numbers. One seed and one epoch, so no score
means anything: what is measured is that every network of the table trains, predicts, is counted and printed beside the
published rows, and the CPU seconds and peak memory of each, in a process of its own.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from synthetic_field_files import LAYOUTS, write_file

NAME = "reproduce-synthetic"


def one(network: str, data: Path, epochs: int) -> dict[str, Any]:
    """Reproduce one network in this process."""
    import torch

    from trivium.evaluate import ReadLedger
    from trivium.evaluate.reproduction import markdown_page, reproduce

    torch.set_num_threads(1)
    began, wall = time.process_time(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = reproduce(
            "mosi",
            [data],
            [network],
            seed_count=1,
            changes={"max_epochs": epochs},
            folder=folder,
            ledger=ReadLedger(Path(folder) / "reads.jsonl"),
            resamples=1000,
            show=False,
        )
        reads = len((Path(folder) / "reads.jsonl").read_text(encoding="utf-8").splitlines())
    page = markdown_page(found)
    return {
        "network": network,
        "cpu_seconds": round(time.process_time() - began, 1),
        "wall_seconds": round(time.perf_counter() - wall, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "reads_of_the_test_fold": reads,
        "utterances_scored": len(found.results[0].experiment.card.answers),
        "published_rows_beside": len(found.results[0].published),
        "titles_that_say_synthetic": all(
            "SYNTHETIC" in t for t in page.splitlines() if t.startswith(("# ", "## mosi"))
        ),
    }


def page(result: dict[str, Any]) -> str:
    """The results page."""
    heads = list(result["rows"][0])
    lines = [
        "# Reproduction on a made-up file of MOSI's sizes",
        f"{result['date']}, torch {result['torch']}, one thread of {result['machine']}. Made by\n"
        "`python benchmarks/reproduce_synthetic.py --out docs/results`, whose header says how. **The data are random\n"
        f"numbers and training is {result['epochs']} epoch, one seed: no score is given, because none would mean "
        "anything.**\nReading the file is part of the time; other work ran beside it, so wall seconds say little.",
        "| " + " | ".join(head.replace("_", " ") for head in heads) + " |\n|" + "---|" * len(heads),
    ]
    rows = ["| " + " | ".join(str(row[head]) for head in heads) + " |" for row in result["rows"]]
    return "\n\n".join(lines) + "\n" + "\n".join(rows) + "\n"


def main() -> None:
    """Run every network in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--networks", nargs="*")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(one(chosen.one, chosen.data, chosen.epochs)))
        return
    from trivium.evaluate.reproduction import NETWORKS

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        data = write_file(Path(folder) / "synthetic-aligned_50.pkl", "mosi", sizes=LAYOUTS["mosi"].sizes)
        for network in chosen.networks or NETWORKS:
            words = [sys.executable, __file__, "--one", network, "--data", str(data), "--epochs", str(chosen.epochs)]
            ran = subprocess.run(words, capture_output=True, text=True, check=True)
            rows.append(json.loads(ran.stdout))
            print(rows[-1], flush=True)
    import torch

    result = {
        "date": datetime.date.today().isoformat(),
        "torch": torch.__version__,
        "machine": platform.machine(),
        "epochs": chosen.epochs,
        "synthetic": True,
        "rows": rows,
    }
    if chosen.out is not None:
        (chosen.out / f"{NAME}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        (chosen.out / f"{NAME}.md").write_text(page(result), encoding="utf-8")


if __name__ == "__main__":
    main()
