"""Metrics of translations, answers, summaries and registers: against sacrebleu's own functions and cases by hand."""

import math
from contextlib import nullcontext

import numpy as np
import pytest
import sacrebleu

from tests.data import RESPONSES, TEXTS
from zsc.data.record import Focus, Record
from zsc.generation.folder import RunFolder
from zsc.metrics import METRICS, build_metrics
from zsc.metrics.as_evaluate import AsEvaluate
from zsc.metrics.formality import has_phrase
from zsc.metrics.items import build_columns
from zsc.metrics.judges import Topic
from zsc.metrics.options import Resampling
from zsc.metrics.run import score_run
from zsc.metrics.score import cell_statistics, each_response

OF_SACREBLEU = {
    "reference_bleu": sacrebleu.corpus_bleu,
    "reference_chrf": sacrebleu.corpus_chrf,
    "reference_chrf_pp": lambda responses, streams: sacrebleu.corpus_chrf(responses, streams, word_order=2),
    "reference_ter": sacrebleu.corpus_ter,
}
SAID = ["the cat sat on the mat", "a dog ran away home", "", "on the mat sat the cat , it said"]
SEVERAL = [("a cat sat on a mat", "the cat is sitting on the mat"), ("he slept", "the dog ran home"),
           ("nothing", "none at all"),
           ("the cat sat on the mat , it said", "cats", "it said that it sat on the mat")]  # fmt: skip
GERMAN = [
    ("[F]Mögen Sie[/F] Lego? [F]Haben[/F] damals gespielt?", "[F]Magst du[/F] Lego? [F]Hast[/F] damals gespielt?"),
    ("Das ist [F]Ihr[/F] Buch.", "Das ist [F]dein[/F] Buch."),
]
JAPANESE = ("大変 [F]残念に思います[/F] 。", "大変 [F]残念に思う[/F] 。")


def value(name, predictions, references):
    metric = METRICS[name](name)
    return AsEvaluate(metric).compute(predictions=predictions, references=references)[name]


def by_response(metric, statistics):
    """The metric of each response, None where it has no value."""
    return [None if one != one else one for one in each_response(metric, statistics).tolist()]


def columns_of(references, responses=SAID, **fields):
    records = [
        Record(str(i), (), one[0], references=one if len(one) > 1 else (), fields=fields)
        for i, one in enumerate(references)
    ]
    rows = {str(i): {"response": response} for i, response in enumerate(responses)}
    return build_columns(records, rows, 5, [], [])


def fitted(name, columns):
    return METRICS[name](name).fitted([columns])[0]


@pytest.mark.parametrize("name", OF_SACREBLEU)
def test_against_one_reference_it_is_the_librarys(name):
    expected = OF_SACREBLEU[name](RESPONSES, [TEXTS]).score
    assert value(name, RESPONSES, TEXTS) == pytest.approx(expected) and expected > 0
    columns = columns_of([(text,) for text in TEXTS], RESPONSES)
    metric = fitted(name, columns)
    assert metric.value(cell_statistics(metric, columns)[:, None]) == pytest.approx(expected)
    assert metric.signature.startswith(f"{name}|on:response:reference|nrefs:1|")


@pytest.mark.parametrize("name", OF_SACREBLEU)
def test_against_several_references_it_is_the_librarys(name):
    columns = columns_of(SEVERAL)
    metric = fitted(name, columns)
    statistics = cell_statistics(metric, columns)
    streams = [[one[i] if i < len(one) else None for one in SEVERAL] for i in range(3)]
    assert metric.value(statistics[:, None]) == pytest.approx(OF_SACREBLEU[name](SAID, streams).score)
    first = OF_SACREBLEU[name](SAID, [[one[0] for one in SEVERAL]]).score
    assert metric.value(statistics[:, None]) != pytest.approx(first)
    assert metric.signature.startswith(f"{name}|on:response:accepted|nrefs:var|")
    assert AsEvaluate(metric).compute(predictions=SAID, references=SEVERAL)[name] == pytest.approx(
        metric.value(statistics[:, None])
    )
    repeated = [0, 3, 3, 1]
    weights = np.array([[1.0, 1, 0, 2]])
    again = OF_SACREBLEU[name]([SAID[i] for i in repeated], [[stream[i] for i in repeated] for stream in streams])
    assert metric.weighted(statistics[:, None], weights)[0] == pytest.approx(again.score)


