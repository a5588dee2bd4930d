"""`zsc init`: tables by hand, what their columns are found to be, and the file that is written of it."""

import csv
import json
import os

import pytest
import yaml

from zsc.cli.project import words_of
from zsc.data.columns import KNOWN
from zsc.data.guess import columns_of, guess, turns_of, written
from zsc.data.table import load, read_rows
from zsc.errors import ZscError
from zsc.study.init import FILE, InitOptions, init
from zsc.study.watch import Silent

LONG = "The town hall was built of red brick in the years after the great fire, and its clock tower has two bells. " * 3
TURNS = ["Have you seen the tower?", "Only from the train."]
LINES = "\n".join(TURNS)
SAID = "It has two bells, and both of them ring at noon."
FACT = "The tower was finished in the summer of that year."


def rows(*columns):
    """Rows of a table with these columns (name, value, ...): the values in turn, until there are six rows."""
    return [("row", {name: values[i % len(values)] for name, *values in columns}) for i in range(6)]


NUMBERS = tuple(range(1, 7))
TABLES = {
    "the well-known names": (
        rows(("id", *NUMBERS), ("history", TURNS), ("knowledge", FACT), ("reference", SAID), ("topic", "towns")),
        "dialogue",
        {"history": "history", "knowledge": "knowledge", "reference": "reference", "topic": "topic", "id": "id"},
    ),
    "names of others": (
        rows(("uid", *NUMBERS), ("Conversation", json.dumps(TURNS)), ("used_fact", FACT), ("humanResponse", SAID)),
        "dialogue",
        {"history": "Conversation", "knowledge": "used_fact", "reference": "humanResponse", "id": "uid"},
    ),
    "no names, turns as a list": (
        rows(("a", *NUMBERS), ("b", TURNS), ("c", FACT), ("d", SAID)),
        "dialogue",
        {"history": "b", "knowledge": "c", "reference": "d", "id": "a"},
    ),
    "no names, a turn a line": (rows(("x", LINES), ("y", SAID)), "dialogue", {"history": "x", "reference": "y"}),
    "a prompt": (
        rows(("prompt", SAID), ("response", FACT)),
        "dialogue",
        {"history": "prompt", "reference": "response"},
    ),
    "questions": (
        rows(("qid", *NUMBERS), ("Query", "When was it built?"), ("passage", LONG), ("gold_answer", "1904")),
        "question_answering",
        {"question": "Query", "context": "passage", "reference": "gold_answer", "id": "qid"},
    ),
    "questions without names": (
        rows(("p", LONG), ("q", "When was it built?", "Who lives there?")),
        "question_answering",
        {"question": "q", "context": "p"},
    ),
    "articles": (
        rows(("article", LONG), ("highlights", SAID)),
        "summarisation",
        {"document": "article", "reference": "highlights"},
    ),
    "languages": (rows(("en", SAID), ("de", FACT)), "translation", {"source": "en", "reference": "de"}),
    "languages inside": (
        rows(("translation", {"en": SAID, "de": FACT})),
        "translation",
        {"source": "translation.en", "reference": "translation.de"},
    ),
    "a source and its target": (
        rows(("tgt", SAID), ("src", FACT)),
        "translation",
        {"source": "src", "reference": "tgt"},
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_found_to_be_what_it_is(name):
    table, task, columns = TABLES[name]
    found = guess(columns_of(table), None, {})
    assert (found.task, dict(found.columns)) == (task, columns)


@pytest.mark.parametrize("table", [rows(("a", *NUMBERS), ("b", 0.5)), rows(("x", "yes", "no"))])
def test_a_table_without_any_text_is_nothing(table):
    assert guess(columns_of(table), None, {}) is None


def test_what_only_the_shape_or_the_place_tells_is_unsure():
    named = guess(columns_of(TABLES["names of others"][0]), None, {})
    unnamed = guess(columns_of(TABLES["no names, turns as a list"][0]), None, {})
    assert not named.unsure and named.certain
    assert {*unnamed.unsure} == {"history", "knowledge", "reference", "id"} and not unnamed.certain


def test_what_is_given_is_not_guessed():
    columns = columns_of(TABLES["the well-known names"][0])
    found = guess(columns, None, {"knowledge": "topic", "topic": None})
    assert found.columns["knowledge"] == "topic" and "knowledge" not in found.unsure and "topic" not in found.columns
    asked = guess(columns_of(TABLES["questions"][0]), "question_generation", {})
    assert dict(asked.columns) == {"context": "passage", "focus": "gold_answer", "reference": "Query", "id": "qid"}
    assert guess(columns, "translation", {}) is None


def test_ids_that_repeat_are_none():
    assert "id" not in guess(columns_of(rows(("id", 1, 2), ("history", TURNS))), None, {}).columns


def test_several_references_and_fields_of_other_names_are_written_as_options_have_them():
    table = rows(("history", TURNS), ("answers", ["yes it is", "it is"]), ("reference", FACT))
    columns = columns_of(table)
    assert written(columns, {"history": "history", "reference": "answers"})["references"] == "answers"
    assert written(columns, {"history": "history", "knowledge": "reference"})["reference"] is None
    assert turns_of(columns_of(rows(("x", LINES))), {"history": "x"}) == "lines"


def write(path, table):
    with path.open("w", newline="", encoding="utf-8") as handle:
        names, *lines = table
        csv.writer(handle).writerows([names, *lines])
    return path


def loaded():
    """The records that zsc.yaml names, read by its own values and the loader alone."""
    values = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    columns = {name: name for name in KNOWN} | {
        key.removeprefix("dataset.columns."): value
        for key, value in values.items()
        if key.startswith("dataset.columns.")
    }
    return load(values["dataset.path"], columns, values.get("dataset.turns", "one")), values


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_file_reads_the_table_as_it_was_found(folder, capsys):
    write(folder / "mine.csv", [["nr", "talk", "blurb", "said"], *([i, LINES, FACT, SAID] for i in (7, 8, 9))])
    commands = init(InitOptions(file="mine.csv"), Silent())
    records, values = loaded()
    assert [record.id for record in records] == ["7", "8", "9"] and values["task"] == "dialogue"
    assert [turn.text for turn in records[0].history] == TURNS
    assert {(record.knowledge, record.reference) for record in records} == {(FACT, SAID)}
    assert any(line.startswith("zsc run knob=attn_bias ") for line in commands)
    assert "dataset.limit" not in values and values["model"] == "mini"


def test_of_many_rows_a_sample_is_taken_and_it_says_so(folder):
    write(folder / "mine.csv", [["prompt", "response"], *([f"{SAID} {i}", FACT] for i in range(500))])
    init(InitOptions(file="mine.csv", model="./own model"), Silent())
    text = FILE.read_text()
    assert yaml.safe_load(text)["dataset.limit"] == 200 and "500 rows" in text
    assert "model=./own model" in [word.replace("'", "") for word in words_of(text)]


@pytest.mark.parametrize(
    "name", ["a: b", "#x", "it's", "null", "true", 'say "hi"', "[x]", "naïve 中", "a,b", "1.50", "x=y"]
)
def test_columns_of_any_name_come_through_the_file(folder, command, name):
    write(folder / "mine.csv", [["history", name], [SAID, FACT], [FACT, SAID]])
    assert (
        command("init", "mine.csv", f"columns.knowledge={name}" if name != "null" else "columns.knowledge='null'")[0]
        == 0
    )
    assert [record.knowledge for record in loaded()[0]] == [FACT, SAID]
    code, out, err = command("run", "knob=attn_bias", "--cfg", "job")
    assert code == 0, err
    assert yaml.safe_load(out)["dataset"]["columns"]["knowledge"] == name


def test_other_formats(folder):
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"document": [LONG, SAID], "summary": [SAID, FACT]}), "mine.parquet")
    init(InitOptions(file="mine.parquet"), Silent())
    assert [record.fields["document"] for record in loaded()[0]] == [LONG.strip(), SAID]
    (folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for _, row in TABLES["names of others"][0]))
    init(InitOptions(file="mine.jsonl", overwrite=True), Silent())
    assert [turn.text for turn in loaded()[0][0].history] == TURNS


