"""Tuning: the search against exhaustive search on made-up scores, what is said of it, and the command."""

import json
import math

import pytest

from zsc.data.record import Record, Turn
from zsc.errors import ZscError
from zsc.knobs import Dose
from zsc.metrics.score import DIFFERENCE, Row
from zsc.study.budget import Aim, Budget, budgets_for, parse_budget, parse_gain
from zsc.study.search import Search, allowed, between, trials_of
from zsc.study.tune import halves
from zsc.study.verdict import Tuned, trial_row, verdict

RECORDS = [Record(str(i), (Turn("a", "Hi."),)) for i in range(13)]
GEOMETRIC = Dose("strength", 1, 1, 100, geometric=True)
AIM = Aim("knowledge_precision", falls=False, least=0.05, relative=True)
COPYING = Budget("knowledge_copied_run", falls=False, most=0.1, relative=False)
PERPLEXITY = Budget("perplexity_corpus", falls=False, most=0.1, relative=True)


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


@pytest.mark.parametrize(
    ("text", "metric", "off", "reached", "missed", "shown"),
    [
        ("5%", "knowledge_precision", 0.4, [0.421, 0.9], [0.419, 0.3], "knowledge_precision +5.0% or more"),
        ("0.02", "question_rate", 0.0, [0.02], [0.019, -1.0], "question_rate +0.02 or more"),
        ("5%", "question_rate", 0.0, [0.001], [0.0], "question_rate +5.0% or more"),
        ("10%", "repetition", 0.5, [0.44], [0.46, 0.6], "repetition -10.0% or less"),
        ("-10%", "question_rate", 0.5, [0.44], [0.46, 0.6], "question_rate -10.0% or less"),
        ("0", "length", 20.0, [20.1], [20.0, 19.0], "more length"),
        ("+10%", "reference_ter", 50.0, [55.1], [54.0, 20.0], "reference_ter +10.0% or more"),
    ],
)
def test_gains_by_hand(text, metric, off, reached, missed, shown):
    aim = parse_gain(text, metric)
    assert all(aim.reached(aim.gain(off, on)) for on in reached)
    assert not any(aim.reached(aim.gain(off, on)) for on in [*missed, math.nan])
    assert str(aim) == shown


@pytest.mark.parametrize("text", ["much", "5 %", "--5%", "", "5%%", "nan"])
def test_ill_formed_gains(text):
    with pytest.raises(ZscError, match="must say by how much the target is to change: 5%, 0"):
        parse_gain(text, "length")


def test_targets_against_knowledge_have_a_budget_of_copying():
    default = "knowledge_copied_run:+0.1"

    def found(target, *given, copying=default):
        return [str(budget) for budget in budgets_for(target, given, copying, "perplexity_corpus")]

    fluency = "perplexity_corpus +10.0%"
    assert found("knowledge_precision", "fluency:+10%") == [fluency, "knowledge_copied_run +0.1"]
    assert found("knowledge_entailment", "fluency:+10%") == [fluency, "knowledge_copied_run +0.1"]
    assert found("question_rate", "fluency:+10%") == found("reference_bleu", "fluency:+10%") == [fluency]
    assert found("knowledge_precision", "fluency:+10%", copying=None) == [fluency]
    assert found("knowledge_copied_run", "fluency:+10%") == [fluency]
    assert found("knowledge_bleu", "knowledge_copied_run:+0.3") == ["knowledge_copied_run +0.3"]
    with pytest.raises(ZscError, match="copying=some must say how far"):
        found("knowledge_precision", "fluency:+10%", copying="some")


def test_doses_between_two_by_hand():
    assert between(1, 16, 4, last=True, geometric=True) == [2, 4, 8, 16]
    assert between(1, 16, 3, last=False, geometric=True) == [2, 4, 8]
    assert between(0, 1, 4, last=True, geometric=False) == [0.25, 0.5, 0.75, 1]
    assert between(1, 0.01, 2, last=True, geometric=True) == [0.1, 0.01]
    assert between(5, 5.004, 6, last=False, geometric=True) == []  # three digits do not tell them apart


