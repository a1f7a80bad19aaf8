"""Progress of long work: a bar with rate and time left on a terminal, plain lines elsewhere.

The time left is that of the steps that are not done, at the mean rate so far. It is told once one step in twenty is
done, and at least two: before, it would be a guess from a start that is mostly slower or faster than what follows.
"""

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
_FEWEST_STEPS, _FEWEST_PART = 2, 0.05
_WITHOUT_NOTE, _BAR = 70, 10  # characters that a line takes without its note; the note has what is left of the screen


class Bar(Protocol):
    """What long work tells about itself."""

    def advance(self, steps: float = 1, *, worked: bool = True) -> None:
        """Say that `steps` more are done; those that took no work, as an earlier run did them, count for no rate."""

    def note(self, text: str) -> None:
        """Show a short text beside the bar, such as the current loss."""


def _rate(per_second: float) -> str:
    """A rate that people can read, however slow the work is."""
    return f"{per_second:.1f}/s" if per_second >= 1 else f"{60 * per_second:.1f}/min"


def _clock(seconds: float) -> str:
    """Hours where there are any, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _left(done: float, total: float | None, spent: float) -> float | None:
    """Seconds that the rest will take; None where that cannot be told yet."""
    if not total or done < max(_FEWEST_STEPS, _FEWEST_PART * total):
        return None
    return (total - done) * spent / done


class _TerminalBar:
    def __init__(self, title: str, total: float | None) -> None:
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TextColumn
        from rich.text import Text

        class Times(TextColumn):
            """Time spent and time left in words, and what is going on; a text that grows with the seconds."""

            def render(self, task: Task) -> Text:
                earlier = task.fields["earlier"]
                rest = None if task.total is None else task.total - earlier
                left = _left(task.completed - earlier, rest, task.fields["spent"])
                passed = (task.elapsed or 0.0) - task.fields["spent"]
                told = "" if left is None or task.finished else f", about {_clock(max(left - passed, 0))} left"
                return Text(f"{_clock(task.elapsed or 0.0)} so far{told}")

        self._escape = escape
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=_BAR),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            Times(""),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task(title, total=total, note="", rate="", spent=0.0, earlier=0.0)
        self._began = time.monotonic()
        self._worked = self._earlier = 0.0

    def advance(self, steps: float = 1, *, worked: bool = True) -> None:
        self._worked += steps * worked
        self._earlier += steps * (not worked)
        spent = time.monotonic() - self._began
        rate = _rate(self._worked / max(spent, 1e-9)) if self._worked else ""
        self._progress.update(self._task, advance=steps, rate=rate, spent=spent, earlier=self._earlier)

    def note(self, text: str) -> None:
        room = max(self._progress.console.width - _WITHOUT_NOTE, 0)
        short = text if len(text) <= room else f"{text[: max(room - 3, 0)]}..."
        self._progress.update(self._task, note=self._escape(short))

    def __enter__(self) -> _TerminalBar:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, t: TracebackType | None) -> None:
        self._progress.stop()


class _LineBar:
    """Prints a line every ten seconds, done or not, and one at the end of work that took longer than that."""

    def __init__(self, title: str, total: float | None) -> None:
        self._title, self._total = title, total
        self._worked, self._earlier, self._note = 0.0, 0.0, ""
        self._began = self._spoke = time.monotonic()
        self._ended = threading.Event()
        self._speaker = threading.Thread(target=self._speak_on, daemon=True)

    def advance(self, steps: float = 1, *, worked: bool = True) -> None:
        self._worked += steps * worked
        self._earlier += steps * (not worked)

    def _speak_on(self) -> None:
        while not self._ended.wait(_SECONDS_BETWEEN_LINES):
            self._speak()

    def note(self, text: str) -> None:
        self._note = text

    def _speak(self) -> None:
        self._spoke = time.monotonic()
        spent = self._spoke - self._began
        rate = self._worked / max(spent, 1e-9)
        of = "" if self._total is None else f" of {self._total:g}"
        speed = f", {_rate(rate)}" if self._worked else ""
        seconds = _left(self._worked, None if self._total is None else self._total - self._earlier, spent)
        left = "" if not seconds else f", about {_clock(seconds)} left"
        note = f", {self._note}" if self._note else ""
        told = f"{self._title}: {self._worked + self._earlier:g}{of} done, {_clock(spent)} so far{speed}{left}{note}"
        print(told, file=sys.stderr, flush=True)

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
    def advance(self, steps: float = 1, *, worked: bool = True) -> None:
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
