"""Diversity over the responses of one setting and seed: distinct-n (Li et al., 2016) and uniqueness."""

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np

from zsc.data.words import TOKENIZATION, words
from zsc.metrics.base import Metric, ratio
from zsc.metrics.ngrams import grams, split_by


class Distinct(Metric):
    """Distinct n-grams of a seed's responses over all their n-grams; from 0 to 1.

    An n-gram that occurs c times adds 1/c at each occurrence, so a response's statistics are the sum of these and its
    number of n-grams, and distinct-n is a ratio of sums. Intervals keep the counts c of the whole sample [D]:
    counting again in each resample, where responses repeat, would bias the measure down.
    """

    def __init__(self, name: str, order: int, beside: bool = False):
        super().__init__(name)
        self.order, self.beside = order, beside

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        *_, of = grams(split_by(words, predictions), self.order)
        _, different, counts = np.unique(of.ids, return_inverse=True, return_counts=True)
        ends = np.searchsorted(of.texts, np.arange(len(predictions) + 1))
        shares = 1 / counts[different]
        return np.array(
            [[sum(shares[begin:end].tolist()), end - begin] for begin, end in pairwise(ends.tolist())], dtype=np.float64
        ).reshape(-1, 2)

    def from_sums(self, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        return ratio(sums)

    def options(self) -> list[str]:
        return [f"order:{self.order}", TOKENIZATION]


class Uniqueness(Metric):
    """Different responses over all responses of a seed; from 0 to 1. Counts are kept as in Distinct."""

    words = "uniqueness"
    risen, fallen = "fewer responses are the same", "more responses are the same"

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        counts = Counter(predictions)
        return np.array([[1 / counts[response]] for response in predictions])


class MostRepeated(Metric):
    """Share of a seed's responses that are its most frequent one; from 1/n to 1. Counts are kept as in Distinct.

    Where several are the most frequent, each of them counts in proportion, so that no order matters.
    """

    better = "lower"

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        counts = Counter(predictions)
        most = max(counts.values())
        tied = sum(count == most for count in counts.values())
        return np.array([[(counts[response] == most) / tied] for response in predictions])