def table(off, on, p=0.001, half=0.01, n=120):
    """A score table: metrics of the model without knobs and of settings, with intervals of so much to each side."""
    several, rows = len(on) > 1, []
    for metric, base in off.items():
        rows.append(Row("off", metric, base, base - half, base + half, n, 1, 0))
        for setting, values in on.items():
            value, name = values[metric], f"{DIFFERENCE}: {setting}" if several else DIFFERENCE
            rows.append(Row(setting, metric, value, value - half, value + half, n, 1, 0))
            rise = value - base
            rows.append(Row(name, metric, rise, rise - half, rise + half, n, 1, 0, p=p))
    return rows


def scorer(target, costs=None, aim=AIM, budgets=(), **options):
    """Scores of doses by functions of them; with ``tried`` in ``options``, the doses go there."""
    costs, tried = costs or {}, options.pop("tried", [])
    functions = {aim.metric: target, **costs}

    def score(doses):
        tried.extend(doses)
        off = {name: function(None) for name, function in functions.items()}
        on = {f"s{dose:g}": {name: function(dose) for name, function in functions.items()} for dose in doses}
        return trials_of(table(off, on, **options), doses, aim, budgets)

    return score


def of(slope, base=0.4):
    return lambda dose: base + (0 if dose is None else slope * dose)


def searched(cost, most, weakest=1.0, strongest=100.0, geometric=True, points=6, rounds=3, target=None):
    budget, tried = Budget("length", falls=False, most=most, relative=False), []
    costs = {"length": lambda dose: 0.0 if dose is None else cost(dose)}
    score = scorer(target or of(0.01), costs, budgets=[budget], tried=tried)
    return Search(weakest, strongest, geometric, score).run(points, rounds), tried


@pytest.mark.parametrize("edge", [1.7, 3.0, 9.5, 40.0, 99.0])
def test_the_search_closes_in_on_where_the_budget_ends(edge):
    best, tried = searched(lambda dose: dose, edge)
    assert edge / 1.02 < best.dose <= edge and len(tried) == len(set(tried)) <= 18


@pytest.mark.parametrize("peak", [1.5, 4.0, 30.0, 60.0])
def test_the_search_closes_in_on_where_the_target_is_highest(peak):
    def hill(dose):
        return -10 if dose is None else -abs(math.log(dose / peak))

    best, tried = searched(lambda dose: 0.0, 1, target=hill)
    cell = math.log(100) / 6  # of the first round; each later one looks at the two beside the best, in seven parts
    assert abs(math.log(best.dose / peak)) <= cell * (2 / 7) ** 2 and len(tried) == len(set(tried)) <= 18
    assert best.ahead == max(hill(dose) for dose in tried) + 10


def test_a_range_that_is_all_inside_and_one_that_is_all_outside():
    best, tried = searched(lambda dose: dose, 1e9)
    assert best.dose == 100 and len(tried) == 6
    best, tried = searched(lambda dose: 1.0, 0.5)
    assert best is None and max(tried[6:]) < min(tried[:6])


def test_a_target_that_never_moves_is_not_looked_at_closer():
    best, tried = searched(lambda dose: dose, 1e9, target=of(0))
    assert best.gain == 0 and best.dose == min(tried) and len(tried) == 6


def test_the_weaker_of_doses_that_do_the_same_is_the_best():
    best, _ = searched(lambda dose: 0.0, 1, target=lambda dose: 0.4 if dose is None or dose < 20 else 0.6, rounds=1)
    assert best.dose == 21.5


def test_what_exceeds_the_budget_below_is_not_jumped_over():
    best, _ = searched(lambda dose: 2.0 if 5 < dose < 20 else 0.0, 1)
    assert best.dose <= 5


def test_weights_are_searched_evenly():
    best, tried = searched(lambda dose: dose, 0.33, 0.0, 1.0, geometric=False)
    assert tried[:6] == [0.167, 0.333, 0.5, 0.667, 0.833, 1] and 0.325 < best.dose <= 0.33


def test_doses_below_the_neutral_one_are_searched_downwards():
    best, tried = searched(lambda dose: 1 / dose, 25, 1.0, 0.01, target=lambda dose: 0 if dose is None else 1 / dose)
    assert min(tried) == 0.01 and 0.04 <= best.dose < 0.0408


def test_the_first_dose_outside_ends_what_is_allowed():
    budget = Budget("length", falls=False, most=1, relative=False)
    costs = {1: 0.0, 2: 0.5, 3: 2.0, 4: 0.1, None: 0.0}
    trials = scorer(of(0.1), {"length": costs.get}, budgets=[budget])([1, 2, 3, 4])
    assert [trial.dose for trial in allowed(trials)] == [1, 2] and not allowed(trials[2:])


