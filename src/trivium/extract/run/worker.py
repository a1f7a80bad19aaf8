"""A process that extracts clips for another one: ``python -m trivium.extract.run.worker``.

It reads jobs as lines of JSON from its standard input and answers each with a line; what others print goes to the error
output. It ends when its input ends, even in the midst of a clip: nobody would hear the answer.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import Any, TextIO

__all__ = ["main"]


def main() -> None:
    """Serve until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # stopping is the parent's business
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    jobs: queue.Queue[Any] = queue.Queue()
    threading.Thread(target=_listen, args=(jobs,), daemon=True).start()
    try:
        stager = _stager(jobs.get())
        _answer(answers, {"ready": True})
        while True:
            _answer(answers, _done(stager, jobs.get()))
    except Exception as error:
        from trivium.extract.run.stage import error_to_json

        _answer(answers, {"fatal": error_to_json(error)})


def _listen(jobs: queue.Queue[Any]) -> None:
    for line in sys.stdin:
        jobs.put(json.loads(line))
    os._exit(0)


def _answer(answers: TextIO, told: Any) -> None:
    answers.write(json.dumps(told) + "\n")
    answers.flush()


def _stager(told: Any) -> Any:
    from trivium.corpus import Specification
    from trivium.corpus.staging import Staging
    from trivium.extract.clip import ClipExtractor
    from trivium.extract.run.stage import Stager

    staging = Staging(Path(told["folder"]), Specification.from_json(told["specification"]))
    return Stager(ClipExtractor(**told["options"]), staging)


def _done(stager: Any, told: Any) -> Any:
    from trivium.extract.source.recording import Recording

    recordings = {place: Recording.from_json(recording) for place, recording in told["recordings"]}
    return stager.clip(Path(told["path"]), recordings).to_json()


if __name__ == "__main__":
    main()
