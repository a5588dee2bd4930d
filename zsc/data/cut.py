"""What a layout cuts off the texts of records, counted and said."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Bucket(NamedTuple):
    """The content of one bucket of a record: its ``tokens``, or the ``characters`` of a text too long to be tokenized
    whole, for a bucket of ``size`` tokens."""

    size: int
    tokens: int
    characters: int | None = None

    @property
    def cut(self) -> bool:
        return self.characters is not None or self.tokens > self.size


@dataclass(frozen=True)
class Cut:
    """The buckets that are not empty, record by record: of ``knowledge``, and of the ``turns`` that a layout takes; and
    how many turns each history has, of which the last ``kept`` are taken."""

    knowledge: Sequence[Sequence[Bucket]]
    turns: Sequence[Sequence[Bucket]]
    histories: Sequence[int]
    kept: int

    @property
    def share(self) -> float:
        """The share of non-empty buckets whose content is longer than the bucket."""
        buckets = [bucket for kind in (self.knowledge, self.turns) for one in kind for bucket in one]
        return sum(bucket.cut for bucket in buckets) / max(len(buckets), 1)

    def __str__(self) -> str:
        """Say what is cut, and the options that make room; empty where nothing is."""
        count = len(self.histories)
        parts = [*_part("knowledge", self.knowledge), *_part("turns", self.turns)]
        if older := sum(turns > self.kept for turns in self.histories):
            parts.append(f"turns before the last {self.kept} in {_share(older, count)}")
        room = "layout.knowledge_tokens, layout.turn_tokens and layout.turns make room"
        return f"the layout cuts off {'; '.join(parts)}. {room}." if parts else ""


def _part(name: str, records: Sequence[Sequence[Bucket]]) -> list[str]:
    cut = [bucket for buckets in records for bucket in buckets if bucket.cut]
    if not cut:
        return []
    longest = max(cut, key=lambda bucket: (bucket.characters or 0, bucket.tokens))
    size = f"{longest.characters:,} characters" if longest.characters is not None else f"{longest.tokens:,} tokens"
    examples = sum(any(bucket.cut for bucket in buckets) for buckets in records)
    return [f"{name} in {_share(examples, len(records))}, the longest of {size} for {longest.size}"]


def _share(part: int, total: int) -> str:
    return f"{part:,} of {total:,} examples ({part / total:.1%})"
