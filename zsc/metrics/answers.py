"""Exact match and token F1 of short answers, as the evaluation of SQuAD 1.1 has them (Rajpurkar et al., 2016)."""

import re
import string
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from zsc.metrics.base import Metric

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation))


class ExactMatch(Metric):
    """Share of responses that are one of the accepted answers; from 0 to 1.

    Texts are lower-cased and lose ASCII punctuation, then English articles, then white space beyond one space, in any
    script.
    """

    words = "exact matches"
    apart = True

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        pairs = zip(predictions, references or [], strict=True)
        return np.array([[self._best(response, answers)] for response, answers in pairs], dtype=np.float64)

    def _best(self, response: str, answers: list[str]) -> float:
        said = normalised(response)
        return max(self.compare(said, normalised(answer)) for answer in answers)

    def compare(self, said: Sequence[str], answer: Sequence[str]) -> float:
        """Return the number of one response, given as its words, against the words of one answer."""
        return float(said == answer)

    def options(self) -> list[str]:
        return ["norm:squad-1.1", "refs:best"]


class AnswerF1(ExactMatch):
    """Mean F1 of the words of a response and the accepted answer that is most like it; from 0 to 1.

    Words are those of the exact match. Where neither text has any, which match exactly, F1 is 0.
    """

    words = "F1 of answers"

    def compare(self, said: Sequence[str], answer: Sequence[str]) -> float:
        common = (Counter(said) & Counter(answer)).total()
        return 2 * common / (len(said) + len(answer)) if common else 0.0


@lru_cache(maxsize=1 << 10)
def normalised(text: str) -> tuple[str, ...]:
    """Return the words of ``text``; what stands on both sides of punctuation becomes one."""
    return tuple(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())
