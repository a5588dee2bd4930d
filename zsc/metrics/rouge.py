"""ROUGE F1 (Lin, 2004), by the rouge-score package."""

from functools import lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np
from rouge_score.rouge_scorer import RougeScorer

from zsc.metrics.base import Metric

KINDS = ("rouge1", "rouge2", "rougeL")
SCORER = RougeScorer(list(KINDS), use_stemmer=False)


class Rouge(Metric):
    """Mean ROUGE F1 of each response against its reference text, without stemming; from 0 to 1."""

    def __init__(self, name: str, references: str, kind: str):
        self.kind = kind
        super().__init__(name, references)

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        pairs = zip(predictions, references or [], strict=True)
        return np.array([[scores(text, response)[self.kind]] for response, text in pairs])

    def options(self) -> list[str]:
        return [f"kind:{self.kind}", "stem:no", f"rouge-score:{version('rouge-score')}"]


@lru_cache(maxsize=1 << 16)
def scores(text: str, response: str) -> dict[str, float]:
    """Return the F1 of every kind, computed together since most of the work is shared."""
    return {kind: score.fmeasure for kind, score in SCORER.score(text, response).items()}
