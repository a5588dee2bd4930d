"""The study from Python gives what the commands print, on the same cells."""

import json
import subprocess
import sys

import pytest

import zsc

QUICK = dict(seeds=[0], metrics=["length", "knowledge_precision"], quiet=True)


@pytest.fixture
def few(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return zsc.dataset("parlor", limit=4)


def test_run_gives_the_numbers_of_the_command_and_shares_its_cells(few, command, capsys):
    result = zsc.run(zsc.knob("attn_bias", strength=5.0), dataset=few, **QUICK)
    assert capsys.readouterr() == ("", "")
    words = ("run", "knob=attn_bias", "dataset.limit=4", "seed=0", "metrics=[length,knowledge_precision]")
    status, out, err = command(*words, "format=json")
    assert status == 0 and "cells: 2, 2 found, 0 made" in err
    printed = json.loads(out)
    rows = result.table.astype(object).where(result.table.notna(), None).to_dict("records")
    assert rows == [{key: row[key] for key in rows[0]} for row in printed]
    assert f"run: {result.folder.path}" in err
    _, table, _ = command(*words)
    assert result.render() in table and table.endswith(f"\nrun: {result.folder.path}\n")
    assert repr(result) == f"{result.render()}\nrun: {result.folder.path}"


def test_responses_and_notebooks(few):
    result = zsc.run(zsc.knob("attn_bias", strength=[2, 5]), dataset=few, **QUICK)
    responses = result.responses
    assert set(responses.setting) == {"off", "attn_bias(knowledge, 2)", "attn_bias(knowledge, 5)"}
    assert len(responses) == 3 * 4 and set(responses.columns) >= {"setting", "seed", "id", "response", "tokens", "nll"}
    shown = result._repr_html_()
    mean = result.table.set_index(["setting", "metric"]).value["off", "length"]
    assert f"<td>{mean:.3f}</td>" in shown and "difference" not in shown


def test_a_sweep_compares_choices_of_knobs_with_knobs_off(few):
    questions = zsc.knob("ctx_aug", phrases="questions", strength=1)
    result = zsc.sweep("attn_bias", questions, ["attn_bias", questions], dataset=few, **QUICK)
    settings = list(dict.fromkeys(result.responses.setting))
    assert settings == [
        "off",
        "attn_bias(knowledge, 5)",
        "ctx_aug(questions, 1, K=10)",
        "attn_bias(knowledge, 5)+ctx_aug(questions, 1, K=10)",
    ]
    alone = zsc.run(questions, dataset=few, **QUICK)
    both = [one.responses.query("setting == 'ctx_aug(questions, 1, K=10)'") for one in (result, alone)]
    assert list(both[0].response) == list(both[1].response)


def test_records_of_ones_own(few):
    records = [{"id": "a", "history": [{"speaker": "x", "text": "Seen it?"}], "knowledge": "Jaws is from 1975."}]
    result = zsc.run("attn_bias", dataset=records, **QUICK)
    assert list(result.responses.id) == ["a", "a"] and "records" in result.folder.path.name
    again = zsc.score(result, metrics=["question_rate"], quiet=True)
    assert set(again.table.metric) == {"question_rate"}


def test_the_other_model_of_a_knob_is_that_of_the_options(few):
    result = zsc.run(zsc.knob("dec_mix", level="probs", weight=0.5), dataset=few, **QUICK)
    assert "dec_mix(probs, 0.5)" in set(result.responses.setting)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: zsc.run("attn"), "no knob 'attn'. Did you mean 'attn_bias'"),
        (lambda: zsc.run("ctx_aug", task="dialog"), "no task 'dialog'. Did you mean 'dialogue'"),
        (lambda: zsc.run(zsc.knob("attn_bias", strenth=1)), "has no 'strenth'. Did you mean 'strength'"),
        (lambda: zsc.run(zsc.knob("attn_bias", strength=-1)), "strength"),
        (lambda: zsc.run(5), "5 must be a knob's name or what zsc.knob gives"),
        (lambda: zsc.run(seeds=[0, 0]), "must be a non-empty list of different whole numbers"),
        (lambda: zsc.run(knob="attn_bias"), "knobs are the first argument"),
        (lambda: zsc.run(colour=1), "no option 'colour'"),
        (lambda: zsc.dataset("topical"), "Did you mean 'topical_chat'"),
        (lambda: zsc.dataset("parlor", path="x"), "no option 'dataset.path'"),
        (lambda: zsc.run(dataset=[{"history": []}]), "field 'id' must be a non-empty string"),
        (lambda: zsc.score("nosuch"), "nosuch is not the folder of a run"),
    ],
)
def test_errors_are_those_of_the_command_line(tmp_path, monkeypatch, wrong, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(zsc.ZscError, match=message.replace("(", r"\(")):
        wrong()


def test_public_names_are_there_and_import_nothing_heavy_by_themselves():
    code = "import sys, zsc; print(sorted({'torch', 'hydra', 'numpy'} & set(sys.modules)), dir(zsc).__len__() > 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[]")
    assert all(getattr(zsc, name) is not None for name in zsc.__all__)
    with pytest.raises(AttributeError, match="no attribute 'rum'"):
        _ = zsc.rum
