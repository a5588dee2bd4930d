"""One notion of a word and of a sentence for every overlap, diversity and question metric."""

import re
from functools import lru_cache

WORD = re.compile(r"[a-z0-9]+")
OPENING, CLOSING = "[\"'“‘(\\[]", "[\"'’”)\\]]"  # noqa: RUF001
SENTENCE = re.compile(rf"(?<=[?!])\s+|(?<=[.?!]){CLOSING}+\s+(?={OPENING}*[A-Z0-9])|(?<=\.)\s+(?={OPENING}*[A-Z0-9])")
TOKENIZATION = "tok:lower-alnum"


@lru_cache(maxsize=1 << 16)
def words(text: str) -> tuple[str, ...]:
    """Return the lower-cased runs of letters a-z and digits of ``text``, as the rouge-score package does."""
    return tuple(WORD.findall(text.lower()))


def ngrams(tokens: tuple[str, ...], order: int) -> list[tuple[str, ...]]:
    """Return the n-grams of ``tokens`` in order."""
    return list(zip(*(tokens[i:] for i in range(order)), strict=False))


def sentences(text: str) -> list[str]:
    """Split after ``?`` and ``!``, and after a full stop or a closing quote before a capital or digit."""
    return [sentence for sentence in SENTENCE.split(text) if sentence.strip()]
