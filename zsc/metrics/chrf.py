"""chrF (Popović, 2015) and chrF++ (Popović, 2017), by sacrebleu."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from zsc.metrics.accepted import accepting, counted, streams
from zsc.metrics.base import Metric
from zsc.metrics.items import Columns

if TYPE_CHECKING:
    from sacrebleu.metrics.chrf import CHRF


class ChrF(Metric):
    """Corpus chrF2: F-score of character n-grams up to 6, in chrF++ of words and pairs of them too; from 0 to 100.

    Of several accepted references the one with the highest score counts.
    """

    def __init__(self, name: str, references: str, word_order: int = 0):
        self.word_order = word_order
        super().__init__(name, references)

    @cached_property
    def chrf(self) -> "CHRF":
        from sacrebleu.metrics.chrf import CHRF

        return CHRF(word_order=self.word_order)

    def fitted(self, cells: Sequence[Columns]) -> tuple[Metric, str]:
        return accepting(self, cells), ""

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        rows = self.chrf._extract_corpus_statistics(predictions, streams(references or []))
        return np.array(rows, dtype=np.float64)

    def from_sums(self, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        rows = sums.reshape(-1, sums.shape[-1]).tolist()
        return np.array([self.chrf._compute_f_score(row) for row in rows]).reshape(sums.shape[:-1])

    def options(self) -> list[str]:
        self.chrf.num_refs = counted(self.references)
        return [str(self.chrf.get_signature())]
