"""Novelty: how much of a response is in no text it was given."""

from typing import Any

import numpy as np

from zsc.metrics.base import Metric
from zsc.metrics.words import TOKENIZATION, ngrams, words


class Novelty(Metric):
    """Mean share of a response's n-grams that are nowhere in its reference text; from 0 to 1.

    A response without n-grams says nothing new: 0.
    """

    def __init__(self, name: str, references: str, order: int):
        self.order = order
        super().__init__(name, references)

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        pairs = zip(predictions, references or [], strict=True)
        return np.array([[self._novelty(response, text)] for response, text in pairs])

    def _novelty(self, response: str, text: str) -> float:
        said, known = ngrams(words(response), self.order), set(ngrams(words(text), self.order))
        return sum(gram not in known for gram in said) / max(len(said), 1)

    def options(self) -> list[str]:
        return [f"order:{self.order}", TOKENIZATION]
