"""Word F1 as dialogue research reports it (Dinan et al., 2019)."""

import re
import string
from typing import Any

import numpy as np

from zsc.data.words import TOKENIZATION, words
from zsc.metrics.ngrams import common, paired, split_by
from zsc.metrics.overlap import Overlap

ARTICLES = re.compile(r"\b(a|an|the)\b")
ARTICLE_WORDS = {"a", "an", "the"}
PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation, " "))


class F1(Overlap):
    """Mean F1 of the words of a response and its reference text, lower-cased, without punctuation and articles.

    The normalisation is ParlAI's, which puts a space where SQuAD's evaluation deletes punctuation; from 0 to 1. A text
    that is no ASCII has the words of all metrics here, without articles.
    """

    def compared(self, predictions: list[str], references: list[str]) -> Any:
        texts, known_of = paired(predictions, references)
        said, known, both, _ = common(split_by(normalised, texts), known_of, 1)[:, 0].T
        return 2 * both / np.maximum(said + known, 1)

    def options(self) -> list[str]:
        return ["norm:parlai", TOKENIZATION]


def normalised(text: str) -> list[str]:
    if not text.isascii():
        return [word for word in words(text) if word not in ARTICLE_WORDS]
    return ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split()
