"""One notion of a word for every overlap and diversity metric."""

import re

WORD = re.compile(r"[a-z0-9]+")
TOKENIZATION = "tok:lower-alnum"


def words(text: str) -> list[str]:
    """Return the lower-cased runs of letters a-z and digits of ``text``, as the rouge-score package does."""
    return WORD.findall(text.lower())


def ngrams(tokens: list[str], order: int) -> list[tuple[str, ...]]:
    """Return the n-grams of ``tokens`` in order."""
    return list(zip(*(tokens[i:] for i in range(order)), strict=False))
