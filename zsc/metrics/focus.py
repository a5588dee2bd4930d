"""Coverage of the focus: how much of what a model was to look at its response says."""

from typing import Any, ClassVar

import numpy as np

from zsc.data.words import TOKENIZATION, words
from zsc.metrics.base import Metric


class FocusCoverage(Metric):
    """Mean share of the different words of an example's focus that stand in the response; from 0 to 1.

    All texts of a focus are taken together, and each word counts once however often it occurs [D]. A focus without a
    word has no value.
    """

    words = "coverage of the focus"
    apart = True

    needs: ClassVar[str] = "words in the focus"

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        pairs = zip(predictions, references or [], strict=True)
        return np.array([[coverage(response, focus)] for response, focus in pairs], dtype=np.float64)

    def options(self) -> list[str]:
        return [TOKENIZATION]


def coverage(response: str, focus: list[str]) -> float:
    wanted = {word for text in focus for word in words(text)}
    return len(wanted.intersection(words(response))) / len(wanted) if wanted else np.nan
