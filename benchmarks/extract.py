"""Speed and memory of extraction: seconds per stage and per minute of clip, start-up, 1 and 2 processes, long clips.

Usage: ``[TRIVIUM_DATA=FOLDER] python benchmarks/extract.py [--out docs/results/extract]``, about five minutes on two
quiet cores; ``--hour`` measures only the peak memory of long clips (``--minutes 10 20 60``), ``--columns`` only what
the columns of the encoder cost beside those of the voice; ``--modalities`` and ``--audio`` are the command's. Clips are
the first real-life-trial clips that last two minutes together (480 pixels, 30 frames/s), else the demo's sample clip
several times over. Faces are looked for at 12.5 frames/s. Every measurement runs in a process of its own; stages are
timed in a second pass over the same clips, when all models are loaded.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

SECONDS = 120.0
USUAL = {"modalities": "text,audio,vision", "audio": "voice,whisper:words"}
WANTED = {"transcript given": 5.0, "recognised": 3.0, "start-up seconds": 4.0, "peak MB": 1500.0}
LIBRARIES = ("av", "faster-whisper", "ctranslate2", "pocketsphinx", "ai-edge-litert", "numpy")
ROOT = Path(__file__).parents[1]


def gather(folder: Path) -> tuple[str, dict[str, str]]:
    """Put clips into ``clips`` and their transcripts into ``texts``; what they are, and their hashes."""
    clips, texts = folder / "clips", folder / "texts"
    clips.mkdir()
    texts.mkdir()
    data = os.environ.get("TRIVIUM_DATA")
    if data:
        trial = Path(data) / "real-life-trial"
        spoken = {path.stem: path for path in (trial / "transcripts").rglob("*.txt")}
        total = 0.0
        for path in sorted((trial / "clips").glob("*.mp4")):
            if total < SECONDS and path.stem in spoken:
                (clips / path.name).symlink_to(path)
                (texts / f"{path.stem}.txt").write_text(spoken[path.stem].read_text(errors="replace"))
                total += seconds_of(path)
    else:
        sys.path.insert(0, str(ROOT / "demo"))
        from clip import assemble_clip  # type: ignore[import-not-found]

        one = assemble_clip(folder / "sample.mp4")
        for number in range(6):
            loop(one, clips / f"{number}.mp4", SECONDS / 6)
            (texts / f"{number}.txt").write_text("unless to be rather cold hearted and rather selfish is to be ill")
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in sorted(clips.iterdir())}
    return ("real-life-trial clips" if data else "the demo's sample clip (not one person)"), hashes


def seconds_of(path: Path) -> float:
    """Length of a clip."""
    from trivium.extract.source.media import open_clip

    return open_clip(path).facts.seconds


def loop(source: Path, target: Path, seconds: float) -> None:
    """Repeat a clip, packet by packet, until it is long enough."""
    import av

    with av.open(str(target), "w") as out:
        tracks: dict[str, Any] = {}
        offset = 0.0
        while offset < seconds:
            with av.open(str(source)) as file:
                if not tracks:
                    kinds = [file.streams.video[0], file.streams.audio[0]]
                    tracks = {stream.type: out.add_stream_from_template(stream) for stream in kinds}
                end = 0.0
                for packet in file.demux(file.streams.video[0], file.streams.audio[0]):
                    if packet.dts is None or packet.pts is None:
                        continue
                    base = float(packet.time_base)
                    end = max(end, (packet.pts + (packet.duration or 0)) * base)
                    packet.pts += round(offset / base)
                    packet.dts += round(offset / base)
                    packet.stream = tracks[packet.stream.type]
                    out.mux(packet)
            offset += end


class Clock:
    """Processor and wall seconds by stage; what runs inside another stage counts for the inner one alone."""

    def __init__(self) -> None:
        self.spent: dict[str, list[float]] = {}
        self._inner = [[0.0, 0.0]]

    def run(self, name: str, work: Callable[[], Any]) -> Any:
        """Do some work of a stage."""
        began = time.process_time(), time.perf_counter()
        self._inner.append([0.0, 0.0])
        try:
            return work()
        finally:
            whole = time.process_time() - began[0], time.perf_counter() - began[1]
            inner = self._inner.pop()
            row = self.spent.setdefault(name, [0.0, 0.0])
            for place in (0, 1):
                row[place] += whole[place] - inner[place]
                self._inner[-1][place] += whole[place]

    def wrap(self, owner: Any, attribute: str, name: str) -> None:
        """Time every call of a function or method."""
        real = getattr(owner, attribute)
        setattr(owner, attribute, lambda *given, **named: self.run(name, lambda: real(*given, **named)))

    def wrap_frames(self, owner: Any, name: str) -> None:
        """Time the decoding of frames, which happens between those who look at them."""
        real = owner.frames

        def frames(*given: Any, **named: Any) -> Iterator[Any]:
            source = real(*given, **named)
            while (frame := self.run(name, lambda: next(source, None))) is not None:
                yield frame

        owner.frames = frames


def stages(clock: Clock) -> None:
    """Put the clock on everything that costs."""
    from trivium.extract import clip_sound
    from trivium.extract.audio import voice, whisper
    from trivium.extract.source import media
    from trivium.extract.text import minilm
    from trivium.extract.vision import recorder
    from trivium.extract.words import spoken

    clock.wrap(media.Clip, "sound", "decode sound")
    clock.wrap_frames(media.Clip, "decode picture")
    clock.wrap(spoken, "recognise", "recognise")
    clock.wrap(spoken, "time_words", "align words")
    clock.wrap(minilm.MinilmExtractor, "stream", "text")
    clock.wrap(voice.VoiceExtractor, "stream", "voice")
    clock.wrap(whisper, "encoder_states", "encode")
    clock.wrap(clip_sound, "pooled_by_word", "pool by word")
    clock.wrap(recorder.FaceRecorder, "add", "face")


def measure_stages(folder: Path, transcripts: Path | None, options: dict[str, str]) -> dict[str, Any]:
    """Seconds by stage over all clips of a folder, in a second pass; start-up before the first."""
    from trivium.extract import extract_clips, find_recordings
    from trivium.extract.clip import ClipExtractor

    first: list[tuple[float, float]] = []
    real = ClipExtractor.extract_spans

    def noted(*given: Any, **named: Any) -> Any:
        first.append((time.time(), time.process_time()))
        return real(*given, **named)

    ClipExtractor.extract_spans = noted  # type: ignore[method-assign]
    texts = transcripts
    asked: dict[str, Any] = {"modalities": options["modalities"].split(","), "audio": options["audio"], "show": False}
    passes = []
    for _ in range(2):  # the second time all models are there
        extract_clips(find_recordings(folder, texts)[:1], **asked)
        passes.append((time.time() - first[-1][0], time.process_time() - first[-1][1]))
    loading = [once - again for once, again in zip(*passes, strict=True)]
    clock = Clock()
    stages(clock)
    extractor_began = time.process_time(), time.perf_counter()
    corpus = extract_clips(folder, transcripts=texts, **asked)
    whole = [time.process_time() - extractor_began[0], time.perf_counter() - extractor_began[1]]
    other = [whole[place] - sum(row[place] for row in clock.spent.values()) for place in (0, 1)]
    return {
        "clip_seconds": float(sum(one.end for one in corpus)),
        "start_up_seconds": first[0][0] - float(os.environ["TRIVIUM_BEGAN"]),
        "start_up_cpu": first[0][1],
        "loading_models_seconds": loading[0],
        "loading_models_cpu": loading[1],
        "stages": {**clock.spent, "other": other},
        "whole": whole,
        "peak_mb": peak_mb(resource.RUSAGE_SELF),
        "failures": corpus.provenance["failures"],
    }


def measure_run(folder: Path, transcripts: Path | None, workers: int, options: dict[str, str]) -> dict[str, Any]:
    """Wall and processor seconds of the command, processes and their start included, and its largest process."""
    line = [sys.executable, "-m", "trivium", "extract", str(folder), "--workers", str(workers)]
    line += ["--transcripts", str(transcripts)] if transcripts else []
    line += [part for name, value in options.items() for part in (f"--{name}", value)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as name:
        began = time.perf_counter()
        done = subprocess.Popen(
            [*line, "--out", f"{name}/corpus"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        anonymous = watched_mb(done)
        wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    peak = peak_mb(resource.RUSAGE_CHILDREN)
    told = {"workers": workers, "wall": wall, "cpu": cpu, "peak_mb": peak, "exit_code": done.returncode}
    return told | ({"anonymous_mb": anonymous} if anonymous else {})


def watched_mb(process: subprocess.Popen[bytes]) -> float:
    """Wait for a process, and tell the most memory that was its own: not that of files, which the system may take back.

    0 where the system does not say; looked at ten times a second.
    """
    highest = 0.0
    while process.poll() is None:
        with suppress(OSError):
            told = Path(f"/proc/{process.pid}/status").read_text()
            own = [float(line.split()[1]) for line in told.splitlines() if line.startswith("RssAnon")]
            highest = max(highest, *own, 0.0)
        time.sleep(0.1)
    return highest * 1024 / 1e6


def peak_mb(whose: int) -> float:
    """Highest resident memory so far, of this process or of the largest that it started."""
    peak = resource.getrusage(whose).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e6 / 1024)


def in_own_process(
    what: str, folder: Path, transcripts: Path | None, workers: int = 1, options: dict[str, str] | None = None
) -> Any:
    """Run one measurement in a fresh interpreter with one thread."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    line = [sys.executable, __file__, "--measure", what, "--folder", str(folder), "--workers", str(workers)]
    line += ["--transcripts", str(transcripts)] if transcripts else []
    line += [part for name, value in (options or USUAL).items() for part in (f"--{name}", value)]
    environment = {**os.environ, **threads, "TRIVIUM_BEGAN": str(time.time())}
    done = subprocess.run(line, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def facts() -> dict[str, Any]:
    """Where and with what this was measured."""
    import trivium

    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "load_before": os.getloadavg()[0],
        "versions": {
            "trivium": trivium.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in LIBRARIES},
        },
    }


