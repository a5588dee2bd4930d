"""`zsc runs` and `zsc show`: folders of runs written by hand, listed and shown."""

import json
import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from zsc.cli.flags import named
from zsc.errors import ZscError
from zsc.study.runs import find_run, runs_in
from zsc.study.show import ShowOptions, answers
from zsc.tables.lines import widest
from zsc.tables.runs import LEFT_OUT, listed_text
from zsc.terminal import Screen

TODAY = datetime(2026, 6, 1, 12)
ROW = {"low": None, "high": None, "n": 2, "seeds": 2, "dropped": 0}
STRONG, WEAK = "attn_bias(knowledge, 5)", "attn_bias(knowledge, 2)"


def scores(*rows):
    return {"table": [{"setting": s, "metric": m, "value": v, "p_holm": p, **ROW} for s, m, v, p in rows]}


ONE = scores(
    ("off", "length", 10.0, None), ("off", "knowledge_precision", 0.25, None),
    (STRONG, "length", 12.0, None), (STRONG, "knowledge_precision", 0.5, None),
    ("difference", "length", 2.0, 0.3), ("difference", "knowledge_precision", 0.25, 0.01),
)  # fmt: skip
SEVERAL = scores(
    ("off", "knowledge_precision", 0.5, None), (WEAK, "knowledge_precision", 0.6, None),
    (STRONG, "knowledge_precision", 0.2, None), (f"difference: {WEAK}", "knowledge_precision", 0.1, 0.001),
    (f"difference: {STRONG}", "knowledge_precision", -0.3, 0.2),
)  # fmt: skip