def tuned(search, held_out, aim=AIM, budgets=(), weakest=1.0, strongest=100.0, dose=GEOMETRIC, rounds=2):
    """A search scored by one function, and confirmed by another."""
    found = Search(weakest, strongest, dose.geometric, search)
    best = found.run(6, rounds)
    confirmed = held_out([best.dose])[0] if best else None
    return Tuned(aim, budgets, dose, weakest, strongest, found.trials, best, confirmed)


def test_a_target_that_never_moved_is_no_setting_that_helps():
    still = scorer(of(0), {"perplexity_corpus": of(-0.001, 5)}, budgets=[PERPLEXITY], p=1.0)
    found = tuned(still, still, budgets=[PERPLEXITY])
    said = verdict(found)
    assert not said.recommended and not found.further
    assert said.lines[0] == (
        "no setting helps: s2.15 gains the most inside the budgets, and on 120 held-out examples knowledge_precision"
        " changes by +0.000 [-0.010, +0.010], from 0.400 to 0.400 (+0.0%, p = 1.000); knowledge_precision +5.0% or"
        " more, at p < 0.05, is asked for."
    )
    assert said.lines[1] == "No budget stops stronger doses, up to 100, but they gain no more."


def test_a_target_that_rises_only_by_copying_is_stopped_by_the_budget_of_that():
    """Perplexity under the model falls with copies, so that it alone would let the search run to its edge."""
    costs = {"perplexity_corpus": of(-0.04, 5), "knowledge_copied_run": of(0.012, 0.3)}
    alone = tuned(*[scorer(of(0.01), costs, budgets=[PERPLEXITY])] * 2, budgets=[PERPLEXITY])
    assert alone.best.dose == 100 and verdict(alone).recommended
    both = [PERPLEXITY, COPYING]
    found = tuned(*[scorer(of(0.01), costs, budgets=both)] * 2, budgets=both)
    said = verdict(found)
    assert 7 <= found.best.dose <= 0.1 / 0.012 and said.recommended
    stopped = min(trial.dose for trial in found.trials if trial.dose > found.best.dose)
    assert said.lines[1].startswith(f"Stopped at {stopped:g} by knowledge_copied_run +0.1")
    assert "perplexity" not in said.lines[1] and "(allowed: +0.1)" in said.lines[1]
    assert said.lines[-1].startswith("perplexity_corpus is under the model itself, to which text that it copies is")
    row = trial_row(next(trial for trial in found.trials if trial.dose == 100), "searched")
    assert row["inside"] == "no" and row["cost: knowledge_copied_run +0.1"] == "1.500 (+1.2, over)"
    assert row["cost: perplexity_corpus +10.0%"] == "1.000 (-80.0%)" and row["p"] == "0.001"


def test_copying_from_the_first_dose_on_leaves_no_setting():
    copies = scorer(of(0.1), {"knowledge_copied_run": of(0.2, 0.3)}, budgets=[COPYING])
    said = verdict(tuned(copies, copies, budgets=[COPYING]))
    assert not said.recommended and len(said.lines) == 1
    assert said.lines[0].startswith(
        "no setting helps within the budgets: not even the weakest dose tried, 1.12, stays inside"
    )
    assert "knowledge_copied_run +0.224 (allowed: +0.1)" in said.lines[0]


@pytest.mark.parametrize(
    ("dose", "weakest", "strongest", "slope", "further"),
    [
        (GEOMETRIC, 1, 100, 0.01, {"strongest": 1000}),
        (GEOMETRIC, 1, 0.01, -0.2, {"strongest": 0.001}),
        (GEOMETRIC, 50, 100, -0.001, {"weakest": 1}),
        (GEOMETRIC, 1, 100, -0.001, {}),
        (Dose("a", 1, 1, 100, geometric=True, most=300), 1, 100, 0.01, {"strongest": 300}),
        (Dose("a", 0, 0, 1, geometric=False, most=1), 0, 1, 0.5, {}),
        (Dose("a", 0, 0, 1, geometric=False), 0, 1, 0.5, {"strongest": 2}),
    ],
)
def test_the_edge_of_the_range_is_said_with_where_to_go_on(dose, weakest, strongest, slope, further):
    def rise(at):
        return (
            0.4 if at is None else 0.4 + slope * (at - (strongest + weakest if further == {"weakest": 1} else weakest))
        )

    found = tuned(scorer(rise), scorer(rise), dose=dose, weakest=float(weakest), strongest=float(strongest))
    assert found.further == pytest.approx(further)
    edge = [line for line in verdict(found).lines if "lies at the edge of the range that was searched" in line]
    assert len(edge) == bool(further)


