"""ROUGE F1 (Lin, 2004), by the rouge-score package."""

from importlib.metadata import version
from typing import Any

import numpy as np
from rouge_score.rouge_scorer import RougeScorer

from zsc.metrics.base import Metric


class Rouge(Metric):
    """Mean ROUGE F1 of each response against its reference text, without stemming; from 0 to 1."""

    def __init__(self, name: str, references: str, kind: str):
        self.kind = kind
        super().__init__(name, references)

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        scorer = RougeScorer([self.kind], use_stemmer=False)
        pairs = zip(predictions, references or [], strict=True)
        return np.array([[scorer.score(text, response)[self.kind].fmeasure] for response, text in pairs])

    def options(self) -> list[str]:
        return [f"kind:{self.kind}", "stem:no", f"rouge-score:{version('rouge-score')}"]
