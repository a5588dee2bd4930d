"""Perplexity of responses: under the unmodified model given the source, or under a language model of one's choice."""

import math
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
        lower, upper = halfway(weights, order // statistics.shape[1])
        return exp((rates[order][lower] + rates[order][upper]) / 2)


def halfway(weights: np.ndarray, examples: np.ndarray) -> list[np.ndarray]:
    """Return how many of ``examples``, in that order, add up to less than half of the whole weight in each sample of
    ``weights`` (samples, examples), and how many to half of it or less: (samples,) each.

    The sums over stretches of them show in which stretch that is, and it alone is added up one by one.
    """
    width = math.isqrt(len(examples))
    stretches = np.append(examples, np.zeros(-len(examples) % width, dtype=int)).reshape(-1, width)
    counts = np.zeros((weights.shape[1], len(stretches)))
    np.add.at(counts, (examples, np.arange(len(examples)) // width), 1)
    ends = (weights @ counts).cumsum(axis=1)
    half, found = ends[:, -1:] / 2, []
    for below in (np.less, np.less_equal):
        stretch = below(ends, half).sum(axis=1)
        before = np.where(stretch > 0, ends[np.arange(len(ends)), stretch - 1], 0)
        reached = before[:, None] + np.take_along_axis(weights, stretches[stretch], axis=1).cumsum(axis=1)
        found.append(stretch * width + below(reached, half).sum(axis=1))
    return found


def exp(nats: np.ndarray) -> np.ndarray:
    """Return e to the power of ``nats``, infinite where that is beyond double precision."""
    with np.errstate(over="ignore"):
        return np.exp(nats)
