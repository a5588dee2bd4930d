"""METEOR (Banerjee & Lavie, 2005), by nltk, without the synonyms that would have to be downloaded."""

from functools import lru_cache
from importlib.metadata import version
from typing import Any

from zsc.data.words import TOKENIZATION, words
from zsc.metrics.overlap import Overlap


class Meteor(Overlap):
    """Mean METEOR of each response against its reference text: exact and stem matches, no synonyms; from 0 to 1.

    The stems are English; only words in a-z have one.
    """

    def compare(self, response: str, text: str) -> float:
        return meteor(text, response)

    def options(self) -> list[str]:
        return [TOKENIZATION, "match:exact,stem", f"nltk:{version('nltk')}"]


def meteor(text: str, response: str) -> float:
    from nltk.translate.meteor_score import single_meteor_score  # slow to import, and few runs need it

    return single_meteor_score(words(text), words(response), stemmer=CachedStemmer(), wordnet=NoSynonyms())


class CachedStemmer:
    def stem(self, word: str) -> str:
        return stem(word) if word.isascii() else word


class NoSynonyms:
    def synsets(self, word: str) -> list[Any]:
        return []


@lru_cache(maxsize=1)
def _porter() -> Any:
    from nltk.stem.porter import PorterStemmer

    return PorterStemmer()


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    return _porter().stem(word)
