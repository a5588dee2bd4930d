"""Corpus BLEU (Papineni et al., 2002), by sacrebleu."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from zsc.metrics.accepted import accepting, streams
from zsc.metrics.base import Metric
from zsc.metrics.items import Columns
from zsc.metrics.ngrams import common, paired, split_by
from zsc.metrics.tokenized import AUTO, Tokenized, splitter


class Bleu(Tokenized):
    """Corpus BLEU of the responses against their reference texts, all that are accepted; from 0 to 100.

    A summary tells of human references, for knowledge it has the precision.
    """

    apart = True

    def __init__(self, name: str, references: str, tokenize: str = AUTO):
        super().__init__(name, references, tokenize)
        self.words = "BLEU" if references == "reference" else ""

    def fitted(self, cells: Sequence[Columns]) -> tuple[Metric, str]:
        metric, why = super().fitted(cells)
        return accepting(metric, cells), why

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        texts = streams(references or [])
        given = [text for stream in texts for text in stream if text is not None]
        tokenize = self.tokenizer_for(given)
        if len(texts) > 1:
            bleu = self.with_tokenizer(tokenize)
            return np.array(bleu._extract_corpus_statistics(predictions, texts), dtype=np.float64)
        both, known_of = paired(predictions, given)
        tokens = split_by(splitter(tokenize), both)
        every, known, matching, _ = np.moveaxis(common(tokens, known_of, self.bleu.max_ngram_order), -1, 0)
        return np.column_stack([every[:, 0], known[:, 0], matching, every]).astype(np.float64)

    def from_sums(self, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        rows = sums.reshape(-1, sums.shape[-1])
        usual, scores = (rows > 0).all(axis=1), np.empty(len(rows))
        scores[usual] = unsmoothed(rows[usual])
        scores[~usual] = [self.bleu._compute_score_from_stats(row).score for row in rows[~usual].tolist()]
        return scores.reshape(sums.shape[:-1])


def unsmoothed(rows: np.ndarray) -> np.ndarray:
    """Return what sacrebleu computes, to the last digit, of statistics none of which is 0: lengths of responses and of
    references, and of each order the n-grams that match and all."""
    length, reference_length, (matching, every) = rows[:, 0], rows[:, 1], np.split(rows[:, 2:], 2, axis=1)
    logarithms = [each(math.log, column) for column in (100 * matching / every).T]
    mean = sum(logarithms, np.zeros(len(rows))) / len(logarithms)
    penalty = np.where(length < reference_length, each(math.exp, 1 - reference_length / length), 1)
    return penalty * each(math.exp, mean)


def each(function: Callable[[float], float], values: np.ndarray) -> np.ndarray:
    """Return ``function`` of `math` of each of ``values``; numpy's own may differ in the last digit."""
    return np.array(list(map(function, values.tolist())))
