"""Scoring responses of other systems."""

import csv
import json

import pytest

from tests.families import save_language_model
from zsc.cli.main import main
from zsc.data.record import Record
from zsc.errors import ZscError
from zsc.generation.folder import RunFolder
from zsc.study.outputs import import_outputs


def write(tmp_path, rows):
    file = tmp_path / "systems.csv"
    with file.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return file


ROWS = [
    {"model": model, "context": f"Hi {i}.", "fact": "the cat sat", "response": response, "human": 3}
    for model, responses in (("base", ["the cat", "why?"]), ("new", ["the cat sat", ""]))
    for i, response in enumerate(responses)
]
MAPPED = {"setting": "model", "history": "context", "knowledge": "fact"}


def test_systems_are_compared_example_by_example(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    file = write(tmp_path, ROWS)
    mapping = [f"columns.{field}={name}" for field, name in MAPPED.items()]
    metrics = "metrics=[knowledge_rouge1,question_rate,perplexity_corpus]"
    assert main(["score", str(file), *mapping, metrics, "format=json", "resampling.resamples=100"]) == 0
    out = capsys.readouterr()
    table = {(row["setting"], row["metric"]): row for row in json.loads(out.out)}
    assert table["base", "knowledge_rouge1"]["value"] == pytest.approx((0.8 + 0) / 2)
    assert table["new", "knowledge_rouge1"]["value"] == 0.5
    assert table["difference", "question_rate"]["value"] == -0.5
    assert {metric for _, metric in table} == {"knowledge_rouge1", "question_rate"}  # no likelihoods were given
    (folder,) = (tmp_path / "runs").iterdir()
    assert out.err.strip().endswith(f"run: {folder.relative_to(tmp_path)}")
    assert main(["score", str(file), *mapping, metrics, "format=json", "resampling.resamples=100"]) == 0
    assert json.loads(capsys.readouterr().out) == list(table.values())
    assert main(["score", str(folder), "metrics=[length]"]) == 0


def test_what_changed_is_said_and_shown_by_the_systems_names(tmp_path, monkeypatch, capsys):
    """Whatever the order of the rows: the first system's second response comes last."""
    monkeypatch.chdir(tmp_path)
    said = [("base", 0, "the cat"), ("new", 0, "the cat sat"), ("new", 1, "why?"), ("base", 1, "why?")]
    rows = [{"model": m, "context": f"Hi {i}.", "fact": "the cat sat", "response": text} for m, i, text in said]
    mapping = [f"columns.{field}={name}" for field, name in MAPPED.items()]
    arguments = ["score", str(write(tmp_path, rows)), *mapping, "metrics=[knowledge_rouge1]", "resampling.resamples=50"]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("1 of 2 responses changed.") and "off" not in "".join(lines).split()
    assert "  base       the cat" in lines and "  new        the cat *sat*" in lines
    assert main([*arguments, "examples=0"]) == 0
    out = capsys.readouterr().out
    assert "the cat" not in out and out.startswith(lines[0]) and " knowledge_rouge1   0.400" in out
    assert main([*arguments, "format=md"]) == 0 and capsys.readouterr().out.startswith("| ")


def test_judges_and_a_topic_from_the_command_line(tmp_path, monkeypatch, capsys, tokenizer):
    monkeypatch.chdir(tmp_path)
    judge = save_language_model(tmp_path / "gpt", tokenizer)
    arguments = [
        "score", str(write(tmp_path, ROWS)), *(f"columns.{field}={name}" for field, name in MAPPED.items()),
        "metrics=[topic,judge_perplexity_corpus]", f"judges.language_model={judge}", "topic=topic_music",
        "resampling.resamples=50", "format=csv",
    ]  # fmt: skip
    assert main(arguments) == 0
    first = capsys.readouterr()
    table = {(row["setting"], row["metric"]): row for row in csv.DictReader(first.out.splitlines())}
    assert {metric for _, metric in table} == {"topic_keywords", "judge_perplexity_corpus"}
    judged = table["new", "judge_perplexity_corpus"]
    assert (judged["n"], judged["dropped"]) == ("1", "1") and "|model:gpt|weights:" in judged["signature"]
    assert "judge_nll: 4 different responses, 4 judged now, " in first.err
    assert main(arguments) == 0
    again = capsys.readouterr()
    assert again.out == first.out and "judge_nll: 4 different responses, 0 judged now\n" in again.err
    for changed, message in [
        ("topic=topic_musik", "Did you mean 'topic_music'"),
        ("judges.embeder=x", "Did you mean 'judges.embedder'"),
        ("resampling.confidence=2", "must lie between 0 and 1"),
    ]:
        assert main([*arguments, changed]) == 2
        assert message in capsys.readouterr().err


def test_likelihoods_seeds_and_ids_are_taken(tmp_path):
    rows = [
        {"id": i, "history": "Hi.", "response": "a b", "seed": seed, "nll": 3.0, "tokens": 2}
        for seed in (1, 0)
        for i in ("b", "a")
    ]
    rows[-1] |= {"seed": 0.0, "tokens": "2.0"}  # as tables write numbers beside missing ones
    folder = import_outputs(write(tmp_path, rows), {"setting": None}, tmp_path, 5)
    assert folder.manifest()["settings"] == ["outputs"] and folder.manifest()["seeds"] == [0, 1]
    assert [record.id for record in folder.records()] == ["b", "a"]
    assert folder.rows()[0] == {
        "setting": "outputs", "seed": 1, "id": "b", "response": "a b", "tokens": 2, "nll": 3.0
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "columns", "message"),
    [
        (lambda rows: rows[:-1], MAPPED, r"no response of new, seed 0, to example 2"),
        (lambda rows: [{**rows[0], "id": 1}] * 2, MAPPED, r"several responses of base, seed 0, to example 1"),
        (
            lambda rows: [{**row, "id": 1} for row in rows],
            MAPPED,
            r"line 3: the history of example 1 is not that of .*2",
        ),
        (
            lambda rows: [{**row, "fact": row["model"]} for row in rows],
            MAPPED,
            r"the knowledge of example 1 is not that",
        ),
        (
            lambda rows: [{**row, "model": "difference"} for row in rows],
            MAPPED,
            r"no system can be called 'difference'",
        ),
        (lambda rows: rows, {**MAPPED, "response": "answer"}, r"no column 'answer' for columns.response"),
        (
            lambda rows: rows,
            {**MAPPED, "setting": "modl"},
            r"no column 'modl' for columns.setting. Did you mean 'model'",
        ),
        (
            lambda rows: [{**row, "histroy": "Hi."} for row in rows],
            {},
            r"no column 'history' for columns.history. Did you mean 'histroy'\? Say columns.history=NAME, or .*=null",
        ),
        (lambda rows: rows, {"response": None}, r"no column 'response' for columns.response"),
        (
            lambda rows: [{**row, "model": "a\x1b[2J"} for row in rows],
            MAPPED,
            r"field 'model' holds control characters",
        ),
        (lambda rows: [{**row, "seed": "9" * 5000} for row in rows], MAPPED, r"line 2: field 'seed' must be a whole"),
        (lambda rows: [{**row, "seed": "x"} for row in rows], MAPPED, r"line 2: field 'seed' must be a whole number"),
        (
            lambda rows: [{**row, "seed": 0.5} for row in rows],
            MAPPED,
            r"field 'seed' must be a whole number, got '0.5'",
        ),
        (lambda rows: [{**row, "nll": "inf"} for row in rows], MAPPED, r"field 'nll' must be a number, got 'inf'"),
    ],
)
def test_what_cannot_be_compared(tmp_path, change, columns, message):
    with pytest.raises(ZscError, match=message):
        import_outputs(write(tmp_path, change(ROWS)), columns, tmp_path, 5)


