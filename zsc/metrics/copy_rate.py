"""Verbatim copies of knowledge and of control phrases, which averages of other metrics would hide."""

from difflib import SequenceMatcher
from typing import Any

import numpy as np

from zsc.metrics.base import Metric
from zsc.metrics.words import TOKENIZATION, words


class CopyRate(Metric):
    """Share of responses that hold one of the texts, given one per line, as consecutive words; from 0 to 1."""

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        pairs = zip(predictions, references or [], strict=True)
        return np.array([[self._copies(response, texts)] for response, texts in pairs], dtype=np.float64)

    def _copies(self, response: str, texts: str) -> bool:
        said = f" {' '.join(words(response))} "
        wanted = (" ".join(words(text)) for text in texts.splitlines())
        return any(f" {text} " in said for text in wanted if text)

    def options(self) -> list[str]:
        return [TOKENIZATION]


class CopiedRun(Metric):
    """Mean share of a response's words in its longest run that its reference text has word for word; from 0 to 1.

    An empty response copies nothing: 0.
    """

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        pairs = zip(predictions, references or [], strict=True)
        return np.array([[self._share(words(response), words(text))] for response, text in pairs])

    def _share(self, said: tuple[str, ...], known: tuple[str, ...]) -> float:
        longest = SequenceMatcher(None, said, known, autojunk=False).find_longest_match().size
        return longest / max(len(said), 1)

    def options(self) -> list[str]:
        return [TOKENIZATION]
