"""Repetition within a response (seq-rep-n of Welleck et al., 2020)."""

from typing import Any

import numpy as np

from zsc.data.words import TOKENIZATION, ngrams, words
from zsc.metrics.base import Metric


class Repetition(Metric):
    """Mean share of a response's n-grams that it has said before; from 0 to 1. Without n-grams it repeats nothing."""

    apart = True

    better = "lower"
    words = "repetition"
    risen, fallen = "responses repeat themselves more", "responses repeat themselves less"
    beside = True

    def __init__(self, name: str, order: int):
        self.order = order
        super().__init__(name)

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        ngram_lists = [ngrams(words(response), self.order) for response in predictions]
        return np.array([[1 - len(set(grams)) / len(grams) if grams else 0.0] for grams in ngram_lists])

    def options(self) -> list[str]:
        return [f"order:{self.order}", TOKENIZATION]
