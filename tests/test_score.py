"""The metrics stage: what counts, what is dropped and said to be, and how settings are compared."""

import csv
import io
import json
import math
from contextlib import nullcontext

import numpy as np
import pytest

from zsc.cli.main import main
from zsc.data.record import Focus, Record, Turn
from zsc.errors import ZscError
from zsc.generation.folder import RunFolder
from zsc.metrics import build_metrics
from zsc.metrics.items import build_columns
from zsc.metrics.judges import Topic
from zsc.metrics.options import Resampling
from zsc.metrics.resampling import bootstrap, holm, interval, sign_flip
from zsc.metrics.run import score_run
from zsc.metrics.score import cell_statistics, score_statistics

TURNS = (Turn("a", "Old news."), Turn("b", "Hi there."))
QUICK = Resampling(resamples=200, confidence=0.9, seed=4)


def records(*knowledge):
    return [Record(str(i), TURNS, "Yes.", text) for i, text in enumerate(knowledge)]


def rows_of(responses, **more):
    return {str(i): {"response": text, "nll": 2.0, "tokens": 2, **more} for i, text in enumerate(responses)}


def score(names, given, *settings, resampling=QUICK):
    """Return the rows by (setting, metric) of settings, each a list of responses by seed."""
    columns = {
        (f"s{i}", seed): build_columns(given, rows_of(response), 1, [], ["jazz band"])
        for i, by_seed in enumerate(settings)
        for seed, response in enumerate(by_seed)
    }
    metrics = build_metrics(names)
    statistics = {m: {cell: cell_statistics(m, texts) for cell, texts in columns.items()} for m in metrics}
    names, seeds = [f"s{i}" for i in range(len(settings))], list(range(len(settings[0])))
    return {(row.setting, row.metric): row for row in score_statistics(statistics, names, seeds, resampling)}


def test_columns_by_hand():
    columns = build_columns(records("It rains.", None), rows_of(["x", "y"]), 1, ["p", "q"], [])
    assert columns["history"] == ["Old news. Hi there."] * 2 and columns["dialog"] == ["Hi there."] * 2
    assert columns["knowledge"] == ["It rains.", None] and columns["context"][0] == "It rains. Old news. Hi there."
    assert columns["phrases"] == ["p\nq"] * 2 and columns["topic"] == [None] * 2


def test_fields_references_and_focus_are_columns_and_hide_none():
    given = [
        Record("0", TURNS, "Yes.", "It rains.", fields={"source": "Ja.", "context": "x", "nll": "1", "response": "z"},
               focus=(Focus("Ja"), Focus("rains", "knowledge", 3)), references=("Yes.", "Yeah.")),
        Record("1", (), fields={"document": "A text."}),
    ]  # fmt: skip
    columns = build_columns(given, rows_of(["x", "y"]), 1, [], [])
    assert columns["source"] == ["Ja.", None] and columns["document"] == [None, "A text."]
    assert columns["accepted"] == [("Yes.", "Yeah."), None] and columns["focus"] == [("Ja", "rains"), None]
    assert columns["context"] == ["It rains. Old news. Hi there.", None]
    assert columns["nll"] == [2.0, 2.0] and columns["response"] == ["x", "y"]


def test_responses_without_knowledge_are_dropped_and_counted_and_do_not_count_as_zero():
    table = score(["knowledge_rouge1", "length"], records("the cat sat", None), [["the cat sat", "the cat sat"]])
    row = table["s0", "knowledge_rouge1"]
    assert (row.value, row.n, row.dropped) == (1, 1, 1)
    assert (table["s0", "length"].n, table["s0", "length"].dropped) == (2, 0)
    assert not score(["knowledge_rouge1"], records(None), [["the cat sat"]])


def test_an_example_without_a_value_in_one_response_leaves_all_settings_and_each_says_how_many_it_dropped():
    metric = build_metrics(["perplexity_corpus"])[0]
    values = {
        ("off", 0): [1.0, 2, 3],
        ("off", 1): [1.0, 2, 3],
        ("on", 0): [2.0, np.nan, 4],
        ("on", 1): [2.0, np.inf, 4],
    }
    statistics = {metric: {cell: np.column_stack([nll, [1, 1, 1]]) for cell, nll in values.items()}}
    off, on, change = score_statistics(statistics, ["off", "on"], [0, 1], QUICK)
    assert off.value == pytest.approx(np.exp(2)) and on.value == pytest.approx(np.exp(3))
    assert [(row.n, row.seeds, row.dropped) for row in (off, on, change)] == [(2, 2, 0), (2, 2, 2), (2, 2, 2)]


