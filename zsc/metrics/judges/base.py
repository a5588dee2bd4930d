"""What a judge is, and what it reads."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from torch import nn

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

    @property
    def networks(self) -> Sequence["nn.Module"]:
        """What it runs."""

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

    @property
    def networks(self) -> Sequence["nn.Module"]:
        """What it runs."""

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
