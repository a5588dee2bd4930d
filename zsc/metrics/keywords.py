"""Topic adherence by keywords: words of a topic's phrases in the responses."""

from functools import lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np

from zsc.metrics.base import Metric
from zsc.metrics.words import TOKENIZATION, words


class KeywordShare(Metric):
    """Mean share of a response's words that are keywords of the topic; from 0 to 1. An empty response has none.

    Keywords [D] are the words of the topic's phrases, one per line, that have at least three letters and are none of
    scikit-learn's English stop words.
    """

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        pairs = zip(predictions, references or [], strict=True)
        return np.array([[share(words(response), keywords(phrases))] for response, phrases in pairs])

    def options(self) -> list[str]:
        return [TOKENIZATION, f"stop:scikit-learn-{version('scikit-learn')}"]


@lru_cache(maxsize=64)
def keywords(phrases: str) -> frozenset[str]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS  # slow to import, and few runs need it

    return frozenset(word for word in words(phrases) if len(word) > 2 and word not in ENGLISH_STOP_WORDS)


def share(said: tuple[str, ...], wanted: frozenset[str]) -> float:
    return sum(word in wanted for word in said) / max(len(said), 1)
