"""Self-BLEU (Zhu et al., 2018): how much responses say what other responses say."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from zsc.metrics.ngrams import Grams, grams, split_by
from zsc.metrics.tokenized import Tokenized, splitter

ORDER = 4


class SelfBleu(Tokenized):
    """Mean sentence BLEU of each response against all others of its seed; from 0 to 100, high where they are alike.

    Exact, in time linear in the responses: of the counts of an n-gram only the highest and the second highest can clip.
    Intervals keep the other responses of the whole sample [D], as in Distinct.
    """

    better = "lower"
    effective_order = True

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        if len(predictions) < 2:
            return np.full((len(predictions), 1), np.nan)
        tokens = split_by(splitter(self.tokenizer_for(predictions)), predictions)
        correct, total = np.zeros((2, len(predictions), ORDER), dtype=np.int64)
        for order, of in enumerate(grams(tokens, ORDER)):
            correct[:, order] = in_others(of, len(predictions))
            total[:, order] = np.maximum(tokens.lengths - order, 0)
        closest = closest_others(tokens.lengths.tolist())
        rows = zip(correct.tolist(), total.tolist(), tokens.lengths.tolist(), strict=True)
        score = partial(self.bleu.compute_bleu, smooth_method="exp", effective_order=True)
        return np.array([[score(*row, closest[row[-1]]).score] for row in rows])

    def options(self) -> list[str]:
        return ["refs:others", *super().options()]


def in_others(of: Grams, texts: int) -> np.ndarray:
    """Return how many n-grams of each of so many ``texts`` stand in others, each at most as often as in any of them."""
    ids, holders, counts = of.counted()
    begins = np.flatnonzero(np.diff(ids, prepend=-1))
    if not len(begins):
        return np.zeros(texts, dtype=np.int64)
    highest = np.maximum.reduceat(counts, begins)
    different = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(ids)))
    leading = np.flatnonzero(counts == highest[different])
    leading = leading[np.diff(different[leading], prepend=-1) > 0]  # one text of the highest count for each n-gram
    besides = counts.copy()
    besides[leading] = 0
    most = highest[different]
    most[leading] = np.maximum.reduceat(besides, begins)
    return np.bincount(holders, np.minimum(counts, most), texts).astype(np.int64)


def closest_others(lengths: Sequence[int]) -> dict[int, int]:
    """Return for each of ``lengths`` the closest of another text, the shorter of two."""
    counts = Counter(lengths)
    return {
        length: min(
            (other for other in counts if other != length or counts[length] > 1),
            key=lambda other: (abs(other - length), other),
        )
        for length in counts
    }
