"""The one record type every dataset becomes."""

import re
import reprlib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from zsc.errors import ZscError, suggestion

FIELDS = ("id", "history", "reference", "knowledge", "topic")
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # controls, and marks that turn text around
LONGEST_NAME = 1000  # characters


@dataclass(frozen=True)
class Turn:
    speaker: str
    text: str


@dataclass(frozen=True)
class Record:
    """One response to generate: what was said (oldest turn first), what a human answered, what is known.

    Either of history and knowledge may be empty; where both are, there is nothing that a model could read.
    """

    id: str
    history: tuple[Turn, ...]
    reference: str | None = None
    knowledge: str | None = None
    topic: str | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def parse_record(value: Any, where: str) -> Record:
    """Build a Record from decoded JSON; all fields but the id may be absent.

    Raises ZscError naming ``where`` (file and line) and the field at fault.
    """
    if not isinstance(value, Mapping):
        raise ZscError(f"{where}: a record must be a JSON object, not {type(value).__name__}.")
    if "history" not in value and (hint := suggestion("history", [name for name in value if name not in FIELDS])):
        raise ZscError(f"{where}: there is no field 'history'.{hint} A record without one says \"history\": [].")
    turns = [] if value.get("history") is None else value["history"]
    if not isinstance(turns, list):
        raise ZscError(f"{where}: field 'history' must be a list of turns, got {reprlib.repr(turns)}.")
    history = []
    for number, turn in enumerate(turns):
        if not isinstance(turn, Mapping):
            raise ZscError(
                f"{where}: field 'history[{number}]' must be an object with 'speaker' and 'text', got"
                f" {reprlib.repr(turn)}."
            )
        name = f"history[{number}]."
        history.append(Turn(_text(turn, "speaker", where, name), _text(turn, "text", where, name)))
    return Record(
        id=checked_name(_text(value, "id", where), where, "id"),
        history=tuple(history),
        reference=_optional_text(value, "reference", where),
        knowledge=_optional_text(value, "knowledge", where),
        topic=_optional_text(value, "topic", where),
    )


def unique(records: Iterable[tuple[str, Record]]) -> list[Record]:
    """Return ``records``, given with where they stand. Raises ZscError for two ids that are one or look like one."""
    found: dict[str, Record] = {}
    for where, record in records:
        known = found.setdefault(unicodedata.normalize("NFC", record.id), record)
        if known is not record:
            same = known.id == record.id
            how = "repeats" if same else "is that of another record but for the Unicode form of its characters"
            raise ZscError(f"{where}: field 'id' {record.id!r} {how}; ids must be unique.")
    return list(found.values())


def checked_name(text: str, where: str, field: str) -> str:
    """Return ``text``, an id or the name of a system. Raises ZscError unless it can be printed on a line."""
    if UNPRINTABLE.search(text):
        raise ZscError(f"{where}: field '{field}' holds control characters: {reprlib.repr(text)}.")
    if len(text) > LONGEST_NAME:
        raise ZscError(f"{where}: field '{field}' has {len(text):,} characters; {LONGEST_NAME:,} are allowed.")
    return text


def check_sound(record: Record) -> Record:
    """Return ``record``. Raises ZscError if a text in it can be no text of a file."""
    fields = [(name, getattr(record, name)) for name in FIELDS if name != "history"]
    turns = [(f"history[{i}].text", turn.text) for i, turn in enumerate(record.history)]
    for field, text in (*fields, *turns):
        if text is not None:
            sound(text, f"record {record.id!a}", field)
    return record


def sound(text: str, where: str, field: str) -> str:
    """Return ``text``. Raises ZscError if it holds half of a character or a NUL, which no text file has."""
    if "\0" in text:
        raise ZscError(f"{where}: field '{field}' holds a NUL character.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ZscError(f"{where}: field '{field}' holds half of a character (a lone surrogate).") from None
    return text


def _text(value: Mapping[str, Any], field: str, where: str, prefix: str = "") -> str:
    text = value.get(field)
    if not isinstance(text, str) or not text.strip():
        raise ZscError(f"{where}: field '{prefix}{field}' must be a non-empty string, got {reprlib.repr(text)}.")
    return " ".join(sound(text, where, f"{prefix}{field}").split())


def _optional_text(value: Mapping[str, Any], field: str, where: str) -> str | None:
    return None if value.get(field) in (None, "") else _text(value, field, where)
