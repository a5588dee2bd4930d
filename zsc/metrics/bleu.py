"""Corpus BLEU (Papineni et al., 2002), by sacrebleu."""

from typing import Any

import numpy as np

from zsc.metrics.tokenized import Tokenized


class Bleu(Tokenized):
    """Corpus BLEU of the responses against one reference text each; from 0 to 100."""

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        texts = references or []
        rows = self.splitting(texts)._extract_corpus_statistics(predictions, [texts])
        return np.array(rows, dtype=np.float64)

    def from_sums(self, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        rows = sums.reshape(-1, sums.shape[-1]).tolist()
        return np.array([self.bleu._compute_score_from_stats(row).score for row in rows]).reshape(sums.shape[:-1])
