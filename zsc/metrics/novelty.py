"""Novelty: how much of a response is in no text it was given."""

import numpy as np

from zsc.data.words import TOKENIZATION
from zsc.metrics.overlap import WordOverlap


class Novelty(WordOverlap):
    """Mean share of a response's n-grams that are nowhere in its reference text; from 0 to 1.

    A response without n-grams says nothing new: 0.
    """

    def of_counts(self, said: np.ndarray, known: np.ndarray, common: np.ndarray, held: np.ndarray) -> np.ndarray:
        return (said - held) / np.maximum(said, 1)

    def options(self) -> list[str]:
        return [f"order:{self.order}", TOKENIZATION]
