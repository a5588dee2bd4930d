"""Who is told how long work goes on: a terminal, or nobody."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from zsc.terminal import say, visible

Advance = Callable[[int], None]
EVERY = 60.0  # seconds between lines of progress where there is no terminal
AT_ONCE = 1.0  # seconds in which what is ready was there before


class Watch(Protocol):
    """Told of long work."""

    def say(self, line: str) -> None:
        """Something worth a line."""

    def progress(self, name: str, total: int) -> AbstractContextManager[Advance]:
        """Return a context of work on ``total`` things, in which it is called with how many more are ready."""


class Silent:
    """A watch that keeps quiet."""

    def say(self, line: str) -> None:
        pass

    @contextmanager
    def progress(self, name: str, total: int) -> Iterator[Advance]:
        yield lambda count: None


class Terminal:
    """A watch on stderr: lines, and a bar, or where it is no terminal a line a minute, on how work goes on.

    ``clock`` returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._console: object = None
        self._clock = clock

    def say(self, line: str) -> None:
        if self._console is None:
            say(line)
        else:
            self._console.print(visible(line), markup=False, emoji=False, highlight=False, soft_wrap=True)  # type: ignore[attr-defined]

    @contextmanager
    def progress(self, name: str, total: int) -> Iterator[Advance]:
        if not sys.stderr.isatty():
            yield Pace(name, total, self.say, self._clock).advance
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
                   TimeRemainingColumn())  # fmt: skip
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task, before = bar.add_task(name, total=total), self._console
            self._console = bar.console
            try:
                yield lambda count: bar.advance(task, count)
            finally:
                self._console = before


class Pace:
    """Says once a minute, when more is ready, how much of ``total`` that is, how fast it went since the last line, and
    when all will be at that pace."""

    def __init__(self, name: str, total: int, say: Callable[[str], None], clock: Callable[[], float]):
        self.name, self.total, self.say, self.clock = name, total, say, clock
        self.ready = self.before = 0
        self.started = self.since = clock()

    def advance(self, count: int) -> None:
        now = self.clock()
        self.ready += count
        if now - self.started < AT_ONCE:
            self.before = self.ready
        elif now - self.since >= EVERY:
            self.say(progress_line(self.name, self.ready, self.total, (self.ready - self.before) / (now - self.since)))
            self.since, self.before = now, self.ready


def progress_line(name: str, ready: int, total: int, rate: float) -> str:
    """Say how far work is that makes ``rate`` things a second."""
    left = f", {duration((total - ready) / rate)} left" if rate else ""
    return f"{name}: {ready:,} of {total:,}, {rate:.1f}/s{left}"


def duration(seconds: float) -> str:
    """Return ``seconds`` in hours and minutes, in minutes below an hour, or as they are below two minutes."""
    minutes = round(seconds / 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min" if minutes >= 2 else f"{seconds:.0f} s"


def say_remarks(remarks: str, watch: Watch) -> None:
    """Say what there is to say of how sources are laid out, if anything, line by line."""
    for line in remarks.splitlines():
        watch.say(line)
