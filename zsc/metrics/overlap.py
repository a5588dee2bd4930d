"""What metrics have in common that compare the words of a response with those of a text."""

from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from zsc.data.words import words
from zsc.metrics.base import Metric
from zsc.metrics.ngrams import common, paired, split_by

USUAL = 2  # n-grams up to this order are counted for several metrics at once


class Overlap(Metric):
    """A mean over responses of a number that compares each with its reference text.

    A response without words has the number 0, as always in ASCII. Where neither text has a word and both hold what is
    no ASCII, such as emoji, there is nothing to compare, and no value.
    """

    needs: ClassVar[str] = "words to compare"
    apart = True

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        texts = references or []
        found = np.array(self.compared(predictions, texts), dtype=np.float64)
        pairs = zip(predictions, texts, strict=True)
        found[[wordless(response) and wordless(text) for response, text in pairs]] = np.nan
        return found[:, None]

    def compared(self, predictions: list[str], references: list[str]) -> Any:
        """Return the number of each response."""
        return [self.compare(response, text) for response, text in zip(predictions, references, strict=True)]

    def compare(self, response: str, text: str) -> float:
        """Return the number of one response."""
        raise NotImplementedError


class WordOverlap(Overlap):
    """One that compares numbers of n-grams of words alone."""

    def __init__(self, name: str, references: str, order: int):
        self.order = order
        super().__init__(name, references)

    def compared(self, predictions: list[str], references: list[str]) -> Any:
        found = words_in_common(tuple(predictions), tuple(references), max(self.order, USUAL))
        return self.of_counts(*found[:, self.order - 1].T)

    def of_counts(self, said: np.ndarray, known: np.ndarray, common: np.ndarray, held: np.ndarray) -> np.ndarray:
        """Return the number of each response, which are counts of n-grams as :func:`zsc.metrics.ngrams.common` has
        them."""
        raise NotImplementedError


@lru_cache(maxsize=8)
def words_in_common(responses: tuple[str, ...], texts: tuple[str, ...], highest: int) -> np.ndarray:
    """Return what the words of each of ``responses`` have in common with those of its text, as
    :func:`zsc.metrics.ngrams.common` counts it."""
    both, known_of = paired(responses, texts)
    return common(split_by(words, both), known_of, highest)


def wordless(text: str) -> bool:
    """Say whether ``text`` has no word though it is no ASCII."""
    return not text.isascii() and not words(text)
