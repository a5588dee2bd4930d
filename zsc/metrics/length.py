"""Length of responses."""

from typing import Any

import numpy as np

from zsc.metrics.base import Metric


class Length(Metric):
    """Mean number of white-space separated words of a response."""

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        return np.array([[len(response.split())] for response in predictions], dtype=np.float64)