def test_a_file_that_is_there_stays(folder, command):
    write(folder / "mine.csv", [["history", "knowledge"], [SAID, FACT]])
    FILE.write_text("task: dialogue\n")
    code, out, err = command("init", "mine.csv")
    assert (code, out) == (2, "") and "zsc.yaml is there already" in err and "overwrite=true" in err
    assert FILE.read_text() == "task: dialogue\n"
    assert command("init", "mine.csv", "overwrite=true")[0] == 0 and "mine.csv" in FILE.read_text()
    FILE.unlink()
    os.symlink(folder / "elsewhere.yaml", FILE)
    code, _, err = command("init", "mine.csv", "overwrite=true")
    assert code == 2 and "symbolic link" in err and not (folder / "elsewhere.yaml").exists()


REFUSED = [
    (["odd.csv"], "cannot guess", "task=dialogue columns.history=x"),
    (["odd.csv", "task=dialog"], "no task 'dialog'", "Did you mean 'dialogue'?"),
    (["odd.csv", "columns.history=z"], "no column 'z'", "x, y"),
    (["odd.csv", "columns.histroy=x"], "columns.histroy", "Did you mean 'history'?"),
    (["none.csv"], "no file none.csv", "no file"),
    (["odd.csv", "modle=mini"], "no option 'modle'", "Did you mean 'model'?"),
    ([], "needs a table", "zsc init FILE"),
    (["empty.csv"], "holds no row", "empty.csv"),
    (["odd.csv", "--cfg", "job"], "--cfg", "--help"),
    (["odd.csv", "columns=x", "columns.history=x"], "columns is given twice", "Remove one"),
    (["odd.csv", "columns=x"], "columns=x", "must be a mapping"),
]