def make(path, settings=("off", STRONG), table=ONE, age=0, seeds=(0, 1), ids=("a", "b")):
    """Write a run, as old as ``age`` minutes."""
    path.mkdir(parents=True)
    moves = {name: ["knowledge_precision"] if name != "off" else [] for name in settings}
    manifest = {"settings": list(settings), "seeds": list(seeds), "moves": moves, "identity": "x"}
    config = {"model": {"checkpoint": "models/small"}, "dataset": {"loader": "parlor"}, "layout": {"form": "buckets"}}
    turns = [{"speaker": "ann", "text": "Where is it?"}, {"speaker": "ben", "text": "In the north."}]
    records = [{"id": one, "history": turns, "knowledge": f"Fact {one}.", "reference": "By the sea."} for one in ids]
    said = {"off": "It is far away.", STRONG: "It is quite near.", WEAK: "It is far away."}
    responses = [
        {"setting": name, "seed": seed, "id": one, "response": f"{said[name]} {one}{seed}"}
        for seed in seeds
        for name in settings
        for one in ids
    ]
    (path / "manifest.json").write_text(json.dumps(manifest))
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    (path / "records.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    (path / "generations.jsonl").write_text("".join(json.dumps(one) + "\n" for one in responses))
    if table:
        (path / "scores.json").write_text(json.dumps(table))
    moment = TODAY.timestamp() - 60 * age
    os.utime(path / "manifest.json", (moment, moment))
    return path


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


@pytest.mark.parametrize("name", ["score", "annotate", "report", "export"])
def test_last_is_the_newest_run_unless_something_is_called_so(runs, name):
    make(runs / "old", age=9), make(runs / "new it's", age=2)
    key = "runs" if name == "report" else "run"
    words = [f"{key}={named(name, ['runs/new it' + chr(39) + 's'])[0].partition('=')[2]}", "x=1"]
    assert named(name, ["last", "x=1"]) == words
    Path("last").mkdir()
    assert "new" not in named(name, ["last"])[0]


def test_a_run_is_listed_as_its_files_have_it(runs):
    make(runs / "one", ids=("a", "b", "c"))
    (run,) = runs_in(Path("runs"))
    assert (run.run, run.date, run.state, run.model, run.dataset) == ("one", TODAY, "done", "small", "parlor")
    assert (run.settings, run.examples, run.seeds) == (("off", STRONG), 3, 2)
    assert (run.metric, run.setting, run.off, run.on) == ("knowledge_precision", STRONG, 0.25, 0.5)
    text = listed_text([run], None, TODAY)
    assert "knowledge_precision 0.250 to 0.500*" in text and "01 Jun 12:00" in text and "3 x 2" in text
    assert "*: differs from off" in text


def test_of_several_settings_the_one_that_changed_most_is_told(runs):
    make(runs / "several", ("off", WEAK, STRONG), SEVERAL)
    (run,) = runs_in(Path("runs"))
    assert (run.setting, run.off, run.on, run.p_holm) == (STRONG, 0.5, 0.2, 0.2)
    text = listed_text([run], None, TODAY)
    assert f"{STRONG}, 1 of 2" in text and "0.500 to 0.200\n" in f"{text}\n" and "*" not in text


def test_the_newest_is_first_and_other_folders_are_passed_over(runs):
    for name, age in (("old", 60), ("new", 1), ("older", 90)):
        make(runs / name, age=age)
    for other in ("cells/x", ".multirun", "report", "training/model"):
        (runs / other).mkdir(parents=True)
    (runs / "training/config.yaml").write_text("objective: {name: denoise}\n")
    (runs / "note.txt").write_text("x")
    assert [run.run for run in runs_in(Path("runs"))] == ["new", "old", "older"]
    assert [run.run for run in runs_in(Path("runs/old"))] == ["old"]


def test_no_response_is_read(runs):
    make(runs / "one")
    (runs / "one/generations.jsonl").write_bytes(b"\xff\0 no line of JSON")
    assert runs_in(Path("runs"))[0].state == "done"


def test_a_run_that_is_not_whole_says_so(runs):
    make(runs / "scoreless", table=None)
    (make(runs / "stopped") / "generations.jsonl").unlink()
    states = {run.run: run.state for run in runs_in(Path("runs"))}
    assert states == {"scoreless": "not scored", "stopped": "unfinished"}


BROKEN = [
    ("manifest.json", "{"), ("manifest.json", "[]"), ("manifest.json", "{}"), ("manifest.json", '{"settings": 3}'),
    ("manifest.json", '{"settings": 3, "seeds": 1}'), ("manifest.json", None), ("config.yaml", None),
    ("config.yaml", ": : :"), ("config.yaml", "- x"), ("scores.json", "nonsense"), ("scores.json", '{"table": 3}'),
    ("scores.json", '{"table": [{"setting": 1}]}'), ("scores.json", "{}"), ("scores.json", '{"table": [3]}'),
    ("scores.json", json.dumps(ONE).replace("0.25", '"much"')), ("scores.json", json.dumps(ONE).replace("0.25", "NaN")),
    ("manifest.json", "[" * 100_000), ("config.yaml", "a: " + "[" * 5_000),
]  # fmt: skip


@pytest.mark.parametrize(("file", "content"), BROKEN)
def test_whatever_a_folder_holds_is_listed_without_a_fault(runs, command, file, content):
    make(runs / "fine", age=1)
    broken = make(runs / "broken", age=2) / file
    broken.unlink()
    if content is None:
        broken.mkdir()
    else:
        broken.write_text(content)
    for style in ("table", "csv", "json"):
        code, out, err = command("runs", f"format={style}")
        assert (
            (code, err) == (0, "") and "fine" in out and "broken" in out.partition("fine")[0] + out.partition("fine")[2]
        )
    states = {run.run: run.state for run in runs_in(Path("runs"))}
    assert states["fine"] == "done" and states["broken"].startswith("broken")


def test_an_empty_table_is_no_fault(runs):
    make(runs / "one", table={"table": []})
    (run,) = runs_in(Path("runs"))
    assert run.metric is None and "done" in listed_text([run], None, TODAY)


@pytest.mark.parametrize("width", [*range(20, 170, 10)])
def test_a_list_fits_the_terminal_and_says_what_it_leaves_out(runs, width):
    make(runs / "a-run-of-quite-some-name-0123456789")
    (run,) = found = runs_in(Path("runs"))
    text = listed_text([*found, replace(run, run="b")], width, TODAY)
    assert run.run in text and "0.250" in text
    if width >= 50:
        assert widest(text) <= width
    if "left out" in text:
        left = " ".join(text.split()).partition("room: ")[2].partition(";")[0].split(", ")
        assert tuple(left) == LEFT_OUT[: len(left)] and not {*left} & {*text.splitlines()[0].split()}


def test_the_formats(runs, command):
    make(runs / "one")
    rows = json.loads(command("runs", "format=json")[1])
    assert rows[0]["run"] == "one" and rows[0]["on"] == 0.5 and rows[0]["settings"] == ["off", STRONG]
    header, line = command("runs", "runs", "format=csv")[1].splitlines()
    assert header.startswith("run,date,state,model,dataset") and line.startswith(
        "one,2026-06-01 12:00:00,done,small,parlor"
    )
    assert json.loads(command("runs", f"folder={runs / 'one'}", "format=json")[1]) == rows


def test_no_runs(runs, command):
    code, out, err = command("runs")
    assert (code, out) == (2, "") and "no folder runs" in err and "zsc run knob=attn_bias" in err
    runs.mkdir()
    code, out, err = command("runs")
    assert (code, out) == (0, "") and "no run in runs" in err
    assert json.loads(command("runs", "format=json")[1]) == []


def test_a_run_is_found_by_path_name_beginning_and_age(runs):
    make(runs / "attn-one", age=5)
    make(runs / "attn-two", age=1)
    make(runs / "ctx", age=9)
    (make(runs / "stopped", age=0) / "generations.jsonl").unlink()
    for name, path in [("runs/ctx", "ctx"), ("ctx", "ctx"), ("c", "ctx"), ("attn-o", "attn-one"), ("runs/c", "ctx"),
                       ("last", "attn-two"), (str(runs / "attn-one"), "attn-one")]:  # fmt: skip
        assert find_run(name).resolve() == runs / path
    with pytest.raises(ZscError, match="attn may be any of attn-two, attn-one"):
        find_run("attn")
    with pytest.raises(ZscError, match=r"no run ctz\. Did you mean 'ctx'\?"):
        find_run("ctz")
    make(runs / "ct", age=7)
    assert find_run("ct").name == "ct"


def test_show_has_the_whole_record_and_marks_the_words_that_changed(runs):
    make(runs / "one")
    page = answers(ShowOptions(run="one", id="b", seed=1)).page(Screen(80))
    for text in ("ann  ", "Where is it?", "ben  ", "In the north.", "Fact b.", "By the sea."):
        assert text in page
    assert "It is *far away.* b1" in page and "It is *quite near.* b1" in page and "Fact a." not in page
    several = make(runs / "several", ("off", WEAK, STRONG), SEVERAL)
    page = answers(ShowOptions(run=str(several), n=1)).page(Screen(80))
    assert page.count("It is far away. a0") == 2 and "It is *quite near.* a0" in page
    only = answers(ShowOptions(run="several", setting=STRONG, n=1))
    assert list(only.settings) == ["off", STRONG]


@pytest.mark.parametrize("width", [30, 60, 100])
def test_what_is_shown_fits_the_terminal(runs, width):
    make(runs / "several", ("off", WEAK, STRONG), SEVERAL, ids=("a", "b", "c", "d"))
    page = answers(ShowOptions(run="last")).page(Screen(width))
    assert widest(page) <= width and page.count("seed 0") == 4 and "3 of 4 records" in " ".join(page.split())


def test_show_as_json(runs, command):
    make(runs / "one")
    rows = json.loads(command("show", "last", "n=1", "seed=1", "format=json")[1])
    assert [row["id"] for row in rows] == ["a"] and rows[0]["seed"] == 1 and rows[0]["knowledge"] == "Fact a."
    assert rows[0]["responses"] == {"off": "It is far away. a1", STRONG: "It is quite near. a1"}


def test_a_response_that_is_missing_is_no_fault(runs):
    folder = make(runs / "one")
    lines = [json.loads(line) | {"response": None} for line in (folder / "generations.jsonl").read_text().splitlines()]
    (folder / "generations.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert answers(ShowOptions(run="one", n=1)).page(Screen(80)).count("(no response)") == 2


REFUSED = [
    (["one", "id=c"], "id=c: no record of runs/one", "The first are a, b."),
    (["one", "id=bb"], "id=bb", "Did you mean 'b'?"),
    (["one", "seed=7"], "seed=7", "0, 1"),
    (["one", "setting=attn_bias(knowledge, 6)"], "setting=", f"Did you mean '{STRONG}'?"),
    (["one", "format=csv"], "format=csv", "table, json"),
    (["one", "n=0"], "n=0", "at least 1"),
    (["one", "ide=a"], "no option 'ide'", "Did you mean 'id'?"),
    (["onne"], "no run onne", "Did you mean 'one'?"),
    ([], "needs a run", "zsc show last"),
    (["one", "two"], "'two'", "key=value"),
]


@pytest.mark.parametrize(("words", "wrong", "right"), REFUSED)
def test_what_there_is_not_is_one_line_that_says_what_there_is(runs, command, words, wrong, right):
    make(runs / "one")
    code, out, err = command("show", *words)
    assert (code, out) == (2, "") and len(err.splitlines()) == 1 and wrong in err and right in err, err


HELP = [
    (["help"], ["--help"]), ([], ["--help"]), (["help", "run"], ["run", "--help"]),
    (["run", "help"], ["run", "--help"]),
    (["-V"], ["--version"]), (["version"], ["--version"]), (["help", "--help"], ["--help"]),
    (["data", "help"], ["data", "--help"]),
]  # fmt: skip


@pytest.mark.parametrize(("words", "same"), HELP)
def test_other_words_for_help_and_version(command, words, same):
    given, expected = command(*words), command(*same)
    assert given == expected and given[0] == 0 and given[1]


@pytest.mark.parametrize(("words", "meant"), [(["halp"], "help"), (["help", "rnu"], "run"), (["verison"], "version")])
def test_a_mistyped_word_for_help_is_known(command, words, meant):
    code, _, err = command(*words)
    assert code == 2 and f"Did you mean '{meant}'?" in err