def test_other_columns_than_the_reference_have_one_text():
    columns = {**columns_of(SEVERAL), "knowledge": ["the cat sat"] * 4}
    assert fitted("knowledge_bleu", columns).columns == ("response", "knowledge")


def test_the_tokenizer_is_that_of_the_script_with_several_references_too():
    references = [("我喜欢音乐和电影。", "我爱音乐。"), ("他们昨天去了城市。",)]
    columns = columns_of(references, ["我喜欢音乐。", "他昨天去了城市。"])
    metric = fitted("reference_bleu", columns)
    expected = sacrebleu.corpus_bleu(columns["response"], [[one[0] for one in references], [references[0][1], None]],
                                     tokenize="zh").score  # fmt: skip
    assert metric.value(cell_statistics(metric, columns)[:, None]) == pytest.approx(expected) and expected > 10
    assert "|tok:zh|" in metric.signature


def test_ter_by_hand_also_against_nothing():
    # one shift of "the cat" and one word inserted, in 5 words; one word replaced, in 2
    assert value("reference_ter", ["sat the cat there", "no way"], ["the cat sat over there", "no idea"]) == (
        pytest.approx(100 * (2 + 1) / 7)
    )
    metric = METRICS["reference_ter"]("reference_ter")
    sums = np.array([[3.0, 0], [0, 0], [1, 4]])
    expected = [sacrebleu.TER()._compute_score_from_stats(row).score for row in sums.tolist()]
    assert metric.from_sums(sums, np.ones(3)).tolist() == expected == [100, 0, 25]


@pytest.mark.parametrize(
    ("response", "answers", "exact", "f1"),
    [
        ("The U.S.", ["us", "America"], 1, 1),  # punctuation goes, and leaves no space
        ("well-known", ["well known"], 0, 0),
        ("the  Eiffel\tTower!", ["eiffel tower"], 1, 1),
        ("in Paris, France", ["Paris", "a city in France"], 0, 2 * 2 / (3 + 3)),  # the better one: of in, france
        ("theatre an", ["Theatre"], 1, 1),  # an article is a whole word
        ("go go go", ["go go stop"], 0, 2 * 2 / (3 + 3)),
        ("the", ["a"], 1, 0),  # as published: no word left matches exactly, without a word in common
        ("", ["x"], 0, 0),
        ("Élan", ["élan"], 1, 1),
        ("ja。", ["ja"], 0, 0),  # only ASCII punctuation goes
    ],
)
def test_answers_by_hand(response, answers, exact, f1):
    assert value("exact_match", [response], [answers]) == exact
    assert value("answer_f1", [response], [answers]) == pytest.approx(f1)


def test_answers_by_the_steps_that_were_published():
    """Lower case, then characters of punctuation, then articles, then white space; precision, recall, best answer."""
    from re import sub
    from string import punctuation

    def tokens(text):
        kept = "".join(character for character in text.lower() if character not in set(punctuation))
        return sub(r"\b(a|an|the)\b", " ", kept).split()

    def f1(one, other):
        same = sum(min(one.count(word), other.count(word)) for word in set(one))
        if not same:
            return 0
        precision, recall = same / len(one), same / len(other)
        return 2 * precision * recall / (precision + recall)

    rng = np.random.default_rng(0)
    parts = np.array(["the", "a", "U.S.", "dog", "dog's", "Dog", "--", "an.", "an-other", "'the'", "7", "ÉA", "thé"])
    said = [" ".join(rng.choice(parts, rng.integers(0, 5))) for _ in range(300)]
    answers = [[" ".join(rng.choice(parts, rng.integers(1, 4))) for _ in range(rng.integers(1, 4))] for _ in said]
    pairs = list(zip(said, answers, strict=True))
    exact = [max(tokens(one) == tokens(answer) for answer in known) for one, known in pairs]
    best = [max(f1(tokens(one), tokens(answer)) for answer in known) for one, known in pairs]
    assert value("exact_match", said, answers) == pytest.approx(np.mean(exact)) and 0.02 < np.mean(exact) < 0.5
    assert value("answer_f1", said, answers) == pytest.approx(np.mean(best)) and 0.1 < np.mean(best) < 0.9


