"""Question rate, the control measure for questions [P, K]."""

from typing import Any

import numpy as np

from zsc.metrics.base import Metric, ratio
from zsc.metrics.sentences import SPLITTING, asks, is_question, sentences


class QuestionRate(Metric):
    """Share of responses that hold a question mark, as published; from 0 to 1."""

    words = "questions"
    risen, fallen = "more responses ask a question", "fewer responses ask a question"
    apart = True

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        return np.array([[asks(response)] for response in predictions], dtype=np.float64)

    def options(self) -> list[str]:
        return [SPLITTING]


class QuestionSentenceRate(Metric):
    """Share of all sentences that end as a question: also ``?!``, ``!?``, ``?...``, before quotes and before an emoji;
    from 0 to 1."""

    apart = True

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        split = [sentences(response) for response in predictions]
        questions = [sum(is_question(sentence) for sentence in parts) for parts in split]
        return np.column_stack([questions, [len(parts) for parts in split]]).astype(np.float64)

    def from_sums(self, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        return ratio(sums)

    def options(self) -> list[str]:
        return [SPLITTING]
