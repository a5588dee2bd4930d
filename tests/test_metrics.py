"""Every metric against a case worked by hand, and against its library where it has one."""

import math

import numpy as np
import pytest
import sacrebleu
from nltk.translate import meteor_score
from rouge_score.rouge_scorer import RougeScorer
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from tests.data import RESPONSES, TEXTS
from zsc.errors import ZscError
from zsc.metrics import GROUPS, METRICS, build_metrics, described, family, fluency_metrics
from zsc.metrics.as_evaluate import AsEvaluate
from zsc.metrics.items import build_columns
from zsc.metrics.judges import JUDGES
from zsc.metrics.sentences import sentences


def value(name, predictions, references=None):
    metric = METRICS[name](name)
    columns = {"predictions": predictions} | ({} if references is None else {"references": references})
    return AsEvaluate(metric).compute(**columns)[name]


def test_precision_by_hand():
    # 3/3; "the" is not in the text and "dog" is: 1/3; no words: 0; did you know cats sit: 3/5
    assert value("knowledge_precision", RESPONSES, TEXTS) == pytest.approx((1 + 1 / 3 + 0 + 3 / 5) / 4)
    # "the the" is clipped to the one "the" of the text
    assert value("dialog_precision", ["the the"], ["the end"]) == pytest.approx(0.5)
    # bigrams: the-cat, cat-sat; none; none; you-know, know-cats of 4
    assert value("dialog_precision2", RESPONSES, TEXTS) == pytest.approx((1 + 0 + 0 + 2 / 4) / 4)


@pytest.mark.parametrize("kind", ["rouge1", "rouge2", "rougeL"])
@pytest.mark.parametrize("of", ["knowledge", "reference"])
def test_rouge_is_the_librarys(of, kind):
    scorer = RougeScorer([kind])
    expected = np.mean([scorer.score(t, r)[kind].fmeasure for r, t in zip(RESPONSES, TEXTS, strict=True)])
    assert value(f"{of}_{kind}", RESPONSES, TEXTS) == pytest.approx(expected)


def test_rouge_by_hand():
    assert value("knowledge_rouge1", ["the cat sat"], ["the cat sat on the mat"]) == pytest.approx(2 * 0.5 / 1.5)
    assert value("knowledge_rouge2", ["the cat sat"], ["the cat sat on the mat"]) == pytest.approx(2 * 0.4 / 1.4)


@pytest.mark.parametrize("of", ["knowledge", "reference"])
def test_bleu_and_chrf_are_the_librarys(of):
    assert value(f"{of}_bleu", RESPONSES, TEXTS) == pytest.approx(sacrebleu.corpus_bleu(RESPONSES, [TEXTS]).score)
    assert value(f"{of}_chrf", RESPONSES, TEXTS) == pytest.approx(sacrebleu.corpus_chrf(RESPONSES, [TEXTS]).score)


def test_bleu_of_any_sums_is_the_librarys_to_the_last_digit():
    rng, metric = np.random.default_rng(0), METRICS["knowledge_bleu"]("knowledge_bleu")
    every = rng.integers(0, 60, (400, 4)) * rng.integers(0, 2, (400, 1)) + 1
    sums = np.column_stack([rng.integers(1, 90, (400, 2)), rng.integers(0, every + 1), every]).astype(float)
    sums[::50] = 0
    expected = [sacrebleu.BLEU()._compute_score_from_stats(row).score for row in sums.tolist()]
    assert 50 < (sums > 0).all(axis=1).sum() < 350  # with smoothing and without
    assert metric.from_sums(sums, np.ones(400)).tolist() == expected


def test_f1_by_hand():
    # without articles and punctuation, words in common of both: cat sat, 2 of 2 and 4; dog, 1 of 1 and 2; none;
    # you know cats, 3 of 5 and 3
    assert value("knowledge_f1", RESPONSES, TEXTS) == pytest.approx((4 / 6 + 2 / 3 + 0 + 6 / 8) / 4)
    # ParlAI puts a space where punctuation stands: u s then, 1 word in common of 3 and 2
    assert value("reference_f1", ["The U.S., then!"], ["us then"]) == pytest.approx(2 * 1 / 5)
    assert value("reference_f1", ["It's a well-known album."], ["It is a well known album"]) == pytest.approx(8 / 10)
    assert value("reference_f1", ["a b b"], ["b"]) == pytest.approx(2 * 1 / 3)


def test_meteor_by_hand_and_without_a_download():
    # all six words match in one chunk: 1 - 0.5 * (1/6)^3
    assert value("reference_meteor", ["the cat sat on my mat"], ["The cat sat on my mat."]) == pytest.approx(
        1 - 0.5 / 6**3
    )
    # only the stems of runs/running match; "car" and "automobile", synonyms, do not: P = R = 1/2, one chunk of one word
    mean = 10 * 0.5 * 0.5 / (0.5 + 9 * 0.5)
    assert value("reference_meteor", ["car runs"], ["automobile running"]) == pytest.approx(mean * 0.5)
    assert value("reference_meteor", [""], ["x"]) == 0


