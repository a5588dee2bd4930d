"""Perplexity of responses under the unmodified model given the source."""

from typing import Any, ClassVar

import numpy as np

from zsc.metrics.base import Metric


class Perplexity(Metric):
    """Perplexity from summed negative log-likelihoods (nats) and token counts of responses.

    ``median``: the median of the responses' own perplexities. Otherwise corpus-level: exp of all nats over all
    tokens. A mean of perplexities is not offered: a single outlier decides it.
    """

    columns: ClassVar[dict[str, str]] = {"predictions": "float64", "references": "int64"}
    predictions: ClassVar[str] = "nll"

    def __init__(self, name: str, median: bool):
        self.median = median
        super().__init__(name, references="tokens")

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        return np.column_stack([predictions, references or []]).astype(np.float64)

    def aggregate(self, statistics: np.ndarray) -> np.ndarray:
        if self.median:
            return np.exp(np.median(statistics[..., 0] / statistics[..., 1], axis=-1))
        return np.exp(statistics[..., 0].sum(axis=-1) / statistics[..., 1].sum(axis=-1))

    def options(self) -> list[str]:
        return [f"level:{'median' if self.median else 'corpus'}", "under:unmodified-model-given-source"]
