"""A record as texts that can be edited, one for each field, and back."""

from collections.abc import Mapping, Sequence
from typing import Any

from zsc.data.layouts import Layout
from zsc.data.record import Record, parse_record
from zsc.study.contents import written_fields

HISTORY, FOCUS = "history", "focus"


def editable(layout: Layout, records: Sequence[Record]) -> list[str]:
    """Return the fields that can be edited: those that ``layout`` writes, and the focus where a record has one."""
    focus = [FOCUS] if any(record.focus for record in records) else []
    return list(dict.fromkeys([*written_fields(layout), *focus]))


def texts_of(record: Record, fields: Sequence[str]) -> dict[str, str]:
    """Return the texts of ``fields``, empty where there is none: of a history one turn a line, the oldest first, and
    one part a line of the focus."""
    lines = {
        HISTORY: [turn.text for turn in record.history],
        FOCUS: [one.text for one in record.focus],
    }
    return {name: "\n".join(lines[name]) if name in lines else record.text(name) or "" for name in fields}


def edited(record: Record, texts: Mapping[str, str]) -> Record:
    """Return ``record`` with ``texts`` in the place of its own: itself where they are its own but for white space.

    What no text is given of stays; references, which answer something else, do not. Raises ZscError for texts that make
    no record.
    """
    before = texts_of(record, list(texts))
    changed = {name for name, text in texts.items() if _lines(name, text) != _lines(name, before[name])}
    if not changed:
        return record
    values: dict[str, Any] = {**record.to_json(), "reference": None, "references": []}
    for name in changed:
        lines = _lines(name, texts[name])
        values[name] = lines if name in (HISTORY, FOCUS) else "".join(lines)
    if HISTORY in changed:
        values[HISTORY] = _turns(values[HISTORY], [turn.speaker for turn in record.history])
    if FOCUS not in changed and {one.field for one in record.focus} & changed:
        values[FOCUS] = [one.text for one in record.focus]  # wherever they stand now
    return parse_record(values, "the page")


def _lines(name: str, text: str) -> list[str]:
    """Return the lines of ``text`` that say something, or of a field that has no lines its one text."""
    every = text.splitlines() if name in (HISTORY, FOCUS) else [text]
    return [line for line in (" ".join(one.split()) for one in every) if line]


def _turns(lines: Sequence[str], speakers: Sequence[str]) -> list[dict[str, str]]:
    """Return ``lines`` as turns, whose speakers, from the last on back, are ``speakers``, and before these two in
    alternation."""
    known = list(reversed(speakers))
    two = list(dict.fromkeys([*known, "A", "B"]))[:2]
    while len(known) < len(lines):
        known.append(two[1] if known and known[-1] == two[0] else two[0])
    spoken = zip(reversed(known[: len(lines)]), lines, strict=True)
    return [{"speaker": speaker, "text": line} for speaker, line in spoken]
