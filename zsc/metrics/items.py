"""The columns metrics are computed on: one entry per response of one setting and seed, None where there is none."""

from collections.abc import Mapping, Sequence
from typing import Any

from zsc.data.record import Record, Turn

Columns = Mapping[str, list[Any]]

OWN_COLUMNS = ("response", "phrases", "nll", "tokens")  # of what was said
RUN_COLUMNS = {"phrases", "topic"}  # columns of what a run looks for, not of its examples
LISTS = {"accepted", "focus"}  # columns whose entries are several texts
ANOTHER_NAME = {"accepted": "reference"}  # columns that are called otherwise in a record


def build_columns(
    records: Sequence[Record],
    rows: Mapping[str, Mapping[str, Any]],
    turns: int,
    phrases: Sequence[str],
    topic: Sequence[str],
) -> Columns:
    """Pair ``rows`` (by record id) with ``records``.

    ``dialog`` is the text of the last ``turns`` turns, ``history`` that of all, ``context`` that of knowledge and
    history. ``phrases`` are the control phrases of the run and ``topic`` those that describe the topic wanted; both are
    the same for every response, one per line. ``accepted`` are all references of an example and ``focus`` the texts of
    its focus. Every other name of a record's fields is a column too.
    """
    own = own_columns([rows[record.id] for record in records], phrases)
    return {**record_columns(records, turns, topic), **own}


def record_columns(records: Sequence[Record], turns: int, topic: Sequence[str]) -> Columns:
    """Return those columns of :func:`build_columns` that are the same whatever was said to ``records``."""
    history = [joined_text(record.history) for record in records]
    named = dict.fromkeys(name for record in records for name in record.fields)
    return {name: [record.fields.get(name) for record in records] for name in named} | {
        "knowledge": [record.knowledge for record in records],
        "reference": [record.reference for record in records],
        "accepted": [record.accepted or None for record in records],
        "focus": [tuple(one.text for one in record.focus) or None for record in records],
        "history": history,
        "dialog": [joined_text(record.history[-turns:]) for record in records],
        "context": [
            None if record.knowledge is None and text is None else f"{record.knowledge or ''} {text or ''}"
            for record, text in zip(records, history, strict=True)
        ],
        "topic": ["\n".join(topic) or None] * len(records),
    }


def own_columns(rows: Sequence[Mapping[str, Any]], phrases: Sequence[str]) -> Columns:
    """Return those columns of :func:`build_columns` that are of what was said, ``rows`` in the order of records."""
    return {
        "response": [row["response"] for row in rows],
        "phrases": ["\n".join(phrases) or None] * len(rows),
        "nll": [_number(row.get("nll")) for row in rows],
        "tokens": [_number(row.get("tokens")) for row in rows],
    }


def _number(value: float | None) -> float | None:
    """Return ``value``, None where it is no number."""
    return None if value is None or value != value else value


def joined_text(turns: Sequence[Turn]) -> str | None:
    """Return the text of ``turns``, None where there are none."""
    return " ".join(turn.text for turn in turns) or None
