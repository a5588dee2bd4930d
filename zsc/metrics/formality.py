"""Matched accuracy of a register, as the scorer of CoCoA-MT computes it (Nadejde et al., 2022)."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from zsc.data.words import UNSPACED, share
from zsc.metrics.base import Metric, ratio
from zsc.metrics.items import Columns

REGISTERS = ("formal", "informal")
PHRASE = re.compile(r"\[F\](.*?)\[/F\]")  # which marks the register in a reference


class Register(Metric):
    """A metric of which register a response is in, by two references with phrases annotated as ``[F]phrase[/F]``.

    It is formal if it has a phrase of the formal reference and none of the informal one, informal the other way round,
    else undecided. It has a phrase if it has each of the phrase's words, as single spaces part them: in any order and
    place, with case and punctuation as they are. In a language without spaces it has the phrase as it stands; that is
    settled once for a run, by the letters of the references [D].
    """

    apart = True

    def __init__(self, name: str, whole: bool | None = None):
        self.whole = whole
        formal, informal = (f"{register}_annotated" for register in REGISTERS)
        super().__init__(name, formal, further=[informal])

    def fitted(self, cells: Sequence[Columns]) -> tuple[Metric, str]:
        found = [columns.get(name) or [] for columns in cells for name in self.columns[1:]]
        return self.matching(unspaced(dict.fromkeys(text for column in found for text in column if text))), ""

    def matching(self, whole: bool) -> "Register":
        """Return this metric with phrases matched ``whole`` or word by word."""
        return type(self)(self.measure, whole)

    def registers(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        """Return whether each response is formal, and whether it is informal: booleans (responses, 2)."""
        given = references or []
        whole = unspaced(text for pair in given for text in pair) if self.whole is None else self.whole
        pairs = zip(predictions, given, strict=True)
        has = np.array([[has_phrase(response, one, whole) for one in pair] for response, pair in pairs], dtype=bool)
        return has & ~has[:, ::-1]

    def options(self) -> list[str]:
        return [f"match:{'auto' if self.whole is None else 'whole' if self.whole else 'words'}"]


class MatchedAccuracy(Register):
    """Share of the responses in one register, of those decided for either; from 0 to 1.

    Of none decided it is 0, as published.
    """

    def __init__(self, name: str, register: str, whole: bool | None = None):
        super().__init__(name, whole)
        self.register, self.words = register, f"{register} accuracy"

    def matching(self, whole: bool) -> Register:
        return type(self)(self.measure, self.register, whole)

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        found = self.registers(predictions, references)
        wanted = found[:, REGISTERS.index(self.register)]
        return np.column_stack([wanted, found.any(axis=1)]).astype(np.float64)

    def from_sums(self, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        return ratio(sums)

    def options(self) -> list[str]:
        return [f"register:{self.register}", *super().options()]


class Matched(Register):
    """Share of responses that are decided for one register, whose accuracies count no others; from 0 to 1."""

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        return np.array([[any(one)] for one in self.registers(predictions, references)], dtype=np.float64)


def has_phrase(response: str, annotated: str, whole: bool) -> bool:
    """Say whether ``response`` has a phrase that is marked in ``annotated``."""
    said = response.strip()
    tokens = set(said.split(" "))
    phrases = PHRASE.findall(annotated)
    return any(phrase in said if whole else tokens.issuperset(phrase.split(" ")) for phrase in phrases)


def unspaced(texts: Iterable[str]) -> bool:
    """Say whether most letters of ``texts`` are of scripts without spaces."""
    return share(" ".join(texts), f"[{UNSPACED}]") > 0.5
