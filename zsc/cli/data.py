"""`zsc data`: what a dataset holds, and how the model sees it."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from omegaconf import DictConfig
from rich.console import Console
from rich.text import Text

from zsc.cli.compose import options_of
from zsc.data.card import Card
from zsc.study.dataset import Described, card_of, describe
from zsc.study.options import DataOptions
from zsc.tables.render import render


def data(cfg: DictConfig) -> None:
    """Print the card of the dataset that ``cfg`` (configs/data.yaml) names, counts, lengths and examples.

    ``table`` prints all of it, the card first, so that it is there when the data is not; ``json`` is one object of all
    of it, ``md`` the tables, ``csv`` the lengths.
    """
    options = options_of(DataOptions, cfg)
    style, card = options.format, card_of(options)
    if card and style == "table":
        print_card(card)
    described = describe(options)
    if style == "json":
        print(json.dumps(asdict(described), indent=2, ensure_ascii=False, allow_nan=False))
    elif style == "csv":
        print(render(described.lengths, style))
    elif style == "md":
        tables = (described.files, described.counts, described.lengths)
        print("\n\n".join(render(rows, style) for rows in tables if rows))
    else:
        print_described(described)


def print_card(card: Card) -> None:
    lines = [(name, getattr(card, name)) for name in ("licence", "size", "source", "note")]
    print_lines(card.title, [*lines, ("cite", card.citation)])
    print("\nfetch:\n" + "\n".join(f"  {line}" for line in card.fetch.splitlines()))


def print_described(described: Described) -> None:
    if described.files:
        print("\n" + render(described.files, "table"))
        if any(row["checksum"] == "differs" for row in described.files):
            print("\nA file that differs was changed or built since it was published, or was fetched in part.")
    print("\n" + render(described.counts, "table"))
    print("\ntokens:\n" + render(described.lengths, "table"))
    for name, lines in described.examples.items():
        print()
        print_lines(name, lines)


def print_lines(title: str, lines: Sequence[tuple[str, str]]) -> None:
    """Print a title and lines of a name and a text, long texts wrapped beside their names."""
    console = Console(highlight=False, soft_wrap=False)
    width = max(len(name) for name, _ in lines) + 2
    print(title)
    for name, text in lines:
        wrapped = Text(text).wrap(console, max(console.width - width - 2, 40))
        for i, part in enumerate(wrapped):
            print(f"  {(name if i == 0 else ''):<{width}}{part.plain.rstrip()}")
