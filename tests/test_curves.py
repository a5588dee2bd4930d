"""Dose-response series and frontiers, worked by hand."""

import math

import pytest

from zsc.metrics.score import Row
from zsc.tables.curves import dose_series, frontier, points
from zsc.tables.kinds import moved_by


def row(setting, metric, value, margin=0.5):
    low, high = (None, None) if value is None else (value - margin, value + margin)
    return Row(setting, metric, value, low, high, 10, 1, 0)


def scores(**of_metrics):
    return {
        (setting, metric): row(setting, metric, value)
        for metric, values in of_metrics.items()
        for setting, value in values.items()
    }


def bias(strength, **more):
    return {"knob": "attn_bias", "profile": "knowledge", "layers": None} | more | {"strength": strength}


def test_series_by_hand():
    knobs = {
        "off": [],
        "k5": [bias(5)],
        "d2": [bias(2, profile="dialog")],
        "k0": [bias(0.0)],
        "both": [bias(5), {"knob": "ctx_aug", "strength": 5, "label": "questions"}],
        "swap": [{"knob": "swap", "by": "random"}],
        "k2": [bias(2.0)],
        "c": [{"knob": "ctx_aug", "strength": 5, "label": "questions", "count": 10}],
        "c3": [{"knob": "ctx_aug", "strength": 1, "label": "questions", "count": 3}],
        "m": [{"knob": "dec_mix", "level": "probs", "weight": 0.5}],
    }
    found = {(one.knob, one.label): one for one in dose_series(knobs)}
    assert {place: one.doses for place, one in found.items()} == {
        ("attn_bias", "knowledge"): ((0, "k0"), (1, "off"), (2, "k2"), (5, "k5")),
        ("attn_bias", "dialog"): ((1, "off"), (2, "d2")),
        ("ctx_aug", "questions, count 10"): ((0, "off"), (5, "c")),
        ("ctx_aug", "questions, count 3"): ((0, "off"), (1, "c3")),
        ("dec_mix", "probs"): ((0, "off"), (0.5, "m")),
    }
    assert found["attn_bias", "knowledge"].tested == [(0, "k0"), (2, "k2"), (5, "k5")]
    assert [found[place].dose.field for place in found] == ["strength"] * 4 + ["weight"]


def test_a_neutral_setting_of_its_own_stands_for_off_and_layers_tell_series_apart():
    one, other = dose_series({"off": [], "k1": [bias(1.0)], "k1 of 0": [bias(1, layers=[0])]})
    assert one.doses == ((1, "k1"),) and one.tested == [] and one.label == "knowledge, layers all"
    assert other.label == "knowledge, layers [0]"


def test_points_without_a_value_are_left_out():
    (series,) = dose_series({"off": [], "k2": [bias(2)], "k5": [bias(5)]})
    table = scores(length={"off": 3, "k2": None, "k5": 7})
    assert [(p.dose, p.setting, *p.metric) for p in points(series, table, "length")] == [
        (1, "off", 3, 2.5, 3.5),
        (5, "k5", 7, 6.5, 7.5),
    ]
    assert points(series, table, "novelty") == []


def test_a_frontier_by_hand():
    # perplexity: lower is better. b is beaten by c, d by off; a and c trade one for the other.
    table = scores(
        question_rate={"off": 0.1, "a": 0.3, "b": 0.5, "c": 0.6, "d": 0.05, "e": 0.9},
        perplexity_corpus={"off": 2.0, "a": 3.0, "b": 5.0, "c": 4.0, "d": 2.0, "e": 12.0},
    )
    found = frontier(["off", "a", "b", "c", "d", "e"], table, "question_rate", "perplexity_corpus")
    assert [spot.setting for spot in found.front] == ["off", "a", "c", "e"]
    assert {spot.setting for spot in found.spots if spot.dominated} == {"b", "d"}
    # over the front and off: control from 0.1 to 0.9, fluency from 12 to 2
    distances = {"off": 1.0, "a": math.hypot(0.6 / 0.8, 0.1), "c": math.hypot(0.3 / 0.8, 0.2), "e": 1.0}
    assert {spot.setting: spot.distance for spot in found.front} == pytest.approx(distances)
    assert found.best == found.nearest == "c" and found.lacking == ()


def test_a_frontier_where_both_are_better_lower():
    table = scores(repetition={"off": 4, "a": 1, "b": 2}, self_bleu={"off": 4, "a": 2, "b": 1})
    found = frontier(["off", "a", "b"], table, "repetition", "self_bleu")
    assert [spot.setting for spot in found.front] == ["b", "a"]  # off, beaten by both, sets the scale
    assert found.find("off").dominated and found.find("off").distance == pytest.approx(math.sqrt(2))
    assert found.find("a").distance == pytest.approx(1 / 3) and found.best == "a"


@pytest.mark.parametrize(
    ("control", "fluency"),
    [
        ({"off": 0.1, "a": 0.3}, {"off": 2.0, "a": 3.0}),  # a trade, in which both are as far from the ideal
        ({"off": 0.3, "a": 0.3}, {"off": 2.0, "a": 2.0}),  # no difference at all
    ],
)
def test_a_tie_goes_to_off(control, fluency):
    found = frontier(["off", "a"], scores(question_rate=control, perplexity_corpus=fluency),
                     "question_rate", "perplexity_corpus")  # fmt: skip
    assert found.best is None and found.nearest == "a"


def test_off_may_be_the_best():
    table = scores(novelty={"off": 0.8, "a": 0.7, "b": 0.9}, distinct2={"off": 0.8, "a": 0.7, "b": 0.1})
    found = frontier(["off", "a", "b"], table, "novelty", "distinct2")
    assert [spot.setting for spot in found.front] == ["off", "b"] and found.best is None and found.nearest == "b"


def test_off_may_beat_all_others():
    table = scores(novelty={"off": 0.8, "a": 0.6, "b": 0.7}, distinct2={"off": 0.8, "a": 0.7, "b": 0.7})
    found = frontier(["off", "a", "b"], table, "novelty", "distinct2")
    assert [spot.setting for spot in found.front] == ["off"] and found.best is None and found.nearest == "b"


def test_settings_without_values_are_named():
    table = scores(novelty={"off": None, "a": 0.5, "b": 0.4}, distinct2={"off": 1, "a": None, "b": 0.3})
    found = frontier(["off", "a", "b"], table, "novelty", "distinct2")
    assert found.lacking == ("off", "a") and found.best == "b"
    nothing = frontier(["off", "a"], table, "novelty", "distinct2")
    assert nothing.spots == nothing.front == () and nothing.best is nothing.nearest is None


def test_a_knob_that_is_not_known_here_has_no_curve_and_moves_the_default():
    assert dose_series({"off": [], "x": [{"knob": "gone", "strength": 3.0}]}) == []
    assert moved_by({"knob": "gone"}) == moved_by(None) == ("knowledge_precision", "knowledge_rouge1")
    assert moved_by({"knob": "ctx_aug", "label": "topic_music"}) == ("topic_keywords",)