def test_noise_that_gains_where_it_was_searched_and_not_on_the_held_out_half_is_no_gain():
    lucky, real = scorer(of(0.01), p=0.01), scorer(of(0.0001), p=0.4)
    said = verdict(tuned(lucky, real))
    assert not said.recommended and said.lines[0].startswith("no setting helps: s100 gains the most")
    assert "It was +250.0% on the examples searched" in said.lines[0]
    assert not verdict(tuned(lucky, scorer(of(0.01), p=0.06))).recommended  # large, and not significant
    assert not verdict(tuned(lucky, scorer(of(0.0001), p=0.001))).recommended  # significant, and not large
    assert not verdict(tuned(lucky, scorer(of(-0.01), p=0.001))).recommended  # significant the other way
    assert not verdict(tuned(lucky, scorer(of(0.01), p=None))).recommended  # not tested
    assert verdict(tuned(lucky, scorer(of(0.01), p=0.04))).recommended


@pytest.mark.parametrize(
    ("on", "recommended", "words"),
    [
        (5.4, True, "It costs perplexity_corpus +8.0% (allowed: +10.0%)."),
        (5.505, True, "perplexity_corpus +10.1% (allowed: +10.0%); that of perplexity_corpus is more than allowed,"),
        (5.6, False, "but exceeds there perplexity_corpus +12.0% (allowed: +10.0%). Try a smaller budget"),
    ],
)
def test_a_budget_exceeded_on_the_held_out_half(on, recommended, words):
    """By less than the interval of the rise, 0.01 to each side, it may be by chance: the search went up to it."""
    inside = scorer(of(0.01), {"perplexity_corpus": of(0.001, 5)}, budgets=[PERPLEXITY])
    held = scorer(of(0.01), {"perplexity_corpus": lambda dose: 5.0 if dose is None else on}, budgets=[PERPLEXITY])
    said = verdict(tuned(inside, held, budgets=[PERPLEXITY]))
    assert said.recommended == recommended and words in said.lines[0]
    assert said.lines[0].startswith("s100 gains the most inside the budgets: on 120" if recommended else "not confirm")


def test_the_favourable_end_of_a_budget_on_what_falls_is_the_upper_one():
    budget = Budget("distinct2", falls=True, most=0.05, relative=False)
    (near,) = scorer(of(0.01), {"distinct2": of(-0.055, 0.8)}, budgets=[budget])([1.0])
    (far,) = scorer(of(0.01), {"distinct2": of(-0.065, 0.8)}, budgets=[budget])([1.0])
    assert near.exceeded and not near.costs[0].surely_outside and far.costs[0].surely_outside


def test_a_metric_without_a_value_is_refused_with_what_it_needs():
    rows = table({"knowledge_precision": 0.4}, {"s": {"knowledge_precision": 0.5}})
    with pytest.raises(ZscError, match=r"judge_perplexity_median has no value .* needs judges\.language_model=MODEL"):
        trials_of(rows, [1.0], AIM, [Budget("judge_perplexity_median", False, 1, False)])


def test_halves_share_nothing_and_lose_nothing():
    first, second = halves(RECORDS, 0)
    assert {r.id for r in first} | {r.id for r in second} == {r.id for r in RECORDS}
    assert len(first) == 6 and len(second) == 7 and halves(RECORDS, 0) == (first, second) != halves(RECORDS, 1)


@pytest.fixture
def tune(command, checkpoint):
    common = [f"model={checkpoint}", "model.device=cpu", "dataset.limit=12", "seeds=[0]", "resampling.resamples=40",
              "decoding.max_new_tokens=5", "points=3", "rounds=2"]  # fmt: skip
    return lambda *arguments: command("tune", *common, *arguments)


