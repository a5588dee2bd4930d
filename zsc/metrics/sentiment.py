"""Sentiment by the lexicon and rules of VADER (Hutto & Gilbert, 2014)."""

from functools import lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np

from zsc.metrics.base import Metric

THRESHOLD = 0.05  # of the compound score, as its authors advise


class Sentiment(Metric):
    """Mean compound score of the responses, from -1 (most negative) to 1 (most positive)."""

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        return np.array([[compound(response)] for response in predictions])

    def options(self) -> list[str]:
        return [f"vader:{version('vaderSentiment')}"]


class PositiveRate(Sentiment):
    """Share of responses with a compound score of at least 0.05; from 0 to 1."""

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        return (super().statistics(predictions, references) >= THRESHOLD).astype(np.float64)


class NegativeRate(Sentiment):
    """Share of responses with a compound score of at most -0.05; from 0 to 1."""

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        return (super().statistics(predictions, references) <= -THRESHOLD).astype(np.float64)


@lru_cache(maxsize=1)
def _analyzer() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()


@lru_cache(maxsize=1 << 16)
def compound(text: str) -> float:
    return _analyzer().polarity_scores(text)["compound"]
