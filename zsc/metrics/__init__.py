"""Metrics by name. A line here and a file beside it make a new one."""

from collections.abc import Callable

from zsc.errors import ZscError, suggestion
from zsc.metrics.base import Metric
from zsc.metrics.bleu import Bleu
from zsc.metrics.copy_rate import CopyRate
from zsc.metrics.distinct import Distinct, MostRepeated, Uniqueness
from zsc.metrics.length import Length
from zsc.metrics.perplexity import Perplexity
from zsc.metrics.precision import Precision
from zsc.metrics.question_rate import QuestionRate
from zsc.metrics.rouge import Rouge

METRICS: dict[str, Callable[[], Metric]] = {
    "knowledge_rouge1": lambda: Rouge("knowledge_rouge1", "knowledge", "rouge1"),
    "knowledge_rougeL": lambda: Rouge("knowledge_rougeL", "knowledge", "rougeL"),
    "knowledge_precision": lambda: Precision("knowledge_precision", "knowledge", 1),
    "knowledge_bleu": lambda: Bleu("knowledge_bleu", "knowledge"),
    "dialog_precision": lambda: Precision("dialog_precision", "dialog", 1),
    "dialog_precision2": lambda: Precision("dialog_precision2", "dialog", 2),
    "question_rate": lambda: QuestionRate("question_rate"),
    "phrase_copy_rate": lambda: CopyRate("phrase_copy_rate", "phrases"),
    "length": lambda: Length("length"),
    "distinct1": lambda: Distinct("distinct1", 1),
    "distinct2": lambda: Distinct("distinct2", 2),
    "uniqueness": lambda: Uniqueness("uniqueness"),
    "most_repeated": lambda: MostRepeated("most_repeated"),
    "perplexity_median": lambda: Perplexity("perplexity_median", median=True),
    "perplexity_corpus": lambda: Perplexity("perplexity_corpus", median=False),
}


def build_metrics(names: list[str]) -> list[Metric]:
    """Return the metrics called ``names``. Raises ZscError for an unknown name."""
    if not isinstance(names, list) or not names:
        raise ZscError(f"metrics={names} must be a list, such as metrics=[length,question_rate].")
    for name in map(str, names):
        if name not in METRICS:
            raise ZscError(f"no metric '{name}'.{suggestion(name, METRICS)} Known: {', '.join(METRICS)}.")
    return [METRICS[name]() for name in names]
