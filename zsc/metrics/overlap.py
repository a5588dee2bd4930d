"""What metrics have in common that compare the words of a response with those of a text."""

from typing import Any, ClassVar

import numpy as np

from zsc.data.words import words
from zsc.metrics.base import Metric


class Overlap(Metric):
    """A mean over responses of a number that compares each with its reference text.

    A response without words has the number 0, as always in ASCII. Where neither text has a word and both hold what is
    no ASCII, such as emoji, there is nothing to compare, and no value.
    """

    needs: ClassVar[str] = "words to compare"

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        pairs = zip(predictions, references or [], strict=True)
        return np.array([[self._value(response, text)] for response, text in pairs], dtype=np.float64)

    def _value(self, response: str, text: str) -> float:
        return np.nan if wordless(response) and wordless(text) else self.compare(response, text)

    def compare(self, response: str, text: str) -> float:
        """Return the number of one response."""
        raise NotImplementedError


def wordless(text: str) -> bool:
    """Say whether ``text`` has no word though it is no ASCII."""
    return not text.isascii() and not words(text)
