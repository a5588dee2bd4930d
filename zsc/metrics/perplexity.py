"""Perplexity of responses: under the unmodified model given the source, or under a language model of one's choice."""

from typing import Any, ClassVar

import numpy as np

from zsc.metrics.base import Metric


class Perplexity(Metric):
    """Perplexity from summed negative log-likelihoods (nats) and token counts of responses: exp of all nats over all
    tokens.

    A mean of perplexities is not offered: a single outlier decides it.
    """

    kinds: ClassVar[dict[str, str]] = {"predictions": "float64", "references": "int64"}
    better = "lower"
    logarithmic = True
    level: ClassVar[str] = "corpus"

    def __init__(self, name: str, nll: str, tokens: str, judge: str = "", for_fluency: int = 0):
        super().__init__(name, tokens, nll, judge)
        self.for_fluency = for_fluency

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        found = np.column_stack([predictions, references or []]).astype(np.float64)
        found[found[:, 1] < 1] = np.nan  # a response without a token has no perplexity
        return found

    def from_sums(self, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        return exp(sums[..., 0] / sums[..., 1])

    def options(self) -> list[str]:
        return [f"level:{self.level}"]


class MedianPerplexity(Perplexity):
    """Median of the responses' own perplexities, halfway between the middle two on the scale of logarithms."""

    level = "median"
    of_sums = False

    def weighted(self, statistics: np.ndarray, weights: np.ndarray) -> np.ndarray:
        rates = (statistics[..., 0] / statistics[..., 1]).ravel()
        order = np.argsort(rates, kind="stable")
        reached = np.repeat(weights, statistics.shape[1], axis=1)[:, order].cumsum(axis=1)
        half = reached[:, -1:] / 2
        lower, upper = (reached < half).sum(axis=1), (reached <= half).sum(axis=1)
        return exp((rates[order][lower] + rates[order][upper]) / 2)


def exp(nats: np.ndarray) -> np.ndarray:
    """Return e to the power of ``nats``, infinite where that is beyond double precision."""
    with np.errstate(over="ignore"):
        return np.exp(nats)
