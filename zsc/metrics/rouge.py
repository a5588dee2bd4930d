"""ROUGE F1 (Lin, 2004), by the rouge-score package."""

from functools import lru_cache
from importlib.metadata import version

from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer

from zsc.data.words import TOKENIZATION, words
from zsc.metrics.overlap import Overlap

KINDS = ("rouge1", "rouge2", "rougeL")


class Rouge(Overlap):
    """Mean ROUGE F1 of each response against its reference text, without stemming; from 0 to 1.

    Words are those of all metrics here. In ASCII they are the package's own, so that scores are comparable with those
    published; the package takes all other characters for white space.
    """

    def __init__(self, name: str, references: str, kind: str):
        self.kind = kind
        super().__init__(name, references)

    def compare(self, response: str, text: str) -> float:
        return scores(text, response)[self.kind]

    def options(self) -> list[str]:
        return [f"kind:{self.kind}", TOKENIZATION, "stem:no", f"rouge-score:{version('rouge-score')}"]


class Words(Tokenizer):
    def tokenize(self, text: str) -> list[str]:
        return list(words(text))


SCORER = RougeScorer(list(KINDS), tokenizer=Words())


@lru_cache(maxsize=1 << 16)
def scores(text: str, response: str) -> dict[str, float]:
    """Return the F1 of every kind, computed together since most of the work is shared."""
    return {kind: score.fmeasure for kind, score in SCORER.score(text, response).items()}
