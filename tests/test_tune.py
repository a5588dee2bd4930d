"""Tuning: the search against exhaustive search on made-up costs, and the command on a tiny model."""

import json

import pytest

from zsc.data.record import Record, Turn
from zsc.errors import ZscError
from zsc.knobs import Dose
from zsc.metrics.score import Row
from zsc.study.budget import Budget, between, parse_budget, strongest_allowed
from zsc.study.tune import Search, Trial, halves

RECORDS = [Record(str(i), (Turn("a", "Hi."),)) for i in range(11)]


@pytest.mark.parametrize(
    ("text", "off", "inside", "outside"),
    [
        ("length:+10%", 20.0, [22.0, 5.0, 20.0], [22.1, 40.0]),
        ("length:-10%", 20.0, [18.0, 50.0], [17.9, 0.0]),
        ("distinct2:-0.05", 0.5, [0.45, 0.9], [0.44]),
        ("fluency:+2", 4.0, [6.0, 1.0], [6.1]),
        ("question_rate:+50%", 0.0, [0.0], [0.01]),
        ("length:+10%", -4.0, [-3.6], [-3.5]),
        ("length:+0%", 20.0, [20.0, 19.0], [20.1]),
    ],
)
def test_budgets_by_hand(text, off, inside, outside):
    budget = parse_budget(text, "perplexity_corpus")
    assert budget.metric == text.split(":")[0].replace("fluency", "perplexity_corpus")
    assert all(budget.allows(budget.cost(off, on)) for on in inside)
    assert not any(budget.allows(budget.cost(off, on)) for on in outside)
    assert not budget.allows(float("nan"))


@pytest.mark.parametrize("text", ["fluency", "fluency:10%", "fluency:+x%", ":+1", "fluency:+-1", "", "a b:+1"])
def test_ill_formed_budgets(text):
    with pytest.raises(ZscError, match="must say how far a metric may rise or fall: fluency"):
        parse_budget(text, "x")


def test_doses_between_two_by_hand():
    assert between(1, 16, 4, last=True, geometric=True) == [2, 4, 8, 16]
    assert between(1, 16, 3, last=False, geometric=True) == [2, 4, 8]
    assert between(0, 1, 4, last=True, geometric=False) == [0.25, 0.5, 0.75, 1]
    assert between(1, 0.01, 2, last=True, geometric=True) == [0.1, 0.01]
    assert between(5, 5.004, 6, last=False, geometric=True) == []  # three digits do not tell them apart


def test_the_first_dose_outside_ends_what_is_allowed():
    budget = Budget("x", falls=False, most=1, relative=False)
    assert strongest_allowed([0, 0.5, 2, 0.1], budget) == 2 and strongest_allowed([3], budget) == 0


def searched(cost, budget, weakest=1.0, strongest=100.0, geometric=True, points=6, rounds=3):
    row = Row("s", "x", 0.0, 0.0, 0.0, 1, 1, 0)
    tried = []

    def score(doses):
        tried.extend(doses)
        return [Trial(dose, str(dose), row, row, row, row, cost(dose)) for dose in doses]

    return Search(budget, weakest, strongest, geometric, score).run(points, rounds), tried


@pytest.mark.parametrize("edge", [1.7, 3.0, 9.5, 40.0, 99.0])
def test_the_search_closes_in_on_where_the_budget_ends(edge):
    budget = Budget("x", falls=False, most=edge, relative=False)
    best, tried = searched(lambda dose: dose, budget)
    assert edge / 1.02 < best.dose <= edge and len(tried) == len(set(tried)) <= 18


def test_a_range_that_is_all_inside_and_one_that_is_all_outside():
    free = Budget("x", falls=False, most=1e9, relative=False)
    best, tried = searched(lambda dose: dose, free)
    assert best.dose == 100 and len(tried) == 6
    best, tried = searched(lambda dose: 1.0, Budget("x", falls=False, most=0.5, relative=False))
    assert best is None and max(tried[6:]) < min(tried[:6])


def test_what_exceeds_the_budget_below_is_not_jumped_over():
    budget = Budget("x", falls=False, most=1, relative=False)
    best, _ = searched(lambda dose: 2.0 if 5 < dose < 20 else 0.0, budget)
    assert best.dose <= 5


def test_weights_are_searched_evenly():
    budget = Budget("x", falls=False, most=0.33, relative=False)
    best, tried = searched(lambda dose: dose, budget, 0.0, 1.0, geometric=False)
    assert tried[:6] == [0.167, 0.333, 0.5, 0.667, 0.833, 1] and 0.325 < best.dose <= 0.33


