"""The columns metrics are computed on: one entry per response of one setting and seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zsc.data.record import Record


@dataclass(frozen=True)
class Items:
    responses: list[str]
    knowledge: list[str]
    dialog: list[str]
    phrases: list[str]
    nll: list[float]
    tokens: list[int]


def build_items(
    records: Sequence[Record], rows: Mapping[str, Mapping[str, Any]], turns: int, phrases: Sequence[str]
) -> Items:
    """Pair ``rows`` (by record id) with ``records``; ``dialog`` is the text of the last ``turns`` turns.

    ``phrases`` are the control phrases of the run, the same for every response, one per line.
    """
    ordered = [rows[record.id] for record in records]
    return Items(
        responses=[row["response"] for row in ordered],
        knowledge=[record.knowledge or "" for record in records],
        dialog=[" ".join(turn.text for turn in record.history[-turns:]) for record in records],
        phrases=["\n".join(phrases)] * len(records),
        nll=[row["nll"] for row in ordered],
        tokens=[row["tokens"] for row in ordered],
    )
