"""Corpus BLEU (Papineni et al., 2002), by sacrebleu."""

from typing import Any

import numpy as np
from sacrebleu.metrics.bleu import BLEU

from zsc.metrics.base import Metric


class Bleu(Metric):
    """Corpus BLEU of the responses against one reference text each; from 0 to 100."""

    def __init__(self, name: str, references: str):
        self.bleu = BLEU()
        self.bleu.num_refs = 1
        super().__init__(name, references)

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        rows = self.bleu._extract_corpus_statistics(predictions, [references or []])
        return np.array(rows, dtype=np.float64)

    def from_sums(self, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        rows = sums.reshape(-1, sums.shape[-1]).tolist()
        return np.array([self.bleu._compute_score_from_stats(row).score for row in rows]).reshape(sums.shape[:-1])

    def options(self) -> list[str]:
        return [str(self.bleu.get_signature())]