def test_the_command_prints_trials_and_that_no_setting_helps(tune):
    code, out, err = tune("knob=attn_bias", "target=question_rate", "budget=fluency:+900%")
    assert code == 0, err
    assert out.count("6 searched") == 3 and out.count("6 held out") == 1
    assert "no setting helps: attn_bias(knowledge, 4.64) gains the most" in out and "zsc run" not in out
    assert "perplexity_corpus is under the model itself" in out
    code, out, err = tune("knob=ctx_aug", "target=length", "budget=[perplexity_corpus:+900%,distinct2:-90%]",
                          "format=json")  # fmt: skip
    rows = json.loads(out)
    assert code == 0 and {row["inside"] for row in rows} == {"yes"} and "no setting helps" in err
    assert {"cost: perplexity_corpus +900.0%", "cost: distinct2 -90.0%"} < set(rows[0])
    assert rows[-1]["examples"] == "6 held out"


def test_the_command_prints_what_to_run_and_where_to_search_further(command):
    """The embedded model restates its knowledge more the stronger the bias is, if it may copy."""
    small = ["dataset.limit=24", "seeds=[0]", "decoding=greedy", "points=2", "rounds=1", "strongest=20", "copying=null"]
    code, out, err = command("tune", "knob=attn_bias", "target=knowledge_precision", "budget=fluency:+10%", *small)
    assert code == 0, err
    *_, run, further = out.splitlines()
    assert "attn_bias(knowledge, 20) gains the most inside the budgets: on 12 held-out examples" in out
    words = run.removeprefix("to run it: ").split()
    assert words[:2] == ["zsc", "run"] and words[-1] == "knob.strength=20" and "decoding=greedy" in words
    assert not any(word.startswith(("target", "budget", "seeds", "points", "copying")) for word in words)
    assert "20 lies at the edge of the range that was searched, strongest=20" in out
    assert further.startswith("to search further: zsc tune knob=attn_bias ") and further.endswith(" strongest=200")
    assert "strongest=20 " not in further and "copying=null" in further
    small.remove("copying=null")
    code, out, err = command("tune", "knob=attn_bias", "target=knowledge_precision", "budget=fluency:+10%", *small)
    assert code == 0 and ", over)" in out and "copying=null lifts it" in out and "knob.strength=20" not in out
    assert "the weakest dose tried, 4.47, stays inside knowledge_copied_run +0." in out


def test_no_dose_inside_is_said_with_what_was_tried(tune):
    long = ["knob=attn_bias", "target=length", "weakest=50", "strongest=1e6", "decoding.max_new_tokens=20"]
    ends = [tune(*long, f"budget=perplexity_corpus:{sign}0") for sign in "+-"]
    none = [out for code, out, _ in ends if "not even the weakest dose tried, 114, stays inside" in out]
    assert len(none) == 1 and not any(code for code, _, _ in ends)
    assert all(out.count("6 searched") >= 3 for _, out, _ in ends) and "held out" not in none[0]


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
        (["knob=attn_bias", "target=length", "budget=fluency:+1", "gain=much"], "gain=much must say by how much"),
        (["knob=attn_bias", "target=length", "budget=[]"], "budget=[] must name a metric"),
        (["target=length", "budget=fluency:+1"], "searches the dose of one knob"),
        (["knob=[attn_bias,ctx_aug]", "target=length", "budget=fluency:+1"], "searches the dose of one knob"),
        (["knob=swap", "knob.by=random", "target=length", "budget=fluency:+1"], "searches the dose of one"),
        (["knob=attn_bias", "knob.strength=[1,2]", "target=length", "budget=fluency:+1"], "give no lists"),
        (["knob=attn_bias", "target=length", "budget=fluency:+1", "strongest=0"], "strongest=0 must be a number above"),
        (["knob=attn_bias", "target=length", "budget=fluency:+1", "weakest=7", "strongest=7"], "nothing between"),
        (["knob=attn_bias", "target=length", "budget=fluency:+1", "rounds=0"], "rounds=0 must be a whole number"),
        (["knob=attn_bias", "target=length", "budget=fluency:+1", "dataset.limit=11"], "11 examples are too few"),
        (["knob=attn_bias", "target=topic_keywords", "budget=fluency:+1"], "topic_keywords has no value"),
    ],
)
def test_bad_input_is_one_line(tune, arguments, message):
    code, _, err = tune(*arguments)
    assert code == 2 and message in err.splitlines()[-1] and "Traceback" not in err, err