def test_a_question_without_an_answer_has_no_value():
    records = [Record("0", (), "Paris", fields={"question": "Where?"}), Record("1", (), fields={"question": "Why?"})]
    columns = build_columns(records, {"0": {"response": "paris"}, "1": {"response": ""}}, 5, [], [])
    for name in ("exact_match", "answer_f1"):
        metric = METRICS[name](name)
        assert by_response(metric, cell_statistics(metric, columns)) == [1, None]


def test_coverage_of_the_focus_by_hand():
    # of tower, paris: both; of the, eiffel, tower, in: the, tower, though "the" is there twice; no word: no value
    metric = METRICS["focus_coverage"]("focus_coverage")
    focus = [["Paris", "tower"], ["the Eiffel tower", "in the"], ["?!"], ["Paris"]]
    said = ["A TOWER (Paris).", "The tower; the tower!", "x", ""]
    assert by_response(metric, metric.statistics(said, focus)) == [1, 2 / 4, None, 0]
    records = [Record("0", (), fields={"document": "x"}, focus=(Focus("x"), Focus("y", "document", 0)))]
    columns = build_columns([*records, Record("1", ())], {i: {"response": "y z"} for i in "01"}, 5, [], [])
    assert by_response(metric, cell_statistics(metric, columns)) == [1 / 2, None]


def test_compression_by_hand():
    documents = ["one two three four", "five six seven eight nine ten", "a b"]
    assert value("compression", ["one three", "five", ""], documents) == (4 + 6 + 2) / (2 + 1 + 0)
    metric = METRICS["compression"]("compression")
    assert by_response(metric, metric.statistics(["one three", "five", ""], documents)) == [2, 6, None]
    assert not math.isfinite(metric.value(metric.statistics([""], ["a b"])[:, None]))


@pytest.mark.parametrize(
    ("response", "formal", "informal"),
    [
        ("Mögen Sie Lego? Spielten Sie damals?", True, False),
        ("Magst du Lego?", False, True),
        ("Sie mögen Lego", False, False),  # case counts: mögen is not Mögen
        ("Sie alle Mögen Lego", True, False),  # each word of a phrase, in any order and place
        ("Mögen Sie, Lego?", False, False),  # "Sie," is another word
        ("Haben wir damals?", True, False),  # any one phrase is enough
        ("Mögen Sie Lego? Hast es gespielt?", True, True),
        ("Mögen  Sie  Lego", True, False),
        ("damals gespielt? Lego?", False, False),  # what is not annotated does not count
        ("", False, False),
    ],
)
def test_phrases_of_a_register_by_hand(response, formal, informal):
    assert [has_phrase(response, text, whole=False) for text in GERMAN[0]] == [formal, informal]


def test_matched_accuracy_by_hand():
    # formal; informal; of both; of neither; formal
    said = ["Haben Sie es?", "Hast es", "Mögen Sie es, Magst du es", "Ja.", "Ihr Buch"]
    pairs = [GERMAN[0]] * 4 + [GERMAN[1]]
    assert value("formal_accuracy", said, pairs) == pytest.approx(2 / 3)
    assert value("informal_accuracy", said, pairs) == pytest.approx(1 / 3)
    assert value("formality_matched", said, pairs) == pytest.approx(3 / 5)
    assert value("formal_accuracy", said[2:4], pairs[2:4]) == 0  # of none decided, as published
    for name in ("formal_accuracy", "informal_accuracy"):
        metric = METRICS[name](name)
        statistics = metric.statistics(said, pairs)[:, None]
        weights = np.array([[2.0, 3, 1, 1, 0], [0, 0, 1, 1, 0]])
        expected = [value(name, [said[i] for i in (0, 0, 1, 1, 1, 2, 3)], [GERMAN[0]] * 7), 0]
        assert metric.weighted(statistics, weights).tolist() == pytest.approx(expected)


