"""chrF (Popović, 2015), by sacrebleu."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from zsc.metrics.base import Metric

if TYPE_CHECKING:
    from sacrebleu.metrics.chrf import CHRF


class ChrF(Metric):
    """Corpus chrF2: F-score of character n-grams up to 6 against one reference text each; from 0 to 100."""

    @cached_property
    def chrf(self) -> "CHRF":
        from sacrebleu.metrics.chrf import CHRF

        chrf = CHRF()
        chrf.num_refs = 1
        return chrf

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        rows = self.chrf._extract_corpus_statistics(predictions, [references or []])
        return np.array(rows, dtype=np.float64)

    def from_sums(self, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        rows = sums.reshape(-1, sums.shape[-1]).tolist()
        return np.array([self.chrf._compute_f_score(row) for row in rows]).reshape(sums.shape[:-1])

    def options(self) -> list[str]:
        return [str(self.chrf.get_signature())]
