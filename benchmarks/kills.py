"""A run over many clips is killed again and again, and must end with the bytes of a run that nobody disturbed.

Usage: ``TRIVIUM_DATA=FOLDER python benchmarks/kills.py [--workers 1 2] [--out docs/results/kills]``. The clips are the
first spoken clips of RAVDESS (sound, their sentence given) and the shortest real-life-trial clips (sound and picture,
their transcript given). Kills come at random moments spread over the whole run, the last ones while the corpus is put
together; each kill is SIGKILL to the whole process group, and then the same command runs again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SENTENCES = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
LATE = 3  # kills while the corpus is put together


def gather(data: Path, folder: Path, clips: int) -> tuple[Path, Path]:
    """Links to the clips, and their transcripts."""
    clip_folder, texts = folder / "clips", folder / "texts"
    clip_folder.mkdir()
    texts.mkdir()
    trial = data / "real-life-trial"
    videos = sorted((trial / "clips").glob("*.mp4"), key=lambda path: (path.stat().st_size, path.name))[: clips // 5]
    spoken = {path.stem: path.read_text(errors="replace") for path in (trial / "transcripts").rglob("*.txt")}
    for path in videos:
        (clip_folder / path.name).symlink_to(path)
        (texts / f"{path.stem}.txt").write_text(spoken[path.stem])
    for path in sorted((data / "ravdess" / "clips").glob("*.flac"))[: clips - len(videos)]:
        (clip_folder / path.name).symlink_to(path)
        (texts / f"{path.stem}.txt").write_text(SENTENCES[path.stem.split("-")[4]])
    return clip_folder, texts


def command(folder: Path, out: Path, workers: int) -> list[str]:
    """The command that is killed, and repeated."""
    start = [sys.executable, "-m", "trivium", "extract", str(folder / "clips"), "--out", str(out)]
    return [*start, "--transcripts", str(folder / "texts"), "--fps", "5", "--workers", str(workers)]


def staged(out: Path) -> int:
    """Clips that are done."""
    return sum(not p.name.startswith(".") for p in out.with_name(f".{out.name}.staging").glob("*.arrow"))


def start(line: list[str]) -> subprocess.Popen[bytes]:
    """Run in a process group of its own."""
    return subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def drafts(out: Path) -> set[Path]:
    """Corpora that are being put together, or were when a kill came."""
    return set(out.with_name(f".{out.name}.staging").glob(f".{out.name}.*.part"))


def kill_at(line: list[str], out: Path, count: int | None, delay: float) -> dict[str, Any]:
    """Start, wait for so many staged clips (None: for the corpus to be begun), kill all, and tell what was there."""
    before = drafts(out)
    run = start(line)
    while run.poll() is None and (staged(out) < count if count is not None else drafts(out) <= before):
        time.sleep(0.001)
    time.sleep(delay)
    ended = run.poll() is not None
    if not ended:
        os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    found = {"staged": staged(out), "corpus_begun": bool(drafts(out)), "corpus_is_there": out.exists()}
    return {**found, "run_had_ended": ended}


def content(out: Path) -> dict[str, str]:
    """Hash of every file of a corpus."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.iterdir())}


def trial(folder: Path, clips: int, kills: int, workers: int, seed: int, straight: dict[str, str]) -> dict[str, Any]:
    """One run that is killed so many times, and what it ends with."""
    rng = random.Random(seed + workers)
    out = folder / f"killed-{workers}"
    line = command(folder, out, workers)
    early = sorted(rng.sample(range(clips), kills - LATE))
    moments: list[tuple[int | None, float]] = [(count, rng.uniform(0, 0.5)) for count in early]
    moments += [(None, rng.uniform(0, 0.1)) for _ in range(LATE)]
    began = time.perf_counter()
    told = [kill_at(line, out, count, delay) for count, delay in moments]
    last = [] if out.exists() else [start(line).wait()]
    return {
        "workers": workers,
        "kills": sum(not row["run_had_ended"] for row in told),
        "kill_rows": told,
        "last_exit_code": last,
        "wall_seconds": time.perf_counter() - began,
        "same_bytes": content(out) == straight,
        "left_behind": sorted(p.name for p in folder.iterdir() if p.name.startswith(f".{out.name}")),
    }


def report(clips: int, kills: int, workers: list[int], seed: int) -> dict[str, Any]:
    """Everything the page shows."""
    import trivium

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip_folder, _ = gather(Path(os.environ["TRIVIUM_DATA"]), folder, clips)
        digest = hashlib.sha256()
        for path in sorted(clip_folder.iterdir()):
            digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
        out = folder / "straight"
        began = time.perf_counter()
        code = start(command(folder, out, 1)).wait()
        seconds = time.perf_counter() - began
        straight = content(out)
        trials = [trial(folder, clips, kills, count, seed, straight) for count in workers]
        return {
            "date": datetime.now(UTC).date().isoformat(),
            "command": f"benchmarks/kills.py --clips {clips} --kills {kills} --seed {seed}",
            "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
            "versions": {"trivium": trivium.__version__, "python": platform.python_version()},
            "clips": len(list(clip_folder.iterdir())),
            "data_sha256": digest.hexdigest(),
            "undisturbed": {"exit_code": code, "wall_seconds": seconds, "files": straight},
            "trials": trials,
        }


def page(told: dict[str, Any]) -> str:
    """The results as people read them."""
    lines = [
        "# A run that is killed, and goes on",
        "",
        f"{told['date']}, `{told['command']}`, {told['machine']['cores']} cores, trivium "
        f"{told['versions']['trivium']}, Python {told['versions']['python']}; data SHA-256 "
        f"`{told['data_sha256'][:16]}`, [JSON](kills.json).",
        "",
        f"{told['clips']} clips (four fifths RAVDESS sound, one fifth real talking videos, transcripts given, "
        "5 frames/s). SIGKILL goes to the whole process group; then the same command runs again. `staged` is "
        f"the number of clips that were done; the last {LATE} kills come while the corpus is put together. "
        "The bytes are those of all files of the corpus folder, compared with a run that nobody disturbed.",
        "",
        "| processes | kills that hit | staged at each kill | same bytes | left behind |",
        "|---|---|---|---|---|",
    ]
    for row in told["trials"]:
        counts = ", ".join(str(kill["staged"]) for kill in row["kill_rows"] if not kill["run_had_ended"])
        same = "yes" if row["same_bytes"] else "**no**"
        left = ", ".join(row["left_behind"]) or "nothing"
        lines.append(f"| {row['workers']} | {row['kills']} | {counts} | {same} | {left} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="also write NAME.json and NAME.md")
    asked = parser.parse_args()
    told = report(asked.clips, asked.kills, asked.workers, asked.seed)
    text = json.dumps(told, indent=1)
    print(text)
    if asked.out:
        asked.out.with_suffix(".json").write_text(text + "\n")
        asked.out.with_suffix(".md").write_text(page(told))


if __name__ == "__main__":
    main()
