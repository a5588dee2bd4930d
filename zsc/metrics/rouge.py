"""ROUGE F1 (Lin, 2004), with the very numbers of the rouge-score package, whose import takes seconds."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from zsc.data.words import TOKENIZATION, words
from zsc.metrics.overlap import WordOverlap

SAME_AS = "rouge-score:0.1.2"  # the package and its version that the numbers agree with to the last digit


class Rouge(WordOverlap):
    """Mean ROUGE F1 of each response against its reference text, without stemming; from 0 to 1.

    Words are those of all metrics here. In ASCII they are the package's own, so that scores are comparable with those
    published; the package takes all other characters for white space.
    """

    def __init__(self, name: str, references: str, kind: str):
        self.kind = kind
        super().__init__(name, references, {"rouge2": 2}.get(kind, 1))

    def of_counts(self, said: np.ndarray, known: np.ndarray, common: np.ndarray, held: np.ndarray) -> np.ndarray:
        precision, recall = common / np.maximum(said, 1), common / np.maximum(known, 1)
        found = np.zeros(len(said))
        return np.divide(2 * precision * recall, precision + recall, out=found, where=common > 0)

    def options(self) -> list[str]:
        return [f"kind:{self.kind}", TOKENIZATION, "stem:no", SAME_AS]


class RougeL(Rouge):
    """ROUGE-L, of the longest common subsequence of words."""

    def __init__(self, name: str, references: str, kind: str):
        super().__init__(name, references, kind)
        self.words = "ROUGE-L" if references == "reference" else ""

    def compared(self, predictions: list[str], references: list[str]) -> Any:
        pairs = [(words(one), words(other)) for one, other in zip(predictions, references, strict=True)]
        counts = [(len(one), len(other), common_subsequence(one, other)) for one, other in pairs]
        said, known, common = np.array(counts, dtype=np.int64).reshape(-1, 3).T
        return self.of_counts(said, known, common, common)


def common_subsequence(one: Sequence[object], other: Sequence[object]) -> int:
    """Return the length of the longest common subsequence, by the bits of whole numbers (Hyyrö, 2004)."""
    places: dict[object, int] = {}
    for place, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << place
    every = (1 << len(one)) - 1
    row = every
    for word in other:
        matched = row & places.get(word, 0)
        row = (row + matched | row - matched) & every
    return len(one) - row.bit_count()