def test_a_setting_without_any_value_is_reported():
    metric = build_metrics(["perplexity_median"])[0]
    statistics = {metric: {("off", 0): np.ones((3, 2)), ("on", 0): np.full((3, 1), np.nan)}}
    table = score_statistics(statistics, ["off", "on"], [0], QUICK)
    assert [(row.setting, row.value, row.n, row.dropped) for row in table] == [("off", None, 0, 0), ("on", None, 0, 3)]


def test_differences_are_paired_tested_and_adjusted_across_the_table():
    response = [["a b", "a b c", "a", "a b c d"], ["a", "a b", "a b", "a"]]
    longer = [[f"{text} more?" for text in of_seed] for of_seed in response]
    other = [["b", "c c", "d d d", "e"], ["f", "g", "h", "i i"]]
    table = score(["length", "question_rate"], records(*["k"] * 4), response, longer, other)
    lengths = [
        np.array([[len(of_seed[i].split()) for of_seed in setting] for i in range(4)], dtype=float)[:, :, None]
        for setting in (response, longer, other)
    ]
    metric = build_metrics(["length"])[0]
    samples = bootstrap([(metric, lengths)], 200, 4)[0]
    (p_values,) = sign_flip([(metric, lengths)], 200, 4)
    assert table["difference: s1", "length"].value == 1 and table["s1", "length"].value == lengths[1].mean()
    row = table["difference: s2", "length"]
    assert (row.low, row.high) == pytest.approx(interval(samples[2] - samples[0], 0.9)) and row.p == p_values[1]
    changes = [row for (setting, _), row in table.items() if setting.startswith("difference")]
    assert [row.p_holm for row in changes] == pytest.approx(holm([row.p for row in changes]))
    assert all(row.p is None for (setting, _), row in table.items() if not setting.startswith("difference"))


def test_empty_responses_are_scored_where_they_can_be():
    table = score(["all"], records("the cat sat", "a dog"), [["", ""]], [["the cat sat", ""]])
    assert table["s0", "knowledge_rouge1"].value == 0 and table["s0", "length"].value == 0
    assert table["s0", "distinct1"].value == 0 and table["s1", "knowledge_copy_rate"].value == 0.5
    assert all(row.dropped == 0 for row in table.values())


class Shout:
    """A judge that counts capitals and has no value for an empty text."""

    columns = ("judge_nll", "judge_tokens")
    signature = "model:shout"
    networks = ()

    def batches(self, texts):
        return [list(texts)]

    def judge(self, batch):
        return [[float(sum(c.isupper() for c in text)), 1] if text else None for text in batch]


def folder_of(tmp_path, settings, seeds, lines):
    folder = RunFolder(tmp_path / "run")
    manifest = {"identity": "x", "settings": settings, "seeds": seeds, "weights": "ab" * 20,
            "made_from": {"phrases": {"on": {"mine": ["why not"]}}}}  # fmt: skip
    folder.create("layout: {}", manifest, records("It rains.", "He ran."))
    folder.write_rows(lines)
    return folder


def lines_of(settings, seeds):
    return [
        {"setting": setting, "seed": seed, "id": i, "response": text, "nll": 1.0, "tokens": 3}
        for setting in settings for seed in seeds for i, text in (("0", f"{setting} WHY not {seed}"), ("1", ""))
    ]  # fmt: skip