def test_meteor_is_the_librarys():
    class Nothing:
        def synsets(self, word):
            return []

    expected = [
        meteor_score.single_meteor_score(t.lower().split(), r.lower().replace("?", "").replace(".", "").split(),
                                         wordnet=Nothing())
        for r, t in zip(RESPONSES, TEXTS, strict=True)
    ]  # fmt: skip
    assert value("reference_meteor", RESPONSES, TEXTS) == pytest.approx(np.mean(expected))


def test_novelty_by_hand():
    # bigrams: both known; the-the, the-dog new; none; did-you, cats-sit new of 4
    assert value("knowledge_novelty", RESPONSES, TEXTS) == pytest.approx((0 + 1 + 0 + 2 / 4) / 4)
    assert value("novelty", ["a b c"], ["x a b"]) == value("history_novelty", ["a b c"], ["x a b"]) == 0.5


def test_copies_count_as_whole_words_in_a_row():
    phrases = "do you know?\nWhy not"
    responses = ["Do you know, I think so.", "Why, not at all!", "Do you really know?", "What do you knows"]
    assert value("phrase_copy_rate", responses, [phrases] * 4) == pytest.approx(2 / 4)
    # the second response is a part of the sentence, not the whole of it
    assert value("knowledge_copy_rate", ["Well, a dog ran!", "a dog"], ["A dog ran.", "A dog ran."]) == 0.5


def test_copied_run_by_hand():
    responses = ["Well, the cat sat on it", "dog cat", "", "x y"]
    texts = ["I saw the cat sat down", "cat dog", "a", "a b"]
    assert value("knowledge_copied_run", responses, texts) == pytest.approx((3 / 6 + 1 / 2 + 0 + 0) / 4)


def test_question_rates_by_hand():
    responses = [
        "Why?",
        'He said "why?"',
        "Why?!",
        "No.",
        "Right!? Yes. Is it?... No. Maybe",
        'She asked "why?" and left.',
    ]
    assert value("question_rate", responses) == pytest.approx(5 / 6)
    # questions of sentences: 1/1, 1/1, 1/1, 0/1, 2/5, 0/1 (the sentence goes on after the quote)
    assert value("question_sentence_rate", responses) == pytest.approx(5 / 10)
    assert value("question_rate", ["本当？"]) == value("question_sentence_rate", ["本当？"]) == 1  # noqa: RUF001
    assert value("question_sentence_rate", [""]) == 0


@pytest.mark.parametrize(
    ("text", "count", "questions"),
    [
        ("How are you? 😊", 1, 1),
        ("How are you?😊", 1, 1),
        ("Do you like dogs? :)", 1, 1),
        ("Really? ...", 1, 1),
        ("Why?? !!", 1, 1),
        ("I asked Mr. Smith?", 1, 1),
        ("你好吗？我很好。", 2, 1),  # noqa: RUF001
        ("كيف حالك؟ أنا بخير.", 2, 1),
        ("He left. Did he? No.", 3, 1),
    ],
)
def test_sentences_and_questions_beside_emoji_titles_and_other_scripts(text, count, questions):
    assert len(sentences(text)) == count
    assert value("question_sentence_rate", [text]) == pytest.approx(questions / count)
    assert value("question_rate", [text]) == 1


def test_sentences_by_hand():
    text = 'Hm... well. He left. "Why?" she said. (No!) 3 came. e.g. this? and that'
    split = ["Hm... well.", "He left.", '"Why?" she said.', "(No!", "3 came. e.g. this?", "and that"]
    assert sentences(text) == split
    assert sentences(" ") == []


def test_length_by_hand():
    assert value("length", ["one two", "", "a b c d"]) == 2


def test_distinct_by_hand():
    # words: a b a | a c -> 3 different of 5; bigrams: ab ba | ac -> 3 of 3
    assert value("distinct1", ["a b a", "a c"]) == pytest.approx(3 / 5)
    assert value("distinct2", ["a b a", "a c"]) == pytest.approx(1)
    assert value("distinct2", ["a", ""]) == 0
    assert value("uniqueness", ["x", "x", "y", "x"]) == pytest.approx(2 / 4)


def test_most_repeated_by_hand():
    assert value("most_repeated", ["x", "x", "y", "z"]) == pytest.approx(2 / 4)
    metric = METRICS["most_repeated"]("most_repeated")
    for tied in (["x", "x", "y", "y", "z"], ["y", "z", "x", "y", "x"], ["a", "b", "c", "d", "e"]):
        shares = dict(zip(tied, metric.statistics(tied, None)[:, 0], strict=True))
        assert value("most_repeated", tied) == pytest.approx(max(map(tied.count, tied)) / 5)
        assert len({share for share in shares.values() if share}) == 1  # whichever comes first


def test_repetition_by_hand():
    # 4-grams: abab baba abab baba -> 2 different of 4; abcd once; none
    assert value("repetition", ["a b a b a b a", "a b c d", "a b"]) == pytest.approx((1 / 2 + 0 + 0) / 3)


