"""Question rate, the control measure for questions [P, K]."""

import re
from typing import Any

import numpy as np

from zsc.metrics.base import Metric, ratio
from zsc.metrics.words import sentences

MARKS = "?？؟"  # noqa: RUF001
ENDING = re.compile(r"[^\w]*$")


class QuestionRate(Metric):
    """Share of responses that hold a question mark, as published; from 0 to 1."""

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        return np.array([[any(mark in response for mark in MARKS)] for response in predictions], dtype=np.float64)


class QuestionSentenceRate(Metric):
    """Share of all sentences that end as a question: also ``?!``, ``!?``, ``?...``, before quotes and before an emoji;
    from 0 to 1."""

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        split = [sentences(response) for response in predictions]
        asked = [sum(is_question(sentence) for sentence in of_one) for of_one in split]
        return np.column_stack([asked, [len(of_one) for of_one in split]]).astype(np.float64)

    def from_sums(self, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        return ratio(sums)


def is_question(sentence: str) -> bool:
    ending = ENDING.search(sentence)
    return ending is not None and any(mark in ending.group() for mark in MARKS)
