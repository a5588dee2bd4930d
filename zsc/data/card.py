"""Data cards: what a dataset is, how to fetch it, and whether the files at hand are the published ones."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

CARDS = Path(__file__).parent / "cards"

State = Literal["as published", "differs", "not there"]


@dataclass(frozen=True)
class Card:
    """What is known of a dataset. ``folders`` are the names its folder may have, ``files`` maps paths in it to
    ``ALGORITHM:CHECKSUM``."""

    title: str
    licence: str
    size: str
    source: str
    fetch: str
    note: str
    citation: str
    folders: tuple[str, ...]
    files: Mapping[str, str]


def has_card(loader: str) -> bool:
    return (CARDS / f"{loader}.yaml").is_file()


def load_card(loader: str) -> Card:
    """Return the card of the dataset that ``loader`` loads."""
    return Card(**yaml.safe_load((CARDS / f"{loader}.yaml").read_text(encoding="utf-8")))


def verify(card: Card, folder: Path) -> dict[str, State]:
    """Return how each file of ``card`` stands in ``folder``."""
    return {path: _state(folder / path, checksum) for path, checksum in card.files.items()}


def _state(file: Path, checksum: str) -> State:
    if not file.is_file():
        return "not there"
    algorithm, _, expected = checksum.partition(":")
    with file.open("rb") as handle:
        return "as published" if hashlib.file_digest(handle, algorithm).hexdigest() == expected else "differs"
