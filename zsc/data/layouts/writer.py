"""A draft as a row of tokens: rendered, tokenized, and cut field by field where it is too long."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from zsc.data.cut import Bucket, Cut
from zsc.data.focus import covered, focus_ranges
from zsc.data.layouts.drafts import HISTORY, Draft, Rendered
from zsc.data.offsets import Placed
from zsc.data.record import Turn
from zsc.data.source import BEGIN, FIRST_FIELD, FIRST_TURN, Row
from zsc.errors import ZscError

SPACES = np.array([chr(code).isspace() for code in range(0x3002)])  # which characters are: none has a higher code


class Writer:
    """Writes one record: its text ``now`` first, and its row once that is tokenized."""

    def __init__(self, draft: Draft, render: Callable[[Draft], Rendered], limit: int | None):
        self.draft, self.render, self.limit = draft, render, limit
        self._write(draft.turns)

    def _write(self, turns: Sequence[Turn]) -> None:
        self.now = self.render(replace(self.draft, turns=turns))
        self.draft = replace(self.draft, turns=turns[self.now.left_out :])

    def row(self, tokens: Placed, tokenized: Callable[[list[str]], list[Placed]], cut: Cut) -> Row:
        """Return the source, of ``tokens`` or, where there are too many, fewer of them, and note what is ``cut``."""
        layout, record = self.draft.layout, self.draft.record
        segments = segments_of(self.now, tokens)
        removed: dict[str, int] = {}
        for name in layout.order:
            if self._excess(tokens, removed) <= 0:
                break
            while name == HISTORY and (fewer := self._fewer_turns(segments, self._excess(tokens, removed))):
                self._write(fewer)
                (tokens,) = tokenized([self.now.text])
                segments = segments_of(self.now, tokens)
            removed[name] = min(max(self._excess(tokens, removed), 0), int(self._of(name, segments).sum()))
        if self._excess(tokens, removed) > 0:
            least = len(tokens.ids) - sum(removed.values())
            raise ZscError(
                f"record {record.id}: the template alone takes {least} tokens, and a source has {self.limit} at"
                f" most. Shorten {layout.where}, or raise layout.max_tokens where the model allows it."
            )
        kept = np.ones(len(tokens.ids), dtype=bool)
        for name, count in removed.items():
            places = np.flatnonzero(self._of(name, segments))
            kept[places[len(places) - count :]] = False
        cut.add(self._buckets(segments, kept), len(record.history) > len(self.draft.turns))
        focus = self._focus(tokens) if record.focus else None
        ids = np.array(tokens.ids, dtype=np.int64)
        return Row(ids[kept], segments[kept], None if focus is None else focus[kept])

    def _excess(self, tokens: Placed, removed: Mapping[str, int]) -> int:
        return 0 if self.limit is None else len(tokens.ids) - sum(removed.values()) - self.limit

    def _of(self, name: str, segments: np.ndarray) -> np.ndarray:
        """Return which positions are of the field ``name``, or of a turn for the history."""
        if name == HISTORY:
            return (segments >= FIRST_TURN) & (segments < FIRST_FIELD)
        return segments == self.draft.segments[name]

    def _fewer_turns(self, segments: np.ndarray, excess: int) -> Sequence[Turn]:
        """Return the turns without the oldest that make up ``excess`` tokens, at least one; nothing if all stay.

        What stands between turns may go with them or not: where that differs, as few are left out as may be enough.
        """
        turns = self.draft.turns
        if excess <= 0 or len(turns) < 2:
            return []
        places = [np.flatnonzero(segments == FIRST_TURN + number) for number in range(len(turns))]
        between = [int(after[0] - before[-1]) for before, after in pairwise(places) if len(before) and len(after)]
        excess -= max(between, default=0) - min(between, default=0)
        starts = [int(place[0]) if len(place) else 0 for place in places]
        enough = (number for number in range(1, len(starts)) if starts[number] - starts[0] >= excess)
        return turns[next(enough, len(starts) - 1) :]

    def _buckets(self, segments: np.ndarray, kept: np.ndarray) -> Iterator[tuple[str, Bucket]]:
        left, long = segments[kept], self.draft.long
        whole = len(left) == len(segments) and not long
        for name, segment in dict.fromkeys((name, segment) for name, segment, _, _ in self.now.spans):
            size = 0 if whole else int(np.count_nonzero(left == segment))
            tokens = 0 if whole else int(np.count_nonzero(segments == segment))
            yield name, Bucket(size, tokens, long.get(name))

    def _focus(self, tokens: Placed) -> np.ndarray:
        texts = [(name, self.now.text[start:end]) for name, _, start, end in self.now.spans]
        starts = [start for _, _, start, _ in self.now.spans]
        found = zip(starts, focus_ranges(self.draft.record, texts), strict=True)
        return covered(tokens, [(start + first, start + last) for start, ranges in found for first, last in ranges])


def segments_of(written: Rendered, tokens: Placed) -> np.ndarray:
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
