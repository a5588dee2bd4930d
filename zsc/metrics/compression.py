"""Compression: how much shorter a summary is than its document (Grusky et al., 2018)."""

from typing import Any

import numpy as np

from zsc.data.words import TOKENIZATION, length
from zsc.metrics.base import Metric


class Compression(Metric):
    """Words of all documents per word of the responses to them; above 1 where these are shorter.

    Words are those of the metric ``length``, and the ratio is of the sums [D], so that an empty response counts; of
    empty responses alone there is none.
    """

    words = "compression"
    apart = True

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        pairs = zip(references or [], predictions, strict=True)
        return np.array([[length(document), length(response)] for document, response in pairs], dtype=np.float64)

    def from_sums(self, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return sums[..., 0] / sums[..., 1]

    def options(self) -> list[str]:
        return ["split:space", TOKENIZATION]
