"""What a dataset holds, and how the model sees it."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zsc.data.card import Card, has_card, load_card, verify
from zsc.data.embedded import PARLOR
from zsc.data.files import dataset_folder
from zsc.data.layouts import AutoLayout
from zsc.models.load import load_reader
from zsc.study.contents import counts, example, lengths
from zsc.study.formats import checkpoint_of, chosen
from zsc.study.options import DataOptions

Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Described:
    """A dataset: its ``card``, if it has one, how its ``files`` compare with those published, counts, lengths in
    tokens, examples by id as lines of a name and a text, and what there is to say of the layout chosen."""

    card: Card | None
    files: Rows
    counts: Rows
    lengths: Rows
    examples: dict[str, list[tuple[str, str]]]
    remark: str


def card_of(options: DataOptions) -> Card | None:
    """Return the card of the dataset, if it has one."""
    return load_card(options.dataset.loader) if has_card(options.dataset.loader) else None


def describe(options: DataOptions) -> Described:
    """Describe the dataset. Raises ZscError, with the card's commands as one line to copy, if it is not there."""
    card, layout = card_of(options), options.layout
    folder = card_folder(card, options)
    records = options.dataset.load()
    config, tokenizer = load_reader(options.model.checkpoint)
    remark = ""
    if isinstance(layout, AutoLayout):
        layout, remark = chosen(layout, checkpoint_of(options, config, tokenizer))
    shown = sorted(random.Random(0).sample(range(len(records)), min(options.examples, len(records))))
    return Described(
        card,
        checked(card, folder) if card and folder else [],
        counts(records),
        lengths(records, layout, tokenizer, options.decoding.max_new_tokens or 0),
        {records[i].id: example(records[i], layout, tokenizer) for i in shown},
        remark,
    )


def card_folder(card: Card | None, options: DataOptions) -> Path | None:
    """Return where the files of ``card`` lie, or None for a dataset that has no folder."""
    loader = options.dataset.loader
    if loader == "parlor":
        return PARLOR.parent
    if card is None or not card.folders:
        return None
    folder = dataset_folder(loader, options.dataset.path, f"Run `{' && '.join(card.fetch.splitlines())}`.")
    inner = folder / "wow++"
    return inner if loader == "wow_plus_plus" and inner.is_dir() else folder


def checked(card: Card, folder: Path) -> list[dict[str, Any]]:
    """Return how the files of ``card`` stand in ``folder``, those that are not there left out."""
    states = verify(card, folder)
    return [{"file": file, "checksum": state} for file, state in states.items() if state != "not there"]
