"""What a layout cuts off the texts of records, counted and said."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple


class Bucket(NamedTuple):
    """One text of a record: its ``tokens``, or the ``characters`` of a text too long to be tokenized whole, for which
    there is room for ``size`` tokens."""

    size: int
    tokens: int
    characters: int | None = None

    @property
    def cut(self) -> bool:
        return self.characters is not None or self.tokens > self.size


@dataclass
class Part:
    """What is cut of one kind of text: in how many ``examples``, and the ``longest``."""

    examples: int = 0
    longest: Bucket | None = None


@dataclass
class Cut:
    """What is cut of many records. ``room`` says how there would be more room, ``kept`` how many turns are taken."""

    room: str
    kept: int | None = None
    kinds: tuple[str, ...] = ()  # of texts, in the order in which they are said
    count: int = 0
    older: int = 0
    texts: int = 0
    texts_cut: int = 0
    parts: dict[str, Part] = field(init=False)

    def __post_init__(self) -> None:
        self.parts = {kind: Part() for kind in self.kinds}

    def add(self, buckets: Iterable[tuple[str, Bucket]], older: bool) -> None:
        """Count one record: its texts with the names of their kinds, and whether ``older`` turns are left out."""
        seen = set()
        for name, bucket in buckets:
            part = self.parts[name]
            self.texts += 1
            if bucket.cut:
                self.texts_cut += 1
                part.examples += name not in seen
                seen.add(name)
                longest = part.longest
                if longest is None or (bucket.characters or 0, bucket.tokens) > (
                    longest.characters or 0,
                    longest.tokens,
                ):
                    part.longest = bucket
        self.count += 1
        self.older += older

    @property
    def share(self) -> float:
        """The share of texts that are cut."""
        return self.texts_cut / max(self.texts, 1)

    def __str__(self) -> str:
        """Say what is cut, and how there would be more room; empty where nothing is."""
        parts = [text for name, part in self.parts.items() if (text := self._part(name, part))]
        if self.older:
            which = "older turns" if self.kept is None else f"turns before the last {self.kept}"
            parts.append(f"{which} in {self._share(self.older)}")
        return f"the layout cuts off {'; '.join(parts)}. {self.room}." if parts else ""

    def _part(self, name: str, part: Part) -> str:
        longest = part.longest
        if longest is None:
            return ""
        size = f"{longest.tokens:,} tokens" if longest.characters is None else f"{longest.characters:,} characters"
        return f"{name} in {self._share(part.examples)}, the longest of {size} for {longest.size}"

    def _share(self, part: int) -> str:
        return f"{part:,} of {self.count:,} examples ({part / self.count:.1%})"