def test_halves_share_nothing_and_lose_nothing():
    first, second = halves(RECORDS, 0)
    assert {r.id for r in first} | {r.id for r in second} == {r.id for r in RECORDS}
    assert len(first) == 5 and len(second) == 6 and halves(RECORDS, 0) == (first, second) != halves(RECORDS, 1)


@pytest.fixture
def tune(command, checkpoint):
    common = [f"model={checkpoint}", "model.device=cpu", "dataset.limit=8", "seeds=[0]", "resampling.resamples=20",
              "decoding.max_new_tokens=5", "points=3", "rounds=2"]  # fmt: skip
    return lambda *arguments: command("tune", *common, *arguments)


def test_the_command_prints_trials_a_confirmation_and_what_to_run(tune):
    code, out, err = tune("knob=attn_bias", "target=question_rate", "budget=fluency:+900%")
    assert code == 0, err
    assert out.count("4 searched") == 3 and out.count("4 held out") == 1
    assert "attn_bias(knowledge, 100) is the strongest found inside perplexity_corpus +900.0%" in out
    assert "confirmed" in out and "The budget is not used up at strongest=100" in out
    command = out.splitlines()[-1].split()
    assert command[:2] == ["zsc", "run"] and command[-2:] == ["knob=attn_bias", "knob.strength=100"]
    assert "dataset.limit=8" in command and not any(word.startswith(("target", "budget", "seeds")) for word in command)
    code, out, err = tune("knob=ctx_aug", "target=length", "budget=perplexity_corpus:+900%", "format=json")
    rows = json.loads(out)
    assert code == 0 and [row["inside"] for row in rows] == ["yes"] * 4 and "is the strongest found" in err
    assert rows[-1]["setting"] == rows[-2]["setting"] == "ctx_aug(questions, 100, K=10)"


def test_no_dose_inside_is_said_with_what_was_tried(tune):
    long = ["knob=attn_bias", "target=length", "weakest=50", "strongest=1e6", "decoding.max_new_tokens=20"]
    ends = [tune(*long, f"budget=perplexity_corpus:{sign}0") for sign in "+-"]
    refused = [err for code, _, err in ends if code == 2]
    assert len(refused) == 1 and "not even the weakest dose tried, 1360, stays inside" in refused[0]
    assert all(out.count("4 searched") >= 3 for _, out, _ in ends)


@pytest.mark.parametrize(
    ("dose", "allowed", "refused", "words"),
    [
        (Dose("a", 1, 1, 100, geometric=True), [1e-9, 1e9], [0, -1], "a number above 0"),
        (Dose("a", 0, 0, 1, geometric=False, most=1), [0, 1], [-0.1, 1.1], "a number from 0 to 1"),
        (Dose("a", 3, 3, 9, geometric=True, least=2, most=9), [2, 9], [1, 10], "a number from 2 to 9"),
        (Dose("a", 0, 0, 1, geometric=False), [0, 7], [-1], "a number from 0"),
    ],
)
def test_where_a_dose_may_be_searched(dose, allowed, refused, words):
    assert all(map(dose.searchable, allowed)) and not any(map(dose.searchable, refused))
    assert dose.search_range == words


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["knob=attn_bias", "target=length"], "budget has no value"),
        (["knob=attn_bias", "target=lenght", "budget=fluency:+1"], "Did you mean 'length'"),
        (["knob=attn_bias", "target=length", "budget=fluncy:+1"], "no metric 'fluncy'"),
        (["knob=attn_bias", "target=length", "budget=10%"], "must say how far"),
        (["target=length", "budget=fluency:+1"], "searches the dose of one knob"),
        (["knob=[attn_bias,ctx_aug]", "target=length", "budget=fluency:+1"], "searches the dose of one knob"),
        (["knob=swap", "knob.by=random", "target=length", "budget=fluency:+1"], "searches the dose of one"),
        (["knob=attn_bias", "knob.strength=[1,2]", "target=length", "budget=fluency:+1"], "give no lists"),
        (["knob=attn_bias", "target=length", "budget=fluency:+1", "strongest=0"], "strongest=0 must be a number above"),
        (["knob=attn_bias", "target=length", "budget=fluency:+1", "weakest=7", "strongest=7"], "nothing between"),
        (["knob=attn_bias", "target=length", "budget=fluency:+1", "rounds=0"], "rounds=0 must be a whole number"),
        (["knob=attn_bias", "target=length", "budget=fluency:+1", "dataset.limit=3"], "3 examples are too few"),
        (["knob=attn_bias", "target=topic_keywords", "budget=fluency:+1"], "topic_keywords has no value"),
    ],
)
def test_bad_input_is_one_line(tune, arguments, message):
    code, _, err = tune(*arguments)
    assert code == 2 and message in err.splitlines()[-1] and "Traceback" not in err, err
