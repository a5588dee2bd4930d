"""A template: a text with the fields of a record in it, and the tokenizer's own special tokens around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from zsc.data.cut import Bucket, Cut
from zsc.data.focus import covered, focus_ranges
from zsc.data.layouts.base import Layout
from zsc.data.layouts.languages import check_form, language_token, reading
from zsc.data.layouts.markup import Part, names, parse, rendered
from zsc.data.offsets import Placed, placed
from zsc.data.record import Record, Turn
from zsc.data.source import BEGIN, CHUNK, FIRST_FIELD, FIRST_TURN, KNOWLEDGE, Row, Sources
from zsc.errors import ZscError, suggestion
from zsc.options import Count

if TYPE_CHECKING:  # imported where texts are tokenized: who only reads the options needs no transformers
    from transformers import PreTrainedTokenizerBase

HISTORY = "history"
LANGUAGES = ("source_language", "target_language")
REACH = 64  # characters that surely hold a token; of a text too long for its source, no more are tokenized [D]
TEXT_ALONE = (Part("field", "text"),)
MOST_TURNS = FIRST_FIELD - FIRST_TURN
UNLIMITED = 10**6  # what a tokenizer without a limit says its limit is, or more


SPACES = np.array([chr(code).isspace() for code in range(0x3002)])  # which characters are: none has a higher code


class Rendered(NamedTuple):
    """A text, and where the fields of the record and its turns stand in it: (name, segment, start, end)."""

    text: str
    spans: list[tuple[str, int, int, int]]


@dataclass(frozen=True)
class TemplateLayout(Layout):
    """``text`` with {field}s of a record in their places, as the tokenizer lays it out; see
    :mod:`zsc.data.layouts.markup` for parts that not every record has. Each field is a segment of its own.

    {history} is its last ``turns`` turns, or all, each written as ``turn`` says with {text} and {speaker}, joined by
    ``joiner``. ``speakers``, if given, are what whoever spoke last and the other are called. {source_language} and
    {target_language} are the options of these names, the second written as ``target_form`` says, such as >>{}<<, if it
    is a token; with ``language_tokens``, the tokenizer marks the source with the first and responses begin with the
    token of the second.

    A source longer than ``max_tokens``, or what the model reads, is cut field by field: those of ``cut`` first, then
    the history, whose oldest turns are left out, then the others from the last to the first, each at its end [D].
    """

    form: ClassVar[str] = "template"

    text: str = ""
    turn: str = "{text}"
    joiner: str = "\n"
    speakers: tuple[str, str] | None = None
    turns: Count | None = None
    max_tokens: Count | None = None
    cut: tuple[str, ...] = ()
    source_language: str | None = None
    target_language: str | None = None
    target_form: str | None = None
    language_tokens: bool = False
    parts: tuple[Part, ...] = field(init=False, repr=False, compare=False)
    turn_parts: tuple[Part, ...] = field(init=False, repr=False, compare=False)
    fields: tuple[str, ...] = field(init=False, repr=False, compare=False)  # of a record, as they are first written
    order: tuple[str, ...] = field(init=False, repr=False, compare=False)  # of the fields, in which they are cut

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", parse(self.text, "layout.text"))
        object.__setattr__(self, "turn_parts", parse(self.turn, "layout.turn"))
        object.__setattr__(self, "fields", tuple(name for name in names(self.parts) if name not in LANGUAGES))
        if not self.fields:
            raise ZscError(f"layout.text={self.text!r} names no field of a record, such as {{document}}.")
        if unknown := [name for name in names(self.turn_parts) if name not in ("text", "speaker")]:
            raise ZscError(f"layout.turn={self.turn!r}: a turn has {{text}} and {{speaker}}, no {{{unknown[0]}}}.")
        if unknown := [name for name in self.cut if name not in self.fields]:
            hint = suggestion(unknown[0], self.fields)
            raise ZscError(f"layout.cut={list(self.cut)}: layout.text has no {{{unknown[0]}}}.{hint}")
        history = [HISTORY] if HISTORY in self.fields else []
        object.__setattr__(self, "order", tuple(dict.fromkeys([*self.cut, *history, *self.fields[::-1]])))
        if self.target_form is not None and self.target_form.count("{}") != 1:
            raise ZscError(f"layout.target_form={self.target_form!r} must have one {{}}, in the place of the language.")

    def first_token(self, tokenizer: PreTrainedTokenizerBase) -> int | None:
        if not self.language_tokens:
            return None
        return language_token(self.target_language, "layout.target_language", tokenizer)

    def lay_out(
        self, records: Sequence[Record], tokenizer: PreTrainedTokenizerBase, most: int | None = None
    ) -> tuple[Sources, Cut]:
        limit = self._limit(tokenizer, most)
        others = [name for name in self.fields if name not in (HISTORY, "knowledge")]
        segments = {name: FIRST_FIELD + i for i, name in enumerate(others)} | {"knowledge": KNOWLEDGE}
        sources = Sources(tokenizer.pad_token_id, tuple(others))
        kinds = tuple("turns" if name == HISTORY else name for name in self.order)
        cut = Cut(self._room(limit), self.turns, kinds)
        if self.language_tokens and self.source_language is None:
            language_token(None, "layout.source_language", tokenizer)
        if self.target_form is not None:
            check_form(self.target_form, self.target_language, tokenizer)
        with reading(self.source_language if self.language_tokens else None, tokenizer):
            for start in range(0, len(records), CHUNK):
                some = records[start : start + CHUNK]
                writers = [_Writer(self, record, segments, limit) for record in some]
                tokens = placed([writer.now.text for writer in writers], tokenizer)
                sources.add([writer.row(one, tokenizer, cut) for writer, one in zip(writers, tokens, strict=True)])
        return sources, cut

    def _limit(self, tokenizer: PreTrainedTokenizerBase, most: int | None) -> int | None:
        """Return how many tokens a source may have. Raises ZscError if more are asked for than ``most``."""
        if self.max_tokens is not None:
            if most is not None and self.max_tokens > most:
                raise ZscError(f"layout.max_tokens={self.max_tokens}: this model reads {most} positions at most.")
            return self.max_tokens
        own = tokenizer.model_max_length
        return most if own >= UNLIMITED else min(own, most or own)

    def _room(self, limit: int | None) -> str:
        order = ", ".join(self.order)
        return f"A source has {limit} tokens at most (layout.max_tokens); first to be cut: {order} (layout.cut)"


class _Writer:
    """Writes one record: its text first, and its row once that is tokenized."""

    def __init__(self, layout: TemplateLayout, record: Record, segments: Mapping[str, int], limit: int | None):
        self.layout, self.record, self.segments, self.limit = layout, record, segments, limit
        self.texts = {name: text for name in layout.fields if name != HISTORY and (text := record.text(name))}
        self.turns = list(record.history if layout.turns is None else record.history[-layout.turns :])
        if len(self.turns) > MOST_TURNS:
            raise ZscError(
                f"record {record.id} has {len(self.turns):,} turns: set layout.turns to at most {MOST_TURNS}."
            )
        self.long: dict[str, int] = {}  # characters of texts that are not tokenized whole
        if limit is not None:
            self.texts = {name: self._beginning(name, text, limit) for name, text in self.texts.items()}
            self.turns = [Turn(turn.speaker, self._beginning("turns", turn.text, limit)) for turn in self.turns]
        self.now = self._rendered()

    def _beginning(self, name: str, text: str, limit: int) -> str:
        most = 2048 + REACH * limit
        if len(text) > most:
            self.long[name] = len(text)
        return text[:most]

    def _has(self, name: str) -> bool:
        if name in LANGUAGES:
            return getattr(self.layout, name) is not None
        return bool(self.turns) if name == HISTORY else name in self.texts

    def _rendered(self) -> Rendered:
        text, spans = "", []
        for part in rendered(self.layout.parts, self._has):
            if part.kind == "literal":
                text += part.text
            elif not self._has(part.text):
                raise ZscError(self._lacking(part.text))
            elif part.text in LANGUAGES:
                text += self._language(part.text)
            elif part.text == HISTORY:
                for number, turn in enumerate(self.turns):
                    text += self.layout.joiner if number else ""
                    start, text = len(text), text + self._turn(turn)
                    spans.append(("turns", FIRST_TURN + number, start, len(text)))
            else:
                start, text = len(text), text + self.texts[part.text]
                spans.append((part.text, self.segments[part.text], start, len(text)))
        return Rendered(text, spans)

    def _turn(self, turn: Turn) -> str:
        if self.layout.turn_parts == TEXT_ALONE:
            return turn.text
        names = self.layout.speakers
        speaker = turn.speaker if names is None else names[turn.speaker != self.turns[-1].speaker]
        parts = rendered(self.layout.turn_parts, lambda name: True)
        return "".join({"text": turn.text, "speaker": speaker}[p.text] if p.kind == "field" else p.text for p in parts)

    def _language(self, name: str) -> str:
        language, form = getattr(self.layout, name), self.layout.target_form
        return str(language if form is None or name != "target_language" else form.replace("{}", language))

    def _lacking(self, name: str) -> str:
        if name in LANGUAGES:
            return f"layout.{name} has no value. Give layout.{name}=LANGUAGE, which layout.text names."
        record = self.record
        has = [*(["history"] if record.history else []), *(["knowledge"] if record.knowledge else []), *record.fields]
        return (
            f"record {record.id} has no {name}, which layout.text names.{suggestion(name, has)} It has:"
            f" {', '.join(has) or 'nothing to read'}. A part that records may lack: {{#{name}}} ... {{/{name}}}."
        )

    def row(self, tokens: Placed, tokenizer: PreTrainedTokenizerBase, cut: Cut) -> Row:
        """Return the source, of ``tokens`` or, where there are too many, fewer of them, and note what is ``cut``."""
        segments = _segments_of(self.now, tokens)
        removed: dict[str, int] = {}
        for name in self.layout.order if self._excess(tokens, removed) > 0 else ():
            if (excess := self._excess(tokens, removed)) <= 0:
                break
            if name == HISTORY and (fewer := self._fewer_turns(segments, excess)):
                self.turns = fewer
                self.now = self._rendered()
                (tokens,) = placed([self.now.text], tokenizer)
                segments = _segments_of(self.now, tokens)
            removed[name] = min(max(self._excess(tokens, removed), 0), int(self._of(name, segments).sum()))
        if self._excess(tokens, removed) > 0:
            least = len(tokens.ids) - sum(removed.values())
            raise ZscError(
                f"record {self.record.id}: the template alone takes {least} tokens, and a source has {self.limit} at"
                " most. Shorten layout.text, or raise layout.max_tokens where the model allows it."
            )
        kept = np.ones(len(tokens.ids), dtype=bool)
        for name, count in removed.items():
            places = np.flatnonzero(self._of(name, segments))
            kept[places[len(places) - count :]] = False
        cut.add(self._buckets(segments, kept), len(self.record.history) > len(self.turns))
        focus = self._focus(tokens) if self.record.focus else None
        ids = np.array(tokens.ids, dtype=np.int64)
        return Row(ids[kept], segments[kept], None if focus is None else focus[kept])

    def _excess(self, tokens: Placed, removed: Mapping[str, int]) -> int:
        return 0 if self.limit is None else len(tokens.ids) - sum(removed.values()) - self.limit

    def _of(self, name: str, segments: np.ndarray) -> np.ndarray:
        """Return which positions are of the field ``name``, or of a turn for the history."""
        if name == HISTORY:
            return (segments >= FIRST_TURN) & (segments < FIRST_FIELD)
        return segments == self.segments[name]

    def _fewer_turns(self, segments: np.ndarray, excess: int) -> list[Turn]:
        """Return the turns without the oldest that make up ``excess`` tokens, at least one; nothing if all stay."""
        starts = [int(np.argmax(segments == FIRST_TURN + number)) for number in range(len(self.turns))]
        enough = (number for number, start in enumerate(starts) if start - starts[0] >= excess)
        return self.turns[next(enough, len(starts) - 1) :] if len(starts) > 1 else []

    def _buckets(self, segments: np.ndarray, kept: np.ndarray) -> Iterator[tuple[str, Bucket]]:
        left = segments[kept]
        whole = len(left) == len(segments) and not self.long
        for name, segment in dict.fromkeys((name, segment) for name, segment, _, _ in self.now.spans):
            size = 0 if whole else int(np.count_nonzero(left == segment))
            tokens = 0 if whole else int(np.count_nonzero(segments == segment))
            yield name, Bucket(size, tokens, self.long.get(name))

    def _focus(self, tokens: Placed) -> np.ndarray:
        texts = [(name, self.now.text[start:end]) for name, _, start, end in self.now.spans]
        starts = [start for _, _, start, _ in self.now.spans]
        found = zip(starts, focus_ranges(self.record, texts), strict=True)
        return covered(tokens, [(start + first, start + last) for start, ranges in found for first, last in ranges])


def _segments_of(written: Rendered, tokens: Placed) -> np.ndarray:
    """Return the segment of each token: that of its first letter, or else of its last, of which one may be of no field.

    White space in front of a word counts with the word, also where it is a token that stands for no character.
    """
    text = written.text
    of_character = np.full(len(text) + 1, BEGIN, dtype=np.int64)
    for _, segment, start, end in written.spans:
        of_character[start:end] = segment
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    places = np.arange(len(text) + 1)
    places[:-1][SPACES[np.minimum(codes, len(SPACES) - 1)]] = len(text)
    following = np.minimum.accumulate(places[::-1])[::-1]  # the first letter from each place on
    starts, ends = np.minimum(tokens.starts, len(text)), np.minimum(tokens.ends, len(text))
    first = np.where((following[starts] < ends) | (starts == ends), following[starts], starts)
    segments = np.where(of_character[first] == BEGIN, of_character[np.maximum(ends - 1, 0)], of_character[first])
    return np.where(ends > 0, segments, BEGIN)  # special tokens stand for the nothing before the text
