"""Lines of text that fit a width, with colour or without."""

import io
from collections.abc import Iterable

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from zsc.terminal import one_line

LEAST = 20  # columns that text is never laid out narrower than


def widest(text: str) -> int:
    """Return how many columns the longest line of ``text`` takes."""
    return max(map(cell_len, text.splitlines()), default=0)


def wrapped(text: str | Text, width: int, indent: str = "", first: str | None = None) -> list[Text]:
    """Return ``text`` as lines of at most ``width`` columns, broken between words, control characters as escapes.

    Lines begin with ``indent``, but the first with ``first`` where that is given.
    """
    given = text if isinstance(text, Text) else Text(one_line(text))
    parts = given.wrap(Console(file=io.StringIO()), max(width - cell_len(indent), LEAST))
    lines = [Text(indent if i or first is None else first).append(part) for i, part in enumerate(parts)]
    for line in lines:
        line.rstrip()
    return lines


def printed(lines: Iterable[Text], colour: bool) -> str:
    """Return ``lines`` as text, with escape sequences for their styles where there is ``colour``."""
    system = "standard" if colour else None
    console = Console(file=io.StringIO(), force_terminal=colour, color_system=system, no_color=False)  # type: ignore[arg-type]
    for line in lines:
        console.print(line, soft_wrap=True)
    return console.file.getvalue().rstrip("\n")  # type: ignore[attr-defined]
