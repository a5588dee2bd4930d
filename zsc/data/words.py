r"""One notion of a word for all that compares texts, in any script.

A text in ASCII has the words that the rouge-score package finds: lower-cased runs of letters a-z and digits. Any other
text is read in such a way that the same holds for what is ASCII in it [D]:

- Characters that are not shown are left out (joiners, soft hyphens, marks of direction, variation selectors: Unicode's
  Default_Ignorable_Code_Point); only the zero-width space parts words.
- What is no letter, mark or number parts words: punctuation, apostrophes and hyphens of all kinds, symbols, emoji.
- The rest is brought to Unicode's form NFKC and case-folded, so that an accent is the same composed and decomposed, and
  a letter the same in full and half width.
- A word is a run of letters and numbers with the marks on them.
- In scripts written without spaces (UNSPACED) each letter is a word, with the marks on it and the letters stacked under
  it. Numbers in them are words like any other. Korean is not one of them, nor is Tibetan, whose syllables a dot parts.
"""

import re
from functools import lru_cache
from unicodedata import normalize

import regex

TOKENIZATION = "tok:unicode-words"
SCRIPTS = ("Han", "Hiragana", "Katakana", "Bopomofo", "Yi", "Nushu", "Tangut", "Thai", "Lao", "Khmer", "Myanmar",
           "Tai_Le", "New_Tai_Lue", "Tai_Tham", "Tai_Viet", "Ahom", "Javanese", "Balinese")  # fmt: skip
OF_SCRIPTS = r"}\p{Script=".join(SCRIPTS)
ANY = r"\p{L}"  # letter
UNSPACED = rf"[\p{{L}}\p{{Nl}}]&&[ー\p{{Script={OF_SCRIPTS}}}]"
STACKING = r"\u1039\u17D2\u1A60\u1B44\uA9C0"  # marks that put the next letter under the one before
WORDSPACES = "፡།་༌"  # signs that part words where no white space does: Ethiopic, Tibetan

ASCII_WORD = re.compile(r"[a-z0-9]+")
NOT_SHOWN = regex.compile(r"(?V1)[\p{Default_Ignorable_Code_Point}--\u200B]+")
PARTING = regex.compile(r"(?V1)[^\p{L}\p{M}\p{N}]+|[\u02BC\u200B]")  # U+02BC: an apostrophe that counts as a letter
WORD = regex.compile(
    rf"(?V1)[{UNSPACED}](?:\p{{M}}|(?<=[{STACKING}])[{UNSPACED}])*"
    rf"|[[\p{{L}}\p{{N}}]--[{UNSPACED}]][[\p{{L}}\p{{M}}\p{{N}}]--[{UNSPACED}]]*"
)
WITHOUT_SPACES = regex.compile(rf"(?V1)[{WORDSPACES}]|[{UNSPACED}]")


@lru_cache(maxsize=1 << 10)
def words(text: str) -> tuple[str, ...]:
    """Return the words of ``text``, as the head of this file says what they are."""
    if text.isascii():
        return tuple(ASCII_WORD.findall(text.lower()))
    shown = PARTING.sub(" ", NOT_SHOWN.sub("", text))
    return tuple(WORD.findall(normalize("NFKC", normalize("NFKC", shown).casefold())))


def length(text: str) -> int:
    """Return how many pieces white space leaves of ``text``; one in a script without spaces counts as its words."""
    if text.isascii():
        return len(text.split())
    return sum(max(len(words(piece)), 1) if WITHOUT_SPACES.search(piece) else 1 for piece in text.split())


def is_unspaced(word: str) -> bool:
    """Say whether ``word`` is one letter of a script without spaces."""
    return not word.isascii() and WITHOUT_SPACES.match(word) is not None


def ngrams(tokens: tuple[str, ...], order: int) -> list[tuple[str, ...]]:
    """Return the n-grams of ``tokens`` in order."""
    return list(zip(*(tokens[i:] for i in range(order)), strict=False))


def share(text: str, of: str) -> float:
    """Return the share of the letters of ``text`` that are ``of`` a set, as `regex` writes one; 0 without letters."""
    return letters(text, of) / max(letters(text, ANY), 1)


def letters(text: str, of: str) -> int:
    """Return how many letters of ``text`` are ``of`` a set, as `regex` writes one."""
    return len(regex.findall(rf"(?V1)[\p{{L}}&&[{of}]]", text))
