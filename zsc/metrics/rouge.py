"""ROUGE F1 (Lin, 2004), with the very numbers of the rouge-score package, whose import takes seconds."""

from collections import Counter
from collections.abc import Sequence

from zsc.data.words import TOKENIZATION, ngrams, words
from zsc.metrics.overlap import Overlap

SAME_AS = "rouge-score:0.1.2"  # the package and its version that the numbers agree with to the last digit
ORDERS = {"rouge1": 1, "rouge2": 2}


class Rouge(Overlap):
    """Mean ROUGE F1 of each response against its reference text, without stemming; from 0 to 1.

    Words are those of all metrics here. In ASCII they are the package's own, so that scores are comparable with those
    published; the package takes all other characters for white space.
    """

    def __init__(self, name: str, references: str, kind: str):
        self.kind = kind
        super().__init__(name, references)

    def compare(self, response: str, text: str) -> float:
        response_words: Sequence[object] = words(response)
        known: Sequence[object] = words(text)
        if self.kind in ORDERS:
            response_words, known = (ngrams(words(one), ORDERS[self.kind]) for one in (response, text))
            common = (Counter(response_words) & Counter(known)).total()
        else:
            common = common_subsequence(response_words, known)
        precision, recall = common / max(len(response_words), 1), common / max(len(known), 1)
        return 2 * precision * recall / (precision + recall) if common else 0.0

    def options(self) -> list[str]:
        return [f"kind:{self.kind}", TOKENIZATION, "stem:no", SAME_AS]


def common_subsequence(one: Sequence[object], other: Sequence[object]) -> int:
    """Return the length of the longest common subsequence, by the bits of whole numbers (Hyyrö, 2004)."""
    places: dict[object, int] = {}
    for place, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << place
    every = (1 << len(one)) - 1
    row = every
    for word in other:
        matched = row & places.get(word, 0)
        row = (row + matched | row - matched) & every
    return len(one) - row.bit_count()
