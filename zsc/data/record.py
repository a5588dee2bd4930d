"""The one record type every dataset becomes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from zsc.errors import ZscError


@dataclass(frozen=True)
class Turn:
    speaker: str
    text: str


@dataclass(frozen=True)
class Record:
    """One response to generate: what was said (oldest turn first), what a human answered, what is known."""

    id: str
    history: tuple[Turn, ...]
    reference: str | None = None
    knowledge: str | None = None
    topic: str | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def parse_record(value: Any, where: str) -> Record:
    """Build a Record from decoded JSON. Raises ZscError naming ``where`` (file and line) and the field at fault."""
    if not isinstance(value, Mapping):
        raise ZscError(f"{where}: a record must be a JSON object, not {type(value).__name__}.")
    turns = value.get("history")
    if not isinstance(turns, list) or not turns:
        raise ZscError(f"{where}: field 'history' must be a non-empty list of turns, got {turns!r}.")
    history = []
    for number, turn in enumerate(turns):
        if not isinstance(turn, Mapping):
            raise ZscError(
                f"{where}: field 'history[{number}]' must be an object with 'speaker' and 'text', got {turn!r}."
            )
        name = f"history[{number}]."
        history.append(Turn(_text(turn, "speaker", where, name), _text(turn, "text", where, name)))
    return Record(
        id=_text(value, "id", where),
        history=tuple(history),
        reference=_optional_text(value, "reference", where),
        knowledge=_optional_text(value, "knowledge", where),
        topic=_optional_text(value, "topic", where),
    )


def _text(value: Mapping[str, Any], field: str, where: str, prefix: str = "") -> str:
    text = value.get(field)
    if not isinstance(text, str) or not text.strip():
        raise ZscError(f"{where}: field '{prefix}{field}' must be a non-empty string, got {text!r}.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ZscError(f"{where}: field '{prefix}{field}' holds half of a character (a lone surrogate).") from None
    return " ".join(text.split())


def _optional_text(value: Mapping[str, Any], field: str, where: str) -> str | None:
    return None if value.get(field) in (None, "") else _text(value, field, where)
