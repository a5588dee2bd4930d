"""What reaches a terminal: text without control characters, through streams whose reader may have gone."""

import errno
import io
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TextIO

GONE = 141  # exit status: as of a process that SIGPIPE ends
# controls but tab and newline, line separators, overrides of the direction of text, and halves of characters
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

NO_TERMINAL = (100, 24)  # columns and lines that text is laid out for where there is no terminal

ESCAPES = {"\r": "\\r"} | {chr(code): f"\\x{code:02x}" for code in range(0x20) if code != 0x0D}


def visible(text: str) -> str:
    """Return ``text`` with escapes, such as ``\\x1b``, for what would steer a terminal or hide its order.

    JSON, which escapes controls below 0x20 itself, stays JSON of the same content.
    """
    return CONTROLS.sub(lambda match: ESCAPES.get(match[0]) or f"\\u{ord(match[0]):04x}", text)


def one_line(text: str) -> str:
    """Return :func:`visible` ``text`` on one line."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def say(text: str) -> None:
    """Print ``text`` on stderr."""
    print(visible(text), file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Screen:
    """What a page is laid out for: lines of so many columns, which tables fit too where it is a ``terminal``, and
    ``colour`` where it has that."""

    width: int
    terminal: bool = False
    colour: bool = False


def screen() -> Screen:
    """Return what stdout is. There is no colour where NO_COLOR is set to anything, as no-color.org has it."""
    terminal = sys.stdout.isatty()
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return Screen(shutil.get_terminal_size(NO_TERMINAL).columns, terminal, terminal and not plain)


def show(text: str) -> None:
    """Print ``text`` with its colours on stdout: all else in it must be :func:`visible` already."""
    out = sys.stdout
    send = out.send if isinstance(out, Outlet) else out.write
    send(f"{text}\n")


class Outlet:
    """stdout or stderr, which can fail without stopping the work: then all that is written goes nowhere, and ``error``
    says why."""

    def __init__(self, stream: TextIO, steered: bool):
        """``steered`` lets control characters pass, which progress bars need."""
        self.stream, self.steered = stream, steered
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        self.send(text if self.steered else visible(text))
        return len(text)

    def send(self, text: str) -> None:
        """Write ``text`` as it is."""
        try:
            self.stream.write(text)
        except OSError as error:
            self._fail(error)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        try:
            self.stream.flush()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        """Note ``error`` and point the file descriptor at nothing, so that what is buffered cannot fail again."""
        self.error = self.error or error
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self.stream.fileno())
        os.close(null)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def status(self) -> int:
        """Return the exit status for what was written, all of it flushed: 0, GONE if the reader has gone, or 2 with a
        line on stderr for any other failure."""
        self.flush()
        if self.error is None:
            return 0
        if self.error.errno == errno.EPIPE:
            return GONE
        say(f"zsc: cannot write to stdout: {self.error.strerror or self.error}. Files that were made are whole.")
        return 2


@contextmanager
def outlets() -> Iterator[Outlet]:
    """While the context is open, stdout and stderr are outlets; yields that of stdout.

    A standard stream that is closed is opened on nothing, so that no file of ours takes its number.
    """
    if isinstance(sys.stdout, Outlet):
        yield sys.stdout
        return
    before = sys.stdout, sys.stderr
    for number in range(3):
        _occupy(number)
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        streams = [nowhere if stream is None else stream for stream in before]
        for stream in streams:
            if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
                stream.reconfigure(errors="backslashreplace")
        out, err = Outlet(streams[0], steered=False), Outlet(streams[1], steered=True)
        sys.stdout, sys.stderr = out, err
        try:
            yield out
        finally:
            out.flush()
            err.flush()
            sys.stdout, sys.stderr = before


def _occupy(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, number)  # where both are the same, this makes it inheritable
        if null != number:
            os.close(null)
