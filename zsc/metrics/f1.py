"""Word F1 as dialogue research reports it (Dinan et al., 2019)."""

import re
import string
from collections import Counter

from zsc.data.words import TOKENIZATION, words
from zsc.metrics.overlap import Overlap

ARTICLES = re.compile(r"\b(a|an|the)\b")
ARTICLE_WORDS = {"a", "an", "the"}
PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation, " "))


class F1(Overlap):
    """Mean F1 of the words of a response and its reference text, lower-cased, without punctuation and articles.

    The normalisation is ParlAI's, which puts a space where SQuAD's evaluation deletes punctuation; from 0 to 1. A text
    that is no ASCII has the words of all metrics here, without articles.
    """

    def compare(self, response: str, text: str) -> float:
        return f1(response, text)

    def options(self) -> list[str]:
        return ["norm:parlai", TOKENIZATION]


def normalised(text: str) -> list[str]:
    if not text.isascii():
        return [word for word in words(text) if word not in ARTICLE_WORDS]
    return ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split()


def f1(response: str, text: str) -> float:
    response_words, known = Counter(normalised(response)), Counter(normalised(text))
    return 2 * (response_words & known).total() / max(response_words.total() + known.total(), 1)
