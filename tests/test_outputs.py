"""Scoring responses of other systems."""

import csv
import json

import pytest

from tests.test_judges import language_model
from zsc.cli.main import main
from zsc.errors import ZscError
from zsc.generation.outputs import import_outputs


def write(tmp_path, rows):
    file = tmp_path / "systems.csv"
    with file.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return file


ROWS = [
    {"model": model, "context": f"Hi {i}.", "fact": "the cat sat", "response": said, "human": 3}
    for model, responses in (("base", ["the cat", "why?"]), ("new", ["the cat sat", ""]))
    for i, said in enumerate(responses)
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


def test_judges_and_a_topic_from_the_command_line(tmp_path, monkeypatch, capsys, tokenizer):
    monkeypatch.chdir(tmp_path)
    judge = language_model(tmp_path / "gpt", tokenizer)
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
        (lambda rows: rows, {}, r"no column 'history' for columns.history"),
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