def test_a_run_is_scored_with_signatures_items_and_judges(tmp_path):
    folder = folder_of(tmp_path, ["off", "on"], [0, 1], lines_of(["off", "on"], [0, 1]))
    metrics = build_metrics(["phrase_copy_rate", "judge_perplexity_corpus", "perplexity_corpus", "topic_probability"])
    notes = []

    def watch(judge, total):
        notes.append(total)
        return nullcontext(notes.append)

    table, signatures = score_run(folder, metrics, [Shout()], Topic("mine", ["why not"]), 1, QUICK, watch)
    by_name = {(row.setting, row.metric): row for row in table}
    assert by_name["off", "phrase_copy_rate"].value == 0.5
    judged = by_name["on", "judge_perplexity_corpus"]
    assert judged.value == pytest.approx(np.exp(3)) and (judged.n, judged.dropped) == (1, 2)
    assert notes == [5, 0, 5]  # five different texts, none of them judged before
    assert set(signatures) == {"phrase_copy_rate", "judge_perplexity_corpus", "perplexity_corpus"}
    assert "|model:shout|seeds:0,1|resamples:200|confidence:0.9|rs:4" in signatures["judge_perplexity_corpus"]
    assert "|model:abababababab|" in signatures["perplexity_corpus"]
    scores = json.loads((folder.path / "scores.json").read_text())
    assert len(scores["table"]) == len(table) == 9 and scores["signatures"] == signatures
    items = list(csv.DictReader((folder.path / "items.csv").open()))
    assert len(items) == 8 and items[1] == {
        "setting": "off", "seed": "0", "id": "1", "phrase_copy_rate": "0.0", "judge_perplexity_corpus": "",
        "perplexity_corpus": str(np.exp(1 / 3)),
    }  # fmt: skip
    assert float(items[0]["judge_perplexity_corpus"]) == pytest.approx(np.exp(3))


def test_an_unfinished_run(tmp_path):
    folder = folder_of(tmp_path, ["off", "on"], [0, 1], lines_of(["off", "on"], [0, 1])[:-3])
    with pytest.raises(ZscError, match=r"setting on, seed 0 lacks 1 of 2 responses \(first: 1\)"):
        score_run(folder, build_metrics(["length"]), [], Topic("", []), 1, QUICK, None)


def scored_file(tmp_path, capsys, rows, *arguments):
    file = tmp_path / "systems.jsonl"
    file.write_text("".join(json.dumps({"history": "Hi.", "knowledge": "It rains.", **row}) + "\n" for row in rows))
    code = main(["score", str(file), "resampling.resamples=50", "format=csv", *arguments])
    out, err = capsys.readouterr()
    return code, {(row["setting"], row["metric"]): row for row in csv.DictReader(io.StringIO(out))}, err


def two_systems(*responses, **more):
    return [{"setting": name, "response": response, **more} for name in ("a", "b") for response in responses]