def report(minutes: list[int]) -> dict[str, Any]:
    """Everything the page shows."""
    result = facts()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result["data"], result["clips"] = gather(folder)
        texts = folder / "texts"
        for what, given in (("transcript given", texts), ("recognised", None)):
            own = in_own_process("stages", folder / "clips", given)
            own["runs"] = [in_own_process("run", folder / "clips", given, workers) for workers in (1, 2)]
            result[what] = own
        first = sorted((folder / "clips").iterdir())[0]
        result["lengths"] = [_length(folder, first, texts, count) for count in minutes]
    result["load_after"] = os.getloadavg()[0]
    return result


def _length(folder: Path, clip: Path, texts: Path, minutes: int) -> dict[str, Any]:
    """One clip of so many minutes, its transcript as often as it is repeated."""
    own = folder / f"minutes-{minutes}"
    (own / "clips").mkdir(parents=True)
    (own / "texts").mkdir()
    loop(clip, own / "clips" / "long.mp4", 60.0 * minutes)
    count = round(seconds_of(own / "clips" / "long.mp4") / seconds_of(clip))
    (own / "texts" / "long.txt").write_text("\n".join([(texts / f"{clip.stem}.txt").read_text()] * count))
    told = in_own_process("stages", own / "clips", own / "texts")
    return {"minutes": told["clip_seconds"] / 60, "cpu": told["whole"][0], "stages": told["stages"]}


