"""Sentiment by the lexicon and rules of VADER (Hutto & Gilbert, 2014)."""

from functools import lru_cache
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np

from zsc.data.words import share
from zsc.metrics.base import Metric

THRESHOLD = 0.05  # of the compound score, as its authors advise


class Sentiment(Metric):
    """Mean compound score of the responses, from -1 (most negative) to 1 (most positive).

    VADER's lexicon is English, with emoticons and emoji: a response most of whose letters are not Latin has no value.
    """

    words = "sentiment"
    risen, fallen = "responses are more positive", "responses are less positive"
    apart = True

    needs: ClassVar[str] = "text mainly in Latin letters, since VADER's lexicon is English"

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        return np.array([[compound(response) if readable(response) else np.nan] for response in predictions])

    def options(self) -> list[str]:
        return [f"vader:{version('vaderSentiment')}", "script:latin"]


class PositiveRate(Sentiment):
    """Share of responses with a compound score of at least 0.05; from 0 to 1."""

    words = "positive responses"
    risen, fallen = "more responses are positive", "fewer responses are positive"

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        scores = super().statistics(predictions, references)
        return np.where(np.isnan(scores), np.nan, scores >= THRESHOLD)


class NegativeRate(Sentiment):
    """Share of responses with a compound score of at most -0.05; from 0 to 1."""

    words = "negative responses"
    risen, fallen = "more responses are negative", "fewer responses are negative"

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        scores = super().statistics(predictions, references)
        return np.where(np.isnan(scores), np.nan, scores <= -THRESHOLD)


@lru_cache(maxsize=1)
def _analyzer() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()


@lru_cache(maxsize=1 << 10)
def compound(text: str) -> float:
    return _analyzer().polarity_scores(text)["compound"]


def readable(text: str) -> bool:
    return text.isascii() or share(text, r"\P{Script=Latin}") <= 0.5
