"""The bucket layout of [P A.1]: one begin token, a knowledge bucket, and one bucket for each of the last turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from zsc.data.cut import Cut
from zsc.data.first_tokens import First, first_tokens
from zsc.data.focus import covered, focus_ranges
from zsc.data.layouts.base import Layout
from zsc.data.offsets import placed
from zsc.data.record import Record
from zsc.data.source import BEGIN, CHUNK, FIRST_TURN, KNOWLEDGE, PAD, Row, Sources
from zsc.options import Count

if TYPE_CHECKING:  # imported where tensors are made: who only reads the options needs no torch
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class BucketLayout(Layout):
    """Fixed buckets: 1 + ``knowledge_tokens`` + ``turns`` * (1 + ``turn_tokens``) positions, 163 by default.

    Short content is padded inside its bucket and long content cut at its end. Padding is not attended, unless
    ``attend_padding`` asks for the literal layout of the paper, where all padding is attended, and counts as part of
    its bucket unless the bucket is empty.

    Our own choices [D]: the newest turn always takes the last bucket, and the speaker token is relative: the first
    for whoever spoke last, the second for the other. A tokenizer without these tokens gets its separator or end token.
    """

    form: ClassVar[str] = "buckets"

    knowledge_tokens: Count = 32
    turns: Count = 5
    turn_tokens: Count = 25
    speaker_tokens: tuple[str, str] = ("<speaker1>", "<speaker2>")
    attend_padding: bool = False

    @property
    def positions(self) -> int:
        """The length of a source whose tokenizer has a begin token."""
        return 1 + self.knowledge_tokens + self.turns * (1 + self.turn_tokens)

    def lay_out(
        self, records: Sequence[Record], tokenizer: PreTrainedTokenizerBase, most: int | None = None
    ) -> tuple[Sources, Cut]:
        """Lay out ``records``; return the sources with what does not fit."""
        room = "layout.knowledge_tokens, layout.turn_tokens and layout.turns make room"
        sources = Sources(tokenizer.pad_token_id, (), self.attend_padding, tokenizer.padding_side)
        cut = Cut(room, self.turns, ("knowledge", "turns"))
        speakers = [_speaker_id(token, tokenizer) for token in self.speaker_tokens]
        begin = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
        positions = self.positions - 1 + len(begin)
        for start in range(0, len(records), CHUNK):
            some = records[start : start + CHUNK]
            taken = [(record.knowledge or "", *(t.text for t in record.history[-self.turns :])) for record in some]
            sizes = [
                size for texts in taken for size in (self.knowledge_tokens, *[self.turn_tokens] * (len(texts) - 1))
            ]
            found = iter(first_tokens([text for texts in taken for text in texts], sizes, tokenizer))
            ids = np.full((len(some), positions), -1, dtype=np.int32)
            segments = np.full((len(some), positions), PAD, dtype=np.int16)
            for row, record in enumerate(some):
                knowledge, *turns = islice(found, 1 + len(record.history[-self.turns :]))
                self._fill(ids[row], segments[row], record, begin, knowledge, turns, speakers)
                buckets = [("knowledge", knowledge.bucket(self.knowledge_tokens))] if record.knowledge else []
                buckets += [("turns", first.bucket(self.turn_tokens)) for first in turns]
                cut.add(buckets, len(record.history) > self.turns)
            rows = (Row(*one) for one in zip(ids, segments, strict=True))
            sources.add(self._in_focus(*one, tokenizer) for one in zip(rows, some, taken, strict=True))
        return sources, cut

    def _in_focus(self, row: Row, record: Record, texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> Row:
        """Return ``row`` with the focus of ``record`` marked in its ``texts``, that of the knowledge the first."""
        if not record.focus:
            return row
        names = ["knowledge", *["turn"] * (len(texts) - 1)]
        segments, ids = np.asarray(row.segments), np.asarray(row.ids)
        marks = np.zeros(len(ids), dtype=bool)
        wheres = [KNOWLEDGE, *range(FIRST_TURN + self.turns - len(texts) + 1, FIRST_TURN + self.turns)]
        ranges = focus_ranges(record, list(zip(names, texts, strict=True)))
        for segment, tokens, own in zip(wheres, placed(texts, tokenizer, special=False), ranges, strict=True):
            places = np.flatnonzero((segments == segment) & (ids >= 0))[segment != KNOWLEDGE :]  # past the speaker
            marks[places] = covered(tokens, own)[: len(places)]
        return Row(row.ids, row.segments, marks)

    def _fill(
        self,
        ids: np.ndarray,
        segments: np.ndarray,
        record: Record,
        begin: list[int],
        knowledge: First,
        turns: Sequence[First],
        speakers: Sequence[int],
    ) -> None:
        """Write the buckets of one record into ``ids`` and ``segments``, (positions,), which are all padding."""

        def write(tokens: list[int], segment: int, start: int, size: int) -> None:
            kept = tokens[:size]
            ids[start : start + len(kept)] = kept
            segments[start : start + (size if self.attend_padding and kept else len(kept))] = segment

        write(begin, BEGIN, 0, len(begin))
        write(knowledge.ids, KNOWLEDGE, len(begin), self.knowledge_tokens)
        recent, step = record.history[-self.turns :], 1 + self.turn_tokens
        for i, (turn, first) in enumerate(zip(recent, turns, strict=True), start=self.turns - len(turns)):
            speaker = speakers[turn.speaker != recent[-1].speaker]
            start = len(begin) + self.knowledge_tokens + i * step
            write([speaker, *first.ids[: self.turn_tokens]], FIRST_TURN + i, start, step)


def _speaker_id(token: str, tokenizer: PreTrainedTokenizerBase) -> int:
    known = tokenizer.get_vocab().get(token)
    if known is not None:
        return known
    return tokenizer.eos_token_id if tokenizer.sep_token_id is None else tokenizer.sep_token_id
