"""Metrics by name. A line here and a file beside it make a new one."""

from collections.abc import Callable
from operator import attrgetter

from zsc.errors import ZscError, suggestion
from zsc.metrics.answers import AnswerF1, ExactMatch
from zsc.metrics.base import Metric, Unregistered
from zsc.metrics.bleu import Bleu
from zsc.metrics.chrf import ChrF
from zsc.metrics.compression import Compression
from zsc.metrics.copy_rate import CopiedRun, CopyRate
from zsc.metrics.distinct import Distinct, MostRepeated, Uniqueness
from zsc.metrics.f1 import F1
from zsc.metrics.focus import FocusCoverage
from zsc.metrics.formality import Matched, MatchedAccuracy
from zsc.metrics.judged import Judged, JudgedRate
from zsc.metrics.keywords import KeywordShare
from zsc.metrics.length import Length
from zsc.metrics.meteor import Meteor
from zsc.metrics.novelty import Novelty
from zsc.metrics.perplexity import MedianPerplexity, Perplexity
from zsc.metrics.precision import Precision
from zsc.metrics.question_rate import QuestionRate, QuestionSentenceRate
from zsc.metrics.repetition import Repetition
from zsc.metrics.rouge import Rouge, RougeL
from zsc.metrics.self_bleu import SelfBleu
from zsc.metrics.sentiment import NegativeRate, PositiveRate, Sentiment
from zsc.metrics.ter import Ter
from zsc.metrics.tokenized import AUTO, check_tokenizer

GROUPS: dict[str, dict[str, Callable[[str], Metric]]] = {
    "informativeness": {
        "knowledge_precision": lambda name: Precision(name, "knowledge", 1),
        "knowledge_rouge1": lambda name: Rouge(name, "knowledge", "rouge1"),
        "knowledge_rouge2": lambda name: Rouge(name, "knowledge", "rouge2"),
        "knowledge_rougeL": lambda name: RougeL(name, "knowledge", "rougeL"),
        "knowledge_bleu": lambda name: Bleu(name, "knowledge"),
        "knowledge_chrf": lambda name: ChrF(name, "knowledge"),
        "knowledge_f1": lambda name: F1(name, "knowledge"),
        "knowledge_entailment": lambda name: Judged(name, "entailment_probability", "entailment", "knowledge"),
        "knowledge_novelty": lambda name: Novelty(name, "knowledge", 2),
        "knowledge_copied_run": lambda name: CopiedRun(name, "knowledge"),
        "knowledge_copy_rate": lambda name: CopyRate(name, "knowledge"),
        "phrase_copy_rate": lambda name: CopyRate(name, "phrases"),
        "dialog_precision": lambda name: Precision(name, "dialog", 1),
        "dialog_precision2": lambda name: Precision(name, "dialog", 2),
        "history_novelty": lambda name: Novelty(name, "history", 2),
        "novelty": lambda name: Novelty(name, "context", 2),
    },
    "questions": {
        "question_rate": lambda name: QuestionRate(name),
        "question_sentence_rate": lambda name: QuestionSentenceRate(name),
    },
    "fluency": {
        "perplexity_median": lambda name: MedianPerplexity(name, "nll", "tokens", for_fluency=3),
        "perplexity_corpus": lambda name: Perplexity(name, "nll", "tokens", for_fluency=2),
        "judge_perplexity_median": lambda name: MedianPerplexity(
            name, "judge_nll", "judge_tokens", "language_model", for_fluency=1
        ),
        "judge_perplexity_corpus": lambda name: Perplexity(name, "judge_nll", "judge_tokens", "language_model"),
        "repetition": lambda name: Repetition(name, 4),
        "distinct1": lambda name: Distinct(name, 1),
        "distinct2": lambda name: Distinct(name, 2, beside=True),
        "self_bleu": lambda name: SelfBleu(name),
        "uniqueness": lambda name: Uniqueness(name),
        "most_repeated": lambda name: MostRepeated(name),
    },
    "topic": {
        "topic_similarity": lambda name: Judged(name, "topic_similarity", "embedder", "topic"),
        "topic_keywords": lambda name: KeywordShare(name, "topic"),
        "topic_probability": lambda name: Judged(name, "topic_probability", "topic_classifier", "topic"),
    },
    "sentiment": {
        "sentiment_compound": lambda name: Sentiment(name),
        "positive_rate": lambda name: PositiveRate(name),
        "negative_rate": lambda name: NegativeRate(name),
        "judged_positive_rate": lambda name: JudgedRate(name, "positive_probability", "sentiment_classifier"),
    },
    "reference": {
        "reference_bleu": lambda name: Bleu(name, "reference"),
        "reference_rouge1": lambda name: Rouge(name, "reference", "rouge1"),
        "reference_rouge2": lambda name: Rouge(name, "reference", "rouge2"),
        "reference_rougeL": lambda name: RougeL(name, "reference", "rougeL"),
        "reference_meteor": lambda name: Meteor(name, "reference"),
        "reference_chrf": lambda name: ChrF(name, "reference"),
        "reference_f1": lambda name: F1(name, "reference"),
    },
    "translation": {
        "reference_chrf_pp": lambda name: ChrF(name, "reference", word_order=2),
        "reference_ter": lambda name: Ter(name, "reference"),
    },
    "register": {
        "formal_accuracy": lambda name: MatchedAccuracy(name, "formal"),
        "informal_accuracy": lambda name: MatchedAccuracy(name, "informal"),
        "formality_matched": lambda name: Matched(name),
        "judged_formal_rate": lambda name: JudgedRate(name, "formal_probability", "register_classifier"),
    },
    "answers": {
        "exact_match": lambda name: ExactMatch(name, "accepted"),
        "answer_f1": lambda name: AnswerF1(name, "accepted"),
    },
    "summary": {
        "focus_coverage": lambda name: FocusCoverage(name, "focus"),
        "compression": lambda name: Compression(name, "document"),
    },
    "length": {"length": lambda name: Length(name)},
}
METRICS = {name: build for group in GROUPS.values() for name, build in group.items()}
# scored where none are named; those that lack what they need are left out
DEFAULT = (
    "knowledge_precision", "knowledge_rouge1", "knowledge_rougeL", "knowledge_bleu", "knowledge_copied_run",
    "knowledge_entailment", "dialog_precision", "novelty", "question_rate", "phrase_copy_rate", "topic_similarity",
    "topic_keywords", "length", "repetition", "distinct2", "self_bleu", "uniqueness", "most_repeated",
    "perplexity_median", "perplexity_corpus", "judge_perplexity_median",
)  # fmt: skip


