"""Who is told how long work goes on: a terminal, or nobody."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from zsc.terminal import say, visible

Advance = Callable[[int], None]


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
    """A watch on stderr: lines, and a bar where it is a terminal."""

    def __init__(self) -> None:
        self._console: object = None

    def say(self, line: str) -> None:
        if self._console is None:
            say(line)
        else:
            self._console.print(visible(line), markup=False, emoji=False, highlight=False, soft_wrap=True)  # type: ignore[attr-defined]

    @contextmanager
    def progress(self, name: str, total: int) -> Iterator[Advance]:
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


def say_remarks(remarks: str, watch: Watch) -> None:
    """Say what there is to say of how sources are laid out, if anything, line by line."""
    for line in remarks.splitlines():
        watch.say(line)
