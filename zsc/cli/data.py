"""`zsc data`: what a dataset holds, and how the model sees it."""

import json
import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console
from rich.text import Text

from zsc.cli.build import build_layout
from zsc.cli.configs import resolved
from zsc.data import load_records
from zsc.data.card import Card, has_card, load_card, verify
from zsc.data.embedded import PARLOR
from zsc.data.files import dataset_folder
from zsc.errors import ZscError
from zsc.generation.decoding import Decoding
from zsc.models.load import load_tokenizer
from zsc.tables.describe import counts, example, lengths
from zsc.tables.render import check_format, render


def data(cfg: DictConfig) -> None:
    """Print the card of the dataset that ``cfg`` (configs/data.yaml) names, counts, lengths and examples.

    ``table`` prints all of it, the card first, so that it is there when the data is not; ``json`` is one object of all
    of it, ``md`` the tables, ``csv`` the lengths.
    """
    config = resolved(cfg)
    style, wanted = config["format"], config["examples"]
    check_format(style)
    if type(wanted) is not int or wanted < 0:
        raise ZscError(f"examples={wanted} must be a whole number of at least 0.")
    layout, decoding = build_layout(config["layout"]), Decoding.from_settings(config["decoding"])
    loader = config["dataset"]["loader"]
    card = load_card(loader) if has_card(loader) else None
    if card and style == "table":
        print_card(card)
    folder = card_folder(card, loader, config["dataset"].get("path"))
    records = load_records(**config["dataset"])
    tokenizer = load_tokenizer(config["model"]["checkpoint"])
    shown = sorted(random.Random(0).sample(range(len(records)), min(wanted, len(records))))
    described: dict[str, Any] = {
        "card": asdict(card) if card else None,
        "files": checked(card, folder) if card and folder else [],
        "counts": counts(records),
        "lengths": lengths(records, layout, tokenizer, decoding.max_new_tokens),
        "examples": {records[i].id: example(records[i], layout, tokenizer) for i in shown},
    }
    if style == "json":
        print(json.dumps(described, indent=2, ensure_ascii=False, allow_nan=False))
    elif style == "csv":
        print(render(described["lengths"], style))
    elif style == "md":
        tables = (described[name] for name in ("files", "counts", "lengths"))
        print("\n\n".join(render(rows, style) for rows in tables if rows))
    else:
        print_described(described)


def card_folder(card: Card | None, loader: str, path: Any) -> Path | None:
    """Return where the files of ``card`` lie, or None for a dataset that has no folder.

    Raises ZscError, with the card's commands as one line to copy, if the folder is not there.
    """
    if loader == "parlor":
        return PARLOR.parent
    if card is None or not card.folders:
        return None
    folder = dataset_folder(loader, path, f"Run `{' && '.join(card.fetch.splitlines())}`.")
    inner = folder / "wow++"
    return inner if loader == "wow_plus_plus" and inner.is_dir() else folder


def checked(card: Card, folder: Path) -> list[dict[str, str]]:
    """Return how the files of ``card`` stand in ``folder``, those that are not there left out."""
    states = verify(card, folder)
    return [{"file": file, "checksum": state} for file, state in states.items() if state != "not there"]


def print_card(card: Card) -> None:
    lines = {
        "licence": card.licence,
        "size": card.size,
        "source": card.source,
        "note": card.note,
        "cite": card.citation,
    }
    print_lines(card.title, list(lines.items()))
    print("\nfetch:\n" + "\n".join(f"  {line}" for line in card.fetch.splitlines()))


def print_described(described: dict[str, Any]) -> None:
    if described["files"]:
        print("\n" + render(described["files"], "table"))
        if any(row["checksum"] == "differs" for row in described["files"]):
            print("\nA file that differs was changed or built since it was published, or was fetched in part.")
    print("\n" + render(described["counts"], "table"))
    print("\ntokens:\n" + render(described["lengths"], "table"))
    for name, lines in described["examples"].items():
        print()
        print_lines(name, lines)


def print_lines(title: str, lines: list[tuple[str, str]]) -> None:
    """Print a title and lines of a name and a text, long texts wrapped beside their names."""
    console = Console(highlight=False, soft_wrap=False)
    width = max(len(name) for name, _ in lines) + 2
    print(title)
    for name, text in lines:
        wrapped = Text(text).wrap(console, max(console.width - width - 2, 40))
        for i, part in enumerate(wrapped):
            print(f"  {(name if i == 0 else ''):<{width}}{part.plain.rstrip()}")
