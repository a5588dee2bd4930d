"""One notion of a word and of a sentence for every overlap, diversity and question metric."""

import re
from functools import lru_cache

WORD = re.compile(r"[a-z0-9]+")
OPENING, CLOSING = "[\"'“‘(\\[]", "[\"'’”)\\]]"  # noqa: RUF001
SENTENCE = re.compile(
    rf"(?<=[?!؟])\s+|(?<=[。？！])|(?<=[.?!]){CLOSING}+\s+(?={OPENING}*[A-Z0-9])|(?<=\.)\s+(?={OPENING}*[A-Z0-9])"  # noqa: RUF001
)
TITLE = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|Prof|St)\.$")
TOKENIZATION = "tok:lower-alnum"


@lru_cache(maxsize=1 << 16)
def words(text: str) -> tuple[str, ...]:
    """Return the lower-cased runs of letters a-z and digits of ``text``, as the rouge-score package does."""
    return tuple(WORD.findall(text.lower()))


def ngrams(tokens: tuple[str, ...], order: int) -> list[tuple[str, ...]]:
    """Return the n-grams of ``tokens`` in order."""
    return list(zip(*(tokens[i:] for i in range(order)), strict=False))


def sentences(text: str) -> list[str]:
    """Split after ``?`` and ``!``, and after a full stop or a closing quote before a capital or digit.

    A piece without a letter or digit belongs to the sentence before it; a title such as ``Mr.`` ends none.
    """
    found: list[str] = []
    for piece in filter(str.strip, SENTENCE.split(text)):
        if found and (not re.search(r"\w", piece) or TITLE.search(found[-1])):
            found[-1] += f" {piece}"
        else:
            found.append(piece)
    return found
