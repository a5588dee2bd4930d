"""Judging that is never done twice or lost, of any number of texts."""

import hashlib
import json
import math
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from zsc.files import append, drop_partial_line
from zsc.metrics.judges.base import Item, Judge, Values

SHARE = 1 << 16  # items that are put into batches at once
NONE = math.nan  # in the place of a number, where the judge has no value for an item

Watch = Callable[[int], AbstractContextManager[Callable[[int], None]]]


class Verdicts:
    """What ``judge`` says of items: texts or, for a judge of pairs, pairs. Of an item a hash is held, and the numbers.

    They are kept in a file of ``folder``, named after the judge's signature. A line of it that cannot be read counts as
    not there.
    """

    def __init__(self, judge: Judge, folder: Path):
        signed = hashlib.sha256(judge.signature.encode()).hexdigest()[:10]
        self.file, self.width = folder / f"judged-{judge.columns[0]}-{signed}.jsonl", len(judge.columns)
        self._places: dict[bytes, int] = {}
        self._numbers = array("d")
        drop_partial_line(self.file)
        if self.file.is_file():
            with self.file.open("rb") as lines:
                for line in lines:
                    with suppress(ValueError, TypeError, KeyError):
                        self._take(*_parsed(line))

    def __contains__(self, item: Item) -> bool:
        return identity(item) in self._places

    def __getitem__(self, item: Item) -> Values:
        start = self._places[identity(item)] * self.width
        found = self._numbers[start : start + self.width].tolist()
        return None if math.isnan(found[0]) else found

    def among(self, identities: Collection[bytes]) -> int:
        """Return of how many items, given by their :func:`identity`, there is a verdict."""
        return sum(one in self._places for one in identities)

    def add(self, batch: list[Any], values: list[Values]) -> None:
        """Keep ``values`` of the items of a batch. Numbers that are not finite become None."""
        kept = [one if one is not None and all(map(math.isfinite, one)) else None for one in values]
        append(self.file, "".join(_line(item, one) for item, one in zip(batch, kept, strict=True)))
        for item, one in zip(batch, kept, strict=True):
            self._take(item, one)

    def _take(self, item: Item, values: Values) -> None:
        numbers = array("d", [NONE] * self.width if values is None else values)
        if len(numbers) != self.width:
            raise ValueError(f"{len(numbers)} numbers for {self.width} columns")
        place = self._places.setdefault(identity(item), len(self._places))
        self._numbers[place * self.width : (place + 1) * self.width] = numbers


def judged(judge: Judge, items: Iterable[Item], folder: Path, watch: Watch) -> Verdicts:
    """Have ``judge`` judge each of ``items``, which are gone through twice, and return what it says of them.

    What the file in ``folder`` has is not judged again, and a stopped pass goes on. ``watch`` is told how many
    different items there are; its context counts those that are ready.
    """
    from zsc.models.prepacked import prepacked  # of torch, which scoring without judges does not need

    verdicts = Verdicts(judge, folder)
    wanted = {identity(item) for item in items}
    with watch(len(wanted)) as advance, prepacked(*judge.networks):
        advance(verdicts.among(wanted))
        del wanted
        append(verdicts.file, "")
        for share in _missing(items, verdicts):
            batches: Any = judge.batches(share)
            for batch in batches:
                verdicts.add(batch, judge.judge(batch))
                advance(len(batch))
    return verdicts


def _missing(items: Iterable[Item], verdicts: Verdicts) -> Iterator[list[Any]]:
    """Yield those of ``items`` without a verdict, each once, ``SHARE`` at a time, which have one when it goes on."""
    share: dict[Item, None] = {}
    for item in items:
        if item not in verdicts:
            share[item] = None
        if len(share) == SHARE:
            yield list(share)
            share.clear()
    if share:
        yield list(share)


def identity(item: Item) -> bytes:
    """Return 16 bytes that tell an item from every other."""
    texts = (item,) if isinstance(item, str) else item
    return hashlib.blake2b(json.dumps(texts).encode(), digest_size=16).digest()


def _parsed(line: bytes) -> tuple[Item, Values]:
    row = json.loads(line)
    return (row["premise"], row["text"]) if "premise" in row else row["text"], row["values"]


def _line(item: Item, values: Values) -> str:
    texts = {"text": item} if isinstance(item, str) else {"premise": item[0], "text": item[1]}
    return json.dumps({**texts, "values": values}, allow_nan=False) + "\n"
