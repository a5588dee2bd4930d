"""Sentences and questions in any script, without a change to what is ASCII [D]."""

import re

import regex

from zsc.data.words import share

SPLITTING = "marks:unicode"
MARKS = "?؟？⁇⁈⁉‽⸮﹖︖፧᥅꘏꛷𑅃՞"  # noqa: RUF001
WITHIN = "՞"  # an Armenian question has its mark within a word
GREEK_MARK = "\u037e"

OPENING, CLOSING = r"[[\"'¿¡\p{Ps}\p{Pi}]--[{]]", r"[[\"'“‘\p{Pe}\p{Pf}]--[}]]"  # noqa: RUF001
BEGINNING = (
    rf"(?={OPENING}*[\p{{Lu}}\p{{Lt}}\p{{Lo}}\p{{N}}\p{{Script=Georgian}}])"  # no small letter of those with case
)
STOPS = r"[[\p{Sentence_Terminal}།༎]--[!.?．\u104A]]"  # noqa: RUF001  # they end a sentence without a space after them
SPACE = r"[\s\x1C-\x1F]"  # what `str.split` splits at
SENTENCE = regex.compile(
    rf"(?V1)(?<=[?!]){SPACE}+|(?<={STOPS}){SPACE}*|(?<=．)(?!\p{{N}}){SPACE}*"  # noqa: RUF001
    rf"|(?<=[.?!…]){CLOSING}+{SPACE}+{BEGINNING}|(?<=[.…]){SPACE}+{BEGINNING}"
)
TITLE = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|Prof|St)\.$")
LETTER = regex.compile(r"\w")
ENDING = regex.compile(r"[^\w]*$")


def sentences(text: str) -> list[str]:
    """Split after ``?`` and ``!``, after a full stop or a closing quote before a letter that may begin a sentence or a
    number, and after what ends a sentence in other scripts.

    A piece without a letter or number belongs to the sentence before it; a title such as ``Mr.`` ends none.
    """
    found: list[str] = []
    for piece in filter(str.strip, SENTENCE.split(marked(text))):
        if found and (not LETTER.search(piece) or TITLE.search(found[-1])):
            found[-1] += f" {piece}"
        else:
            found.append(piece)
    return found


def is_question(sentence: str) -> bool:
    """Say whether one of ``sentences`` ends as a question."""
    ending = ENDING.search(sentence)
    return WITHIN in sentence or (ending is not None and any(mark in ending.group() for mark in MARKS))


def asks(text: str) -> bool:
    """Say whether ``text`` holds a question mark."""
    return any(mark in marked(text) for mark in MARKS)


def marked(text: str) -> str:
    """Return ``text`` with ``?`` for the Greek question mark, which in a text mainly in Greek may be a semicolon."""
    if text.isascii():
        return text
    greek = share(text, r"\p{Script=Greek}") > 0.5 if ";" in text else False
    return text.replace(GREEK_MARK, "?").replace(";" if greek else GREEK_MARK, "?")