def test_a_response_without_tokens_is_dropped_from_perplexity(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = two_systems("it rains", "", "so it does", nll=3.0, tokens=2)
    rows[4] |= {"nll": 0, "tokens": 0}
    code, table, _ = scored_file(tmp_path, capsys, rows, "metrics=[perplexity_median,perplexity_corpus,length]")
    assert code == 0
    for metric in ("perplexity_median", "perplexity_corpus"):
        assert float(table["b", metric]["value"]) == pytest.approx(math.exp(1.5))
        assert (table["b", metric]["n"], table["b", metric]["dropped"]) == ("2", "1")
    assert table["b", "length"]["n"] == "3"


def test_what_is_beyond_double_precision_has_no_value_and_no_test(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = two_systems("it rains", "so", nll=3.0, tokens=2)
    rows[2]["nll"] = rows[3]["nll"] = 5e3
    code, table, err = scored_file(tmp_path, capsys, rows, "metrics=[perplexity_corpus]")
    assert code == 0 and "Warning" not in err
    assert table["b", "perplexity_corpus"]["value"] == "" and table["difference", "perplexity_corpus"]["p"] == ""
    (scores,) = tmp_path.glob("runs/*/scores.json")
    assert "NaN" not in scores.read_text() and "Infinity" not in scores.read_text()


def test_a_difference_that_is_the_same_everywhere_has_no_effect_size(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    same = [
        {"setting": name, "response": response} for _ in range(5) for name, response in (("a", "x y z"), ("b", "x"))
    ]
    _, table, _ = scored_file(tmp_path, capsys, same, "metrics=[length,knowledge_rouge1]")
    assert float(table["difference", "length"]["value"]) == -2 and table["difference", "length"]["effect"] == ""


def test_a_missing_response_counts_as_dropped_and_an_empty_one_does_not(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    _, table, _ = scored_file(tmp_path, capsys, two_systems("it rains", None, "", "yes"), "metrics=[length,distinct1]")
    assert all((row["n"], row["dropped"]) == ("3", "1") for (name, _), row in table.items() if name != "difference")
    assert float(table["a", "length"]["value"]) == 1


def test_nothing_to_score_is_one_line_and_what_is_left_out_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = two_systems("it rains", "so", knowledge=None)
    code, _, err = scored_file(tmp_path, capsys, rows, "metrics=[knowledge_rouge1]")
    assert code == 2 and "has a value of knowledge_rouge1" in err and "Traceback" not in err
    code, _, err = scored_file(tmp_path, capsys, rows, "metrics=[knowledge_rouge1,length]")
    assert code == 0 and "left out, nothing to compute them from: knowledge_rouge1" in err


def test_a_judge_without_any_value_is_not_left_out(tmp_path):
    class Mute(Shout):
        def judge(self, batch):
            return [[math.nan, 1] for _ in batch]

    folder = folder_of(tmp_path, ["off", "on"], [0], lines_of(["off", "on"], [0]))
    (metric,) = build_metrics(["judge_perplexity_corpus"])
    unwatched = lambda judge, total: nullcontext(lambda count: None)  # noqa: E731
    table, _ = score_run(folder, [metric], [Mute()], Topic("", []), 5, Resampling(20), unwatched)
    assert [(row.setting, row.value, row.n, row.dropped) for row in table] == [("off", None, 0, 2), ("on", None, 0, 2)]


def test_tests_too_coarse_for_their_number_are_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, _, err = scored_file(
        tmp_path, capsys, two_systems("it rains", "so"), "metrics=[length,question_rate,distinct1]"
    )
    assert code == 0 and "3 differences are tested with 50 resamples: after Holm's correction none can be" in err


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("manifest.json", "{", "manifest.json is broken"),
        ("generations.jsonl", '{"setting": "off"', "generations.jsonl, line 1: not valid JSON"),
        ("generations.jsonl", '{"setting": "off", "seed": 0, "id": "0"}\n', "line 1: no field 'response'"),
        ("config.yaml", "a: [", "config.yaml cannot be read"),
    ],
)
def test_broken_files_of_a_run_are_named(tmp_path, capsys, name, content, message):
    folder = folder_of(tmp_path, ["off", "on"], [0], lines_of(["off", "on"], [0]))
    (folder.path / name).write_text(content)
    assert main(["score", str(folder.path), "metrics=[length]"]) == 2
    err = capsys.readouterr().err
    assert message in err and len(err.splitlines()) == 1


def test_an_option_that_cannot_be_read(tmp_path, capsys):
    folder = folder_of(tmp_path, ["off", "on"], [0], lines_of(["off", "on"], [0]))
    assert main(["score", str(folder.path), "metrics=[length"]) == 2
    assert "cannot read metrics=[length: " in capsys.readouterr().err


def test_a_setting_is_charged_with_copies_of_its_own_phrases(tmp_path):
    settings, response = ["off", "one", "two"], {"0": "Why not.", "1": "So it is."}
    lines = [
        {"setting": setting, "seed": 0, "id": i, "response": text, "nll": 1.0, "tokens": 3}
        for setting in settings
        for i, text in response.items()
    ]
    folder = RunFolder(tmp_path / "run")
    drawn = {"one": {"a": ["why not"]}, "two": {"b": ["never", "so is it"]}}
    manifest = {"identity": "x", "settings": settings, "seeds": [0], "made_from": {"phrases": drawn}}
    folder.create("layout: {}", manifest, records("It rains.", "He ran."))
    folder.write_rows(lines)
    unwatched = lambda judge, total: nullcontext(lambda count: None)  # noqa: E731
    (metric,) = build_metrics(["phrase_copy_rate"])
    table, _ = score_run(folder, [metric], [], Topic("", []), 5, QUICK, unwatched)
    rates = {row.setting: row.value for row in table if row.setting in settings}
    assert rates == {"off": 0.5, "one": 0.5, "two": 0.0}  # off: the phrases of all
