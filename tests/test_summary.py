"""What a run found, in words: cases worked by hand."""

import pytest

from zsc.metrics import DEFAULT, METRICS, described
from zsc.metrics.score import Row
from zsc.tables.summary import alone, listed, main_metric, strongest, summary


def rows_of(metric, values, tests=()):
    """Rows of ``metric`` in settings with ``values`` by name, and of differences with (setting, value, p)."""
    names = list(values)
    rows = [Row(name, metric, value, value, value, 4, 1, 0) for name, value in values.items()]
    for name, change, p in tests:
        called = "difference" if len(names) == 2 else f"difference: {name}"
        rows.append(Row(called, metric, change, change, change, 4, 1, 0, p=p, p_holm=p, effect=0.5))
    return rows


def two(metric, off, on, p):
    return rows_of(metric, {"off": off, "on": on}, [("on", on - off, p)])


ROWS = [
    *two("knowledge_precision", 0.392, 0.576, 0.002),
    *two("knowledge_rouge1", 0.377, 0.574, 0.002),  # which has no words
    *two("knowledge_copied_run", 0.343, 0.525, 0.002),
    *two("novelty", 0.670, 0.479, 0.049),
    *two("question_rate", 0.074, 0.046, 0.058),
    *two("length", 15.86, 17.83, 0.002),
    *two("repetition", 0.001, 0.003, 0.05),
]


def test_only_what_is_significant_is_told_as_a_change_for_better_and_for_worse():
    assert summary(ROWS, 720, {"on": 638}, {}) == [
        "638 of 720 responses changed. Knowledge precision 0.392 to 0.576; more is copied word for word: 0.343 to"
        " 0.525; less is new: 0.670 to 0.479; responses are longer in words: 15.9 to 17.8. No significant change of"
        " questions or repetition."
    ]


def test_what_the_setting_is_meant_to_move_comes_first_whether_it_moved_or_not():
    (said,) = summary(ROWS, 720, {"on": 638}, {"on": ["length", "novelty", "not_scored"]})
    assert said.startswith(
        "638 of 720 responses changed. Responses are longer in words: 15.9 to 17.8; less is new: 0.670"
    )
    (said,) = summary(ROWS, 720, {"on": 638}, {"on": ["question_rate"]})
    assert said.startswith("638 of 720 responses changed. No significant change of questions or repetition. Knowledge")


def test_nothing_changed():
    same = [*two("length", 3.0, 3.0, 1.0), *two("novelty", 0.5, 0.5, 1.0), *two("repetition", 0.0, 0.0, 1.0)]
    assert summary(same, 1234, {"on": 0}, {}) == [
        "0 of 1,234 responses changed. No significant change of length, novelty or repetition."
    ]


def test_what_is_not_tested_or_not_known_here_is_not_told():
    rows = [*rows_of("length", {"off": 3.0, "on": None}), *two("their_metric", 1.0, 2.0, 0.001)]
    rows.append(Row("difference", "length", None, None, None, 0, 1, 4))
    assert summary(rows, 4, {"on": 4}, {}) == ["4 of 4 responses changed."]


def many(*names):
    values = {"off": 3.0} | {name: 3.0 + i for i, name in enumerate(names, start=1)}
    return rows_of("length", values, [(name, float(i), 0.01) for i, name in enumerate(names, start=1)])


def test_a_few_settings_have_a_paragraph_each_and_of_many_the_strongest_is_told():
    few = summary(many("a", "b", "c"), 9, {"a": 2, "b": 9, "c": 5}, {})
    assert few == [
        "a: 2 of 9 responses changed. Responses are longer in words: 3.000 to 4.000.",
        "b: 9 of 9 responses changed. Responses are longer in words: 3.000 to 5.000.",
        "c: 5 of 9 responses changed. Responses are longer in words: 3.000 to 6.000.",
    ]
    assert summary(many("a", "b", "c", "d"), 9, {"a": 2, "b": 9, "c": 5, "d": 9}, {}) == [
        "Of 4 settings, d is farthest from off in length: 9 of 9 responses changed."
        " Responses are longer in words: 3.000 to 7.000."
    ]


def test_the_strongest_setting_is_the_one_that_moved_what_it_is_meant_to_move_the_most_up_or_down():
    values = {"off": 3.0, "a": 4.0, "b": 1.0, "c": 5.0, "d": None}
    changes = [("a", 1.0, 0.01), ("b", -2.0, 0.9), ("c", 2.0, 0.01), ("d", None, None)]
    rows = [*many("a", "b", "c", "d"), *rows_of("novelty", values, changes)]
    assert strongest(rows, "novelty") == "b" and strongest(rows, "length") == "d"
    assert main_metric(rows, {"a": ["not_scored", "novelty"]}) == "novelty"
    assert main_metric(rows, {}) == main_metric(rows, {"a": ["not_scored"]}) == "length"


def test_a_setting_alone():
    rows = [*rows_of("length", {"off": 3.0}), *rows_of("knowledge_rouge1", {"off": 1.0})]
    assert summary(rows, 4, {}, {}) == ["4 responses of off, with nothing to compare them to: length 3.000."]
    assert alone(rows[1:], "off", 4) == "4 responses of off, with nothing to compare them to."


def test_lists():
    assert [listed(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a or b", "a, b or c"]


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_has_words_wherever_it_says_how_it_rose_and_fell(name):
    metric = described(name)
    assert bool(metric.risen) == bool(metric.fallen) and all("\n" not in one for one in (metric.words, metric.risen))


def test_metrics_that_are_scored_where_none_are_named_are_told_under_names_of_their_own():
    told = [described(name).words for name in DEFAULT if described(name).words]
    assert len(set(told)) == len(told) >= 10
