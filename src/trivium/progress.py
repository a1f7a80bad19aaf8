"""Progress of long work: a bar with rate and time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, TypeVar

__all__ = ["Bar", "progress_bar", "track"]

Item = TypeVar("Item")
_SECONDS_BETWEEN_LINES = 10.0


class Bar(Protocol):
    """What long work tells about itself."""

    def advance(self, steps: float = 1) -> None:
        """Say that `steps` more are done."""

    def note(self, text: str) -> None:
        """Show a short text beside the bar, such as the current loss."""


def _rate(per_second: float) -> str:
    """A rate that people can read, however slow the work is."""
    return f"{per_second:.1f}/s" if per_second >= 1 else f"{60 * per_second:.1f}/min"


class _TerminalBar:
    def __init__(self, title: str, total: float | None) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task(title, total=total, note="", rate="")
        self._began = time.monotonic()
        self._done = 0.0

    def advance(self, steps: float = 1) -> None:
        self._done += steps
        rate = self._done / max(time.monotonic() - self._began, 1e-9)
        self._progress.update(self._task, advance=steps, rate=_rate(rate))

    def note(self, text: str) -> None:
        self._progress.update(self._task, note=text)

    def __enter__(self) -> _TerminalBar:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, t: TracebackType | None) -> None:
        self._progress.stop()


class _LineBar:
    """Prints a line every ten seconds, done or not, and one at the end of work that took longer than that."""

    def __init__(self, title: str, total: float | None) -> None:
        self._title, self._total = title, total
        self._done, self._note = 0.0, ""
        self._began = self._spoke = time.monotonic()
        self._ended = threading.Event()
        self._speaker = threading.Thread(target=self._speak_on, daemon=True)

    def advance(self, steps: float = 1) -> None:
        self._done += steps

    def _speak_on(self) -> None:
        while not self._ended.wait(_SECONDS_BETWEEN_LINES):
            self._speak()

    def note(self, text: str) -> None:
        self._note = text

    def _speak(self) -> None:
        self._spoke = time.monotonic()
        spent = self._spoke - self._began
        rate = self._done / max(spent, 1e-9)
        of = "" if self._total is None else f" of {self._total:g}"
        left = "" if not self._total or not rate else f", {(self._total - self._done) / rate:.0f} s left"
        note = f", {self._note}" if self._note else ""
        print(f"{self._title}: {self._done:g}{of}, {_rate(rate)}{left}{note}", file=sys.stderr, flush=True)

    def __enter__(self) -> _LineBar:
        self._speaker.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, t: TracebackType | None) -> None:
        self._ended.set()
        self._speaker.join()
        if self._spoke > self._began:
            self._speak()


@contextmanager
def progress_bar(title: str, total: float | None = None, *, show: bool = True) -> Iterator[Bar]:
    """Open a bar for `total` steps (None: unknown) on standard error.

    Parameters
    ----------
    title : str
        What is being done, in one or two words.
    total : float, optional
        Number of steps.
    show : bool
        False keeps silent.

    Examples
    --------
    >>> with progress_bar("reading", 2, show=False) as bar:
    ...     bar.advance()
    """
    if not show:
        yield _Silent()
        return
    bar = _TerminalBar(title, total) if sys.stderr.isatty() else _LineBar(title, total)
    with bar:
        yield bar


class _Silent:
    def advance(self, steps: float = 1) -> None:
        pass

    def note(self, text: str) -> None:
        pass


def track(items: Iterable[Item], title: str, total: int | None = None, *, show: bool = True) -> Iterator[Item]:
    """Yield `items` while a bar follows them.

    Examples
    --------
    >>> list(track([1, 2], "counting", show=False))
    [1, 2]
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    with progress_bar(title, total, show=show) as bar:
        for item in items:
            yield item
            bar.advance()
