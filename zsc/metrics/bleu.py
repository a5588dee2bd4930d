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

    def aggregate(self, statistics: np.ndarray) -> np.ndarray:
        totals = statistics.sum(axis=-2)
        scores = [
            self.bleu._compute_score_from_stats(row.tolist()).score for row in totals.reshape(-1, totals.shape[-1])
        ]
        return np.array(scores).reshape(totals.shape[:-1])

    def options(self) -> list[str]:
        return [str(self.bleu.get_signature())]
