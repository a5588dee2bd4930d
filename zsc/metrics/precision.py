"""Clipped n-gram precision: how much of a response was already said in a text."""

from collections import Counter

from zsc.data.words import TOKENIZATION, ngrams, words
from zsc.metrics.overlap import Overlap


class Precision(Overlap):
    """Mean share of a response's n-grams found in its reference text, each as often as there; from 0 to 1.

    Unlike BLEU it has no brevity penalty, so texts much longer than a response, such as a history, can be compared.
    A response without n-grams scores 0.
    """

    def __init__(self, name: str, references: str, order: int):
        self.order = order
        super().__init__(name, references)

    def compare(self, response: str, text: str) -> float:
        response_ngrams = Counter(ngrams(words(response), self.order))
        known = Counter(ngrams(words(text), self.order))
        return (response_ngrams & known).total() / max(response_ngrams.total(), 1)

    def options(self) -> list[str]:
        return [f"order:{self.order}", TOKENIZATION]
