"""Datasets: each loader returns a list of :class:`zsc.data.record.Record`."""

import random
from collections.abc import Callable
from typing import Any

from zsc.data import (
    chitchat,
    cocoa_mt,
    hub,
    jsonl,
    parallel,
    published,
    squad,
    squad_hub,
    table,
    topical_chat,
    wizard,
    wizard_hub,
    wow_plus_plus,
)
from zsc.data.embedded import load_parlor
from zsc.data.record import Record, check_sound
from zsc.errors import ZscError, suggestion

DATASETS: dict[str, Callable[..., list[Record]]] = {
    "parlor": load_parlor,
    "topical_chat": topical_chat.load,
    "wizard": wizard.load,
    "wizard_hub": wizard_hub.load,
    "wow_plus_plus": wow_plus_plus.load,
    "chitchat": chitchat.load,
    "squad": squad.load,
    "squad_hub": squad_hub.load,
    "cocoa_mt": cocoa_mt.load,
    "wmt": published.load_wmt,
    "cnn_dailymail": published.load_cnn_dailymail,
    "samsum": published.load_samsum,
    "parallel": parallel.load,
    "jsonl": jsonl.load,
    "table": table.load,
    "hub": hub.load,
}


def load_records(loader: str, limit: int | None = None, **options: Any) -> list[Record]:
    """Load a dataset by name; ``limit`` keeps a fixed random sample of that many records, in their order."""
    if loader not in DATASETS:
        raise ZscError(f"no dataset loader '{loader}'.{suggestion(loader, DATASETS)} Known: {', '.join(DATASETS)}.")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise ZscError(f"dataset.limit={limit} must be a whole number of at least 1, or null for all records.")
    records = [check_sound(record) for record in DATASETS[loader](**options)]
    if not records:
        raise ZscError(f"dataset {loader} with {options} holds no record. Check its path, split and filters.")
    if limit is not None and limit < len(records):
        kept = sorted(random.Random(0).sample(range(len(records)), limit))
        records = [records[i] for i in kept]
    return records
