"""The one record type every dataset becomes."""

import re
import reprlib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from zsc.errors import ZscError, suggestion

FIELDS = ("id", "history", "reference", "knowledge", "topic")
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # controls, and marks that turn text around
LONGEST_NAME = 1000  # characters
NAME = re.compile(r"[A-Za-z_]\w*")  # of a field
RESERVED = {*FIELDS, "references", "focus", "begin", "dialog", "gradual"}  # which no further field can be called
OTHERS = ", ".join(sorted(RESERVED))


@dataclass(frozen=True)
class Turn:
    speaker: str
    text: str


@dataclass(frozen=True)
class Focus:
    """A part of what a model reads that a knob may weigh: ``text``, wherever it stands, or where it begins at character
    ``start`` of ``field``."""

    text: str
    field: str | None = None
    start: int | None = None

    def to_json(self) -> Any:
        return self.text if self.field is None else {"text": self.text, "field": self.field, "start": self.start}


@dataclass(frozen=True)
class Record:
    """One response to generate: what was said (oldest turn first), what a human answered, what is known, and any other
    named texts in ``fields``, such as a document, a question or a source to translate.

    Any of these may be absent; where all are, there is nothing that a model could read. ``references`` are there where
    several are accepted, the ``reference`` among them.
    """

    id: str
    history: tuple[Turn, ...]
    reference: str | None = None
    knowledge: str | None = None
    topic: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    focus: tuple[Focus, ...] = ()
    references: tuple[str, ...] = ()

    @property
    def accepted(self) -> tuple[str, ...]:
        """Every reference."""
        return self.references or (() if self.reference is None else (self.reference,))

    def text(self, name: str) -> str | None:
        """Return the text of one field that a model may read; None where there is none. History is no such field."""
        if name == "focus":
            return ", ".join(one.text for one in self.focus) or None
        return getattr(self, name) if name in ("knowledge", "topic") else self.fields.get(name)

    def to_json(self) -> dict[str, Any]:
        """Return what :func:`parse_record` makes the same record of."""
        turns = tuple({"speaker": turn.speaker, "text": turn.text} for turn in self.history)
        own = {"id": self.id, "history": turns}
        own |= {name: getattr(self, name) for name in ("reference", "knowledge", "topic")}
        own |= {"references": list(self.references)} if self.references else {}
        own |= {"focus": [one.to_json() for one in self.focus]} if self.focus else {}
        return {**own, **self.fields}


def parse_record(value: Any, where: str) -> Record:
    """Build a Record from decoded JSON; all fields but the id may be absent.

    Every further text whose name is a word, and none of RESERVED, is a field. ``focus`` is a text, an object with
    ``field``, ``start`` and ``end`` (in characters) or ``text``, or a list of these. Raises ZscError naming ``where``
    (file and line) and the field at fault.
    """
    if not isinstance(value, Mapping):
        raise ZscError(f"{where}: a record must be a JSON object, not {type(value).__name__}.")
    no_texts = [name for name, one in value.items() if name not in FIELDS and not isinstance(one, str)]
    if "history" not in value and (hint := suggestion("history", no_texts)):
        raise ZscError(f"{where}: there is no field 'history'.{hint} A record without one says \"history\": [].")
    turns = [] if value.get("history") is None else value["history"]
    if not isinstance(turns, list | tuple):
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
    further = [name for name, text in value.items() if _is_further(name) and isinstance(text, str) and text.strip()]
    references = _references(value, where)
    return Record(
        id=checked_name(_text(value, "id", where), where, "id"),
        history=tuple(history),
        reference=references[0] if references else None,
        knowledge=_optional_text(value, "knowledge", where),
        topic=_optional_text(value, "topic", where),
        fields={name: _text(value, name, where) for name in further},
        focus=tuple(_focus(value, where)),
        references=references if len(references) > 1 else (),
    )


def _is_further(name: Any) -> bool:
    """Say whether a field that has no place of its own in a record can be called ``name``."""
    return isinstance(name, str) and name not in RESERVED and NAME.fullmatch(name) is not None


def _references(value: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """Return the different references of a record, that called ``reference`` the first."""
    first = _optional_text(value, "reference", where)
    given = value.get("references") or []
    if not isinstance(given, list | tuple) or not all(isinstance(text, str) for text in given):
        raise ZscError(f"{where}: field 'references' must be a list of texts, got {reprlib.repr(given)}.")
    others = [_text({"references": text}, "references", where) for text in given]
    return tuple(dict.fromkeys([*([] if first is None else [first]), *others]))


def _focus(value: Mapping[str, Any], where: str) -> Iterator[Focus]:
    given = value.get("focus")
    for one in given if isinstance(given, list | tuple) else [] if given in (None, "") else [given]:
        if isinstance(one, str):
            yield Focus(_text({"focus": one}, "focus", where))
        elif isinstance(one, Mapping):
            yield _focus_at(one, value, where)
        else:
            raise ZscError(
                f"{where}: field 'focus' must hold texts or objects with 'field', 'start' and 'end', got"
                f" {reprlib.repr(one)}."
            )


def _focus_at(focus: Mapping[str, Any], value: Mapping[str, Any], where: str) -> Focus:
    """Return a focus that is given by its place. White space in a field is set right, and the place moves with it."""
    name, start, wanted = focus.get("field"), focus.get("start"), focus.get("text")
    text = value.get(name) if isinstance(name, str) and (name == "knowledge" or _is_further(name)) else None
    if not isinstance(text, str):
        raise ZscError(f"{where}: field 'focus' names no text of the record by 'field', got {reprlib.repr(name)}.")
    if wanted is not None and not isinstance(wanted, str):
        raise ZscError(f"{where}: field 'focus': 'text' must be a text, got {reprlib.repr(wanted)}.")
    end = focus.get("end")
    end = start + len(wanted) if end is None and wanted and type(start) is int else end
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(text):
        raise ZscError(
            f"{where}: field 'focus': {reprlib.repr(start)} to {reprlib.repr(end)} is no part of the {len(text)}"
            f" characters of '{name}'."
        )
    found = " ".join(sound(text[start:end], where, "focus").split())
    if not found or (wanted is not None and found != " ".join(wanted.split())):
        other = "white space" if not found else f"{reprlib.repr(found)}, not {reprlib.repr(wanted)}"
        raise ZscError(f"{where}: field 'focus': {start} to {end} of '{name}' is {other}.")
    start += len(text[start:end]) - len(text[start:end].lstrip())
    return Focus(found, str(name), len(" ".join(f"{text[:start]}x".split())) - 1)  # x keeps the white space before it


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
    """Return ``record``. Raises ZscError if a text in it can be no text of a file, or a field cannot be called so."""
    for name in record.fields:
        if not _is_further(name):
            raise ZscError(f"record {record.id!a}: no field can be called {name!a}. Use a word other than {OTHERS}.")
    own = [(name, getattr(record, name)) for name in FIELDS if name != "history"]
    own += [*record.fields.items(), *(("references", text) for text in record.references)]
    own += [("focus", one.text) for one in record.focus]
    turns = [(f"history[{i}].text", turn.text) for i, turn in enumerate(record.history)]
    for name, text in (*own, *turns):
        if text is not None:
            sound(text, f"record {record.id!a}", name)
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
