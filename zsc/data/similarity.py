"""Choose the knowledge sentence of a turn by TF-IDF, as [P A.1] does."""

from dataclasses import dataclass
from typing import Any

from zsc.data.words import is_unspaced, share, words


@dataclass(frozen=True)
class Choice:
    index: int
    similarity: float


def most_similar(candidates: list[str], references: list[str]) -> list[Choice]:
    """For each reference return the candidate of highest TF-IDF cosine similarity (the first one among equals).

    The papers name no details. Ours [D]: inverse document frequencies are those of ``candidates``, one reading set;
    terms are lower-cased words of at least two characters without scikit-learn's English stop words, which in so
    small a collection would otherwise decide the choice. Where most letters of the candidates are not Latin, terms are
    the words of all scripts of at least two letters, and each letter of scripts without spaces.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer  # slow to import, and few runs need it

    others = share(" ".join(candidates), r"\P{Script=Latin}") > 0.5
    splitting: dict[str, Any] = {"tokenizer": terms, "token_pattern": None} if others else {}
    vectorizer = TfidfVectorizer(stop_words="english", **splitting)
    try:
        known = vectorizer.fit_transform(candidates)
    except ValueError:  # no candidate holds a word
        return [Choice(0, 0.0) for _ in references]
    scores = (vectorizer.transform(references) @ known.T).toarray()
    return [Choice(int(row.argmax()), float(row.max())) for row in scores]


def terms(text: str) -> list[str]:
    return [word for word in words(text) if len(word) > 1 or is_unspaced(word)]
