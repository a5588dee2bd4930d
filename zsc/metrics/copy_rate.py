"""How often responses repeat a control phrase word for word, which averages of other metrics would hide."""

from typing import Any

import numpy as np

from zsc.metrics.base import Metric
from zsc.metrics.words import TOKENIZATION, words


class CopyRate(Metric):
    """Share of responses that hold one of the phrases, given one per line, as consecutive words; from 0 to 1."""

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        pairs = zip(predictions, references or [], strict=True)
        return np.array([[self._copies(response, phrases)] for response, phrases in pairs], dtype=np.float64)

    def _copies(self, response: str, phrases: str) -> bool:
        said = f" {' '.join(words(response))} "
        wanted = (" ".join(words(phrase)) for phrase in phrases.splitlines())
        return any(f" {phrase} " in said for phrase in wanted if phrase)

    def options(self) -> list[str]:
        return [TOKENIZATION]
