"""Perplexity of responses: under the unmodified model given the source, or under a language model of one's choice."""

import math
from typing import Any, ClassVar

import numpy as np

from zsc.metrics.base import Metric, Weighed

NEAR = 12  # stretches to each side of the middle, in one of which a median is mostly found


class Perplexity(Metric):
    """Perplexity from summed negative log-likelihoods (nats) and token counts of responses: exp of all nats over all
    tokens.

    A mean of perplexities is not offered: a single outlier decides it.
    """

    apart = True

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

    def __init__(self, name: str, nll: str, tokens: str, judge: str = "", for_fluency: int = 0):
        super().__init__(name, nll, tokens, judge, for_fluency)
        self.words = "perplexity by the judge" if judge else "perplexity"

    def weighing(self, statistics: np.ndarray) -> Weighed:
        return Median(statistics[..., 0] / statistics[..., 1])


class Median:
    """exp of the median of ``rates`` (examples, seeds)."""

    def __init__(self, rates: np.ndarray):
        order = np.argsort(rates.ravel(), kind="stable")
        self.ordered, self.middle = rates.ravel()[order], Middle(order // rates.shape[1])
        self.columns = self.middle.counts

    def values(self, products: np.ndarray, weights: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        lower, upper = self.middle.of(products, weights)
        return exp((self.ordered[lower] + self.ordered[upper]) / 2)


class Middle:
    """Where the middle of ``examples``, in that order, lies in samples that weigh them.

    The sums of weights over stretches of them show in which stretch that is, and it alone is added up one by one.
    Stretches are taken together where more than ``near`` of them lie between them and the middle one, as long as none
    of those is it.
    """

    def __init__(self, examples: np.ndarray, near: int = NEAR):
        self.examples, self.width = examples, math.isqrt(len(examples))
        self.stretches = np.append(examples, np.zeros(-len(examples) % self.width, dtype=int)).reshape(-1, self.width)
        count = len(self.stretches)
        self.start, self.end = max(count // 2 - near, 0), min(count // 2 + near + 1, count)
        columns = np.clip(np.arange(len(examples)) // self.width, self.start - 1, self.end) - (self.start - 1)
        width, most = self.end - self.start + 2, int(examples.max()) + 1  # before, each stretch, after
        counts = np.bincount(examples * width + columns, minlength=most * width)
        self.counts = counts.reshape(most, width).astype(np.float64)

    def of(self, products: np.ndarray, weights: np.ndarray) -> list[np.ndarray]:
        """Return how many examples add up to less than half of the whole weight in each sample of ``weights`` (samples,
        examples), and how many to half of it or less: (samples,) each. ``products`` are those of weights and counts."""
        ends = products.cumsum(axis=1)  # exact: of whole numbers
        half, found = ends[:, -1:] / 2, []
        for below in (np.less, np.less_equal):
            column = below(ends, half).sum(axis=1)
            if (column < 1).any() or (column > self.end - self.start).any():
                every = Middle(self.examples, near=len(self.stretches))
                return every.of(weights @ every.counts, weights)
            stretch, before = self.start - 1 + column, ends[np.arange(len(ends)), column - 1]
            reached = before[:, None] + np.take_along_axis(weights, self.stretches[stretch], axis=1).cumsum(axis=1)
            found.append(stretch * self.width + below(reached, half).sum(axis=1))
        return found


def exp(nats: np.ndarray) -> np.ndarray:
    """Return e to the power of ``nats``, infinite where that is beyond double precision."""
    with np.errstate(over="ignore"):
        return np.exp(nats)
