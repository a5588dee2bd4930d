"""Blind pairs of responses for people to judge: as CSV, as a self-contained HTML form, and the key to both."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zsc.data.record import Record
from zsc.spreadsheets import csv_text
from zsc.terminal import visible

FORM = Path(__file__).parent / "annotation_form.html"
ANSWERS = ("A", "B", "tie")
QUESTIONS = {
    "fluent": "Which response reads better?",
    "informative": "Which response says more of the given knowledge?",
    "fits": "Which response fits the conversation better?",
}


@dataclass(frozen=True)
class Pair:
    """Two responses to one example. ``on_side`` says which of A and B is the one with the knob."""

    number: int
    record: Record
    a: str
    b: str
    on_side: str


def draw_pairs(
    records: Sequence[Record], off: Mapping[str, str], on: Mapping[str, str], count: int, shuffle: int
) -> list[Pair]:
    """Draw ``count`` examples (all, if there are fewer), in an order and on sides decided by the seed ``shuffle``.

    ``off`` and ``on`` map ids of ``records`` to responses.
    """
    rng = random.Random(shuffle)
    pairs = []
    for number, record in enumerate(rng.sample(list(records), min(count, len(records))), start=1):
        sides = [off[record.id], on[record.id]]
        on_side = rng.choice("AB")
        a, b = sides if on_side == "B" else sides[::-1]
        pairs.append(Pair(number, record, a, b, on_side))
    return pairs


def context(record: Record) -> str:
    """Return the history, one turn per line, each speaker named by a number in the order of appearance."""
    speakers = list(dict.fromkeys(turn.speaker for turn in record.history))
    return "\n".join(f"{speakers.index(turn.speaker) + 1}: {turn.text}" for turn in record.history)


def sheet(pairs: Sequence[Pair], questions: Sequence[str]) -> str:
    """Return the pairs as CSV with an empty column for each answer and for the annotator's name."""
    fields = ["pair", "context", "knowledge", "A", "B", *questions, "annotator"]
    return csv_text([_shown(pair) for pair in pairs], fields)


def form(pairs: Sequence[Pair], questions: Sequence[str], title: str) -> str:
    """Return a page that shows the pairs and gives the answers as a CSV of the same columns. It needs no network."""
    content = {
        "title": title,
        "pairs": [_shown(pair) for pair in pairs],
        "questions": {name: QUESTIONS[name] for name in questions},
    }
    safe = visible(json.dumps(content, ensure_ascii=False, allow_nan=False))
    safe = safe.replace("<", "\\u003c")  # a response may hold "</script>"
    return FORM.read_text(encoding="utf-8").replace("/*CONTENT*/null", safe)


def _shown(pair: Pair) -> dict[str, str]:
    return {
        "pair": str(pair.number),
        "context": context(pair.record),
        "knowledge": pair.record.knowledge or "",
        "A": pair.a,
        "B": pair.b,
    }