@pytest.mark.parametrize(("words", "wrong", "right"), REFUSED)
def test_what_cannot_be_is_one_line_and_nothing_is_written(folder, command, words, wrong, right):
    write(folder / "odd.csv", [["x", "y"], [1, 2.5], [2, 3.5]])
    write(folder / "empty.csv", [["history", "knowledge"]])
    code, out, err = command("init", *words)
    assert (code, out) == (2, "") and len(err.splitlines()) == 1 and wrong in err and right in err, err
    assert not FILE.exists()


def test_a_table_that_does_not_load_as_it_was_given_is_refused(folder):
    write(folder / "mine.csv", [["name", "history"], ["a", SAID], ["a", FACT]])
    with pytest.raises(ZscError, match=r"'id' 'a' repeats.*Nothing was written"):
        init(InitOptions(file="mine.csv", columns={"id": "name"}), Silent())
    assert not FILE.exists()


class Answers:
    """Answers given one after the other, and the questions they were given to."""

    def __init__(self, *given):
        self.given, self.asked = list(given), []

    def __call__(self, question):
        self.asked.append(question)
        if not self.given:
            raise EOFError
        return self.given.pop(0)


def test_on_a_terminal_only_what_is_not_certain_is_asked(folder):
    write(folder / "sure.csv", [["history", "knowledge", "response"], [LINES, FACT, SAID]])
    none = Answers()
    init(InitOptions(file="sure.csv"), Silent(), none)
    assert not none.asked and loaded()[1]["dataset.columns.reference"] == "response"
    write(folder / "mine.csv", [["talk", "blurb", "said", "mood"], [LINES, FACT, SAID, "good one"]])
    some = Answers("blurp", "said", "2")
    init(InitOptions(file="mine.csv", overwrite=True), Silent(), some)
    assert [question.partition(",")[0] for question in some.asked] == ["knowledge", "knowledge", "reference"]
    values = loaded()[1]
    assert (values["dataset.columns.knowledge"], values["dataset.columns.reference"]) == ("said", "blurb")


def test_the_task_can_be_corrected_and_a_field_left_out(folder):
    write(folder / "mine.csv", [["a", "b"], [LONG, SAID], [LONG, FACT]])
    init(InitOptions(file="mine.csv"), Silent(), Answers("dialogue", "b", "-", ""))
    values = loaded()[1]
    assert values["task"] == "dialogue" and values["dataset.columns.history"] == "b"
    assert values.get("dataset.columns.reference") is None


def test_without_an_answer_nothing_is_written(folder):
    write(folder / "mine.csv", [["a", "b"], [LONG, SAID]])
    with pytest.raises(ZscError, match="no answer"):
        init(InitOptions(file="mine.csv"), Silent(), Answers())
    assert not FILE.exists()


def test_rows_are_read_as_the_loader_reads_them(folder):
    file = write(folder / "mine.csv", [["history", "knowledge"], [SAID, FACT]])
    assert {column.name for column in columns_of(read_rows(file))} == {"history", "knowledge"}
