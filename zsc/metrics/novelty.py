"""Novelty: how much of a response is in no text it was given."""

from zsc.data.words import TOKENIZATION, ngrams, words
from zsc.metrics.overlap import Overlap


class Novelty(Overlap):
    """Mean share of a response's n-grams that are nowhere in its reference text; from 0 to 1.

    A response without n-grams says nothing new: 0.
    """

    def __init__(self, name: str, references: str, order: int):
        self.order = order
        super().__init__(name, references)

    def compare(self, response: str, text: str) -> float:
        response_ngrams, known = ngrams(words(response), self.order), set(ngrams(words(text), self.order))
        return sum(gram not in known for gram in response_ngrams) / max(len(response_ngrams), 1)

    def options(self) -> list[str]:
        return [f"order:{self.order}", TOKENIZATION]
