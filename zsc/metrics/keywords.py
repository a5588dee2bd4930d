"""Topic adherence by keywords: words of a topic's phrases in the responses."""

import runpy
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, ClassVar
from unicodedata import normalize

import numpy as np

from zsc.data.words import TOKENIZATION, is_unspaced, words
from zsc.metrics.base import Metric

LETTERS = 3
STOP_WORDS = "feature_extraction/_stop_words.py"  # in scikit-learn


class KeywordShare(Metric):
    """Mean share of a response's words that are keywords of the topic; from 0 to 1. An empty response has none.

    Keywords [D] are the words of the topic's phrases, one per line, that have at least three letters, marks and the
    parts of Korean syllables counted, and are none of scikit-learn's English stop words. In scripts without spaces,
    where a letter is a word, they and the words of a response are pairs of neighbours, as in search. No value where no
    phrase has a keyword, but 0 if they are ASCII.
    """

    words = "keywords of the topic"
    risen, fallen = "more words are of the topic", "fewer words are of the topic"
    apart = True

    needs: ClassVar[str] = "a topic with keywords"

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        pairs = zip(predictions, references or [], strict=True)
        return np.array([[self._share(response, phrases)] for response, phrases in pairs])

    def _share(self, response: str, phrases: str) -> float:
        wanted = keywords(phrases)
        return share(terms(words(response)), wanted) if wanted or phrases.isascii() else np.nan

    def options(self) -> list[str]:
        return [TOKENIZATION, f"stop:scikit-learn-{version('scikit-learn')}"]


@lru_cache(maxsize=64)
def keywords(phrases: str) -> frozenset[str]:
    found = (term for phrase in phrases.splitlines() for term in terms(words(phrase)))
    return frozenset(term for term in found if is_long(term) and term not in stop_words())


@lru_cache(maxsize=1)
def stop_words() -> frozenset[str]:
    """Return scikit-learn's English stop words, where possible from their file alone: the package takes seconds to
    import."""
    package = find_spec("sklearn")
    places = [Path(place) / STOP_WORDS for place in (package and package.submodule_search_locations) or []]
    if not any(place.is_file() for place in places):
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

        return ENGLISH_STOP_WORDS
    return frozenset(runpy.run_path(str(places[0]))["ENGLISH_STOP_WORDS"])


def terms(tokens: Iterable[str]) -> list[str]:
    """Return the words of ``tokens``, with the pairs of neighbours in the place of words of scripts without spaces."""
    return [term for unspaced, run in groupby(tokens, is_unspaced) for term in (_pairs(run) if unspaced else run)]


def _pairs(run: Iterable[str]) -> Iterator[str]:
    first, *others = run
    return map("".join, pairwise([first, *others])) if others else iter([first])


def is_long(term: str) -> bool:
    return len(term) >= LETTERS or (
        not term.isascii() and (is_unspaced(term) or len(normalize("NFD", term)) >= LETTERS)
    )


def share(response_terms: list[str], wanted: frozenset[str]) -> float:
    return sum(term in wanted for term in response_terms) / max(len(response_terms), 1)