def test_self_bleu_is_the_mean_of_the_librarys_sentence_bleu_against_all_others(parlor):
    responses = [record.reference for record in parlor[:25]] + ["the cat", "the cat", "", "a a a a the the"]
    expected = [
        sacrebleu.sentence_bleu(text, responses[:i] + responses[i + 1 :], use_effective_order=True).score
        for i, text in enumerate(responses)
    ]
    metric = METRICS["self_bleu"]("self_bleu")
    assert metric.statistics(responses, None)[:, 0] == pytest.approx(expected)
    assert value("self_bleu", responses) == pytest.approx(np.mean(expected))
    assert np.isnan(metric.statistics(["alone"], None)).all()


def test_perplexity_by_hand():
    # perplexities e^1, e^2, e^5 over 2, 1 and 3 tokens
    assert value("perplexity_median", [2.0, 2.0, 15.0], [2, 1, 3]) == pytest.approx(math.exp(2))
    assert value("perplexity_corpus", [2.0, 2.0, 15.0], [2, 1, 3]) == pytest.approx(math.exp(19 / 6))
    assert value("judge_perplexity_median", [2.0, 2.0], [2, 1]) == pytest.approx(math.exp(1.5))


def test_keywords_by_hand():
    topic = "The guitar of a band.\nShe plays the guitar!"  # keywords: guitar, band, plays
    responses = ["Guitar plays it", "no", ""]
    assert value("topic_keywords", responses, [topic] * 3) == pytest.approx((2 / 3 + 0 + 0) / 3)


def test_sentiment_is_the_librarys():
    responses = ["I love this!", "That is awful.", "It is a table.", ""]
    compound = [SentimentIntensityAnalyzer().polarity_scores(text)["compound"] for text in responses]
    assert compound[0] > 0.5 and compound[1] < -0.3 and compound[2:] == [0, 0]
    assert value("sentiment_compound", responses) == pytest.approx(np.mean(compound))
    assert value("positive_rate", responses) == value("negative_rate", responses) == 1 / 4


def test_judged_numbers():
    assert value("topic_similarity", [0.5, 0.1]) == pytest.approx(0.3)
    assert value("judged_positive_rate", [0.5, 0.51, 0.9]) == pytest.approx(2 / 3)


def test_every_metric_is_listed_under_its_own_name_and_signs_its_numbers():
    for name, build in METRICS.items():
        metric = build(name)
        assert metric.measure == name and metric.signature.startswith(f"{name}|on:") and "|zsc:" in metric.signature


def test_every_metric_says_its_direction_and_what_it_needs():
    columns = {*build_columns([], {}, 5, [], []), "document", "formal_annotated", "informal_annotated"}
    for name, build in METRICS.items():
        metric = build(name)
        assert metric.better in ("higher", "lower") and family(name) in GROUPS
        assert not metric.judge or metric.judge in JUDGES, metric.judge
        assert set(metric.reads) <= columns and (metric.judge or metric.columns == metric.reads)


def test_what_metrics_say_of_themselves_by_hand():
    directions = {"knowledge_f1": "higher", "knowledge_copied_run": "lower", "perplexity_median": "lower",
                  "question_rate": "higher", "self_bleu": "lower", "negative_rate": "higher", "reference_ter": "lower",
                  "compression": "higher"}  # fmt: skip
    assert {name: described(name).better for name in directions} == directions
    assert [name for name in METRICS if described(name).beside] == ["phrase_copy_rate", "repetition", "distinct2"]
    assert [metric.measure for metric in fluency_metrics()] == [
        "judge_perplexity_median", "perplexity_corpus", "perplexity_median"
    ]  # fmt: skip
    assert described("topic_similarity").requirements == "judges.embedder=MODEL and topic"
    assert described("knowledge_entailment").requirements == "judges.entailment=MODEL and knowledge"
    assert described("exact_match").requirements == "reference"
    assert described("formal_accuracy").requirements == "formal_annotated and informal_annotated"
    assert described("reference_bleu").requirements == "reference" and described("length").requirements == ""
    assert all(described(name).logarithmic == ("perplexity" in name) for name in METRICS)


def test_of_a_metric_of_another_house_nothing_is_made_up():
    metric = described("their_metric")
    assert metric.measure == "their_metric" and metric.better is None and family("their_metric") == ""
    with pytest.raises(ZscError, match="no metric 'their_metric'"):
        metric.statistics(["a"], None)


def test_metrics_write_nothing(tmp_path, monkeypatch):
    import evaluate

    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    assert value("length", ["a b"]) == 2 and list(tmp_path.iterdir()) == []


def test_groups_stand_for_their_metrics_once():
    names = [metric.measure for metric in build_metrics(["question_rate", "questions", "length"])]
    assert names == ["question_rate", "question_sentence_rate", "length"]
    assert len(build_metrics(["all"])) == sum(map(len, GROUPS.values())) == len(METRICS)
    assert not (set(GROUPS) - {"length"}) & set(METRICS)


@pytest.mark.parametrize(
    ("names", "message"),
    [(["question_rat"], "Did you mean 'question_rate'"), (["topics"], "Did you mean 'topic'"), ([], "must be a list")],
)
def test_unknown_metric(names, message):
    with pytest.raises(ZscError, match=message):
        build_metrics(names)