def build_metrics(names: list[str], tokenize: str = AUTO) -> list[Metric]:
    """Return the metrics called ``names``; the name of a group stands for all of its metrics, ``all`` for every one.

    ``tokenize`` is the tokenizer of BLEU. Raises ZscError for an unknown name, and a tokenizer that cannot be used.
    """
    check_tokenizer(tokenize)
    if not isinstance(names, list) or not names:
        raise ZscError(f"metrics={names} must be a list of metrics or groups, such as metrics=[length,questions].")
    groups: dict[str, list[str]] = {"all": list(METRICS)} | {group: list(metrics) for group, metrics in GROUPS.items()}
    known = [*METRICS, *groups]
    for name in map(str, names):
        if name not in known:
            raise ZscError(f"no metric '{name}'.{suggestion(name, known)} Known: {', '.join(known)}.")
    chosen = dict.fromkeys(metric for name in names for metric in ([name] if name in METRICS else groups[name]))
    return [METRICS[name](name).split_by(tokenize) for name in chosen]


def described(name: str) -> Metric:
    """Return the metric called ``name`` for what it says of itself, also where a stored run has it and we do not."""
    return METRICS.get(name, Unregistered)(name)


def family(name: str) -> str:
    """Return the group that the metric called ``name`` belongs to; nothing where it is not registered."""
    return next((group for group, metrics in GROUPS.items() if name in metrics), "")


def fluency_metrics() -> list[Metric]:
    """Return the metrics that stand for fluency; the first one possible is to be taken."""
    every = [build(name) for name, build in METRICS.items()]
    return sorted((metric for metric in every if metric.for_fluency), key=attrgetter("for_fluency"))
