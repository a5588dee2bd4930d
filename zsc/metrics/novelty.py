"""Novelty: how much of a response is in no text it was given."""

import numpy as np

from zsc.data.words import TOKENIZATION
from zsc.metrics.overlap import WordOverlap


class Novelty(WordOverlap):
    """Mean share of a response's n-grams that are nowhere in its reference text; from 0 to 1.

    A response without n-grams says nothing new: 0. A summary tells of what is new to all that was given.
    """

    risen, fallen = "more is new", "less is new"

    def __init__(self, name: str, references: str, order: int):
        super().__init__(name, references, order)
        self.words = "novelty" if references == "context" else ""

    def of_counts(self, said: np.ndarray, known: np.ndarray, common: np.ndarray, held: np.ndarray) -> np.ndarray:
        return (said - held) / np.maximum(said, 1)

    def options(self) -> list[str]:
        return [f"order:{self.order}", TOKENIZATION]