def test_languages_without_spaces_match_phrases_as_they_stand():
    said = ["それは残念に思います。", "残念に思うよ"]  # no space parts a word
    assert value("formal_accuracy", said, [JAPANESE] * 2) == value("informal_accuracy", said, [JAPANESE] * 2) == 0.5
    assert value("formality_matched", said, [JAPANESE] * 2) == 1
    fields = {"formal_annotated": JAPANESE[0], "informal_annotated": JAPANESE[1]}
    columns = columns_of([("x",)] * 2, said, **fields)
    for name, expected in [("formal_accuracy", [1, 0]), ("informal_accuracy", [0, 1]), ("formality_matched", [1, 1])]:
        metric = fitted(name, columns)
        assert "|match:whole|" in metric.signature
        assert by_response(metric, cell_statistics(metric, columns)) == expected
    words = {"formal_annotated": GERMAN[0][0], "informal_annotated": GERMAN[0][1]}
    assert "|match:words|" in fitted("formal_accuracy", columns_of([("x",)], ["y"], **words)).signature


def run_of(tmp_path, records, responses):
    folder = RunFolder(tmp_path / "run")
    folder.create("layout: {}", {"identity": "x", "settings": ["off", "on"], "seeds": [0]}, records)
    folder.write_rows(
        [
            {"setting": setting, "seed": 0, "id": record.id, "response": response, "nll": 1.0, "tokens": 2}
            for setting in ("off", "on")
            for record, response in zip(records, responses[setting], strict=True)
        ]
    )
    return folder


def test_a_run_of_annotated_translations_is_scored(tmp_path):
    records = [
        Record(str(i), (), "Haben Sie es?", fields={"formal_annotated": one, "informal_annotated": other},
               references=("Haben Sie es?", "Hast du es?"))
        for i, (one, other) in enumerate([GERMAN[0], GERMAN[1], GERMAN[0]])
    ]  # fmt: skip
    responses = {"off": ["Hast es", "dein Buch", "Haben es"], "on": ["Haben Sie es?", "Ihr Buch", "Nein"]}
    names = ["formal_accuracy", "formality_matched", "exact_match", "reference_ter", "judged_formal_rate"]
    unwatched = lambda judge, total: nullcontext(lambda count: None)  # noqa: E731
    folder = run_of(tmp_path, records, responses)
    table, signatures = score_run(folder, build_metrics(names), [], Topic("", []), 5, Resampling(50), unwatched)
    found = {(row.setting, row.metric): row for row in table}
    assert found["off", "formal_accuracy"].value == pytest.approx(1 / 3)
    assert found["on", "formal_accuracy"].value == 1 and found["on", "formality_matched"].value == pytest.approx(2 / 3)
    assert found["difference", "formal_accuracy"].value == pytest.approx(2 / 3)
    assert found["on", "exact_match"].value == pytest.approx(1 / 3)
    streams = [["Haben Sie es?"] * 3, ["Hast du es?"] * 3]
    assert found["off", "reference_ter"].value == pytest.approx(sacrebleu.corpus_ter(responses["off"], streams).score)
    assert set(signatures) == set(names[:-1])


def test_a_field_does_not_pass_for_what_a_judge_says(tmp_path):
    records = [Record("0", (), "x", fields={"formal_probability": "high", "judge_nll": "3"})]
    metrics = build_metrics(["judged_formal_rate", "judge_perplexity_corpus", "length"])
    folder = run_of(tmp_path, records, {"off": ["a"], "on": ["b"]})
    table, _ = score_run(folder, metrics, [], Topic("", []), 5, Resampling(50), None)
    assert {row.metric for row in table} == {"length"}
