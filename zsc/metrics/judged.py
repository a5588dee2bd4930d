"""What a judge (zsc/metrics/judges) said of each response, as a metric."""

from typing import Any, ClassVar

import numpy as np

from zsc.metrics.base import Metric


class Judged(Metric):
    """Mean of a judge's number of each response."""

    apart = True

    kinds: ClassVar[dict[str, str]] = {"predictions": "float64"}

    def __init__(self, name: str, column: str, judge: str, *judged_with: str):
        super().__init__(name, None, column, judge, judged_with)
        self.words = name.replace("_", " ")

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        return np.array(predictions, dtype=np.float64)[:, None]


class JudgedRate(Judged):
    """Share of responses to which a judge gives a probability above one half."""

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        numbers = super().statistics(predictions, references)
        return np.where(np.isnan(numbers), np.nan, numbers > 0.5)
