"""Question rate, the control measure for questions [P, K]."""

from typing import Any

import numpy as np

from zsc.metrics.base import Metric


class QuestionRate(Metric):
    """Share of responses that hold a question mark; from 0 to 1."""

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        return np.array([["?" in response] for response in predictions], dtype=np.float64)
