"""chrF (Popović, 2015) and chrF++ (Popović, 2017), by sacrebleu."""

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from zsc.metrics.accepted import accepting, counted, streams
from zsc.metrics.base import Metric
from zsc.metrics.items import Columns
from zsc.metrics.ngrams import characters, common, paired, split_by

if TYPE_CHECKING:
    from sacrebleu.metrics.chrf import CHRF


class ChrF(Metric):
    """Corpus chrF2: F-score of character n-grams up to 6, in chrF++ of words and pairs of them too; from 0 to 100.

    Of several accepted references the one with the highest score counts.
    """

    apart = True

    def __init__(self, name: str, references: str, word_order: int = 0):
        super().__init__(name, references)
        self.word_order = word_order
        self.words = "chrF" if references == "reference" and not word_order else ""

    @cached_property
    def chrf(self) -> "CHRF":
        from sacrebleu.metrics.chrf import CHRF

        return CHRF(word_order=self.word_order)

    def fitted(self, cells: Sequence[Columns]) -> tuple[Metric, str]:
        return accepting(self, cells), ""

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        texts = streams(references or [])
        if len(texts) > 1:
            return np.array(self.chrf._extract_corpus_statistics(predictions, texts), dtype=np.float64)
        found = characters_in_common(tuple(predictions), tuple(texts[0]), self.chrf.char_order)
        if self.word_order:
            both, known_of = paired(predictions, texts[0])
            words = split_by(self.chrf._remove_punctuation, both)
            found = np.concatenate([found, common(words, known_of, self.word_order)], axis=1)
        found = found[..., :3].copy()
        found[..., 0] *= found[..., 1] > 0  # as sacrebleu counts where the reference has no n-gram
        return found.reshape(len(predictions), -1).astype(np.float64)

    def from_sums(self, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Return what sacrebleu computes, to the last digit: F of the mean precision and recall of the orders that both
        sides have."""
        said, known, both = np.moveaxis(sums.reshape(*sums.shape[:-1], -1, 3), -1, 0)
        orders = (said > 0) & (known > 0)
        effective, factor = np.maximum(orders.sum(axis=-1), 1), self.chrf.beta**2
        precision, recall = (
            sum(np.moveaxis(np.divide(both, one, out=np.zeros_like(both), where=orders), -1, 0)) / effective
            for one in (said, known)
        )
        weighted = factor * precision + recall
        score = np.divide((1 + factor) * precision * recall, weighted, out=np.zeros_like(weighted), where=weighted > 0)
        return 100 * score

    def options(self) -> list[str]:
        self.chrf.num_refs = counted(self.references)
        return [str(self.chrf.get_signature())]


@lru_cache(maxsize=2)  # chrF and chrF++ against the same references
def characters_in_common(responses: tuple[str, ...], texts: tuple[str, ...], highest: int) -> np.ndarray:
    """Return what the characters of each of ``responses``, white space left out, have in common with those of its text,
    as :func:`zsc.metrics.ngrams.common` counts it."""
    both, known_of = paired(responses, texts)
    return common(characters(["".join(text.split()) for text in both]), known_of, highest)
