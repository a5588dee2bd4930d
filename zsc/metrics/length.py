"""Length of responses."""

from typing import Any

import numpy as np

from zsc.data.words import TOKENIZATION, length
from zsc.metrics.base import Metric


class Length(Metric):
    """Mean number of white-space separated words of a response; each of those in scripts without spaces."""

    words = "length"
    risen, fallen = "responses are longer in words", "responses are shorter in words"
    apart = True

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        return np.array([[length(response)] for response in predictions], dtype=np.float64)

    def options(self) -> list[str]:
        return ["split:space", TOKENIZATION]
