"""Clipped n-gram precision: how much of a response was already said in a text."""

import numpy as np

from zsc.data.words import TOKENIZATION
from zsc.metrics.overlap import WordOverlap


class Precision(WordOverlap):
    """Mean share of a response's n-grams found in its reference text, each as often as there; from 0 to 1.

    Unlike BLEU it has no brevity penalty, so texts much longer than a response, such as a history, can be compared.
    A response without n-grams scores 0. A summary tells of words, not of longer n-grams.
    """

    def __init__(self, name: str, references: str, order: int):
        super().__init__(name, references, order)
        self.words = f"{references} precision" if order == 1 else ""

    def of_counts(self, said: np.ndarray, known: np.ndarray, common: np.ndarray, held: np.ndarray) -> np.ndarray:
        return common / np.maximum(said, 1)

    def options(self) -> list[str]:
        return [f"order:{self.order}", TOKENIZATION]
