"""Word F1 as dialogue research reports it (Dinan et al., 2019)."""

import re
import string
from collections import Counter
from typing import Any

import numpy as np

from zsc.metrics.base import Metric

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation, " "))


class F1(Metric):
    """Mean F1 of the words of a response and its reference text, lower-cased, without punctuation and articles.

    The normalisation is ParlAI's, which puts a space where SQuAD's evaluation deletes punctuation; from 0 to 1.
    """

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        pairs = zip(predictions, references or [], strict=True)
        return np.array([[f1(response, text)] for response, text in pairs])

    def options(self) -> list[str]:
        return ["norm:parlai"]


def normalised(text: str) -> list[str]:
    return ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split()


def f1(response: str, text: str) -> float:
    said, known = Counter(normalised(response)), Counter(normalised(text))
    return 2 * (said & known).total() / max(said.total() + known.total(), 1)
