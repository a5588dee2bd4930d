"""Self-BLEU (Zhu et al., 2018): how much responses say what other responses say."""

from collections import Counter
from typing import Any

import numpy as np

from zsc.metrics.tokenized import Tokenized

ORDER = 4


class SelfBleu(Tokenized):
    """Mean sentence BLEU of each response against all others of its seed; from 0 to 100, high where they are alike.

    Exact, in time linear in the responses: of the counts of an n-gram only the highest and the second highest can clip.
    Intervals keep the other responses of the whole sample [D], as in Distinct.
    """

    better = "lower"
    effective_order = True

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        from sacrebleu.metrics.helpers import extract_all_word_ngrams

        if len(predictions) < 2:
            return np.full((len(predictions), 1), np.nan)
        split = self.splitting(predictions)._preprocess_segment
        counted = [extract_all_word_ngrams(split(text), 1, ORDER) for text in predictions]
        highest = _highest_counts([counts for counts, _ in counted])
        lengths = Counter(length for _, length in counted)
        return np.array([[self._against_others(i, *counts, highest, lengths)] for i, counts in enumerate(counted)])

    def _against_others(
        self,
        i: int,
        counts: Counter[Any],
        length: int,
        highest: dict[Any, tuple[int, int, int]],
        lengths: Counter[int],
    ) -> float:
        correct, total = [0] * ORDER, [0] * ORDER
        for gram, count in counts.items():
            most, holder, second = highest[gram]
            total[len(gram) - 1] += count
            correct[len(gram) - 1] += min(count, second if holder == i else most)
        others = (other for other in lengths if other != length or lengths[length] > 1)
        closest = min(others, key=lambda other: (abs(other - length), other))
        return self.bleu.compute_bleu(correct, total, length, closest, "exp", effective_order=True).score

    def options(self) -> list[str]:
        return ["refs:others", *super().options()]


def _highest_counts(counted: list[Counter[Any]]) -> dict[Any, tuple[int, int, int]]:
    """Return for each n-gram its highest count, the response that holds it, and the highest count of any other."""
    highest: dict[Any, tuple[int, int, int]] = {}
    for i, counts in enumerate(counted):
        for gram, count in counts.items():
            most, holder, second = highest.get(gram, (0, -1, 0))
            highest[gram] = (count, i, most) if count > most else (most, holder, max(second, count))
    return highest