def test_an_id_of_zero_is_an_id_and_an_empty_file_is_named(tmp_path):
    file = tmp_path / "zero.jsonl"
    file.write_text("".join(f'{{"id": {i}, "history": "Hi.", "response": "a"}}\n' for i in (0, 1)))
    assert [record.id for record in import_outputs(file, {}, tmp_path, 5).records()] == ["0", "1"]
    (tmp_path / "none.csv").write_text("id,history,response\n")
    with pytest.raises(ZscError, match=r"none.csv holds no row"):
        import_outputs(tmp_path / "none.csv", {}, tmp_path, 5)


LABELLED = [  # as files of responses that people labelled come: no history, no id
    {"knowledge": "the cat sat", "response": "the cat sat", "label": "attributable"},
    {"knowledge": "the dog ran", "response": "a dog", "label": "not"},
    {"knowledge": "", "response": "so it is", "label": "not"},
]


def test_responses_without_a_history_are_scored(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    file = write(tmp_path, LABELLED)
    metrics = "metrics=[knowledge_precision,dialog_precision,history_novelty,novelty,length]"
    assert main(["score", str(file), metrics, "format=json", "resampling.resamples=50"]) == 0
    out = capsys.readouterr()
    rows = {row["metric"]: row for row in json.loads(out.out)}
    assert rows["knowledge_precision"]["value"] == pytest.approx((1 + 0.5) / 2)
    assert rows["knowledge_precision"]["dropped"] == 1 and rows["novelty"]["dropped"] == 1
    assert rows["length"]["value"] == pytest.approx((3 + 2 + 3) / 3) and set(rows) == {
        "knowledge_precision",
        "novelty",
        "length",
    }
    assert f"{file}: columns not read: label. columns.FIELD=NAME reads one" in out.err
    assert "left out, nothing to compute them from: dialog_precision, history_novelty" in out.err
    (folder,) = (tmp_path / "runs").iterdir()
    assert [(record.history, record.knowledge) for record in RunFolder(folder).records()] == [
        ((), "the cat sat"), ((), "the dog ran"), ((), None)
    ]  # fmt: skip
    assert main(["score", str(folder), metrics, "format=json", "resampling.resamples=50"]) == 0
    assert json.loads(capsys.readouterr().out) == list(rows.values())


def test_some_histories_and_lines_of_a_text(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = [{"history": "the cat\nwhy", "response": "the cat why"}, {"history": "", "response": "no"}]
    file = write(tmp_path, rows)
    for words, turns in (([], 1), (["turns=lines"], 2)):
        assert main(["score", str(file), "metrics=[dialog_precision]", *words, "format=json"]) == 0
        out = capsys.readouterr()
        (row,) = json.loads(out.out)
        assert (row["value"], row["n"], row["dropped"]) == (1, 1, 1)
        assert ("of two speakers in alternation: turns=lines." in out.err) == (turns == 1)
    counts = {len(record.history) for folder in (tmp_path / "runs").iterdir() for record in RunFolder(folder).records()}
    assert counts == {0, 1, 2}
    assert main(["score", str(file), "turns=many"]) == 2
    assert "turns=many is not one of one, lines" in capsys.readouterr().err


def test_the_same_id_in_another_unicode_form_and_systems_called_by_numbers(tmp_path):
    rows = [
        {"id": identity, "setting": system, "history": ["Hi."], "response": "a"}
        for system, identity in ((0, "caf\u00e9"), (1, "cafe\u0301"))
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    folder = import_outputs(file, {}, tmp_path, 5)
    assert folder.manifest()["settings"] == ["0", "1"] and [one.id for one in folder.records()] == ["caf\u00e9"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"response": "half \ud83d"}, "field 'response' holds half of a character"),
        ({"response": ["a"]}, "field 'response' must be text, got \\['a'\\]"),
        ({"seed": True}, "field 'seed' must be a whole number, got True"),
        ({"nll": 10**400}, "field 'nll' must be a number, got 1000"),
        ({"setting": ["a"]}, "field 'setting' must be text or a number"),
        ({"id": {"a": 1}}, "field 'id' must be text or a number"),
    ],
)
def test_values_that_are_no_such_thing(tmp_path, change, message):
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"history": "Hi.", "response": "a", **change}))
    with pytest.raises(ZscError, match=f"line 1: {message}"):
        import_outputs(file, {}, tmp_path, 5)


def test_responses_to_examples_of_any_fields(tmp_path, capsys):
    file = tmp_path / "systems.jsonl"
    row = {"text": {"en": "Yes."}, "context": "C.", "answers": ["Ja.", "Doch."], "answer": "Ja.", "label": 1}
    file.write_text(json.dumps(row))
    columns = {"source": "text.en", "passage": "context", "references": "answers", "response": "answer"}
    folder = import_outputs(file, columns, tmp_path, 5)
    assert folder.records() == [
        Record("1", (), "Ja.", fields={"source": "Yes.", "passage": "C."}, references=("Ja.", "Doch."))
    ]
    assert folder.rows()[0]["response"] == "Ja."
    assert f"{file}: columns not read: label. columns.FIELD=NAME" in capsys.readouterr().err
    file.write_text("\n".join(json.dumps({**row, "text": {"en": text}, "id": 1}) for text in ("Yes.", "No.")))
    with pytest.raises(ZscError, match=r"line 2: the source of example 1 is not that of"):
        import_outputs(file, columns, tmp_path, 5)
