"""A dataset as text for a terminal: its card, its counts, and examples as the model sees them."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from zsc.data.card import Card
from zsc.tables.render import render

LEAST = 40  # columns of text beside names


def card_text(card: Card) -> str:
    """Return a card with the commands that fetch its dataset."""
    lines = [(name, getattr(card, name)) for name in ("licence", "size", "source", "note")]
    fetch = "\n".join(f"  {line}" for line in card.fetch.splitlines())
    return f"{beside(card.title, [*lines, ('cite', card.citation)])}\n\nfetch:\n{fetch}"


def described_text(
    files: Sequence[Mapping[str, Any]],
    counts: Sequence[Mapping[str, Any]],
    lengths: Sequence[Mapping[str, Any]],
    examples: Mapping[str, Sequence[tuple[str, str]]],
) -> str:
    """Return how ``files`` compare with those published, the tables of ``counts`` and ``lengths``, and ``examples``."""
    parts = []
    if files:
        parts.append(render(files, "table"))
        if any(row["checksum"] == "differs" for row in files):
            parts.append("A file that differs was changed or built since it was published, or was fetched in part.")
    parts += [render(counts, "table"), "tokens:\n" + render(lengths, "table")]
    return "\n\n".join([*parts, *(beside(name, lines) for name, lines in examples.items())])


def beside(title: str, lines: Sequence[tuple[str, str]]) -> str:
    """Return a title above lines of a name and a text, long texts wrapped beside their names."""
    console = Console(highlight=False, soft_wrap=False)
    width = max(len(name) for name, _ in lines) + 2
    shown = [title]
    for name, text in lines:
        wrapped = Text(text).wrap(console, max(console.width - width - 2, LEAST))
        shown += [f"  {(name if i == 0 else ''):<{width}}{part.plain.rstrip()}" for i, part in enumerate(wrapped)]
    return "\n".join(shown)
