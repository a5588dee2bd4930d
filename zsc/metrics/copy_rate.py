"""Verbatim copies of knowledge and of control phrases, which averages of other metrics would hide."""

from difflib import SequenceMatcher

import numpy as np

from zsc.data.words import TOKENIZATION, words
from zsc.metrics.overlap import Overlap, wordless


class CopyRate(Overlap):
    """Share of responses that hold one of the texts, given one per line, as consecutive words; from 0 to 1.

    Texts without a word, such as emoji, cannot be told from others: no value. A report shows copies of control phrases.
    """

    better = "lower"

    def __init__(self, name: str, references: str):
        super().__init__(name, references)
        self.beside = references == "phrases"
        self.words = f"copies of {'control phrases' if self.beside else f'the whole {references}'}"

    def compare(self, response: str, text: str) -> float:
        if wordless(text):
            return np.nan
        response_words = f" {' '.join(words(response))} "
        wanted = (" ".join(words(line)) for line in text.splitlines())
        return float(any(f" {line} " in response_words for line in wanted if line))

    def options(self) -> list[str]:
        return [TOKENIZATION]


class CopiedRun(Overlap):
    """Mean share of a response's words in its longest run that its reference text has word for word; from 0 to 1.

    An empty response copies nothing: 0.
    """

    better = "lower"
    words = "copying word for word"
    risen, fallen = "more is copied word for word", "less is copied word for word"

    def compare(self, response: str, text: str) -> float:
        response_words, known = words(response), words(text)
        longest = SequenceMatcher(None, response_words, known, autojunk=False).find_longest_match().size
        return longest / max(len(response_words), 1)

    def options(self) -> list[str]:
        return [TOKENIZATION]
