"""What is written of one record, and how templates write it: texts that know where the fields stand in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from zsc.data.layouts.markup import Part, rendered
from zsc.data.record import Record, Turn
from zsc.data.source import FIRST_FIELD, FIRST_TURN
from zsc.errors import ZscError, suggestion

if TYPE_CHECKING:
    from zsc.data.layouts.written import WrittenLayout

HISTORY = "history"
LANGUAGES = ("source_language", "target_language")
REACH = 64  # characters that surely hold a token; of a text too long for its source, no more are tokenized [D]
TEXT_ALONE = (Part("field", "text"),)
MOST_TURNS = FIRST_FIELD - FIRST_TURN


class Rendered(NamedTuple):
    """A text, and where the fields of the record and its turns stand in it: (name, segment, start, end). The oldest
    turns of the draft, as many as ``left_out``, have no place in it."""

    text: str
    spans: list[tuple[str, int, int, int]]
    left_out: int = 0


@dataclass(frozen=True)
class Draft:
    """The ``texts`` of a ``record`` by their fields and its ``turns``, to be written as the ``layout`` says.

    ``segments`` are the numbers of fields, ``long`` the characters of texts of which only the beginning is here.
    """

    layout: WrittenLayout
    record: Record
    segments: Mapping[str, int]
    texts: Mapping[str, str]
    turns: Sequence[Turn]
    long: Mapping[str, int]

    @classmethod
    def of(cls, layout: WrittenLayout, record: Record, segments: Mapping[str, int], limit: int | None) -> Draft:
        """Return what ``layout`` writes of ``record``, as far as it may fit in ``limit`` tokens."""
        texts = {name: text for name in layout.fields if name != HISTORY and (text := record.text(name))}
        turns = list(record.history if layout.turns is None else record.history[-layout.turns :])
        if len(turns) > MOST_TURNS:
            raise ZscError(f"record {record.id} has {len(turns):,} turns: set layout.turns to at most {MOST_TURNS}.")
        long: dict[str, int] = {}

        def beginning(name: str, text: str) -> str:
            most = len(text) if limit is None else 2048 + REACH * limit
            if len(text) > most:
                long[name] = len(text)
            return text[:most]

        texts = {name: beginning(name, text) for name, text in texts.items()}
        turns = [Turn(turn.speaker, beginning("turns", turn.text)) for turn in turns]
        return cls(layout, record, segments, texts, turns, long)

    def has(self, name: str) -> bool:
        if name in LANGUAGES:
            return getattr(self.layout, name) is not None
        return bool(self.turns) if name == HISTORY else name in self.texts

    def write(self, option: str) -> Rendered:
        """Return what the template in the ``option`` of the layout makes of the record.

        Raises ZscError for a field that the record lacks.
        """
        text, spans = "", []
        for part in rendered(self.layout.parts[option], self.has):
            if part.kind == "literal":
                text += part.text
            elif not self.has(part.text):
                raise ZscError(self.lacking(part.text, f"layout.{option}"))
            elif part.text in LANGUAGES:
                text += self._language(part.text)
            elif part.text == HISTORY:
                for number in range(len(self.turns)):
                    text += self.layout.joiner if number else ""
                    start, text = len(text), text + self.turn(number)
                    spans.append(("turns", FIRST_TURN + number, start, len(text)))
            else:
                start, text = len(text), text + self.texts[part.text]
                spans.append((part.text, self.segments[part.text], start, len(text)))
        return Rendered(text, spans)

    def turn(self, number: int) -> str:
        """Return a turn as ``layout.turn`` writes it."""
        turn, layout = self.turns[number], self.layout
        if layout.turn_parts == TEXT_ALONE:
            return turn.text
        speaker = turn.speaker if layout.speakers is None else layout.speakers[not self.of_last_speaker(number)]
        parts = rendered(layout.turn_parts, lambda name: True)
        return "".join({"text": turn.text, "speaker": speaker}[p.text] if p.kind == "field" else p.text for p in parts)

    def of_last_speaker(self, number: int) -> bool:
        """Say whether a turn is of whoever spoke last."""
        return self.turns[number].speaker == self.turns[-1].speaker

    def _language(self, name: str) -> str:
        language, form = getattr(self.layout, name), self.layout.target_form
        return str(language if form is None or name != "target_language" else form.replace("{}", language))

    def lacking(self, name: str, option: str) -> str:
        """Say that the record lacks what the ``option`` names, and what it has."""
        if name in LANGUAGES:
            return f"layout.{name} has no value. Give layout.{name}=LANGUAGE, which {option} names."
        record = self.record
        has = [*(["history"] if record.history else []), *(["knowledge"] if record.knowledge else []), *record.fields]
        return (
            f"record {record.id} has no {name}, which {option} names.{suggestion(name, has)} It has:"
            f" {', '.join(has) or 'nothing to read'}. A part that records may lack: {{#{name}}} ... {{/{name}}}."
        )
