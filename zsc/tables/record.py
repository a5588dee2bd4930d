"""A record and what every setting answered to it, whole, with changed words marked."""

from collections.abc import Iterator, Mapping

from rich.text import Text

from zsc.data.record import Record
from zsc.tables.examples import marks
from zsc.tables.lines import wrapped
from zsc.terminal import one_line

NONE = "(no response)"


def record_lines(
    record: Record, seed: int, responses: Mapping[str, str | None], width: int, colour: bool
) -> list[Text]:
    """Return lines of at most ``width`` columns: the record, and its ``responses`` by setting.

    Words that a response does not share with that of the first setting are in colour, or else between asterisks; of two
    settings those of the first as well.
    """
    said = {name: NONE if text is None else one_line(text) for name, text in responses.items()}
    off, *others = said
    shown = {off: Text(said[off])}
    for name in others:
        first, shown[name] = marks(said[off], said[name], colour)
        if len(others) == 1:
            shown[off] = first
    parts: list[tuple[str, str | Text]] = [*fields(record), *shown.items()]
    indent = min(4 + max(len(one_line(name)) for name, _ in parts), width // 3)
    lines = wrapped(f"{record.id}, seed {seed}", width)
    for name, text in parts:
        head = f"  {one_line(name)}"
        beside = len(head) + 2 <= indent
        lines += [] if beside else wrapped(head, width)
        lines += wrapped(text, width, " " * indent, head.ljust(indent) if beside else None)
    return lines


def fields(record: Record) -> Iterator[tuple[str, str]]:
    """Yield what a record has, with the name of each: its turns by their speakers, oldest first."""
    for turn in record.history:
        yield turn.speaker, turn.text
    for name in ("topic", "knowledge", *record.fields):
        if text := record.text(name):
            yield name, text
    if focus := record.text("focus"):
        yield "focus", focus
    for text in record.accepted:
        yield "reference", text
