"""Where the focus of a record stands in the texts that are laid out."""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from zsc.data.offsets import Placed
from zsc.data.record import Focus, Record

Range = tuple[int, int]  # of characters, the second not part of it


def focus_ranges(record: Record, texts: Sequence[tuple[str, str]]) -> list[list[Range]]:
    """Return where the focus of ``record`` stands in each of ``texts``, given with the names of their fields.

    A focus without a field stands everywhere in the first text that has it, and more, as whole words if it does so
    anywhere [D].
    One that is in none of them has no place.
    """
    ranges: list[list[Range]] = [[] for _ in texts]
    for focus in record.focus:
        for i, (name, text) in sorted(enumerate(texts), key=lambda one: one[1][1] == focus.text):
            found = list(_in(focus, name, text))
            ranges[i] += found
            if found:
                break
    return ranges


def _in(focus: Focus, name: str, text: str) -> Iterator[Range]:
    if focus.field is not None and focus.start is not None:
        if name == focus.field:
            yield focus.start, focus.start + len(focus.text)
        return
    literal = re.escape(focus.text)
    words = [match.span() for match in re.finditer(rf"(?<!\w){literal}(?!\w)", text)]
    yield from words or (match.span() for match in re.finditer(literal, text))


def covered(tokens: Placed, ranges: Sequence[Range]) -> np.ndarray:
    """Return which of ``tokens`` share a character with one of ``ranges``: booleans (tokens,)."""
    marks = np.zeros(len(tokens.ids), dtype=bool)
    for start, end in ranges:
        marks |= (tokens.starts < end) & (tokens.ends > start)
    return marks
