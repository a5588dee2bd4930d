"""What a judge is, and judging that is never done twice or lost."""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from zsc.files import append, drop_partial_line

Values = list[float] | None  # None: the judge has no value for an item
Pair = tuple[str, str]  # a premise and a response
Item = str | Pair
Some = TypeVar("Some", str, Pair)


class TextJudge(Protocol):
    """A neural model that gives numbers to texts, each text by itself."""

    columns: tuple[str, ...]

    @property
    def signature(self) -> str:
        """What the numbers depend on beside the text."""

    def batches(self, texts: Sequence[str]) -> Iterable[list[str]]:
        """Split ``texts`` into batches of similar length."""

    def judge(self, batch: list[str]) -> list[Values]:
        """Return the numbers of each text, one per column; None for a text that has none."""


@runtime_checkable
class PairJudge(Protocol):
    """A neural model that gives numbers to responses, each read after its text in the column ``premise``."""

    columns: tuple[str, ...]
    premise: str

    @property
    def signature(self) -> str:
        """What the numbers depend on beside the two texts."""

    def batches(self, pairs: Sequence[Pair]) -> Iterable[list[Pair]]:
        """Split ``pairs`` of premise and response into batches of similar length."""

    def judge(self, batch: list[Pair]) -> list[Values]:
        """Return the numbers of each pair, one per column; None for a pair that has none."""


Judge = TextJudge | PairJudge


def items_of(judge: Judge, columns: Mapping[str, list[Any]]) -> list[Any]:
    """Return what ``judge`` reads for each response of ``columns``: an Item, None where a text of it is missing."""
    if not isinstance(judge, PairJudge):
        return columns["response"]
    pairs = zip(columns[judge.premise], columns["response"], strict=True)
    return [None if premise is None or response is None else (premise, response) for premise, response in pairs]


def judged(judge: Judge, items: Iterable[Any], folder: Path, advance: Callable[[int], None]) -> dict[Any, Values]:
    """Return what ``judge`` says of each of ``items``: texts or, for a judge of pairs, pairs.

    Values are kept in a file of ``folder``, named after the judge's signature, as they come: what is there is not
    judged again, and a stopped pass goes on. Numbers that are not finite become None. ``advance`` is told how many
    items are ready.
    """
    file = folder / f"judged-{judge.columns[0]}-{hashlib.sha256(judge.signature.encode()).hexdigest()[:10]}.jsonl"
    drop_partial_line(file)
    known = _read(file)
    wanted = dict.fromkeys(items)
    missing = [item for item in wanted if item not in known]
    advance(len(wanted) - len(missing))
    append(file, "")
    batches: Iterable[list[Any]] = judge.batches(missing) if missing else []
    for batch in batches:
        values = [_finite(one) for one in judge.judge(batch)]
        known |= zip(batch, values, strict=True)
        append(file, "".join(_line(item, one) for item, one in zip(batch, values, strict=True)))
        advance(len(batch))
    return {item: known[item] for item in wanted}


def digest(texts: Sequence[str]) -> str:
    """Return how many ``texts`` there are and the first 8 digits of their SHA-256."""
    return f"{len(texts)}-{hashlib.sha256(chr(10).join(texts).encode()).hexdigest()[:8]}"


def by_length(texts: Sequence[Some], lengths: Sequence[int], budget: int) -> Iterable[list[Some]]:
    """Yield batches of ``texts`` or pairs by their ``lengths``, each padded to at most ``budget`` units in all."""
    batch: list[Some] = []
    for i in sorted(range(len(texts)), key=lambda i: lengths[i]):
        if batch and (len(batch) + 1) * lengths[i] > budget:
            yield batch
            batch = []
        batch.append(texts[i])
    if batch:
        yield batch


def _read(file: Path) -> dict[Item, Values]:
    """Return what is kept in ``file``; a line that cannot be read is judged again."""
    known: dict[Item, Values] = {}
    for line in file.read_bytes().splitlines() if file.is_file() else []:
        with suppress(ValueError, TypeError, KeyError):
            row = json.loads(line)
            known[(row["premise"], row["text"]) if "premise" in row else row["text"]] = row["values"]
    return known


def _line(item: Item, values: Values) -> str:
    texts = {"text": item} if isinstance(item, str) else {"premise": item[0], "text": item[1]}
    return json.dumps({**texts, "values": values}, allow_nan=False) + "\n"


def _finite(values: Values) -> Values:
    return values if values is not None and all(math.isfinite(value) for value in values) else None
