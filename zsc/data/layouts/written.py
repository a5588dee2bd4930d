"""What layouts have in common that write a record as a text: options, a draft of each record, and how it is cut."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from zsc.data.cut import Cut
from zsc.data.layouts.base import Layout
from zsc.data.layouts.drafts import HISTORY, LANGUAGES, Draft, Rendered
from zsc.data.layouts.languages import reading
from zsc.data.layouts.markup import Part, names, parse
from zsc.data.layouts.writer import Writer
from zsc.data.offsets import Placed, placed
from zsc.data.record import Record
from zsc.data.source import CHUNK, FIRST_FIELD, KNOWLEDGE, Sources
from zsc.errors import ZscError, suggestion

if TYPE_CHECKING:  # imported where texts are tokenized: who only reads the options needs no transformers
    from transformers import PreTrainedTokenizerBase

UNLIMITED = 10**6  # what a tokenizer without a limit says its limit is, or more


class WrittenLayout(Layout):
    """A layout of texts with the fields of a record in their places, each field a segment of its own.

    Subclasses are frozen dataclasses of the options declared here and of ``texts``, the options that are templates.
    """

    texts: ClassVar[tuple[str, ...]]
    special: ClassVar[bool]  # whether the tokenizer's own special tokens stand around the text

    turn: str
    joiner: str
    speakers: tuple[str, str] | None
    max_tokens: int | None
    cut: tuple[str, ...]
    source_language: str | None
    target_language: str | None
    target_form: str | None = None
    language_tokens: bool = False

    @property
    def further_fields(self) -> tuple[str, ...]:
        """Fields that are written though no template names them."""
        return ()

    @abstractmethod
    def renderer(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[Draft], Rendered]:
        """Return how a draft becomes the text that ``tokenizer`` is given. Raises ZscError for options that do not go
        with it."""

    @cached_property
    def parts(self) -> dict[str, tuple[Part, ...]]:
        """The parts of each of the ``texts``."""
        return {name: parse(getattr(self, name), f"layout.{name}") for name in self.texts}

    @cached_property
    def turn_parts(self) -> tuple[Part, ...]:
        return parse(self.turn, "layout.turn")

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The fields of a record that are written, as they first are."""
        named = dict.fromkeys(name for parts in self.parts.values() for name in names(parts) if name not in LANGUAGES)
        return (*named, *self.further_fields)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The fields in the order in which they are cut."""
        history = [HISTORY] if HISTORY in self.fields else []
        return tuple(dict.fromkeys([*self.cut, *history, *self.fields[::-1]]))

    @property
    def where(self) -> str:
        """The options that are templates, in words."""
        return " and ".join(f"layout.{name}" for name in self.texts)

    def check(self) -> None:
        """Raise ZscError for options that make no layout."""
        if not self.fields:
            said = " and ".join(f"layout.{name}={getattr(self, name)!r}" for name in self.texts)
            raise ZscError(f"{said} names no field of a record, such as {{document}}.")
        if unknown := [name for name in names(self.turn_parts) if name not in ("text", "speaker")]:
            raise ZscError(f"layout.turn={self.turn!r}: a turn has {{text}} and {{speaker}}, no {{{unknown[0]}}}.")
        if unknown := [name for name in self.cut if name not in self.fields]:
            hint = suggestion(unknown[0], self.fields)
            raise ZscError(f"layout.cut={list(self.cut)}: {self.where} has no {{{unknown[0]}}}.{hint}")
        if self.stop == "":
            raise ZscError("layout.stop='' ends every response before it begins. Give a text, or null for none.")

    def lay_out(
        self, records: Sequence[Record], tokenizer: PreTrainedTokenizerBase, most: int | None = None
    ) -> tuple[Sources, Cut]:
        limit = self._limit(tokenizer, most)
        others = [name for name in self.fields if name not in (HISTORY, "knowledge")]
        segments = {name: FIRST_FIELD + i for i, name in enumerate(others)} | {"knowledge": KNOWLEDGE}
        sources = Sources(tokenizer.pad_token_id, tuple(others), side=tokenizer.padding_side)
        kinds = tuple("turns" if name == HISTORY else name for name in self.order)
        cut = Cut(self._room(limit), self.turns, kinds)
        render = self.renderer(tokenizer)

        def tokenized(texts: list[str]) -> list[Placed]:
            found = placed(texts, tokenizer, self.special)
            return list(map(unended, found)) if tokenizer.padding_side == "left" else found

        with reading(self.source_language if self.language_tokens else None, tokenizer):
            for start in range(0, len(records), CHUNK):
                some = records[start : start + CHUNK]
                writers = [Writer(Draft.of(self, record, segments, limit), render, limit) for record in some]
                tokens = tokenized([writer.now.text for writer in writers])
                sources.add([writer.row(one, tokenized, cut) for writer, one in zip(writers, tokens, strict=True)])
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


def unended(tokens: Placed) -> Placed:
    """Return ``tokens`` without special ones behind the text, which would end what a response is to go on with [D]."""
    written = np.flatnonzero(tokens.ends)
    kept = slice(written[-1] + 1 if len(written) else None)
    return Placed(tokens.ids[kept], tokens.starts[kept], tokens.ends[kept])
