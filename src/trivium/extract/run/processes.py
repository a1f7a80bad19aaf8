"""Clips are extracted by several processes, and none of them takes the run with it.

Every process is a fresh interpreter with its own models and one thread, so that what a clip gives does not depend on
the number of processes. They stage what they made; only keys and errors come back. A clip at which a process dies is
tried once more when nothing else runs, and then counted as failed.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trivium.corpus.staging import Staging
from trivium.errors import MediaError, TriviumError
from trivium.extract.run.stage import Outcome, error_from_json
from trivium.extract.source.recording import Recording

__all__ = ["ClipJob", "cores", "extract_in_processes"]

_PATIENCE_SECONDS = 5.0
_LEAVE_OUT = "run the command again, with --workers 1 if memory is short; if it ends so again, leave the clip out"
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def cores() -> int:
    """Processor cores that this process may use.

    Examples
    --------
    >>> cores() >= 1
    True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class ClipJob:
    """A clip, and what is to be made of it.

    Parameters
    ----------
    path : Path
        The file.
    recordings : mapping of int to Recording
        By their place in the run.
    """

    path: Path
    recordings: Mapping[int, Recording]

    def to_json(self) -> dict[str, Any]:
        """Plain builtins, for another process."""
        return {
            "path": str(self.path),
            "recordings": [(place, recording.to_json()) for place, recording in self.recordings.items()],
        }


def extract_in_processes(
    jobs: Sequence[ClipJob],
    options: Mapping[str, Any],
    staging: Staging,
    workers: int,
    begin: Callable[[ClipJob], None],
    take: Callable[[Outcome], None],
) -> None:
    """Extract and stage clips in processes of their own.

    Parameters
    ----------
    jobs : sequence of ClipJob
        In any order.
    options : mapping
        What the extractor is made with, see :class:`~trivium.extract.clip.ClipExtractor`.
    staging : Staging
        Where the parts go.
    workers : int
        Number of processes.
    begin, take : callable
        Called with every clip before and after it is worked on, in this thread.

    Raises
    ------
    TriviumError
        Nothing can go on: the disk is full, for example.
    """
    setup = {"options": dict(options), "folder": str(staging.folder), "specification": staging.specification.to_json()}
    again = _work(jobs, setup, workers, begin, take)
    for job, _ in again:
        for late, how in _work([job], setup, 1, begin, take):
            problem = f"the process that extracted it {how}"
            error = MediaError(problem, file=late.path, remedy=_LEAVE_OUT)
            take(Outcome(failed=dict.fromkeys(late.recordings, error)))


@dataclass
class _Worker:
    """One process and the thread that talks with it."""

    process: subprocess.Popen[str]
    ended: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def start(cls, setup: Mapping[str, Any]) -> _Worker:
        paths = [path for path in sys.path if path]
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "trivium.extract.run.worker"],  # -P: no module of the folder we are in
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, **dict.fromkeys(_ONE_THREAD, "1"), "PYTHONPATH": os.pathsep.join(paths)},
        )
        worker = cls(process)
        worker.say(setup)
        return worker

    def say(self, told: Any) -> None:
        """Send a line; that nobody listens any more is found when the answer is awaited."""
        if self.process.stdin is not None:
            with suppress(OSError):
                self.process.stdin.write(json.dumps(told) + "\n")
                self.process.stdin.flush()

    def hear(self) -> Any:
        """The next answer; None if the process died. Lines that others print while it starts are passed over."""
        while self.process.stdout is not None and (line := self.process.stdout.readline()).endswith("\n"):
            with suppress(json.JSONDecodeError):
                answer = json.loads(line)
                if isinstance(answer, dict):
                    return answer
        return None

    def end(self) -> str:
        """Let the process end, which it does when its input ends, and say how it ended."""
        with suppress(OSError):
            if self.process.stdin is not None:
                self.process.stdin.close()
        try:
            self.process.wait(timeout=_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        return _how(self.process.returncode)


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else "unknown"
    why = ": probably out of memory" if -code == signal.SIGKILL else f", {name}"
    return f"was killed (signal {-code}){why}"


@dataclass
class _Crew:
    """Processes that share the clips that wait; what happens to them is told in one queue."""

    setup: Mapping[str, Any]
    waiting: queue.SimpleQueue[ClipJob | None] = field(default_factory=queue.SimpleQueue)
    events: queue.SimpleQueue[tuple[str, ClipJob, Any]] = field(default_factory=queue.SimpleQueue)
    stopped: threading.Event = field(default_factory=threading.Event)
    workers: list[_Worker] = field(default_factory=list)

    def serve(self) -> None:
        """Give clips to one process after the other; a new one is started where one died."""
        worker: _Worker | None = None
        while (job := self.waiting.get()) is not None and not self.stopped.is_set():
            self.events.put(("begin", job, None))
            try:
                worker = worker or self._started()
                worker.say(job.to_json())
                answer = worker.hear()
                if answer is None:
                    self.events.put(("died", job, worker.end()))
                    worker = None
                elif "fatal" in answer:
                    self.events.put(("fatal", job, error_from_json(answer["fatal"])))
                else:
                    self.events.put(("done", job, Outcome.from_json(answer)))
            except TriviumError as error:
                self.events.put(("fatal", job, error))
            except Exception as error:  # nobody waits for an answer that never comes
                self.events.put(("done", job, Outcome(failed=dict.fromkeys(job.recordings, error))))
        if worker is not None:
            worker.end()

    def _started(self) -> _Worker:
        """A new process that is ready for clips."""
        remedy = "try --workers 1"
        try:
            worker = _Worker.start(self.setup)
        except OSError as cause:
            raise TriviumError(f"no process for the extraction could be started: {cause}", remedy=remedy) from cause
        self.workers.append(worker)
        answer = worker.hear()
        if answer is None:
            raise TriviumError(f"a process for the extraction did not start: it {worker.end()}", remedy=remedy)
        if "fatal" in answer:
            raise error_from_json(answer["fatal"])
        return worker

    def stop(self) -> None:
        """End everything now."""
        self.stopped.set()
        for worker in self.workers:
            worker.process.kill()
            worker.process.wait()


def _work(
    jobs: Iterable[ClipJob],
    setup: Mapping[str, Any],
    workers: int,
    begin: Callable[[ClipJob], None],
    take: Callable[[Outcome], None],
) -> list[tuple[ClipJob, str]]:
    """Do the jobs, and give those at which a process died, with how it died."""
    crew = _Crew(setup)
    waiting = sorted(jobs, key=_bytes, reverse=True)  # the longest first, so that none is left alone at the end
    for job in (*waiting, *[None] * workers):
        crew.waiting.put(job)
    threads = [threading.Thread(target=crew.serve, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    died, left = [], len(waiting)
    try:
        while left:
            what, job, told = crew.events.get()
            left -= what != "begin"
            if what == "begin":
                begin(job)
            elif what == "done":
                take(told)
            elif what == "died":
                died.append((job, told))
            else:
                raise told
    finally:
        crew.stop()
    for thread in threads:
        thread.join()
    return died


def _bytes(job: ClipJob) -> int:
    try:
        return job.path.stat().st_size
    except OSError:
        return 0
