"""Every metric against a case worked by hand, and against its library where it has one."""

import math

import numpy as np
import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

from zsc.errors import ZscError
from zsc.metrics import METRICS, build_metrics
from zsc.metrics.bootstrap import aggregate, bootstrap, interval

RESPONSES = ["the cat sat", "the the dog", "", "Did you know? Cats sit."]
TEXTS = ["the cat sat on the mat", "a dog ran", "cats", "you know cats"]


def value(name, predictions, references=None):
    metric = METRICS[name]()
    return metric.compute(predictions=predictions, **({} if references is None else {"references": references}))[name]


def test_precision_by_hand():
    # 3/3; "the" is not in the text and "dog" is: 1/3; no words: 0; did you know cats sit: 3/5
    assert value("knowledge_precision", RESPONSES, TEXTS) == pytest.approx((1 + 1 / 3 + 0 + 3 / 5) / 4)
    # "the the" is clipped to the one "the" of the text
    assert value("dialog_precision", ["the the"], ["the end"]) == pytest.approx(0.5)
    # bigrams: the-cat, cat-sat; none; none; you-know, know-cats of 4
    assert value("dialog_precision2", RESPONSES, TEXTS) == pytest.approx((1 + 0 + 0 + 2 / 4) / 4)


@pytest.mark.parametrize(("name", "kind"), [("knowledge_rouge1", "rouge1"), ("knowledge_rougeL", "rougeL")])
def test_rouge_is_the_librarys(name, kind):
    scorer = RougeScorer([kind])
    expected = np.mean([scorer.score(t, r)[kind].fmeasure for r, t in zip(RESPONSES, TEXTS, strict=True)])
    assert value(name, RESPONSES, TEXTS) == pytest.approx(expected)
    assert value(name, ["the cat sat"], ["the cat sat on the mat"]) == pytest.approx(2 * 1 * 0.5 / 1.5)


def test_bleu_is_the_librarys():
    expected = sacrebleu.corpus_bleu(RESPONSES, [TEXTS]).score
    assert value("knowledge_bleu", RESPONSES, TEXTS) == pytest.approx(expected)


def test_question_rate_and_length_by_hand():
    assert value("question_rate", ["Why?", 'He said "why?"', "Why?!", "No."]) == 0.75
    assert value("length", ["one two", "", "a b c d"]) == 2


def test_distinct_by_hand():
    # words: a b a | a c -> 3 different of 5; bigrams: ab ba | ac -> 3 of 3
    assert value("distinct1", ["a b a", "a c"]) == pytest.approx(3 / 5)
    assert value("distinct2", ["a b a", "a c"]) == pytest.approx(1)
    assert value("distinct2", ["a", ""]) == 0
    assert value("uniqueness", ["x", "x", "y", "x"]) == pytest.approx(2 / 4)


def test_most_repeated_by_hand():
    assert value("most_repeated", ["x", "x", "y", "z"]) == pytest.approx(2 / 4)


def test_phrases_count_as_copied_only_as_whole_words_in_a_row():
    phrases = "do you know?\nWhy not"
    said = ["Do you know, I think so.", "Why, not at all!", "Do you really know?", "What do you knows"]
    assert value("phrase_copy_rate", said, [phrases] * 4) == pytest.approx(2 / 4)


def test_perplexity_by_hand():
    # perplexities e^1, e^2, e^5 over 2, 1 and 3 tokens
    assert value("perplexity_median", [2.0, 2.0, 15.0], [2, 1, 3]) == pytest.approx(math.exp(2))
    assert value("perplexity_corpus", [2.0, 2.0, 15.0], [2, 1, 3]) == pytest.approx(math.exp(19 / 6))


def test_every_metric_is_listed_under_its_own_name_and_signs_its_numbers():
    for name, build in METRICS.items():
        metric = build()
        assert metric.measure == name and metric.signature.startswith(f"{name}|on:") and "|zsc:" in metric.signature


def test_metrics_write_nothing(tmp_path, monkeypatch):
    import evaluate

    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    assert value("length", ["a b"]) == 2 and list(tmp_path.iterdir()) == []


def test_unknown_metric():
    with pytest.raises(ZscError, match="Did you mean 'question_rate'"):
        build_metrics(["question_rat"])


def test_seeds_are_pooled_and_examples_resampled():
    metric = METRICS["length"]()
    statistics = np.array([[[1.0], [3.0]], [[5.0], [7.0]]])  # two examples, two seeds
    assert aggregate(metric, statistics) == 4
    values = bootstrap(metric, [statistics], 500, seed=0)[0]
    assert set(values) == {2.0, 4.0, 6.0}  # both seeds of an example always come together


def test_interval_agrees_with_the_normal_approximation_and_pairing_narrows_the_difference():
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 1, size=(400, 1, 1))
    off, on = shared, shared + 0.1 + rng.normal(0, 0.1, size=shared.shape)
    metric = METRICS["length"]()
    values = bootstrap(metric, [off, on], 2000, seed=1)
    low, high = interval(values[0], 0.95)
    half = 1.96 * off.std() / np.sqrt(400)
    assert low == pytest.approx(off.mean() - half, abs=0.02) and high == pytest.approx(off.mean() + half, abs=0.02)
    low, high = interval(values[1] - values[0], 0.95)
    assert 0.08 < low < 0.1 < high < 0.12


@pytest.mark.parametrize("name", list(METRICS))
def test_the_point_value_of_a_bootstrap_is_the_metric_itself(name):
    metric = METRICS[name]()
    predictions = [3.0, 8.0, 4.0, 9.0] if metric.predictions == "nll" else RESPONSES
    references = {"tokens": [3, 4, 2, 5]}.get(metric.references, TEXTS if metric.references else None)
    statistics = metric.statistics(predictions, references)[:, None, :]
    assert aggregate(metric, statistics) == pytest.approx(value(name, predictions, references))
    assert aggregate(metric, np.stack([statistics, statistics])).shape == (2,)


def test_records_without_knowledge_do_not_count_as_knowledge_overlap_of_zero():
    from zsc.data.record import Record, Turn
    from zsc.metrics.score import score_rows

    turn = (Turn("a", "Hi."),)
    records = [Record("1", turn, "Yes.", "the cat sat"), Record("2", turn, "Yes.")]
    rows = [{"setting": "off", "seed": 0, "id": i, "response": "the cat sat", "tokens": 1, "nll": 1.0} for i in "12"]
    metrics = build_metrics(["knowledge_rouge1", "length"])
    table = {row.metric: row for row in score_rows(records, rows, ["off"], [0], metrics, 5, [], 10, 0.95, 0)}
    assert (table["knowledge_rouge1"].value, table["knowledge_rouge1"].n, table["length"].n) == (1.0, 1, 2)
    assert not score_rows(records[1:], rows, ["off"], [0], metrics[:1], 5, [], 10, 0.95, 0)