def report_columns() -> dict[str, Any]:
    """Stages of words and sound, without the columns of the encoder and with them."""
    result = facts()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result["data"], result["clips"] = gather(folder)
        for what, given in (("transcript given", folder / "texts"), ("recognised", None)):
            for audio in ("voice", USUAL["audio"]):
                options = {"modalities": "text,audio", "audio": audio}
                result[f"{what}, {audio}"] = in_own_process("stages", folder / "clips", given, options=options)
    result["load_after"] = os.getloadavg()[0]
    return result


def report_hour(minutes: list[int], options: dict[str, str]) -> dict[str, Any]:
    """Peak memory of one long clip, recognised and looked at, by its length."""
    result = facts() | {"options": options}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result["data"], result["clips"] = gather(folder)
        first = sorted((folder / "clips").iterdir())[0]
        result["long"] = []
        for count in minutes:
            own = folder / f"long-{count}"
            own.mkdir()
            loop(first, own / "long.mp4", 60.0 * count)
            result["long"].append({"minutes": count, **in_own_process("run", own, None, 1, options)})
            (own / "long.mp4").unlink()
    return result


def page(told: dict[str, Any], hour: dict[str, Any] | None) -> str:
    """The results as people read them."""
    lines = [
        "# Speed and memory of extraction",
        "",
        f"{told['date']}, `python benchmarks/extract.py`, {told['machine']['cores']} cores "
        f"({told['machine']['processor']}), load {told['load_before']:.1f} before and {told['load_after']:.1f} after; "
        + ", ".join(f"{name} {number}" for name, number in told["versions"].items())
        + f". {len(told['clips'])} {told['data']}, {told['recognised']['clip_seconds']:.0f} s together, faces at 12.5 "
        "frames/s; hashes of the clips in the [JSON](extract.json).",
        "",
        "## Stages",
        "",
        "One process, one thread, models loaded: processor seconds per minute of clip, and the share of each stage.",
        "",
        "| stage | transcript given | share | recognised | share |",
        "|---|---|---|---|---|",
    ]
    modes = [told["transcript given"], told["recognised"]]
    for name in modes[1]["stages"]:
        cells = []
        for mode in modes:
            cpu = mode["stages"].get(name, [0.0, 0.0])[0]
            cells += [f"{60 * cpu / mode['clip_seconds']:.2f} s", f"{100 * cpu / mode['whole'][0]:.0f} %"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    whole = [f"{60 * mode['whole'][0] / mode['clip_seconds']:.2f} s | 100 %" for mode in modes]
    lines.append(f"| **all** | {' | '.join(whole)} |")
    lines += ["", *_runs(told), *_lengths(told), *([] if hour is None else _hour(hour))]
    return "\n".join([*lines, ""])


def _runs(told: dict[str, Any]) -> list[str]:
    lines = [
        "## The command, start and models included",
        "",
        "| what | processes | wall | processor | times faster than real time | wanted | largest process |",
        "|---|---|---|---|---|---|---|",
    ]
    for what in ("transcript given", "recognised"):
        for run in told[what]["runs"]:
            speed = told[what]["clip_seconds"] / run["wall"]
            wanted = f"{WANTED[what]:g} on 2 cores" if run["workers"] == 2 else "-"
            peak = f"{run['peak_mb']:.0f} MB"
            cells = (what, run["workers"], f"{run['wall']:.1f} s", f"{run['cpu']:.1f} s", f"{speed:.1f}", wanted, peak)
            lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    mode = told["recognised"]
    return [
        *lines,
        "",
        f"From the start of the process to the first clip: {mode['start_up_seconds']:.1f} s "
        f"({mode['start_up_cpu']:.1f} s of processor), and {mode['loading_models_seconds']:.1f} s "
        f"({mode['loading_models_cpu']:.1f} s) more for loading all models: "
        f"{mode['start_up_seconds'] + mode['loading_models_seconds']:.1f} s together, where "
        f"{WANTED['start-up seconds']:g} were wanted.",
        "",
    ]


def _lengths(told: dict[str, Any]) -> list[str]:
    lines = [
        "## By length",
        "",
        "One clip, repeated; transcript given, processor seconds.",
        "",
        "| minutes | all | per minute |",
        "|---|---|---|",
    ]
    for row in told["lengths"]:
        lines.append(f"| {row['minutes']:.1f} | {row['cpu']:.1f} s | {row['cpu'] / row['minutes']:.1f} s |")
    return [*lines, ""]


def _hour(told: dict[str, Any]) -> list[str]:
    lines = [
        "## Memory of long clips (`--hour`)",
        "",
        f"{told['date']}; one clip, repeated, recognised and looked at, one process; wanted below "
        f"{WANTED['peak MB']:g} MB whatever the length.",
        "",
        "| minutes | peak memory | without files | processor |",
        "|---|---|---|---|",
    ]
    for row in told["long"]:
        own = f"{row['anonymous_mb']:.0f} MB" if "anonymous_mb" in row else "-"
        lines.append(f"| {row['minutes']} | {row['peak_mb']:.0f} MB | {own} | {row['cpu']:.0f} s |")
    return lines


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="also write NAME.json and NAME.md")
    parser.add_argument("--hour", action="store_true", help="measure the memory of long clips instead")
    parser.add_argument("--minutes", type=int, nargs="+", help="lengths: 1 2 4, or with --hour 10 20 60")
    for name, kind in (("--measure", str), ("--folder", Path), ("--transcripts", Path), ("--workers", int)):
        parser.add_argument(name, type=kind, help=argparse.SUPPRESS)
    parser.add_argument("--columns", action="store_true", help="measure the columns of the encoder instead")
    for name, value in USUAL.items():
        parser.add_argument(f"--{name}", default=value, help=f"as for the command: {value}")
    asked = parser.parse_args()
    options = {name: getattr(asked, name) for name in USUAL}
    if asked.measure:
        found = (
            measure_stages(asked.folder, asked.transcripts, options)
            if asked.measure == "stages"
            else measure_run(asked.folder, asked.transcripts, asked.workers, options)
        )
        print(json.dumps(found))
        return
    if asked.columns:
        told = report_columns()
    else:
        told = report_hour(asked.minutes or [10, 20, 60], options) if asked.hour else report(asked.minutes or [1, 2, 4])
    print(json.dumps(told, indent=1))
    if asked.out and not asked.columns:
        write(told, asked.out, hour=asked.hour)


def write(told: dict[str, Any], out: Path, *, hour: bool) -> None:
    """Keep both measurements in one file, each as it was last made."""
    file = out.with_suffix(".json")
    kept = json.loads(file.read_text()) if file.exists() else {}
    kept["hour" if hour else "speed"] = told
    file.write_text(json.dumps(kept, indent=1) + "\n")
    if "speed" in kept:
        out.with_suffix(".md").write_text(page(kept["speed"], kept.get("hour")))


if __name__ == "__main__":
    main()
