"""The table of a run at every width: nothing longer than the terminal, no number broken, what is left out is said."""

import re
from dataclasses import asdict

import pytest

from zsc.metrics.score import Row
from zsc.tables.fitted import fitted
from zsc.tables.lines import widest
from zsc.tables.render import render_scores

METRICS = {"knowledge_precision": (0.392, 0.576), "knowledge_copied_run": (0.343, 0.525), "length": (15.9, 17.8)}
ON = "attn_bias(knowledge, 5)"


def table_of(on=ON, dropped=0, p=0.002):
    rows = []
    for metric, (off, value) in METRICS.items():
        change = value - off
        rows += [
            Row("off", metric, off, off - 0.026, off + 0.026, 240, 3, 0),
            Row(on, metric, value, value - 0.026, value + 0.026, 240, 3, dropped),
            Row("difference", metric, change, change - 0.02, change + 0.02, 240, 3, 0, p, p, p, 1.011),
        ]
    return [asdict(row) for row in rows]


def sweep_of(count, name="attn_bias(knowledge, {})"):
    names = ["off", *(name.format(i) for i in range(1, count))]
    rows = [
        Row(one, metric, i + 0.5, i + 0.25, i + 0.75, 240, 3, 0) for metric in METRICS for i, one in enumerate(names)
    ]
    rows += [
        Row(f"difference: {one}", metric, float(i), 0.0, 1.0, 240, 3, 0, 0.01, 0.01 * i, 0.01, 1.0)
        for metric in METRICS
        for i, one in enumerate(names)
        if i
    ]
    return [asdict(row) for row in rows]


def columns(shown):
    """The names of columns, and the values of the first metric."""
    lines = shown.splitlines()
    head = next(i for i, line in enumerate(lines) if line.split()[:1] == ["metric"])
    return re.split(r"\s{2,}", lines[head].strip()), re.split(r"\s{2,}", lines[head + 2].strip())


def said(shown):
    return " ".join(shown.split())


def test_without_a_terminal_the_table_is_whole():
    rows = table_of()
    shown = fitted(rows, None)
    assert shown.startswith(render_scores(rows, dict.fromkeys(METRICS, ""), "table") + "\n")
    assert shown.splitlines()[-1] == (
        "[low, high]: bootstrap interval; p (Holm): paired sign-flip test, corrected for the table; effect: Cohen's d;"
        " dropped: responses without a value"
    )
    names, values = columns(fitted(rows, 140))
    assert names == ["metric", "off", ON, "difference", "p (Holm)", "effect", "n", "dropped"] and len(values) == 8


FITS = {  # columns, values of the first metric, what is left out: worked by hand from the stated order
    120: (
        "metric|off|on|difference|p (Holm)|effect",
        "knowledge_precision|0.392 [0.366, 0.418]|0.576 [0.550, 0.602]|+0.184 [+0.164, +0.204]|0.002|+1.011",
        None,
    ),
    80: (
        "metric|off|on|difference|p (Holm)|effect",
        "knowledge_precision|0.392|0.576|+0.184 [+0.164, +0.204]|0.002|+1.011",
        "intervals of each setting",
    ),
    60: (
        "metric|off|on|difference|p (Holm)",
        "knowledge_precision|0.392|0.576|+0.184|0.002",
        "intervals of each setting, effect, interval of the difference",
    ),
    50: (
        "metric|off|on|difference",
        "knowledge_precision|0.392|0.576|+0.184*",
        "intervals of each setting, effect, interval of the difference, p (Holm)",
    ),
}


@pytest.mark.parametrize("width", FITS)
def test_what_does_not_fit_is_left_out_in_order(width):
    names, values, left = FITS[width]
    shown = fitted(table_of(), width)
    assert widest(shown) <= width
    assert columns(shown) == (names.split("|"), values.split("|"))
    assert shown.splitlines()[0] == f"on: {ON}"
    assert "n is 240 and dropped 0 in every row" in said(shown)
    stated = re.search(r"left out for want of room: (.*); format=md has all", said(shown))
    assert (stated and stated[1]) == left
    assert ("*: differs from off at p < .05 after Holm's correction" in said(shown)) == ("p (Holm)" not in names)


@pytest.mark.parametrize("width", [24, 31, 40, 47, 56, 60, 75, 80, 100, 120, 139])
def test_no_line_is_longer_than_the_terminal_and_no_number_is_lost(width):
    many = sweep_of(9)
    for rows in (table_of(), table_of(on="a setting with a name as long as names can be, " * 3), many):
        shown = fitted(rows, width)
        assert widest(shown) <= width
        wanted = ("0.392", "0.576", "+0.184") if rows is not many else ("0.500", "1.500*", "8.500")
        assert all(re.search(rf"(?m)(^|\s){re.escape(number)}", shown) for number in wanted)


def test_counts_that_differ_are_named_as_left_out():
    shown = fitted(table_of(dropped=2), 80)
    assert "left out for want of room: n, dropped, intervals of each setting; format=md has all" in said(shown)
    assert "dropped 0" not in shown


def test_where_nothing_fits_each_value_has_a_line():
    assert fitted(table_of(), 30).splitlines()[:7] == [
        f"on: {ON}",
        "knowledge_precision",
        "  off: 0.392",
        "  on: 0.576",
        "  difference: +0.184*",
        "knowledge_copied_run",
        "  off: 0.343",
    ]


def test_a_difference_that_is_not_significant_has_no_star():
    assert "+0.184*" not in fitted(table_of(p=0.05), 50) and "+0.184*" in fitted(table_of(p=0.049), 50)


def test_one_setting():
    rows = [row for row in table_of() if row["setting"] == "off"]
    assert columns(fitted(rows, 80))[0] == ["metric", "off", "n", "dropped"]
    assert columns(fitted(rows, 30))[0] == ["metric", "off"]


@pytest.mark.parametrize(("width", "parts"), [(None, [9]), (120, [9]), (80, [8, 2]), (60, [5, 5])])
def test_settings_that_do_not_fit_stand_in_a_table_below_beside_off(width, parts):
    shown = fitted(sweep_of(9), width)
    heads = [line.split()[1:] for line in shown.splitlines() if line.split()[:1] == ["metric"]]
    assert [len(head) for head in heads] == parts
    assert [name for head in heads for name in head if name != "0"] == [str(i) for i in range(1, 9)]
    assert all(head[0] == "0" for head in heads)
    assert shown.splitlines()[:2] == ["0  off", "1  attn_bias(knowledge, 1)"]
    first = [line.split()[1:] for line in shown.splitlines() if line.split()[:1] == ["length"]]
    assert [value for values in first for value in values if value != "0.500"] == [
        "1.500*", "2.500*", "3.500*", "4.500*", "5.500", "6.500", "7.500", "8.500",
    ]  # fmt: skip
    assert "*: differs from 0 at p < .05 after Holm's correction" in said(shown)


def test_long_names_of_settings_are_wrapped_under_their_numbers():
    shown = fitted(sweep_of(3, "attn_bias(knowledge, {}) + ctx_aug(questions, 5) + dec_mix(probs, 0.3)"), 40)
    lines = shown.splitlines()
    assert lines[:3] == ["0  off", "1  attn_bias(knowledge, 1) +", "   ctx_aug(questions, 5) +"]
